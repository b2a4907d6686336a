from __future__ import annotations

import io
import math
import pickle
import re
import time
from functools import cache

import numpy as np
import pytest
import torch
from learners import classifier_learner, documents, lm_learner
from rich.console import Console

from ulmfit.data.loaders import ClassifierLoader
from ulmfit.errors import ConfigError, DataError, UlmfitError
from ulmfit.training import precision
from ulmfit.training.callbacks import Callback, GradientAccumulation, GradientClip, StopFit
from ulmfit.training.learner import Learner
from ulmfit.training.metrics import make_metric
from ulmfit.training.precision import gains_by_bf16, resolve_precision
from ulmfit.training.progress import ProgressTable
from ulmfit.training.tracking import SaveBest


def test_a_language_model_learns_and_writes_its_history():
    learn = lm_learner()
    before = learn.validate()
    learn.fit_one_cycle(10, 3e-2)
    assert [row["epoch"] for row in learn.history] == list(range(10))
    assert list(learn.history[0]) == ["epoch", "steps", "train_loss", "valid_loss", "accuracy", "perplexity", "time"]
    last = learn.history[-1]
    assert last["valid_loss"] < 1.0 < before["valid_loss"]
    assert last["accuracy"] > 0.8
    assert last["perplexity"] == pytest.approx(math.exp(last["valid_loss"]), rel=1e-6)
    assert last["steps"] == 10 * len(learn.dls.train)


def test_a_classifier_learns():
    learn = classifier_learner()
    learn.fit_one_cycle(15, 2e-2)
    assert learn.history[-1]["accuracy"] > 0.9
    loader = learn.dls.valid
    assert isinstance(loader, ClassifierLoader)
    probabilities, targets = learn.get_preds()
    assert probabilities.shape == (60, 2)
    assert targets.tolist() == loader.labels.tolist()
    assert float((probabilities.argmax(1) == targets).float().mean()) == pytest.approx(learn.history[-1]["accuracy"])


def test_two_runs_with_one_seed_give_equal_weights_and_leave_the_callers_generator_alone():
    def weights(seed: int) -> torch.Tensor:
        learn = lm_learner(seed=seed)
        torch.manual_seed(123)
        before = torch.get_rng_state()
        learn.fit_one_cycle(1, 1e-2)
        assert torch.equal(torch.get_rng_state(), before)
        return torch.cat([p.detach().flatten() for p in learn.model.parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_freezing_counts_groups_from_the_head():
    learn = classifier_learner()
    learn.freeze_to(-2)
    trainable = [all(p.requires_grad for p in g) for g in learn.groups]
    assert trainable == [False, False, True, True]
    before = [p.detach().clone() for p in learn.groups[0]]
    learn.fit_one_cycle(1, 1e-2)
    assert all(torch.equal(a, b) for a, b in zip(before, learn.groups[0], strict=True))
    learn.unfreeze()
    learn.fit_one_cycle(1, slice(1e-3, 1e-2))
    assert not torch.equal(before[0], learn.groups[0][0])
    with pytest.raises(ConfigError, match="4 parameter groups"):
        learn.freeze_to(-5)


def test_discriminative_rates_reach_the_groups():
    learn = classifier_learner()
    seen: dict[int, float] = {}

    class Watch(Callback):
        def after_batch(self, learn: Learner) -> None:
            for group in learn.optimizer.param_groups:
                seen[group["group"]] = max(seen.get(group["group"], 0), group["lr"])

    learn.fit_one_cycle(3, slice(1e-5, 1e-2), cbs=[Watch()])
    assert [seen[i] for i in range(4)] == pytest.approx([1e-5, 1e-4, 1e-3, 1e-2], rel=0.05)


def test_matrices_decay_and_vectors_do_not():
    for group in classifier_learner(wd=0.3).optimizer.param_groups:
        assert all((p.dim() > 1) == (group["weight_decay"] == 0.3) for p in group["params"])


def test_a_fraction_of_an_epoch():
    learn = lm_learner()
    learn.fit_one_cycle(0.5, 1e-2)
    assert learn.n_steps == round(0.5 * len(learn.dls.train))


def test_a_time_limit_ends_the_fit_with_its_schedule_run_through():
    learn = lm_learner()
    rates = []

    class Watch(Callback):
        def after_batch(self, learn: Learner) -> None:
            rates.append(learn.optimizer.param_groups[0]["lr"])

    started = time.perf_counter()
    learn.fit_one_cycle(1e6, 1e-3, seconds=1.5, cbs=[Watch()])
    assert 1.4 < time.perf_counter() - started < 10
    assert rates[-1] < 0.5 * max(rates)
    steps = [row["steps"] for row in learn.history]
    assert steps == sorted(set(steps))  # no epoch without a step


@pytest.mark.parametrize(
    ("epochs", "seconds", "message"),
    [(0, None, "n_epoch=0"), (-1, None, "positive"), (1e-2, None, "learning rate"), (1, 0, "seconds=0")],
)
def test_fits_that_make_no_sense(epochs: float, seconds: float | None, message: str):
    with pytest.raises(ConfigError, match=message):
        lm_learner().fit_one_cycle(epochs, 1e-2, seconds=seconds)


def test_a_loss_that_is_not_a_number_ends_training_and_says_where():
    learn = lm_learner()
    with torch.no_grad():
        next(learn.model.parameters()).fill_(float("nan"))
    with pytest.raises(UlmfitError, match="loss became nan at step 1 of epoch 0"):
        learn.fit_one_cycle(1, 1e-2)


def test_a_callback_can_end_the_fit():
    class Stop(Callback):
        ended = False

        def after_batch(self, learn: Learner) -> None:
            raise StopFit

        def after_fit(self, learn: Learner) -> None:
            self.ended = True

    learn, stop = lm_learner(), Stop()
    learn.fit_one_cycle(3, 1e-2, cbs=[stop])
    assert learn.n_steps == 1
    assert stop.ended


def test_the_best_epoch_comes_back():
    learn = classifier_learner()
    best = SaveBest("valid_loss")
    learn.fit(2, 1e-2, cbs=[best])
    good = min(row["valid_loss"] for row in learn.history)
    learn.fit(2, 10.0, cbs=[best])
    best.restore(learn)
    assert learn.validate()["valid_loss"] == pytest.approx(good, abs=1e-5)
    assert best.row["valid_loss"] == good
    with pytest.raises(ConfigError, match=r"'f1' is not measured; known are train_loss, valid_loss, accuracy"):
        learn.fit(1, 1e-3, cbs=[SaveBest("f1")])


def test_the_table_is_plain_rows_in_a_pipe():
    out = io.StringIO()
    learn = lm_learner()
    table = ProgressTable(Console(file=out, width=30))
    learn.fit_one_cycle(2, 1e-2, cbs=[table])
    lines = out.getvalue().splitlines()
    assert lines[0].split() == ["epoch", "train_loss", "valid_loss", "accuracy", "perplexity", "time"]
    assert [line.split()[0] for line in lines[1:]] == ["0", "1"]
    assert "\x1b" not in out.getvalue()


def test_figures_are_a_tuple_with_names():
    learn = lm_learner()
    figures = learn.validate()
    loss, accuracy, perplexity = figures
    assert figures == (figures["valid_loss"], figures["accuracy"], figures["perplexity"])
    assert figures[0] == loss
    assert figures[1:] == (accuracy, perplexity)
    assert dict(figures) == {**figures} == {"valid_loss": loss, "accuracy": accuracy, "perplexity": perplexity}
    assert pickle.loads(pickle.dumps(figures)).names == figures.names  # noqa: S301 - our own
    assert repr(figures).startswith(f"Figures(valid_loss={loss:.4g}, accuracy=")
    with pytest.raises(KeyError, match="'f1' was not measured; there are valid_loss, accuracy, perplexity"):
        figures["f1"]


def test_a_long_epoch_is_heard_of_in_a_pipe(monkeypatch: pytest.MonkeyPatch):
    out = io.StringIO()
    monkeypatch.setattr("ulmfit.training.progress._LINE_SECONDS", 0.0)
    lm_learner().fit_one_cycle(1, 1e-2, cbs=[ProgressTable(Console(file=out))])
    *lines, header, _ = out.getvalue().splitlines()
    assert header.split()[0] == "epoch"
    assert re.fullmatch(r"epoch 0  loss \d+\.\d{4}  \d+% done, (0 min left|just begun)", lines[0])
    assert lines[-1].endswith("% done, 0 min left")
    out.truncate(0)
    lm_learner().fit_one_cycle(1, 1e-2, cbs=[ProgressTable(Console(file=out), bar=False)])
    assert "done" not in out.getvalue()


def test_the_bar_is_shown_in_a_terminal_and_taken_away():
    out = io.StringIO()
    lm_learner().fit_one_cycle(1, 1e-2, cbs=[ProgressTable(Console(file=out, force_terminal=True, width=100))])
    assert "\x1b" in out.getvalue()
    assert "train_loss" in out.getvalue()


def test_an_epoch_whose_loss_is_not_a_number_is_never_the_best():
    learn, best = lm_learner(), SaveBest("valid_loss")
    for value in (math.nan, 3.0, 2.0, math.nan):
        learn.history.append({"epoch": len(learn.history), "valid_loss": value})
        best.after_epoch(learn)
    assert best.row["valid_loss"] == 2.0


def test_unknown_names():
    with pytest.raises(ConfigError, match="known are accuracy, error_rate, perplexity"):
        make_metric("f3")
    with pytest.raises(ConfigError, match="auto, bf16, fp16, fp32"):
        resolve_precision("fp8", torch.device("cpu"))


@pytest.mark.parametrize(
    ("has_bf16", "half", "chosen"),
    [(True, 0.5, "bf16"), (True, 2.0, "fp32"), (True, 0.9, "fp32"), (False, 0.5, "fp32")],
)
def test_bfloat16_is_taken_where_it_is_faster(
    monkeypatch: pytest.MonkeyPatch, has_bf16: bool, half: float, chosen: str
) -> None:
    seconds = {torch.float32: 1.0, torch.bfloat16: half}
    monkeypatch.setattr(precision, "supports_bf16", lambda device: has_bf16)
    monkeypatch.setattr(precision, "_seconds_of_product", lambda dtype, device: seconds[dtype])
    monkeypatch.setattr(precision, "gains_by_bf16", gains_by_bf16.__wrapped__)  # what was measured before is kept
    assert resolve_precision("auto", torch.device("cpu")) == chosen
    assert resolve_precision("fp32", torch.device("cpu")) == "fp32"


def test_the_choice_of_a_precision_is_made_once_and_takes_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    device = torch.device("cpu")
    assert precision._seconds_of_product(torch.float32, device) < 1
    monkeypatch.setattr(precision, "supports_bf16", lambda device: True)
    monkeypatch.setattr(precision, "gains_by_bf16", cache(gains_by_bf16.__wrapped__))
    first = resolve_precision("auto", device)
    monkeypatch.setattr(precision, "_seconds_of_product", lambda dtype, device: pytest.fail("measured again"))
    assert resolve_precision("auto", device) == first


def test_a_batch_without_target_is_refused():
    learn = classifier_learner()
    with pytest.raises(DataError, match="no target"):
        learn.validate(ClassifierLoader(documents(), bs=4))


@pytest.mark.usefixtures("bf16")
def test_bf16_trains_where_the_processor_has_it():
    learn = lm_learner(precision="bf16")
    learn.fit_one_cycle(6, 2e-2)
    assert learn.history[-1]["accuracy"] > 0.8
    assert all(p.dtype == torch.float32 for p in learn.model.parameters())


@pytest.mark.parametrize("n_acc", [0, -1, 1.5, "2", True])
def test_accumulation_needs_a_whole_number_of_rows(n_acc):
    with pytest.raises(ConfigError, match="n_acc="):
        GradientAccumulation(n_acc)


@pytest.mark.parametrize("norm", [0, -1.0, "1", float("nan")])
def test_a_limit_of_the_gradient_is_positive(norm):
    with pytest.raises(ConfigError, match="max_norm="):
        GradientClip(norm)


def test_a_method_that_would_never_be_called_is_refused():
    with pytest.raises(ConfigError, match=r"after_bach \(did you mean after_batch\?\)"):
        type("Mine", (Callback,), {"after_bach": lambda self, learn: None})
    with pytest.raises(ConfigError, match="never calls before_prediction"):
        type("Mine", (Callback,), {"before_prediction": lambda self, learn: None})


def test_a_rate_in_the_place_of_the_epochs_is_answered_with_the_call_that_was_meant():
    with pytest.raises(ConfigError, match=r"fine_tune\(1, 0\.01\)"):
        lm_learner().fine_tune(1e-2)
    with pytest.raises(ConfigError, match=r"fit_one_cycle\(3, 0\.1\)"):
        lm_learner().fit_one_cycle(0.1, 3)


def test_numbers_of_numpy_are_numbers():
    learn = lm_learner()
    learn.fit(np.int64(1), np.float32(1e-2))
    assert len(learn.history) == 1


@pytest.mark.parametrize("wrong", [{"pct_start": 2}, {"cbs": [3]}, {"freeze_epochs": -1}])
def test_what_is_refused_is_refused_before_anything_is_frozen(wrong):
    learn = lm_learner()
    with pytest.raises(ConfigError):
        learn.fine_tune(1, **wrong)
    assert learn.n_steps == 0
    assert all(p.requires_grad for p in learn.model.parameters())


def test_columns_are_as_wide_as_their_names():
    out = io.StringIO()
    learn = classifier_learner(metrics=["balanced_accuracy", "roc_auc"])
    learn.fit(1, 1e-9, cbs=[ProgressTable(Console(file=out, width=30))])
    head, row = out.getvalue().splitlines()
    assert head.split() == ["epoch", "train_loss", "valid_loss", "balanced_accuracy_score", "roc_auc_score", "time"]
    assert len(head) == len(row)
    assert len(row.split()) == 6
