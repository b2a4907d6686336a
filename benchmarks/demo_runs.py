"""What the demonstration gives, from the bundled model and from random weights, with several seeds.

    OMP_NUM_THREADS=1 python benchmarks/demo_runs.py --seeds 0 1 2 --rows benchmarks/demo.jsonl

`ulmfit demo --seed N --base BASE` for each, one after the other; the split of the messages hangs on the seed. Each run
is a row of JSON, of which `results_render.py` makes the table of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rows import add_row, circumstances

from ulmfit.demo import LINEAR, run_demo


def main() -> None:
    """Run, keep the rows, print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--bases", nargs="+", default=["en-small", "none"])
    parser.add_argument("--rows", type=Path, help="a file of JSON lines that gets a row of each run")
    given = parser.parse_args()
    where = circumstances()  # now: the commit may be another when a run ends
    for seed in given.seeds:
        for base in given.bases:
            with TemporaryDirectory() as folder:
                figures = run_demo(Path(folder) / "model", seed, Console(quiet=True), base=base)
            accuracy, seconds = figures["ulmfit"]
            row = {
                "seed": seed,
                "base": base,
                "accuracy": round(accuracy, 4),
                "seconds": round(seconds, 1),
                "linear": round(figures[LINEAR][0], 4),
            }
            print(json.dumps(row), flush=True)
            if given.rows is not None:
                add_row(given.rows, row | where)


if __name__ == "__main__":
    main()
