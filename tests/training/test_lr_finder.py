from __future__ import annotations

import sys
from functools import partial

import numpy as np
import pytest
import torch
from learners import lm_learner

from ulmfit.errors import ConfigError, MissingExtraError, UlmfitError
from ulmfit.training.lr_finder import minimum, slide, steep, valley

LRS = np.geomspace(1e-6, 1, 60)
LOSSES = 3 - 2 * np.exp(-((np.log10(LRS) + 2) ** 2)) + np.maximum(0, np.log10(LRS) + 1) ** 2


def test_suggestions_on_a_curve():
    assert minimum(LRS, LOSSES) == pytest.approx(LRS[LOSSES.argmin()] / 10)
    assert LRS[LOSSES.argmin()] / 30 < steep(LRS, LOSSES) < LRS[LOSSES.argmin()]
    assert LRS[0] < valley(LRS, LOSSES) < LRS[LOSSES.argmin()]
    assert slide(LRS, LOSSES) in LRS
    assert slide(LRS, LOSSES, adjust_value=0.5) == pytest.approx(slide(LRS, LOSSES) / 2)


def test_the_learner_is_left_as_it_was():
    learn = lm_learner()
    learn.fit(1, 1e-3)
    before = {k: v.clone() for k, v in learn.model.state_dict().items()}
    moments = {k: v.clone() for k, v in learn.optimizer.state[learn.groups[0][0]].items()}
    counts = (learn.n_steps, learn.n_targets, len(learn.history), learn.passes, learn.smooth_loss)
    random = learn.random_state().clone()
    found = learn.lr_find(suggest_funcs=[valley, slide, minimum, steep], show_plot=False)
    assert found._fields == ("valley", "slide", "minimum", "steep")
    assert all(1e-7 < lr < 10 for lr in found)
    assert all(torch.equal(v, before[k]) for k, v in learn.model.state_dict().items())
    assert all(torch.equal(v, moments[k]) for k, v in learn.optimizer.state[learn.groups[0][0]].items())
    assert counts == (learn.n_steps, learn.n_targets, len(learn.history), learn.passes, learn.smooth_loss)
    assert torch.equal(random, learn.random_state())
    learn.fit(1, 1e-3)
    twin = lm_learner()
    twin.fit(1, 1e-3)
    twin.fit(1, 1e-3)
    assert all(torch.equal(v, twin.model.state_dict()[k]) for k, v in learn.model.state_dict().items())


def test_a_partial_keeps_its_name():
    found = lm_learner().lr_find(num_it=40, suggest_funcs=partial(slide, lr_diff=5), show_plot=False)
    assert found._fields == ("slide",)


def test_a_search_that_makes_no_sense_or_diverges_at_once():
    learn = lm_learner()
    with pytest.raises(ConfigError, match=r"start_lr=1 must be positive and below end_lr=0\.1"):
        learn.lr_find(1, 0.1)
    with pytest.raises(ConfigError, match="num_it=5 at least 10"):
        learn.lr_find(num_it=5)
    with pytest.raises(UlmfitError, match="diverged at once"):
        learn.lr_find(1e3, 1e6, 20, show_plot=False)


def test_it_is_drawn(monkeypatch):
    matplotlib = pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    learn = lm_learner()
    learn.lr_find(show_plot=True)
    assert pyplot.gca().get_xscale() == "log"
    learn.fit_one_cycle(1, 1e-2)
    assert len(learn.recorder.plot_loss().lines) == 2
    assert len(learn.recorder.plot_sched()) == 2
    assert len(learn.recorder.plot_sched("lr").lines) == 1
    with pytest.raises(ConfigError, match="'mum' has no schedule; did you mean 'mom'"):
        learn.recorder.plot_sched("mum")
    pyplot.close("all")


def test_searches_leave_one_figure():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    learn = lm_learner()
    before = len(pyplot.get_fignums())
    for _ in range(3):
        learn.lr_find(num_it=20, show_plot=True)
    assert len(pyplot.get_fignums()) <= before + 1
    pyplot.close("lr_find")


@pytest.mark.parametrize(("verbose", "said"), [(1, "Install it with: pip install 'ulmfit[plot]'"), (0, "")])
def test_without_matplotlib_one_line_says_that_nothing_is_drawn(verbose, said, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    learn = lm_learner(verbose=verbose)
    learn.lr_find(num_it=20)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == verbose
    assert said in "".join(lines)
    with pytest.raises(MissingExtraError, match="matplotlib is needed"):
        learn.lr_find(num_it=20, show_plot=True)
