"""The ULMFiT recipe: from texts and labels to a classifier, in three stages.

1. A language model is trained (or, from a base, fine-tuned) on all texts, labelled or not.
2. Its encoder gets a classifier's head, which is trained alone.
3. The layers are unfrozen from the top, lower layers learning more slowly.

Source: Howard and Ruder 2018, "Universal Language Model Fine-tuning for Text Classification".
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from itertools import islice
from typing import Any, cast

import torch
from rich.console import Console

from ulmfit.data.loaders import ClassifierLoader, LMDataLoader
from ulmfit.errors import ConfigError
from ulmfit.inference.bundle import CLASSIFIER, LANGUAGE_MODEL, Bundle
from ulmfit.models.classifier import TextClassifier
from ulmfit.models.config import CLASSIFIER_DROPOUTS, EncoderConfig, size_config
from ulmfit.models.encoder import n_parameters
from ulmfit.models.language_model import LanguageModel
from ulmfit.pretrained.transfer import coverage, match_vocab
from ulmfit.text.tokenizers import Tokenizer
from ulmfit.training.clock import Clock
from ulmfit.training.learner import DataLoaders, Learner
from ulmfit.training.parts import Stores, Texts, counts
from ulmfit.training.precision import PRECISIONS
from ulmfit.training.progress import ProgressTable, say
from ulmfit.training.tracking import SaveBest

MAX_VOCAB = {"small": 20_000, "base": 60_000}
# By how much the learning rate falls from one parameter group to the next lower one. 2.6 is the paper's choice for a
# pretrained encoder; one that has just been trained on the same few texts has more to learn.
RATE_FALL_FROM_BASE = 2.6
RATE_FALL_FROM_SCRATCH = 2.6 ** (1 / 3)
_FORWARD = 0.5  # what a token costs in a forward pass in float32, as a share of a training step in bfloat16
_MIN_STEPS = 50  # of a stage, however few texts there are: a head from random weights needs them
LM_CLIP = 1.0  # an LSTM from random weights at this learning rate diverges now and then without it
_LM_TOKENS = 15_000_000  # a language model sees about so many tokens, if no epochs are given
_LM_EPOCHS = (2, 20)  # and at least and at most so many epochs
_LM_EPOCHS_FROM_BASE = (1, 5)  # a base has learned the language already, and a small corpus by heart soon
_LM_MIN_STEPS = 30  # steps of an epoch that a small corpus is cut into, by smaller batches
_CLASSIFIER_TEXTS = 7_000  # a classifier sees about so many texts once all layers are unfrozen
_CLASSIFIER_EPOCHS = (3, 20)


def default_lm_epochs(n_tokens: int, *, from_base: bool = False) -> int:
    """Epochs for a language model of a corpus of so many tokens."""
    low, high = _LM_EPOCHS_FROM_BASE if from_base else _LM_EPOCHS
    return min(high, max(low, round(_LM_TOKENS / n_tokens)))


def default_epochs(n_texts: int) -> int:
    """Epochs for a classifier of so many texts, after all layers are unfrozen."""
    low, high = _CLASSIFIER_EPOCHS
    return min(high, max(low, round(_CLASSIFIER_TEXTS / n_texts)))


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The settings of a run.

    Args:
        size: "small" or "base": the architecture's size when there is no base.
        lm_epochs: epochs of the language model; None chooses them from the size of the corpus.
        epochs: epochs of the classifier after all layers are unfrozen; None chooses them from the number of texts.
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
        drop_mult: factor on the classifier's dropouts, but for that before its last layer.
        pool_words: the classifier pools the embedded words beside the encoder's outputs.
        precision: "auto", "bf16" or "fp32", for training and its history; predictions and their figures are float32.
    """

    size: str = "small"
    lm_epochs: float | None = None
    epochs: int | None = None
    time_budget: float | None = None
    valid_pct: float = 0.1
    seed: int = 0
    max_vocab: int | None = None
    min_freq: int = 2
    lm_bs: int = 32
    lm_lr: float = 5e-3
    bs: int = 16
    lr: float = 1e-2
    bptt: int = 72
    drop_mult: float = 0.5
    pool_words: bool = True
    precision: str = "auto"

    def __post_init__(self) -> None:
        size_config(self.size)
        problems = []
        if self.lm_epochs is not None and not 0.05 <= self.lm_epochs < math.inf:
            problems.append(f"lm_epochs={self.lm_epochs} must be at least 0.05")
        problems += [
            f"{n}={getattr(self, n)} must be at least 1"
            for n in ("epochs", "lm_bs", "bptt", "min_freq")
            if getattr(self, n) is not None and getattr(self, n) < 1
        ]
        if self.bs < 2:
            problems.append(f"bs={self.bs} must be at least 2: batch norm cannot learn from a single text")
        problems += [
            f"{n}={getattr(self, n)} must be a positive number"
            for n in ("lr", "lm_lr")
            if not 0 < getattr(self, n) < math.inf
        ]
        if self.precision not in PRECISIONS:
            problems.append(f"precision={self.precision!r} must be one of {', '.join(PRECISIONS)}")
        CLASSIFIER_DROPOUTS.scaled(self.drop_mult)
        if self.time_budget is not None and self.time_budget <= 0:
            problems.append(f"time_budget={self.time_budget} must be positive")
        if not 0 < self.valid_pct < 1:
            problems.append(f"valid_pct={self.valid_pct} must be between 0 and 1")
        if problems:
            raise ConfigError("recipe: " + "; ".join(problems))


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a run of the recipe gives: the classifier and the language model its encoder came from."""

    classifier: Bundle
    language_model: Bundle


def train_text_classifier(
    texts: Texts,
    recipe: Recipe,
    console: Console,
    *,
    base: Bundle | None = None,
    clock: Clock | None = None,
    n_evaluated: int = 0,
) -> Trained:
    """Run the three stages.

    Args:
        texts: the task.
        recipe: the settings.
        console: for the epoch tables.
        base: a language model to start from; without it one is trained from random weights.
        clock: of the whole run, if that began earlier.
        n_evaluated: texts that the finished model will be measured on, for which time must be left.
    """
    clock = clock or Clock(recipe.time_budget)
    tokenizer = base.tokenizer if base is not None else Tokenizer()
    config = base.config if base is not None else size_config(recipe.size)
    stores = Stores.build(
        texts,
        tokenizer,
        min_freq=recipe.min_freq,
        max_vocab=recipe.max_vocab or max(MAX_VOCAB[recipe.size], len(base.vocab) if base is not None else 0),
        console=console,
        base=None if base is None else base.vocab,
    )
    needed = 0.0
    if clock.budget is not None:
        per_token = _seconds_per_token(_classifier_learner(texts, stores, config, recipe))
        clock.reserve += per_token * _FORWARD * n_evaluated * stores.valid.n_tokens / len(stores.valid)
        whole = per_token * _classifier_tokens(texts, stores, recipe)
        needed = min(whole, (clock.budget - clock.used) / 2)
        if needed < whole:
            say(
                console,
                f"The time budget is short: the classifier alone would take about {whole:.0f} s, "
                f"{max(0.0, clock.budget - clock.used):.0f} s are left. Both models are cut short",
            )
    language_model, lm_history, lm_report = _train_language_model(
        stores, config, recipe, clock.share(1.0, keep=needed), console, base
    )
    classifier, history, report = _train_classifier(
        texts, stores, language_model, recipe, clock, console, from_base=base is not None
    )
    common: dict[str, Any] = {
        "tokenizer": tokenizer,
        "vocab": stores.vocab,
        "bptt": recipe.bptt,
        "pool_words": recipe.pool_words,
    }
    metrics = {"language_model": lm_report, "best": report, "seconds": round(clock.used, 1)}
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


def _rows(n_tokens: int, recipe: Recipe) -> int:
    """Rows of a language-model batch: fewer for a small corpus, so that an epoch still has some tens of steps."""
    return min(recipe.lm_bs, max(1, n_tokens // (_LM_MIN_STEPS * recipe.bptt)))


def _train_language_model(
    stores: Stores,
    config: EncoderConfig,
    recipe: Recipe,
    seconds: float | None,
    console: Console,
    base: Bundle | None,
) -> tuple[LanguageModel, list[dict[str, Any]], dict[str, Any]]:
    """Stage 1: a language model of all texts, checked on the validation part's texts."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(recipe.seed)
        model = LanguageModel(len(stores.vocab), config)
    if base is not None:
        weights, match = match_vocab(base.weights, base.vocab, stores.vocab, config.cutoffs)
        model.load_state_dict(weights)
        covered = coverage(counts(stores.lm), base.vocab)
        say(
            console,
            f"base: {match.shared:,} words of the vocabulary are known to it ({covered:.1%} of the running text), "
            f"{match.new:,} are new",
        )
    bs = _rows(stores.lm.n_tokens, recipe)
    dls = DataLoaders(
        LMDataLoader(stores.lm, bs=bs, seq_len=recipe.bptt, shuffle=True, seed=recipe.seed),
        LMDataLoader(stores.valid, bs=_rows(stores.valid.n_tokens, recipe), seq_len=recipe.bptt),
    )
    learn = Learner(
        dls, model, metrics=["perplexity", "accuracy"], precision=recipe.precision, seed=recipe.seed, clip=LM_CLIP
    )
    say(
        console,
        f"\nLanguage model: {n_parameters(model):,} parameters, {learn.precision} on {learn.device.type}",
    )
    epochs = recipe.lm_epochs or default_lm_epochs(stores.lm.n_tokens, from_base=base is not None)
    cbs = [ProgressTable(console), best := SaveBest("valid_loss")]
    started = time.perf_counter()
    if base is not None:
        learn.freeze()
        learn.fit_one_cycle(1, recipe.lm_lr, seconds=None if seconds is None else seconds / 4, cbs=cbs)
        learn.unfreeze()
        seconds = None if seconds is None else max(1.0, seconds - (time.perf_counter() - started))
    learn.fit_one_cycle(epochs, recipe.lm_lr, seconds=seconds, cbs=cbs)
    best.restore(learn)
    report = {
        "epoch": best.row["epoch"],
        "perplexity": best.row["perplexity"],
        "accuracy": best.row["accuracy"],
        "tokens": stores.lm.n_tokens,
        "tokens_seen": learn.n_targets,
        "seconds": round(time.perf_counter() - started, 1),
    }
    return model, [{"stage": "language_model", **row} for row in learn.history], report


@dataclass(frozen=True, kw_only=True)
class _Stage:
    """A step of gradual unfreezing.

    Args:
        freeze_to: the lowest group that is trained, as for `Learner.freeze_to`.
        epochs: how long.
        lr: maximum learning rate of the head, as a share of the recipe's.
        cost: of an epoch, as a share of that with all layers.
    """

    freeze_to: int
    epochs: float
    lr: float
    cost: float


def _stages(texts: Texts, recipe: Recipe) -> list[_Stage]:
    """The head alone, then one more group, then all. Source: Howard and Ruder 2018, section 3.3."""
    n = len(texts.train[0])
    least = _MIN_STEPS * recipe.bs / n
    epochs = recipe.epochs or max(default_epochs(n), least)
    return [
        _Stage(freeze_to=-1, epochs=max(1.0, least), lr=1.0, cost=0.35),
        _Stage(freeze_to=-2, epochs=max(1.0, least), lr=0.5, cost=0.6),
        _Stage(freeze_to=0, epochs=epochs, lr=0.5, cost=1.0),
    ]


def _classifier_learner(texts: Texts, stores: Stores, config: EncoderConfig, recipe: Recipe) -> Learner:
    """A learner for a classifier with random weights."""
    class_id = {label: i for i, label in enumerate(texts.labels)}
    train, valid = (
        ClassifierLoader(
            store,
            [class_id[y] for y in labels],
            bs=recipe.bs,
            shuffle=shuffle,
            pad_idx=config.pad_token,
            seed=recipe.seed,
        )
        for store, labels, shuffle in ((stores.train, texts.train[1], True), (stores.valid, texts.valid[1], False))
    )
    config = config.with_dropouts_of(CLASSIFIER_DROPOUTS).scaled(recipe.drop_mult)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(recipe.seed)
        model = TextClassifier(
            len(stores.vocab), len(texts.labels), config, bptt=recipe.bptt, pool_words=recipe.pool_words
        )
    return Learner(DataLoaders(train, valid), model, metrics=["accuracy"], precision=recipe.precision, seed=recipe.seed)


def _seconds_per_token(learn: Learner) -> float:
    """What training all layers costs, measured on a few batches of a learner that is thrown away."""
    batches = list(islice(learn.dls.train, 4))
    with learn.private_randomness():
        learn.train_batch(batches[0])  # warms up
        timed = batches[1:] or batches
        started = time.perf_counter()
        for batch in timed:
            learn.train_batch(batch)
        return (time.perf_counter() - started) / sum(int(b.inputs[1].sum()) for b in timed)


def _classifier_tokens(texts: Texts, stores: Stores, recipe: Recipe) -> float:
    """The work of stages 2 and 3, as the number of tokens on which all layers are trained."""
    stages = _stages(texts, recipe)
    train = sum(stage.cost * stage.epochs for stage in stages) * stores.train.n_tokens
    return train + _FORWARD * sum(stage.epochs for stage in stages) * stores.valid.n_tokens


def _train_classifier(
    texts: Texts,
    stores: Stores,
    language_model: LanguageModel,
    recipe: Recipe,
    clock: Clock,
    console: Console,
    *,
    from_base: bool,
) -> tuple[TextClassifier, list[dict[str, Any]], dict[str, Any]]:
    """Stages 2 and 3: a head on the language model's encoder, then gradual unfreezing."""
    learn = _classifier_learner(texts, stores, language_model.config, recipe)
    model = cast("TextClassifier", learn.model)
    model.encoder.load_state_dict(language_model.encoder.state_dict())
    say(
        console,
        f"\nClassifier: {len(texts.labels)} classes, {len(texts.train[0]):,} texts to learn from, "
        f"{len(texts.valid[0]):,} to check with",
    )
    # Not the loss: it rises while the accuracy still does, as the model grows too sure of itself.
    best, table = SaveBest("accuracy"), ProgressTable(console)
    fall = (RATE_FALL_FROM_BASE if from_base else RATE_FALL_FROM_SCRATCH) ** (len(learn.groups) - 1)
    stages = _stages(texts, recipe)
    for i, stage in enumerate(stages):
        learn.freeze_to(stage.freeze_to)
        high = recipe.lr * stage.lr
        learn.fit_one_cycle(
            stage.epochs,
            high if stage.freeze_to == -1 else slice(high / fall, high),
            seconds=clock.share(stage.cost * stage.epochs / sum(s.cost * s.epochs for s in stages[i:])),
            cbs=[table, best],
        )
    best.restore(learn)
    return model, [{"stage": "classifier", **row} for row in learn.history], {"epoch": best.row["epoch"]}
