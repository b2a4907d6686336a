"""The tables of docs/pretraining.md that `results_render.py` makes of rows."""

from __future__ import annotations

from collections import defaultdict
from statistics import fmean
from typing import Any

from results_groups import spread

_HALVES = ("network", "ngrams", "both")
_NAMES = {"awd_lstm": "LSTM", "awd_qrnn": "QRNN"}


def base_worth(rows: list[dict[str, Any]]) -> list[str]:
    """What a language model to start from is worth: lines of Markdown, by the number of labels and the start.

    Args:
        rows: of one task, one for each number of `labels`, `base` and `draw`, with the accuracies of `network`,
            `ngrams` and `both`, and the `perplexity` of the language model.
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


def all_base_worth(rows: list[dict[str, Any]]) -> str:
    """A table for each task, time and number of further texts."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["task"], row["budget"], row["unlabelled"], row["held_out"], row["processor"], row["commit"]].append(
            row
        )
    lines: list[str] = []
    for (task, budget, unlabelled, held_out, processor, commit), some in groups.items():
        further = f"at most {unlabelled:,} further texts" if unlabelled else "no further texts"
        facts = f"{budget:.0f} s for each run, {further}, {held_out:,} texts held out ({processor}, commit {commit})"
        lines += [f"**{task}**, {facts}:", "", *base_worth(some), ""]
    return "\n".join(lines)


def configurations(rows: list[dict[str, Any]]) -> str:
    """What language models of several sizes learned in equal time, best first: a table for each trial."""
    trials: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        trials[row["processor"], row["commit"]].append(row)
    lines: list[str] = []
    for (processor, commit), some in trials.items():
        seconds = fmean(row["cpu_seconds"] for row in some)
        lines += [f"{seconds:.0f} s of one thread ({processor}, commit {commit}):", "", *_trial(some), ""]
    return "\n".join(lines)


def _trial(rows: list[dict[str, Any]]) -> list[str]:
    lines = [
        "| encoder | words | parameters | batch | learning rate | AR, TAR | tokens seen | perplexity | comparable |",
        "|" + "---|" * 9,
    ]
    for row in sorted(rows, key=lambda row: row["comparable"]):
        cells = [
            f"{_NAMES[row['arch']]}, {row['n_layers']} layers, {row['emb_sz']} and {row['n_hid']} wide",
            f"{row['vocab']:,}",
            f"{row['parameters'] / 1e6:.1f}M",
            f"{row['bs']} x 72",
            f"{row['lr']:g}",
            f"{row['alpha']:g}, {row['beta']:g}",
            f"{row['tokens'] / 1e6:.2f}M",
            f"{row['perplexity']:.1f}",
            f"{row['comparable']:.1f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines
