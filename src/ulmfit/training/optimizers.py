"""Optimizers that torch does not have: rates for each layer, averages of weights on the way, quasi-hyperbolic Adam.

Each is a factory for `opt_func`; weight decay is decoupled, as in `optimizer.Adam`, and belongs to the groups.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor

from ulmfit.arguments import checked
from ulmfit.errors import ConfigError
from ulmfit.training.optimizer import OptimizerFactory, RAdam

Groups = list[dict[str, Any]]


class _ByTensor(torch.optim.Optimizer):
    """Decays and changes one tensor after the other."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Change all parameters that have a gradient."""
        if closure is not None:
            raise ConfigError(f"{type(self).__name__} takes no closure")
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.mul_(1 - group["lr"] * group["weight_decay"])
                    self.change(p, p.grad, self.state[p], group)

    @abstractmethod
    def change(self, p: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        """Change one parameter; `state` is empty at first."""


def _moments(grad: Tensor, state: dict[str, Any], betas: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """Running means of the gradient and its square, made up for their start at zero."""
    if not state:
        state["step"] = torch.zeros(())
        state["mean"], state["square"] = torch.zeros_like(grad), torch.zeros_like(grad)
    state["step"] += 1
    state["mean"].lerp_(grad, 1 - betas[0])
    state["square"].lerp_(grad.square(), 1 - betas[1])
    step = float(state["step"])
    return state["mean"] / (1 - betas[0] ** step), state["square"] / (1 - betas[1] ** step)


class _QHAdam(_ByTensor):
    def change(self, p: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        mean, square = _moments(grad, state, group["betas"])
        nu_1, nu_2 = group["nus"]
        up = torch.lerp(grad, mean, nu_1)
        down = torch.lerp(grad.square(), square, nu_2).sqrt_().add_(group["eps"])
        p.addcdiv_(up, down, value=-group["lr"])


class _Lamb(_ByTensor):
    _MOST = 10.0  # of the ratio of norms

    def change(self, p: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        mean, square = _moments(grad, state, group["betas"])
        step = mean / square.sqrt_().add_(group["eps"])
        size, change = p.norm(), step.norm()
        ratio = min(float(size / change), self._MOST) if size > 0 and change > 0 else 1.0
        p.sub_(step, alpha=group["lr"] * ratio)


class _Larc(_ByTensor):
    def change(self, p: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        if not state:
            state["mean"] = torch.zeros_like(p)
        size, slope = p.norm(), grad.norm()
        rate = group["lr"]
        if size > 0 and slope > 0:
            own = group["trust_coeff"] * float(size / (slope + group["weight_decay"] * size + group["eps"]))
            rate *= min(own / rate, 1.0) if group["clip"] and rate > 0 else own
        p.sub_(state["mean"].mul_(group["momentum"]).add_(grad), alpha=rate)


@checked
def QHAdam(
    params: Groups,
    *,
    mom: float = 0.999,
    sqr_mom: float = 0.999,
    nu_1: float = 0.7,
    nu_2: float = 1.0,
    eps: float = 1e-8,
) -> torch.optim.Optimizer:
    """Adam whose steps mix the averages with the last gradient.

    Args:
        params: torch's parameter groups.
        mom: first beta; schedules set it at each step.
        sqr_mom: second beta.
        nu_1: share of the mean in the step; the rest is the gradient's.
        nu_2: share of the mean square in what it is divided by.
        eps: added to that.

    Source: Ma and Yarats 2018, "Quasi-hyperbolic momentum and Adam for deep learning".
    """
    defaults = {"lr": 0.0, "betas": (mom, sqr_mom), "nus": (nu_1, nu_2), "eps": eps, "weight_decay": 0.0}
    return _QHAdam(params, defaults)


@checked
def Lamb(params: Groups, *, mom: float = 0.9, sqr_mom: float = 0.99, eps: float = 1e-5) -> torch.optim.Optimizer:
    """Adam whose step in each tensor is as long as the tensor, times the learning rate; for large batches.

    Source: You et al. 2019, "Large Batch Optimization for Deep Learning: Training BERT in 76 minutes".
    """
    return _Lamb(params, {"lr": 0.0, "betas": (mom, sqr_mom), "eps": eps, "weight_decay": 0.0})


@checked
def Larc(
    params: Groups, *, mom: float = 0.9, clip: bool = True, trust_coeff: float = 0.02, eps: float = 1e-8
) -> torch.optim.Optimizer:
    """Gradient descent with momentum and a rate for each tensor, by the norms of tensor and gradient.

    Args:
        params: torch's parameter groups.
        mom: of the sum of gradients; schedules leave it alone.
        clip: the tensor's rate is at most the learning rate; else the learning rate times it.
        trust_coeff: how far a step may go, of the norm of the tensor.
        eps: added to the norm of the gradient.

    Source: You, Gitman and Ginsburg 2017, "Large Batch Training of Convolutional Networks".
    """
    defaults = {"lr": 0.0, "momentum": mom, "clip": clip, "trust_coeff": trust_coeff, "eps": eps, "weight_decay": 0.0}
    return _Larc(params, defaults)


class _Average:
    """Hooks of an optimizer that keep slow weights in its state."""

    def __init__(self, k: int, alpha: float) -> None:
        self.k, self.alpha = k, alpha
        self._start: dict[Tensor, Tensor] = {}

    @torch.no_grad()
    def before(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        """Remember where parameters that are new began: their state is for the optimizer to begin."""
        self._start = {
            p: p.clone()
            for group in optimizer.param_groups
            for p in group["params"]
            if p.grad is not None and "slow" not in optimizer.state.get(p, {})
        }

    @torch.no_grad()
    def after(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        """Every k steps go back to a mean of where the slow weights were and where the fast ones are."""
        for p, start in self._start.items():
            optimizer.state[p] |= {"slow": start, "fast_steps": torch.zeros(())}
        self._start = {}
        for p, state in optimizer.state.items():
            if p.grad is None or "slow" not in state:
                continue
            state["fast_steps"] += 1
            if int(state["fast_steps"]) % self.k == 0:
                p.copy_(state["slow"].lerp_(p, self.alpha))


@checked
def Lookahead(opt: torch.optim.Optimizer, k: int = 6, alpha: float = 0.5) -> torch.optim.Optimizer:
    """The optimizer itself, which from now on goes back every `k` steps to a mean of the last such place and this one.

    Args:
        opt: any optimizer: `opt_func=lambda params: Lookahead(Adam(params))`.
        k: steps between two means.
        alpha: share of the place where the last `k` steps led.

    Raises:
        ConfigError: numbers without sense.

    Source: Zhang et al. 2019, "Lookahead Optimizer: k steps forward, 1 step back".
    """
    if k < 1 or not 0 < alpha <= 1:
        raise ConfigError(f"Lookahead: k={k} must be at least 1, and alpha={alpha} a share above 0 and up to 1")
    average = _Average(k, alpha)
    opt.register_step_pre_hook(average.before)
    opt.register_step_post_hook(average.after)
    return opt


@checked
def ranger(
    params: Groups,
    *,
    mom: float = 0.95,
    sqr_mom: float = 0.99,
    eps: float = 1e-6,
    k: int = 6,
    alpha: float = 0.5,
) -> torch.optim.Optimizer:
    """`Lookahead` around `RAdam`."""
    return Lookahead(RAdam(params, mom=mom, sqr_mom=sqr_mom, eps=eps), k=k, alpha=alpha)


@checked
def OptimWrapper(params: Groups, opt: OptimizerFactory) -> torch.optim.Optimizer:
    """What `opt` makes: `opt_func=partial(OptimWrapper, opt=torch.optim.NAdam)` is `opt_func=torch.optim.NAdam`."""
    return opt(params)
