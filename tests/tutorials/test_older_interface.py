"""The explanation of the older interface, call by call."""

from __future__ import annotations

import pytest
from cells import check_sentiment, check_words
from invented import make_reviews

from ulmfit.text.all import *


@pytest.fixture
def frames(tmp_path, monkeypatch):
    """The data frames that the program starts from: label first, then text."""
    monkeypatch.setenv("ULMFIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    texts, labels = make_reviews(160)
    df = pd.DataFrame({"label": labels, "text": texts})
    return df[:120], df[120:]


def test_the_explanation(frames, pretrained):
    df_trn, df_val = frames
    opath = Path()
    data_lm = TextLMDataBunch.from_df("./", train_df=df_trn, valid_df=df_val, bs=16)
    learner = language_model_learner(data_lm, AWD_LSTM, drop_mult=0.1, path=opath)
    with pytest.raises(ConfigError, match=r"0\.01 .*fit_one_cycle\(1, 0\.01\)"):
        learner.fit_one_cycle(1e-2)
    learner.fit_one_cycle(1, 1e-2)
    learner.unfreeze()
    check_words(learner, "some random text", 10)
    learner.save_encoder("fine_enc")
    assert Path("models", "fine_enc.safetensors").is_file()

    data_clas = TextClasDataBunch.from_df("./", train_df=df_trn, valid_df=df_val, vocab=data_lm.train_ds.vocab, bs=32)
    assert data_clas.text_vocab == data_lm.train_ds.vocab
    assert data_clas.labels == ("neg", "pos")
    classifier = text_classifier_learner(data_clas, drop_mult=0.5)
    classifier.load_encoder("fine_enc")
    classifier.fit_one_cycle(1, 1e-2)
    check_sentiment(classifier)


def test_other_ways_of_the_older_interface(frames, tmp_path):
    df_trn, df_val = frames
    data_lm = TextLMDataBunch.from_df("./", df_trn, df_val, bs=4)
    assert (data_lm.task, data_lm.seq_len) == ("lm", 70)
    df_trn.to_csv("texts.csv", index=False)
    assert TextClasDataBunch.from_csv(tmp_path, "texts.csv", seed=2).labels == ("neg", "pos")
    with pytest.raises(TypeError, match="text_columns"):
        TextClasDataBunch.from_df("./", df_trn, df_val, text_columns="text")


def test_a_text_that_is_taken_for_a_label(frames):
    df_trn, df_val = (df[["text", "label"]] for df in frames)  # the other way round
    with pytest.raises(DataError) as error:
        TextClasDataBunch.from_df("./", train_df=df_trn, valid_df=df_val)
    assert "(text: 'label', label: 'text')" in str(error.value)
    assert len(str(error.value)) < 1_200


def test_slips_are_answered_with_what_was_meant(frames, pretrained):
    dls = TextDataLoaders.from_df(frames[0], text_col="text", label_col="label", bs=16)
    with pytest.raises(ConfigError, match=r"arch='AWD_LSTM' must be .* \(write AWD_LSTM without quotes\)"):
        text_classifier_learner(dls, "AWD_LSTM")
    learn = text_classifier_learner(dls)
    with pytest.raises(ConfigError, match=r"'lr' \(did you mean 'base_lr'\?\)"):
        learn.fine_tune(1, lr=1e-2)
    with pytest.raises(ConfigError, match=r"such as those of `learn\.dls\.test_dl\(texts\)`"):
        learn.get_preds(dl=["a", "b"])
    with pytest.raises(DataError, match=r"is one text; expected a list of texts"):
        dls.test_dl("a single text")
    with pytest.raises(DataError, match=r"write untar_data\(URLs\.IMDB\)"):
        untar_data("IMDB")
