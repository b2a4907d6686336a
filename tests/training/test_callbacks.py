"""What callbacks may do at the points of the training loop."""

from __future__ import annotations

import copy

import pytest
import torch
from learners import lm_learner

from ulmfit.errors import ConfigError
from ulmfit.training.callbacks import (
    Callback,
    CancelBatchException,
    CancelEpochException,
    CancelStepException,
    GradientAccumulation,
    GradientClip,
)
from ulmfit.training.more_callbacks import RNNRegularizer
from ulmfit.training.tracking import SaveBest


def weights(learn) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in learn.model.parameters()])


def raising(error: type[Exception]):
    def hook(learn) -> None:
        raise error

    return hook


@pytest.mark.parametrize("event", ["before_batch", "after_pred", "after_loss", "after_backward", "before_step"])
def test_a_batch_that_is_left_out_is_counted_once(event):
    learn = lm_learner()
    before = weights(learn)
    learn.fit(2, 1e-2, cbs=[Callback(**{event: raising(CancelBatchException)})])
    assert [row["steps"] for row in learn.history] == [18, 36]
    assert torch.equal(weights(learn), before)


def test_a_batch_that_is_left_out_leaves_what_was_accumulated():
    def hook(learn) -> None:
        if learn.batch % 2:
            raise CancelBatchException

    steps = []
    learn = lm_learner()
    before = weights(learn)
    learn.fit(1, 1e-2, cbs=[Callback(before_batch=hook, after_step=steps.append), GradientAccumulation(12)])
    assert len(steps) == 3
    assert not torch.equal(weights(learn), before)


@pytest.mark.parametrize("event", ["after_backward", "before_step"])
def test_a_step_that_is_left_out_changes_nothing(event):
    learn = lm_learner()
    before = weights(learn)
    learn.fit(1, 1e-2, cbs=[Callback(**{event: raising(CancelStepException)})])
    assert torch.equal(weights(learn), before)
    assert learn.history[-1]["steps"] == 18


@pytest.mark.parametrize(
    ("event", "error"),
    [("after_batch", CancelBatchException), ("after_epoch", CancelEpochException), ("after_loss", CancelStepException)],
)
def test_what_cannot_be_left_out_any_more_is_an_error(event, error):
    with pytest.raises(ConfigError, match=f"{error.__name__} was raised where nothing is left out by it. Raised by"):
        lm_learner().fit(1, 1e-2, cbs=[Callback(**{event: raising(error)})])


def test_hooks_may_be_functions_of_an_object():
    seen = []

    class Own(Callback):
        def __init__(self) -> None:
            self.after_train = lambda learn: seen.append("own")

    lm_learner().fit(1, 1e-3, cbs=[Own(), Callback(after_epoch=lambda learn: seen.append("given"))])
    assert seen == ["own", "given"]
    with pytest.raises(ConfigError, match=r"'after_bach' \(did you mean 'after_batch'\?\)"):
        Callback(after_bach=print)


def test_a_fit_that_cannot_begin_says_why_and_puts_back_what_was_changed():
    learn = lm_learner()
    learn.clip = 0.5
    with pytest.raises(ConfigError, match="is not measured"):
        learn.fit(1, 1e-3, cbs=[GradientClip(1.0), SaveBest("f1"), RNNRegularizer(1.0), GradientClip(2.0)])
    assert (learn.clip, learn.alpha) == (0.5, 2.0)


def test_a_hook_is_given_the_learner():
    class Without(Callback):
        def after_batch(self) -> None:
            """As in fastai."""

    with pytest.raises(ConfigError, match=r"Without.after_batch must take the learner.*def after_batch\(self, learn\)"):
        lm_learner().fit(1, 1e-3, cbs=[Without()])


def test_a_fit_leaves_no_graph_behind():
    learn = lm_learner()
    learn.fit(0.2, 1e-3)
    learn.lr_find(num_it=10, show_plot=False)
    assert not {"inputs", "target", "output", "loss_grad"} & vars(learn).keys()
    other = copy.deepcopy(learn)
    other.fit(0.2, 1e-3)
    learn.fit(0.2, 1e-3)
    assert torch.equal(weights(other), weights(learn))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_fit_goes_on_in_another_precision(dtype: torch.dtype):
    learn = lm_learner()
    learn.fit(1, 1e-3)
    learn.model.to(dtype)
    learn.fit(1, 1e-3)
    assert next(learn.model.parameters()).dtype == dtype
    assert len(learn.history) == 2
