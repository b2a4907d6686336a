"""The ULMFiT recipe: from texts and labels to a classifier, in three stages.

1. A language model is trained (or, from a base, fine-tuned) on all texts, labelled or not.
2. Its encoder gets a classifier's head, which is trained alone.
3. The layers are unfrozen one by one, lower layers learning more slowly.

Source: Howard and Ruder 2018, "Universal Language Model Fine-tuning for Text Classification".
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from rich.console import Console

from ulmfit.data.loaders import ClassifierLoader, LMDataLoader
from ulmfit.data.sources import Examples, check_classes, check_known_labels
from ulmfit.data.splitters import stratified_split
from ulmfit.errors import ConfigError, DataError
from ulmfit.inference.bundle import CLASSIFIER, LANGUAGE_MODEL, Bundle
from ulmfit.models.awd_lstm import n_parameters
from ulmfit.models.classifier import TextClassifier
from ulmfit.models.config import CLASSIFIER_DROPOUTS, size_config
from ulmfit.models.language_model import LanguageModel
from ulmfit.pretrained.transfer import match_vocab
from ulmfit.text.store import TokenStore
from ulmfit.text.tokenizers import Tokenizer
from ulmfit.text.vocab import Vocab
from ulmfit.training.callbacks import SaveBest
from ulmfit.training.learner import DataLoaders, Learner
from ulmfit.training.progress import ProgressTable

MAX_VOCAB = {"small": 20_000, "base": 60_000}
LM_SHARE = 0.7  # of the time left, for the language model; the classifier is much smaller work
LM_CLIP = 1.0
_LM_TOKENS = 15_000_000  # a language model sees about so many tokens, if no epochs are given
_LM_EPOCHS = (2, 20)  # and at least and at most so many epochs


def default_lm_epochs(n_tokens: int) -> int:
    """Epochs for a language model of a corpus of so many tokens."""
    low, high = _LM_EPOCHS
    return min(high, max(low, round(_LM_TOKENS / n_tokens)))


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The settings of a run.

    Args:
        size: "small" or "base": the architecture's size when there is no base.
        lm_epochs: epochs of the language model; None chooses them from the size of the corpus.
        epochs: epochs of the classifier after all layers are unfrozen.
        time_budget: seconds for the whole run; epochs are then an upper limit.
        valid_pct: share of the labelled examples held out, if no validation part is given.
        seed: of the split, the weights, the order of texts and dropout.
        max_vocab: largest vocabulary; None for the size's own.
        min_freq: a word that is rarer gets no entry.
        lm_bs: rows of a language-model batch.
        lm_lr: maximum learning rate of the language model.
        bs: documents of a classifier batch.
        lr: maximum learning rate of the classifier's head.
        bptt: steps of a batch of the language model, and of a chunk of the classifier.
        drop_mult: factor on the classifier's dropouts.
        precision: "auto", "bf16" or "fp32"; answers and the reported figures are always float32.
    """

    size: str = "small"
    lm_epochs: float | None = None
    epochs: int = 3
    time_budget: float | None = None
    valid_pct: float = 0.1
    seed: int = 0
    max_vocab: int | None = None
    min_freq: int = 2
    lm_bs: int = 32
    lm_lr: float = 5e-3
    bs: int = 32
    lr: float = 1e-2
    bptt: int = 72
    drop_mult: float = 0.5
    precision: str = "auto"

    def __post_init__(self) -> None:
        size_config(self.size)
        problems = []
        if self.lm_epochs is not None and not 0 < self.lm_epochs < math.inf:
            problems.append(f"lm_epochs={self.lm_epochs} must be positive")
        problems += [
            f"{n}={getattr(self, n)} must be at least 1"
            for n in ("epochs", "lm_bs", "bs", "bptt", "min_freq")
            if getattr(self, n) < 1
        ]
        if self.time_budget is not None and self.time_budget <= 0:
            problems.append(f"time_budget={self.time_budget} must be positive")
        if not 0 < self.valid_pct < 1:
            problems.append(f"valid_pct={self.valid_pct} must be between 0 and 1")
        if problems:
            raise ConfigError("recipe: " + "; ".join(problems))


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


@dataclass
class Clock:
    """Time used and left of a run's budget."""

    budget: float | None
    started: float = field(default_factory=time.perf_counter)

    @property
    def used(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.started

    def share(self, of_what_is_left: float) -> float | None:
        """Seconds: a share of the time left, at least one; None without a budget."""
        return None if self.budget is None else max(1.0, of_what_is_left * (self.budget - self.used))


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a run of the recipe gives: the classifier and the language model its encoder came from."""

    classifier: Bundle
    language_model: Bundle


def train_text_classifier(texts: Texts, recipe: Recipe, console: Console, *, base: Bundle | None = None) -> Trained:
    """Run the three stages.

    Args:
        texts: the task.
        recipe: the settings.
        console: for the epoch tables.
        base: a language model to start from; without it one is trained from random weights.
    """
    clock = Clock(recipe.time_budget)
    tokenizer = base.tokenizer if base is not None else Tokenizer()
    stores = _Stores.build(texts, tokenizer, recipe, console)
    language_model, lm_history, lm_report = _train_language_model(stores, recipe, clock, console, base)
    classifier, history, report = _train_classifier(texts, stores, language_model, recipe, clock, console)
    common: dict[str, Any] = {"tokenizer": tokenizer, "vocab": stores.vocab, "bptt": recipe.bptt}
    metrics = {"language_model": lm_report, "valid": report, "seconds": round(clock.used, 1)}
    return Trained(
        classifier=Bundle(
            kind=CLASSIFIER,
            config=classifier.config,
            weights=classifier.state_dict(),
            labels=tuple(texts.labels),
            metrics=metrics,
            history=(*lm_history, *history),
            **common,
        ),
        language_model=Bundle(
            kind=LANGUAGE_MODEL,
            config=language_model.config,
            weights=language_model.state_dict(),
            metrics=lm_report,
            history=tuple(lm_history),
            **common,
        ),
    )


@dataclass(frozen=True, kw_only=True)
class _Stores:
    """The task as token ids: LM texts, classifier's training and validation parts, one vocabulary."""

    lm: TokenStore
    train: TokenStore
    valid: TokenStore

    @property
    def vocab(self) -> Vocab:
        return self.lm.vocab

    @classmethod
    def build(cls, texts: Texts, tokenizer: Tokenizer, recipe: Recipe, console: Console) -> _Stores:
        started = time.perf_counter()
        max_vocab = recipe.max_vocab or MAX_VOCAB[recipe.size]
        all_texts = [*texts.train[0], *texts.unlabelled]
        lm = TokenStore.build(all_texts, tokenizer, min_freq=recipe.min_freq, max_vocab=max_vocab)
        train = _first(lm, len(texts.train[0]))
        valid = TokenStore.build(texts.valid[0], tokenizer, vocab=lm.vocab)
        unknown = float((np.asarray(lm.ids) == lm.vocab.unk_idx).mean())
        console.print(
            f"{len(all_texts):,} texts, {lm.n_tokens:,} tokens, vocabulary {len(lm.vocab):,} words "
            f"({unknown:.1%} of the tokens are not in it), {time.perf_counter() - started:.0f} s",
            highlight=False,
        )
        return cls(lm=lm, train=train, valid=valid)


def _first(store: TokenStore, n: int) -> TokenStore:
    """The first n documents of a store."""
    return TokenStore(store.ids[: store.offsets[n]], store.offsets[: n + 1], store.vocab)


def _train_language_model(
    stores: _Stores, recipe: Recipe, clock: Clock, console: Console, base: Bundle | None
) -> tuple[LanguageModel, list[dict[str, Any]], dict[str, Any]]:
    """Stage 1: a language model of all texts, checked on the validation part's texts."""
    config = base.config if base is not None else size_config(recipe.size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = LanguageModel(len(stores.vocab), config)
    if base is not None:
        weights, match = match_vocab(base.weights, base.vocab, stores.vocab)
        model.load_state_dict(weights)
        console.print(
            f"base: {match.shared:,} words of the vocabulary are known to it, {match.new:,} are new", highlight=False
        )
    bs = min(recipe.lm_bs, max(1, min(stores.lm.n_tokens, stores.valid.n_tokens) // (2 * recipe.bptt)))
    dls = DataLoaders(
        LMDataLoader(stores.lm, bs=bs, seq_len=recipe.bptt, shuffle=True, seed=recipe.seed),
        LMDataLoader(stores.valid, bs=bs, seq_len=recipe.bptt),
    )
    learn = Learner(
        dls, model, metrics=["perplexity", "accuracy"], precision=recipe.precision, seed=recipe.seed, clip=LM_CLIP
    )
    console.print(
        f"\nLanguage model: {n_parameters(model):,} parameters, {learn.precision} on {learn.device.type}",
        highlight=False,
    )
    epochs = recipe.lm_epochs or default_lm_epochs(stores.lm.n_tokens)
    table = ProgressTable(console)
    started = time.perf_counter()
    seconds = clock.share(LM_SHARE)
    if base is not None:
        learn.freeze()
        learn.fit_one_cycle(1, recipe.lm_lr, seconds=None if seconds is None else seconds / 4, cbs=[table])
        learn.unfreeze()
        seconds = None if seconds is None else max(1.0, seconds - (time.perf_counter() - started))
    learn.fit_one_cycle(epochs, recipe.lm_lr, seconds=seconds, cbs=[table])
    last = learn.history[-1]
    report = {
        "perplexity": last["perplexity"],
        "accuracy": last["accuracy"],
        "tokens": stores.lm.n_tokens,
        "tokens_seen": learn.n_steps * bs * recipe.bptt,
        "seconds": round(time.perf_counter() - started, 1),
    }
    return model, [{"stage": "language_model", **row} for row in learn.history], report


# Stages 2 and 3: groups to train (counted from the head), epochs (None: the recipe's), share of the head's learning
# rate, and by how much the rate falls from the head to the lowest group. 
# Source: Howard and Ruder 2018, sections 3.2 and 3.3.
_TIME_SHARES = (0.15, 0.25, 0.95)  # of the time left at each stage; the rest is for saving
_GRADUAL: tuple[tuple[int | None, int | None, float, float], ...] = (
    (-1, 1, 1.0, 1.0),
    (-2, 1, 0.5, 2.6**4),
    (None, None, 0.25, 2.6**4),
)


def _train_classifier(
    texts: Texts, stores: _Stores, language_model: LanguageModel, recipe: Recipe, clock: Clock, console: Console
) -> tuple[TextClassifier, list[dict[str, Any]], dict[str, Any]]:
    """Stages 2 and 3: a head on the language model's encoder, then gradual unfreezing."""
    class_id = {label: i for i, label in enumerate(texts.labels)}
    parts = [
        ClassifierLoader(store, [class_id[y] for y in labels], bs=recipe.bs, shuffle=shuffle, seed=recipe.seed)
        for store, labels, shuffle in ((stores.train, texts.train[1], True), (stores.valid, texts.valid[1], False))
    ]
    config = language_model.config.with_dropouts_of(CLASSIFIER_DROPOUTS).scaled(recipe.drop_mult)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = TextClassifier(len(stores.vocab), len(texts.labels), config, bptt=recipe.bptt)
    model.encoder.load_state_dict(language_model.encoder.state_dict())
    learn = Learner(DataLoaders(*parts), model, metrics=["accuracy"], precision=recipe.precision, seed=recipe.seed)
    console.print(
        f"\nClassifier: {len(texts.labels)} classes, {len(texts.train[0]):,} texts to learn from, "
        f"{len(texts.valid[0]):,} to check with",
        highlight=False,
    )
    best = SaveBest("valid_loss")
    table = ProgressTable(console)
    for n, (first, epochs, factor, spread) in enumerate(_GRADUAL):
        learn.freeze_to(0 if first is None else first)
        high = recipe.lr * factor
        learn.fit_one_cycle(
            epochs or recipe.epochs,
            slice(high / spread, high) if spread > 1 else high,
            seconds=clock.share(_TIME_SHARES[n]),
            cbs=[table, best],
        )
    best.restore(learn)
    report = {"loss": best.row["valid_loss"], "accuracy": best.row["accuracy"], "epoch": best.row["epoch"]}
    return model, [{"stage": "classifier", **row} for row in learn.history], report
