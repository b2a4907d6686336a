from __future__ import annotations

import inspect

import numpy as np
import pytest
from learners import classifier_learner, lm_learner

from ulmfit import training
from ulmfit.errors import ConfigError
from ulmfit.text import all as star
from ulmfit.training.learner import Learner
from ulmfit.training.schedules import constant
from ulmfit.training.tracking import EarlyStoppingCallback, SaveBest


@pytest.mark.parametrize(
    ("call", "arguments", "message"),
    [
        ("fit", {"n_epoch": "1"}, "fit: n_epoch='1' must be a number$"),
        ("fit", {"n_epoch": True}, "n_epoch=True must be a number"),
        ("fit", {"n_epoch": float("nan")}, "n_epoch=nan must be a number"),
        ("fit", {"n_epoch": 1, "wd": [1], "seconds": "x"}, r"wd=\[1\] must be a number or None; seconds='x' must be"),
        ("fit", {"n_epoch": 1, "start_epoch": 0.5}, "start_epoch=0.5 must be a whole number"),
        ("fit", {"n_epoch": 1, "reset_opt": "yes"}, "reset_opt='yes' must be True or False"),
        ("fit", {"n_epoch": 1, "cbs": 5}, "cbs=5 must be an object of Callback"),
        ("fit", {"n_epoch": 1, "cbs": [len]}, "cbs=.* must be an object of Callback"),
        ("fit", {"n_epoch": 1, "schedule": 0.1}, "schedule=0.1 must be a function or None"),
        ("fit", {"n_epoch": 1, "schedule": lambda progress: 1.0}, r"schedule must give a Hyper\(lr, mom\).*not 1\.0"),
        ("fit_one_cycle", {"n_epoch": 1, "lr_max": "1e-2"}, r"lr_max='1e-2' must be a number or slice\(high\)"),
        ("fit_one_cycle", {"n_epoch": 1, "moms": (0.8, 0.7)}, r"moms=\(0.8, 0.7\) must be 3 values, each a number"),
        ("fit_sgdr", {"n_cycles": 1.5, "cycle_len": 1}, "n_cycles=1.5 must be a whole number"),
        ("fine_tune", {"epochs": None}, "epochs=None must be a number"),
        ("fine_tune", {"epochs": 1, "bas_lr": 1e-3}, r"no argument 'bas_lr' \(did you mean 'base_lr'\?\)"),
        ("lr_find", {"num_it": "many"}, "num_it='many' must be a whole number"),
        ("lr_find", {"suggest_funcs": 3}, "suggest_funcs=3 must be a function or a string or a list"),
        ("freeze_to", {"n": "last"}, "n='last' must be a whole number"),
        (
            "validate",
            {"dl": [1]},
            r"dl=.1. must be batches that .*such as those of `learn.dls.test_dl\(texts\)`",
        ),
        ("get_preds", {"with_los": True}, r"no argument 'with_los' \(did you mean 'with_loss'\?\)"),
        ("get_preds", {"act": "softmax"}, "act='softmax' must be a function or None"),
        ("save", {"file": 3}, "file=3 must be a path or a string"),
        ("load", {"file": None}, "file=None must be a path or a string"),
        ("checkpoint", {"seconds": "5m"}, "seconds='5m' must be a number"),
        ("set_precision", {"precision": 16}, "precision=16 must be a string"),
    ],
)
def test_what_is_of_a_wrong_type_is_named_with_the_right_one(call, arguments, message):
    learn = lm_learner()
    with pytest.raises(ConfigError, match=message):
        getattr(learn, call)(**arguments)
    assert learn.history == []
    assert all(p.requires_grad for p in learn.model.parameters())


def test_what_python_says_itself_stays_python_s():
    with pytest.raises(TypeError, match="n_epoch"):
        lm_learner().fit()
    with pytest.raises(TypeError, match="positional"):
        lm_learner().freeze_to(1, 2)


def test_a_learner_s_own_arguments():
    learn = classifier_learner()
    with pytest.raises(ConfigError, match=r"Learner: dls=.* must be a loader for training and one for validation"):
        Learner([1, 2], learn.model)
    with pytest.raises(ConfigError, match=r"model='awd' must be an object of Module; .*lr='x' must be a number"):
        Learner(learn.dls, "awd", lr="x")
    with pytest.raises(ConfigError, match="EarlyStoppingCallback: patience='2' must be a whole number"):
        EarlyStoppingCallback(patience="2")
    with pytest.raises(ConfigError, match=r"EarlyStoppingCallback has no argument 'patince' \(did you mean 'patience'"):
        EarlyStoppingCallback(patince=2)


def test_what_is_as_good_as_the_type_is_taken():
    learn = classifier_learner(cbs=SaveBest, moms=[0.8, 0.7, 0.8], lr=np.float32(1e-2), seed=np.int64(3))
    learn.fit(np.float64(1), np.float32(1e-2), cbs=[EarlyStoppingCallback], schedule=constant(0.9), reset_opt=np.True_)
    learn.freeze_to(np.int64(-1))
    assert any(isinstance(cb, SaveBest) for cb in learn.cbs)


def test_every_checked_function_has_types_that_can_be_read():
    """The annotations of a function are read when it is called: a name imported for mypy only would end that call."""
    seen = 0
    for name in star.__all__:
        value = getattr(star, name)
        if not getattr(value, "__module__", "").startswith(training.__name__):
            continue
        members = [value] if not inspect.isclass(value) else [m for _, m in inspect.getmembers(value, callable)]
        for function in members:
            if "checked.<locals>" in getattr(getattr(function, "__code__", None), "co_qualname", ""):
                seen += 1
                required = [
                    p for p in inspect.signature(function).parameters.values() if p.default is p.empty and p.kind < 2
                ]
                wrong = [object()] * len(required)
                with pytest.raises((ConfigError, TypeError)) as caught:
                    function(*wrong, no_such_argument=1)
                assert not isinstance(caught.value, NameError)
    assert seen > 60
