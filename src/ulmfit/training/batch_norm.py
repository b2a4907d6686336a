"""Batch norm over the rows of all processes, so that several processes train the classifier that one would.

torch's `SyncBatchNorm` works on GPUs only.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from ulmfit.models.products import first_derivative, widened
from ulmfit.training.distributed import Processes


class SharedBatchNorm(nn.BatchNorm1d):
    """Batch norm whose mean and variance in training are those of all processes' rows, each row counted alike.

    Args:
        of: the layer whose weights and running statistics it takes over, as they are.
        processes: those that train together.

    Source: Ioffe and Szegedy 2015, "Batch Normalization", algorithm 1.
    """

    def __init__(self, of: nn.BatchNorm1d, processes: Processes) -> None:
        super().__init__(of.num_features, of.eps, of.momentum, of.affine, of.track_running_stats)
        self.processes = processes
        self._parameters, self._buffers = of._parameters, of._buffers
        self.train(of.training)

    def forward(self, input: Tensor) -> Tensor:
        """Normalize this process's rows (B, F)."""
        if not self.training or not self.processes.sharing:
            return super().forward(input)
        rows = widened(input)
        count = rows.new_tensor([len(rows)])
        total = _sum_over_processes(torch.cat([rows.sum(0), count]), self.processes)
        n, mean = total[-1].detach(), total[:-1] / total[-1].detach()
        variance = _sum_over_processes((rows - mean).square().sum(0), self.processes) / n
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            share = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
            with torch.no_grad():
                self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
                self.running_var.lerp_((variance * n / (n - 1)).to(self.running_var.dtype), share)
        normal = (rows - mean) * (variance + self.eps).rsqrt()
        return (normal * self.weight + self.bias if self.affine else normal).to(input.dtype)


class _Sum(torch.autograd.Function):
    """The sum over all processes, whose gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, processes: Processes) -> Tensor:
        ctx.processes = processes
        return processes.sum(value)

    @staticmethod
    @first_derivative
    def backward(ctx: Any, *gradients: Any) -> Any:
        return ctx.processes.sum(gradients[0]), None


def _sum_over_processes(value: Tensor, processes: Processes) -> Tensor:
    return cast("Tensor", _Sum.apply(value, processes))  # type: ignore[no-untyped-call]


def share_batch_norm(model: nn.Module, processes: Processes) -> nn.Module:
    """Let a model's batch norm layers see the rows of all processes, if there are several; their weights stay."""
    if processes.n > 1:
        for parent in list(model.modules()):
            for name, child in parent.named_children():
                if type(child) is nn.BatchNorm1d:
                    setattr(parent, name, SharedBatchNorm(child, processes))
    return model
