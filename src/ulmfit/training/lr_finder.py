"""The search of a learning rate: a short training with a rising rate, and what its losses suggest."""

from __future__ import annotations

import copy
import inspect
import math
from bisect import bisect_left
from collections import namedtuple
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from ulmfit.arguments import one_of
from ulmfit.data.loaders import Batch
from ulmfit.errors import ConfigError, MissingExtraError, UlmfitError
from ulmfit.training.memory import enough_memory
from ulmfit.training.optimizer import set_hyper
from ulmfit.training.schedules import exponential

if TYPE_CHECKING:
    from ulmfit.training.fitting import Fitting

Floats = NDArray[np.float64]
# From learning rates and smoothed losses of the steps (and, if it takes a third argument, their number) to a rate.
Suggestion = Callable[..., float]
_DIVERGED = 4  # times the best smoothed loss
_SMOOTH = 0.98
_LAST = 5  # steps at the end that are left out


def valley(lrs: Floats, losses: Floats, num_it: int | None = None) -> float:
    """Half of the way down the longest valley: the longest run of falling losses, rises left out of its length."""
    end, length = _longest_fall(losses)
    third = length / 3
    return float(lrs[end - length + int(third) + int(third / 2)])


def steep(lrs: Floats, losses: Floats, num_it: int | None = None) -> float:
    """Where the loss falls fastest over the logarithm of the rate."""
    return float(lrs[int(np.argmin(np.diff(losses) / np.diff(np.log(lrs))))])


def minimum(lrs: Floats, losses: Floats, num_it: int | None = None) -> float:
    """A tenth of the rate where the loss is lowest."""
    return float(lrs[int(np.argmin(losses))]) / 10


def slide(
    lrs: Floats,
    losses: Floats,
    num_it: int | None = None,
    lr_diff: int = 15,
    thresh: float = 0.005,
    adjust_value: float = 1.0,
) -> float:
    """Just before the slope of the loss begins to change, seen from the end.

    Args:
        lrs: rates.
        losses: smoothed losses.
        num_it: steps of the search; nothing depends on it.
        lr_diff: steps between the two slopes that are compared.
        thresh: a larger difference of the slopes is a change.
        adjust_value: factor on the suggestion.
    """
    lrs, losses = np.asarray(lrs), np.asarray(losses)
    slopes = np.gradient(losses)
    right = len(losses) - 1
    found = lrs[max(0, right - lr_diff)]
    while right - lr_diff >= 0 and abs(slopes[right] - slopes[right - lr_diff]) > thresh:
        found = lrs[right - lr_diff]
        right -= 1
    return float(found) * adjust_value


def _longest_fall(losses: Floats) -> tuple[int, int]:
    """Last place and length of the longest subsequence of falling losses; 0 and 0 if there is no fall."""
    lasts: list[float] = []  # negated last loss of the best subsequence of each length
    end = length = 0
    for i, loss in enumerate(losses):
        at = bisect_left(lasts, -loss)
        lasts[at : at + 1] = [-loss]
        if len(lasts) > max(1, length):
            end, length = i, len(lasts)
    return end, length


def lr_find(
    learn: Fitting,
    start_lr: float = 1e-7,
    end_lr: float = 10.0,
    num_it: int = 100,
    *,
    stop_div: bool = True,
    show_plot: bool | None = None,
    suggest_funcs: Suggestion | str | Sequence[Suggestion | str] = valley,
) -> tuple[float, ...]:
    """Train a little with a rising learning rate and suggest one. Model, optimizer and history stay as they were.

    Args:
        learn: the learner.
        start_lr: first rate.
        end_lr: last rate.
        num_it: steps.
        stop_div: stop when the loss is four times the best.
        show_plot: draw losses over rates; by default if matplotlib is installed; else a line says what to install.
        suggest_funcs: one or several of `valley`, `slide`, `minimum`, `steep`, as functions or names, or others of
            `(lrs, losses)` or `(lrs, losses, num_it)`.

    Returns:
        a named tuple of the suggestions, under the names of their functions.

    Raises:
        ConfigError: rates or numbers that make no sense.
        UlmfitError: the loss diverged before there was enough to see.
        MissingExtraError: a plot is asked for and matplotlib is not installed.

    Source: Smith 2015, "Cyclical Learning Rates for Training Neural Networks", section 3.3.
    """
    one = isinstance(suggest_funcs, str) or callable(suggest_funcs)
    functions = [_function(f) for f in cast("Sequence[Any]", [suggest_funcs] if one else suggest_funcs)]
    if not 0 < start_lr < end_lr < math.inf or num_it < 10:
        raise ConfigError(
            f"start_lr={start_lr} must be positive and below end_lr={end_lr}, and num_it={num_it} at least 10"
        )
    with _as_it_was(learn):
        lrs, losses = _try(learn, start_lr, end_lr, num_it, stop_div)
    kept = slice(num_it // 10, -_LAST)
    lrs, losses = lrs[kept], losses[kept]
    if len(lrs) < 2:
        raise UlmfitError(f"the loss diverged at once; begin with a lower rate than start_lr={start_lr}, or end lower")
    found = {_name(f): float(_suggest(f, lrs, losses, num_it)) for f in functions}
    make: Any = namedtuple("SuggestedLRs", found)  # type: ignore[misc]
    suggestions: tuple[float, ...] = make(**found)
    learn.recorder.search = lrs, losses
    if show_plot is not False:
        try:
            learn.recorder.plot_lr_find(suggestions)
        except MissingExtraError as missing:
            if show_plot:
                raise
            learn.console.print(f"Nothing is drawn: {missing}", markup=False, highlight=False, soft_wrap=True)
    return suggestions


def _function(given: Suggestion | str) -> Suggestion:
    known: dict[str, Suggestion] = {f.__name__: f for f in (valley, slide, minimum, steep)}
    if isinstance(given, str) and given not in known:
        raise ConfigError(f"suggest_funcs: {given!r} is not known; {one_of(given, known)}")
    return known[given] if isinstance(given, str) else given


def _suggest(function: Suggestion, lrs: Floats, losses: Floats, num_it: int) -> float:
    try:
        inspect.signature(function).bind(lrs, losses, num_it)
    except (TypeError, ValueError):
        return function(lrs, losses)
    return function(lrs, losses, num_it)


def _name(function: Any) -> str:
    name = str(getattr(function, "__name__", None) or function.func.__name__)  # of a partial, what is inside
    return name if name.isidentifier() else "suggestion"  # a lambda has no name


def _try(learn: Fitting, start_lr: float, end_lr: float, num_it: int, stop_div: bool) -> tuple[Floats, Floats]:
    """Rates and smoothed losses of the steps."""
    schedule = exponential(start_lr, end_lr, mom=learn.moms[0])
    rates = [1.0] * len(learn.groups)
    lrs: list[float] = []
    losses: list[float] = []
    average, best = 0.0, math.inf
    with learn.private_randomness(), enough_memory():
        learn.model.train()
        for step, batch in enumerate(_forever(learn)):
            hyper = schedule(step / num_it)
            set_hyper(learn.optimizer, rates, hyper)
            learn.train_batch(batch)
            average = _SMOOTH * average + (1 - _SMOOTH) * learn.loss
            smooth = average / (1 - _SMOOTH ** (step + 1))
            if not math.isfinite(smooth):
                break
            lrs.append(hyper.lr)
            losses.append(smooth)
            best = min(best, smooth)
            if step + 1 >= num_it or (stop_div and smooth > _DIVERGED * best):
                break
    return np.array(lrs), np.array(losses)


def _forever(learn: Fitting) -> Iterator[Batch]:
    """Batches of the training part, pass after pass."""
    n = 0
    while True:
        learn.dls.train.set_epoch(learn.passes + n)
        learn.reset()
        yield from learn.dls.train
        n += 1


@contextmanager
def _as_it_was(learn: Fitting) -> Iterator[None]:
    """Put everything back that training changes, from memory."""
    model = copy.deepcopy(learn.model.state_dict())
    optimizer = copy.deepcopy(learn.optimizer.state_dict())
    scaler, random = learn.scaler.state_dict(), learn.random_state()
    counts = {n: getattr(learn, n) for n in ("step", "n_steps", "n_targets", "loss", "smooth_loss")}
    learn.optimizer.zero_grad(set_to_none=True)
    try:
        yield
    finally:
        learn.model.load_state_dict(model)
        learn.optimizer.load_state_dict(optimizer)
        learn.optimizer.zero_grad(set_to_none=True)
        if scaler:
            learn.scaler.load_state_dict(scaler)
        learn.set_random_state(random)
        for name, value in counts.items():
            setattr(learn, name, value)
        learn.forget_batch()
        learn.reset()
