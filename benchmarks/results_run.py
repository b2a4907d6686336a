"""Run systems on tasks, in turn, and keep what came out: one line of JSON for each run.

    python benchmarks/results_run.py --data FOLDER --tasks sms sst2 --systems tfidf nb ulmfit [--seeds 3]

Every system is a process of its own that reads the task's folder and writes its predictions for the test part; time,
processor time and peak memory are those of the process and its children, imports included. `embeddings` and `fastai`
run in environments of their own, which `environments.py` makes. The scores are made here, in one way for all. A run
that is in the file already is not repeated, unless `--again` says so: the test part of a row is looked at once. Rows
that are to be in the documentation are added to `benchmarks/results.jsonl`, which `results_render.py` reads.
`--budget`, `--base`, `--backward-base` and `--lm-epochs` are for `ulmfit train`, and stand in the row; fastai takes a
base, too, and epochs of its language model. A base that is a folder was made before the run: how long that took stands
in the row, too, beside the time of the run.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from environments import FOLDER, python_of
from results_fastai_weights import write_weights
from results_groups import SETTINGS
from results_tasks import MULTI, REGRESSION, Task, prepare, read_part, read_task
from rows import HERE, add_row, circumstances, rows_of
from scipy.stats import spearmanr
from sklearn.metrics import accuracy_score, f1_score, mean_absolute_error
from sklearn.preprocessing import MultiLabelBinarizer

from ulmfit.errors import UlmfitError

ULMFIT = {
    "ulmfit": [],
    "ulmfit-no-base": ["--base", "none"],
    "ulmfit-network": ["--no-ngrams"],
    "ulmfit-bidirectional": ["--bidirectional"],
}
FASTAI = "fastai"
APART = {"embeddings": "results_embeddings.py", FASTAI: "results_fastai.py"}  # in environments of their own
SYSTEMS = ("tfidf", "nb", "lsa", *APART, *ULMFIT)


class RunError(Exception):
    """A system did not answer."""


def scores(task: Task, truth: list[str], predictions: list[str]) -> dict[str, float]:
    """How well the test part was answered, by what is usual for the kind of task."""
    if len(truth) != len(predictions):
        raise SystemExit(f"{len(predictions)} predictions for {len(truth)} texts")
    if task.kind == REGRESSION:
        true, said = np.array(truth, dtype=float), np.array(predictions, dtype=float)
        return {
            "spearman": float(spearmanr(true, said).statistic),
            "mean_absolute_error": float(mean_absolute_error(true, said)),
        }
    if task.kind == MULTI:
        binarizer = MultiLabelBinarizer().fit([label.split() for label in truth + predictions])
        true, said = (binarizer.transform([label.split() for label in part]) for part in (truth, predictions))
        return {
            "micro_f1": float(f1_score(true, said, average="micro", zero_division=0)),
            "macro_f1": float(f1_score(true, said, average="macro", zero_division=0)),
        }
    return {
        "accuracy": float(accuracy_score(truth, predictions)),
        "macro_f1": float(f1_score(truth, predictions, average="macro", zero_division=0)),
    }


def settings_of(system: str, given: argparse.Namespace) -> dict[str, str | None]:
    """What `ulmfit train` is given, by option; fastai a part of it, nothing for other systems."""
    nothing: dict[str, str | None] = dict.fromkeys(("time-budget", "base", "backward-base", "lm-epochs"))
    if system == FASTAI:
        return nothing | {"base": given.base, "lm-epochs": given.lm_epochs}
    if system not in ULMFIT:
        return nothing
    if "--base" in ULMFIT[system]:
        return nothing | {"time-budget": given.budget, "lm-epochs": given.lm_epochs}
    backward = given.backward_base if "--bidirectional" in ULMFIT[system] else None
    return {
        "time-budget": given.budget,
        "base": given.base,
        "backward-base": backward,
        "lm-epochs": given.lm_epochs,
    }


def key_of(task: Task, system: str, seed: int, given: argparse.Namespace) -> dict[str, Any]:
    """What tells a run from all others; settings that were not given do not stand in a row."""
    budget, base, backward_base, lm_epochs = settings_of(system, given).values()
    key = {"task": task.name, "system": system, "seed": seed, "unlabelled": task.rows.get("unlabelled", 0)}
    key |= {"budget": budget, "base": base and Path(base).name}
    return key | {"backward_base": backward_base and Path(backward_base).name, "lm_epochs": lm_epochs}


def name_of(folder: Path, key: dict[str, Any]) -> str:
    """What the model and the log of a run are called: with its settings, so that no other run has the same."""
    settings = [f"{option.replace('_', '-')}-{key[option]}" for option in SETTINGS if key[option]]
    return "-".join([folder.name, key["system"], str(key["seed"]), *settings])


def seconds_of_bases(settings: dict[str, str | None]) -> dict[str, float]:
    """How long the language models took that the run starts from, if they were made for it."""
    folders = [Path(value) for option, value in settings.items() if value and option.endswith("base")]
    reports = [folder / "metrics.json" for folder in folders if folder.is_dir()]
    if not reports:
        return {}
    known = [json.loads(path.read_text(encoding="utf-8")).get("seconds") for path in reports]
    if None in known:
        raise RunError(f"{reports[known.index(None)]} does not say how long the base took")
    return {"base_seconds": sum(known)}


def command_of(key: dict[str, Any], folder: Path, answer: Path, given: argparse.Namespace) -> list[str]:
    """The command line of one run."""
    system = key["system"]
    if system in ULMFIT:
        model = given.models / name_of(folder, key)
        command = [sys.executable, HERE / "results_ulmfit.py", folder, answer, "--model", model, *ULMFIT[system]]
        for option, value in settings_of(system, given).items():
            command += [f"--{option}", value] if value else []
    elif system in APART:
        python = python_of(system, given.environments)
        if not python.is_file():
            raise SystemExit(f"{system} runs in an environment of its own: python benchmarks/environments.py {system}")
        command = [python, HERE / APART[system], folder, answer]
        if system == FASTAI:
            command += for_fastai(folder, answer.parent, given)
    elif system == "lsa":
        command = [sys.executable, HERE / "results_lsa.py", folder, answer]
    else:
        command = [sys.executable, HERE / "results_linear.py", system, folder, answer]
    return [*map(str, command), "--seed", str(key["seed"])]


def for_fastai(folder: Path, temporary: Path, given: argparse.Namespace) -> list[str]:
    """The options of fastai's run; its weights are written for it."""
    epochs = [] if given.lm_epochs is None else ["--lm-epochs", given.lm_epochs]
    if given.base is None:
        return epochs
    write_weights(given.base, read_part(folder, "train")[0], temporary)
    return [*epochs, "--weights", str(temporary)]


def measured(command: list[str], log: Path) -> dict[str, float]:
    """Run a command to its end: wall and processor seconds, peak memory in MB, of it and its children."""
    if sys.platform == "win32":
        raise SystemExit("time and memory of a process and its children are told on Linux and macOS only")
    start = time.perf_counter()
    with log.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        last = log.read_text(encoding="utf-8", errors="replace").splitlines()[-1:]
        raise RunError(f"{' '.join(command)} failed: {' '.join(last)} (all of it in {log})")
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "seconds": round(seconds, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_memory_mb": round(usage.ru_maxrss * unit / 1e6),
    }


def run(key: dict[str, Any], folder: Path, task: Task, given: argparse.Namespace) -> dict[str, Any]:
    """One run: what it was measured on, what it took and how well it answered.

    Raises:
        RunError: the system ended with an error.
        UlmfitError: what it is to start from is not there.
    """
    row = seconds_of_bases(settings_of(key["system"], given)) | {"rows": task.rows} | circumstances()
    with tempfile.TemporaryDirectory() as temporary:
        answer = Path(temporary) / "answer.json"
        command = command_of(key, folder, answer, given)
        row |= measured(command, given.models / f"{name_of(folder, key)}.log")
        predictions = json.loads(answer.read_text(encoding="utf-8"))
    return row | {k: round(v, 4) for k, v in scores(task, read_part(folder, "test")[1], predictions).items()}


def main() -> None:
    """Take turns and write rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tasks", nargs="+", required=True)
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, required=True)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--unlabelled", type=int, default=100_000, help="most texts for the language model")
    parser.add_argument("--budget", help="time for one run of ulmfit, such as 20m")
    parser.add_argument("--base", help="what ulmfit starts from: a name or a model folder; else what it chooses itself")
    parser.add_argument("--backward-base", help="the same for the direction from the end")
    parser.add_argument("--lm-epochs", help="of ulmfit's language model; 0 takes a base as it is")
    parser.add_argument("--folders", type=Path, default=Path("runs/tasks"))
    parser.add_argument("--models", type=Path, default=Path("runs/models"))
    parser.add_argument("--out", type=Path, default=Path("runs/results.jsonl"), help="rows are added to this file")
    parser.add_argument("--environments", type=Path, default=FOLDER, help="where environments.py made them")
    parser.add_argument("--again", action="store_true")
    given = parser.parse_args()
    for folder in (given.models, given.out.parent):
        folder.mkdir(parents=True, exist_ok=True)
    rows_of(given.out)  # a file that cannot be read shows now
    failures: list[str] = []
    wanted = [(name, seed) for name in given.tasks for seed in range(given.seeds)]
    folders = [
        prepare(name, given.data, given.folders, seed=seed, unlabelled=given.unlabelled) for name, seed in wanted
    ]
    try:
        for (_, seed), folder in zip(wanted, folders, strict=True):
            task = read_task(folder)
            for system in given.systems:
                key = key_of(task, system, seed, given)
                if not given.again and any(all(row.get(k) == v for k, v in key.items()) for row in rows_of(given.out)):
                    print("there already:", key, flush=True)
                    continue
                try:
                    row = key | run(key, folder, task, given)
                except (RunError, UlmfitError, OSError, ValueError, SystemExit) as error:  # the others have their turn
                    failures.append(f"{system} on {folder.name}: {error}")
                    print(failures[-1], flush=True)
                    continue
                add_row(given.out, row)
                print(json.dumps(row), flush=True)
    finally:
        if failures:
            print("\n".join(["without an answer:", *failures]), flush=True)
    if failures:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
