"""Learning-rate and momentum schedules: pure functions of the progress of a fit, from 0 to 1."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ulmfit.arguments import checked, positive
from ulmfit.errors import ConfigError


class Hyper(NamedTuple):
    """What a schedule sets at a step.

    Args:
        lr: factor on the maximum learning rate of each group.
        mom: momentum (Adam's first beta).
    """

    lr: float
    mom: float


HIGHEST = 100  # rate; the AWD-LSTM paper trains with SGD at 30
Schedule = Callable[[float], Hyper]


def _check_share(pct_start: float) -> None:
    if not 0 <= pct_start <= 1:
        raise ConfigError(f"pct_start={pct_start} must be between 0 and 1")


def _cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


@checked
def one_cycle(
    *,
    moms: tuple[float, float, float] = (0.8, 0.7, 0.8),
    div: float = 25.0,
    div_final: float = 1e5,
    pct_start: float = 0.25,
) -> Schedule:
    """Warm up to the maximum learning rate, then anneal to almost nothing, with momentum the other way round.

    Args:
        moms: momentum at the start, at the maximum learning rate, and at the end.
        div: the learning rate starts at the maximum divided by this.
        div_final: and ends at the maximum divided by this.
        pct_start: share of the fit that warms up.

    Source: Smith 2018, "A disciplined approach to neural network hyper-parameters", with cosine annealing.
    """
    _check_share(pct_start)
    if not all(0 <= mom < 1 for mom in moms):
        raise ConfigError(f"moms={moms} must be three numbers in [0, 1): at the start, the middle and the end")
    positive(div=div, div_final=div_final)

    def schedule(progress: float) -> Hyper:
        if progress < pct_start:
            p = progress / pct_start
            return Hyper(_cosine(1 / div, 1.0, p), _cosine(moms[0], moms[1], p))
        p = (progress - pct_start) / (1 - pct_start) if pct_start < 1 else 1.0
        return Hyper(_cosine(1.0, 1 / div_final, p), _cosine(moms[1], moms[2], p))

    return schedule


@checked
def slanted_triangular(*, cut_frac: float = 0.1, ratio: float = 32.0, mom: float = 0.8) -> Schedule:
    """Warm up in a short straight line to the maximum learning rate, and fall in a long one.

    Args:
        cut_frac: share of the fit that warms up.
        ratio: the learning rate starts and ends at the maximum divided by this.
        mom: momentum, constant.

    Source: Howard and Ruder 2018, "Universal Language Model Fine-tuning for Text Classification", equation 3.
    """
    if not 0 < cut_frac < 1:
        raise ConfigError(f"cut_frac={cut_frac} must be between 0 and 1")
    positive(ratio=ratio)

    def schedule(progress: float) -> Hyper:
        height = progress / cut_frac if progress < cut_frac else (1 - progress) / (1 - cut_frac)
        return Hyper((1 + height * (ratio - 1)) / ratio, mom)

    return schedule


@checked
def trapezoid(*, warm_up: float = 0.02, fall: float = 0.3, mom: float = 0.8) -> Schedule:
    """Warm up to the maximum learning rate, stay there, and fall to zero in a straight line at the end.

    Unlike with one cycle, a run can be made longer: until the fall begins, its steps do not depend on its length.

    Args:
        warm_up: share of the fit that warms up.
        fall: share of the fit, at its end, in which the learning rate falls.
        mom: momentum all the time.

    Source: Haegele et al. 2024, "Scaling Laws and Compute-Optimal Training Beyond Fixed Training Durations".
    """
    if not (warm_up >= 0 and fall >= 0 and warm_up + fall <= 1):
        raise ConfigError(f"warm_up={warm_up} and fall={fall} must not be negative, and at most 1 together")

    def schedule(progress: float) -> Hyper:
        rise = (progress / warm_up + 0.01) if warm_up else 1.0
        decline = (1 - progress) / fall if fall else 1.0
        return Hyper(max(1e-5, min(1.0, rise, decline)), mom)

    return schedule


@checked
def constant(mom: float = 0.8) -> Schedule:
    """The maximum learning rate all the time."""
    return lambda progress: Hyper(1.0, mom)


@checked
def flat_cos(*, mom: float = 0.8, div_final: float = 1e5, pct_start: float = 0.75) -> Schedule:
    """The maximum learning rate, then annealing to almost nothing.

    Args:
        mom: momentum, constant.
        div_final: the learning rate ends at the maximum divided by this.
        pct_start: share of the fit before annealing starts.
    """
    _check_share(pct_start)
    positive(div_final=div_final)

    def schedule(progress: float) -> Hyper:
        if progress < pct_start or pct_start == 1:
            return Hyper(1.0, mom)
        return Hyper(_cosine(1.0, 1 / div_final, (progress - pct_start) / (1 - pct_start)), mom)

    return schedule


@checked
def warm_restarts(n_cycles: int, cycle_mult: float = 2, *, mom: float = 0.8) -> Schedule:
    """Annealing to nothing again and again.

    Args:
        n_cycles: number of cycles.
        cycle_mult: a cycle is so many times as long as the one before.
        mom: momentum, constant.

    Source: Loshchilov and Hutter 2016, "SGDR: Stochastic Gradient Descent with Warm Restarts".
    """
    lengths = [cycle_mult**i for i in range(n_cycles)]
    ends = [sum(lengths[: i + 1]) / sum(lengths) for i in range(n_cycles)]

    def schedule(progress: float) -> Hyper:
        cycle = next((i for i, end in enumerate(ends) if progress < end), n_cycles - 1)
        start = ends[cycle - 1] if cycle else 0.0
        return Hyper(_cosine(1.0, 0.0, (progress - start) / (ends[cycle] - start)), mom)

    return schedule


@checked
def exponential(start: float, end: float, *, mom: float = 0.8) -> Schedule:
    """From one learning rate to another in geometric progression, for the search of a learning rate."""
    return lambda progress: Hyper(start * (end / start) ** progress, mom)


def group_rates(lr: float | slice, n_groups: int) -> list[float]:
    """A maximum learning rate for each parameter group, lowest first.

    Args:
        lr: one rate for all groups; `slice(low, high)` for rates in geometric progression from the lowest group to the
            highest; `slice(high)` for `high` in the last group and a tenth of it in the others.
        n_groups: number of groups.

    Raises:
        ConfigError: a rate is missing or not positive.

    Source: Howard and Ruder 2018, section 3.2, discriminative fine-tuning.
    """
    parts: list[object] = [p for p in (lr.start, lr.stop) if p is not None] if isinstance(lr, slice) else [lr]
    if any(isinstance(p, bool) or not isinstance(p, int | float | np.number) for p in parts):
        raise ConfigError(f"lr={lr!r} must be a number, slice(high) or slice(low, high)")
    if isinstance(lr, slice):
        if lr.stop is None or lr.step is not None:
            raise ConfigError(f"lr={lr} must be slice(high) or slice(low, high)")
        high, low = float(lr.stop), lr.start
        if low is None:
            rates = [high / 10] * (n_groups - 1) + [high]
        elif n_groups == 1:
            rates = [high]
        else:
            step = (high / float(low)) ** (1 / (n_groups - 1)) if low > 0 else 0.0
            rates = [float(low) * step**i for i in range(n_groups)]
    else:
        rates = [float(lr)] * n_groups
    if any(not math.isfinite(r) or r <= 0 for r in rates):
        raise ConfigError(f"lr={lr} gives the rates {rates}; each must be a positive number")
    if rates[0] > rates[-1]:
        raise ConfigError(f"lr={lr} has the lower rate behind; write slice({rates[-1]:g}, {rates[0]:g})")
    if rates[-1] > HIGHEST:
        raise ConfigError(f"lr={lr} is far above any rate that trains (Adam 1e-4 to 1e-1, SGD up to {HIGHEST})")
    return rates
