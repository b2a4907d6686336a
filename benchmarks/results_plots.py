"""The pictures of results: quality against processor time, and accuracy by the number of labels."""

from __future__ import annotations

import textwrap
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from results_groups import MEASURES, by_system
from results_summary import NAMES, few, newest

COLOURS = defaultdict(lambda: "C0", nb="C1", tfidf="C2", lsa="C4", embeddings="C3", fastai="C5")  # C0: this library
TICKS = ((1, 2, 5), (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8))  # the second if there are few of the first
LINE = 0.075  # of a label, of the height of the axes


def spread_of(values: list[float]) -> float:
    """The standard deviation; 0 of one."""
    return stdev(values) if len(values) > 1 else 0.0


def cost(row: dict[str, Any]) -> float:
    """Minutes of a processor, with those of the language models that a run starts from."""
    return float(row["cpu_seconds"] + row.get("base_seconds", 0.0)) / 60


def quality_and_cost(rows: list[dict[str, Any]], path: Path) -> None:
    """The first figure of each system against its processor time; the line joins those that no other beats in both.

    Runs that were repeated since are left out; bars are a standard deviation over the runs.
    """
    measure = next(m for m in MEASURES if m in rows[0])
    points = sorted(
        (mean(map(cost, runs)), mean(row[measure] for row in runs), name)
        for name, runs in by_system(rows).items()
        if not name.endswith("earlier")
    )
    spreads = {name: spread_of([row[measure] for row in runs]) for name, runs in by_system(rows).items()}
    best = [(x, y) for i, (x, y, _) in enumerate(points) if all(y > earlier for _, earlier, _ in points[:i])]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.plot(*zip(*best, strict=True), color="0.75", zorder=0, drawstyle="steps-post")
    for x, y, name in points:
        axes.errorbar(x, y, spreads[name] or None, fmt="o", color=colour(name), capsize=2)
    axes.set(xscale="log", xlabel="processor time, minutes", ylabel=measure.replace("_", " "))
    axes.margins(x=0.12, y=0.1)
    plain_ticks(axes)
    label_beside(axes, [(x, y, name, colour(name)) for x, y, name in points])
    finish(figure, axes, path)


def by_labels(rows: list[dict[str, Any]], path: Path) -> None:
    """Accuracy on IMDb by the number of labels, newest runs of the systems in README; bars are a standard deviation."""
    curves: dict[tuple[str, str], list[tuple[int, float, float]]] = {}
    for n in sorted({n for n, _ in few(rows)}):
        for key, runs in newest([row for size, row in few(rows) if size == n]).items():
            values = [row["accuracy"] for row in runs]
            if key[0] in NAMES:
                curves.setdefault(key, []).append((n, mean(values), spread_of(values)))
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    axes = figure.subplots()
    for (system, base), points in curves.items():
        x, y, spreads = zip(*points, strict=True)
        axes.errorbar(x, y, spreads, fmt="o--" if base else "o-", capsize=2, color=COLOURS[system])
    axes.set(xscale="log", xlabel="labelled reviews", ylabel="accuracy")
    plain_ticks(axes)
    names = {(system, base): NAMES[system] + (f", from {base}" if base else "") for system, base in curves}
    label_beside(axes, [(*points[-1][:2], names[key], COLOURS[key[0]]) for key, points in curves.items()])
    finish(figure, axes, path)


def colour(name: str) -> str:
    """That of the system whose name with settings this is."""
    return COLOURS[name.split(",")[0]]


def plain_ticks(axes: Axes) -> None:
    """Numbers as they are said, on an axis of logarithms."""
    low, high = axes.get_xlim()
    ticks = [[n * 10.0**power for power in range(-2, 5) for n in digits] for digits in TICKS]
    shown = next((some for some in ticks if sum(low < tick < high for tick in some) > 2), ticks[-1])
    axes.xaxis.set_major_locator(FixedLocator(shown))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,g}"))
    axes.grid(axis="y", color="0.92")


def label_beside(axes: Axes, points: list[tuple[float, float, str, str]]) -> None:
    """Names in a column on the right, none over another, each joined to its point by a thin line.

    Args:
        axes: with everything else on them.
        points: x, y, name and colour of each.
    """
    low, high = axes.get_ylim()
    axes.set(xlim=axes.get_xlim(), ylim=(low, high))
    order = sorted(points, key=lambda point: point[1])
    names = [textwrap.fill(name, 36) for _, _, name, _ in order]
    gaps = [LINE * (1 + (a.count("\n") + b.count("\n")) / 2) for a, b in pairwise(names)]
    heights: list[float] = []
    for i, (_, y, _, _) in enumerate(order):
        heights.append(max((y - low) / (high - low), heights[-1] + gaps[i - 1] if heights else 0.0))
    for i in reversed(range(len(heights))):  # what was pushed over the top comes down again
        heights[i] = min(heights[i], heights[i + 1] - gaps[i] if i + 1 < len(heights) else 1.0)
    for (x, y, _, colour), name, height in zip(order, names, heights, strict=True):
        axes.annotate(
            name,
            (x, y),
            xytext=(1.03, height),
            textcoords="axes fraction",
            va="center",
            fontsize=9,
            color=colour,
            arrowprops={"arrowstyle": "-", "color": "0.8", "lw": 0.6, "shrinkB": 4},
        )


def finish(figure: Figure, axes: Axes, path: Path) -> None:
    """Write the file, the same one from the same rows."""
    axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context({"svg.hashsalt": "ulmfit", "svg.fonttype": "none"}):
        figure.savefig(path, metadata={"Date": None})
