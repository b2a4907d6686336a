"""Every measure of speed beside fastai, one after the other: `speed.jsonl`, of which `results_render.py` makes a table.

    python benchmarks/environments.py fastai
    python benchmarks/speed_run.py --data FOLDER

In every program the two take turns. fastai computes in float32 on a CPU; the models of this library are measured in
float32 and, where the processor has it, in bfloat16, which they take by themselves for training where it is faster.
The rows of another run on such a processor are replaced.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from environments import FOLDER, python_of
from rows import HERE, SPEED, add_row, rows_of
from speed_tables import by_processor

from ulmfit.training.precision import supports_bf16


def main() -> None:
    """Run the programs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--environments", type=Path, default=FOLDER, help="where environments.py made them")
    parser.add_argument("--out", type=Path, default=SPEED)
    given = parser.parse_args()
    peer = python_of("fastai", given.environments)
    if not peer.is_file():
        sys.exit("fastai runs in an environment of its own: python benchmarks/environments.py fastai")
    precision = [] if supports_bf16(torch.device("cpu")) else ["--precision", "fp32"]
    others = by_processor(rows_of(given.out))
    commands = [
        ["star_import.py"],
        ["tokenize_speed.py", "--data", given.data],
        ["data_loaders.py", "--data", given.data],
        ["speed_whole.py", "--data", given.data],
        ["model_speed.py", "--turns", "4", *precision],
    ]
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.jsonl"
        for program, *options in commands:
            command = [sys.executable, HERE / program, *options, "--peer-python", peer, "--rows", rows]
            subprocess.run(command, check=True)
        new = rows_of(rows)
    here = set(by_processor(new))
    given.out.write_text("", encoding="utf-8")
    for row in [row for name, of in others.items() if name not in here for row in of] + new:
        add_row(given.out, row)


if __name__ == "__main__":
    main()
