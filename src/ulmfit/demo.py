"""The demonstration: from the bundled support messages to a saved model, next to two simple baselines."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from ulmfit.data.sources import load_examples
from ulmfit.inference.files import print_predictions
from ulmfit.inference.folder import check_target
from ulmfit.inference.predictor import Predictor
from ulmfit.training.bases import AUTO, find_bases
from ulmfit.training.clock import Clock
from ulmfit.training.job import describe, save, train_and_measure
from ulmfit.training.parts import Texts, prepare_texts
from ulmfit.training.progress import say
from ulmfit.training.recipe import Recipe

VALID_PCT = 0.2
LINEAR = "TF-IDF + logistic regression"
NEW_TEXTS = (
    "The parcel tracker has said 'out for delivery' since Monday and nobody has come. Can you find out where it is?",
    "I see two charges of 9.99 for the same month on my card statement.",
    "After the last update the left earbud keeps cutting out every few seconds.",
)


def run_demo(
    out: Path, seed: int, console: Console, *, base: str = AUTO, overwrite: bool = False
) -> dict[str, tuple[float, float]]:
    """Train, compare, predict, save; see `ulmfit demo --help`.

    Args:
        out: the model folder to write.
        seed: of the split and of the training.
        console: where to print.
        base: the language model to start from, as for `find_bases`.
        overwrite: replace a model that is there.

    Returns:
        accuracy on the messages held out and seconds of what was compared, `ulmfit` last.

    Raises:
        DataError: `out` is taken.
        UlmfitError: there is no such base.
    """
    started = time.perf_counter()
    check_target(out, overwrite=overwrite)
    with as_file(files("ulmfit") / "samples" / "tickets.csv") as sample:
        data = load_examples(sample)
    data = replace(data, source="the bundled sample")
    say(console, f"{len(data):,} support messages of an invented company, written for this demonstration\n")
    texts = prepare_texts(data, None, (), valid_pct=VALID_PCT, seed=seed)
    describe(texts, console)
    bases = find_bases(texts.train[0], console, base)
    trained, metrics = train_and_measure(texts, Recipe(seed=seed), console, bases, clock=Clock(None, started=started))
    predictor = Predictor(trained.classifier)

    table = Table(
        title=f"\nAccuracy on the same {len(texts.valid[0])} held-out messages",
        box=None,
        title_justify="left",
        pad_edge=False,
    )
    table.add_column("")
    table.add_column("accuracy", justify="right")
    table.add_column("seconds", justify="right")
    figures = {**_baselines(texts), "ulmfit": (metrics["valid"]["accuracy"], metrics["seconds"])}
    for name, (accuracy, used) in figures.items():
        table.add_row(name, f"{accuracy:.3f}", f"{used:.1f}")
    console.print(table)
    if bases.forward is None:
        say(console, "The language model started from random weights and has read nothing but these messages.")

    say(console, "\nThree texts that are not in the sample:")
    print_predictions(predictor, NEW_TEXTS, console)

    save(trained, metrics, out, overwrite=overwrite)
    say(console, f"\nSaved in {out} after {time.perf_counter() - started:.0f} s. Try next:")
    say(console, f'  ulmfit predict {out} "how do i change my password"')
    say(console, f"  ulmfit info {out}")
    say(console, "  ulmfit train YOUR.csv --text COLUMN --label COLUMN --out my-model")
    return figures


def _baselines(texts: Texts) -> dict[str, tuple[float, float]]:
    """Accuracy and seconds of the majority class and of TF-IDF with logistic regression, on the same split."""
    majority = Counter(texts.train[1]).most_common(1)[0][0]
    valid = np.array(texts.valid[1])
    started = time.perf_counter()
    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(C=10, max_iter=1000)
    )
    model.fit(*texts.train)
    accuracy = float((model.predict(texts.valid[0]) == valid).mean())
    seconds = time.perf_counter() - started
    return {
        f"majority class ({majority})": (float((valid == majority).mean()), 0.0),
        LINEAR: (accuracy, seconds),
    }
