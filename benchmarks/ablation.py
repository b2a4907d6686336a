"""What each part of the recipe is worth: the network with one thing changed at a time, on texts held out.

    python benchmarks/ablation.py runs/tasks/sst2/train.csv --labels 1000 --draws 3 --rows benchmarks/ablation.jsonl
    python benchmarks/ablation.py runs/tasks/imdb-20000-0/train.csv --labels 500 --only recipe "no fine-tuning"

FILE has columns text and label. The same texts are held out as in `few_labels.py`; labelled texts are drawn from the
rest, and what is left of it (at most `--unlabelled`) is for the language model. Every variant starts from the same
fine-tuned language model, but those that change this; `--base FOLDER --lm-epochs 0` takes one that was made before.
It takes the recipe's number of epochs, and keeps the epoch that is best on the tenth of the labelled texts that it
checks with. One line of JSON for each run, then the means: accuracy on the held-out texts of the network alone, how it
differs from the recipe's with the same draw, accuracy with the n-grams beside the network (by the shares that are
fitted on the same tenth), seconds of the classifier.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from ablation_levers import VirtualAdversarial
from ablation_table import RECIPE, table
from few_labels import QUIET, held_out_of, read
from numpy.typing import NDArray
from rows import add_row, circumstances
from scipy.special import softmax
from torch import nn

from ulmfit.data.loaders import ClassifierLoader
from ulmfit.data.sources import Examples
from ulmfit.inference.bundle import Bundle
from ulmfit.inference.ngrams import NGrams
from ulmfit.inference.reading import Reading
from ulmfit.models.classifier import TextClassifier
from ulmfit.models.config import size_config
from ulmfit.models.language_model import LanguageModel
from ulmfit.models.pooling import Pooled
from ulmfit.text import TokenStore
from ulmfit.training.averaging import ExponentialMovingAverage
from ulmfit.training.bases import load_base
from ulmfit.training.callbacks import Callback
from ulmfit.training.classifier_stages import Stage, classifier_learner, classifier_rate, stages_of
from ulmfit.training.clock import Clock
from ulmfit.training.joining import fit_shares
from ulmfit.training.learner import Learner
from ulmfit.training.lm_stage import train_language_model
from ulmfit.training.losses import LabelSmoothingCrossEntropy
from ulmfit.training.ngram_stage import PseudoLabels
from ulmfit.training.ngrams import fit_ngrams
from ulmfit.training.parts import Stores, Texts, Wide, prepare_texts
from ulmfit.training.recipe import MAX_VOCAB, Recipe
from ulmfit.training.schedules import Schedule, constant, one_cycle, slanted_triangular
from ulmfit.training.tracking import SaveBest

Logits = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Variant:
    """What is changed.

    Args:
        recipe: settings of the recipe.
        base: start from the base; else from random numbers.
        backwards: read from the end.
        gradual: unfreeze step by step; else train all layers at once, with as much work.
        schedule: of each fit.
        smoothing: share of the target that is spread over all classes.
        pooled: which of last output, maximum and mean the head sees.
        callbacks: for all fits.
        own_labels: whose labels for further texts are learned from, too: "network" or "n-grams", where it is sure.
    """

    recipe: dict[str, Any] = field(default_factory=dict)
    base: bool = True
    backwards: bool = False
    gradual: bool = True
    schedule: Schedule = field(default_factory=one_cycle)
    smoothing: float = 0.0
    pooled: tuple[bool, bool, bool] = (True, True, True)
    callbacks: Callable[[Draw], list[Callback]] = lambda _: []
    own_labels: str = ""


FROM_END = "from the end"
BOTH = "both directions"  # the mean answer of these two
VARIANTS = {
    RECIPE: Variant(),
    "no base": Variant(base=False),
    "no fine-tuning": Variant(recipe={"lm_epochs": 0}),
    "fine-tuning, 1 epoch": Variant(recipe={"lm_epochs": 1}),
    "fine-tuning, 10 epochs": Variant(recipe={"lm_epochs": 10}),
    "all layers at once": Variant(gradual=False),
    "one rate": Variant(recipe={"rate_fall": 1.0}),
    "rates fall by 2.6": Variant(recipe={"rate_fall": 2.6}),
    "rate 0.01": Variant(recipe={"lr": 1e-2}),
    "rate 0.02": Variant(recipe={"lr": 2e-2}),
    "rate 0.04": Variant(recipe={"lr": 4e-2}),
    "rate 0.08": Variant(recipe={"lr": 8e-2}),
    "slanted triangle": Variant(schedule=slanted_triangular()),
    "constant rate": Variant(schedule=constant()),
    "no dropout": Variant(recipe={"drop_mult": 0.0}),
    "dropout x 1": Variant(recipe={"drop_mult": 1.0}),
    "words not pooled": Variant(recipe={"pool_words": False, "pooling": "concat"}),
    "concat pooling": Variant(recipe={"pooling": "concat"}),
    "last output only": Variant(recipe={"pool_words": False, "pooling": "concat"}, pooled=(True, False, False)),
    "mean only": Variant(recipe={"pool_words": False, "pooling": "mean"}),
    "label smoothing 0.1": Variant(smoothing=0.1),
    "average of weights": Variant(callbacks=lambda _: [ExponentialMovingAverage(0.99)]),
    "own labels": Variant(own_labels="network"),
    "labels of the n-grams": Variant(own_labels="n-grams"),
    "virtual adversarial": Variant(callbacks=lambda draw: [VirtualAdversarial(draw.further())]),
    FROM_END: Variant(backwards=True),
}


@dataclass(frozen=True, kw_only=True)
class Draw:
    """Labelled texts that were drawn, others, and what is learned from them once for all variants.

    Args:
        texts: the task.
        base: what to start from.
        backward_base: the same, from the end.
        recipe: the settings.
        check: texts and labels to measure on.
        threshold: from which probability on a model's own labels are believed.
    """

    texts: Texts
    base: Bundle
    backward_base: Bundle
    recipe: Recipe
    check: tuple[list[str], list[str]]
    threshold: float
    models: dict[tuple[Any, ...], LanguageModel] = field(default_factory=dict)
    answers: dict[str, Logits] = field(default_factory=dict)

    @cached_property
    def wide(self) -> Wide:
        """The task as ids; the vocabulary of the base is that of texts without one, too."""
        return Wide.build(
            self.texts.train[0],
            self.texts.valid[0],
            self.texts.unlabelled,
            self.base.tokenizer,
            min_freq=self.recipe.min_freq,
            max_vocab=max(MAX_VOCAB[self.recipe.size], len(self.base.vocab)),
            console=QUIET,
            base=self.base.vocab,
        )

    @cached_property
    def stores(self) -> Stores:
        """The same for the network."""
        return self.wide.narrowed()

    @cached_property
    def held_out(self) -> Reading:
        """The texts to measure on."""
        return Reading.of_texts(self.check[0], self.base.tokenizer, self.stores.vocab)

    def loader(self, documents: TokenStore, variant: Variant) -> ClassifierLoader:
        """Documents to answer for."""
        return ClassifierLoader(documents, bs=64, backwards=variant.backwards, pad_idx=self.base.config.pad_token)

    def further(self) -> ClassifierLoader:
        """Texts without labels, to learn from."""
        pad_idx, bs = self.base.config.pad_token, self.recipe.bs
        return ClassifierLoader(self.stores.unlabelled, bs=bs, shuffle=True, pad_idx=pad_idx, seed=self.recipe.seed)

    def language_model(self, variant: Variant) -> LanguageModel:
        """The one that a variant starts from; made once."""
        recipe = replace(self.recipe, lm_epochs=variant.recipe.get("lm_epochs", self.recipe.lm_epochs))
        key = (recipe.lm_epochs, variant.base, variant.backwards)
        if key not in self.models:
            base = (self.backward_base if variant.backwards else self.base) if variant.base else None
            config = size_config(recipe.size, recipe.arch) if base is None else base.config
            self.models[key], _, _ = train_language_model(
                self.stores, config, recipe, Clock(None), QUIET, base, backwards=variant.backwards
            )
        return self.models[key]

    @cached_property
    def ngrams(self) -> NGrams:
        """The n-gram model of the recipe."""
        target = self.texts.target.encode(self.texts.train[1], "the labels")
        kind, n_out, task = self.base.tokenizer.tok.kind, self.texts.target.n_out, self.texts.task
        return fit_ngrams(self.wide.train, target, task, n_out, kind, QUIET, unlabelled=self.wide.unlabelled)

    def believed(self, source: str) -> tuple[Texts, Stores]:
        """The task with labels that the recipe's network, or the n-grams, give to further texts."""
        if source == "network":
            learn = self.trained(VARIANTS[RECIPE], self.texts, self.stores)
            given = logits(learn, self.loader(self.stores.unlabelled, VARIANTS[RECIPE]))
        else:
            given = self.ngrams.outputs(self.wide.unlabelled)
        chances = softmax(given, axis=1)
        sure = np.flatnonzero(chances.max(1) >= self.threshold)
        pseudo = PseudoLabels(rows=sure, classes=chances[sure].argmax(1))
        return pseudo.added(self.texts), self.stores.with_unlabelled(sure)

    def trained(self, variant: Variant, texts: Texts, stores: Stores) -> Learner:
        """A classifier: stages two and three of the recipe, as the variant has them."""
        model = self.language_model(variant)
        recipe = replace(self.recipe, **{k: v for k, v in variant.recipe.items() if k != "lm_epochs"})
        learn = classifier_learner(texts, stores, model.config, recipe, backwards=variant.backwards)
        classifier = cast("TextClassifier", learn.model)
        classifier.encoder.load_state_dict(model.encoder.state_dict())
        if variant.smoothing:
            learn.loss_func = LabelSmoothingCrossEntropy(variant.smoothing)
        if not all(variant.pooled):
            classifier.head.register_forward_pre_hook(_only(variant.pooled))
        best = SaveBest(learn.metrics[0].name)
        lr = classifier_rate(recipe, from_base=variant.base)
        for stage in _stages(variant, texts, recipe):
            learn.freeze_to(stage.freeze_to)
            cbs = [*variant.callbacks(self), best]
            rates = stage.rates(lr, recipe.rate_fall, len(learn.groups))
            learn.fit(stage.epochs, rates, schedule=variant.schedule, cbs=cbs)
        best.restore(learn)
        return learn

    def run(self, name: str) -> dict[str, Any]:
        """The figures of a variant."""
        variant = VARIANTS[name]
        self.language_model(variant)
        started = time.perf_counter()
        task = self.believed(variant.own_labels) if variant.own_labels else (self.texts, self.stores)
        learn = self.trained(variant, *task)
        facts: dict[str, Any] = {"seconds": round(time.perf_counter() - started, 1)}
        if variant.own_labels:
            facts["own_labels"] = task[0].n_pseudo
        network = self.answers[name] = logits(learn, self.loader(self.held_out.narrowed(), variant))
        checked = logits(learn, self.loader(self.stores.valid, variant)), self.ngrams.outputs(self.wide.valid)
        target = self.texts.target.encode(self.texts.valid[1], "the labels")
        shares = fit_shares(*checked, target, self.texts.task, len(self.texts.train[0]))
        joined = replace(self.ngrams, shares=shares).join(network, self.ngrams.outputs(self.held_out))
        return {**facts, "network": self.accuracy(network), "both": self.accuracy(joined)}

    def accuracy(self, answers: Logits) -> float:
        """On the texts to measure on."""
        target = self.texts.target.encode(self.check[1], "the labels")
        return round(float((answers.argmax(1) == target).mean()), 4)


def logits(learn: Learner, loader: ClassifierLoader) -> Logits:
    """Of each class for each text (N, C)."""
    found: Logits = learn.get_preds(dl=loader, act=lambda values: values)[0].numpy()
    return found


def _stages(variant: Variant, texts: Texts, recipe: Recipe) -> list[Stage]:
    stages = stages_of(texts, recipe)
    if variant.gradual:
        return stages
    return [replace(stages[-1], epochs=sum(stage.epochs * stage.cost for stage in stages))]


def _only(pooled: tuple[bool, bool, bool]) -> Callable[[nn.Module, tuple[Pooled]], tuple[Pooled]]:
    """A hook that shows the head some thirds of the features; the others are zero."""

    def shown(_: nn.Module, inputs: tuple[Pooled]) -> tuple[Pooled]:
        thirds = zip(inputs[0].features.chunk(3, dim=1), pooled, strict=True)
        return (replace(inputs[0], features=torch.cat([third * kept for third, kept in thirds], dim=1)),)

    return shown


def draws(given: argparse.Namespace) -> Iterator[Draw]:
    """The draws of labelled texts, one after the other."""
    rows = read(given.file)
    rest, held_out = held_out_of([label for _, label in rows])
    base, backward_base = load_base(given.base), load_base(given.backward_base)
    if base is None or backward_base is None:
        raise SystemExit("the variants need a base in each direction")
    for draw in range(given.draws):
        order = np.random.default_rng(draw).permutation(rest)
        labelled, others = order[: given.labels], order[given.labels : given.labels + given.unlabelled]
        data = Examples(texts=[rows[i][0] for i in labelled], labels=[rows[i][1] for i in labelled], source="draw")
        further = Examples(texts=[rows[i][0] for i in others], labels=None, source="others")
        recipe = Recipe(seed=draw, ngrams=False, lm_epochs=given.lm_epochs, epochs=given.epochs)
        yield Draw(
            texts=prepare_texts(data, None, [further], valid_pct=recipe.valid_pct, seed=draw),
            base=base,
            backward_base=backward_base,
            recipe=recipe,
            check=([rows[i][0] for i in held_out], [rows[i][1] for i in held_out]),
            threshold=given.threshold,
        )


def main() -> None:
    """Run the variants on each draw, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--labels", type=int, default=1_000)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--unlabelled", type=int, default=5_000)
    parser.add_argument("--base", default="en-small")
    parser.add_argument("--backward-base", default="en-small-bwd")
    parser.add_argument(
        "--lm-epochs", type=float, help="of all variants that do not change it; 0 takes a base as it is"
    )
    parser.add_argument("--epochs", type=int, help="with all layers, instead of the recipe's own number")
    parser.add_argument("--threshold", type=float, default=0.95, help="from which a model's own labels are believed")
    parser.add_argument("--rows", type=Path, help="a file of JSON lines that gets a row of each run")
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    given = parser.parse_args()
    about = {"task": given.file.parent.name, "labels": given.labels, "unlabelled": given.unlabelled}
    about |= {"base": Path(given.base).name, "lm_epochs": given.lm_epochs, "epochs": given.epochs}
    found: list[dict[str, Any]] = []

    def add(row: dict[str, Any]) -> None:
        found.append(row)
        print(json.dumps(row), flush=True)
        if given.rows is not None:
            add_row(given.rows, about | row | circumstances())

    for i, draw in enumerate(draws(given)):
        runs: dict[str, dict[str, Any]] = {}
        for name in given.only:
            runs[name] = draw.run(name)
            add({"variant": name, "draw": i, **runs[name]})
        if {RECIPE, FROM_END} <= runs.keys():
            seconds = sum(runs[name]["seconds"] for name in (RECIPE, FROM_END))
            joined = sum(softmax(draw.answers[name], axis=1) for name in (RECIPE, FROM_END))
            add({"variant": BOTH, "draw": i, "seconds": seconds, "network": draw.accuracy(joined)})
    print("\n".join(table(found)))


if __name__ == "__main__":
    main()
