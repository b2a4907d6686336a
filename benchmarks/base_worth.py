"""What a language model to start from is worth, by the number of labels: on texts held out of a training set.

    python benchmarks/base_worth.py TASK/train.csv --bases none en-small --labels 200 1000 --time-budget 5m \
        --rows benchmarks/base_worth.jsonl
    python benchmarks/base_worth.py TASK/train.csv --lang de --bases none german-lm --labels 500 --time-budget 5m

FILE has columns text and label. The same texts are held out as in `few_labels.py`; labelled texts are drawn from the
rest, and what is left of it (at most `--unlabelled`) is for the language model. Every run is the recipe of `ulmfit
train`, with the same time budget whatever it starts from; without a base it takes the tokens of `--lang` and
`--tokenizer`. Each run is a row of JSON: the accuracy on the held-out texts of the network alone, of the n-grams
alone, and of both; then come the means, which `results_render.py` puts into docs/design/pretraining.md.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pretraining_tables
from few_labels import MOST_HELD_OUT, QUIET, held_out_of, read
from rows import add_row, circumstances

from ulmfit.cli.options import parse_duration
from ulmfit.data.sources import Examples
from ulmfit.inference.predictor import Predictor
from ulmfit.models import DEFAULT_ARCH
from ulmfit.training.bases import NONE, find_bases
from ulmfit.training.clock import Clock
from ulmfit.training.job import train_and_measure
from ulmfit.training.parts import prepare_texts
from ulmfit.training.recipe import Recipe


def accuracies(predictor: Predictor, texts: list[str], labels: list[str]) -> dict[str, float]:
    """Of the halves of a classifier and of both."""
    network, ngrams = predictor.halves(texts)
    beside = predictor.bundle.ngrams
    if ngrams is None or beside is None:
        raise SystemExit("the classifier has no n-grams")
    outputs = {"network": network, "ngrams": ngrams, "both": beside.join(network, ngrams)}
    known = {label: i for i, label in enumerate(predictor.labels)}
    target = np.array([known.get(label, -1) for label in labels])  # of few labelled texts, not every class
    return {name: round(float((values.argmax(1) == target).mean()), 4) for name, values in outputs.items()}


def run(
    data: Examples, further: Examples, check: tuple[list[str], list[str]], base: str, recipe: Recipe
) -> dict[str, Any]:
    """Train once; the figures of a row."""
    clock = Clock(recipe.time_budget)
    texts = prepare_texts(data, None, [further], valid_pct=recipe.valid_pct, seed=recipe.seed)
    trained, metrics = train_and_measure(texts, recipe, QUIET, find_bases(texts.train[0], QUIET, base), clock=clock)
    return {
        "seconds": metrics["seconds"],
        "perplexity": round(metrics["language_model"]["perplexity"], 1),
        "pseudo_labelled": metrics["pseudo_labelled"],
        "pooling": metrics["pooling"],
        **accuracies(Predictor(trained.classifier), *check),
    }


def main() -> None:
    """Train from each base, in turn, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--bases", nargs="+", default=["none", "en-small"])
    parser.add_argument("--labels", type=int, nargs="+", default=[200, 1_000, 5_000])
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--first-draw", type=int, default=0)
    parser.add_argument("--unlabelled", type=int, default=5_000)
    parser.add_argument("--held-out", type=int, default=MOST_HELD_OUT, help="at most so many of them are answered")
    parser.add_argument("--time-budget", type=parse_duration, default=300.0)
    parser.add_argument("--lang", default="en")
    parser.add_argument("--tokenizer", default="word")
    parser.add_argument("--lm-epochs", type=float, help="0 takes the bases as they are, such as models of the domain")
    parser.add_argument("--arch", default=DEFAULT_ARCH, help="of the runs without a base")
    parser.add_argument("--no-pseudo-labels", action="store_true", help="the n-grams teach the network nothing")
    parser.add_argument("--rows", type=Path, help="a file of JSON lines that gets a row of each run")
    given = parser.parse_args()
    texts_and_labels = read(given.file)
    rest, held_out = held_out_of([label for _, label in texts_and_labels])
    held_out = held_out[: given.held_out]
    check = [texts_and_labels[i][0] for i in held_out], [texts_and_labels[i][1] for i in held_out]
    task = given.file.parent.name if given.file.stem == "train" else given.file.stem
    recipe = Recipe(
        arch=given.arch,
        lang=given.lang,
        tokenizer=given.tokenizer,
        time_budget=given.time_budget,
        lm_epochs=given.lm_epochs,
        pseudo_labels=not given.no_pseudo_labels,
    )
    about = {
        "task": task,
        "unlabelled": given.unlabelled,
        "held_out": len(held_out),
        "budget": given.time_budget,
        "lang": given.lang,
        "tokenizer": given.tokenizer,
        **({} if given.lm_epochs is None else {"lm_epochs": given.lm_epochs}),
        **({"pseudo_labels": False} if given.no_pseudo_labels else {}),
    }
    where = circumstances()  # now: the commit may be another when a run ends
    found: list[dict[str, Any]] = []
    for draw in range(given.first_draw, given.first_draw + given.draws):
        order = np.random.default_rng(draw).permutation(rest)
        for n in given.labels:
            named, others = order[:n], order[n : n + given.unlabelled]
            data = Examples(
                texts=[texts_and_labels[i][0] for i in named],
                labels=[texts_and_labels[i][1] for i in named],
                source="draw",
            )
            further = Examples(texts=[texts_and_labels[i][0] for i in others], labels=None, source="others")
            for base in given.bases:
                name = Path(base).name if base != NONE or given.arch == DEFAULT_ARCH else f"{base}, {given.arch}"
                got = run(data, further, check, base, replace(recipe, seed=draw))
                row = {**about, "labels": n, "draw": draw, "base": name, **got, **where}
                if given.rows is not None:
                    add_row(given.rows, row)
                found.append(row)
                print(json.dumps({key: row[key] for key in ("labels", "draw", "base", *got)}), flush=True)
    print("\n".join(pretraining_tables.base_worth(found)))


if __name__ == "__main__":
    main()
