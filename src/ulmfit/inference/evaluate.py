"""How good a classifier is on labelled texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, f1_score, log_loss

from ulmfit.errors import DataError
from ulmfit.inference.predictor import Predictor


def evaluate(predictor: Predictor, texts: Sequence[str], labels: Sequence[str]) -> dict[str, Any]:
    """Accuracy, macro-averaged F1 and mean log loss of a predictor on N labelled texts.

    Raises:
        DataError: there are no texts, or a label that the model does not know.
    """
    if not len(texts):
        raise DataError("there are no texts to evaluate on")
    unknown = sorted(set(labels) - set(predictor.labels))
    if unknown:
        raise DataError(
            f"labels that the model does not know: {', '.join(unknown)}; it knows {', '.join(predictor.labels)}"
        )
    probabilities = predictor.predict_proba(texts).astype(np.float64)
    probabilities /= probabilities.sum(1, keepdims=True)  # float32 rows miss 1 by more than scikit-learn accepts
    said = np.array(predictor.labels)[probabilities.argmax(1)]
    return {
        "n": len(texts),
        "accuracy": float(accuracy_score(labels, said)),
        "macro_f1": float(f1_score(labels, said, labels=list(predictor.labels), average="macro", zero_division=0.0)),
        "log_loss": float(log_loss(labels, probabilities, labels=list(predictor.labels))),
    }
