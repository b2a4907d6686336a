"""Metrics of a validation pass: each sees every batch once and gives one number."""

from __future__ import annotations

import math
from typing import Protocol

from torch import Tensor

from ulmfit.errors import ConfigError


class Output(Protocol):
    """What the models return."""

    ar: Tensor
    tar: Tensor

    def cross_entropy(self, target: Tensor) -> Tensor:
        """Mean loss against the target."""

    def predictions(self) -> Tensor:
        """The likeliest class or token of each place of the target."""


class Metric(Protocol):
    """Collects over a validation pass."""

    name: str
    higher_is_better: bool

    def reset(self) -> None:
        """Forget what was collected."""

    def update(self, output: Output, target: Tensor, loss: float) -> None:
        """Take one batch; `loss` is its mean loss."""

    def value(self) -> float:
        """The figure for all batches since `reset`."""


class Accuracy:
    """Share of right predictions."""

    name = "accuracy"
    higher_is_better = True

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget what was collected."""
        self.right = 0
        self.n = 0

    def update(self, output: Output, target: Tensor, loss: float) -> None:
        """Take one batch."""
        self.right += int((output.predictions() == target).sum())
        self.n += target.numel()

    def value(self) -> float:
        """In [0, 1]; NaN when nothing was seen."""
        return self.right / self.n if self.n else math.nan


class Perplexity:
    """Exponential of the mean loss."""

    name = "perplexity"
    higher_is_better = False

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget what was collected."""
        self.total = 0.0
        self.n = 0

    def update(self, output: Output, target: Tensor, loss: float) -> None:
        """Take one batch."""
        self.total += loss * target.numel()
        self.n += target.numel()

    def value(self) -> float:
        """At least 1; infinity where it is too large for a float, NaN when nothing was seen."""
        if not self.n:
            return math.nan
        mean = self.total / self.n
        return math.exp(mean) if mean < 700 else math.inf


def make_metric(metric: str | Metric) -> Metric:
    """A metric by name, or the metric itself.

    Raises:
        ConfigError: the name is not known.
    """
    if not isinstance(metric, str):
        return metric
    known: dict[str, type[Accuracy] | type[Perplexity]] = {"accuracy": Accuracy, "perplexity": Perplexity}
    if metric not in known:
        raise ConfigError(f"metric {metric!r} is not known; choose from {', '.join(known)}")
    return known[metric]()
