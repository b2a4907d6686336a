"""Write the tables of docs/benchmarks.md and docs/design/pretraining.md, and the summary of results in README.md.

They come from the files of rows beside this program. Nothing in them is typed by hand.

    python benchmarks/results_render.py [--check]

Each task gets a picture of its first figure against the minutes of a processor, those of a language model that was made
before among them. `--check` writes nothing and fails if a page is not what the rows give.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path
from statistics import mean
from typing import Any

import ablation_table
import pretraining_tables
from results_groups import MEASURES, SETTINGS, by_system, minutes, of_base, spread
from results_plots import by_labels, quality_and_cost
from results_summary import few_labels, other_tasks
from rows import SPEED, rows_of
from speed_tables import all_measures, best_known

HERE = Path(__file__).parent
ROOT = HERE.parent
BEGIN, END = "<!-- {}: begin, made by benchmarks/results_render.py -->", "<!-- {}: end -->"


def table(rows: list[dict[str, Any]]) -> list[str]:
    """The rows of one task, best first."""
    shown = [m for m in MEASURES if m in rows[0]]
    order = sorted(by_system(rows).items(), key=lambda item: -mean(row[shown[0]] for row in item[1]))
    names = [m.replace("_", " ") for m in shown]
    lines = [
        f"| system | {' | '.join(names)} | runs | time | processor time | threads | memory | processor | commit |",
        "|" + "---|" * (len(shown) + 8),
    ]
    for name, runs in order:
        figures = [spread([row[m] for row in runs]) for m in shown]
        facts = [
            str(len(runs)),
            minutes([row["seconds"] for row in runs]) + of_base(runs),
            minutes([row["cpu_seconds"] for row in runs]),
            ", ".join(sorted({str(row["threads"]) for row in runs})),
            f"{mean(row['peak_memory_mb'] for row in runs):,.0f} MB",
            ", ".join(sorted({str(row.get("processor", "not kept")) for row in runs})),
            ", ".join(sorted({row["commit"] for row in runs})),
        ]
        lines.append(f"| {' | '.join([name, *figures, *facts])} |")
    return lines


def chance(rows: list[dict[str, Any]]) -> str:
    """How far chance moves an accuracy on so many texts."""
    if "accuracy" not in rows[0]:
        return ""
    best = max(row["accuracy"] for row in rows)
    return f"; the standard error of the best accuracy is {(best * (1 - best) / rows[0]['rows']['test']) ** 0.5:.4f}"


def commands(rows: list[dict[str, Any]]) -> list[str]:
    """What made the rows of one task: a command for each number of threads, budget and base."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["threads"], *(row.get(key) for key in SETTINGS)].append(row)
    lines = []
    for (threads, *settings), some in groups.items():
        names = dict.fromkeys(row["system"] for row in some)
        options = {
            "--seeds": 1 + max(row["seed"] for row in some),
            "--unlabelled": rows[0]["unlabelled"],
            **{f"--{key.replace('_', '-')}": value for key, value in zip(SETTINGS, settings, strict=True)},
        }
        given = "".join(
            f" {name} {value}" for name, value in options.items() if value and (name, value) != ("--seeds", 1)
        )
        task = f"--data FOLDER --tasks {rows[0]['task']}"
        run = f"OMP_NUM_THREADS={threads} python benchmarks/results_run.py"
        lines.append(f"    {run} {task} --systems {' '.join(names)}{given}")
    return lines


def by_task(rows: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Tasks with their rows; with other texts without labels it is another task."""
    tasks: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        tasks[row["task"], row["unlabelled"]].append(row)
    return [
        (f"{task}-{unlabelled}" if unlabelled else task, some) for (task, unlabelled), some in sorted(tasks.items())
    ]


def parts_of(rows: list[dict[str, Any]]) -> list[str]:
    """What each part of models answers alone, of one task."""
    lines: list[str] = []
    for row in rows:
        found = [f"| {part} | {accuracy:.4f} |" for part, accuracy in row["accuracy"].items()]
        lines += [f"| part of `{row['model']}` ({row['commit']}) | accuracy |", "|---|---|", *found, ""]
        lines += [
            f"    python benchmarks/results_parts.py runs/tasks/{row['task']}-{row['seed']} runs/models/{row['model']}",
            "",
        ]
    return lines


def render(rows: list[dict[str, Any]], alone: list[dict[str, Any]]) -> str:
    """All tables."""
    lines: list[str] = []
    for name, some in by_task(rows):
        task, unlabelled, parts = some[0]["task"], some[0]["unlabelled"], some[0]["rows"]
        sizes = ", ".join(f"{n:,} {part}" for part, n in parts.items()) + chance(some)
        lines += [f"### {task}" + (f", {unlabelled:,} texts without labels" if unlabelled else ""), "", sizes, ""]
        lines += [
            *table(some),
            "",
            *commands(some),
            "",
            *parts_of([row for row in alone if (row["task"], row["unlabelled"]) == (task, unlabelled)]),
            f"![{task}: quality and processor time](images/results-{name}.svg)",
            "",
        ]
    return "\n".join(lines)


def ablation(rows: list[dict[str, Any]]) -> str:
    """A table for each task, number of labels, start, and commit, whose recipe it is."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        settings = {key: row.get(key) for key in ("lm_epochs", "epochs")}
        given = [f"{key.replace('_', ' ')} {value:g}" for key, value in settings.items() if value is not None]
        start = [f"from {row.get('base', 'en-small')}", *given]
        groups[row["task"], row["labels"], row["unlabelled"], ", ".join(start), row["commit"]].append(row)
    lines = []
    for (task, labels, unlabelled, start, commit), some in groups.items():
        lines += [f"### {task}, {labels:,} labels, {unlabelled:,} further texts, {start} ({commit})", ""]
        lines += [*ablation_table.table(some), ""]
    return "\n".join(lines)


def demonstration(rows: list[dict[str, Any]]) -> str:
    """What the demonstration gave, by what it began with, beside the linear model."""
    seeds = sorted({row["seed"] for row in rows})
    lines = [
        f"| system | {' | '.join(f'seed {seed}' for seed in seeds)} | mean | seconds | threads | processor | commit |",
        "|" + "---|" * (len(seeds) + 6),
    ]
    groups: dict[tuple[Any, ...], dict[int, dict[str, Any]]] = defaultdict(dict)
    for row in rows:
        groups[row["base"], row["threads"], row["processor"], row["commit"]][row["seed"]] = row
    of_linear = {row["seed"]: row["linear"] for row in rows}
    shown: list[tuple[list[str], dict[int, float]]] = [(["TF-IDF + logistic regression", *[""] * 4], of_linear)]
    for (base, *facts), runs in groups.items():
        name = "ulmfit, no base" if base == "none" else f"ulmfit, from {base}"
        seconds = ", ".join(f"{runs[seed]['seconds']:.0f}" for seed in sorted(runs))
        shown.append(([name, seconds, *map(str, facts)], {seed: run["accuracy"] for seed, run in runs.items()}))
    for (name, *facts), found in shown:
        figures = [f"{found[seed]:.3f}" if seed in found else "" for seed in seeds]
        lines.append(f"| {' | '.join([name, *figures, f'{mean(found.values()):.3f}', *facts])} |")
    return "\n".join(lines) + "\n"


def placed(page: str, name: str, tables: str) -> str:
    """The page with its tables between the marks of that name."""
    begin, end = BEGIN.format(name), END.format(name)
    if begin not in page or end not in page:
        sys.exit(f"the page has no place for the tables: {begin} ... {end}")
    head, rest = page.split(begin, 1)
    return f"{head}{begin}\n\n{tables}\n{end}{rest.split(end, 1)[1]}"


def main() -> None:
    """Put the tables into the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "benchmarks.md")
    parser.add_argument("--pretraining", type=Path, default=ROOT / "docs" / "design" / "pretraining.md")
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md")
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    rows, speed = rows_of(HERE / "results.jsonl"), rows_of(SPEED)
    tables = {
        given.page: {
            "demonstration": demonstration(rows_of(HERE / "demo.jsonl")),
            "results": render(rows, rows_of(HERE / "results_parts.jsonl")),
            "ablation": ablation(rows_of(HERE / "ablation.jsonl")),
            "speed": all_measures(speed),
        },
        given.pretraining: {
            "base": pretraining_tables.all_base_worth(rows_of(HERE / "base_worth.jsonl")),
            "configurations": pretraining_tables.configurations(rows_of(HERE / "pretrain_configs.jsonl")),
        },
        given.readme: {
            "few labels": few_labels(rows),
            "other tasks": other_tasks(rows),
            "speed": best_known(speed),
        },
    }
    for page, named in tables.items():
        after = before = page.read_text(encoding="utf-8")
        for name, lines in named.items():
            after = placed(after, name, lines)
        if given.check and after != before:
            sys.exit(f"{page} is not what its rows give; run {Path(__file__).name}")
        if not given.check:
            page.write_text(after, encoding="utf-8")
    if not given.check:
        images = given.page.parent / "images"
        for name, some in by_task(rows):
            quality_and_cost(some, images / f"results-{name}.svg")
        by_labels(rows, images / "results-labels.svg")


if __name__ == "__main__":
    main()
