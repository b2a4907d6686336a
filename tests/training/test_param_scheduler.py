from __future__ import annotations

import numpy as np
import pytest
import torch
from learners import classifier_learner, lm_learner

from ulmfit.errors import ConfigError
from ulmfit.training.callbacks import Callback
from ulmfit.training.optimizer import SGD, RAdam, RMSProp
from ulmfit.training.param_scheduler import (
    ParamScheduler,
    SchedCos,
    SchedExp,
    SchedLin,
    SchedNo,
    SchedPoly,
    combine_scheds,
    combined_cos,
)


class Seen(Callback):
    """Notes what the optimizer was told."""

    def __init__(self):
        self.rows = []

    def after_batch(self, learn):
        groups = learn.optimizer.param_groups
        self.rows.append([(g["group"], g["lr"], g["betas"][0], g["weight_decay"]) for g in groups])


def test_curves():
    assert [SchedLin(0, 2)(p) for p in (0, 0.25, 1)] == [0, 0.5, 2]
    assert SchedNo(3, 9)(0.7) == 3
    assert SchedPoly(0, 8, 3)(0.5) == 1
    assert SchedExp(1e-4, 1)(0.5) == pytest.approx(1e-2)
    assert [SchedCos(1, 3)(p) for p in (0, 0.5, 1)] == pytest.approx([1, 2, 3])
    curve = combine_scheds([0.3, 0.7], [SchedLin(0, 1), SchedCos(1, 0)])
    assert [curve(p) for p in (0, 0.15, 0.3, 0.65, 1)] == pytest.approx([0, 0.5, 1, 0.5, 0])
    assert [combined_cos(0.25, 1, 2, 0)(p) for p in (0, 0.25, 1)] == pytest.approx([1, 2, 0])
    with pytest.raises(ConfigError, match=r"pcts=\[0.5, 0.4\] must be 2 shares"):
        combine_scheds([0.5, 0.4], [SchedNo(1, 1), SchedNo(1, 1)])


def test_a_fit_follows_them():
    learn = classifier_learner()
    n = len(learn.groups)
    rates = np.geomspace(1e-4, 1e-2, n)
    seen = Seen()
    scheds = {"lr": combined_cos(0.5, rates / 10, rates, rates / 100), "mom": SchedLin(0.9, 0.5), "wd": SchedNo(0.3, 0)}
    learn.fit(1, 1.0, cbs=[ParamScheduler(scheds), seen])
    first = seen.rows[0]
    assert {g: lr for g, lr, *_ in first} == pytest.approx(dict(enumerate(rates / 10)))
    assert first[0][2] == 0.9
    assert {wd for *_, wd in first} == {0.0, 0.3}
    assert seen.rows[-1][0][2] < 0.6


def test_what_cannot_be_set():
    with pytest.raises(ConfigError, match="'mum' cannot be set; did you mean 'mom'"):
        ParamScheduler({"mum": SchedNo(1, 1)})
    with pytest.raises(ConfigError, match=r"lr=0.1 must be a curve"):
        ParamScheduler({"lr": 0.1})
    with pytest.raises(ConfigError, match="lr has 2 values, and the model"):
        classifier_learner().fit(1, cbs=ParamScheduler({"lr": SchedNo(np.ones(2), np.ones(2))}))


@pytest.mark.parametrize(("opt_func", "lr"), [(RAdam, 1e-2), (RMSProp, 3e-3), (SGD, 1.0)])
def test_other_optimizers_learn(opt_func, lr):
    learn = lm_learner(opt_func=opt_func)
    learn.fit(4, lr)
    assert learn.history[-1]["valid_loss"] < learn.history[0]["valid_loss"]
    assert isinstance(learn.optimizer, torch.optim.Optimizer)
