"""The tables of docs/design/pretraining.md that `results_render.py` makes of rows."""

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
    """A table for each task with its settings, of one commit on one processor."""
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[_about(row)].append(row)
    return "\n".join(line for about, some in groups.items() for line in (about, "", *base_worth(some), ""))


def _about(row: dict[str, Any]) -> str:
    further = f"at most {row['unlabelled']:,} further texts" if row["unlabelled"] else "no further texts"
    facts = [f"{row['budget']:.0f} s for each run", further, f"{row['held_out']:,} texts held out"]
    facts += [f"language `{row['lang']}`"] if row.get("lang", "en") != "en" else []
    facts += [f"tokens by `{row['tokenizer']}`"] if row.get("tokenizer", "word") != "word" else []
    facts += [f"{row['lm_epochs']:g} epochs of the language model"] if "lm_epochs" in row else []
    facts += ["no pseudo-labels"] if row.get("pseudo_labels") is False else []
    facts.append("concat pooling" if row["pooling"] == "concat" else "means alone pooled")
    return (
        f"**{row['task']}**, {', '.join(facts)} ({row['threads']} thread, {row['processor']}, commit {row['commit']}):"
    )


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
            f"{_NAMES[row['arch']]}, {row['n_layers']} layers, {row['emb_sz']} and {row['n_hid']} wide"
            + (f", window {row['window']}" if "window" in row else ""),
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
