"""Rows of figures: one line of JSON for each, with what it was measured on."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from ulmfit.training.precision import resolve_precision

HERE = Path(__file__).parent
SPEED = HERE / "speed.jsonl"


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The rows that are there."""
    if not path.is_file():
        return []
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            rows.append(json.loads(line))
        except ValueError as error:
            raise SystemExit(f"{path}, line {number} is not JSON: {error}") from error
    return rows


def add_row(path: Path, row: dict[str, Any]) -> None:
    """Keep one more."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def circumstances() -> dict[str, Any]:
    """Commit, day, threads, machine and its processor."""
    return {
        "commit": commit(),
        "date": datetime.now(UTC).date().isoformat(),
        "threads": int(os.environ.get("OMP_NUM_THREADS", processors())),
        "machine": platform.platform(),
        "processor": processor(),
    }


def processor() -> str:
    """Its name, and whether training takes bfloat16 on it."""
    path = Path("/proc/cpuinfo")
    name = platform.processor()
    if path.is_file():
        fields = (line.partition(":") for line in path.read_text(encoding="utf-8").splitlines())
        name = {key.strip(): value.strip() for key, _, value in fields}.get("model name", platform.machine())
    return name + (", bfloat16" if resolve_precision("auto", torch.device("cpu")) == "bf16" else "")


def processors() -> int:
    """Those that this process may use, where the system tells; else all."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def commit() -> str:
    """The commit of the checkout, with a mark if files differ from it."""
    git = ["git", "-C", str(HERE)]
    head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
    changed = subprocess.run([*git, "status", "--porcelain", "../src"], capture_output=True, text=True, check=True)
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")


def add_speed(
    path: Path | None,
    measure: str,
    unit: str,
    ulmfit: Sequence[float],
    fastai: Sequence[float],
    memory: tuple[float, float] | None = None,
) -> None:
    """Keep a measure that both took in turns.

    Args:
        path: where; nowhere if None.
        measure: what was done.
        unit: of the values; of "s", "ms" and "MB" less is better, of all others, rates, more.
        ulmfit: a value for each turn.
        fastai: the same; their number may differ.
        memory: largest resident memory in MB of ulmfit's process and of fastai's.
    """
    if path is None:
        return
    row = {"measure": measure, "unit": unit, "ulmfit": list(ulmfit), "fastai": list(fastai)}
    row |= {} if memory is None else {"memory": [round(m) for m in memory]}
    add_row(path, row | circumstances())
