"""What each part of a trained model answers alone: directions, network, n-grams. One line of JSON.

    python benchmarks/results_parts.py runs/tasks/imdb-25000-0 runs/models/imdb-25000-0-ulmfit-bidirectional-0

The first is a task's folder with test.csv, as `results_tasks.py` writes it, the second a model folder of
`results_run.py`. Nothing is chosen by these figures: they tell what a row of the tables is made of.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from results_run import scores
from results_tasks import SINGLE, read_part, read_task
from rows import add_row, circumstances

from ulmfit.errors import named
from ulmfit.inference.answers import average
from ulmfit.inference.bundle import CLASSIFIER, load_bundle
from ulmfit.inference.predictor import Predictor


def main() -> None:
    """Label the test part with each direction once, and score what is made of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--rows", type=Path, help="a file of JSON lines that gets the row")
    given = parser.parse_args()
    task, bundle = read_task(given.task), load_bundle(given.model, kind=CLASSIFIER)
    if task.kind != SINGLE:
        raise SystemExit(f"the parts of a model are told of tasks with one label for each text, not of {task.name}")
    texts, truth = read_part(given.task, "test")
    if strange := sorted(set(truth) - set(bundle.labels)):
        raise SystemExit(
            f"{given.model} does not know the labels {named(strange)} of {task.name}: another task's model?"
        )
    directions = {"forward": replace(bundle, backward=None)}
    if bundle.backward is not None:
        directions["backward"] = replace(bundle.backward, ngrams=bundle.ngrams)
    halves = {name: Predictor(one).halves(texts) for name, one in directions.items()}
    networks = {name: network for name, (network, _) in halves.items()}
    if len(networks) > 1:
        networks["both"] = average(list(networks.values()), bundle.task)
    ngrams = halves["forward"][1]
    answers = {f"network, {name}": network for name, network in networks.items()}
    if bundle.ngrams is not None and ngrams is not None:
        answers["n-grams"] = ngrams
        answers |= {f"{name}, with n-grams": bundle.ngrams.join(one, ngrams) for name, one in networks.items()}
    row: dict[str, Any] = {"task": task.name, "unlabelled": task.rows.get("unlabelled", 0), "seed": task.seed}
    row |= {"model": given.model.name, "accuracy": {}} | circumstances()
    for name, numbers in answers.items():
        labels = [bundle.labels[i] for i in numbers.argmax(1)]
        row["accuracy"][name] = round(scores(task, truth, labels)["accuracy"], 4)
    if given.rows is not None:
        add_row(given.rows, row)
    print(json.dumps(row))


if __name__ == "__main__":
    main()
