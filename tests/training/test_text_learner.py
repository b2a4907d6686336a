from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from bundles import classifier
from invented import make_reviews
from rich.console import Console

from ulmfit.data.block import DataBlock
from ulmfit.data.dataloaders import TextDataLoaders
from ulmfit.data.targets import RegressionBlock
from ulmfit.errors import ConfigError, DataError, FormatError
from ulmfit.inference.bundle import load_bundle, save_bundle
from ulmfit.inference.interpretation import Interpretation
from ulmfit.inference.loading import load
from ulmfit.models.core import AWD_LSTM, AWD_QRNN
from ulmfit.pretrained.convert import read_fastai
from ulmfit.training.exporting import load_learner
from ulmfit.training.losses import BCEWithLogitsLossFlat
from ulmfit.training.metrics import Perplexity, accuracy
from ulmfit.training.text_learner import language_model_learner, text_classifier_learner

CONFIG = {"emb_sz": 16, "n_hid": 24, "n_layers": 2}
TEXTS, LABELS = make_reviews(48)
SMALL = {"pretrained": False, "config": CONFIG, "precision": "fp32", "verbose": 0}


def frame() -> pd.DataFrame:
    return pd.DataFrame({"text": TEXTS, "label": LABELS})


@pytest.fixture(scope="module")
def dls_lm(tmp_path_factory) -> TextDataLoaders:
    return TextDataLoaders.from_df(
        frame(), tmp_path_factory.mktemp("lm"), seed=1, text_col="text", is_lm=True, bs=4, seq_len=12
    )


@pytest.fixture(scope="module")
def dls_clas(dls_lm) -> TextDataLoaders:
    return TextDataLoaders.from_df(
        frame(), dls_lm.path, seed=1, text_col="text", label_col="label", text_vocab=dls_lm.vocab, bs=8
    )


def test_the_whole_way_of_the_tutorial(dls_lm, dls_clas):
    learn = language_model_learner(dls_lm, AWD_LSTM, metrics=[accuracy, Perplexity()], wd=0.1, **SMALL)
    learn.fit_one_cycle(1, 1e-2)
    learn.save("1epoch")
    learn = learn.load("1epoch")
    learn.unfreeze()
    learn.fit_one_cycle(2, 1e-2)
    learn.save_encoder("finetuned")
    assert list(learn.history[0])[3:6] == ["valid_loss", "accuracy", "perplexity"]
    assert learn.history[-1]["perplexity"] < learn.history[0]["perplexity"]

    learn = text_classifier_learner(dls_clas, AWD_LSTM, drop_mult=0.1, metrics=accuracy, **SMALL)
    learn = learn.load_encoder("finetuned")
    assert [all(p.requires_grad for p in g) for g in learn.groups] == [False, False, False, True]
    learn.fit_one_cycle(1, 3e-2)
    learn.freeze_to(-2)
    learn.fit_one_cycle(1, slice(1e-2 / (2.6**4), 3e-2))
    learn.unfreeze()
    learn.fine_tune(1, 1e-2)
    assert len(learn.history) == 4
    label, index, probabilities = learn.predict("a lovely and splendid film with a superb ending")
    assert label == ["neg", "pos"][int(index)]
    assert int(index) == int(probabilities.argmax())
    assert float(probabilities.sum()) == pytest.approx(1)


def test_answers_come_in_the_order_of_the_texts(dls_clas):
    learn = text_classifier_learner(dls_clas, **SMALL)
    texts = [TEXTS[3], TEXTS[0] * 3, TEXTS[5], TEXTS[2] * 2]
    probabilities, targets = learn.get_preds(dl=dls_clas.test_dl(texts))
    assert targets is None
    one_by_one = torch.stack([learn.predict(text)[2] for text in texts])
    assert torch.allclose(probabilities, one_by_one, atol=1e-5)
    inputs, _, targets, decoded, losses = learn.get_preds(with_input=True, with_decoded=True, with_loss=True)
    assert targets.tolist() == dls_clas.valid.labels.tolist()
    assert [len(ids) for ids in inputs] == np.diff(dls_clas.valid.documents.offsets).tolist()
    assert decoded.shape == losses.shape == targets.shape
    assert float(losses.mean()) == pytest.approx(learn.validate()["valid_loss"], rel=1e-5)


def test_a_language_model_goes_on_with_a_text(dls_lm):
    learn = language_model_learner(dls_lm, AWD_LSTM, **SMALL)
    first = learn.predict("the film was", 12, temperature=0.75, seed=3)
    assert first == learn.predict("the film was", 12, temperature=0.75, seed=3)
    assert first != learn.predict("the film was", 12, temperature=0.75, seed=4)
    assert first.lower().startswith("the film was")
    tokens = learn.predict("the film was", 200, temperature=5.0, decoder=" ".join)
    assert len(tokens.split(" ")) == 204
    assert "xxunk" not in tokens
    assert "xxpad" not in tokens
    greedy = learn.predict("the film was", 5, temperature=0, decoder=list)
    assert greedy == learn.predict("the film was", 5, temperature=1e-3, seed=0, decoder=list)
    stepwise = learn.predict("the film was", 4, temperature=0, decoder=list)
    assert learn.predict("the film was", 5, temperature=0, decoder=list)[:-1] == stepwise
    with pytest.raises(ConfigError, match="n_words=0 must be at least 1"):
        learn.predict("the film", 0)


def test_what_cannot_be_predicted(dls_clas):
    learn = text_classifier_learner(dls_clas, **SMALL)
    with pytest.raises(DataError, match="the text is empty"):
        learn.predict(" ")
    with pytest.raises(DataError, match=r"one text as a string, not list.*test_dl"):
        learn.predict(["a", "b"])


def test_results_are_shown(dls_lm, dls_clas):
    learn = text_classifier_learner(dls_clas, **SMALL)
    table = learn.results_table(max_n=4)
    assert table.columns == ("text", "category", "category_")
    assert len(table.rows) == 4
    assert {row[1] for row in table.rows} <= {"pos", "neg"}
    table = language_model_learner(dls_lm, **SMALL).results_table(max_n=2)
    assert [len(row) for row in table.rows] == [3, 3]


def test_export_and_load(dls_lm, dls_clas, tmp_path):
    for make, dls in ((text_classifier_learner, dls_clas), (language_model_learner, dls_lm)):
        learn = make(dls, path=tmp_path, arch=AWD_QRNN, **SMALL)
        learn.fit(1, 1e-2)
        folder = learn.export("export.pkl")
        assert folder == tmp_path / "export"
        again = load_learner(tmp_path / "export.pkl")
        again.verbose = 0
        if make is text_classifier_learner:
            assert torch.allclose(again.predict(TEXTS[0])[2], learn.predict(TEXTS[0])[2], atol=1e-6)
            preds, _ = again.get_preds(dl=again.dls.test_dl(TEXTS[:3]))
            assert preds.shape == (3, 2)
            assert again.dls.vocab[1] == ["neg", "pos"]
        else:
            assert again.predict("the", 5, seed=1) == learn.predict("the", 5, seed=1)
        with pytest.raises((DataError, ConfigError)):
            again.fit(1)
        run = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["run"]
        assert run["data"]["train"] != run["data"]["valid"]
        assert run["settings"]["optimizer"] == "Adam"
        assert run["machine"]["torch"] == torch.__version__
        assert load_bundle(folder).history[0]["valid_loss"] == pytest.approx(learn.history[0]["valid_loss"])
    with pytest.raises(FormatError, match="no such folder"):
        load_learner(tmp_path / "nothing")


def exported_answers_are_the_learner_s(learn, folder):
    learn.export(folder)
    again, predictor = load_learner(folder), load(folder)
    assert again.task == learn.task
    for text in TEXTS[:4]:
        answer, tensor, probabilities = learn.predict(text)
        answer_again, tensor_again, probabilities_again = again.predict(text)
        assert torch.allclose(probabilities, probabilities_again, atol=1e-5)
        assert tensor_again.tolist() == pytest.approx(tensor.tolist(), abs=1e-5)
        predicted = predictor.predict(text)
        if learn.task == "multi_label":
            assert answer_again == list(predicted.labels) == answer
        else:
            assert [answer_again, predicted.values[0]] == pytest.approx([answer, answer], abs=1e-5)
    assert again.get_preds(dl=again.dls.test_dl(TEXTS[:3]))[0].shape == (3, learn.dls.n_out)


@pytest.mark.parametrize("task", ["single_label", "multi_label"])
def test_a_loaded_learner_answers_as_the_predictor_does(tmp_path, task):
    fitted = {"temperature": 3.0, "thresholds": {"billing": 0.34} if task == "multi_label" else {}}
    model = replace(classifier(), task=task, calibration=fitted)
    save_bundle(model, tmp_path / "model")
    learn, predictor = load_learner(tmp_path / "model"), load(tmp_path / "model")
    learn.verbose = 0
    for text in TEXTS[:3]:
        expected = list(predictor.predict(text).probabilities.values())
        assert learn.predict(text)[2].tolist() == pytest.approx(expected, abs=1e-6)
    again = load(learn.export(tmp_path / "again"))
    assert again.predict_proba(TEXTS[:3]) == pytest.approx(predictor.predict_proba(TEXTS[:3]), abs=1e-6)
    save_bundle(replace(model, backward=replace(model, backwards=True)), tmp_path / "both")
    with pytest.raises(ConfigError, match="models of both directions"):
        load_learner(tmp_path / "both")


def test_multi_label_and_regression(tmp_path):
    table = frame().assign(tags=[f"{label};even" if i % 2 else label for i, label in enumerate(LABELS)])
    dls = TextDataLoaders.from_df(table, tmp_path, seed=1, text_col="text", label_col="tags", label_delim=";", bs=8)
    thresh = BCEWithLogitsLossFlat(thresh=0.2)
    learn = text_classifier_learner(dls, metrics=["accuracy", "f1", "roc_auc"], loss_func=thresh, **SMALL)
    learn.fit_one_cycle(1, 1e-2)
    exported_answers_are_the_learner_s(learn, tmp_path / "several")
    labels, applies, probabilities = learn.predict(TEXTS[0])
    assert set(labels) <= {"even", "neg", "pos"}
    assert applies.shape == probabilities.shape == (3,)
    assert len(learn.results_table().columns) == 3

    from ulmfit.data.targets import RegressionBlock

    table = frame().assign(stars=[float(len(t) % 7) for t in TEXTS])
    dls = TextDataLoaders.from_df(
        table, tmp_path, seed=1, text_col="text", label_col="stars", y_block=RegressionBlock(), bs=8
    )
    learn = text_classifier_learner(dls, metrics=["mae", "r2", "spearman"], y_range=(0, 7), **SMALL)
    mean = float(dls.train.labels.mean())
    with pytest.raises(ConfigError, match=rf"begin at {mean:g}, the mean of the values: y_range=\(7\.0, 9\.0\)"):
        text_classifier_learner(dls, y_range=(7, 9), **SMALL)
    with pytest.raises(ConfigError, match="n_out=2, but the loaders have 1 values for each text"):
        text_classifier_learner(dls, n_out=2, y_range=(0, 7), **SMALL)
    learn.fit_one_cycle(1, 1e-2)
    value, tensor, _ = learn.predict(TEXTS[0])
    assert 0 < value < 7
    assert float(tensor) == pytest.approx(value)
    exported_answers_are_the_learner_s(learn, tmp_path / "values")


def test_arguments_that_are_not_known_or_do_not_fit(dls_lm, dls_clas):
    with pytest.raises(ConfigError, match=r"'drop_mlt' .did you mean 'drop_mult'\?., 'metric' .did you mean 'metrics'"):
        language_model_learner(dls_lm, drop_mlt=0.3, metric=accuracy)
    with pytest.raises(ConfigError, match="is_lm=True"):
        language_model_learner(dls_clas, **SMALL)
    with pytest.raises(ConfigError, match="without is_lm=True"):
        text_classifier_learner(dls_lm, **SMALL)
    with pytest.raises(ConfigError, match="read texts from their end"):
        text_classifier_learner(dls_clas, backwards=True, **SMALL)
    with pytest.raises(ConfigError, match="must be text loaders"):
        text_classifier_learner(DataBlock, **SMALL)
    learn = text_classifier_learner(dls_clas, **SMALL)
    with pytest.raises(ConfigError, match=r"fit_one_cycle has no argument 'lr' .did you mean"):
        learn.fit_one_cycle(1, lr=1e-2)
    with pytest.raises(ConfigError, match=r"was a learning rate of 0\.01, as in fit_one_cycle\(1, 0\.01\), meant"):
        learn.fit_one_cycle(1e-2)
    with pytest.raises(ConfigError, match="pretrained=False"):
        text_classifier_learner(dls_clas, AWD_QRNN, config={**CONFIG, "window": 1})


def test_pretrained_weights_are_matched_by_word(dls_lm, dls_clas, tmp_path, monkeypatch):
    source = language_model_learner(dls_lm, path=tmp_path, **SMALL)
    folder = source.export("base")
    other = TextDataLoaders.from_df(
        pd.DataFrame({"text": ["lovely music of the zebra zebra zebra"] * 40}),
        tmp_path,
        text_col="text",
        is_lm=True,
        bs=2,
    )
    learn = language_model_learner(other, pretrained_fnames=folder, verbose=0, precision="fp32")
    assert learn.model.config.emb_sz == 16
    old, new = (x.model.encoder.state_dict() for x in (source, learn))
    name = next(n for n in old if n.endswith("embedding.weight"))
    word = other.text_vocab.stoi["lovely"]
    assert torch.equal(new[name][word], old[name][dls_lm.text_vocab.stoi["lovely"]])
    assert torch.allclose(new[name][other.text_vocab.stoi["zebra"]], old[name].mean(0), atol=1e-6)
    assert [all(p.requires_grad for p in g) for g in learn.groups] == [False, False, True]
    classifier = text_classifier_learner(dls_clas, **SMALL).load_pretrained(folder)
    assert torch.equal(classifier.model.encoder.state_dict()[name], old[name])
    monkeypatch.setattr("ulmfit.pretrained.weights.BUNDLED", folder.parent)
    classifier = text_classifier_learner(dls_clas, **SMALL).load_pretrained(folder.name)  # a bundled model
    assert torch.equal(classifier.model.encoder.state_dict()[name], old[name])


def test_to_fp16_says_what_it_does_where_there_is_no_fp16(dls_lm, capsys):
    learn = language_model_learner(dls_lm, **{**SMALL, "verbose": 1})
    if learn.device.type == "cuda":
        pytest.skip("this machine has fp16")
    assert learn.to_fp16() is learn
    assert "training in" in capsys.readouterr().out
    assert learn.precision in ("bf16", "fp32")
    assert learn.to_fp32().precision == "fp32"
    with pytest.raises(ConfigError, match="fp16 needs a CUDA device"):
        language_model_learner(dls_lm, **{**SMALL, "precision": "fp16"})


def test_the_table_is_silent_when_told(dls_lm, capsys):
    learn = language_model_learner(dls_lm, **{**SMALL, "verbose": 1})
    with learn.no_logging():
        learn.fit(1, 1e-3)
    assert capsys.readouterr().out == ""
    with learn.no_bar():
        learn.fit(1, 1e-3)
    assert "valid_loss" in capsys.readouterr().out
    assert isinstance(learn.console, Console)


def test_long_texts_are_counted(dls_lm, capsys):
    dls = TextDataLoaders.from_df(frame(), dls_lm.path, seed=1, text_col="text", label_col="label", bs=8)
    learn = text_classifier_learner(dls, max_len=20, **{**SMALL, "verbose": 1})
    said = capsys.readouterr().out.splitlines()
    for part, loader in zip(("training", "validation"), (dls.train, dls.valid), strict=True):
        longer = sum(loader.lengths > 20)
        assert f"{longer} {part} texts ({longer / len(loader.lengths):.1%}) have more than max_len=20 tokens" in said[0]
        said = said[1:]
    learn.get_preds()
    learn.predict("short")
    assert "max_len" not in capsys.readouterr().out
    learn.get_preds(dl=dls.test_dl(["short", "word " * 8 + "other " * 30 + "tail " * 9 + " ".join(TEXTS[:2])]))
    assert "1 texts (50.0%) have more than max_len=20 tokens" in capsys.readouterr().out
    learn.predict(" ".join(TEXTS[:2]))
    assert "1 text (100.0%) have more than max_len=20 tokens" in capsys.readouterr().out
    assert "in 4 groups" in learn.summary()
    assert Path(learn.path) == dls_lm.path


def test_another_number_of_answers_than_labels_is_refused(dls_clas):
    with pytest.raises(ConfigError, match=r"n_out=7, but the loaders have 2 labels \(neg, pos\)"):
        text_classifier_learner(dls_clas, n_out=7, **SMALL)


def test_a_look_at_the_results_does_not_change_the_training(dls_clas):
    learn = text_classifier_learner(dls_clas, **SMALL)
    before = learn.random_state().clone()
    learn.results_table()
    assert torch.equal(learn.random_state(), before)


def test_what_a_learner_gets_right_and_wrong(dls_clas):
    learn = text_classifier_learner(dls_clas, metrics=accuracy, **SMALL)
    learn.fit_one_cycle(2, 3e-2)
    seen = Interpretation.from_learner(learn)
    assert seen.figures()["accuracy"] == pytest.approx(learn.validate()["accuracy"])
    assert int(seen.confusion_matrix().sum()) == len(seen.texts) == len(dls_clas.valid.labels)
    worst = seen.cases(3)
    assert [case.loss for case in worst] == sorted((case.loss for case in worst), reverse=True)
    assert worst[0].label in ("neg", "pos")
    with pytest.raises(ConfigError, match="no labels to compare"):
        Interpretation.from_learner(learn, dl=dls_clas.test_dl(TEXTS[:3]))


def test_a_seed_is_a_whole_number(dls_clas):
    with pytest.raises(ConfigError, match="seed='a' must be a whole number"):
        text_classifier_learner(dls_clas, AWD_LSTM, seed="a", **SMALL)


def test_empty_texts_have_no_answers(dls_clas):
    learn = text_classifier_learner(dls_clas, AWD_LSTM, **SMALL)
    with pytest.raises(DataError, match="the text is empty"):
        learn.predict(" ")
    loader = dls_clas.test_dl(["a good film", "", "a bad one"])
    with pytest.raises(DataError, match=r"1 of the 3 texts are empty: .*2 \(from 1\)"):
        learn.get_preds(dl=loader)


def test_a_prediction_may_give_the_text_as_it_was_read(dls_clas):
    learn = text_classifier_learner(dls_clas, AWD_LSTM, **SMALL)
    text, *answers = learn.predict("A good film", with_input=True)
    assert text == "xxbos a xxunk film"
    assert answers[0] == learn.predict("A good film")[0]


def test_metrics_that_cannot_measure_the_classes_are_refused_at_once(dls_clas):
    with pytest.raises(ConfigError, match=r"top_k_accuracy: k=5 must be at least 1 and below the \d classes"):
        text_classifier_learner(dls_clas, AWD_LSTM, metrics="top_k_accuracy", **SMALL)
    values = frame().assign(label=[float(i) for i in range(len(TEXTS))])
    dls = TextDataLoaders.from_df(values, dls_clas.path, text_col="text", label_col="label", y_block=RegressionBlock())
    with pytest.raises(ConfigError, match="perplexity is for lm and single_label"):
        text_classifier_learner(dls, AWD_LSTM, metrics="perplexity", **SMALL)


def test_pretrained_weights_of_other_sizes_are_refused_and_nothing_changes(dls_lm):
    files = Path(__file__).parents[1] / "pretrained" / "fastai"
    learn = language_model_learner(dls_lm, **SMALL)
    before = {name: weight.clone() for name, weight in learn.model.state_dict().items()}
    with pytest.raises(FormatError, match=r"embedding\.weight"):
        learn.load_pretrained(files / "learner.pth", files / "vocab.pkl")
    assert all(torch.equal(weight, before[name]) for name, weight in learn.model.state_dict().items())


def test_weights_of_fastai_are_taken_with_their_vocabulary(dls_lm, capsys):
    files = Path(__file__).parents[1] / "pretrained" / "fastai"
    weights, vocab = files / "learner.pth", files / "vocab.pkl"
    bundle = read_fastai(weights, vocab)
    config = bundle.config.to_dict()
    learn = language_model_learner(dls_lm, config=config, pretrained=False, verbose=1, precision="fp32")
    learn.load_pretrained(weights, vocab)
    known = next(word for word in bundle.vocab.itos if word in dls_lm.text_vocab.stoi)
    own, theirs = learn.model.state_dict(), bundle.weights
    name = "encoder.embedding.weight"
    assert torch.equal(own[name][dls_lm.text_vocab.stoi[known]], theirs[name][bundle.vocab.stoi[known]])
    shared = sum(word in bundle.vocab.stoi for word in dls_lm.text_vocab.itos)
    n = len(dls_lm.text_vocab)
    said = " ".join(capsys.readouterr().out.split())
    assert f"{shared:,} of the {n:,} words of the vocabulary are known to it (" in said
    assert f"% of the running text), {n - shared:,} are new" in said
