"""Losses on logits: single-label, multi-label and regression.

Each says beside its value how logits become probabilities (`activation`) and answers (`decodes`). A plain function or
module of `(logits, target)` serves as a loss too; it then has the activation and answers of its task.

N documents, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ulmfit.arguments import checked
from ulmfit.errors import ConfigError

if TYPE_CHECKING:
    from ulmfit.training.learner import AnyLoaders

LossFunction = Callable[[Tensor, Tensor], Tensor]


class Answering(Protocol):
    """A loss that knows what its logits mean."""

    def activation(self, logits: Tensor) -> Tensor:
        """Logits to probabilities or values."""

    def decodes(self, logits: Tensor) -> Tensor:
        """Logits to answers."""


class SingleLabel:
    """What logits mean where each text has one class."""

    temperature = 1.0  # that logits are divided by before they are probabilities; fitted after training, if at all

    def activation(self, logits: Tensor) -> Tensor:
        """Probabilities over the last axis."""
        return (logits.float() / self.temperature).softmax(-1)

    def decodes(self, logits: Tensor) -> Tensor:
        """The likeliest class."""
        return logits.argmax(-1)


class CrossEntropyLossFlat(SingleLabel):
    """Cross-entropy of classes.

    Args:
        weight: (C,) weight of each class; see `class_weights`.
        label_smoothing: share of the target that is spread over all classes.

    Source: Szegedy et al. 2016, "Rethinking the Inception Architecture", section 7, for label smoothing.
    """

    @checked
    def __init__(self, weight: Tensor | None = None, label_smoothing: float = 0.0) -> None:
        if not 0 <= label_smoothing < 1:
            raise ConfigError(f"label_smoothing={label_smoothing} must be in [0, 1)")
        self.weight = _positive("weight", weight)
        self.label_smoothing = label_smoothing

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        """Mean loss; logits (..., C), target (...)."""
        weight = _for_classes("weight", self.weight, logits)
        logits = logits.float().flatten(0, -2)
        return F.cross_entropy(logits, target.flatten(), weight, label_smoothing=self.label_smoothing)


class LabelSmoothingCrossEntropy(CrossEntropyLossFlat):
    """Cross-entropy with a smoothed target.

    Args:
        eps: share of the target that is spread over all classes.
        weight: (C,) weight of each class.
    """

    @checked
    def __init__(self, eps: float = 0.1, weight: Tensor | None = None) -> None:
        super().__init__(weight, eps)


class FocalLossFlat(SingleLabel):
    """Cross-entropy in which what is already right counts little.

    Args:
        gamma: how little; 0 is plain cross-entropy.
        weight: (C,) weight of each class.

    Source: Lin et al. 2017, "Focal Loss for Dense Object Detection", section 3.
    """

    @checked
    def __init__(self, gamma: float = 2.0, weight: Tensor | None = None) -> None:
        if not gamma >= 0:
            raise ConfigError(f"gamma={gamma} must not be negative")
        self.gamma = gamma
        self.weight = _positive("weight", weight)

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        """Mean loss; logits (..., C), target (...)."""
        weight = _for_classes("weight", self.weight, logits)
        logits, target = logits.float().flatten(0, -2), target.flatten()
        likelihood = F.cross_entropy(logits, target, reduction="none")
        loss = (1 - torch.exp(-likelihood)) ** self.gamma * likelihood
        if weight is not None:
            loss = loss * weight[target]
        return loss.mean()


class BCEWithLogitsLossFlat:
    """Binary cross-entropy of each class on its own, for texts with any number of classes.

    Args:
        thresh: a class is given to a text if its probability is higher; one for all classes, or (C,) one for each.
        pos_weight: (C,) weight of each class's positive examples.
    """

    @checked
    def __init__(self, thresh: float | Sequence[float] = 0.5, pos_weight: Tensor | None = None) -> None:
        if not all(0 < t < 1 for t in (thresh if isinstance(thresh, Sequence) else [thresh])):
            raise ConfigError(f"thresh={thresh} must be between 0 and 1")
        self.thresh = thresh
        self.pos_weight = _positive("pos_weight", pos_weight)
        self.temperature = 1.0  # as of `SingleLabel`

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        """Mean loss; logits and target (N, C), the target 0 or 1."""
        pos_weight = _for_classes("pos_weight", self.pos_weight, logits)
        return F.binary_cross_entropy_with_logits(logits.float(), target.float(), pos_weight=pos_weight)

    def by_label(self, labels: Sequence[str]) -> dict[str, float]:
        """The threshold of each label."""
        each = self.thresh if isinstance(self.thresh, Sequence) else [self.thresh] * len(labels)
        return dict(zip(labels, map(float, each), strict=True))

    def activation(self, logits: Tensor) -> Tensor:
        """Probability of each class."""
        return (logits.float() / self.temperature).sigmoid()

    def decodes(self, logits: Tensor) -> Tensor:
        """Whether each class is given."""
        return self.activation(logits) > torch.tensor(self.thresh, device=logits.device)


class _Values:
    """What outputs mean in regression: themselves."""

    def activation(self, logits: Tensor) -> Tensor:
        """The values."""
        return logits.float()

    def decodes(self, logits: Tensor) -> Tensor:
        """The values."""
        return logits.float()


class MSELossFlat(_Values):
    """Mean square of the differences."""

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        """Mean loss; as many outputs as targets."""
        return F.mse_loss(*flat_pair(logits, target))


class L1LossFlat(_Values):
    """Mean size of the differences."""

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        """Mean loss; as many outputs as targets."""
        return F.l1_loss(*flat_pair(logits, target))


def flat_pair(values: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs and targets as two flat float vectors of one length.

    Raises:
        ConfigError: they differ in number.
    """
    if values.numel() != target.numel():
        raise ConfigError(
            f"the model gives {tuple(values.shape)} values for targets of shape {tuple(target.shape)}; "
            "set n_out to the number of values of each text"
        )
    return values.float().flatten(), target.float().flatten()


def described(value: object) -> str:
    """What a function gave instead of one number."""
    return f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"{value!r:.60}"


def _for_classes(name: str, weight: Tensor | None, logits: Tensor) -> Tensor | None:
    """Weights where the logits are.

    Raises:
        ConfigError: more or fewer than there are classes.
    """
    if weight is None:
        return None
    if len(weight) != logits.shape[-1]:
        raise ConfigError(
            f"{name} has {len(weight)} numbers, and there are {logits.shape[-1]} classes; give one for each"
        )
    return weight.to(logits.device)


def default_loss(task: str) -> LossFunction | None:
    """The loss of a task; None where the model's own is meant (cross-entropy).

    Args:
        task: "lm", "single_label", "multi_label" or "regression".
    """
    if task == "multi_label":
        return BCEWithLogitsLossFlat()
    return MSELossFlat() if task == "regression" else None


def meaning(loss: object, task: str) -> Answering:
    """What logits mean: as the loss says, or as is usual for the task."""
    if hasattr(loss, "activation") and hasattr(loss, "decodes"):
        return loss
    if task == "multi_label":
        return BCEWithLogitsLossFlat()
    return MSELossFlat() if task == "regression" else SingleLabel()


def class_weights(dls: AnyLoaders, n_classes: int | None = None) -> Tensor:
    """Weights by which rare classes count as much as frequent ones, (C,).

    Args:
        dls: loaders of a single-label task.
        n_classes: C; by default the largest class id and one.

    Raises:
        ConfigError: the loaders have no class ids.
    """
    labels = getattr(getattr(dls, "train", None), "labels", None)
    if labels is None or np.asarray(labels).ndim != 1 or not np.issubdtype(np.asarray(labels).dtype, np.integer):
        raise ConfigError("class_weights needs loaders of texts with one class each")
    counts = np.bincount(np.asarray(labels), minlength=n_classes or 0)
    present = counts > 0
    weights = np.where(present, counts.sum() / (present.sum() * np.maximum(counts, 1)), 1.0)
    return torch.tensor(weights, dtype=torch.float32)


def _positive(name: str, weight: Tensor | None) -> Tensor | None:
    if weight is None:
        return None
    weight = torch.as_tensor(weight, dtype=torch.float32)
    if weight.dim() != 1 or not bool((weight >= 0).all()) or not bool((weight > 0).any()):
        raise ConfigError(f"{name} must be one non-negative number for each class, got {weight.tolist()}")
    return weight
