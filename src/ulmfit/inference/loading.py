"""From a model folder to what predicts with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ulmfit.inference.predictor import Predictor


def load(path: str | Path, *, threads: int | None = None) -> Predictor:
    """The predictor of a model folder; see `Predictor`."""
    from ulmfit.inference.predictor import Predictor

    return Predictor.load(path, threads=threads)
