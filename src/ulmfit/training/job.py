"""A whole training run: files in, model folder out."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from ulmfit._version import __version__
from ulmfit.data.sources import Examples, check_known_labels, load_examples, load_texts
from ulmfit.errors import ConfigError, DataError
from ulmfit.inference.bundle import LANGUAGE_MODEL, Bundle, check_target, load_bundle, save_bundle
from ulmfit.inference.evaluate import calibrate, evaluate
from ulmfit.inference.predictor import Predictor
from ulmfit.pretrained.weights import choose, load, names
from ulmfit.training.clock import Clock
from ulmfit.training.parts import Texts, prepare_texts
from ulmfit.training.progress import say
from ulmfit.training.recipes import Recipe, train_text_classifier

FEW = 50  # with fewer texts to check with, the standard error of an accuracy of 0.85 is above 5 points
LANGUAGE_MODEL_FOLDER = "language_model"
AUTO = "auto"


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
        base: the language model to start from, as for `load_base`, or "auto" as for `choose_base`.
        encoding: of the text files.
        overwrite: replace a model at `out`.
    """

    data: Path
    out: Path
    recipe: Recipe
    text: str | None = None
    label: str | None = None
    valid: Path | None = None
    test: Path | None = None
    lm_data: tuple[Path, ...] = ()
    base: str = AUTO
    encoding: str = "utf-8"
    overwrite: bool = False


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
    clock = Clock(job.recipe.time_budget)
    console = console or Console(quiet=True)
    job = replace(job, data=Path(job.data), out=Path(job.out))
    check_target(job.out, overwrite=job.overwrite)
    job = _find_parts(job, console)
    base = None if job.base == AUTO else load_base(job.base)
    data = _load(job, job.data, console)
    valid = None if job.valid is None else _load(job, job.valid, console)
    lm_data = [load_texts(path, text=job.text, encoding=job.encoding) for path in job.lm_data]
    for more in lm_data:
        _say_notes(more, console)
    texts = prepare_texts(data, valid, lm_data, valid_pct=job.recipe.valid_pct, seed=job.recipe.seed)
    test: tuple[list[str], list[str]] | None = None
    if job.test is not None:
        test = _load(job, job.test, console).labelled()
        if not test[0]:
            raise DataError(f"{job.test} has no labelled examples")
        check_known_labels(test[1], texts.labels, str(job.test))
    describe(texts, console)
    base = choose_base(texts.train[0], console) if job.base == AUTO else base
    n_evaluated = 2 * len(texts.valid[0]) + (len(test[0]) if test else 0)
    trained = train_text_classifier(texts, job.recipe, console, base=base, clock=clock, n_evaluated=n_evaluated)
    metrics = dict(trained.classifier.metrics)
    classifier = calibrated(trained.classifier, texts)
    predictor = Predictor(classifier)
    metrics["valid"] = evaluate(predictor, *texts.valid)
    if test is not None:
        metrics["test"] = evaluate(predictor, *test)
    metrics |= run_facts(texts, clock.used)
    save(classifier, trained.language_model, metrics, job.out, overwrite=job.overwrite)
    for part in ("valid", "test"):
        if part in metrics:
            figures = metrics[part]
            say(
                console,
                f"{part}: accuracy {figures['accuracy']:.4f}, macro F1 {figures['macro_f1']:.4f}, "
                f"log loss {figures['log_loss']:.4f} on {figures['n']:,} texts",
            )
    say(
        console,
        f"{metrics['seconds']:.0f} s, peak memory {metrics['peak_memory_mb']} MB. Model saved in {job.out}",
    )
    return metrics


def calibrated(classifier: Bundle, texts: Texts) -> Bundle:
    """The same model with probabilities calibrated on the validation part."""
    return replace(classifier, calibration=calibrate(Predictor(classifier), *texts.valid).to_dict())


def run_facts(texts: Texts, seconds: float) -> dict[str, Any]:
    """What metrics.json says of a run beside its figures: time, memory, sizes of the parts, machine."""
    return {
        "seconds": round(seconds, 1),
        "peak_memory_mb": peak_memory_mb(),
        "train": {
            "n": len(texts.train[0]),
            "unlabelled": len(texts.unlabelled),
            "classes": dict(sorted(texts.counts.items())),
        },
        "machine": machine(),
    }


def save(classifier: Bundle, language_model: Bundle, metrics: Mapping[str, Any], out: Path, *, overwrite: bool) -> None:
    """Write the classifier's folder, with the language model in a folder of its own inside."""
    classifier = replace(classifier, metrics=metrics, card=_card(classifier, metrics))
    language_model = replace(language_model, card=_lm_card(language_model))
    save_bundle(
        classifier,
        out,
        overwrite=overwrite,
        extra={LANGUAGE_MODEL_FOLDER: lambda folder: save_bundle(language_model, folder)},
    )


def load_base(name: str) -> Bundle | None:
    """The language model to start from.

    Args:
        name: "none"; the name of a bundled one; or a model folder of a language model, or of a classifier with its
            language model inside.

    Raises:
        ConfigError: the name is none of these.
        FormatError: the folder holds no language model.
    """
    if name == "none":
        return None
    if name in names():
        return load(name)
    folder = Path(name)
    if not folder.is_dir():
        raise ConfigError(
            f"base {name!r} is neither 'auto' nor 'none', nor a bundled model "
            f"({', '.join(names()) or 'there are none'}), nor a model folder"
        )
    inner = folder / LANGUAGE_MODEL_FOLDER
    return load_bundle(inner if inner.is_dir() else folder, kind=LANGUAGE_MODEL)


def choose_base(texts: Sequence[str], console: Console) -> Bundle | None:
    """The bundled language model if it knows the language of the texts, else None; the choice is said."""
    found, share = choose(texts)
    says = "starting from it" if found else "starting from random weights; --base names another start"
    if names():
        say(console, f"The bundled English language model knows {share:.0%} of the words: {says}")
    return found


def describe(texts: Texts, console: Console) -> None:
    """Print the class counts and the sizes of the parts."""
    counts = sorted(texts.counts.items(), key=lambda item: (-item[1], item[0]))
    valid = Counter(texts.valid[1])
    shown = ", ".join(f"{label} {n}+{valid[label]}" for label, n in counts[:20])
    more = f", and {len(counts) - 20} classes more" if len(counts) > 20 else ""
    say(console, f"Classes (training + validation): {shown}{more}")
    unseen = sorted(set(texts.labels) - set(valid))
    if unseen:
        say(console, f"No example to check with: {', '.join(unseen)}")
    if len(texts.valid[0]) < FEW:
        say(console, f"Only {len(texts.valid[0])} texts to check with: the figures for them will be rough")
    if texts.unlabelled:
        say(console, f"Texts for the language model only: {len(texts.unlabelled):,}")


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
    examples = load_examples(path, text=job.text, label=job.label, encoding=job.encoding)
    _say_notes(examples, console)
    if examples.labels is not None and (missing := examples.labels.count(None)):
        use = "used for the language model only" if path == job.data else "left out"
        say(console, f"{path}: {missing} of {len(examples)} texts have no label: {use}")
    return examples


def _say_notes(examples: Examples, console: Console) -> None:
    for note in examples.notes:
        say(console, f"{examples.source}: {note}")


def peak_memory_mb() -> int | None:
    """Largest resident memory of this process so far, where the platform tells."""
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024 * 1024 if sys.platform == "darwin" else 1024))


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "ulmfit": __version__,
        "commit": _commit(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "threads": torch.get_num_threads(),
    }


def _commit() -> str | None:
    """The commit of the code, if it runs from a checkout."""
    git, root = shutil.which("git"), Path(__file__).parents[3]
    if git is None or not (root / ".git").exists():
        return None
    command = [git, "-C", str(root), "rev-parse", "--short", "HEAD"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (nothing of a user's)
    return found.stdout.strip() or None


def _card(bundle: Bundle, metrics: Mapping[str, Any]) -> str:
    rows = "".join(
        f"| {part} | {metrics[part]['n']} | {metrics[part]['accuracy']:.4f} | {metrics[part]['macro_f1']:.4f} |\n"
        for part in ("valid", "test")
        if part in metrics
    )
    labels = ", ".join(f"`{label}`" for label in bundle.labels)
    return (
        f"# Text classifier\n\nClasses: {labels}.\n\nAn AWD-LSTM encoder with concat pooling, "
        f"trained by the ULMFiT recipe of ulmfit {bundle.ulmfit_version} on {metrics['train']['n']} labelled texts "
        f"and {metrics['train']['unlabelled']} further ones.\n\n"
        f"| part | texts | accuracy | macro F1 |\n|---|---|---|---|\n{rows}\n"
        'Use it: `ulmfit predict FOLDER "some text"`. The folder `language_model` holds the language model '
        "that the encoder came from.\n"
    )


def _lm_card(bundle: Bundle) -> str:
    return (
        f"# Language model\n\nAn AWD-LSTM of {len(bundle.vocab)} words, trained by ulmfit {bundle.ulmfit_version}; "
        f"perplexity {bundle.metrics['perplexity']:.1f} on held-out texts. "
        f"Start from it: `ulmfit train DATA --base FOLDER`.\n"
    )
