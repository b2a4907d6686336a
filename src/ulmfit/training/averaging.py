"""Averages of the weights, which validate better than the last ones: exponential, and NT-ASGD."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from ulmfit.arguments import checked
from ulmfit.errors import ConfigError
from ulmfit.training.callbacks import Callback

if TYPE_CHECKING:
    from torch import Tensor

    from ulmfit.training.learner import Learner


class WeightAverage(Callback):
    """Keeps an average of the weights beside them; validation, and the model after the fit, are the average's.

    Put it before callbacks that save weights. Subclasses say when to average and how much the newest weights count.
    """

    def __init__(self) -> None:
        self.average: list[Tensor] = []
        self.n = 0
        self._in_place = False  # whether the model holds the average, and `average` the weights that are trained

    def newest(self) -> float:
        """How much the newest weights count in the average, in (0, 1]; 1 begins it anew."""
        raise NotImplementedError

    def before_fit(self, learn: Learner) -> None:
        """Begin anew, unless a fit is resumed."""
        if learn.step == 0:
            self.average, self.n, self._in_place = [], 0, False

    def before_epoch(self, learn: Learner) -> None:
        """Go on with the weights that are trained."""
        if self._in_place:
            self._swap(learn)

    @torch.no_grad()
    def after_step(self, learn: Learner) -> None:
        """Take the new weights into the average."""
        weight = self.newest()
        if weight <= 0:
            return
        weights = [p.detach() for p in learn.model.parameters()]
        self.n += 1
        if not self.average:
            self.average = [w.clone() for w in weights]
        else:
            torch._foreach_lerp_(self.average, weights, weight)

    def before_validate(self, learn: Learner) -> None:
        """Let the average be validated."""
        if self.average:
            self._swap(learn)

    def after_fit(self, learn: Learner) -> None:
        """Leave the average in the model."""
        if self.average and not self._in_place:
            self._swap(learn)
        self.average, self._in_place = [], False

    @torch.no_grad()
    def _swap(self, learn: Learner) -> None:
        for p, a in zip(learn.model.parameters(), self.average, strict=True):
            kept = p.detach().clone()
            p.copy_(a)
            a.copy_(kept)
        self._in_place = not self._in_place

    def state(self) -> dict[str, Any]:
        """The average, and whether the model holds it."""
        return {"n": self.n, "in_place": self._in_place, **{f"average.{i}": a for i, a in enumerate(self.average)}}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.n, self._in_place = state["n"], state["in_place"]
        self.average = [state[f"average.{i}"] for i in range(len(state)) if f"average.{i}" in state]


class ExponentialMovingAverage(WeightAverage):
    """Exponential moving average of the weights.

    Args:
        decay: how much of the average stays at each step; less in the first steps, so that the start is soon forgotten.
    """

    @checked
    def __init__(self, decay: float = 0.999) -> None:
        if not 0 < decay < 1:
            raise ConfigError(f"decay={decay} must be between 0 and 1")
        super().__init__()
        self.decay = decay

    def newest(self) -> float:
        """1 - decay, and more in the first steps."""
        return 1 - min(self.decay, (1 + self.n) / (10 + self.n))


class NTASGD(WeightAverage):
    """Plain averaging that begins when validation has not improved for some time; use it with `opt_func=SGD`.

    Args:
        n: validation losses that the newest one must not be better than.

    Source: Merity et al. 2017, "Regularizing and Optimizing LSTM Language Models", section 3 and algorithm 1.
    """

    @checked
    def __init__(self, n: int = 5) -> None:
        if n < 1:
            raise ConfigError(f"n={n} must be at least 1 validation")
        super().__init__()
        self.interval = n
        self.losses: list[float] = []
        self.triggered = False

    def newest(self) -> float:
        """Nothing before the average has begun, then all steps alike."""
        return 1 / (self.n + 1) if self.triggered else 0.0

    def before_fit(self, learn: Learner) -> None:
        """Begin anew, unless a fit is resumed."""
        super().before_fit(learn)
        if learn.step == 0:
            self.losses, self.triggered = [], False

    def after_epoch(self, learn: Learner) -> None:
        """Begin to average if the newest loss is no better than the best of those before the interval."""
        loss = learn.history[-1]["valid_loss"]
        if not self.triggered and len(self.losses) > self.interval:
            self.triggered = loss > min(self.losses[: -self.interval], default=math.inf)
        self.losses.append(loss)

    def state(self) -> dict[str, Any]:
        """The average and the losses."""
        return super().state() | {"losses": self.losses, "triggered": self.triggered}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        super().load_state(state)
        self.losses, self.triggered = list(state["losses"]), state["triggered"]
