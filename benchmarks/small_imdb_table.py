"""Print the table of docs/benchmarks.md for the small IMDb split, from what the runs wrote.

    python benchmarks/imdb_small.py --data FOLDER
    ulmfit train runs/imdb-2000/train.csv --test runs/imdb-2000/test.csv --lm-data runs/imdb-2000/unlabelled.csv \
        --size small --base none --time-budget 28m --out runs/imdb-model
    python benchmarks/linear_baselines.py runs/imdb-2000/train.csv runs/imdb-2000/test.csv
    python benchmarks/small_imdb_table.py runs/imdb-model runs/linear_baselines.json

Each row is one run with seed 0.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any


def row(name: str, figures: dict[str, Any], seconds: float, memory: float) -> str:
    """One row of the table."""
    minutes, rest = divmod(round(seconds), 60)
    time = f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
    return f"| {name} | {figures['accuracy']:.4f} | {figures['macro_f1']:.4f} | {time} | {memory:,.0f} MB |"


def main() -> None:
    """Read the two files and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="the model folder that `ulmfit train` wrote")
    parser.add_argument("--name", default="ulmfit, from `en-small`", help="of the model in the table")
    parser.add_argument("baselines", type=Path, help="the JSON file that linear_baselines.py wrote")
    arguments = parser.parse_args()
    metrics = json.loads((arguments.model / "metrics.json").read_text(encoding="utf-8"))
    baselines = json.loads(arguments.baselines.read_text(encoding="utf-8"))
    print("| system | test accuracy | test macro F1 | time, end to end | peak memory |\n|---|---|---|---|---|")
    print(row(arguments.name, metrics["test"], metrics["seconds"], metrics["peak_memory_mb"]))
    for one in baselines:
        seconds = one["fit_seconds"] + one["predict_seconds"]
        print(row(one["method"], one, seconds, one["peak_memory_mb"]))


if __name__ == "__main__":
    main()
