"""Hooks into the training loop: the base class, and what watches over the loss."""

from __future__ import annotations

import math
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from ulmfit.arguments import checked
from ulmfit.errors import ConfigError, UlmfitError

if TYPE_CHECKING:
    from ulmfit.training.learner import Learner


class CancelFitException(Exception):
    """Raised by a callback to end the fit."""


class CancelEpochException(Exception):
    """Raised by a callback to go on with the next epoch, without validation."""


class CancelTrainException(Exception):
    """Raised by a callback to end the epoch's training part and go on with its validation."""


class CancelValidException(Exception):
    """Raised by a callback in `before_validate` to leave out the epoch's validation: its figures are NaN."""


class CancelBatchException(Exception):
    """Raised by a callback to leave out the running batch."""


class CancelStepException(Exception):
    """Raised by a callback in `after_backward` to keep the gradients for the next batch."""


StopFit = CancelFitException


class Callback:
    """Does nothing at every point of the loop; override what is needed.

    Raises:
        ConfigError: a subclass has a method that looks like a point of the loop and is none: it would never be called.
    """

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

    def after_loss(self, learn: Learner) -> None:
        """`learn.output`, `learn.target` and `learn.loss_grad` (what is differentiated; may be replaced) are there."""

    def after_backward(self, learn: Learner) -> None:
        """The gradients are there."""

    def before_step(self, learn: Learner) -> None:
        """The gradients are final, and `learn.loss` is the loss of all processes."""

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
    """Steps only when so many rows have been seen, as if they were one batch.

    Args:
        n_acc: rows for a step.

    Raises:
        ConfigError: not a whole number of at least 1.
    """

    @checked
    def __init__(self, n_acc: int = 32) -> None:
        if n_acc < 1:
            raise ConfigError(f"GradientAccumulation: n_acc={n_acc} must be 1 or more rows")
        self.n_acc = n_acc
        self._rows = 0

    def before_fit(self, learn: Learner) -> None:
        """Start to count."""
        self._rows = 0

    def after_loss(self, learn: Learner) -> None:
        """Weigh the batch by its rows."""
        rows = len(learn.target)
        self._rows += rows
        learn.loss_grad = learn.loss_grad * (rows / self.n_acc)

    def after_backward(self, learn: Learner) -> None:
        """Keep the gradients until there are enough rows."""
        if self._rows < self.n_acc:
            raise CancelStepException
        self._rows = 0

    def state(self) -> dict[str, Any]:
        """The rows seen since the last step."""
        return {"rows": self._rows}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on to count."""
        self._rows = state["rows"]


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
