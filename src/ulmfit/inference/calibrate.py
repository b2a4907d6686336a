"""Probabilities that can be trusted: temperature scaling, thresholds, and what they are worth.

N documents, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ulmfit.data.labelling import MULTI_LABEL, SINGLE_LABEL
from ulmfit.errors import DataError, FormatError

Floats = NDArray[np.floating[Any]]
_BOUNDS = (0.05, 20.0)  # of a temperature
_BINS = 15
_DOUBT = 2.0  # a prior of standard deviation 0.5 on the logarithm: few texts, all of them right, prove no certainty


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What was fitted on texts that the model had not learned from by then.

    Args:
        temperature: by which logits are divided; 1 changes nothing.
        n: texts it was fitted on; 0 for none.
        ece_before: expected calibration error on them before. After fitting on the same texts it flatters a little.
        ece_after: and after.
        thresholds: from which probability on a class applies, by label, for texts with any number of classes.
    """

    temperature: float = 1.0
    n: int = 0
    ece_before: float | None = None
    ece_after: float | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as written to JSON."""
        return asdict(self) | {"thresholds": dict(self.thresholds)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read back what `to_dict` gave; nothing gives no calibration.

        Raises:
            FormatError: values that are none.
        """
        try:
            read = cls(**values)
            ok = 0 < read.temperature < float("inf") and all(0 <= t <= 1 for t in read.thresholds.values())
        except (TypeError, AttributeError) as error:
            raise FormatError(f"the calibration of the model is damaged: {error}") from error
        if not ok:
            raise FormatError("the calibration of the model is damaged: a temperature or threshold out of its range")
        return read


def probabilities(logits: Floats, task: str, temperature: float = 1.0) -> Floats:
    """Of the classes (N, C), from logits (N, C) of a "single_label" or "multi_label" task."""
    from scipy.special import expit, softmax  # a fifth of a second, which not every program needs

    scaled = logits / temperature
    result: Floats = softmax(scaled, axis=1) if task == SINGLE_LABEL else expit(scaled)
    return result


def fit_calibration(logits: Floats, target: NDArray[Any], task: str, labels: tuple[str, ...]) -> Calibration:
    """Fit temperature and thresholds.

    Args:
        logits: (N, C).
        target: class ids (N,), or for "multi_label" 0 and 1 (N, C).
        task: "single_label" or "multi_label".
        labels: C names.

    Raises:
        DataError: there are no texts.
    """
    if not len(logits):
        raise DataError("there are no texts to calibrate on")
    logits = logits.astype(np.float64)
    temperature = fit_temperature(logits, target, task)
    before, after = probabilities(logits, task), probabilities(logits, task, temperature)
    multi = task == MULTI_LABEL
    return Calibration(
        temperature=temperature,
        n=len(logits),
        ece_before=expected_calibration_error(before, target),
        ece_after=expected_calibration_error(after, target),
        thresholds=dict(zip(labels, tune_thresholds(after, target).tolist(), strict=True)) if multi else {},
    )


def fit_temperature(logits: Floats, target: NDArray[Any], task: str = SINGLE_LABEL) -> float:
    """The temperature that makes the targets likeliest, within 0.05 to 20; arguments as for `fit_calibration`.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        doubt = _DOUBT * log_temperature**2 / len(logits)
        if task == SINGLE_LABEL:
            return doubt + float(-log_softmax(scaled, axis=1)[np.arange(len(target)), target].mean())
        return doubt + float((np.logaddexp(0, scaled) - target * scaled).mean())

    found = minimize_scalar(loss, bounds=np.log(_BOUNDS), method="bounded", options={"xatol": 1e-4})
    return float(np.exp(found.x))


@dataclass(frozen=True)
class Bin:
    """Predictions of similar confidence.

    Args:
        low: confidence from here
        high: to here.
        n: predictions.
        confidence: their mean.
        accuracy: the share of them that is right.
    """

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


def reliability(probabilities: Floats, target: NDArray[Any], bins: int = _BINS) -> list[Bin]:
    """Confidence against accuracy, in bins of equal width; bins without predictions are left out.

    Args:
        probabilities: (N, C).
        target: class ids (N,), of which the likeliest class counts; or 0 and 1 (N, C), of which every class counts.
        bins: how many.
    """
    if target.ndim == 1:
        confidence, right = probabilities.max(1), probabilities.argmax(1) == target
    else:
        confidence, right = probabilities.ravel(), target.ravel() > 0.5
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    found = []
    for i in range(bins):
        here = place == i
        if here.any():
            means = float(confidence[here].mean()), float(right[here].mean())
            found.append(Bin(i / bins, (i + 1) / bins, int(here.sum()), *means))
    return found


def expected_calibration_error(probabilities: Floats, target: NDArray[Any], bins: int = _BINS) -> float:
    """Mean distance between confidence and accuracy; arguments as for `reliability`.

    Source: Naeini et al. 2015, "Obtaining Well Calibrated Probabilities Using Bayesian Binning".
    """
    table = reliability(probabilities, target, bins)
    return sum(b.n * abs(b.confidence - b.accuracy) for b in table) / sum(b.n for b in table)


def tune_thresholds(probabilities: Floats, target: NDArray[Any]) -> NDArray[np.float64]:
    """For each class the threshold (C,) with the best F1; 0.5 for a class that no text has.

    Args:
        probabilities: (N, C).
        target: 0 and 1 (N, C).
    """
    thresholds = np.full(probabilities.shape[1], 0.5)
    for c in np.flatnonzero(target.sum(0) > 0):
        order = np.argsort(-probabilities[:, c], kind="stable")
        values, hits = probabilities[order, c], np.cumsum(target[order, c])
        f1 = 2 * hits / (np.arange(1, len(values) + 1) + hits[-1])
        f1[np.flatnonzero(values[:-1] == values[1:])] = -1  # equal values stand on one side
        best = int(f1.argmax())
        below = values[best + 1] if best + 1 < len(values) else 0.0
        thresholds[c] = (values[best] + below) / 2
    return thresholds


@dataclass(frozen=True)
class Coverage:
    """What is left when the model may abstain.

    Args:
        abstain_below: answers with a smaller probability are not given.
        coverage: the share of texts that get an answer.
        accuracy: of these answers; None if there are none.
    """

    abstain_below: float
    coverage: float
    accuracy: float | None


def coverage_curve(probabilities: Floats, target: NDArray[Any], points: int = 20) -> list[Coverage]:
    """Coverage and accuracy at rising thresholds, as for `predict(abstain_below=)`.

    Args:
        probabilities: (N, C).
        target: class ids (N,).
        points: number of thresholds, from 0 to just below 1.
    """
    confidence, right = probabilities.max(1), probabilities.argmax(1) == target
    curve = []
    for threshold in np.arange(points) / points:
        given = confidence >= threshold
        accuracy = float(right[given].mean()) if given.any() else None
        curve.append(Coverage(float(threshold), float(given.mean()), accuracy))
    return curve
