"""From a model folder to what predicts with it."""

from __future__ import annotations

from pathlib import Path

from ulmfit.inference.answers import TextPredictor
from ulmfit.inference.folder import read_config
from ulmfit.inference.onnx_predictor import ONNX_CLASSIFIER, OnnxPredictor


def load(path: str | Path, *, threads: int | None = None) -> TextPredictor:
    """The predictor of a model folder: a `Predictor`, or of a folder that `ulmfit export` wrote an `OnnxPredictor`.

    Args:
        path: the folder.
        threads: of the processor, for each call.

    Raises:
        FormatError: not a whole folder of a classifier.
    """
    if read_config(Path(path)).get("kind") == ONNX_CLASSIFIER:
        return OnnxPredictor(path, threads=threads)
    from ulmfit.inference.predictor import Predictor  # brings torch

    return Predictor.load(path, threads=threads)
