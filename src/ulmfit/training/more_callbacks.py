"""Callbacks that programs name for what the loop does anyway, and some that few need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from ulmfit.arguments import at_least, checked
from ulmfit.errors import ConfigError
from ulmfit.training.callbacks import Callback, CancelEpochException

if TYPE_CHECKING:
    from ulmfit.training.learner import Learner


class ModelResetter(Callback):
    """Forgets the hidden state after a fit; the loop itself does so before each pass."""

    def after_fit(self, learn: Learner) -> None:
        """Forget it."""
        learn.reset()


class RNNRegularizer(Callback):
    """AR and TAR with these factors during a fit, in place of the learner's own.

    Args:
        alpha: of activation regularisation.
        beta: of temporal activation regularisation.

    Raises:
        ConfigError: a negative factor.

    Source: Merity, McCann and Socher 2017, "Revisiting Activation Regularization for Language RNNs".
    """

    @checked
    def __init__(self, alpha: float = 0.0, beta: float = 0.0) -> None:
        at_least(0, alpha=alpha, beta=beta)
        self.alpha, self.beta = alpha, beta

    def before_fit(self, learn: Learner) -> None:
        """Set the factors."""
        self._before = learn.alpha, learn.beta
        learn.alpha, learn.beta = self.alpha, self.beta

    def after_fit(self, learn: Learner) -> None:
        """Put back those that were there."""
        learn.alpha, learn.beta = self._before


@checked
def rnn_cbs(alpha: float = 0.0, beta: float = 0.0) -> list[Callback]:
    """What a recurrent model wants: its state forgotten, and its activations regularised."""
    return [ModelResetter(), *([RNNRegularizer(alpha, beta)] if alpha or beta else [])]


class SkipToEpoch(Callback):
    """Leaves out the first epochs of a fit: the schedule goes on as if they had been; the order of texts begins anew.

    Args:
        epoch: number of the first epoch that is trained, from 0.

    Raises:
        ConfigError: a negative number.
    """

    @checked
    def __init__(self, epoch: int) -> None:
        if epoch < 0:
            raise ConfigError(f"SkipToEpoch: epoch={epoch} must not be negative")
        self.epoch = epoch

    def before_epoch(self, learn: Learner) -> None:
        """Leave it out if it is one of the first."""
        if learn.epoch < self.epoch:
            raise CancelEpochException


class BnFreeze(Callback):
    """Batch norm layers keep the means and variances that they have."""

    def before_batch(self, learn: Learner) -> None:
        """Take them out of training: the loop puts the whole model into it at the start of an epoch."""
        for module in learn.model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()


class MixedPrecision(Callback):
    """A fit in half precision, as after `to_fp16()`; the one that was set is put back after it."""

    def before_fit(self, learn: Learner) -> None:
        """Set the precision."""
        self._before = learn.asked_precision
        learn.to_fp16()

    def after_fit(self, learn: Learner) -> None:
        """Put back what was set."""
        learn.set_precision(self._before)


class ShowGraphCallback(Callback):
    """Draws the losses after a fit; needs the extra `plot`."""

    def after_fit(self, learn: Learner) -> None:
        """Draw them."""
        learn.recorder.plot_loss()
