"""The language models that come with the package."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ulmfit.inference.bundle import LANGUAGE_MODEL
from ulmfit.inference.perplexity import measure
from ulmfit.models.language_model import LanguageModel
from ulmfit.pretrained import weights

ENGLISH = (
    "The town lies on the eastern bank of the river, about ten kilometres north of the capital. It was founded in the "
    "twelfth century and grew quickly after the railway was built in 1862. Most of the people work in the port, in the "
    "schools and in the hospital. The church, which was damaged in the war, was opened again in 1951."
)


@pytest.fixture
def bundled(without_bundled_models: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the models, found where the package has them."""
    monkeypatch.setattr(weights, "BUNDLED", without_bundled_models)
    return weights.names()


@pytest.mark.parametrize(("arch", "name"), [("awd_lstm", "en-small"), ("awd_qrnn", "en-small-qrnn")])
def test_a_forward_english_model_is_there_and_knows_english(bundled, arch: str, name: str):
    model = weights.find(arch)
    assert model.name == name
    assert model.kind == LANGUAGE_MODEL
    assert not model.backwards
    figures = measure(model, [ENGLISH])
    torch.manual_seed(0)
    blank = LanguageModel(len(model.vocab), model.config)
    assert figures["perplexity"] < 200 < len(model.vocab)
    assert figures["unknown"] < 0.05
    ids = torch.from_numpy(model.vocab.numericalize(model.tokenizer(ENGLISH)))[None]
    untrained = blank.eval()(ids[:, :-1]).cross_entropy(ids[:, 1:]).item()
    assert figures["loss"] < untrained - 3


def test_a_backward_english_model_is_there_with_the_same_words(bundled):
    assert "en-small-bwd" in bundled
    model, forward = weights.find("awd_lstm", backwards=True), weights.find("awd_lstm")
    assert model.backwards
    assert (model.vocab, model.config) == (forward.vocab, forward.config)
    read = [measure(replace(model, backwards=way), [ENGLISH])["perplexity"] for way in (True, False)]
    assert read[0] < 300 < read[1]


def test_english_texts_start_from_it_and_others_do_not(bundled):
    english, share = weights.choose([ENGLISH])
    assert english is not None
    assert share > 0.9
    german = "Die Stadt liegt am östlichen Ufer des Flusses, etwa zehn Kilometer nördlich der Hauptstadt."
    assert weights.choose([german])[0] is None


def test_all_of_them_together_are_small_enough_for_the_wheel(bundled, without_bundled_models):
    size = sum(p.stat().st_size for p in without_bundled_models.rglob("*") if p.is_file())
    assert size < 40e6
    assert all(weights.load(name).compact for name in bundled)
