"""How good a classifier is on labelled texts: figures for one class, several classes, and values.

N documents, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ulmfit.data.cells import label_name
from ulmfit.data.labelling import MULTI_LABEL, REGRESSION, SINGLE_LABEL
from ulmfit.data.targets import Measurement, MultiLabel
from ulmfit.errors import ConfigError, DataError, named
from ulmfit.inference.answers import TextPredictor
from ulmfit.inference.calibrate import expected_calibration_error

_TINY = 1e-7  # of a probability, for a logarithm


def evaluate(predictor: TextPredictor, texts: Sequence[str], labels: Sequence[Any]) -> dict[str, Any]:
    """The figures of a predictor on N labelled texts.

    For one class each: accuracy, macro-averaged F1 (over the classes that some text has, or is said to have), mean log
    loss, calibration error. For several classes: micro- and
    macro-averaged F1 and the share of texts with exactly the right classes, at the model's thresholds; mean log loss
    and calibration error over all classes. For values: mean absolute error, root mean squared error and R2.

    Args:
        predictor: the model.
        texts: N texts.
        labels: for each a class, a list of classes, or a value.

    Raises:
        DataError: there are no texts, a label that the model does not know, or a value that is no number.
    """
    target = target_of(predictor, labels)
    return figures_of(predictor, predictor.outputs(texts), target)


def figures_of(predictor: TextPredictor, outputs: NDArray[np.float32], target: NDArray[Any]) -> dict[str, Any]:
    """What `evaluate` gives, from the predictor's numbers (N, C) for the texts, and what `target_of` gives."""
    if predictor.task == REGRESSION:
        return value_figures(outputs, target)
    said = predictor.probabilities(outputs)
    if predictor.task == MULTI_LABEL:
        return multi_label_figures(said, target, predictor.thresholds)
    return figures(said, target)


def figures(probabilities: NDArray[np.floating[Any]], ids: NDArray[np.int64]) -> dict[str, Any]:
    """What `evaluate` gives for one class each, from probabilities (N, C) and class ids (N,)."""
    from sklearn.metrics import accuracy_score, f1_score, log_loss

    probabilities = probabilities.astype(np.float64)
    probabilities /= probabilities.sum(1, keepdims=True)  # float32 rows miss 1 by more than scikit-learn accepts
    said, classes = probabilities.argmax(1), list(range(probabilities.shape[1]))
    return {
        "n": len(ids),
        "accuracy": float(accuracy_score(ids, said)),
        "macro_f1": float(f1_score(ids, said, average="macro", zero_division=0.0)),
        "log_loss": float(log_loss(ids, probabilities, labels=classes)),
        "ece": expected_calibration_error(probabilities, ids),
    }


def multi_label_figures(
    probabilities: NDArray[np.floating[Any]], target: NDArray[Any], thresholds: NDArray[np.float64]
) -> dict[str, Any]:
    """What `evaluate` gives for several classes, from probabilities and 0 or 1 (N, C), and thresholds (C,)."""
    from sklearn.metrics import f1_score

    truth, said = target > 0.5, probabilities >= thresholds
    p = np.clip(probabilities.astype(np.float64), _TINY, 1 - _TINY)
    return {
        "n": len(target),
        "micro_f1": float(f1_score(truth, said, average="micro", zero_division=0.0)),
        "macro_f1": float(f1_score(truth, said, average="macro", zero_division=0.0)),
        "subset_accuracy": float((truth == said).all(1).mean()),
        "log_loss": float(-np.where(truth, np.log(p), np.log1p(-p)).mean()),
        "ece": expected_calibration_error(probabilities, target),
    }


def value_figures(values: NDArray[np.floating[Any]], target: NDArray[Any]) -> dict[str, Any]:
    """What `evaluate` gives for values, from those of the model (N, n) and the true ones (N,) or (N, n)."""
    from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

    target = target.reshape(values.shape)
    return {
        "n": len(target),
        "mae": float(mean_absolute_error(target, values)),
        "rmse": float(root_mean_squared_error(target, values)),
        # Of a single text, or of texts with one and the same value, R2 is not defined.
        "r2": float(r2_score(target, values)) if len(target) > 1 and np.ptp(target, axis=0).all() else None,
    }


_MOST_NAMED = 20
_SHOWN = {"macro_f1": "macro F1", "micro_f1": "micro F1", "ece": "expected calibration error", "r2": "R2"}


def figures_text(figures: Mapping[str, Any]) -> str:
    """Figures in one line, for people."""
    shown = [f"{_SHOWN.get(k, k.replace('_', ' '))} {v:.4f}" for k, v in figures.items() if isinstance(v, float)]
    return f"{', '.join(shown)} on {figures['n']:,} texts"


def target_of(predictor: TextPredictor, labels: Sequence[Any]) -> NDArray[Any]:
    """Labels as numbers: class ids (N,), 0 and 1 (N, C), or values (N,) or (N, n); raises as `evaluate` does."""
    if predictor.task == SINGLE_LABEL:
        return class_ids(predictor, labels)
    if not len(labels):
        raise DataError("there are no texts to evaluate on")
    if predictor.task == REGRESSION:
        return Measurement(predictor.n_outputs).encode(labels, "the values")
    return MultiLabel(predictor.labels).encode(labels, "the labels")


def class_ids(predictor: TextPredictor, labels: Sequence[object]) -> NDArray[np.int64]:
    """The class of each of N texts as its number.

    Raises:
        DataError: there are no texts, or a label that the model does not know.
        ConfigError: the model does not give one class for each text.
    """
    if predictor.task != SINGLE_LABEL:
        raise ConfigError(f"the model's task is {predictor.task}; this is for models of one class for each text")
    if not len(labels):
        raise DataError("there are no texts to evaluate on")
    number = {label: i for i, label in enumerate(predictor.labels)}
    names = [label_name(label) for label in labels]
    if unknown := sorted({str(name) for name in names if name not in number}):
        known = named(predictor.labels, _MOST_NAMED)
        raise DataError(f"labels that the model does not know: {named(unknown, _MOST_NAMED)}; it knows {known}")
    return np.array([number[name] for name in names if name is not None], dtype=np.int64)
