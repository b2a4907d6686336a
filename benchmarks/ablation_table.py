"""The table that `ablation.py` prints and that `results_render.py` puts into docs/benchmarks.md."""

from __future__ import annotations

from collections import defaultdict
from statistics import fmean, stdev
from typing import Any

from results_groups import spread

RECIPE = "recipe"


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Means over the draws of one task with one number of labels: lines of Markdown, in the order of the rows.

    Args:
        rows: one for each variant and draw, with `variant`, `draw`, `network` (accuracy of the network alone) and
            `seconds`; with n-grams beside the network also `both`.
    """
    of_recipe = {row["draw"]: row["network"] for row in rows if row["variant"] == RECIPE}
    variants: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        variants[row["variant"]].append(row)
    lines = [
        "| variant | network alone | beside the recipe's, points | with n-grams | seconds | draws |",
        "|---|---|---|---|---|---|",
    ]
    for name, runs in variants.items():
        apart = [100 * (run["network"] - of_recipe[run["draw"]]) for run in runs if run["draw"] in of_recipe]
        more = f"{fmean(apart):+.1f}" + _deviation(apart) if apart and name != RECIPE else ""
        measured = ([run[key] for run in runs if key in run] for key in ("network", "both"))
        network, both = (spread(values) if values else "" for values in measured)
        seconds = f"{fmean(run['seconds'] for run in runs):.0f}"
        lines.append(f"| {name} | {network} | {more} | {both} | {seconds} | {len(runs)} |")
    return lines


def _deviation(values: list[float]) -> str:
    """Standard deviation of the values, if they are several."""
    return f" ± {stdev(values):.1f}" if len(values) > 1 else ""
