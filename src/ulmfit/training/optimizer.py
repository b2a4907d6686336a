"""Optimizers: one pair of torch groups (decayed or not) for each parameter group of the model."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from ulmfit.arguments import checked
from ulmfit.errors import ConfigError
from ulmfit.training.schedules import Hyper

# Makes an optimizer of torch from its parameter groups; `torch.optim.SGD` itself is one.
OptimizerFactory = Callable[[list[dict[str, Any]]], torch.optim.Optimizer]


@checked
def Adam(
    params: list[dict[str, Any]], *, mom: float = 0.9, sqr_mom: float = 0.99, eps: float = 1e-5
) -> torch.optim.Optimizer:
    """Adam with decoupled weight decay, in torch's fused form.

    Args:
        params: torch's parameter groups.
        mom: first beta; schedules set it at each step.
        sqr_mom: second beta.
        eps: added to the root of the second moment.

    Source: Loshchilov and Hutter 2017, "Decoupled Weight Decay Regularization".
    """
    return torch.optim.AdamW(params, lr=0.0, betas=(mom, sqr_mom), eps=eps, fused=True)


@checked
def SGD(params: list[dict[str, Any]], *, mom: float = 0.0) -> torch.optim.Optimizer:
    """Stochastic gradient descent; with `callbacks.NTASGD` the optimizer of the AWD-LSTM paper."""
    return torch.optim.SGD(params, lr=0.0, momentum=mom, fused=True)


@checked
def RAdam(
    params: list[dict[str, Any]], *, mom: float = 0.9, sqr_mom: float = 0.99, eps: float = 1e-5
) -> torch.optim.Optimizer:
    """Adam whose steps are held back while its averages are uncertain, with decoupled weight decay.

    Source: Liu et al. 2019, "On the Variance of the Adaptive Learning Rate and Beyond".
    """
    betas = (mom, sqr_mom)
    return torch.optim.RAdam(params, lr=0.0, betas=betas, eps=eps, decoupled_weight_decay=True, foreach=True)


@checked
def RMSProp(
    params: list[dict[str, Any]], *, sqr_mom: float = 0.99, mom: float = 0.0, eps: float = 1e-8
) -> torch.optim.Optimizer:
    """Gradients divided by the root of their mean square; weight decay is added to the gradient."""
    return torch.optim.RMSprop(params, lr=0.0, alpha=sqr_mom, momentum=mom, eps=eps, foreach=True)


def make_optimizer(
    groups: list[list[nn.Parameter]], *, wd: float, opt_func: OptimizerFactory = Adam, wd_bn_bias: bool = False
) -> torch.optim.Optimizer:
    """An optimizer for a model's groups; vectors (biases, norms) are not decayed.

    Args:
        groups: the model's parameters, lowest group first. Frozen parameters may be among them: without a gradient they
            are left alone.
        wd: weight decay of matrices.
        opt_func: makes the optimizer from torch's parameter groups.
        wd_bn_bias: decay vectors too.

    Raises:
        ConfigError: weight decay that makes no sense, or `opt_func` makes no optimizer of torch.
    """
    _check_wd(wd)
    torch_groups = []
    for number, group in enumerate(groups):
        matrices = [p for p in group if p.dim() > 1]
        vectors = [p for p in group if p.dim() <= 1]
        torch_groups += [
            {"params": ps, "weight_decay": wd if decayed else 0.0, "group": number, "decayed": decayed}
            for ps, decayed in ((matrices, True), (vectors, wd_bn_bias))
            if ps
        ]
    if not torch_groups:
        raise ConfigError("the model has no parameters to train")
    optimizer: object = opt_func(torch_groups)
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise ConfigError(f"opt_func must make an optimizer of torch from parameter groups; it made {optimizer!r}")
    return optimizer


def set_hyper(optimizer: torch.optim.Optimizer, rates: list[float], hyper: Hyper) -> None:
    """Set learning rates and momentum for the next step.

    Args:
        optimizer: one of `make_optimizer`.
        rates: maximum learning rate of each group.
        hyper: factor on these rates; first beta, of optimizers that have one (plain momentum is left as it is).
    """
    for group in optimizer.param_groups:
        group["lr"] = rates[group["group"]] * hyper.lr
        if "betas" in group:
            group["betas"] = (hyper.mom, *group["betas"][1:])


@checked
def set_weight_decay(optimizer: torch.optim.Optimizer, wd: float) -> None:
    """Set the weight decay of what is decayed."""
    _check_wd(wd)
    for group in optimizer.param_groups:
        if group["decayed"]:
            group["weight_decay"] = wd


def begin_anew(optimizer: torch.optim.Optimizer) -> None:
    """Drop what is left of gradients, and let the averages follow weights that have another precision by now."""
    optimizer.zero_grad(set_to_none=True)
    for p, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, torch.Tensor) and value.shape == p.shape and value.is_floating_point() and p.dim():
                state[name] = value.to(p.dtype)


def forget_moments(optimizer: torch.optim.Optimizer) -> None:
    """Start the optimizer's averages anew, as after a change of what is trained."""
    optimizer.state.clear()


def _check_wd(wd: float) -> None:
    if not 0 <= wd < float("inf"):
        raise ConfigError(f"wd={wd} must be a number of at least 0")


def name_of(opt_func: OptimizerFactory) -> str:
    """What an optimizer is called in a manifest."""
    inner = opt_func.func if isinstance(opt_func, partial) else opt_func
    return getattr(inner, "__name__", type(inner).__name__)
