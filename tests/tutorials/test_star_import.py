"""What the tutorials import."""

from __future__ import annotations

import inspect
import json
import random
import subprocess
import sys
from importlib import import_module

import numpy as np
import pytest
import torch
from invented import make_reviews

import ulmfit.text.all
from ulmfit.elsewhere import ELSEWHERE, Absent
from ulmfit.errors import ConfigError


def test_the_star_import_is_quick_and_every_name_is_there():
    code = """
import json, sys
from ulmfit.text.all import *
heavy = {"accelerate", "matplotlib", "pandas", "pyarrow", "scipy", "sklearn", "spacy"} & set(sys.modules)
print(json.dumps([sorted(heavy), pd.DataFrame({"a": [1]}).shape]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[], [1, 1]]
    names = ulmfit.text.all.__all__
    assert {"TextDataLoaders", "AWD_LSTM", "Learner", "accuracy", "untar_data", "Path", "torch", "pd"} <= set(names)
    everything = [getattr(ulmfit.text.all, name) for name in names]
    own = [thing for thing in everything if getattr(thing, "__module__", "").startswith("ulmfit")]
    assert len(own) > 100
    assert all(thing.__doc__ for thing in own if inspect.isclass(thing) or inspect.isfunction(thing))


def test_names_of_callbacks_and_layers_are_there():
    wanted = {"class_weights", "SaveBest", "Recorder", "RNNDropout", "EmbeddingDropout", "TerminateOnNaNCallback"}
    assert wanted <= set(ulmfit.text.all.__all__)


LINES = """
basics metrics interpret learner losses optimizer torch_core
callback.all callback.core callback.fp16 callback.mixup callback.progress callback.rnn callback.schedule
callback.tracker callback.training
data.all data.core data.load data.transforms data.block data.external
text.all text.core text.data text.learner text.models text.models.all text.models.core text.models.awdlstm
"""


@pytest.mark.parametrize("line", LINES.split())
def test_other_lines_of_imports_give_the_same_names(line):
    module = import_module(f"ulmfit.{line}")
    if line in ("text.models", "data.block", "data.external"):
        assert module.__doc__
        return
    for name in ulmfit.text.all.__all__:
        if name not in ELSEWHERE:
            assert getattr(module, name) is getattr(ulmfit.text.all, name), name


def test_names_that_are_not_here_say_what_to_use():
    for name in ELSEWHERE:
        if "." not in name:
            assert name in ulmfit.text.all.__all__
            with pytest.raises(ConfigError, match=rf"^{name} of fastai is not here\. Instead: "):
                getattr(ulmfit.text.all, name)(1, a=2)
    absent = ulmfit.text.all.SortedDL
    assert isinstance(absent, Absent)
    assert repr(absent) == inspect.getdoc(absent)
    with pytest.raises(ConfigError, match="ClassifierLoader"):
        absent.create_batches()
    with pytest.raises(ConfigError, match="derived from Metric"):

        class Mine(ulmfit.text.all.AccumMetric):
            pass

    with pytest.raises(AttributeError, match="no 'TextDataLoder'; did you mean 'TextDataLoaders'"):
        ulmfit.text.all.TextDataLoder()
    with pytest.raises(AttributeError, match="no 'TextBlok'; did you mean 'TextBlock'"):
        ulmfit.text.all.TextBlok()
    assert not hasattr(ulmfit.text.all, "zzzzz")


def test_small_things_that_programs_call(tmp_path):
    ulmfit.text.all.set_seed(3, reproducible=False)
    first = random.random(), np.random.random(), float(torch.rand(()))  # noqa: NPY002
    ulmfit.text.all.set_seed(3)
    assert first == (random.random(), np.random.random(), float(torch.rand(())))  # noqa: NPY002
    nested = ulmfit.text.all.to_np({"a": [torch.ones(2)], "b": 1})
    assert isinstance(nested["a"][0], np.ndarray)
    assert nested["b"] == 1
    assert ulmfit.text.all.to_device((torch.ones(1),), "cpu")[0].device.type == "cpu"
    assert ulmfit.text.all.default_device(False) == torch.device("cpu")
    model = torch.nn.Linear(3, 2)
    assert ulmfit.text.all.total_params(model) == (8, True)
    model.weight.requires_grad_(False)
    assert [p.shape for p in ulmfit.text.all.trainable_params(model)] == [(2,)]
    assert ulmfit.text.all.total_params(model) == (8, False)
    assert ulmfit.text.all.sched_lin(1, 3, 0.5) == 2
    assert ulmfit.text.all.sched_cos(1, 3, 0.5) == pytest.approx(2)
    assert ulmfit.text.all.sched_exp(1, 4, 0.5) == 2
    assert ulmfit.text.all.sched_no(1, 3, 0.5) == 1


class RightOnes(ulmfit.text.all.Metric):
    def reset(self):
        self.right = 0

    def accumulate(self, learn):
        self.right += int((learn.pred.argmax(-1) == learn.y).sum())
        assert learn.yb[0] is learn.y
        assert learn.loss > 0

    @property
    def value(self):
        return self.right


def test_a_learner_as_programs_for_fastai_use_it(tmp_path, pretrained):
    texts, labels = make_reviews(60)
    dls = ulmfit.text.all.TextDataLoaders.from_texts(texts, labels, tmp_path, cache=False, bs=16)
    metrics = [RightOnes, ulmfit.text.all.accuracy]
    learn = ulmfit.text.all.text_classifier_learner(dls, metrics=metrics, verbose=0)
    figures = learn.validate()
    assert figures["right_ones"] == round(figures["accuracy"] * len(dls.valid_ds))
    learn.fit(1)
    assert learn.recorder.metric_names == ["epoch", "train_loss", "valid_loss", "right_ones", "accuracy", "time"]
    for name, says in (("tta", "get_preds"), ("show_training_loop", "EVENTS"), ("destroy", "del learn")):
        with pytest.raises(AttributeError, match=f"no attribute '{name}': .*{says}"):
            getattr(learn, name)
    with pytest.raises(ulmfit.text.all.FormatError, match=r"Save it first with learn\.save\('1epoch'\)"):
        learn.load("1epoch")
    with pytest.raises(ulmfit.text.all.FormatError, match=r"learn\.save_encoder\('enc'\)"):
        learn.load_encoder("enc")
    learn.export("m")
    assert ulmfit.text.all.load_learner(tmp_path / "m", cpu=True).device.type == "cpu"
    assert dls.batch_table(max_n=1, trunc_at=3).rows[0][0].count(" ") == 2
