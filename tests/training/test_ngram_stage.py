from __future__ import annotations

import io
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from invented import make_reviews
from rich.console import Console

from ulmfit.data.sources import Examples
from ulmfit.inference.evaluate import evaluate
from ulmfit.inference.ngrams import NGrams
from ulmfit.inference.predictor import Predictor
from ulmfit.text import Tokenizer
from ulmfit.text.store import TokenStore
from ulmfit.training import ngram_stage
from ulmfit.training.bases import Bases
from ulmfit.training.clock import Clock
from ulmfit.training.job import save, train_and_measure, weighed
from ulmfit.training.ngram_stage import learn_ngrams
from ulmfit.training.ngrams import fit_ngrams
from ulmfit.training.parts import Stores, Texts, prepare_texts
from ulmfit.training.recipes import Recipe, train_text_classifier


def task(*, given: bool) -> tuple[Texts, Stores]:
    texts, labels = make_reviews(60)
    data = Examples(texts=texts[:50], labels=labels[:50], source="invented")
    held_out = Examples(texts=texts[50:], labels=labels[50:], source="held out") if given else None
    parts = prepare_texts(data, held_out, (), valid_pct=0.2, seed=0)
    console = Console(quiet=True)
    return parts, Stores.build(
        parts.train[0], parts.valid[0], [], Tokenizer(), min_freq=1, max_vocab=1_000, console=console
    )


def right(ngrams: NGrams, store: TokenStore, parts: Texts) -> float:
    """How sure the n-grams are of the right classes of the validation part."""
    target = parts.target.encode(parts.valid[1], "valid")
    return float(ngrams.outputs(store)[np.arange(len(target)), target].mean())


def test_what_was_split_off_is_learned_from_for_the_finished_model_alone():
    out = io.StringIO()
    parts, stores = task(given=False)
    first, second = learn_ngrams(parts, stores, "word", Console(file=out, width=200), Clock(None))
    assert second is not None
    assert "of 40 texts" in out.getvalue()
    assert "from the 10 texts held out, once it is measured" in out.getvalue()
    assert right(second, stores.valid, parts) > right(first, stores.valid, parts)
    whole = stores.train.joined(stores.valid)
    assert len(second.keys) > len(first.keys)  # those of words that only the texts held out have
    assert whole.n_tokens == stores.train.n_tokens + stores.valid.n_tokens


def test_a_validation_part_that_was_given_is_never_learned_from():
    parts, stores = task(given=True)
    assert not parts.split_off
    assert learn_ngrams(parts, stores, "word", Console(quiet=True), Clock(None))[1] is None


def test_nothing_is_learned_twice_if_the_time_is_short(monkeypatch: pytest.MonkeyPatch):
    def slow(*args: Any, **settings: Any) -> NGrams:
        time.sleep(0.6)
        return fit_ngrams(*args, **settings)

    monkeypatch.setattr(ngram_stage, "fit_ngrams", slow)
    parts, stores = task(given=False)
    for budget, twice in ((600, True), (2, False)):  # a second is for n-grams
        out = io.StringIO()
        _, second = learn_ngrams(parts, stores, "word", Console(file=out, width=200), Clock(budget))
        assert (second is not None) == twice
        assert ("The time is short" in out.getvalue()) != twice


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
    held_out = replace(parts, split_off=False)
    assert train_and_measure(held_out, recipe, quiet, Bases(), clock=Clock(None))[1]["ngrams_know_valid"] is False
    alone = replace(recipe, ngrams=False)
    assert "ngrams_know_valid" not in train_and_measure(parts, alone, quiet, Bases(), clock=Clock(None))[1]
