from __future__ import annotations

import csv
import math
from contextlib import nullcontext, suppress

import pytest
import torch
from learners import classifier_learner, lm_learner

from ulmfit.data.loaders import ClassifierLoader
from ulmfit.errors import ConfigError, FormatError
from ulmfit.training.averaging import NTASGD, ExponentialMovingAverage
from ulmfit.training.callbacks import (
    Callback,
    CancelBatchException,
    CancelEpochException,
    GradientAccumulation,
    GradientClip,
)
from ulmfit.training.mixup import MixUp
from ulmfit.training.optimizer import SGD
from ulmfit.training.tracking import (
    CSVLogger,
    EarlyStoppingCallback,
    JSONLLogger,
    ReduceLROnPlateau,
    SaveModelCallback,
    read_history,
)


class Pretend(Callback):
    """Replaces what the epochs measured."""

    def __init__(self, *losses: float) -> None:
        self.losses = losses

    def after_epoch(self, learn) -> None:
        learn.history[-1]["valid_loss"] = self.losses[len(learn.history) - 1]


def weights(learn) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in learn.model.parameters()])


def test_a_fit_ends_early_when_nothing_gets_better():
    learn = lm_learner()
    learn.fit(6, 1e-3, cbs=[Pretend(3, 2, 2.5, 2.4, 1, 1), EarlyStoppingCallback(patience=2)])
    assert len(learn.history) == 4
    learn = lm_learner()
    learn.fit(3, 1e-3, cbs=[Pretend(3, 2.95, 2.9), EarlyStoppingCallback(min_delta=0.2)])
    assert len(learn.history) == 2
    with pytest.raises(ConfigError, match=r"'acuracy' is not measured; did you mean 'accuracy'\?"):
        learn.fit(1, 1e-3, cbs=EarlyStoppingCallback("acuracy"))
    with pytest.raises(ConfigError, match="patience=0"):
        EarlyStoppingCallback(patience=0)


def test_a_metric_knows_whether_higher_is_better():
    learn = lm_learner()
    watch = EarlyStoppingCallback("accuracy", patience=9)
    learn.fit(1, 1e-3, cbs=[watch])
    assert watch.sign == 1
    watch = EarlyStoppingCallback("perplexity", patience=9)
    learn.fit(1, 1e-3, cbs=[watch])
    assert watch.sign == -1


def test_rates_fall_on_a_plateau_under_a_schedule():
    rates = []

    class Watch(Callback):
        def after_batch(self, learn) -> None:
            rates.append(learn.optimizer.param_groups[0]["lr"])

    learn = lm_learner()
    learn.fit(3, 1e-2, cbs=[Pretend(1, 2, 3), ReduceLROnPlateau(factor=4), Watch()])
    assert [rates[0], rates[20], rates[-1]] == pytest.approx([1e-2, 1e-2, 2.5e-3])
    learn.fit(1, 1e-2, cbs=[Watch()])
    assert rates[-1] == pytest.approx(1e-2)  # the next fit is not lowered


def test_the_best_model_is_saved_and_comes_back(tmp_path):
    learn = lm_learner(path=tmp_path)
    kept = []

    class Keep(Callback):
        def after_epoch(self, learn) -> None:
            kept.append(weights(learn))

    learn.fit(3, 1e-2, cbs=[Keep(), Pretend(3, 1, 2), SaveModelCallback(fname="best")])
    assert torch.equal(weights(learn), kept[1])
    assert (tmp_path / "models" / "best.safetensors").is_file()
    learn.fit(2, 1e-2, cbs=[SaveModelCallback(fname="last", at_end=True)])
    last = weights(learn).clone()
    learn.fit(2, 1e-2, cbs=[SaveModelCallback(fname="each", every_epoch=True)])
    learn.load("last")
    assert torch.equal(weights(learn), last)
    assert {p.name for p in (tmp_path / "models").iterdir()} >= {"each_0.safetensors", "each_1.safetensors"}


def test_the_history_is_logged_as_it_grows(tmp_path):
    learn = lm_learner(path=tmp_path)
    learn.fit(2, 1e-3, cbs=[CSVLogger(), JSONLLogger()])
    with (tmp_path / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["valid_loss"]) for row in rows] == [row["valid_loss"] for row in learn.history]
    assert read_history(tmp_path / "history.jsonl") == learn.history
    learn.fit(1, 1e-3, cbs=[CSVLogger(append=True)])
    assert len((tmp_path / "history.csv").read_text(encoding="utf-8").splitlines()) == 4
    with pytest.raises(FormatError, match="not a history"):
        read_history(tmp_path / "history.csv")


@pytest.mark.parametrize("n_acc", [20, 17])  # of batches of 5 rows, both are reached with 20
def test_accumulated_gradients_are_those_of_the_large_batch(n_acc):
    def trained(bs: int, cbs: list[Callback]) -> torch.Tensor:
        learn = classifier_learner(cbs=cbs, alpha=0.0, beta=0.0, opt_func=SGD)
        learn.model.eval()
        object.__setattr__(
            learn.dls, "train", ClassifierLoader(learn.dls.valid.documents, learn.dls.valid.labels, bs=bs)
        )
        learn.model.train = lambda mode=True: learn.model.eval() if mode else learn.model  # no dropout, no batch norm
        learn.fit(1, 1.0)
        return weights(learn)

    assert torch.allclose(trained(20, []), trained(5, [GradientAccumulation(n_acc)]), atol=1e-6)


class Break(Callback):
    def after_batch(self, learn) -> None:
        if learn.step == 3:
            raise InterruptedError


@pytest.mark.parametrize("broken", [False, True])
def test_accumulated_gradients_do_not_reach_the_next_fit(broken):
    def trained(cbs: list[Callback]) -> torch.Tensor:
        learn = lm_learner(opt_func=SGD)
        with nullcontext() if not broken else suppress(InterruptedError):
            learn.fit(0.5, 1e-9, cbs=cbs)  # 9 batches of 4 rows
        assert all(p.grad is None for p in learn.model.parameters())
        learn.fit(0.2, 1.0)
        return weights(learn)

    ends = [Break()] if broken else []
    assert torch.allclose(trained([GradientAccumulation(16), *ends]), trained(ends), atol=1e-5)


def test_gradients_from_elsewhere_do_not_reach_a_fit():
    plain, learn = lm_learner(), lm_learner()
    for p in learn.model.parameters():
        p.grad = torch.ones_like(p)
    for one in (plain, learn):
        one.fit(0.2, 1e-2)
    assert torch.equal(weights(plain), weights(learn))


def test_more_rows_for_a_step_than_the_fit_has_are_refused():
    learn = lm_learner()
    with pytest.raises(ConfigError, match="n_acc=1000 rows are more than the 72 of the whole fit"):
        learn.fit(1, 1e-3, cbs=[GradientAccumulation(1000)])
    learn = classifier_learner()  # 60 texts in 8 batches of 8
    with pytest.raises(ConfigError, match="n_acc=62 rows are more than the 60 of the whole fit"):
        learn.fit(1, 1e-3, cbs=[GradientAccumulation(62)])
    learn.fit(2, 1e-3, cbs=[GradientAccumulation(62)])


def test_the_gradient_is_clipped_in_this_fit_only():
    learn = lm_learner(opt_func=SGD, wd=0.0)
    before = weights(learn)
    learn.fit(1 / len(learn.dls.train), 1.0, cbs=[GradientClip(1e-3)])
    assert float((weights(learn) - before).norm()) <= 1.01e-3
    assert learn.clip is None


def test_the_gradients_before_a_step_are_final():
    norms = []

    def look(learn) -> None:
        norms.append(float(torch.cat([p.grad.flatten() for p in learn.model.parameters()]).norm()))

    lm_learner(cbs=[Callback(before_step=look)]).fit(0.2, 1e-2, cbs=[GradientClip(1e-3)])
    assert norms == pytest.approx([1e-3] * len(norms), rel=0.01)


def test_the_moving_average_is_what_is_validated_and_left():
    learn = lm_learner()
    seen = {}

    class Watch(Callback):
        def after_batch(self, learn) -> None:
            seen.setdefault("trained", []).append(weights(learn))

        def after_validate(self, learn) -> None:
            seen["validated"] = weights(learn)

    learn.fit(1, 1e-2, cbs=[ExponentialMovingAverage(0.9), Watch()])
    average = seen["trained"][0]
    for n, w in enumerate(seen["trained"][1:], start=1):
        decay = min(0.9, (1 + n) / (10 + n))
        average = decay * average + (1 - decay) * w
    assert torch.allclose(seen["validated"], average, atol=1e-5)
    assert torch.equal(weights(learn), seen["validated"])
    with pytest.raises(ConfigError, match="decay=1"):
        ExponentialMovingAverage(1.0)


def test_plain_averaging_begins_when_the_loss_rises():
    learn = lm_learner(opt_func=SGD)
    average = NTASGD(n=2)
    triggered = []

    class Watch(Callback):
        def after_epoch(self, learn) -> None:
            triggered.append(average.triggered)

    learn.fit(6, 1e-2, cbs=[Pretend(5, 4, 3, 3.5, 6, 3), average, Watch()])
    assert triggered == [False, False, False, False, True, True]
    assert average.n == len(learn.dls.train)


def test_mixing_examples_changes_loss_and_gradient_of_a_classifier_only():
    learn = classifier_learner()
    learn.fit(2, 1e-2, cbs=[MixUp()])
    plain = classifier_learner()
    plain.fit(2, 1e-2)
    assert not torch.equal(weights(learn), weights(plain))
    assert not learn.model.head.layers._forward_pre_hooks
    assert math.isfinite(learn.history[-1]["valid_loss"])
    with pytest.raises(ConfigError, match="this model has none"):
        lm_learner().fit(1, 1e-3, cbs=[MixUp()])


def test_callbacks_may_leave_out_batches_and_epochs():
    class Skip(Callback):
        def before_batch(self, learn) -> None:
            if learn.batch % 2:
                raise CancelBatchException

    learn = lm_learner()
    learn.fit(1, 1e-3, cbs=[Skip()])
    assert learn.n_steps == math.ceil(len(learn.dls.train) / 2)
    assert learn.history[-1]["steps"] == len(learn.dls.train)

    class SkipFirst(Callback):
        def before_epoch(self, learn) -> None:
            if learn.epoch == 0 and learn.batch == 0 and learn.step < 5:
                self.on = True

        def after_batch(self, learn) -> None:
            if learn.epoch == 0 and learn.step == 5:
                raise CancelEpochException

    learn.fit(2, 1e-3, cbs=[SkipFirst()])
    assert [row["steps"] for row in learn.history[1:]] == [2 * len(learn.dls.train)]  # the second epoch's
