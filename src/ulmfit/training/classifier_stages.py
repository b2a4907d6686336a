"""The second and third stage of the recipe: a head on the language model's encoder, then gradual unfreezing."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from rich.console import Console

from ulmfit.data.labelling import SINGLE_LABEL
from ulmfit.data.loaders import Batch, ClassifierLoader
from ulmfit.models.classifier import TextClassifier
from ulmfit.models.config import CLASSIFIER_DROPOUTS, EncoderConfig
from ulmfit.models.language_model import LanguageModel
from ulmfit.text.tokenizers import AUTO
from ulmfit.training.clock import Clock
from ulmfit.training.learner import DataLoaders, Learner
from ulmfit.training.linear import without_words
from ulmfit.training.losses import default_loss
from ulmfit.training.metrics import Accuracy, Metric
from ulmfit.training.parts import Stores, Texts
from ulmfit.training.progress import ProgressTable, say
from ulmfit.training.recipe import CONCAT, MEAN, Recipe
from ulmfit.training.sklearn_metrics import APScoreMulti, R2Score
from ulmfit.training.tracking import SaveBest

FORWARD_COST = 0.5  # what a token costs in a forward pass in float32, as a share of a training step in bfloat16
_FEW = 5_000  # labelled texts: of fewer a head learns from the means alone, see docs/training.md
_LR, _LR_FROM_BASE = 1e-2, 2e-2  # chosen on held-out parts of training sets, see docs/training.md
_MAX_TOKENS = 2**16  # of a batch, padding included: fewer texts where they are very long, for memory and for budgets
_TIMED, _TIMED_STEPS = 4, 500  # batches, and tokens of each text: a very long one costs as much for each
_MIN_STEPS = 50  # of a stage, however few texts there are: a head from random weights needs them
_CLASSIFIER_TEXTS = 7_000  # a classifier sees about so many texts once all layers are unfrozen
_CLASSIFIER_EPOCHS = (3, 20)


def default_epochs(n_texts: int) -> int:
    """Epochs for a classifier of so many texts, after all layers are unfrozen."""
    low, high = _CLASSIFIER_EPOCHS
    return min(high, max(low, round(_CLASSIFIER_TEXTS / n_texts)))


@dataclass(frozen=True, kw_only=True)
class Stage:
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

    def rates(self, lr: float, fall: float, n_groups: int) -> float | slice:
        """Maximum learning rates of the parameter groups, for a recipe's rate and its fall; of the head alone, one."""
        high = lr * self.lr
        return high if self.freeze_to == -1 else slice(high / fall ** (n_groups - 1), high)


def classifier_rate(recipe: Recipe, *, from_base: bool) -> float:
    """The recipe's learning rate, or what suits the weights: a base that has learned for long has larger ones."""
    if recipe.lr is not None:
        return recipe.lr
    return _LR_FROM_BASE if from_base else _LR


def classifier_pooling(recipe: Recipe, texts: Texts) -> str:
    """What the recipe's head sees, or what suits the number of labelled texts."""
    if recipe.pooling != AUTO:
        return recipe.pooling
    return MEAN if texts.n_labelled <= _FEW else CONCAT


def stages_of(texts: Texts, recipe: Recipe) -> list[Stage]:
    """The head alone, then one more group, then all. Source: Howard and Ruder 2018, section 3.3.

    The work is that of the labelled texts; those whose labels another model gave make epochs longer, and so fewer, but
    for a number that was given.
    """
    n = texts.n_labelled
    least, share = _MIN_STEPS * recipe.bs / n, n / len(texts.train[0])
    epochs = recipe.epochs or max(1.0, max(default_epochs(n), least) * share)
    return [
        Stage(freeze_to=-1, epochs=max(1.0, least) * share, lr=1.0, cost=0.35),
        Stage(freeze_to=-2, epochs=max(1.0, least) * share, lr=0.5, cost=0.6),
        Stage(freeze_to=0, epochs=epochs, lr=0.5, cost=1.0),
    ]


def classifier_learner(
    texts: Texts, stores: Stores, config: EncoderConfig, recipe: Recipe, *, backwards: bool = False
) -> Learner:
    """A learner for a classifier with random weights."""
    train, valid = (
        ClassifierLoader(
            store,
            texts.numbers(labels),
            bs=recipe.bs,
            max_tokens=_MAX_TOKENS,
            shuffle=shuffle,
            longest_first=recipe.time_budget is None,  # it may take longer than a short fit
            backwards=backwards,
            pad_idx=config.pad_token,
            seed=recipe.seed,
        )
        for store, labels, shuffle in ((stores.train, texts.train[1], True), (stores.valid, texts.valid[1], False))
    )
    config = config.with_dropouts_of(CLASSIFIER_DROPOUTS).scaled(recipe.drop_mult)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(recipe.seed)
        model = TextClassifier(
            len(stores.vocab),
            texts.target.n_out,
            config,
            bptt=recipe.bptt,
            pool_words=recipe.pool_words,
            y_range=None if texts.scale is None else texts.scale.learned_range,
        )
        if classifier_pooling(recipe, texts) == MEAN:
            model.head.keep_to_means()
        if texts.task != SINGLE_LABEL:
            mean = without_words(texts.numbers(texts.train[1]), texts.task, texts.target.n_out)
            model.head.begin_at(torch.from_numpy(mean))
    return Learner(
        DataLoaders(train, valid),
        model,
        loss_func=default_loss(texts.task),
        metrics=[_metric(texts.task)],
        precision=recipe.precision,
        seed=recipe.seed,
    )


def _metric(task: str) -> Metric:
    """What the best epoch is chosen by.

    Not the loss: it rises while the accuracy still does, as the model grows too sure of itself. For several labels not
    F1 either: thresholds are tuned afterwards, and until then rare classes have none above 0.5.
    """
    if task == "multi_label":
        return APScoreMulti(average="micro")
    return R2Score() if task == "regression" else Accuracy()


def seconds_per_token(learn: Learner) -> float:
    """What training all layers costs, measured on texts of middle length by a learner that is thrown away."""

    def beginning(batch: Batch) -> Batch:
        ids, lengths = batch.inputs
        return Batch((ids[:, :_TIMED_STEPS], lengths.clamp(max=_TIMED_STEPS)), batch.target)

    loader = cast("ClassifierLoader", learn.dls.train)
    n = min(_TIMED * loader.bs, len(loader.lengths))
    middle = np.argsort(loader.lengths, kind="stable")[(len(loader.lengths) - n) // 2 :][:n]
    batches = [beginning(loader.collate(rows)) for rows in np.array_split(middle, max(1, n // loader.bs))]
    with learn.private_randomness():
        learn.train_batch(batches[0])  # warms up
        timed = batches[1:] or batches
        started = time.perf_counter()
        for batch in timed:
            learn.train_batch(batch)
        return (time.perf_counter() - started) / sum(int(b.inputs[1].sum()) for b in timed)


def classifier_tokens(texts: Texts, stores: Stores, recipe: Recipe) -> float:
    """The work of stages 2 and 3, as the number of tokens on which all layers are trained."""
    stages = stages_of(texts, recipe)
    train = sum(stage.cost * stage.epochs for stage in stages) * stores.train.n_tokens
    return train + FORWARD_COST * sum(stage.epochs for stage in stages) * stores.valid.n_tokens


def train_classifier(
    texts: Texts,
    stores: Stores,
    language_model: LanguageModel,
    recipe: Recipe,
    clock: Clock,
    console: Console,
    *,
    lr: float,
    backwards: bool = False,
) -> tuple[TextClassifier, list[dict[str, Any]], dict[str, Any]]:
    """A head on the language model's encoder, then gradual unfreezing.

    Args:
        texts: the task.
        stores: the texts as ids.
        language_model: whose encoder is taken over.
        recipe: the settings.
        clock: of the run.
        console: for the epoch table.
        lr: maximum learning rate, from `classifier_rate`.
        backwards: texts are read from their end.

    Returns:
        the model of the best epoch, the history, and which epoch that is.
    """
    learn = classifier_learner(texts, stores, language_model.config, recipe, backwards=backwards)
    model = cast("TextClassifier", learn.model)
    model.encoder.load_state_dict(language_model.encoder.state_dict())
    what = "Regression" if texts.task == "regression" else f"Classifier: {len(texts.labels)} classes"
    clock.keep(learn, "classifier", backwards=backwards)
    say(console, f"\n{what}, {len(texts.train[0]):,} texts to learn from, {len(texts.valid[0]):,} to check with")
    best, table = SaveBest(learn.metrics[0].name), ProgressTable(console)
    stages = stages_of(texts, recipe)
    for i, stage in enumerate(stages):
        learn.freeze_to(stage.freeze_to)
        learn.fit_one_cycle(
            stage.epochs,
            stage.rates(lr, recipe.rate_fall, len(learn.groups)),
            seconds=clock.share(stage.cost * stage.epochs / sum(s.cost * s.epochs for s in stages[i:])),
            cbs=[table, best],
        )
    clock.mark()
    best.restore(learn)
    return model, [{"stage": "classifier", **row} for row in learn.history], {"epoch": best.row["epoch"]}
