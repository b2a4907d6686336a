"""A whole training run: files in, model folder out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from ulmfit.data.labelling import MULTI_LABEL, REGRESSION, SINGLE_LABEL, Labelling
from ulmfit.data.sources import Examples, load_examples, load_texts
from ulmfit.errors import ConfigError, DataError, named
from ulmfit.inference.bundle import BACKWARD, Bundle, save_bundle
from ulmfit.inference.calibrate import fit_calibration
from ulmfit.inference.evaluate import evaluate, figures_of, figures_text, target_of
from ulmfit.inference.folder import check_target
from ulmfit.inference.predictor import Predictor
from ulmfit.training.bases import AUTO, LANGUAGE_MODEL_FOLDER, Bases, check_base, find_bases
from ulmfit.training.cards import classifier_card, language_model_card
from ulmfit.training.clock import Clock
from ulmfit.training.facts import run_facts
from ulmfit.training.joining import fit_shares
from ulmfit.training.parts import FEW, Texts, prepare_texts
from ulmfit.training.progress import say
from ulmfit.training.recipe import Recipe
from ulmfit.training.recipes import Trained, train_text_classifier
from ulmfit.training.run_files import RunFiles


@dataclass(frozen=True, kw_only=True)
class TrainJob:
    """What to train on, and where to put the result.

    Args:
        data: a table or a folder of class folders; or a folder that holds such folders named train, valid and test.
        out: the model folder to write.
        recipe: settings of the training.
        text: name of the text column.
        label: name of the label column.
        valid: labelled data to choose by; held out from `data` if not given.
        test: labelled data to report on at the end, and for nothing else.
        lm_data: further texts for the language model.
        labelling: what the label column holds.
        base: the language model to start from, as for `find_bases`.
        backward_base: the same for the direction from the end, if the recipe trains both.
        encoding: of the text files.
        overwrite: replace a model at `out`.
        resume: go on with a run that was interrupted.
    """

    data: Path
    out: Path
    recipe: Recipe
    text: str | None = None
    label: str | None = None
    valid: Path | None = None
    test: Path | None = None
    lm_data: tuple[Path, ...] = ()
    labelling: Labelling = field(default_factory=Labelling)
    base: str = AUTO
    backward_base: str = AUTO
    encoding: str = "utf-8"
    overwrite: bool = False
    resume: bool = False

    def settings(self) -> dict[str, Any]:
        """What must be the same when a run goes on; the texts and labels themselves are compared, not their places."""
        names = ("text", "label", "base", "backward_base")
        return {**asdict(self.recipe), **asdict(self.labelling), **{name: getattr(self, name) for name in names}}


def run(job: TrainJob, console: Console | None = None) -> dict[str, Any]:
    """Train, measure, and write the model folder.

    Args:
        job: what to do.
        console: where to print; by default nothing is printed.

    Returns:
        what metrics.json holds.

    Raises:
        UlmfitError: bad data or settings; nothing is written then.
    """
    console = console or Console(quiet=True)
    job = replace(job, data=Path(job.data), out=Path(job.out))
    check_target(job.out, overwrite=job.overwrite)
    files = RunFiles(job.out, job.settings(), console, resume=job.resume, overwrite=job.overwrite)
    clock = Clock(job.recipe.time_budget, files)
    job = _find_parts(job, console)
    check_base(job.base)
    if job.backward_base != AUTO and not job.recipe.bidirectional:
        raise ConfigError("a backward base is for a run in both directions; give --bidirectional too")
    check_base(job.backward_base, backwards=True)
    data = _load(job, job.data, console)
    valid = None if job.valid is None else _load(job, job.valid, console)
    lm_data = [load_texts(path, text=job.text, encoding=job.encoding) for path in job.lm_data]
    for more in lm_data:
        _say_notes(more, console)
    task = job.labelling.task
    texts = prepare_texts(data, valid, lm_data, valid_pct=job.recipe.valid_pct, seed=job.recipe.seed, task=task)
    test: tuple[list[str], list[Any]] | None = None
    if job.test is not None:
        test = _load(job, job.test, console).labelled()
        if not test[0]:
            raise DataError(f"{job.test} has no labelled examples")
        texts.target.encode(test[1], str(job.test))
    describe(texts, console)
    bases = find_bases(
        texts.train[0], console, job.base, bidirectional=job.recipe.bidirectional, backward_base=job.backward_base
    )
    with files.guard():
        trained, metrics = train_and_measure(texts, job.recipe, console, bases, clock=clock, test=test)
        save(trained, metrics, job.out, overwrite=job.overwrite)
    for part in ("valid", "test"):
        if part in metrics:
            say(console, f"{part}: {figures_text(metrics[part])}")
    say(
        console,
        f"{metrics['seconds']:.0f} s, peak memory {metrics['peak_memory_mb']} MB. Model saved in {job.out}",
    )
    return metrics


def train_and_measure(
    texts: Texts,
    recipe: Recipe,
    console: Console,
    bases: Bases,
    *,
    clock: Clock,
    test: tuple[list[str], list[Any]] | None = None,
) -> tuple[Trained, dict[str, Any]]:
    """Train, calibrate on the validation part, and measure.

    Args:
        texts: the task.
        recipe: the settings.
        console: for the course of training.
        bases: what to start from.
        clock: of the whole run.
        test: texts and labels to report on, and for nothing else.

    Returns:
        the models, and what metrics.json holds.
    """
    n_evaluated = len(texts.valid[0]) + (len(test[0]) if test else 0)
    trained = train_text_classifier(
        texts,
        recipe,
        console,
        base=bases.forward,
        backward_base=bases.backward,
        clock=clock,
        n_evaluated=n_evaluated,
    )
    classifier, outputs = weighed(trained.classifier, texts, console)
    predictor = Predictor(classifier)
    valid = figures_of(predictor, outputs, target_of(predictor, texts.valid[1]))
    metrics = {**classifier.metrics, "valid": valid}
    if classifier.ngrams is not None:
        metrics["ngrams_know_valid"] = trained.ngrams is not None
    if classifier.ngrams is not None and trained.ngrams is not None:
        classifier = replace(classifier, ngrams=replace(trained.ngrams, shares=classifier.ngrams.shares))
    trained = replace(trained, classifier=classifier)
    if test is not None:
        metrics["test"] = evaluate(Predictor(classifier), *test)
    return trained, metrics | run_facts(texts, recipe, clock.used)


def weighed(classifier: Bundle, texts: Texts, console: Console) -> tuple[Bundle, NDArray[np.float32]]:
    """The same model with what is fitted on the validation part: the shares of its halves, and the calibration.

    Values have no calibration.

    Returns:
        the model, and its numbers (N, C) for the validation part.
    """
    predictor = Predictor(classifier)
    outputs, ngrams = predictor.halves(texts.valid[0])
    target = target_of(predictor, texts.valid[1])
    if ngrams is not None and classifier.ngrams is not None:
        fitted = replace(classifier.ngrams, shares=fit_shares(outputs, ngrams, target, texts.task, len(texts.train[0])))
        halves = {"network": _worth(outputs, target, texts.task), "ngrams": _worth(ngrams, target, texts.task)}
        classifier = replace(classifier, ngrams=fitted, metrics={**classifier.metrics, "halves": halves})
        say(console, "valid, each alone: " + ", ".join(f"{name} {worth:.4f}" for name, worth in halves.items()))
        outputs = fitted.join(outputs, ngrams)
    if texts.task == REGRESSION:
        return classifier, outputs
    calibration = fit_calibration(outputs, target, texts.task, classifier.labels)
    return replace(classifier, calibration=calibration.to_dict()), outputs


def _worth(outputs: NDArray[np.float32], target: NDArray[Any], task: str) -> float:
    """Accuracy of one half of a model; micro-averaged F1 at 0.5 of several labels; mean absolute error of values."""
    if task == REGRESSION:
        return float(np.abs(outputs - target.reshape(outputs.shape)).mean())
    if task == SINGLE_LABEL:
        return float((outputs.argmax(1) == target).mean())
    right, said = target > 0.5, outputs > 0
    return float(2 * (right & said).sum() / max(1, right.sum() + said.sum()))


def save(trained: Trained, metrics: Mapping[str, Any], out: Path, *, overwrite: bool) -> None:
    """Write the classifier's folder, with the language model (of each direction) in a folder of its own inside."""
    classifier = replace(trained.classifier, metrics=metrics, card=classifier_card(trained.classifier, metrics))
    inside = {LANGUAGE_MODEL_FOLDER: trained.language_model}
    if trained.backward_language_model is not None:
        inside[f"{BACKWARD}/{LANGUAGE_MODEL_FOLDER}"] = trained.backward_language_model
    cards = {name: replace(model, card=language_model_card(model)) for name, model in inside.items()}
    extra = {name: lambda folder, model=model: save_bundle(model, folder) for name, model in cards.items()}
    save_bundle(classifier, out, overwrite=overwrite, extra=extra)


def describe(texts: Texts, console: Console) -> None:
    """Print the class counts (of values mean and range) and the sizes of the parts."""
    if texts.task == REGRESSION:
        values = texts.train[1]
        say(
            console,
            f"Values: {len(values):,} + {len(texts.valid[1]):,} (training + validation), "
            f"from {min(values):g} to {max(values):g}, mean {sum(values) / len(values):g}",
        )
    else:
        _describe_classes(texts, console)
    if len(texts.valid[0]) < FEW:
        say(console, f"Only {len(texts.valid[0])} texts to check with: the figures for them will be rough")
    if texts.unlabelled:
        say(console, f"Texts without labels: {len(texts.unlabelled):,}")
    _describe_repeated(texts, console)


def _describe_repeated(texts: Texts, console: Console) -> None:
    """Say what makes figures look better, or worse, than they are."""
    labels: dict[str, Any] = {}
    given = [sorted(label) if texts.task == MULTI_LABEL else label for label in texts.train[1]]
    others = sum(labels.setdefault(text, label) != label for text, label in zip(texts.train[0], given, strict=True))
    if others:
        say(console, f"Texts to learn from that stand there before with another label: {others:,}")
    if known := sum(text in labels for text in texts.valid[0]):
        n = len(texts.valid[0])
        say(console, f"Of the {n:,} texts to check with {known:,} are also learned from: the figures will flatter")


def _describe_classes(texts: Texts, console: Console) -> None:
    counts = sorted(texts.counts.items(), key=lambda item: (-item[1], item[0]))
    valid = texts.counts_of(texts.valid[1])
    shown = named([f"{label} {n}+{valid[label]}" for label, n in counts], 20)
    say(console, f"Classes (training + validation): {shown}")
    unseen = sorted(set(texts.labels) - set(valid))
    if unseen:
        say(console, f"No example to check with: {', '.join(unseen)}")


def _find_parts(job: TrainJob, console: Console) -> TrainJob:
    """Where `data` is a folder with the folders train, valid and test in it, use them as such."""
    train = job.data / "train"
    if not train.is_dir() or not any(p.is_dir() for p in train.iterdir()):
        return job
    inside = {part: job.data / part for part in ("valid", "test") if (job.data / part).is_dir()}
    found = replace(job, data=train, valid=job.valid or inside.get("valid"), test=job.test or inside.get("test"))
    used = [p.name for p in (found.data, found.valid, found.test) if p is not None and p.parent == job.data]
    say(console, f"{job.data}: using its folders {', '.join(used)}")
    return found


def _load(job: TrainJob, path: Path, console: Console) -> Examples:
    labelling = None if job.labelling.task == SINGLE_LABEL else job.labelling
    examples = load_examples(path, text=job.text, label=job.label, encoding=job.encoding, labelling=labelling)
    _say_notes(examples, console)
    if examples.labels is not None and (missing := examples.labels.count(None)):
        use = "used like those of --lm-data" if path == job.data else "left out"
        say(console, f"{path}: {missing} of {len(examples)} texts have no label: {use}")
    return examples


def _say_notes(examples: Examples, console: Console) -> None:
    for note in examples.notes:
        say(console, f"{examples.source}: {note}")
