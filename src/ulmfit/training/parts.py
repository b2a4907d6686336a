"""The parts of a classification task: texts and labels, checked and split, then as token ids."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console

from ulmfit.data.sources import Examples, check_classes, check_known_labels
from ulmfit.data.splitters import stratified_split
from ulmfit.errors import DataError
from ulmfit.pretrained.transfer import widen
from ulmfit.text.store import TokenStore
from ulmfit.text.tokenizers import Tokenizer
from ulmfit.text.vocab import Vocab
from ulmfit.training.progress import say

_NO_LIMIT = 2**31


@dataclass(frozen=True, kw_only=True)
class Texts:
    """The parts of a classification task, checked.

    Args:
        train: texts and labels to learn from.
        valid: texts and labels to choose by.
        unlabelled: further texts for the language model.
        labels: class names, sorted.
    """

    train: tuple[list[str], list[str]]
    valid: tuple[list[str], list[str]]
    unlabelled: list[str]
    labels: list[str]

    @property
    def counts(self) -> Counter[str]:
        """Examples of each class in the training part."""
        return Counter(self.train[1])


def prepare_texts(
    data: Examples, valid: Examples | None, lm_data: Sequence[Examples], *, valid_pct: float, seed: int
) -> Texts:
    """Check the classes and split off a validation part where none is given.

    Raises:
        DataError: fewer than two classes, a class with one example, labels that the training part does not have.
    """
    texts, labels = data.labelled()
    counts = check_classes(labels, data.source)
    unlabelled = [t for t, label in zip(data.texts, data.labels or [], strict=True) if label is None]
    for more in lm_data:
        unlabelled += more.texts
    if valid is not None:
        held_out = valid.labelled()
        if not held_out[0]:
            raise DataError(f"{valid.source} has no labelled examples")
        check_known_labels(held_out[1], list(counts), valid.source)
        train = texts, labels
    else:
        train_rows, valid_rows = stratified_split(labels, valid_pct, seed)
        train = [texts[i] for i in train_rows], [labels[i] for i in train_rows]
        held_out = [texts[i] for i in valid_rows], [labels[i] for i in valid_rows]
    return Texts(train=train, valid=held_out, unlabelled=unlabelled, labels=sorted(counts))


@dataclass(frozen=True, kw_only=True)
class Stores:
    """The task as token ids: LM texts, classifier's training and validation parts, one vocabulary."""

    lm: TokenStore
    train: TokenStore
    valid: TokenStore

    @property
    def vocab(self) -> Vocab:
        """What the ids mean."""
        return self.lm.vocab

    @classmethod
    def build(
        cls,
        texts: Texts,
        tokenizer: Tokenizer,
        *,
        min_freq: int,
        max_vocab: int,
        console: Console,
        base: Vocab | None = None,
    ) -> Stores:
        """Tokenize all parts; the vocabulary is made from the texts to learn from, and holds that of the base."""
        started = time.perf_counter()
        all_texts = [*texts.train[0], *texts.unlabelled]
        if base is None:
            lm = TokenStore.build(all_texts, tokenizer, min_freq=min_freq, max_vocab=max_vocab)
        else:
            lm = TokenStore.build(all_texts, tokenizer, min_freq=1, max_vocab=_NO_LIMIT)
            lm = _with_vocab(lm, widen(counts(lm), base, min_freq=min_freq, max_vocab=max_vocab))
        train = _first(lm, len(texts.train[0]))
        valid = TokenStore.build(texts.valid[0], tokenizer, vocab=lm.vocab)
        unknown = float((np.asarray(lm.ids) == lm.vocab.unk_idx).mean())
        say(
            console,
            f"{len(all_texts):,} texts, {lm.n_tokens:,} tokens, vocabulary {len(lm.vocab):,} words "
            f"({unknown:.1%} of the tokens are not in it), {time.perf_counter() - started:.0f} s",
        )
        return cls(lm=lm, train=train, valid=valid)


def counts(store: TokenStore) -> dict[str, int]:
    """How often each entry of its vocabulary occurs in a store."""
    found = np.bincount(np.asarray(store.ids), minlength=len(store.vocab)).tolist()
    return dict(zip(store.vocab.itos, found, strict=True))


def _with_vocab(store: TokenStore, vocab: Vocab) -> TokenStore:
    """The same documents with the ids of another vocabulary."""
    ids = vocab.numericalize(store.vocab.itos).astype(vocab.dtype)[store.ids]
    return TokenStore(ids, store.offsets, vocab)


def _first(store: TokenStore, n: int) -> TokenStore:
    """The first n documents of a store."""
    return TokenStore(store.ids[: store.offsets[n]], store.offsets[: n + 1], store.vocab)
