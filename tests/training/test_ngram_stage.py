from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from invented import make_reviews
from rich.console import Console

from ulmfit.data.sources import Examples
from ulmfit.inference.bundle import load_bundle
from ulmfit.inference.evaluate import evaluate
from ulmfit.inference.info import describe_bundle
from ulmfit.inference.ngrams import NGrams
from ulmfit.inference.predictor import Predictor
from ulmfit.inference.reading import Reading
from ulmfit.text import Tokenizer
from ulmfit.training import ngram_stage
from ulmfit.training.bases import Bases
from ulmfit.training.classifier_stages import stages_of
from ulmfit.training.clock import Clock
from ulmfit.training.job import save, train_and_measure, weighed
from ulmfit.training.ngram_stage import learn_ngrams, pseudo_label
from ulmfit.training.ngrams import SURE, Fitted, Proof, fit_and_prove, sure_answers
from ulmfit.training.parts import Texts, Wide, prepare_texts
from ulmfit.training.recipe import Recipe
from ulmfit.training.recipes import train_text_classifier
from ulmfit.training.run_files import RunFiles


def task(*, given: bool) -> tuple[Texts, Wide]:
    texts, labels = make_reviews(60)
    data = Examples(texts=texts[:50], labels=labels[:50], source="invented")
    held_out = Examples(texts=texts[50:], labels=labels[50:], source="held out") if given else None
    parts = prepare_texts(data, held_out, (), valid_pct=0.2, seed=0)
    console = Console(quiet=True)
    return parts, Wide.build(
        parts.train[0], parts.valid[0], [], Tokenizer(), min_freq=1, max_vocab=1_000, console=console
    )


def right(ngrams: NGrams, store: Reading, parts: Texts) -> float:
    """How sure the n-grams are of the right classes of the validation part."""
    target = parts.target.encode(parts.valid[1], "valid")
    return float(ngrams.outputs(store)[np.arange(len(target)), target].mean())


def test_what_was_split_off_is_learned_from_for_the_finished_model_alone():
    out = io.StringIO()
    parts, wide = task(given=False)
    first, _, second = learn_ngrams(parts, wide, "word", Console(file=out, width=200), Clock(None))
    assert second is not None
    assert "of 40 texts" in out.getvalue()
    assert "from the 10 texts held out, once it is measured" in out.getvalue()
    assert right(second, wide.valid, parts) > right(first, wide.valid, parts)
    whole = wide.train.joined(wide.valid)
    assert len(second.keys) > len(first.keys)  # pairs that only the texts held out have
    assert whole.n_tokens == wide.train.n_tokens + wide.valid.n_tokens


def test_a_validation_part_that_was_given_is_never_learned_from():
    parts, wide = task(given=True)
    assert not parts.split_off
    assert learn_ngrams(parts, wide, "word", Console(quiet=True), Clock(None))[2] is None


def pace(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let learning n-grams take so long by the stage's own clock."""
    now = 0.0

    def fit(*args: Any, **settings: Any) -> Fitted:
        nonlocal now
        now += seconds
        return fit_and_prove(*args, **settings)

    monkeypatch.setattr(ngram_stage, "fit_and_prove", fit)
    monkeypatch.setattr(ngram_stage, "time", SimpleNamespace(perf_counter=lambda: now))


def test_nothing_is_learned_twice_if_the_time_is_short(monkeypatch: pytest.MonkeyPatch):
    parts, wide = task(given=False)
    for pause, twice in ((10, True), (200, False)):  # of 300 that are for n-grams
        pace(monkeypatch, pause)
        out = io.StringIO()
        _, _, second = learn_ngrams(parts, wide, "word", Console(file=out, width=200), Clock(600))
        assert (second is not None) == twice
        assert ("The time is short" in out.getvalue()) != twice


def test_a_run_that_goes_on_decides_as_it_did_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    parts, wide = task(given=False)
    quiet = Console(quiet=True)
    for first, later in ((10, 200), (200, 10)):  # seconds that the n-grams take, of 300 that they have
        out, found = tmp_path / f"m{first}", []
        for pause, resume in ((first, False), (later, True)):
            pace(monkeypatch, pause)
            clock = Clock(600, RunFiles(out, {}, quiet, resume=resume))
            found.append(learn_ngrams(parts, wide, "word", quiet, clock)[2] is not None)
        assert found == [first < later, first < later]


def test_a_sample_is_not_learned_from_twice(monkeypatch: pytest.MonkeyPatch):
    parts, wide = task(given=False)
    out = io.StringIO()
    for most, twice in (
        (wide.train.n_tokens - 1, False),
        (wide.train.n_tokens, False),
        (wide.train.n_tokens + wide.valid.n_tokens, True),
    ):
        monkeypatch.setattr("ulmfit.training.ngrams._MAX_TOKENS", most)
        found = learn_ngrams(parts, wide, "word", Console(file=out, width=200), Clock(None))[2]
        assert (found is not None) == twice == ("For the finished model" in out.getvalue())


def test_figures_are_of_the_model_that_has_not_seen_the_texts_they_are_of(tiny_models, tmp_path: Path):
    parts, _ = task(given=False)
    recipe, quiet = Recipe(lm_epochs=0.05, epochs=1), Console(quiet=True)
    before = train_text_classifier(parts, recipe, quiet)
    measured, outputs = weighed(before.classifier, parts, quiet)
    trained, metrics = train_and_measure(parts, recipe, quiet, Bases(), clock=Clock(None), test=parts.valid)
    assert before.ngrams is not None
    assert measured.ngrams is not None
    assert trained.classifier.ngrams is not None
    assert metrics["ngrams_know_valid"] is True
    assert metrics["valid"] == evaluate(Predictor(measured), *parts.valid)
    assert metrics["test"] == evaluate(Predictor(trained.classifier), *parts.valid)
    assert metrics["test"]["log_loss"] < metrics["valid"]["log_loss"]  # which is why it is no figure
    assert (trained.classifier.ngrams.weights == before.ngrams.weights).all()
    assert trained.classifier.ngrams.shares.tolist() == measured.ngrams.shares.tolist()
    assert outputs.shape == (10, 2)
    save(trained, metrics, tmp_path / "m", overwrite=False)
    assert json.loads((tmp_path / "m" / "metrics.json").read_text(encoding="utf-8"))["ngrams_know_valid"] is True
    assert "then learned from the 10 texts of `valid`" in (tmp_path / "m" / "README.md").read_text(encoding="utf-8")
    assert "after `valid` they learned" in dict(describe_bundle(tmp_path / "m", load_bundle(tmp_path / "m")))["n-grams"]
    held_out = replace(parts, split_off=False)
    assert train_and_measure(held_out, recipe, quiet, Bases(), clock=Clock(None))[1]["ngrams_know_valid"] is False
    alone = replace(recipe, ngrams=False)
    assert "ngrams_know_valid" not in train_and_measure(parts, alone, quiet, Bases(), clock=Clock(None))[1]


def plain(n: int, *, unlabelled: int, noise: int = 0) -> tuple[Texts, Wide]:
    """Texts that one word tells the class of; some labels are wrong."""
    rng = np.random.default_rng(0)
    words = np.array(["the", "a", "of", "to", "in", "it", "is", "was", "for", "on", "with", "as"])
    classes = np.arange(n + unlabelled) % 2
    texts = [" ".join([*rng.choice(words, 6), ("dreadful", "lovely")[c]]) for c in classes]
    labels: list[str | None] = [("bad", "good")[c] for c in classes[:n]]
    for i in rng.permutation(n)[:noise]:
        labels[i] = "bad" if labels[i] == "good" else "good"
    data = Examples(texts=texts, labels=[*labels, *[None] * unlabelled], source="plain")
    parts = prepare_texts(data, None, (), valid_pct=0.2, seed=0)
    return parts, Wide.build(
        *(parts.train[0], parts.valid[0], parts.unlabelled, Tokenizer()),
        min_freq=1,
        max_vocab=1_000,
        console=Console(quiet=True),
    )


def test_sure_answers_are_believed_where_most_were_right_when_their_texts_were_not_known():
    for noise, believed in ((0, True), (40, False)):
        parts, wide = plain(200, unlabelled=100, noise=noise)
        out = io.StringIO()
        console = Console(file=out, width=200)
        ngrams, proof, _ = learn_ngrams(parts, wide, "word", console, Clock(None))
        assert proof.holds == believed
        found = pseudo_label(ngrams, proof, parts, wide.unlabelled, console, Clock(None))
        assert (found is not None) == believed == ("texts without labels" in out.getvalue())
        assert believed != ("too little to believe them" in out.getvalue())
        if found is not None:
            assert len(found.rows) > 90
            assert [parts.labels[i] for i in found.classes] == [
                "good" if "lovely" in parts.unlabelled[i] else "bad" for i in found.rows
            ]
    assert (
        pseudo_label(ngrams, Proof(500, 500), parts, wide.unlabelled.take(np.arange(0)), console, Clock(None)) is None
    )
    assert not Proof(19, 19).holds  # too few to prove anything
    assert Proof(20, 19).holds
    assert not Proof(100, 94).holds


def test_at_most_three_times_as_many_texts_get_a_label_as_have_one():
    parts, wide = plain(200, unlabelled=700)
    ngrams, proof, _ = learn_ngrams(parts, wide, "word", Console(quiet=True), Clock(None))
    found = pseudo_label(ngrams, proof, parts, wide.unlabelled, Console(quiet=True), Clock(None))
    assert found is not None
    assert len(set(found.rows.tolist())) == len(found.rows) == 480
    assert found.rows.max() > 600  # of all of them, and not the first
    stores = wide.narrowed()
    further, more = found.added(parts), stores.with_unlabelled(found.rows)
    assert (further.n_pseudo, len(further.train[0]), len(more.train)) == (480, 640, 640)
    assert further.train[0][160:] == [parts.unlabelled[i] for i in found.rows]
    assert [more.train[160 + i].tolist() for i in range(480)] == [
        stores.unlabelled[int(i)].tolist() for i in found.rows
    ]
    assert more.lm is stores.lm
    seen = [[stage.epochs * len(t.train[0]) for stage in stages_of(t, Recipe())] for t in (parts, further)]
    assert seen[0] == pytest.approx(seen[1])  # the work is that of the labelled texts
    assert [stage.epochs for stage in stages_of(further, Recipe(epochs=3))][-1] == 3


def test_classes_keep_their_shares_and_one_that_is_never_sure_leaves_nothing():
    parts, wide = plain(200, unlabelled=700)
    ngrams, _, _ = learn_ngrams(parts, wide, "word", Console(quiet=True), Clock(None))
    rare = np.flatnonzero(np.arange(700) % 2 == 0)[:40]  # of one class few are to be had
    rows = np.sort(np.append(rare, np.flatnonzero(np.arange(700) % 2)))
    fewer = replace(parts, unlabelled=[parts.unlabelled[i] for i in rows])
    found = pseudo_label(ngrams, Proof(200, 200), fewer, wide.unlabelled.take(rows), Console(quiet=True), Clock(None))
    assert found is not None
    assert np.bincount(found.classes).tolist() == [40, 40]
    one = np.flatnonzero(np.arange(700) % 2)
    alike = replace(parts, unlabelled=[parts.unlabelled[i] for i in one])
    out, others = io.StringIO(), wide.unlabelled.take(one)
    assert pseudo_label(ngrams, Proof(200, 200), alike, others, Console(file=out, width=200), Clock(None)) is None
    assert "of some class the n-grams are never sure" in out.getvalue()
    assert pseudo_label(ngrams, Proof(), alike, others, Console(file=out, width=200), Clock(None)) is None
    assert "nothing proves what the n-grams are sure of" in out.getvalue()


def test_texts_that_are_labelled_already_get_no_other_label():
    parts, wide = plain(200, unlabelled=100)
    ngrams, proof, _ = learn_ngrams(parts, wide, "word", Console(quiet=True), Clock(None))
    known = replace(parts, valid=(parts.unlabelled[:50], ["good"] * 50), train=(parts.unlabelled[50:], parts.train[1]))
    assert pseudo_label(ngrams, proof, known, wide.unlabelled, Console(quiet=True), Clock(None)) is None


def test_a_run_that_goes_on_has_the_same_pseudo_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    parts, wide = plain(200, unlabelled=100)
    quiet = Console(quiet=True)
    ngrams, proof, _ = learn_ngrams(parts, wide, "word", quiet, Clock(None))
    further = replace(parts, unlabelled=[*parts.unlabelled, "lovely"])
    more = Reading.of_texts(further.unlabelled, Tokenizer(), wide.lm.vocab)

    def found(texts: Texts, unlabelled: Reading, *, resume: bool) -> list[int]:
        clock = Clock(None, RunFiles(tmp_path / "m", {}, quiet, resume=resume, overwrite=not resume))
        pseudo = pseudo_label(ngrams, proof, texts, unlabelled, quiet, clock)
        return [] if pseudo is None else [*pseudo.rows.tolist(), *pseudo.classes.tolist()]

    before = found(parts, wide.unlabelled, resume=False)
    assert before
    with monkeypatch.context() as patch:  # as if another machine's sums fell on the other side of the edge
        patch.setattr(ngram_stage, "sure_answers", lambda outputs: (np.arange(2), np.arange(2)))
        assert found(parts, wide.unlabelled, resume=True) == before
        proof = Proof()
        assert found(parts, wide.unlabelled, resume=True) == before
        proof = Proof(20, 20)
        assert len(found(further, more, resume=True)) == 4  # of other texts
        assert len(found(parts, wide.unlabelled, resume=False)) == 4


def test_an_answer_is_sure_from_a_probability_on():
    edge = float(np.log(SURE / (1 - SURE)))
    outputs = np.array([[0, edge + 0.01], [0, edge - 0.01], [9, 0], [0, 0]], np.float32)
    sure, classes = sure_answers(outputs)
    assert (sure.tolist(), classes.tolist()) == ([0, 2], [1, 0])


def test_the_network_learns_from_what_the_ngrams_are_sure_of_in_both_directions(tiny_models, tmp_path: Path):
    parts, _ = plain(200, unlabelled=100)
    out = io.StringIO()
    recipe = Recipe(lm_epochs=0.05, epochs=1, bidirectional=True)
    trained = train_text_classifier(parts, recipe, Console(file=out, width=200))
    assert trained.classifier.backward is not None
    assert (
        trained.classifier.metrics["pseudo_labelled"] == trained.classifier.backward.metrics["pseudo_labelled"] == 100
    )
    assert out.getvalue().count("260 texts to learn from, 40 to check with") == 2
    _, metrics = train_and_measure(
        parts, replace(recipe, bidirectional=False), Console(quiet=True), Bases(), clock=Clock(None)
    )
    save(trained, metrics, tmp_path / "m", overwrite=False)
    card, proof = (tmp_path / "m" / "README.md").read_text(encoding="utf-8"), metrics["ngrams_sure"]
    assert "The network also learned from 100 of the further texts" in card
    assert f"right on {proof['right']} of {proof['n']}" in card
    for settings in ({"pseudo_labels": False}, {"ngrams": False}):
        alone = train_text_classifier(parts, replace(recipe, bidirectional=False, **settings), Console(quiet=True))
        assert alone.classifier.metrics["pseudo_labelled"] == 0


def test_several_labels_and_values_are_never_believed():
    for task_name, labels in (("multi_label", [["a"], ["b"], ["a", "b"], []] * 15), ("regression", [1.0, 2.0] * 30)):
        texts, _ = make_reviews(90)
        data = Examples(texts=texts, labels=[*labels, *[None] * 30], source="invented")
        parts = prepare_texts(data, None, (), valid_pct=0.2, seed=0, task=task_name)
        wide = Wide.build(
            *(parts.train[0], parts.valid[0], parts.unlabelled, Tokenizer()),
            min_freq=1,
            max_vocab=1_000,
            console=Console(quiet=True),
        )
        _, proof, second = learn_ngrams(parts, wide, "word", Console(quiet=True), Clock(None))
        assert proof == Proof()
        assert (second is None) == (task_name == "multi_label")  # whose thresholds are those of the first one
