"""Curves of one number, and the callback that sets learning rate, momentum or weight decay by them in any fit.

A curve is a function of the progress, from 0 to 1. Values may be arrays with one number for each parameter group.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np

from ulmfit.arguments import checked, one_of
from ulmfit.errors import ConfigError
from ulmfit.training.callbacks import Callback

if TYPE_CHECKING:
    from ulmfit.training.learner import Learner

Curve = Callable[[float], Any]


def SchedNo(start: Any, end: Any) -> Curve:
    """The start all the time."""
    return lambda progress: start


def SchedLin(start: Any, end: Any) -> Curve:
    """A straight line."""
    return lambda progress: start + progress * (end - start)


def SchedCos(start: Any, end: Any) -> Curve:
    """Half of a cosine."""
    return lambda progress: start + (1 + math.cos(math.pi * (1 - progress))) * (end - start) / 2


def SchedExp(start: Any, end: Any) -> Curve:
    """A geometric progression."""
    return lambda progress: start * (end / start) ** progress


def SchedPoly(start: Any, end: Any, power: float) -> Curve:
    """A power of the progress."""
    return lambda progress: start + (end - start) * progress**power


def sched_no(start: Any, end: Any, pos: float) -> Any:
    """The value of `SchedNo` at this progress."""
    return SchedNo(start, end)(pos)


def sched_lin(start: Any, end: Any, pos: float) -> Any:
    """The value of `SchedLin` at this progress."""
    return SchedLin(start, end)(pos)


def sched_cos(start: Any, end: Any, pos: float) -> Any:
    """The value of `SchedCos` at this progress."""
    return SchedCos(start, end)(pos)


def sched_exp(start: Any, end: Any, pos: float) -> Any:
    """The value of `SchedExp` at this progress."""
    return SchedExp(start, end)(pos)


@checked
def combine_scheds(pcts: Sequence[float], scheds: Sequence[Curve]) -> Curve:
    """Curves one behind the other.

    Args:
        pcts: share of each, 1 together.
        scheds: the curves.

    Raises:
        ConfigError: the shares do not make 1, or are not as many as the curves.
    """
    if len(pcts) != len(scheds) or not pcts or min(pcts) < 0 or not math.isclose(sum(pcts), 1, abs_tol=1e-6):
        raise ConfigError(f"pcts={list(pcts)} must be {len(scheds)} shares, one for each curve, that are 1 together")
    ends = [0.0, *accumulate(pcts)]

    def combined(progress: float) -> Any:
        i = min(bisect_right(ends, progress), len(scheds)) - 1
        return scheds[i](min(1.0, (progress - ends[i]) / pcts[i]) if pcts[i] else 1.0)

    return combined


def combined_cos(pct: float, start: Any, middle: Any, end: Any) -> Curve:
    """From start to middle in `pct` of the fit, then to the end, each as half of a cosine."""
    return combine_scheds([pct, 1 - pct], [SchedCos(start, middle), SchedCos(middle, end)])


class ParamScheduler(Callback):
    """Sets what it is given before each batch, in the place of what the fit itself would set.

    Args:
        scheds: curves by name: "lr" (of all groups, or an array of one for each), "mom", "wd".

    Raises:
        ConfigError: another name, or something that is no curve.
    """

    @checked
    def __init__(self, scheds: dict[str, Curve]) -> None:
        known = ("lr", "mom", "wd")
        for name, curve in scheds.items():
            if name not in known:
                raise ConfigError(f"ParamScheduler: {name!r} cannot be set; {one_of(name, known)}")
            if not callable(curve):
                raise ConfigError(f"ParamScheduler: {name}={curve!r} must be a curve, such as SchedCos(1e-3, 1e-5)")
        self.scheds = scheds

    def before_batch(self, learn: Learner) -> None:
        """Set the values.

        Raises:
            ConfigError: an array of another number of values than there are groups.
        """
        for name, curve in self.scheds.items():
            values = np.atleast_1d(np.asarray(curve(learn.progress), dtype=float))
            if len(values) not in (1, len(learn.groups)):
                raise ConfigError(f"{name} has {len(values)} values, and the model {len(learn.groups)} groups")
            for group in learn.optimizer.param_groups:
                value = float(values[group["group"] % len(values)])
                if name == "lr":
                    group["lr"] = value * learn.rate_factor
                elif name == "wd":
                    group["weight_decay"] = value if group["decayed"] else 0.0
                elif "betas" in group:
                    group["betas"] = (value, *group["betas"][1:])
                else:
                    group["momentum"] = value
