"""What a language model to start from is worth, by the number of labels: on texts held out of a training set.

    python benchmarks/base_worth.py TASK/train.csv --bases none en-small --labels 200 1000 --time-budget 5m
    python benchmarks/base_worth.py TASK/train.csv --lang de --bases none german-lm --labels 500 --time-budget 5m

FILE has columns text and label. The same texts are held out as in `few_labels.py`; labelled texts are drawn from the
rest, and what is left of it (at most `--unlabelled`) is for the language model. Every run is the recipe of `ulmfit
train`, with the same time budget whatever it starts from; without a base it takes the tokens of `--lang` and
`--tokenizer`. One line of JSON for each run: the accuracy on the held-out texts of the network alone, of the n-grams
alone, and of both; then the means.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
from few_labels import MOST_HELD_OUT, held_out_of, read
from rich.console import Console
from rich.table import Table

from ulmfit.cli.options import parse_duration
from ulmfit.data.sources import Examples
from ulmfit.inference.predictor import Predictor
from ulmfit.training.bases import find_bases
from ulmfit.training.clock import Clock
from ulmfit.training.job import train_and_measure
from ulmfit.training.parts import prepare_texts
from ulmfit.training.recipes import Recipe


def accuracies(predictor: Predictor, texts: list[str], labels: list[str]) -> dict[str, float]:
    """Of the halves of a classifier and of both."""
    network, ngrams = predictor.halves(texts)
    beside = predictor.bundle.ngrams
    if ngrams is None or beside is None:
        raise SystemExit("the classifier has no n-grams")
    outputs = {"network": network, "n-grams": ngrams, "both": beside.join(network, ngrams)}
    target = np.array([predictor.labels.index(label) for label in labels])
    return {name: float((values.argmax(1) == target).mean()) for name, values in outputs.items()}


def main() -> None:
    """Train from each base, in turn, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--bases", nargs="+", default=["none", "en-small"])
    parser.add_argument("--labels", type=int, nargs="+", default=[200, 1_000, 5_000])
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--unlabelled", type=int, default=5_000)
    parser.add_argument("--held-out", type=int, default=MOST_HELD_OUT, help="at most so many of them are answered")
    parser.add_argument("--time-budget", type=parse_duration, default=300.0)
    parser.add_argument("--lang", default="en")
    parser.add_argument("--tokenizer", default="word")
    parser.add_argument("--lm-epochs", type=float, help="0 takes the bases as they are, such as models of the domain")
    parser.add_argument("--no-pseudo-labels", action="store_true", help="the n-grams teach the network nothing")
    given = parser.parse_args()
    rows, quiet = read(given.file), Console(quiet=True)
    rest, held_out = held_out_of([label for _, label in rows])
    held_out = held_out[: given.held_out]
    check = [rows[i][0] for i in held_out], [rows[i][1] for i in held_out]
    found: dict[tuple[int, str], list[dict[str, float]]] = defaultdict(list)
    for n in given.labels:
        for draw in range(given.draws):
            order = np.random.default_rng(draw).permutation(rest)
            labelled, others = order[:n], order[n : n + given.unlabelled]
            data = Examples(texts=[rows[i][0] for i in labelled], labels=[rows[i][1] for i in labelled], source="draw")
            further = Examples(texts=[rows[i][0] for i in others], labels=None, source="others")
            for base in given.bases:
                recipe = Recipe(
                    lang=given.lang,
                    tokenizer=given.tokenizer,
                    time_budget=given.time_budget,
                    seed=draw,
                    lm_epochs=given.lm_epochs,
                    pseudo_labels=not given.no_pseudo_labels,
                )
                clock = Clock(recipe.time_budget)
                texts = prepare_texts(data, None, [further], valid_pct=recipe.valid_pct, seed=draw)
                bases = find_bases(texts.train[0], quiet, base)
                trained, metrics = train_and_measure(texts, recipe, quiet, bases, clock=clock)
                got = accuracies(Predictor(trained.classifier), *check)
                found[n, base].append(got)
                perplexity = metrics["language_model"]["perplexity"]
                facts = {"labels": n, "draw": draw, "base": base, "seconds": metrics["seconds"]}
                facts["pseudo_labelled"] = metrics["pseudo_labelled"]
                print(json.dumps({**facts, "perplexity": round(perplexity, 1), **got}), flush=True)
    table = Table("labels", "base", "network", "n-grams", "both", box=None)
    for (n, base), runs in found.items():
        columns = [[run[name] for run in runs] for name in ("network", "n-grams", "both")]
        table.add_row(str(n), base, *(f"{np.mean(v):.4f} ± {np.std(v):.4f}" for v in columns))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
