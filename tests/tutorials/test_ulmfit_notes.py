"""The notes on the ULMFiT approach, cell by cell, with their slips."""

from __future__ import annotations

import pytest
from cells import (
    Watch,
    check_answer,
    check_batch_of_a_stream,
    check_batch_of_texts,
    check_results,
    check_sentiment,
    check_words,
    epoch_rows,
)

from ulmfit.text.all import *

SLIP = "TextDataLoader is taken for TextDataLoaders"


def test_the_notes(imdb, pretrained, capsys):
    path = untar_data(URLs.IMDB)
    with pytest.warns(UserWarning, match=SLIP):
        dls = TextDataLoader.from_folder(path, valid="/test")
    dls.show_batch()
    check_batch_of_texts(capsys.readouterr().out, 9)
    learner = text_classifier_learner(dls, AWD_LSTM, drop_mult=0.5, metrics=accuracy)
    learner.fine_tune(4, 1e-2)
    assert len(epoch_rows(capsys.readouterr().out, "accuracy")) == 5
    check_sentiment(learner)
    capsys.readouterr()
    learner.show_results()
    check_results(capsys.readouterr().out, 9, right=0.8)
    sentiment, idx, prob_vec = learner.predict("I really like that movie")
    check_answer((sentiment, idx, prob_vec))

    with pytest.warns(UserWarning, match=SLIP):
        dls_lm = TextDataLoader.from_folder(path, is_lm=True, valid_pct=0.1)
    dls_lm.show_batch()
    check_batch_of_a_stream(capsys.readouterr().out, 9)
    lm_learner = language_model_learner(dls_lm, AWD_LSTM, metrics=[accuracy, Perplexity()], path=path, wd=0.1).to_fp16()
    lm_learner.fit_one_cycle(1, 1e-2)
    lm_learner.save("1epoch")
    # The notes load it into the classifier's learner.
    with pytest.raises(FormatError, match=r"1epoch\.safetensors holds a model for the task lm, .* single_label; call"):
        lm_learner = learner.load("1epoch")
    lm_learner = lm_learner.load("1epoch")
    lm_learner.unfreeze()
    lm_learner.fit_one_cycle(10, 1e-3)
    lm_learner.save_encoder("finetuned_lm_encoder")
    assert sorted(p.name for p in (path / "models").iterdir()) == [
        "1epoch.safetensors",
        "finetuned_lm_encoder.safetensors",
    ]

    TEXT = "I liked this movie because"
    N_WORDS = 40
    N_SENTENCES = 2
    preds = [lm_learner.predict(TEXT, N_WORDS, temperature=0.75) for _ in range(N_SENTENCES)]
    capsys.readouterr()
    print("\n".join(preds))
    assert capsys.readouterr().out == f"{preds[0]}\n{preds[1]}\n"
    assert all(text.startswith(TEXT) for text in preds)
    check_words(lm_learner, TEXT, N_WORDS)

    with pytest.warns(UserWarning, match=SLIP):
        dls = TextDataLoader.from_folder(path, valid="test", text_vocab=dls_lm.vocab)
    classifier = text_classifier_learner(dls, AWD_LSTM, drop_mult=0.3, metrics=accuracy)
    classifier = classifier.load_encoder("finetuned_lm_encoder")
    watch = Watch()
    classifier.add_cb(watch)
    classifier.fit_one_cycle(1, 2e-2)
    classifier.freeze_to(-2)
    classifier.fit_one_cycle(1, 2e-2)
    classifier.freeze_to(-3)
    classifier.fit_one_cycle(2, 2e-2)
    watch.check((1, 1), (2, 1), (3, 1), (3, 1))
    assert len(epoch_rows(capsys.readouterr().out, "accuracy")) == 4


def test_an_encoder_that_was_never_saved_is_named(imdb, pretrained, tmp_path):
    with pytest.warns(UserWarning, match=SLIP):
        dls = TextDataLoader.from_folder(imdb, valid="test")
    classifier = text_classifier_learner(dls, AWD_LSTM, drop_mult=0.3, metrics=accuracy, path=tmp_path)
    with pytest.raises(FormatError, match=r"finetuned_lm_encoder\.safetensors does not exist; .* has no models"):
        classifier.load_encoder("finetuned_lm_encoder")
