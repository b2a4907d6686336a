"""Pretrained models by name, on small stand-ins for the bundled ones."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from bundles import language_model
from invented import make_reviews
from rich.console import Console

from ulmfit.errors import ConfigError, FormatError
from ulmfit.inference.bundle import save_bundle
from ulmfit.models.config import AWDLSTMConfig
from ulmfit.pretrained import weights
from ulmfit.training.bases import find_bases, load_base

CONFIG = AWDLSTMConfig(emb_sz=6, n_hid=8, n_layers=2)


@pytest.fixture
def bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An early and a later, better forward model, and a backward one."""
    model = language_model(make_reviews(50)[0])
    save_bundle(replace(model, metrics={"perplexity": 80.0}), tmp_path / "early")
    save_bundle(model, tmp_path / "late")
    save_bundle(replace(model, backwards=True), tmp_path / "backward")
    (tmp_path / "notes").mkdir()
    monkeypatch.setattr(weights, "BUNDLED", tmp_path)
    return tmp_path


def test_models_are_listed_and_loaded_by_name(bundled):
    assert weights.names() == ["backward", "early", "late"]
    assert weights.load("early").metrics["perplexity"] == 80
    with pytest.raises(ConfigError, match="no pretrained model 'best'; bundled: backward, early, late"):
        weights.load("best")
    assert weights.load_named("early").metrics["perplexity"] == 80
    assert weights.load_named(bundled / "late").metrics["perplexity"] == 50
    with pytest.raises(FormatError, match="best is not a model folder"):
        weights.load_named("best")


def test_the_best_of_an_architecture_and_direction_is_found(bundled):
    assert weights.find().metrics["perplexity"] == 50
    assert not weights.find().backwards
    assert weights.find(backwards=True).backwards
    with pytest.raises(ConfigError, match=r"forward awd_gru are bundled .*pretrained=False"):
        weights.find("awd_gru")


def test_a_configuration_that_does_not_fit_is_refused_with_the_fields(bundled):
    assert weights.find(config=CONFIG.scaled(0.1)).config == CONFIG
    with pytest.raises(ConfigError, match=r"n_hid is 9, the weights have 8; n_layers is 3, the weights have 2"):
        weights.find(config=replace(CONFIG, n_hid=9, n_layers=3))
    other = replace(CONFIG, cutoffs=(5,), out_bias=False)
    with pytest.raises(ConfigError, match=r"out_bias is False.*cutoffs is \(5,\)"):
        weights.find(config=other)
    assert weights.find(config=other, decoder=False).config == CONFIG  # a classifier has no decoder


def test_a_model_is_chosen_if_it_knows_the_words(bundled):
    chosen, share = weights.choose(make_reviews(50, seed=1)[0])
    assert chosen is not None
    assert chosen.name == "late"  # both know the same words
    assert share > 0.95
    assert weights.choose(["Wo bleibt denn mein Paket?"] * 3) == (None, 0.0 + weights.choose(["Wo bleibt?"])[1])
    chosen, _ = weights.choose(make_reviews(50)[0], backwards=True)
    assert chosen is not None
    assert chosen.backwards


def test_damaged_weights_are_refused(bundled):
    path = bundled / "late" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"model.safetensors has another content"):
        weights.load("late")


def test_the_start_of_a_run(bundled):
    out = io.StringIO()
    console = Console(file=out)
    assert find_bases(make_reviews(20)[0], console, "auto").forward is not None
    assert "starting from it" in out.getvalue()
    assert find_bases(["völlig andere Wörter"], console, "auto").forward is None
    assert "starting from random weights" in out.getvalue()
    assert load_base("none") is None
    for name in ("early", str(bundled / "early")):
        found = load_base(name)
        assert found is not None
        assert found.metrics["perplexity"] == 80
    with pytest.raises(ConfigError, match="is neither a bundled model"):
        load_base("nothing")


def test_without_bundled_models_auto_starts_from_random_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "BUNDLED", tmp_path / "nowhere")
    out = io.StringIO()
    assert find_bases(["some text"], Console(file=out), "auto").forward is None
    assert out.getvalue() == ""
    with pytest.raises(ConfigError, match="there are none"):
        weights.find()
