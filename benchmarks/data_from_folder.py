"""Time and memory of `TextDataLoaders.from_folder` on all IMDb reviews: cold, and found again.

    python benchmarks/data_from_folder.py --data FOLDER --workers 2

FOLDER holds `imdb/{train,test,unsup}`: 100,000 files. Each step runs in a process of its own; memory is the largest
resident set of the process, imports included.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def load(data: Path, workers: int) -> None:
    """Load once, and print seconds and MB."""
    from ulmfit.data.dataloaders import TextDataLoaders
    from ulmfit.training.facts import peak_memory_mb

    start = time.perf_counter()
    dls = TextDataLoaders.from_folder(data / "imdb", is_lm=True, valid_pct=0.1, n_workers=workers)
    n = len(dls.train_ds) + len(dls.valid_ds)
    print(f"{n:,} files, {time.perf_counter() - start:.2f} s, {peak_memory_mb()} MB")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--one", action="store_true")
    args = parser.parse_args()
    if args.one:
        load(args.data, args.workers)
        return
    with tempfile.TemporaryDirectory() as cache:
        for name in ("cold", "warm", "warm"):
            command = [sys.executable, __file__, "--data", str(args.data), "--workers", str(args.workers), "--one"]
            done = subprocess.run(
                command, capture_output=True, text=True, check=True, env=os.environ | {"ULMFIT_CACHE": cache}
            )
            print(f"{name}: {done.stdout.strip()}")


if __name__ == "__main__":
    main()
