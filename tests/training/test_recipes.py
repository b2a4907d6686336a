from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from invented import make_reviews
from rich.console import Console

from ulmfit.data.sources import Examples
from ulmfit.errors import ConfigError, DataError
from ulmfit.inference.bundle import load_bundle, save_bundle
from ulmfit.inference.predictor import Predictor
from ulmfit.models.config import SIZES, AWDLSTMConfig, AWDQRNNConfig
from ulmfit.text import Tokenizer
from ulmfit.training.bases import Bases
from ulmfit.training.classifier_stages import classifier_learner, classifier_rate, default_epochs, seconds_per_token
from ulmfit.training.clock import Clock
from ulmfit.training.facts import run_facts
from ulmfit.training.job import describe, train_and_measure
from ulmfit.training.learner import Learner
from ulmfit.training.lm_stage import default_lm_epochs, language_model_rate
from ulmfit.training.parts import Stores, Texts, Wide, prepare_texts, sample
from ulmfit.training.recipe import Recipe
from ulmfit.training.recipes import train_text_classifier


def examples(n: int, *, unlabelled: int = 0) -> Examples:
    texts, labels = make_reviews(n + unlabelled)
    known: list[str | None] = [*labels[:n], *[None] * unlabelled]
    return Examples(texts=texts, labels=known, source="invented")


def stores_of(texts: Texts) -> Stores:
    parts = texts.train[0], texts.valid[0], []
    return Wide.build(*parts, Tokenizer(), min_freq=1, max_vocab=1_000, console=Console(quiet=True)).narrowed()


def test_parts_are_split_by_class_and_nothing_is_lost():
    data = examples(40, unlabelled=5)
    texts = prepare_texts(data, None, [Examples(texts=["more"], labels=None, source="m")], valid_pct=0.1, seed=0)
    assert (len(texts.train[0]), len(texts.valid[0])) == (36, 4)
    assert texts.unlabelled == [*data.texts[40:], "more"]
    assert sorted(texts.train[0] + texts.valid[0]) == sorted(data.texts[:40])
    assert texts.labels == ["neg", "pos"]
    assert texts.counts == {"neg": 18, "pos": 18}


def test_a_given_validation_part_is_used_whole():
    texts = prepare_texts(examples(10), examples(4), (), valid_pct=0.1, seed=0)
    assert (len(texts.train[0]), len(texts.valid[0])) == (10, 4)
    empty = Examples(texts=["a"], labels=[None], source="v.csv")
    with pytest.raises(DataError, match=r"v\.csv has no labelled"):
        prepare_texts(examples(10), empty, (), valid_pct=0.1, seed=0)
    with pytest.raises(DataError, match="m has no labels"):
        prepare_texts(Examples(texts=["a"], labels=None, source="m"), None, (), valid_pct=0.1, seed=0)


def test_settings_that_make_no_sense_are_reported_together():
    with pytest.raises(ConfigError, match=r"lm_epochs=-1.*bs=0.*time_budget=0.*valid_pct=2"):
        Recipe(lm_epochs=-1, bs=0, time_budget=0, valid_pct=2)
    with pytest.raises(ConfigError, match=r"bs=1 must.*lr=0 must.*precision='fp8'"):
        Recipe(bs=1, lr=0, precision="fp8")
    with pytest.raises(ConfigError, match=r"weight_p=0\.5 becomes 1"):
        Recipe(drop_mult=2.0)
    with pytest.raises(ConfigError, match="'tiny' is not known"):
        Recipe(size="tiny")
    with pytest.raises(ConfigError, match="arch='awd_gru' is not known; choose one of awd_lstm, awd_qrnn"):
        Recipe(arch="awd_gru")


def test_a_model_without_base_has_the_architecture_that_is_asked_for(monkeypatch):
    monkeypatch.setattr("ulmfit.training.classifier_stages._MIN_STEPS", 5)
    monkeypatch.setitem(SIZES["awd_qrnn"], "small", AWDQRNNConfig(emb_sz=8, n_hid=12, n_layers=2))
    texts = prepare_texts(examples(40), None, (), valid_pct=0.2, seed=0)
    recipe = Recipe(arch="awd_qrnn", lm_epochs=0.1, epochs=1, bidirectional=True)
    trained = train_text_classifier(texts, recipe, Console(quiet=True))
    assert trained.classifier.config.arch == "awd_qrnn"
    assert trained.classifier.backward is not None
    assert trained.classifier.backward.config.arch == "awd_qrnn"
    monkeypatch.setitem(SIZES["awd_lstm"], "small", AWDLSTMConfig(emb_sz=8, n_hid=12, n_layers=2))
    one_way = train_text_classifier(texts, replace(recipe, arch="awd_lstm", bidirectional=False), Console(quiet=True))
    bases = {"base": one_way.language_model, "backward_base": trained.backward_language_model}
    mixed = train_text_classifier(texts, recipe, Console(quiet=True), **bases).classifier
    assert mixed.backward is not None
    assert (mixed.config.arch, mixed.backward.config.arch) == ("awd_lstm", "awd_qrnn")
    assert Predictor(mixed).outputs(texts.valid[0]).shape == (len(texts.valid[0]), 2)


def test_small_data_gets_more_epochs_within_limits():
    assert [default_epochs(n) for n in (10, 700, 2_000, 100_000)] == [20, 10, 4, 3]
    assert [default_lm_epochs(n) for n in (1_000, 3_000_000, 100_000_000)] == [20, 5, 2]
    assert [default_lm_epochs(n, from_base=True) for n in (1_000, 3_000_000, 100_000_000)] == [3, 3, 1]


def test_a_clock_without_budget_sets_no_limit():
    assert Clock(None).share(0.5) is None
    left = Clock(1000).share(0.5, keep=20)
    assert left is not None
    assert 487 < left <= 487.5
    short = Clock(20).share(1)
    assert short is not None
    assert 19 < short <= 19.2  # little is set aside of little
    assert Clock(1).share(1, keep=50) == 1


def test_a_clock_sets_aside_what_a_part_takes_beyond_its_share():
    clock = Clock(1000)
    clock.reserve, clock.check = 100, 30
    seconds = clock.share(0.5, keep=20)
    assert seconds is not None
    assert 409 < seconds <= 410


def test_where_time_is_short_epochs_are_checked_on_a_sample(tiny_models, monkeypatch):
    out = io.StringIO()
    held_out = examples(120)
    texts = prepare_texts(examples(40), held_out, (), valid_pct=0.1, seed=0)
    n_tokens = 120 * 20  # about as many
    for cost, checked in ((1e-9, 120), (9.0 / n_tokens, 50), (9e3 / n_tokens, 50)):
        out.truncate(0)
        monkeypatch.setattr("ulmfit.training.recipes.seconds_per_token", lambda learn, cost=cost: cost)
        recipe = Recipe(lm_epochs=0.05, epochs=1, time_budget=30)
        _, metrics = train_and_measure(texts, recipe, Console(file=out, width=200), Bases(), clock=Clock(30))
        said = out.getvalue()
        assert f"40 texts to learn from, {checked} to check with" in said
        assert ("epochs are checked on 50 of the 120 texts held out" in said) == (checked == 50)
        assert ("The time budget is used up; " in said) == (cost > 1)
        assert (metrics["checked"], metrics["valid"]["n"]) == (checked, 120)  # the model itself is measured on all


def test_what_training_costs_is_measured_on_the_beginnings_of_texts(tiny_models, monkeypatch):
    config = AWDLSTMConfig(emb_sz=20, n_hid=20, n_layers=2)
    texts = prepare_texts(examples(40), None, (), valid_pct=0.1, seed=0)
    long = replace(texts, train=([" ".join([text] * 200) for text in texts.train[0]], texts.train[1]))
    stores = stores_of(long)
    learn, seen = classifier_learner(long, stores, config, Recipe()), []
    train_batch = Learner.train_batch
    monkeypatch.setattr(Learner, "train_batch", lambda self, b: seen.append(b.inputs) or train_batch(self, b))
    assert seconds_per_token(learn) > 0
    assert len(seen) == 2  # one warms up
    assert all(ids.shape[1] == int(lengths.max()) == 500 for ids, lengths in seen)


def test_texts_that_stand_in_both_parts_and_labels_that_differ_are_said() -> None:
    out = io.StringIO()
    data = Examples(texts=["one", "one", "two", "three"], labels=["a", "b", "a", "b"], source="x")
    held_out = Examples(texts=["one", "four"], labels=["a", "b"], source="y")
    describe(prepare_texts(data, held_out, (), valid_pct=0.1, seed=0), Console(file=out, width=200))
    assert "stand there before with another label: 1" in out.getvalue()
    assert "Of the 2 texts to check with 1 are also learned from" in out.getvalue()
    out.truncate(0)
    lists = Examples(texts=["x", "x", "y"], labels=[["a", "b"], ["b", "a"], ["b"]], source="x")
    held_out = Examples(texts=["z"], labels=[["a"]], source="y")
    several = prepare_texts(lists, held_out, (), valid_pct=0.1, seed=0, task="multi_label")
    describe(several, Console(file=out, width=200))
    assert "another label" not in out.getvalue()  # the order of classes says nothing


def test_a_sample_of_rows_in_turns_holds_all_classes():
    for n, wanted, n_classes in ((100, 50, 2), (197, 50, 2), (1_000, 334, 3), (150, 50, 3)):
        rows = sample(n, wanted)
        assert len(set(rows.tolist())) == wanted
        assert rows.tolist() == sorted(rows) == sample(n, wanted).tolist()
        assert np.bincount(rows % n_classes, minlength=n_classes).min() > 0.6 * wanted / n_classes
    assert sample(7, 7).tolist() == list(range(7))
    assert len(sample(7, 0)) == 0


def test_what_training_costs_is_measured_on_few_texts_too(tiny_models):
    config = AWDLSTMConfig(emb_sz=20, n_hid=20, n_layers=2)
    for n in (4, 16, 17, 31, 200):
        texts = prepare_texts(examples(n), examples(4), (), valid_pct=0.1, seed=0)
        cost = seconds_per_token(classifier_learner(texts, stores_of(texts), config, Recipe()))
        assert 0 < cost < 1


def test_the_rate_suits_what_is_started_from_unless_it_is_given(tiny_models):
    assert classifier_rate(Recipe(), from_base=True) > classifier_rate(Recipe(), from_base=False) > 0
    assert classifier_rate(Recipe(lr=3e-3), from_base=True) == classifier_rate(Recipe(lr=3e-3), from_base=False) == 3e-3
    texts = prepare_texts(examples(40), None, (), valid_pct=0.1, seed=0)
    quiet = Console(quiet=True)
    first = train_text_classifier(texts, Recipe(lm_epochs=0.05, epochs=1), quiet)
    second = train_text_classifier(texts, Recipe(lm_epochs=0, epochs=1), quiet, base=first.language_model)
    for trained, from_base in ((first, False), (second, True)):
        assert trained.classifier.metrics["lr"] == classifier_rate(Recipe(), from_base=from_base)
    assert first.classifier.metrics["language_model"]["lr"] == language_model_rate(Recipe(), from_base=False)
    assert second.classifier.metrics["language_model"]["lr"] is None  # it did not learn
    third = train_text_classifier(texts, Recipe(lm_epochs=0.05, epochs=1), quiet, base=first.language_model)
    assert third.classifier.metrics["language_model"]["lr"] == language_model_rate(Recipe(), from_base=True, rows=1)
    assert language_model_rate(Recipe(), from_base=True, rows=16) == language_model_rate(Recipe(), from_base=True) / 2
    assert language_model_rate(Recipe(), from_base=True) > language_model_rate(Recipe(), from_base=False) > 0
    assert language_model_rate(Recipe(lm_lr=3e-3), from_base=True) == 3e-3


def test_words_may_be_left_out_of_the_pool_and_the_head_fits(monkeypatch):
    monkeypatch.setattr("ulmfit.training.classifier_stages._MIN_STEPS", 10)
    texts = prepare_texts(examples(40), None, (), valid_pct=0.1, seed=0)
    console = Console(file=io.StringIO())
    shapes = []
    for pool_words in (True, False):
        recipe = Recipe(lm_epochs=1, epochs=1, pool_words=pool_words)
        trained = train_text_classifier(texts, recipe, console)
        assert trained.classifier.pool_words == pool_words
        assert trained.classifier.metrics["pooling"] == "mean"
        shapes.append(trained.classifier.weights["head.layers.2.weight"].shape[1])
    assert shapes == [6 * 300, 3 * 300]
    steps = [row["steps"] for row in trained.classifier.history if row["stage"] == "classifier"]
    stages = [n for n, following in zip(steps, [*steps[1:], 0], strict=True) if following < n]
    # 36 texts are 3 steps; two stages take 10 * 16 / 36 epochs, for 10 full batches; the last what was asked
    assert stages == [13, 13, 3]


@pytest.mark.parametrize(
    ("pooling", "few", "means_alone"),
    [("auto", 40, True), ("auto", 30, False), ("concat", 40, False), ("mean", 30, True)],
)
def test_of_few_labelled_texts_the_head_sees_the_means_alone(monkeypatch, pooling, few, means_alone):
    monkeypatch.setattr("ulmfit.training.classifier_stages._FEW", few)
    texts = prepare_texts(examples(40), None, (), valid_pct=0.1, seed=0)  # 36 to learn from
    learn = classifier_learner(
        texts, stores_of(texts), AWDLSTMConfig(emb_sz=6, n_hid=6, n_layers=2), Recipe(pooling=pooling)
    )
    scales = learn.model.head.layers[0].weight
    assert bool((scales[: len(scales) // 3 * 2] == 0).all()) == means_alone
    assert (scales[len(scales) // 3 * 2 :] == 1).all()


def test_an_unknown_pooling_is_refused():
    with pytest.raises(ConfigError, match="pooling='max' must be one of auto, concat, mean"):
        Recipe(pooling="max")


def test_values_are_learned_in_any_unit_and_answers_stay_near_their_range(tiny_models):
    texts, labels = make_reviews(60)
    data = Examples(texts=texts, labels=[1e6 if label == "pos" else 2e6 for label in labels], source="invented")
    parts = prepare_texts(data, None, (), valid_pct=0.2, seed=0, task="regression")
    assert parts.scale is not None
    assert abs(float(parts.numbers(parts.train[1]).mean())) < 1e-6
    trained = train_text_classifier(parts, Recipe(lm_epochs=1, epochs=8), Console(file=io.StringIO()))
    assert (trained.classifier.task, trained.classifier.y_range) == ("regression", (0.9e6, 2.1e6))
    values = Predictor(trained.classifier).outputs(parts.valid[0])[:, 0]
    assert np.corrcoef(values, parts.valid[1])[0, 1] > 0.7
    assert 0.9e6 < values.min() < values.max() < 2.1e6
    same = Examples(texts=texts, labels=[3.0] * 60, source="d.csv")
    with pytest.raises(DataError, match=r"d\.csv: all .* values are 3; there is nothing to learn"):
        prepare_texts(same, None, (), valid_pct=0.2, seed=0, task="regression")


def test_values_of_a_long_tail_are_learned_from_their_mean_on(tiny_models):
    """The middle of the range, 50, is far from all values but one."""
    texts, labels = make_reviews(60)
    values = [1.0 if label == "pos" else 2.0 for label in labels[:-1]] + [100.0]
    parts = prepare_texts(
        Examples(texts=texts, labels=values, source="invented"), None, (), valid_pct=0.2, seed=1, task="regression"
    )
    assert max(parts.train[1]) == 100
    recipe = Recipe(lm_epochs=1, epochs=1, ngrams=False)
    trained = train_text_classifier(parts, recipe, Console(file=io.StringIO()))
    answers = Predictor(trained.classifier).outputs(parts.valid[0])[:, 0]
    assert np.abs(answers - np.mean(parts.train[1])).max() < 8


def test_several_labels_are_learned_from_their_shares_on(tiny_models):
    texts, _ = make_reviews(60)
    labels = [["often", "rare"] if i % 15 == 0 else ["often"] for i in range(60)]
    parts = prepare_texts(
        Examples(texts=texts, labels=labels, source="invented"), None, (), valid_pct=0.2, seed=0, task="multi_label"
    )
    recipe = Recipe(lm_epochs=1, epochs=1, lr=1e-6, ngrams=False)  # too slow to learn anything
    trained = train_text_classifier(parts, recipe, Console(file=io.StringIO()))
    answers = Predictor(trained.classifier).outputs(parts.valid[0])
    assert list(trained.classifier.labels) == ["often", "rare"]
    assert answers[:, 0].min() > 1.5
    assert answers[:, 1].max() < -1.5


def test_both_directions_are_trained_and_averaged(tiny_models):
    parts = prepare_texts(examples(40), None, (), valid_pct=0.1, seed=0)
    out = io.StringIO()
    trained = train_text_classifier(
        parts, Recipe(lm_epochs=1, epochs=1, bidirectional=True, ngrams=False), Console(file=out)
    )
    twin = trained.classifier.backward
    assert twin is not None
    assert trained.backward_language_model is not None
    assert trained.backward_language_model.backwards
    assert (trained.classifier.backwards, twin.backwards) == (False, True)
    both = Predictor(trained.classifier).predict_proba(parts.valid[0])
    alone = [Predictor(b).predict_proba(parts.valid[0]) for b in (replace(trained.classifier, backward=None), twin)]
    np.testing.assert_allclose(both, sum(alone) / 2, atol=1e-6)
    assert "from their end" in out.getvalue()


@pytest.mark.parametrize("backwards", [False, True])
def test_the_direction_without_a_base_cuts_texts_as_the_other_does(tiny_models, backwards: bool):
    parts, quiet = prepare_texts(examples(40), None, (), valid_pct=0.1, seed=0), Console(quiet=True)
    recipe = Recipe(lm_epochs=0.05, epochs=1, bidirectional=True, ngrams=False)
    german = train_text_classifier(parts, replace(recipe, lang="de"), quiet)
    base = german.backward_language_model if backwards else german.language_model
    given = {"backward_base": base} if backwards else {"base": base}
    trained = train_text_classifier(parts, recipe, quiet, **given)
    assert trained.classifier.backward is not None
    assert trained.classifier.backward.tokenizer == trained.classifier.tokenizer == german.classifier.tokenizer
    assert trained.classifier.tokenizer != Tokenizer()


def test_a_run_says_how_to_repeat_it(monkeypatch):
    monkeypatch.setattr("sys.argv", ["/usr/bin/ulmfit", "train", "/home/someone/a.csv", "--out", "there/m"])
    texts = prepare_texts(examples(20), None, (), valid_pct=0.2, seed=0)
    recipe = Recipe(lr=3e-3)
    facts = run_facts(texts, recipe, 1.0)
    run = facts["run"]
    assert json.loads(json.dumps(facts)) == facts
    assert run["command"] == "ulmfit train a.csv --out m"
    monkeypatch.setattr("sys.argv", ["/there/ulmfit/__main__.py", "train", "/home/someone/a.csv"])
    assert run_facts(texts, recipe, 1.0)["run"]["command"] == "python -m ulmfit train a.csv"
    assert Recipe(**run["settings"]) == recipe
    assert run["machine"]["torch"] == torch.__version__
    rows, labels = texts.train
    for other in ((rows, labels[::-1]), (rows[::-1], labels), (rows[1:], labels[1:])):
        changed = run_facts(replace(texts, train=other), recipe, 1.0)["run"]["data"]
        assert changed["train"] != run["data"]["train"]
        assert changed["valid"] == run["data"]["valid"]


@pytest.mark.parametrize("kind", ["subword", "char"])
def test_another_language_and_other_tokens(monkeypatch, tmp_path, kind):
    monkeypatch.setattr("ulmfit.training.classifier_stages._MIN_STEPS", 5)
    monkeypatch.setitem(SIZES["awd_lstm"], "small", AWDLSTMConfig(emb_sz=8, n_hid=12, n_layers=1))
    texts = prepare_texts(examples(60), None, (), valid_pct=0.2, seed=0)
    recipe = Recipe(tokenizer=kind, lang="de", lm_epochs=0.1, epochs=1)
    trained = train_text_classifier(texts, recipe, Console(file=io.StringIO()))
    save_bundle(trained.classifier, tmp_path / "model")
    loaded = load_bundle(tmp_path / "model")
    assert loaded.tokenizer.tok.kind == kind
    assert getattr(loaded.tokenizer.tok, "lang", "de") == "de"
    assert Predictor(loaded).predict(texts.valid[0][0]) is not None


def test_an_unknown_kind_of_tokens_is_refused():
    with pytest.raises(ConfigError, match="tokenizer='words' must be one of auto, word, subword, char"):
        Recipe(tokenizer="words")


@pytest.mark.parametrize(("tokenizer", "kind"), [("auto", "subword"), ("word", "word")])
def test_texts_without_spaces_are_cut_into_subwords_unless_words_are_asked_for(tokenizer, kind, monkeypatch):
    monkeypatch.setitem(SIZES["awd_lstm"], "small", AWDLSTMConfig(emb_sz=8, n_hid=12, n_layers=1))
    good, bad = ["菜非常好吃", "服务员很热情", "下次还会再来"], ["菜太难吃了", "服务态度很差", "再也不会来了"]
    rows = [(f"{a}。{b}。", label) for label, said in (("pos", good), ("neg", bad)) for a in said for b in said] * 3
    data = Examples(texts=[text for text, _ in rows], labels=[label for _, label in rows], source="invented")
    shown = io.StringIO()
    trained = train_text_classifier(
        prepare_texts(data, None, (), valid_pct=0.2, seed=0),
        Recipe(tokenizer=tokenizer, lm_epochs=1, epochs=1),
        Console(file=shown, width=200),
    )
    assert trained.classifier.tokenizer.tok.kind == kind
    said = "cut into subwords" if kind == "subword" else "--lang en take whole phrases for words"
    assert "The texts are written without spaces between words" in shown.getvalue()
    assert said in shown.getvalue()
