"""Write the tables of docs/benchmarks.md from benchmarks/results.jsonl: nothing in them is typed by hand.

    python benchmarks/results_render.py [--check]

`--check` writes nothing and fails if the page is not what the rows give.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from results_run import rows_of

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- results: begin, made by benchmarks/results_render.py -->", "<!-- results: end -->"
MEASURES = ("accuracy", "micro_f1", "macro_f1", "spearman", "mean_absolute_error")


def spread(values: list[float]) -> str:
    """Mean and, of several runs, standard deviation."""
    return f"{mean(values):.4f}" + (f" ± {stdev(values):.4f}" if len(values) > 1 else "")


def minutes(seconds: list[float]) -> str:
    """The mean of some times."""
    whole = round(mean(seconds))
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"


def table(rows: list[dict[str, Any]]) -> list[str]:
    """The rows of one task, best first."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["system"], row["budget"] or ""].append(row)
    shown = [m for m in MEASURES if m in rows[0]]
    order = sorted(groups.items(), key=lambda item: -mean(row[shown[0]] for row in item[1]))
    names = [m.replace("_", " ") for m in shown]
    lines = [
        f"| system | {' | '.join(names)} | runs | time | processor time | memory | commit |",
        "|" + "---|" * (len(shown) + 6),
    ]
    for (system, budget), runs in order:
        figures = [spread([row[m] for row in runs]) for m in shown]
        facts = [
            str(len(runs)),
            minutes([row["seconds"] for row in runs]),
            minutes([row["cpu_seconds"] for row in runs]),
            f"{mean(row['peak_memory_mb'] for row in runs):,.0f} MB",
            ", ".join(sorted({row["commit"] for row in runs})),
        ]
        name = f"{system}, budget {budget}" if budget else system
        lines.append(f"| {' | '.join([name, *figures, *facts])} |")
    return lines


def render(rows: list[dict[str, Any]]) -> str:
    """All tables."""
    tasks: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        tasks[row["task"], row["unlabelled"]].append(row)
    lines: list[str] = []
    for (task, unlabelled), some in sorted(tasks.items()):
        parts = some[0]["rows"]
        sizes = ", ".join(f"{n:,} {part}" for part, n in parts.items())
        lines += [f"### {task}" + (f", {unlabelled:,} texts without labels" if unlabelled else ""), "", sizes, ""]
        lines += [*table(some), ""]
    return "\n".join(lines)


def main() -> None:
    """Put the tables into the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=Path, default=ROOT / "benchmarks" / "results.jsonl")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "benchmarks.md")
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    before = given.page.read_text(encoding="utf-8")
    if BEGIN not in before or END not in before:
        sys.exit(f"{given.page} has no place for the tables: {BEGIN} ... {END}")
    head, rest = before.split(BEGIN, 1)
    after = f"{head}{BEGIN}\n\n{render(rows_of(given.rows))}\n{END}{rest.split(END, 1)[1]}"
    if given.check and after != before:
        sys.exit(f"{given.page} is not what {given.rows} gives; run {Path(__file__).name}")
    if not given.check:
        given.page.write_text(after, encoding="utf-8")


if __name__ == "__main__":
    main()
