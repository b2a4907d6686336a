"""Mixing of examples, for texts: not the words, but the pooled vectors that the head sees, are mixed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ulmfit.arguments import checked
from ulmfit.errors import ConfigError
from ulmfit.training.callbacks import Callback

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.utils.hooks import RemovableHandle

    from ulmfit.training.learner import Learner


class MixUp(Callback):
    """Trains a classifier's head on mixtures of the pooled vectors of two texts, with the mixed loss.

    Args:
        alpha: of the Beta(alpha, alpha) that the share of the first text is drawn from, one share for a batch.

    Source: Zhang et al. 2017, "mixup: Beyond Empirical Risk Minimization"; on sentence vectors by Guo et al. 2019,
    "Augmenting Data with Mixup for Sentence Classification".
    """

    @checked
    def __init__(self, alpha: float = 0.4) -> None:
        if not alpha > 0:
            raise ConfigError(f"alpha={alpha} must be positive")
        self.alpha = alpha
        self._handle: RemovableHandle | None = None
        self._order: Tensor | None = None
        self._share = 1.0

    def before_fit(self, learn: Learner) -> None:
        """Stand before the head.

        Raises:
            ConfigError: the model has no head.
        """
        layers: nn.Module | None = getattr(getattr(learn.model, "head", None), "layers", None)
        if layers is None:
            raise ConfigError("MixUp mixes pooled documents before a classifier's head; this model has none")
        self._handle = layers.register_forward_pre_hook(self._mix)

    def _mix(self, layers: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if not layers.training:
            return None
        features: Tensor = inputs[0]
        a = torch._standard_gamma(torch.full((2,), self.alpha))
        self._share = float(a[0] / a.sum()) if a.sum() > 0 else 1.0
        self._share = max(self._share, 1 - self._share)
        self._order = torch.randperm(len(features), device=features.device)
        return (features * self._share + features[self._order] * (1 - self._share), *inputs[1:])

    def after_loss(self, learn: Learner) -> None:
        """Replace the loss by that of the mixture."""
        if self._order is None:
            return
        other = learn.loss_of(learn.output, learn.target[self._order]) - learn.loss_of(learn.output, learn.target)
        learn.loss_grad = learn.loss_grad + (1 - self._share) * other
        self._order = None

    def after_fit(self, learn: Learner) -> None:
        """Leave the model as it was."""
        if self._handle is not None:
            self._handle.remove()
