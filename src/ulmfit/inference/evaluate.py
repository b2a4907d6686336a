"""How good a classifier is on labelled texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score, log_loss

from ulmfit.errors import ConfigError, DataError
from ulmfit.inference.bundle import SINGLE_LABEL
from ulmfit.inference.calibrate import Calibration, expected_calibration_error, fit_calibration
from ulmfit.inference.predictor import Predictor


def evaluate(predictor: Predictor, texts: Sequence[str], labels: Sequence[str]) -> dict[str, Any]:
    """Accuracy, macro-averaged F1, mean log loss and calibration error of a predictor on N labelled texts.

    Raises:
        DataError: there are no texts, or a label that the model does not know.
        ConfigError: the model does not give one class for each text.
    """
    ids = class_ids(predictor, labels)
    return figures(predictor.predict_proba(texts), ids)


def figures(probabilities: NDArray[np.floating[Any]], ids: NDArray[np.int64]) -> dict[str, Any]:
    """What `evaluate` gives, from probabilities (N, C) and class ids (N,)."""
    probabilities = probabilities.astype(np.float64)
    probabilities /= probabilities.sum(1, keepdims=True)  # float32 rows miss 1 by more than scikit-learn accepts
    said, classes = probabilities.argmax(1), list(range(probabilities.shape[1]))
    return {
        "n": len(ids),
        "accuracy": float(accuracy_score(ids, said)),
        "macro_f1": float(f1_score(ids, said, labels=classes, average="macro", zero_division=0.0)),
        "log_loss": float(log_loss(ids, probabilities, labels=classes)),
        "ece": expected_calibration_error(probabilities, ids),
    }


def calibrate(predictor: Predictor, texts: Sequence[str], labels: Sequence[str]) -> Calibration:
    """Fit the calibration of a classifier on N texts that it did not learn from; raises as `evaluate` does."""
    return fit_calibration(predictor.outputs(texts), class_ids(predictor, labels), predictor.task, predictor.labels)


def class_ids(predictor: Predictor, labels: Sequence[str]) -> NDArray[np.int64]:
    """The class of each of N texts as its number; raises as `evaluate` does."""
    if predictor.task != SINGLE_LABEL:
        raise ConfigError(f"the model's task is {predictor.task}; only models of one class for each text are evaluated")
    if not len(labels):
        raise DataError("there are no texts to evaluate on")
    unknown = sorted(set(labels) - set(predictor.labels))
    if unknown:
        raise DataError(
            f"labels that the model does not know: {', '.join(unknown)}; it knows {', '.join(predictor.labels)}"
        )
    number = {label: i for i, label in enumerate(predictor.labels)}
    return np.array([number[label] for label in labels], dtype=np.int64)
