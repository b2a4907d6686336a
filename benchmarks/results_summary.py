"""The summary of results in README.md: the newest rows of each system, lost or won."""

from __future__ import annotations

import re
from collections import Counter
from statistics import mean
from typing import Any

from results_groups import MEASURES, by_system, minutes, of_base, spread

NAMES = {
    "ulmfit": "ulmfit",
    "nb": "NB-weighted n-grams",
    "tfidf": "TF-IDF",
    "lsa": "TF-IDF and SVD of all texts",
    "embeddings": "sentence embeddings (MiniLM)",
}
FEW = re.compile(r"imdb-(\d+)-test2000")
FURTHER = 20_000  # texts without labels, beside them


def few(rows: list[dict[str, Any]]) -> list[tuple[int, dict[str, Any]]]:
    """The rows of few labelled reviews beside many others, with the number of labels."""
    return [(int(n[1]), row) for row in rows if row["unlabelled"] == FURTHER and (n := FEW.fullmatch(row["task"]))]


def newest(rows: list[dict[str, Any]]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """The runs of each system from each language model on one task that were not repeated since.

    Of several settings those that were run last. Both directions count as `ulmfit`, a part of it does not.
    """
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for name, runs in sorted(by_system(rows).items(), key=lambda item: rows.index(item[1][-1])):
        if not name.endswith("earlier"):
            groups[runs[0]["system"].removesuffix("-bidirectional"), runs[0].get("base") or ""] = runs
    return groups


def cell(runs: list[dict[str, Any]] | None, measure: str) -> str:
    """Figure and processor time, if there are runs."""
    if not runs:
        return "not run"
    return f"{spread([row[measure] for row in runs])}, {minutes([row['cpu_seconds'] for row in runs])}{of_base(runs)}"


def few_labels(rows: list[dict[str, Any]]) -> str:
    """Accuracy on IMDb by the number of labels."""
    sizes = sorted({n for n, _ in few(rows)})
    groups = {n: newest([row for size, row in few(rows) if size == n]) for n in sizes}
    keys = dict.fromkeys(key for found in groups.values() for key in found if key[0] in NAMES)
    first = {key: mean(row["accuracy"] for row in groups[sizes[0]].get(key, [{"accuracy": 0}])) for key in keys}
    lines = [f"| system | {' | '.join(f'{n:,} labels' for n in sizes)} |", "|" + "---|" * (len(sizes) + 1)]
    for system, base in sorted(keys, key=lambda key: -first[key]):
        cells = [cell(groups[n].get((system, base)), "accuracy") for n in sizes]
        lines.append(f"| {' | '.join([NAMES[system] + (f', from {base}' if base else ''), *cells])} |")
    return "\n".join(lines) + "\n"


def other_tasks(rows: list[dict[str, Any]]) -> str:
    """The first figure of each other task, of systems that ran on several.

    Of several runs of ulmfit the newest, whatever it started from.
    """
    rows = [row for row in rows if not FEW.fullmatch(row["task"])]
    ran = Counter(system for system, _ in {(row["system"], row["task"]) for row in rows})
    names = {system: name for system, name in NAMES.items() if ran[system] > 1}
    lines = [f"| task | measure | {' | '.join(names.values())} |", "|" + "---|" * (len(names) + 2)]
    for task in sorted({row["task"] for row in rows}):
        found = newest([row for row in rows if row["task"] == task])
        measure = next(m for m in MEASURES if m in next(iter(found.values()))[0])
        last = {system: runs for (system, _), runs in found.items()}
        cells = [cell(last.get(system), measure) for system in names]
        lines.append(f"| {' | '.join([task, measure.replace('_', ' '), *cells])} |")
    return "\n".join(lines) + "\n"
