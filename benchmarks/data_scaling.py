"""What a batch of the language model's loader costs at one and at ten times the corpus, beside the peer's loader.

    python benchmarks/data_scaling.py --peer-python PEER/bin/python

The documents are made up: lengths as of reviews, ids at random. Each measurement runs in a process of its own; sizes
and sides take turns, and medians over the rounds are printed. A pass is begun and the first batches are left out.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time

import numpy as np

DOCUMENTS, BATCHES, SKIPPED = 1_000, 100, 5

PEER = """
import sys, time
from itertools import islice
import numpy as np
from fastai.text.all import *
lengths = eval(sys.argv[1])
rng = np.random.default_rng(0)
docs = [(TensorText(torch.from_numpy(rng.integers(9, 30_000, n))),) for n in lengths]
dl = LMDataLoader(docs, lens=lengths, bs=64, seq_len=72, shuffle=True, num_workers=0)
batches = iter(dl)
list(islice(batches, 5))
start, n = time.perf_counter(), 0
for _ in islice(batches, int(sys.argv[2])):
    n += 1
print((time.perf_counter() - start) / n * 1e6)
"""


def lengths_of(times: int) -> list[int]:
    """Lengths of the documents."""
    spread = np.random.default_rng(0).lognormal(5.4, 0.6, DOCUMENTS * times)
    return [int(length) for length in np.clip(spread, 10, 2_000)]


def ours(times: int) -> float:
    """Microseconds of a batch."""
    from itertools import islice

    from ulmfit.data.documents import FlatDocuments
    from ulmfit.data.loaders import LMDataLoader

    offsets = np.cumsum([0, *lengths_of(times)], dtype=np.int64)
    ids = np.random.default_rng(0).integers(9, 30_000, offsets[-1]).astype(np.uint16)
    batches = iter(LMDataLoader(FlatDocuments(ids, offsets), bs=64, seq_len=72, shuffle=True))
    list(islice(batches, SKIPPED))
    start, n = time.perf_counter(), 0
    for _ in islice(batches, BATCHES):
        n += 1
    return (time.perf_counter() - start) / n * 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer-python")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--one", type=int, help="measure this library once, at so many times the corpus")
    args = parser.parse_args()
    if args.one:
        print(ours(args.one))
        return
    took: dict[tuple[str, int], list[float]] = {}
    for _ in range(args.rounds):
        for times in (1, 10):
            commands = {"ulmfit": [sys.executable, __file__, "--one", str(times)]}
            if args.peer_python:
                commands["peer"] = [args.peer_python, "-c", PEER, str(lengths_of(times)), str(BATCHES)]
            for side, command in commands.items():
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                took.setdefault((side, times), []).append(float(done.stdout.split()[-1]))
    for (side, times), values in took.items():
        print(f"{side}, {DOCUMENTS * times:,} documents: {statistics.median(values):,.0f} microseconds a batch")
    for side in dict.fromkeys(side for side, _ in took):
        ratio = statistics.median(took[side, 10]) / statistics.median(took[side, 1])
        print(f"{side}: ten times the corpus costs {ratio:.2f} times as much for a batch")
    if hasattr(os, "getloadavg"):
        print(f"load of the machine at the end: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
