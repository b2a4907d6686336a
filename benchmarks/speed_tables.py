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


def said(row: dict[str, Any]) -> list[str]:
    """Unit, both medians, and the median of the ratios with the least and greatest; bold if every turn was won."""
    times = ratios(row)
    ratio = rounded(median(times))
    ratio = f"**{ratio}**" if min(times) > 1 else ratio
    span = f" ({rounded(min(times))} to {rounded(max(times))})" if len(times) > 1 else ""
    return [row["unit"], rounded(median(row["fastai"])), rounded(median(row["ulmfit"])), ratio + span]


def all_measures(rows: list[dict[str, Any]]) -> str:
    """Every row."""
    lines = [
        "| measure | unit | fastai | ulmfit | times as good | memory, fastai | memory, ulmfit | turns | commit |",
        "|" + "---|" * 9,
    ]
    for row in rows:
        memory = [f"{m:,} MB" for m in reversed(row.get("memory", []))] or ["", ""]
        lines.append(f"| {' | '.join([row['measure'], *said(row), *memory, str(len(row['ulmfit'])), row['commit']])} |")
    return "\n".join(lines) + "\n"


def best_known(rows: list[dict[str, Any]]) -> str:
    """Those that are asked for first."""
    lines = ["| what | unit | fastai | ulmfit | times as good |", "|" + "---|" * 5]
    found = {row["measure"]: row for row in rows}
    lines += [f"| {' | '.join([name, *said(found[key])])} |" for key, name in BEST_KNOWN.items() if key in found]
    return "\n".join(lines) + "\n"


def rounded(value: float) -> str:
    """With three digits at least."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
