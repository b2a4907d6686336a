from __future__ import annotations

import math

import pytest
import torch
from learners import classifier_learner, lm_learner
from torch import nn

from ulmfit.errors import ConfigError
from ulmfit.training.callbacks import (
    Callback,
    CancelEpochException,
    CancelTrainException,
    CancelValidException,
)
from ulmfit.training.more_callbacks import (
    BnFreeze,
    MixedPrecision,
    ModelResetter,
    RNNRegularizer,
    ShowGraphCallback,
    SkipToEpoch,
    rnn_cbs,
)


def test_the_regulariser_takes_the_place_of_the_learners_own_for_a_fit():
    plain, given, changed = lm_learner(alpha=0.5, beta=3.0), lm_learner(alpha=2.0, beta=1.0), lm_learner()
    plain.fit(1, 1e-2)
    given.fit(1, 1e-2, cbs=[RNNRegularizer(alpha=0.5, beta=3.0)])
    changed.fit(1, 1e-2)
    assert (given.alpha, given.beta) == (2.0, 1.0)
    assert given.validate()[0] == plain.validate()[0] != changed.validate()[0]


def test_rnn_cbs_regularises_only_if_asked():
    assert [type(cb) for cb in rnn_cbs()] == [ModelResetter]
    assert [type(cb) for cb in rnn_cbs(alpha=2.0)] == [ModelResetter, RNNRegularizer]
    learn = lm_learner()
    learn.fit(1, 1e-2, cbs=rnn_cbs(2.0, 1.0))
    assert learn.model.encoder.state is None
    with pytest.raises(ConfigError, match=r"alpha=-1\.0"):
        RNNRegularizer(alpha=-1.0)


def test_first_epochs_are_left_out_and_the_schedule_goes_on():
    learn = lm_learner()
    learn.fit_one_cycle(3, 1e-2, cbs=[SkipToEpoch(2)])
    n = len(learn.dls.train)
    assert learn.n_steps == n
    assert [row["steps"] for row in learn.history] == [3 * n]
    whole = lm_learner()
    whole.fit_one_cycle(3, 1e-2)
    assert list(learn.recorder.lrs) == list(whole.recorder.lrs)[2 * n :]
    with pytest.raises(ConfigError, match="epoch=-1"):
        SkipToEpoch(-1)


def test_a_fit_ends_though_every_epoch_is_left_out():
    class Never(Callback):
        def before_epoch(self, learn) -> None:
            raise CancelEpochException

    learn = lm_learner()
    learn.fit(3, 1e-2, cbs=[Never()])
    assert learn.history == []
    assert learn.n_steps == 0


def test_the_training_part_of_an_epoch_may_be_left_early():
    class Half(Callback):
        def after_batch(self, learn) -> None:
            if learn.batch == len(learn.dls.train) // 2:
                raise CancelTrainException

    learn = lm_learner()
    learn.fit(2, 1e-2, cbs=[Half()])
    n = len(learn.dls.train)
    assert learn.n_steps == 2 * (n // 2)
    assert [row["steps"] for row in learn.history] == [n, 2 * n]
    assert all(math.isfinite(row["valid_loss"]) for row in learn.history)


def test_validation_may_be_left_out():
    class Blind(Callback):
        def before_validate(self, learn) -> None:
            raise CancelValidException

    learn = classifier_learner(metrics=["accuracy"])
    learn.fit(1, 1e-2, cbs=[Blind()])
    assert math.isnan(learn.history[-1]["valid_loss"])
    assert math.isnan(learn.history[-1]["accuracy"])
    assert math.isfinite(learn.history[-1]["train_loss"])


def test_batch_norm_keeps_its_numbers():
    learn = classifier_learner()
    norms = [m for m in learn.model.modules() if isinstance(m, nn.BatchNorm1d)]
    before = [m.running_mean.clone() for m in norms]
    learn.fit(1, 1e-2, cbs=[BnFreeze()])
    assert all(torch.equal(m.running_mean, b) for m, b in zip(norms, before, strict=True))
    learn.fit(1, 1e-2)
    assert not any(torch.equal(m.running_mean, b) for m, b in zip(norms, before, strict=True))


def test_half_precision_is_for_the_fit():
    seen = []

    class Look(Callback):
        def before_batch(self, learn) -> None:
            seen.append(learn.precision)

    learn = lm_learner(precision="fp32")
    chosen = lm_learner(precision="fp32").to_fp16().precision
    learn.fit(1, 1e-2, cbs=[MixedPrecision(), Look()])
    assert set(seen) == {chosen}
    assert learn.precision == "fp32"


def test_losses_are_drawn_after_the_fit(monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setenv("MPLBACKEND", "agg")
    from matplotlib import pyplot

    pyplot.close("all")
    learn = lm_learner()
    learn.fit(1, 1e-2, cbs=[ShowGraphCallback()])
    lines = pyplot.gca().get_lines()
    pyplot.close("all")
    assert [len(line.get_xdata()) for line in lines] == [len(learn.dls.train) - 5, 1]
