"""Hooks into the training loop."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any

from ulmfit.errors import ConfigError, UlmfitError

if TYPE_CHECKING:
    from torch import Tensor

    from ulmfit.training.learner import Learner


class StopFit(Exception):
    """Raised by a callback to end the fit after the running batch or epoch."""


class Callback:
    """Does nothing at every point of the loop; override what is needed."""

    def before_fit(self, learn: Learner) -> None:
        """The schedule and the optimizer are ready."""

    def before_epoch(self, learn: Learner) -> None:
        """`learn.epoch` has been set."""

    def after_batch(self, learn: Learner) -> None:
        """A step has been taken; `learn.loss` is its loss."""

    def after_epoch(self, learn: Learner) -> None:
        """The last row of `learn.history` describes the epoch."""

    def after_fit(self, learn: Learner) -> None:
        """The fit has ended, also if by an exception."""


class TerminateOnNaN(Callback):
    """Ends training with an error when the loss is not a number any more."""

    def after_batch(self, learn: Learner) -> None:
        """Check the loss."""
        if not math.isfinite(learn.loss):
            raise UlmfitError(
                f"the loss became {learn.loss} at step {learn.step} of epoch {learn.epoch}; "
                "lower the learning rate, or set precision='fp32' if it is bf16"
            )


class SaveBest(Callback):
    """Keeps the weights of the best epoch in memory, over one or several fits.

    Args:
        monitor: a column of the history, "valid_loss" or a metric's name.
        higher_is_better: whether the best value is the highest.
    """

    def __init__(self, monitor: str = "valid_loss", *, higher_is_better: bool = False) -> None:
        self.monitor = monitor
        self.sign = 1.0 if higher_is_better else -1.0
        self.row: dict[str, Any] = {}
        self._weights: dict[str, Tensor] = {}

    def after_epoch(self, learn: Learner) -> None:
        """Keep the weights if the monitored value is better than ever before."""
        row = learn.history[-1]
        if self.monitor not in row:
            raise ConfigError(f"monitor {self.monitor!r} is not in the history; it has {', '.join(row)}")
        best = self.row.get(self.monitor, math.nan)
        if math.isnan(best) or self.sign * row[self.monitor] > self.sign * best:
            self.row = dict(row)
            self._weights = copy.deepcopy(learn.model.state_dict())

    def restore(self, learn: Learner) -> None:
        """Put the best weights back into the model."""
        if self._weights:
            learn.model.load_state_dict(self._weights)
