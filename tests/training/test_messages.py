"""What makes no sense in training is refused, and the message says what was given and what is right."""

from __future__ import annotations

import math
import os
import pickle
from functools import partial

import pytest
import torch
from learners import V, classifier_learner, lm_learner

from ulmfit.errors import ConfigError, FormatError, UlmfitError
from ulmfit.training.callbacks import Callback
from ulmfit.training.losses import BCEWithLogitsLossFlat, CrossEntropyLossFlat, FocalLossFlat
from ulmfit.training.lr_finder import slide, valley
from ulmfit.training.metrics import top_k_accuracy
from ulmfit.training.optimizer import SGD
from ulmfit.training.trackers import LogTo


def no_memory(learn) -> None:
    raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes")


@pytest.mark.parametrize(
    ("make", "call", "message"),
    [
        (lm_learner, lambda learn: learn.fit(1, 20.0), "lr=20.0 is far above any rate with which AdamW trains"),
        (lm_learner, lambda learn: learn.fit(1, 1e-3, resume=True), "resume=True, but no checkpoint was loaded"),
        (lm_learner, lambda learn: learn.save(""), "file='' must be a name"),
        (lm_learner, lambda learn: learn.fit(1e-3), r"n_epoch=0.001 .* as in fit\(1, 0.001\)"),
        (lm_learner, lambda learn: learn.fit_flat_cos(1e-3), r"as in fit_flat_cos\(1, 0.001\)"),
        (lm_learner, lambda learn: learn.fit_one_cycle(1e-3), r"as in fit_one_cycle\(1, 0.001\)"),
        (
            lm_learner,
            lambda learn: learn.fit_sgdr(1e-2, 1),
            r"n_cycles=0.01 is the number of cycles .* as in fit_sgdr\(1, 1, 0.01\)",
        ),
        (lm_learner, lambda learn: learn.fine_tune(1, freeze_epochs=-1), "^freeze_epochs=-1 must be at least 0"),
        (lm_learner, lambda learn: learn.fine_tune(1, lr_mult=0), "^lr_mult=0 must be a positive number$"),
        (lm_learner, lambda learn: learn.fit_one_cycle(1, max_lr=1e-3), r"'max_lr' \(did you mean 'lr_max'\?\)"),
        (lm_learner, lambda learn: learn.fit(math.nan), r"n_epoch=nan must be a number \(nan is not one\)"),
        (
            lm_learner,
            lambda learn: learn.lr_find(suggest_funcs=[valley, "stee"]),
            "'stee' is not known; did you mean",
        ),
        (lm_learner, lambda learn: learn.checkpoint(seconds=-1), "^seconds=-1 must be at least 0$"),
        (classifier_learner, lambda learn: setattr(learn, "metrics", partial(top_k_accuracy, k=0)), "k=0 must be at"),
        (
            partial(lm_learner, loss_func=lambda logits, target: logits[0, 0]),
            lambda learn: learn.fit(1, 1e-3),
            rf"must give one number for a batch; it gave a tensor of shape \({V},\)",
        ),
        (
            partial(lm_learner, metrics=lambda logits, target: "good"),
            lambda learn: learn.validate(),
            "metric <lambda> must give one number for a batch; it gave 'good'",
        ),
        (
            partial(lm_learner, metrics=lambda logits, target: logits[0, 0]),
            lambda learn: learn.validate(),
            rf"must give one number for a batch; it gave a tensor of shape \({V},\)",
        ),
        (lm_learner, lambda learn: LogTo("tensorbord"), "'tensorbord' is not known; did you mean 'tensorboard'"),
    ],
)
def test_what_is_wrong_is_said(make, call, message, tmp_path):
    learn = make(path=tmp_path)
    before = learn.n_steps
    with pytest.raises(ConfigError, match=message):
        call(learn)
    assert learn.n_steps == before
    assert not learn.history


@pytest.mark.parametrize("loss", [CrossEntropyLossFlat, FocalLossFlat, BCEWithLogitsLossFlat])
def test_weights_are_as_many_as_classes(loss):
    name = "pos_weight" if loss is BCEWithLogitsLossFlat else "weight"
    target = torch.zeros(4, 2) if name == "pos_weight" else torch.zeros(4, dtype=torch.int64)
    with pytest.raises(ConfigError, match=rf"{name} has 3 numbers, and there are 2 classes"):
        loss(**{name: torch.ones(3)})(torch.zeros(4, 2), target)


@pytest.mark.parametrize("call", ["validate", "lr_find", "fit"])
def test_too_little_memory_is_answered_with_what_to_lower(call):
    learn = lm_learner()
    learn.model.register_forward_hook(lambda *_: no_memory(learn))
    with pytest.raises(UlmfitError, match="lower bs, then seq_len"):
        getattr(learn, call)(**({"n_epoch": 1} if call == "fit" else {}))


def test_the_highest_rates_are_for_sgd():
    lm_learner(opt_func=SGD, clip=0.25).fit(0.1, 30.0)


def test_what_of_a_file_is_not_taken_is_said(tmp_path):
    lm_learner(path=tmp_path).save("a")
    other = lm_learner(path=tmp_path, opt_func=SGD)
    with pytest.warns(UserWarning, match="the state of AdamW, and this optimizer is SGD: its state was not taken"):
        other.load("a")
    with pytest.raises(FormatError, match="load with with_opt=False"):
        other.load("a", with_opt=True)
    other.load("a", with_opt=False)
    with pytest.warns(UserWarning, match=r"tensors were taken; not .*embedding.weight of the file"):
        lm_learner(V + 1, path=tmp_path).load("a", strict=False)


def test_a_learner_is_copied_but_not_pickled():
    with pytest.raises(ConfigError, match=r"cannot be pickled; export\(\) writes a folder"):
        pickle.dumps(lm_learner())


def test_what_a_killed_program_left_is_removed(tmp_path):
    learn = lm_learner(path=tmp_path)
    learn.save("run", with_opt=False)
    left = tmp_path / "models" / ".run.safetensors.abc.writing"
    another = tmp_path / "models" / ".runs.safetensors.abc.writing"
    for file in (left, another):
        file.write_text("half", encoding="utf-8")
        os.utime(file, (1e9, 1e9))
    learn.save("run", with_opt=False)
    assert not left.exists()
    left.write_text("half", encoding="utf-8")
    learn.save("run", with_opt=False)
    assert left.exists()  # just now: it may be another program's
    (tmp_path / "models" / "run.safetensors").unlink()
    learn.checkpoint("run", resume=True)
    assert not left.exists()
    assert another.exists()


def test_epochs_that_are_left_out_count_in_the_history():
    learn = lm_learner()
    learn.fit_one_cycle(2, 1e-3, start_epoch=1)
    learn.fit(1, 1e-3)
    assert [row["epoch"] for row in learn.history] == [1, 2]


def test_suggestions_may_take_the_number_of_steps():
    learn = lm_learner()

    def own(lrs, losses, num_it):
        return float(num_it)

    found = learn.lr_find(num_it=20, show_plot=False, suggest_funcs=["steep", own, partial(slide, lr_diff=3)])
    assert found.own == 20.0
    assert found._fields == ("steep", "own", "slide")
    assert len(learn.recorder.search[0]) == 20 - 20 // 10 - 5


def test_names_of_fastai_are_there_while_a_batch_is_trained():
    seen = []

    def look(learn) -> None:
        assert learn.opt is learn.optimizer
        assert learn.pred is learn.output
        assert learn.y is learn.yb[0] is learn.target
        assert learn.x is learn.xb[0]
        seen.append((learn.iter, learn.n_iter, learn.pct_train))

    def count(learn) -> None:
        done.append((learn.iter, learn.pct_train))

    done: list[tuple[int, float]] = []
    lm_learner().fit(1, 1e-3, cbs=[Callback(after_loss=look, after_batch=count)])
    assert seen[:2] == [(0, 18, 0.0), (1, 18, 1 / 18)]
    assert done[:2] == [(0, 1 / 18), (1, 2 / 18)]
    assert done[-1] == (17, 1.0)


def test_validation_calls_callbacks():
    seen = []
    cbs = [
        Callback(before_validate=lambda learn: seen.append(0)),
        Callback(after_validate=lambda learn: seen.append(1)),
    ]
    lm_learner().validate(cbs=cbs)
    assert seen == [0, 1]
