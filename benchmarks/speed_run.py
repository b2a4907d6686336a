"""Every measure of speed beside fastai, one after the other: `speed.jsonl`, of which `results_render.py` makes a table.

    python benchmarks/environments.py fastai
    python benchmarks/speed_run.py --data FOLDER

In every program the two take turns. fastai computes in float32 on a CPU; the models of this library are measured in
float32 and, where the processor multiplies it, in bfloat16, which they take by themselves for training. The rows of
another run are replaced.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from environments import FOLDER, python_of
from rows import HERE, SPEED, processor


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
    precision = [] if "bfloat16" in processor() else ["--precision", "fp32"]
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
        given.out.write_bytes(rows.read_bytes())


if __name__ == "__main__":
    main()
