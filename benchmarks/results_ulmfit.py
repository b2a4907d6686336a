"""This library's command line, for the tables of results: train on a task, label its test part.

    python benchmarks/results_ulmfit.py TASK_FOLDER ANSWER.json --model FOLDER [--seed 0] [--time-budget 30m] [...]

All further options go to `ulmfit train`.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from results_tasks import MULTI, REGRESSION, read_task

ULMFIT = [sys.executable, "-m", "ulmfit"]


def done(command: list[Any]) -> None:
    """Run a command; where it fails, its own last line is the one to be read."""
    if status := subprocess.run(command, check=False).returncode:
        sys.exit(status)


def main() -> None:
    """Train, predict, write the answer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", type=Path)
    parser.add_argument("answer", type=Path)
    parser.add_argument("--model", type=Path, required=True, help="the model folder to write")
    parser.add_argument("--seed", type=int, default=0)
    given, further = parser.parse_known_args()
    task = read_task(given.task)
    train = [*ULMFIT, "train", given.task / "train.csv", "--text", "text", "--label", "label", "--out", given.model]
    train += ["--seed", str(given.seed), "--overwrite", *further]
    if task.lang != "en" and not {"--lang", "--base"} & set(further):  # a base has a language of its own
        train += ["--lang", task.lang]
    if task.kind == MULTI:
        train += ["--label-delim", " "]
    if task.kind == REGRESSION:
        train += ["--task", "regression"]
    if (given.task / "dev.csv").is_file():
        train += ["--valid", given.task / "dev.csv"]
    if (given.task / "unlabelled.csv").is_file():
        train += ["--lm-data", given.task / "unlabelled.csv"]
    done(train)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "labelled.csv"
        texts = ["--input", given.task / "test.csv", "--text", "text", "--output", out]
        done([*ULMFIT, "predict", given.model, *texts])
        with out.open(encoding="utf-8", newline="") as file:
            predictions = [row["prediction"].replace(";", " ") for row in csv.DictReader(file)]
    given.answer.write_text(json.dumps(predictions), encoding="utf-8")


if __name__ == "__main__":
    main()
