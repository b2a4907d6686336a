from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
from learners import lm_learner
from torch import Tensor, nn

from ulmfit.errors import ConfigError
from ulmfit.training.optimizer import SGD, Adam, make_optimizer
from ulmfit.training.optimizers import Lamb, Larc, Lookahead, OptimWrapper, QHAdam, ranger

LR, WD = 0.1, 0.01


def steps(opt_func, gradients: list[Tensor], start: Tensor, wd: float = WD) -> Tensor:
    """Where a matrix is after steps with given gradients."""
    p = nn.Parameter(start.clone())
    optimizer = make_optimizer([[p]], wd=wd, opt_func=opt_func)
    for group in optimizer.param_groups:
        group["lr"] = LR
    for gradient in gradients:
        p.grad = gradient.clone()
        optimizer.step()
    return p.detach()


def problem(n: int) -> tuple[Tensor, list[Tensor]]:
    generator = torch.Generator().manual_seed(n)
    return torch.randn(4, 3, generator=generator), [torch.randn(4, 3, generator=generator) for _ in range(n)]


def test_quasi_hyperbolic_adam_mixes_averages_and_gradients():
    start, gradients = problem(3)
    expected, mean, square = start.clone(), torch.zeros(4, 3), torch.zeros(4, 3)
    for t, g in enumerate(gradients, 1):
        mean, square = 0.9 * mean + 0.1 * g, 0.99 * square + 0.01 * g * g
        up = 0.3 * g + 0.7 * mean / (1 - 0.9**t)
        down = (0.2 * g * g + 0.8 * square / (1 - 0.99**t)).sqrt() + 1e-8
        expected = expected * (1 - LR * WD) - LR * up / down
    got = steps(partial(QHAdam, mom=0.9, sqr_mom=0.99, nu_2=0.8), gradients, start)
    torch.testing.assert_close(got, expected)


def test_quasi_hyperbolic_adam_with_all_of_the_averages_is_adam():
    start, gradients = problem(5)
    qh = steps(partial(QHAdam, mom=0.9, sqr_mom=0.99, nu_1=1.0, eps=1e-5), gradients, start)
    torch.testing.assert_close(qh, steps(Adam, gradients, start))


def test_lamb_steps_as_far_as_the_matrix_is_long():
    start, gradients = problem(1)
    moved = steps(Lamb, gradients, start, wd=0.0) - start
    assert moved.norm().item() == pytest.approx(LR * start.norm().item(), rel=1e-5)
    zeros = steps(Lamb, gradients, torch.zeros(4, 3), wd=0.0)  # whose length says nothing
    assert torch.allclose(zeros.abs(), torch.full((4, 3), LR), rtol=1e-3)


@pytest.mark.parametrize(("scale", "clipped"), [(1e-4, True), (1e4, False)])
def test_larc_limits_the_rate_by_the_norms(scale: float, clipped: bool):
    start, gradients = problem(1)
    gradient = gradients[0] * scale
    moved = steps(Larc, [gradient], start, wd=0.0) - start
    own = 0.02 * start.norm() / gradient.norm()
    assert (own > LR) == clipped
    torch.testing.assert_close(moved, -gradient * (LR if clipped else own), rtol=1e-4, atol=1e-7)
    free = steps(partial(Larc, clip=False), [gradient], start, wd=0.0) - start
    torch.testing.assert_close(free, -gradient * LR * own, rtol=1e-4, atol=1e-7)


def test_lookahead_goes_back_half_of_the_way_every_k_steps():
    start, gradients = problem(5)
    got = steps(lambda groups: Lookahead(SGD(groups), k=2), gradients, start, wd=0.0)
    slow = start
    for first, second in (gradients[:2], gradients[2:4]):
        slow = slow - 0.5 * LR * (first + second)
    torch.testing.assert_close(got, slow - LR * gradients[4])


def test_numbers_without_sense_are_refused():
    with pytest.raises(ConfigError, match=r"k=0 must be at least 1, and alpha=2\.0"):
        Lookahead(SGD([{"params": [nn.Parameter(torch.zeros(2))]}]), k=0, alpha=2.0)


@pytest.mark.parametrize(
    "opt_func", [QHAdam, Lamb, Larc, ranger, partial(OptimWrapper, opt=torch.optim.NAdam)], ids=str
)
def test_a_learner_trains_saves_and_loads_with_each(opt_func, tmp_path: Path):
    learn = lm_learner(opt_func=opt_func, path=tmp_path)
    learn.fit(1, 0.01)
    before = learn.validate()[0]
    learn.save("here")
    state = learn.optimizer.state_dict()["state"]
    again = lm_learner(opt_func=opt_func, path=tmp_path).load("here", with_opt=True)
    assert again.validate()[0] == before
    loaded = again.optimizer.state_dict()["state"]
    assert state.keys() == loaded.keys()
    for key, values in state.items():
        for name, value in values.items():
            assert torch.equal(torch.as_tensor(value), torch.as_tensor(loaded[key][name])), name
