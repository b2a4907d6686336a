"""Time and memory of the star import, taking turns with fastai's in processes of their own.

    python benchmarks/star_import.py --peer-python PEER/bin/python --rounds 5

One line of JSON: medians of the seconds and of the largest resident memory (MB) of both, and their ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from rows import add_speed

CODE = """
import json, resource, sys, time
started = time.perf_counter()
from {package}.text.all import *
seconds = time.perf_counter() - started
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
heavy = [name for name in ("spacy", "sklearn", "scipy", "pandas", "matplotlib", "accelerate") if name in sys.modules]
print(json.dumps([seconds, peak, heavy]))
"""


def main() -> None:
    """Take turns, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=Path, help="keep the figures there, too")
    options = parser.parse_args()
    contestants = {"ulmfit": sys.executable, "fastai": options.peer_python}
    found: dict[str, list[list[float]]] = {name: [] for name in contestants}
    heavy: dict[str, list[str]] = {}
    for _ in range(options.rounds):
        for name, python in contestants.items():
            command = [python, "-c", CODE.format(package=name)]
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=dict(os.environ))
            seconds, peak, heavy[name] = json.loads(done.stdout)
            found[name].append([seconds, peak])
    medians = {name: [statistics.median(column) for column in zip(*rows, strict=True)] for name, rows in found.items()}
    result = {
        name: {"seconds": round(s, 2), "peak_mb": round(m), "imports": heavy[name]} for name, (s, m) in medians.items()
    }
    own, peer = medians["ulmfit"], medians["fastai"]
    seconds = [[row[0] for row in found[name]] for name in contestants]
    add_speed(options.rows, "star import", "s", seconds[0], seconds[1], (own[1], peer[1]))
    print(
        json.dumps({**result, "ratio": {"seconds": round(own[0] / peer[0], 3), "memory": round(own[1] / peer[1], 3)}})
    )


if __name__ == "__main__":
    main()
