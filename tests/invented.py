"""Invented texts for tests."""

from __future__ import annotations

import random

POSITIVE = ["lovely", "warm", "splendid", "delightful", "moving", "clever", "charming", "brilliant", "tender", "superb"]
NEGATIVE = ["dull", "boring", "awful", "clumsy", "tedious", "dreadful", "shallow", "hopeless", "lazy", "wretched"]
NEUTRAL = [
    "the",
    "a",
    "film",
    "story",
    "actor",
    "scene",
    "plot",
    "music",
    "camera",
    "ending",
    "with",
    "and",
    "of",
    "in",
    "was",
    "is",
]


def make_reviews(n: int, seed: int = 0) -> tuple[list[str], list[str]]:
    """Invented reviews whose label a model learns within seconds: for tests of the path, not of its quality."""
    rng = random.Random(seed)
    texts, labels = [], []
    for i in range(n):
        label = "neg" if i % 2 else "pos"
        words = rng.choices(POSITIVE if label == "pos" else NEGATIVE, k=4) + rng.choices(NEUTRAL, k=rng.randint(4, 30))
        rng.shuffle(words)
        texts.append(" ".join(words).capitalize() + ".")
        labels.append(label)
    return texts, labels
