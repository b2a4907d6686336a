from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from learners import V, classifier_learner, lm_learner

from ulmfit.errors import ConfigError, FormatError
from ulmfit.training import storage
from ulmfit.training.learner import Learner

WORDS = [f"w{i}" for i in range(V)]


def with_vocab(learn: Learner, words: list[str], path, *, backwards: bool = False) -> Learner:
    """A learner whose loaders tell their vocabulary."""
    learn.dls = SimpleNamespace(
        train=learn.dls.train,
        valid=learn.dls.valid,
        text_vocab=SimpleNamespace(itos=words),
        backwards=backwards,
        labels=(),
    )
    learn.path = path
    return learn


def state(learn: Learner) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in learn.model.state_dict().items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(a[k], b[k]) for k in {*a, *b})


def test_a_model_is_saved_with_its_optimizer_and_comes_back(tmp_path):
    learn = lm_learner(path=tmp_path)
    learn.fit(1, 1e-2)
    path = learn.save("1epoch")
    assert path == tmp_path / "models" / "1epoch.safetensors"
    before = state(learn)
    learn.fit(1, 1e-2)
    trained_on = state(learn)
    other = lm_learner(path=tmp_path)
    assert other.load("1epoch") is other
    assert same(state(other), before)
    other.set_random_state(learn.random_state())  # so that only weights and moments decide
    moments = other.optimizer.state[other.groups[0][0]]["exp_avg"]
    assert float(moments.abs().sum()) > 0
    assert not same(trained_on, before)
    plain = lm_learner(path=tmp_path).load("1epoch", with_opt=False)
    assert not plain.optimizer.state


def test_what_is_missing_is_named(tmp_path):
    learn = lm_learner(path=tmp_path)
    learn.save("a", with_opt=False)
    with pytest.raises(FormatError, match=r"b\.safetensors does not exist; .* has a"):
        learn.load("b")
    with pytest.raises(FormatError, match="no optimizer state"):
        learn.load("a", with_opt=True)
    (tmp_path / "models" / "c.safetensors").write_text("hello", encoding="utf-8")
    with pytest.raises(FormatError, match="damaged"):
        learn.load("c")
    storage.save_encoder(learn, "e")
    with pytest.raises(FormatError, match=r"is no model file: it holds: encoder; learn\.load_encoder reads it"):
        learn.load("e")


def test_an_encoder_goes_from_a_language_model_to_a_classifier(tmp_path):
    lm = with_vocab(lm_learner(), WORDS, tmp_path)
    lm.fit(0.2, 1e-2)
    storage.save_encoder(lm, "finetuned")
    classifier = with_vocab(classifier_learner(), WORDS, tmp_path)
    storage.load_encoder(classifier, "finetuned")
    assert same(dict(lm.model.encoder.state_dict()), dict(classifier.model.encoder.state_dict()))


def test_an_encoder_of_another_vocabulary_or_direction_is_refused_and_both_are_named(tmp_path):
    storage.save_encoder(with_vocab(lm_learner(), WORDS, tmp_path), "finetuned")
    swapped = [*WORDS[:3], "other", *WORDS[4:]]
    with pytest.raises(FormatError, match=r"word 3: 'w3' there, 'other' here.*text_vocab=dls_lm\.vocab"):
        storage.load_encoder(with_vocab(classifier_learner(), swapped, tmp_path), "finetuned")
    with pytest.raises(FormatError, match="12 words and that of the loaders 13"):
        storage.load_encoder(with_vocab(classifier_learner(), [*WORDS, "more"], tmp_path), "finetuned")
    with pytest.raises(FormatError, match="backwards is False there and True here"):
        storage.load_encoder(with_vocab(classifier_learner(), WORDS, tmp_path, backwards=True), "finetuned")


def test_a_model_of_other_sizes_is_refused_and_both_are_named(tmp_path):
    lm_learner(path=tmp_path).save("a")
    with pytest.raises(FormatError, match=r"shape \(12, 8\) there and \(13, 8\) here"):
        lm_learner(V + 1, path=tmp_path).load("a")
    learn = classifier_learner(path=tmp_path)
    with pytest.raises(FormatError, match="is missing"):
        learn.load("a")
    with pytest.warns(UserWarning, match="0 of 21 tensors were taken"):
        learn.load("a", strict=False)
    with pytest.raises(ConfigError, match="has no encoder"):
        learn.model = torch.nn.Linear(2, 2)
        storage.save_encoder(learn, "x")
