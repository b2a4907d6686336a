"""The table that `base_worth.py` prints and that `results_render.py` puts into docs/pretraining.md."""

from __future__ import annotations

from collections import defaultdict
from statistics import fmean
from typing import Any

from results_groups import spread

_HALVES = ("network", "ngrams", "both")


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Means over the draws of one task: lines of Markdown, by the number of labels and what was begun with.

    Args:
        rows: one for each number of `labels`, `base` and `draw`, with the accuracies of `network`, `ngrams` and `both`,
            and the `perplexity` of the language model.
    """
    groups: dict[tuple[int, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["labels"], row["base"]].append(row)
    lines = [
        "| labels | base | perplexity | network alone | n-grams alone | both | draws |",
        "|---|---|---|---|---|---|---|",
    ]
    for (labels, base), runs in sorted(groups.items(), key=lambda item: (item[0][0], item[0][1] != "none")):
        accuracies = [spread([run[half] for run in runs]) for half in _HALVES]
        perplexity = f"{fmean(run['perplexity'] for run in runs):.0f}"
        lines.append(f"| {labels:,} | {base} | {perplexity} | {' | '.join(accuracies)} | {len(runs)} |")
    return lines
