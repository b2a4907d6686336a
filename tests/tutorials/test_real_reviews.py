"""The tutorial on transfer learning with real reviews and the bundled model."""

from __future__ import annotations

import shutil

import pytest
from cells import check_answer

from ulmfit.pretrained import weights
from ulmfit.text.all import *

pytestmark = pytest.mark.slow


@pytest.fixture
def path(data_folder, tmp_path, monkeypatch, without_bundled_models):
    """1,000 + 1,000 reviews and 500 without a label, from the archive that `untar_data` finds in the mirror."""
    monkeypatch.setenv("ULMFIT_MIRROR", str(data_folder))
    monkeypatch.setenv("ULMFIT_DATA", str(tmp_path / "home"))
    monkeypatch.setenv("ULMFIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(weights, "BUNDLED", without_bundled_models)
    whole = untar_data(URLs.IMDB)
    assert len(get_text_files(whole, folders=["train", "test"])) == 50_000
    for folder in ("train/pos", "train/neg", "test/pos", "test/neg", "unsup"):
        target = tmp_path / "imdb" / folder
        target.mkdir(parents=True)
        for file in sorted((whole / folder).ls())[:500]:
            shutil.copy(file, target)
    shutil.rmtree(tmp_path / "home")
    return tmp_path / "imdb"


def test_the_tutorial_learns_from_a_thousand_reviews(path, capsys):
    dls_lm = TextDataLoaders.from_folder(path, is_lm=True, valid_pct=0.1)
    learn = language_model_learner(dls_lm, AWD_LSTM, metrics=[accuracy, Perplexity()], path=path, wd=0.1).to_fp16()
    before = learn.validate()["perplexity"]
    learn.fit_one_cycle(1, 1e-2)
    assert learn.history[-1]["perplexity"] < before
    learn.save_encoder("finetuned")
    text = learn.predict("I liked this movie because", 40, temperature=0.75)
    assert text.startswith("I liked this movie because")

    dls_clas = TextDataLoaders.from_folder(path, valid="test", text_vocab=dls_lm.vocab)
    learn = text_classifier_learner(dls_clas, AWD_LSTM, drop_mult=0.5, metrics=accuracy)
    learn = learn.load_encoder("finetuned")
    learn.fine_tune(4, 1e-2)
    learn.show_results()
    assert "category_" in capsys.readouterr().out
    check_answer(learn.predict("I really liked that movie!"))
    assert learn.history[-1]["accuracy"] > 0.7  # a coin reaches 0.5, and its standard error here is 0.016
