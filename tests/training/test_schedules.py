from __future__ import annotations

import pytest

from ulmfit.errors import ConfigError
from ulmfit.training.schedules import flat_cos, group_rates, one_cycle, slanted_triangular, warm_restarts


def test_one_cycle_goes_up_then_down_and_momentum_the_other_way():
    schedule = one_cycle(moms=(0.8, 0.7, 0.9), div=25, div_final=1e5, pct_start=0.25)
    assert schedule(0) == pytest.approx((1 / 25, 0.8))
    assert schedule(0.25) == pytest.approx((1.0, 0.7))
    assert schedule(1) == pytest.approx((1e-5, 0.9))
    assert schedule(0.125) == pytest.approx(((1 + 1 / 25) / 2, 0.75))
    rates = [schedule(i / 100).lr for i in range(101)]
    assert rates[:26] == sorted(rates[:26])
    assert rates[25:] == sorted(rates[25:], reverse=True)


@pytest.mark.parametrize("pct_start", [0.0, 1.0])
def test_one_cycle_at_its_limits(pct_start: float):
    schedule = one_cycle(pct_start=pct_start)
    assert [schedule(p).lr > 0 for p in (0, 0.5, 1)] == [True] * 3


def test_momentum_has_three_values():
    with pytest.raises(ConfigError, match="must be 3 values, each a number"):
        one_cycle(moms=(0.9, 0.8))
    with pytest.raises(ConfigError, match="must be three numbers"):
        one_cycle(moms=(0.9, 0.8, 1.0))


def test_warm_up_must_be_a_share():
    with pytest.raises(ConfigError, match=r"pct_start=1\.5"):
        one_cycle(pct_start=1.5)


def test_rates_of_groups():
    assert group_rates(1e-2, 3) == [1e-2] * 3
    assert group_rates(slice(1e-2), 3) == pytest.approx([1e-3, 1e-3, 1e-2])
    assert group_rates(slice(1e-4, 1e-2), 3) == pytest.approx([1e-4, 1e-3, 1e-2])
    assert group_rates(slice(1e-4, 1e-2), 1) == [1e-2]


@pytest.mark.parametrize(
    "lr",
    [
        0,
        -1e-3,
        float("nan"),
        slice(None),
        slice(0, 1e-2),
        slice(1e-4, 1e-2, 2),
        slice(1e-2, 1e-4),
        "1e-2",
        [1e-3],
        True,
        1e4,
    ],
)
def test_rates_that_make_no_sense(lr: float | slice):
    with pytest.raises(ConfigError, match="lr="):
        group_rates(lr, 3)


def test_flat_then_cosine():
    schedule = flat_cos(mom=0.9, pct_start=0.75)
    assert [schedule(p) for p in (0, 0.5, 0.74)] == [(1.0, 0.9)] * 3
    assert schedule(0.875).lr == pytest.approx((1 + 1e-5) / 2)
    assert schedule(1).lr == pytest.approx(1e-5)
    assert flat_cos(pct_start=1)(1).lr == 1


def test_warm_restarts_double_their_length():
    schedule = warm_restarts(2, 2)
    assert [schedule(p).lr for p in (0, 1 / 6, 1 / 3, 2 / 3, 1)] == pytest.approx([1, 0.5, 1, 0.5, 0], abs=1e-12)
    assert [warm_restarts(2, 1)(p).lr for p in (0.25, 0.5)] == pytest.approx([0.5, 1])


def test_slanted_triangle_is_that_of_the_paper():
    """Howard and Ruder 2018, equation 3: 1,000 steps, of which 100 warm up."""
    schedule = slanted_triangular(cut_frac=0.1, ratio=32, mom=0.7)
    steps, cut = 1_000, 100
    for t in range(steps + 1):
        p = t / cut if t < cut else 1 - (t - cut) / (cut * (1 / 0.1 - 1))
        assert schedule(t / steps).lr == pytest.approx((1 + p * (32 - 1)) / 32)
    assert {schedule(t / steps).mom for t in range(steps)} == {0.7}


@pytest.mark.parametrize(("named", "value"), [("cut_frac", 0.0), ("cut_frac", 1.0), ("ratio", 0.0)])
def test_a_slanted_triangle_that_makes_no_sense(named: str, value: float):
    with pytest.raises(ConfigError, match=named):
        slanted_triangular(**{named: value})
