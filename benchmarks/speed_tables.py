"""The tables of speed beside fastai: all measures for docs/benchmarks.md, and those of README.md."""

from __future__ import annotations

from operator import truediv
from statistics import median
from typing import Any

LESS_IS_BETTER = ("s", "ms", "MB")
# What stands in README.md, and how it is said there.
BEST_KNOWN = {
    "star import": "import",
    "text to ids, 5,000 reviews, one process": "text to ids, one process",
    "lm-train-60008, exact, bf16": "training the language model, 60,008 words, bfloat16",
    "lm-train-60008, exact, fp32": "the same in float32",
    "classifier-unfrozen, bf16": "training the classifier, all layers, bfloat16",
    "classifier-unfrozen, fp32": "the same in float32",
    "one-text-235, fp32": "one text of 235 tokens",
    "next-word-60008, fp32": "writing on, 60,008 words",
    "largest memory of this program": "memory, from reviews to answers",
}


def ratios(row: dict[str, Any]) -> list[float]:
    """How many times as good as fastai this library was, turn by turn; of the medians, if their numbers differ."""
    own, peer = row["ulmfit"], row["fastai"]
    pairs = list(zip(own, peer, strict=True)) if len(own) == len(peer) else [(median(own), median(peer))]
    return [truediv(*(reversed(pair) if row["unit"] in LESS_IS_BETTER else pair)) for pair in pairs]


def medians(row: dict[str, Any]) -> list[str]:
    """Those of fastai and of this library."""
    return [rounded(median(row["fastai"])), rounded(median(row["ulmfit"]))]


def times_as_good(row: dict[str, Any]) -> str:
    """The median of the ratios, with the least and greatest; bold if every turn was won."""
    times = ratios(row)
    ratio = rounded(median(times))
    ratio = f"**{ratio}**" if min(times) > 1 else ratio
    return ratio + (f" ({rounded(min(times))} to {rounded(max(times))})" if len(times) > 1 else "")


def by_processor(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The rows of each processor, whatever training computes in there."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["processor"].partition(",")[0], []).append(row)
    return found


def all_measures(rows: list[dict[str, Any]]) -> str:
    """Every row: a table for each processor."""
    lines = []
    for processor, measured in by_processor(rows).items():
        lines += [
            f"**{processor}**",
            "",
            "| measure | unit | fastai | ulmfit | times as good | memory, fastai | memory, ulmfit | turns | commit |",
            "|" + "---|" * 9,
        ]
        for row in measured:
            memory = [f"{m:,} MB" for m in reversed(row.get("memory", []))] or ["", ""]
            cells = [row["measure"], row["unit"], *medians(row), times_as_good(row), *memory]
            lines.append(f"| {' | '.join([*cells, str(len(row['ulmfit'])), row['commit']])} |")
        lines.append("")
    return "\n".join(lines)


def best_known(rows: list[dict[str, Any]]) -> str:
    """Those that are asked for first: from fastai's figure to this library's, and what that is as a ratio."""
    found = {processor: {row["measure"]: row for row in measured} for processor, measured in by_processor(rows).items()}
    lines = [f"| what | unit | {' | '.join(found)} |", "|" + "---|" * (2 + len(found))]
    for key, name in BEST_KNOWN.items():
        all_of = [measured.get(key) for measured in found.values()]
        unit = next((row["unit"] for row in all_of if row is not None), None)
        if unit is None:
            continue
        cells = ["" if row is None else f"{' → '.join(medians(row))}: {times_as_good(row)}" for row in all_of]
        lines.append(f"| {' | '.join([name, unit, *cells])} |")
    return "\n".join(lines) + "\n"


def rounded(value: float) -> str:
    """With three digits at least."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
