"""What callbacks written for fastai look at in a learner, in terms of the loop's own names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ulmfit.elsewhere import advice_for

if TYPE_CHECKING:
    from torch import Tensor

    from ulmfit.training.loaders import AnyLoaders
    from ulmfit.training.metrics import Output


class Aliases:
    """Other names of a loop's attributes, to be read; those of a batch are there while it is trained."""

    dls: AnyLoaders
    optimizer: torch.optim.Optimizer
    batch: int
    step: int
    total_steps: int
    progress: float
    event: str
    inputs: tuple[Tensor, ...]
    output: Output
    target: Tensor

    def __getattr__(self, name: str) -> Any:
        advice = None if name.startswith("_") else advice_for("Learner", name)
        text = f"{type(self).__name__!r} object has no attribute {name!r}" + (f": {advice}" if advice else "")
        raise AttributeError(text, name=name, obj=self)

    @property
    def opt(self) -> torch.optim.Optimizer:
        """The optimizer."""
        return self.optimizer

    @property
    def iter(self) -> int:
        """The number of the running batch in its epoch."""
        return self.batch - (self.event == "after_batch")  # where it is counted already

    @property
    def n_iter(self) -> int:
        """Batches of an epoch."""
        return len(self.dls.train)

    @property
    def pct_train(self) -> float:
        """The progress of the running fit, in [0, 1]; in `after_batch` that of the next batch."""
        return max(self.progress, self.step / self.total_steps) if self.event == "after_batch" else self.progress

    @property
    def xb(self) -> tuple[Tensor, ...]:
        """The inputs of the batch: ids (B, T), and lengths (B,) of documents."""
        return self.inputs

    @property
    def x(self) -> Tensor:
        """The ids (B, T) of the batch."""
        return self.inputs[0]

    @property
    def yb(self) -> tuple[Tensor]:
        """The target of the batch, as the only one."""
        return (self.target,)

    @property
    def y(self) -> Tensor:
        """The target of the batch."""
        return self.target

    @property
    def pred(self) -> Output:
        """What the model gave for the batch; `pred.logits` of a classifier."""
        return self.output
