"""Whether a time budget is kept: the whole recipe on texts of the sample, with several budgets.

    python benchmarks/time_budget.py --budgets 20 40 80

One line of JSON for each budget: the seconds from the start of the preparation to the measured model, and their share
of the budget. Without a budget that is longer than the run needs, less than all of it is used.
"""

from __future__ import annotations

import argparse
import json
import time
from importlib.resources import as_file, files

import torch
from rich.console import Console

from ulmfit.data.sources import load_examples
from ulmfit.training.bases import find_bases
from ulmfit.training.clock import Clock
from ulmfit.training.job import train_and_measure
from ulmfit.training.parts import prepare_texts
from ulmfit.training.recipe import Recipe


def main() -> None:
    """Run the recipe for each budget."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budgets", type=float, nargs="+", default=[20, 40, 80], help="seconds")
    parser.add_argument("--base", default="none", help="as for `ulmfit train`")
    options = parser.parse_args()
    with as_file(files("ulmfit") / "samples" / "tickets.csv") as sample:
        data = load_examples(sample)
    for budget in options.budgets:
        started = time.perf_counter()
        clock = Clock(budget)
        recipe = Recipe(time_budget=budget, epochs=1_000, lm_epochs=1_000)  # more than any of these budgets holds
        texts = prepare_texts(data, None, [], valid_pct=0.2, seed=0)
        bases = find_bases(texts.train[0], Console(quiet=True), options.base)
        _, metrics = train_and_measure(texts, recipe, Console(quiet=True), bases, clock=clock)
        seconds = time.perf_counter() - started
        result = {"budget": budget, "seconds": round(seconds, 1), "share": round(seconds / budget, 3)}
        result |= {
            "base": options.base,
            "accuracy": round(metrics["valid"]["accuracy"], 3),
            "threads": torch.get_num_threads(),
        }
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
