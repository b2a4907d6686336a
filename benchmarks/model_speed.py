"""Speed and memory of the models of base size beside fastai's, taking turns on the same inputs.

Each contestant is a process of its own with 2 threads; they step in turn, so that a machine that slows down slows
all of them. Printed are medians over the turns (the inputs of a turn are the same for all, those of the turns
differ), the median of the ratios to the peer in the same turn, and each process' peak memory.

    python benchmarks/model_speed.py --peer-python PEER/bin/python [ROW ...]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from operator import truediv
from pathlib import Path
from typing import Any

from rows import add_speed

HERE = Path(__file__).parent
CUTOFFS = [2_000, 8_000]
PEER = "fastai"

# Row: unit, steps, and for each contestant the maker and its arguments (see the two sides).
ROWS: dict[str, tuple[str, int, dict[str, Any]]] = {
    f"lm-train-{v}" + (f"-{bs}x{steps}" if bs != 64 else ""): (
        "tokens/s",
        4,
        {
            PEER: ["lm_train", [v, bs, steps]],
            "exact, bf16": ["lm_train", [v, bs, steps, "awd_lstm", [], "bf16"]],
            "exact, fp32": ["lm_train", [v, bs, steps, "awd_lstm", [], "fp32"]],
            "adaptive, bf16": ["lm_train", [v, bs, steps, "awd_lstm", CUTOFFS, "bf16"]],
            "adaptive, fp32": ["lm_train", [v, bs, steps, "awd_lstm", CUTOFFS, "fp32"]],
            "QRNN, adaptive, bf16": ["lm_train", [v, bs, steps, "awd_qrnn", CUTOFFS, "bf16"]],
        },
    )
    for bs, steps in ((64, 72), (128, 80))
    for v in (60_008, 10_344)
}
ROWS |= {
    f"lm-eval-{v}": (
        "tokens/s",
        5,
        {PEER: ["lm_eval", [v]]} | {p: ["lm_eval", [v, p]] for p in ("bf16", "fp32")},
    )
    for v in (60_008, 10_344)
}
ROWS |= {
    f"classifier-{name}": (
        "docs/s",
        6,
        {PEER: ["classifier", [10_344, first]]} | {p: ["classifier", [10_344, first, p]] for p in ("bf16", "fp32")},
    )
    for name, first in (("unfrozen", 0), ("two-groups", -2), ("frozen", -1), ("forward", None))
}
ROWS |= {
    f"one-text-{n}": (
        "texts/s",
        5,
        {PEER: ["one_text", [10_344, n]]} | {p: ["one_text", [10_344, n, p]] for p in ("bf16", "fp32")},
    )
    for n in (235, 8)
}
ROWS |= {
    f"next-word-{v}" + (f"-{words}" if words != 40 else ""): (
        "words/s",
        4,
        {PEER: ["next_word", [v, words]]} | {p: ["next_word", [v, words, p]] for p in ("bf16", "fp32")},
    )
    for words in (40, 120)
    for v in (10_344, 60_008)
}


def measure(row: str, peer_python: str | None, turns: int | None, precision: str | None, rows: Path | None) -> None:
    """Run a row and print a line of the table for each contestant."""
    unit, steps, contestants = ROWS[row]
    if precision is not None:
        contestants = {n: made for n, made in contestants.items() if n == PEER or n.endswith(precision)}
    processes = {}
    for name, (maker, arguments) in contestants.items():
        side = "model_speed_peer.py" if name == PEER else "model_speed_own.py"
        python = peer_python if name == PEER else sys.executable
        if python is None:
            continue
        command = [python, str(HERE / side), json.dumps([maker, arguments])]
        environment = {**os.environ, "OMP_NUM_THREADS": "2"}
        processes[name] = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
    rates: dict[str, list[float]] = {name: [] for name in processes}
    peaks: dict[str, float] = {}
    for turn in range((turns or steps) + 1):
        for name, process in processes.items():
            assert process.stdin is not None and process.stdout is not None  # noqa: S101 - for mypy
            process.stdin.write("\n")
            process.stdin.flush()
            seconds, done, peaks[name] = json.loads(process.stdout.readline())
            if turn:
                rates[name].append(done / seconds)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    beside = {n: statistics.median(map(truediv, values, rates[PEER])) for n, values in rates.items() if PEER in rates}
    for name, process in processes.items():
        if PEER in rates and name != PEER:
            add_speed(rows, f"{row}, {name}", unit, rates[name], rates[PEER], (peaks[name], peaks[PEER]))
        process.communicate()
        ratio = f"{beside[name]:.2f}" if beside else "-"
        print(
            f"| {row} | {name} | {medians[name]:,.2f} {unit} | {ratio} | {min(rates[name]):,.2f} to "
            f"{max(rates[name]):,.2f} | {peaks[name]:,.0f} MB |",
            flush=True,
        )


def main() -> None:
    """Measure the rows that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}; all by default")
    parser.add_argument("--peer-python", help="the Python of an environment with fastai 2.8.12")
    parser.add_argument("--precision", choices=["bf16", "fp32"], help="this one only; not all processors gain by bf16")
    parser.add_argument("--turns", type=int, help="counted steps of each contestant, after one")
    parser.add_argument("--rows", type=Path, help="keep the figures there, too")
    arguments = parser.parse_args()
    unknown = [row for row in arguments.names if row not in ROWS]
    if unknown:
        parser.error(f"no such row: {', '.join(unknown)}")
    print("| row | contestant | median | to the peer | from, to | peak memory |\n|---|---|---|---|---|---|")
    for row in arguments.names or ROWS:
        measure(row, arguments.peer_python, arguments.turns, arguments.precision, arguments.rows)


if __name__ == "__main__":
    main()
