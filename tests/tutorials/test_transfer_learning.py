"""The tutorial on transfer learning in text, cell by cell, and the summary of its calls."""

from __future__ import annotations

import inspect

import pytest
from cells import (
    Watch,
    check_answer,
    check_batch_of_a_stream,
    check_batch_of_texts,
    check_results,
    check_sentiment,
    check_words,
    dropouts,
    epoch_rows,
    trainable,
)

from ulmfit.text.all import *


@pytest.fixture
def said(capsys):
    """What was printed since the last call."""
    return lambda: capsys.readouterr().out


def test_a_classifier_from_a_pretrained_model(imdb, pretrained, said):
    path = untar_data(URLs.IMDB)
    assert repr(path) == f"Path('{path}')"
    assert coll_repr(path.ls()) == f"(#4) [{','.join(repr(path / n) for n in ('README', 'test', 'train', 'unsup'))}]"
    assert repr(path.ls()) == coll_repr(path.ls())
    assert repr((path / "train").ls()) == f"(#2) [Path('{path}/train/neg'),Path('{path}/train/pos')]"

    dls = TextDataLoaders.from_folder(untar_data(URLs.IMDB), valid="test")
    dls.show_batch()
    check_batch_of_texts(said(), 9)
    learn = text_classifier_learner(dls, AWD_LSTM, drop_mult=0.5, metrics=accuracy)
    whole = text_classifier_learner(dls, AWD_LSTM, drop_mult=1, metrics=accuracy)
    assert dropouts(learn.model) == pytest.approx([p / 2 for p in dropouts(whole.model)])
    assert max(dropouts(whole.model)) > 0.3
    watch = Watch()
    learn.add_cb(watch)
    learn.fine_tune(4, 1e-2)
    learn.fine_tune(4, 1e-2)
    assert len(epoch_rows(said(), "accuracy")) == 2 * (1 + 4)
    assert [sum(trained) for trained in watch.trained] == 2 * [1, *4 * [len(learn.groups)]]
    watch.trained, watch.rates = watch.trained[1:5], watch.rates[1:5]
    watch.check(*4 * [(len(learn.groups), 100)])
    learn.remove_cb(watch)
    check_sentiment(learn)
    said()
    learn.show_results()
    check_results(said(), 9, right=0.8)
    learn.show_results(max_n=4)
    check_results(said(), 4, right=0.5)
    check_answer(learn.predict("I really liked that movie!"))


def test_the_same_by_the_data_block(imdb):
    path = untar_data(URLs.IMDB)
    block = DataBlock(
        blocks=(TextBlock.from_folder(path), CategoryBlock),
        get_items=partial(get_text_files, folders=["train", "test"]),
        get_y=parent_label,
        splitter=GrandparentSplitter(valid_name="test"),
    )
    dls = block.dataloaders(path)
    same = TextDataLoaders.from_folder(path, valid="test")
    assert dls.vocab == same.vocab
    assert (len(dls.train_ds), len(dls.valid_ds)) == (len(same.train_ds), len(same.valid_ds))
    assert dls.path == path  # where an encoder was saved that a classifier shall find

    # As it stands in the tutorial: files of further folders belong to neither part.
    block = DataBlock(
        blocks=(TextBlock.from_folder(path), CategoryBlock),
        get_items=get_text_files,
        get_y=parent_label,
        splitter=GrandparentSplitter(valid_name="test"),
    )
    assert block.dataloaders(path).vocab == same.vocab


def test_the_three_stages_of_ulmfit(imdb, pretrained, said):
    path = untar_data(URLs.IMDB)
    dls_lm = TextDataLoaders.from_folder(path, is_lm=True, valid_pct=0.1)
    dls_lm.show_batch(max_n=5)
    check_batch_of_a_stream(said(), 5)
    x, y = dls_lm.one_batch()
    assert x.shape == y.shape
    assert x[:, 1:].tolist() == y[:, :-1].tolist()

    learn = language_model_learner(dls_lm, AWD_LSTM, metrics=[accuracy, Perplexity()], path=path, wd=0.1).to_fp16()
    assert trainable(learn) == [False, False, False, True]
    learn.fit_one_cycle(1, 1e-2)
    row = epoch_rows(said(), "accuracy", "perplexity")[0]
    assert float(row[4]) == pytest.approx(float(torch.tensor(float(row[2])).exp()), rel=1e-3)
    assert learn.save("1epoch") == path / "models" / "1epoch.safetensors"
    learn = learn.load("1epoch")
    learn.unfreeze()
    learn.fit_one_cycle(10, 1e-3)
    assert len(epoch_rows(said(), "accuracy", "perplexity")) == 10
    learn.save_encoder("finetuned")
    assert (path / "models" / "finetuned.safetensors").is_file()
    TEXT = "I liked this movie because"
    N_WORDS, N_SENTENCES = 40, 2
    preds = [learn.predict(TEXT, N_WORDS, temperature=0.75) for _ in range(N_SENTENCES)]
    print("\n".join(preds))
    assert said() == f"{preds[0]}\n{preds[1]}\n"
    assert all(text.startswith(TEXT) for text in preds)
    assert preds[0] != preds[1]
    check_words(learn, TEXT, N_WORDS)

    dls_clas = TextDataLoaders.from_folder(untar_data(URLs.IMDB), valid="test", text_vocab=dls_lm.vocab)
    assert dls_clas.vocab == [dls_lm.vocab, ["neg", "pos"]]
    dls = TextDataLoaders.from_folder(untar_data(URLs.IMDB), valid="test")
    learn = text_classifier_learner(dls, AWD_LSTM, drop_mult=0.5, metrics=accuracy)
    learn = learn.load_encoder("finetuned")
    said()
    watch = Watch()
    learn.add_cb(watch)
    learn.fit_one_cycle(1, 2e-2)
    learn.freeze_to(-2)
    assert trainable(learn) == [False, False, False, True, True]
    learn.fit_one_cycle(1, slice(1e-2 / (2.6**4), 1e-2))
    learn.freeze_to(-3)
    assert trainable(learn) == [False, False, True, True, True]
    learn.fit_one_cycle(1, slice(5e-3 / (2.6**4), 5e-3))
    learn.unfreeze()
    learn.fit_one_cycle(2, slice(1e-3 / (2.6**4), 1e-3))
    watch.check((1, 1), (2, 2.6**4), (3, 2.6**4), (5, 2.6**4), (5, 2.6**4))
    assert len(epoch_rows(said(), "accuracy")) == 5


def test_the_summary_of_the_calls(imdb, pretrained):
    path = untar_data(URLs.IMDB)
    dls_lm = TextDataLoaders.from_folder(path, is_lm=True, valid_pct=0.1)
    dls_clas = TextDataLoaders.from_folder(path, valid="test", text_vocab=dls_lm.vocab)
    learn = language_model_learner(dls_lm, AWD_LSTM, metrics=[accuracy, Perplexity()], path=path, wd=0.1).to_fp16()
    learn.fit_one_cycle(1, 1e-2)
    learn.save_encoder("finetuned")
    encoder = learn.model.encoder.state_dict()
    learn = text_classifier_learner(dls_clas, AWD_LSTM, drop_mult=0.5, metrics=accuracy)
    learn = learn.load_encoder("finetuned")
    assert all(torch.equal(t, encoder[k]) for k, t in learn.model.encoder.state_dict().items())
    learn.fit_one_cycle(2, slice(1e-3 / (2.6**4), 1e-3))


def test_the_makers_of_models_take_what_the_summary_says():
    of_model = ["arch", "vocab_sz", "config", "drop_mult"]
    assert list(inspect.signature(get_language_model).parameters) == of_model
    of_classifier = ["arch", "vocab_sz", "n_class", "seq_len", "config", "drop_mult", "lin_ftrs", "ps", "pad_idx"]
    assert list(inspect.signature(get_text_classifier).parameters) == [*of_classifier, "max_len", "y_range"]
    config = awd_lstm_lm_config | {"emb_sz": 8, "n_hid": 12, "n_layers": 2}
    model = get_language_model(AWD_LSTM, 40, config)
    classifier = get_text_classifier(AWD_LSTM, 40, 2, config={"emb_sz": 8, "n_hid": 12, "n_layers": 2})
    shapes = {k: t.shape for k, t in model.encoder.state_dict().items()}
    assert shapes == {k: t.shape for k, t in classifier.encoder.state_dict().items()}  # the common encoder
    assert isinstance(model.decoder, LinearDecoder)
    assert isinstance(classifier.head, PoolingLinearClassifier)
