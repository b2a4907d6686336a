"""The optimizer: Adam with decoupled weight decay, one pair of groups (decayed or not) for each group of the model."""

from __future__ import annotations

import torch
from torch import nn

from ulmfit.training.schedules import Hyper


def make_optimizer(groups: list[list[nn.Parameter]], *, wd: float, mom: float) -> torch.optim.AdamW:
    """Adam with decoupled weight decay; vectors (biases, norms) are not decayed.

    Args:
        groups: the model's parameters, lowest group first. Frozen parameters may be among them: without a gradient they
            are left alone.
        wd: weight decay of matrices.
        mom: first beta.

    Source: Loshchilov and Hutter 2017, "Decoupled Weight Decay Regularization".
    """
    torch_groups = []
    for number, group in enumerate(groups):
        matrices = [p for p in group if p.dim() > 1]
        vectors = [p for p in group if p.dim() <= 1]
        torch_groups += [
            {"params": ps, "weight_decay": d, "group": number} for ps, d in ((matrices, wd), (vectors, 0.0)) if ps
        ]
    return torch.optim.AdamW(torch_groups, lr=0.0, betas=(mom, 0.99), eps=1e-5, fused=True)


def set_hyper(optimizer: torch.optim.Optimizer, rates: list[float], hyper: Hyper) -> None:
    """Set learning rates and momentum for the next step."""
    for group in optimizer.param_groups:
        group["lr"] = rates[group["group"]] * hyper.lr
        group["betas"] = (hyper.mom, group["betas"][1])
