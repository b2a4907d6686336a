"""Hooks into the training loop: the base class, and what watches over the loss."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import torch

from ulmfit.arguments import check_names, checked
from ulmfit.errors import ConfigError, UlmfitError

if TYPE_CHECKING:
    from ulmfit.training.learner import Learner


class Cancel(Exception):
    """What callbacks raise to leave something out."""


class CancelFitException(Cancel):
    """Raised by a callback to end the fit."""


class CancelEpochException(Cancel):
    """Raised by a callback, until `after_validate`, to go on with the next epoch, without validation."""


class CancelTrainException(Cancel):
    """Raised by a callback, until the last `after_batch`, to end the epoch's training part: validation follows."""


class CancelValidException(Cancel):
    """Raised by a callback in `before_validate` to leave out the epoch's validation: its figures are NaN."""


class CancelBatchException(Cancel):
    """Raised by a callback to leave out the running batch; not in `after_batch`, where the batch is done."""


class CancelStepException(Cancel):
    """Raised by a callback to make no step: in `after_backward` the gradients are kept, in `before_step` dropped."""


StopFit = CancelFitException


class Callback:
    """Does nothing at every point of the loop; override what is needed, or give functions: `Callback(after_batch=f)`.

    Raises:
        ConfigError: a name that looks like a point of the loop and is none: it would never be called.
    """

    def __init__(self, **hooks: Callable[[Learner], object]) -> None:
        check_names("Callback", hooks, EVENTS)
        vars(self).update(hooks)

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        problems = []
        for name in vars(cls):
            if name in EVENTS or name.startswith("_"):
                continue
            close = get_close_matches(name, EVENTS, n=1, cutoff=0.8)
            if close or name.startswith(("before_", "after_")):
                problems.append(name + (f" (did you mean {close[0]}?)" if close else ""))
        if problems:
            raise ConfigError(
                f"{cls.__name__}: the training loop never calls {', '.join(problems)}; it calls {', '.join(EVENTS)}. "
                "Begin the name of a method of your own otherwise"
            )

    def before_fit(self, learn: Learner) -> None:
        """The schedule and the optimizer are ready."""

    def before_epoch(self, learn: Learner) -> None:
        """`learn.epoch` has been set."""

    def before_train(self, learn: Learner) -> None:
        """The training part of the epoch begins, or goes on."""

    def before_batch(self, learn: Learner) -> None:
        """Learning rates have been set for the batch."""

    def after_pred(self, learn: Learner) -> None:
        """`learn.inputs`, `learn.target` and `learn.output` are there."""

    def after_loss(self, learn: Learner) -> None:
        """`learn.output`, `learn.target` and `learn.loss_grad` (what is differentiated; may be replaced) are there."""

    def after_backward(self, learn: Learner) -> None:
        """The gradients are there."""

    def before_step(self, learn: Learner) -> None:
        """The gradients are final (summed, unscaled, clipped), and `learn.loss` is the loss of all processes."""

    def after_step(self, learn: Learner) -> None:
        """The optimizer has changed the weights."""

    def after_batch(self, learn: Learner) -> None:
        """The batch is done; `learn.loss` is its loss."""

    def after_train(self, learn: Learner) -> None:
        """The training part of the epoch has ended; a fit that is resumed from here begins with the validation."""

    def before_validate(self, learn: Learner) -> None:
        """The validation pass of an epoch begins."""

    def after_validate(self, learn: Learner) -> None:
        """The validation pass of an epoch has ended."""

    def after_epoch(self, learn: Learner) -> None:
        """The last row of `learn.history` describes the epoch."""

    def after_fit(self, learn: Learner) -> None:
        """The fit has ended, also if by an exception."""

    def state(self) -> dict[str, Any]:
        """What a checkpoint must keep: tensors and JSON values by name."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""


EVENTS = tuple(name for name in vars(Callback) if name.startswith(("before_", "after_")))


def hook_of(cb: Callback, event: str) -> Callable[[Any], object] | None:
    """What a callback, its class or the object itself, does at a point of the loop; None for nothing.

    Raises:
        ConfigError: it cannot be called with the learner.
    """
    hook: Callable[[Any], object] = getattr(cb, event)
    if getattr(hook, "__func__", hook) is getattr(Callback, event):
        return None
    try:
        inspect.signature(hook).bind(cb)
    except TypeError as error:
        raise ConfigError(
            f"{type(cb).__name__}.{event} must take the learner and nothing else: def {event}(self, learn)"
        ) from error
    except ValueError:
        pass  # a function of C does not tell
    return hook


class TerminateOnNaN(Callback):
    """Ends training with an error when the loss is not a number any more, before the weights are spoilt."""

    def before_step(self, learn: Learner) -> None:
        """Check the loss, and find out where it went wrong."""
        if math.isfinite(learn.loss):
            return
        bad = next((f"parameter {n}" for n, p in learn.model.named_parameters() if not p.isfinite().all()), "")
        where = f"{bad} is not finite" if bad else f"all parameters are finite, the {_bad_output(learn)} is not"
        raise UlmfitError(
            f"the loss became {learn.loss} at step {learn.step} of epoch {learn.epoch}; {where}. "
            "Lower the learning rate or set clip=1.0"
            + ("" if learn.precision == "fp32" else f", or set precision='fp32' (it is {learn.precision})")
        )


def _bad_output(learn: Learner) -> str:
    for name in ("logits", "hidden"):
        tensor = getattr(learn.output, name, None)
        if tensor is not None and not tensor.isfinite().all():
            return f"tensor {name!r} of the model's output"
    return "loss itself"


class GradientAccumulation(Callback):
    """Steps only when so many rows have been seen, in all processes together, as if they were one batch.

    The gradient is the mean over the rows since the last step, also where they are more than `n_acc`. Rows that are too
    few at the end of an epoch count for the next one; at the end of a fit they lead to no step.

    Args:
        n_acc: rows for a step.

    Raises:
        ConfigError: not a whole number of at least 1, or so many that a fit makes no step.
    """

    @checked
    def __init__(self, n_acc: int = 32) -> None:
        if n_acc < 1:
            raise ConfigError(f"GradientAccumulation: n_acc={n_acc} must be 1 or more rows")
        self.n_acc = n_acc
        self._rows, self._stepped = 0, False

    def before_fit(self, learn: Learner) -> None:
        """Start to count."""
        self._rows, self._stepped = 0, False
        bs = None if getattr(learn.dls.train, "max_tokens", None) else getattr(learn.dls.train, "bs", None)
        if bs is not None:
            self._check_steps(bs * learn.total_steps)

    def _check_steps(self, rows: int) -> None:
        if rows < self.n_acc:
            raise ConfigError(
                f"GradientAccumulation: n_acc={self.n_acc} rows are more than the {rows} of the whole fit, which would "
                "make no step; lower n_acc or train for more epochs"
            )

    def after_loss(self, learn: Learner) -> None:
        """Weigh the batch by its rows."""
        learn.loss_grad = learn.loss_grad * (learn.rows / self.n_acc)

    def after_backward(self, learn: Learner) -> None:
        """Keep the gradients until there are enough rows."""
        self._rows += learn.rows
        if self._rows < self.n_acc:
            if learn.step >= learn.total_steps and not self._stepped:
                self._check_steps(self._rows)
            raise CancelStepException
        if self._rows > self.n_acc:
            gradients = [p.grad for p in learn.model.parameters() if p.grad is not None]
            torch._foreach_mul_(gradients, self.n_acc / self._rows)
        self._rows, self._stepped = 0, True

    def state(self) -> dict[str, Any]:
        """The rows seen since the last step."""
        return {"rows": self._rows, "stepped": self._stepped}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on to count."""
        self._rows, self._stepped = state["rows"], state.get("stepped", True)


class GradientClip(Callback):
    """Limits the norm of the gradient.

    Args:
        max_norm: the largest norm.

    Raises:
        ConfigError: not a positive number.
    """

    @checked
    def __init__(self, max_norm: float = 1.0) -> None:
        if not max_norm > 0:
            raise ConfigError(f"GradientClip: max_norm={max_norm} must be a positive norm of the gradient")
        self.max_norm = max_norm

    def before_fit(self, learn: Learner) -> None:
        """Set the limit for this fit."""
        self._before, learn.clip = learn.clip, self.max_norm

    def after_fit(self, learn: Learner) -> None:
        """Put back the limit that was there."""
        learn.clip = self._before
