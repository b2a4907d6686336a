from __future__ import annotations

from types import SimpleNamespace

import pytest
from accelerate.tracking import GeneralTracker, on_main_process
from learners import lm_learner

from ulmfit.errors import ConfigError, UlmfitError
from ulmfit.training.callbacks import Callback
from ulmfit.training.trackers import LogTo


class Tracker(GeneralTracker):
    name = "mine"
    requires_logging_directory = False

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[tuple[int | None, dict]] = []

    @property
    def tracker(self):
        return self

    @on_main_process
    def store_init_configuration(self, values: dict) -> None:
        self.config = values

    @on_main_process
    def log(self, values: dict, step: int | None = None, **_) -> None:
        self.rows.append((step, values))


def test_a_tracker_of_accelerate_gets_epochs_and_steps(tmp_path):
    tracker = Tracker()
    learn = lm_learner()
    log = LogTo(tracker, folder=tmp_path, config={"lr": 1e-3}, every=6)
    learn.fit(2, 1e-3, cbs=[log])
    log.close()
    assert tracker.config == {"lr": 1e-3}
    epochs = [(step, row["valid_loss"]) for step, row in tracker.rows if "valid_loss" in row]
    assert epochs == [(18 * (i + 1), row["valid_loss"]) for i, row in enumerate(learn.history)]
    assert [step for step, row in tracker.rows if "loss" in row] == [6, 12, 18, 24, 30, 36]


def test_a_tracker_that_is_not_known(tmp_path):
    with pytest.raises(ConfigError, match="tracker 'tensorbord' is not known; did you mean 'tensorboard'"):
        lm_learner().fit(1, 1e-3, cbs=[LogTo("tensorbord", folder=tmp_path)])


def test_too_little_memory_names_what_to_lower():
    class Full(Callback):
        def before_batch(self, learn) -> None:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

    class Other(Callback):
        def before_batch(self, learn) -> None:
            raise RuntimeError("something else")

    with pytest.raises(UlmfitError, match="lower bs, then seq_len"):
        lm_learner().fit(1, 1e-3, cbs=[Full()])
    with pytest.raises(RuntimeError, match="something else"):
        lm_learner().fit(1, 1e-3, cbs=[Other()])


def test_cbs_must_be_callbacks_and_numbers_make_sense():
    learn = lm_learner()
    with pytest.raises(ConfigError, match="must be an object of Callback"):
        learn.fit(1, 1e-3, cbs=[SimpleNamespace()])
    with pytest.raises(ConfigError, match="n_epoch='3' must be a number"):
        learn.fit("3")
    with pytest.raises(ConfigError, match="start_epoch=2 must be at least 0 and below n_epoch=2"):
        learn.fit(2, start_epoch=2)
    with pytest.raises(ConfigError, match="clip=0"):
        lm_learner(clip=0)
    with pytest.raises(ConfigError, match="wd=-1"):
        lm_learner(wd=-1)
    with pytest.raises(ConfigError, match="must make an optimizer of torch"):
        lm_learner(opt_func=lambda groups: None)
    with pytest.raises(ConfigError, match="ds_idx=2"):
        learn.validate(2)


def test_epochs_may_be_left_out_at_the_start():
    learn = lm_learner()
    learn.fit_one_cycle(3, 1e-2, start_epoch=2)
    assert learn.n_steps == len(learn.dls.train)
    assert learn.history[0]["steps"] == 3 * len(learn.dls.train)
    assert learn.recorder.lrs[0] < 1e-2 * 0.6  # two thirds of the cycle are over
