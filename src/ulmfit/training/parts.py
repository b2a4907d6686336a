"""The parts of a classification task: texts and labels, checked and split, then as token ids."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from ulmfit.data.sources import Examples, check_classes
from ulmfit.data.splitters import RandomSplitter, stratified_split
from ulmfit.data.targets import Measurement, MultiCategoryBlock, MultiLabel, SingleLabel, Target
from ulmfit.errors import DataError
from ulmfit.inference.reading import Reading
from ulmfit.pretrained.transfer import occurrences, widen
from ulmfit.text.store import TokenStore
from ulmfit.text.tokenizers import Tokenizer
from ulmfit.text.vocab import Vocab, make_vocab
from ulmfit.training.progress import say

FEW = 50  # with fewer texts to check with, the standard error of an accuracy of 0.85 is above 5 points
_MARGIN = 0.1  # of the range of the values to learn from, on either side


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Values as a model learns them: with mean 0 and variance 1, so that one learning rate suits any unit.

    Args:
        mean: of the values to learn from.
        std: their standard deviation.
        y_range: lowest and highest answer that the model can give.
    """

    mean: float
    std: float
    y_range: tuple[float, float]

    @classmethod
    def of(cls, values: NDArray[np.floating[Any]], source: str) -> Self:
        """The scale of the values to learn from.

        Raises:
            DataError: they are all the same.
        """
        low, high = float(values.min()), float(values.max())
        if low == high:
            raise DataError(f"{source}: all {len(values)} values are {low:g}; there is nothing to learn from them")
        margin = _MARGIN * (high - low)
        return cls(mean=float(values.mean()), std=float(values.std()), y_range=(low - margin, high + margin))

    def learned(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """The values as the model learns them."""
        scaled: NDArray[np.float32] = ((values - self.mean) / self.std).astype(np.float32)
        return scaled

    @property
    def learned_range(self) -> tuple[float, float]:
        """The range as the model learns it."""
        return (self.y_range[0] - self.mean) / self.std, (self.y_range[1] - self.mean) / self.std


@dataclass(frozen=True, kw_only=True)
class Texts:
    """The parts of a task, checked.

    Args:
        train: texts and labels to learn from; a label is a class, a list of classes, or a number.
        valid: texts and labels to choose by.
        unlabelled: further texts, for the language model and the n-grams, and for pseudo-labels.
        target: what the labels mean as numbers.
        scale: of the values, for regression.
        split_off: the texts to choose by were labelled texts like the others, and not given as a part of their own.
        n_pseudo: texts at the end of the training part whose labels another model gave.
    """

    train: tuple[list[str], list[Any]]
    valid: tuple[list[str], list[Any]]
    unlabelled: list[str]
    target: Target
    scale: Scale | None = None
    split_off: bool = False
    n_pseudo: int = 0

    @property
    def task(self) -> str:
        """One of "single_label", "multi_label", "regression"."""
        return self.target.task

    @property
    def labels(self) -> list[str]:
        """Class names by id; none for regression."""
        return list(self.target.labels)

    @property
    def n_labelled(self) -> int:
        """Texts to learn from with a label of their own."""
        return len(self.train[0]) - self.n_pseudo

    @property
    def counts(self) -> Counter[str]:
        """Examples of each class in the training part."""
        return self.counts_of(self.train[1])

    def counts_of(self, labels: Sequence[Any]) -> Counter[str]:
        """Examples of each class; none for regression."""
        if self.task == "regression":
            return Counter()
        return Counter(labels) if self.task == "single_label" else Counter(name for names in labels for name in names)

    def checked_by(self, rows: NDArray[np.int64]) -> Self:
        """The same with some of the texts to choose by."""
        texts, labels = self.valid
        return replace(self, valid=([texts[i] for i in rows], [labels[i] for i in rows]))

    def numbers(self, labels: Sequence[Any]) -> NDArray[Any]:
        """What a model learns to give: class ids (N,), 0 and 1 (N, C), or values of mean 0 and variance 1 (N,)."""
        encoded = self.target.encode(labels, "the labels")
        return encoded if self.scale is None else self.scale.learned(encoded)


def prepare_texts(
    data: Examples,
    valid: Examples | None,
    lm_data: Sequence[Examples],
    *,
    valid_pct: float,
    seed: int,
    task: str = "single_label",
) -> Texts:
    """Check the labels and split off a validation part where none is given.

    Raises:
        DataError: fewer than two classes, a class with one example, labels that the training part does not have, values
            that are all the same.
    """
    texts, labels = data.labelled()
    if not texts:
        raise DataError(f"{data.source} has no labelled examples")
    target = _target(task, labels, data.source)
    unlabelled = [t for t, label in zip(data.texts, data.labels or [], strict=True) if label is None]
    for more in lm_data:
        unlabelled += more.texts
    if valid is not None:
        held_out = valid.labelled()
        if not held_out[0]:
            raise DataError(f"{valid.source} has no labelled examples")
        target.encode(held_out[1], valid.source)
        train = texts, labels
    else:
        one_each = task == "single_label"
        split = stratified_split(labels, valid_pct, seed) if one_each else RandomSplitter(valid_pct, seed)(texts)
        train, held_out = (([texts[i] for i in rows], [labels[i] for i in rows]) for rows in split)
    scale = Scale.of(np.array(train[1]), data.source) if task == "regression" else None
    return Texts(
        train=train, valid=held_out, unlabelled=unlabelled, target=target, scale=scale, split_off=valid is None
    )


def _target(task: str, labels: Sequence[Any], source: str) -> Target:
    """The classes are those of all labelled examples, also of those that are held out."""
    if task == "regression":
        return Measurement(1)
    if task == "single_label":
        return SingleLabel(tuple(sorted(check_classes(labels, source))))
    found: MultiLabel = MultiCategoryBlock().fit(labels, source)
    return found


@dataclass(frozen=True, kw_only=True)
class Stores:
    """The task as token ids, of one vocabulary.

    Args:
        lm: the training part and then the texts without labels, for the language model.
        train: what the classifier learns from.
        valid: what is chosen by.
        unlabelled: the texts without labels.
    """

    lm: TokenStore
    train: TokenStore
    valid: TokenStore
    unlabelled: TokenStore

    @property
    def vocab(self) -> Vocab:
        """What the ids mean."""
        return self.lm.vocab

    def with_unlabelled(self, rows: NDArray[np.int64]) -> Self:
        """The same with some of the texts without labels to learn from, too."""
        return replace(self, train=self.train.joined(self.unlabelled.take(rows)))

    def checked_by(self, rows: NDArray[np.int64]) -> Self:
        """The same with some of the texts to choose by."""
        return replace(self, valid=self.valid.take(rows))


@dataclass(frozen=True, kw_only=True)
class Wide:
    """The task as ids of every word, also of those that the vocabulary of the network lacks: what n-grams learn from.

    Args:
        lm: the training part and then the texts without labels.
        train: what the classifier learns from.
        valid: what is chosen by.
        unlabelled: the texts without labels.
    """

    lm: Reading
    train: Reading
    valid: Reading
    unlabelled: Reading

    def narrowed(self) -> Stores:
        """The same as ids of the network's vocabulary."""
        lm = self.lm.narrowed()
        train, unlabelled = lm.cut(len(self.train))
        return Stores(lm=lm, train=train, valid=self.valid.narrowed(), unlabelled=unlabelled)

    @classmethod
    def build(
        cls,
        train: Sequence[str],
        valid: Sequence[str],
        unlabelled: Sequence[str],
        tokenizer: Tokenizer,
        *,
        min_freq: int,
        max_vocab: int,
        console: Console,
        base: Vocab | None = None,
    ) -> Self:
        """Tokenize all parts; the vocabulary is made from the texts to learn from, and holds that of the base."""
        started = time.perf_counter()
        all_texts = [*train, *unlabelled]
        tokenizer.fit(all_texts)  # not by the texts to choose by
        lm, checked = TokenStore.of_every_word([*all_texts, *valid], tokenizer).cut(len(all_texts))
        counts = occurrences(lm.ids, lm.vocab)
        if base is None:
            vocab = make_vocab(counts, min_freq, max_vocab)
        else:
            vocab = widen(counts, base, min_freq=min_freq, max_vocab=max_vocab)
        unknown = sum(n for word, n in counts.items() if word not in vocab) / max(1, lm.n_tokens)
        say(
            console,
            f"{len(all_texts):,} texts, {lm.n_tokens:,} tokens, vocabulary {len(vocab):,} words "
            f"({unknown:.1%} of the tokens are not in it), {time.perf_counter() - started:.0f} s",
        )
        known, others = lm.cut(len(train))
        return cls(
            lm=Reading(lm, vocab),
            train=Reading(known, vocab),
            valid=Reading(checked, vocab),
            unlabelled=Reading(others, vocab),
        )


def sample(n: int, wanted: int) -> NDArray[np.int64]:
    """So many of n rows, drawn at random in an order that is always the same, and rising.

    At random, because rows may come in turns: every second one of two classes in turn is of one class.
    """
    return np.sort(np.random.default_rng(0).permutation(n)[:wanted])
