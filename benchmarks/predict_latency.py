"""Latency of one text and documents per second of a Predictor, with an idle and with a busy second core.

    python benchmarks/predict_latency.py MODEL

Texts have 183 words, the median of IMDb reviews. A busy core is another process that counts.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import time

import numpy as np

import ulmfit
from ulmfit.inference.answers import TextPredictor

WORDS = [
    "the",
    "a",
    "film",
    "story",
    "actor",
    "was",
    "good",
    "bad",
    "and",
    "of",
    "in",
    "with",
    "plot",
    "music",
    "ending",
    "never",
    "always",
    "i",
    "it",
    "this",
    "that",
    "so",
]


def texts(n: int) -> list[str]:
    """Texts of 183 words, the same each time."""
    rng = random.Random(0)
    return [" ".join(rng.choices(WORDS, k=183)) for _ in range(n)]


def latency(predictor: TextPredictor, n: int = 30) -> str:
    """Median and 95th percentile of single texts, in milliseconds."""
    seconds = []
    for text in texts(n + 3):
        started = time.perf_counter()
        predictor.predict(text)
        seconds.append(time.perf_counter() - started)
    p50, p95 = np.percentile(seconds[3:], [50, 95]) * 1000
    return f"one text: p50 {p50:.1f} ms, p95 {p95:.1f} ms"


def throughput(predictor: TextPredictor, n: int = 512) -> str:
    """Documents per second of many texts."""
    started = time.perf_counter()
    predictor.predict(texts(n))
    return f"{n} texts: {n / (time.perf_counter() - started):.0f} documents/s"


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    model = parser.parse_args().model
    for threads in (None, 1, 2):
        predictor = ulmfit.load(model, threads=threads)
        name = "default" if threads is None else f"threads={threads}"
        print(f"{name}, idle: {latency(predictor)}; {throughput(predictor)}")
        busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        try:
            print(f"{name}, a busy core: {latency(predictor)}")
        finally:
            busy.kill()
            busy.wait()


if __name__ == "__main__":
    main()
