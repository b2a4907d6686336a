from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch


# The models of the tests are so small that a second thread only waits, for long on a busy machine.
torch.set_num_threads(1)


@pytest.fixture
def data_folder() -> Path:
    """The real data sets that slow tests use; they are not part of the project."""
    folder = Path(__file__).parents[1].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real data sets are not here (looked in ../shared/data)")
    return folder


@pytest.fixture(autouse=True)
def _seed() -> None:
    """Tests that draw from torch's global generator draw the same each time."""
    torch.manual_seed(0)


POSITIVE = "lovely warm splendid delightful moving clever charming brilliant tender superb".split()
NEGATIVE = "dull boring awful clumsy tedious dreadful shallow hopeless lazy wretched".split()
NEUTRAL = "the a film story actor scene plot music camera ending with and of in was is".split()


def make_reviews(n: int, seed: int = 0) -> tuple[list[str], list[str]]:
    """Invented reviews whose label a model can learn within seconds, for tests of the path, not of its quality."""
    rng = random.Random(seed)
    texts, labels = [], []
    for i in range(n):
        label = "neg" if i % 2 else "pos"
        words = rng.choices(POSITIVE if label == "pos" else NEGATIVE, k=4) + rng.choices(NEUTRAL, k=rng.randint(4, 30))
        rng.shuffle(words)
        texts.append(" ".join(words).capitalize() + ".")
        labels.append(label)
    return texts, labels
