"""Rows of results by system, and how their figures are written."""

from __future__ import annotations

from collections import defaultdict
from statistics import mean, stdev
from typing import Any

# What a run of ulmfit may be given, and how a table names it.
SETTINGS = {"base": "from", "backward_base": "and", "lm_epochs": "LM epochs", "budget": "budget"}
MEASURES = ("accuracy", "micro_f1", "macro_f1", "spearman", "mean_absolute_error")


def spread(values: list[float]) -> str:
    """Mean and, of several runs, standard deviation."""
    return f"{mean(values):.4f}" + (f" ± {stdev(values):.4f}" if len(values) > 1 else "")


def minutes(seconds: list[float]) -> str:
    """The mean of some times."""
    whole = round(mean(seconds))
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"


def of_base(runs: list[dict[str, Any]]) -> str:
    """The time of language models that were made before the runs, once for all."""
    return f", base {minutes([runs[0]['base_seconds']])}" if "base_seconds" in runs[0] else ""


def by_system(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The runs of each system on one task; those that were repeated since stand apart."""
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    later: set[tuple[str, int]] = set()
    for row in reversed(rows):
        name = row["system"] + "".join(f", {word} {row[key]}" for key, word in SETTINGS.items() if row.get(key))
        while (name, row["seed"]) in later:
            name += ", earlier"
        later.add((name, row["seed"]))
        groups[name].insert(0, row)
    return groups
