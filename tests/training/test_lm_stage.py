"""The language model of the recipe: how much dropout there is, what it is checked on, what time that takes."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from bundles import language_model
from invented import make_reviews
from learners import classifier_learner, lm_learner
from rich.console import Console

from ulmfit.errors import ConfigError
from ulmfit.inference.bundle import save_bundle
from ulmfit.models.dropout import RNNDropout, WeightDrop
from ulmfit.training import finetune as finetune_module
from ulmfit.training.callbacks import Callback
from ulmfit.training.clock import Clock
from ulmfit.training.finetune import finetune
from ulmfit.training.learner import Learner
from ulmfit.training.lm_callbacks import FreshStarts, GrowingDropout
from ulmfit.training.lm_stage import train_language_model
from ulmfit.training.parts import FEW, Stores, Wide
from ulmfit.training.recipe import Recipe

QUIET = Console(quiet=True)


def stores_of(n: int, n_valid: int) -> Stores:
    tokenizer = language_model(make_reviews(4)[0]).tokenizer
    learned, checked = make_reviews(n)[0], make_reviews(n_valid, seed=1)[0]
    wide = Wide.build(learned, checked, [], tokenizer, min_freq=1, max_vocab=200, console=QUIET)
    return wide.narrowed()


def dropouts(learn: Learner) -> list[float]:
    return [m.p for m in learn.model.modules() if isinstance(m, RNNDropout | WeightDrop)]


def test_dropout_is_small_in_the_first_pass_only_and_put_back():
    learn = lm_learner()
    full, seen = dropouts(learn), list[tuple[int, list[float]]]()
    assert any(full)
    note = Callback(after_batch=lambda learn: seen.append((learn.passes, dropouts(learn))))
    learn.fit(2, 1e-3, cbs=[GrowingDropout(0.2), note])
    assert {passes for passes, _ in seen} == {0, 1}
    for passes, now in seen:
        assert now == pytest.approx(full if passes else [0.2 * p for p in full])
    assert dropouts(learn) == full

    def fail(learn: Learner) -> None:
        raise ZeroDivisionError

    other = lm_learner()
    with pytest.raises(ZeroDivisionError):
        other.fit(1, 1e-3, cbs=[GrowingDropout(0.2), Callback(after_batch=fail)])
    assert dropouts(other) == full


def test_rows_begin_anew_now_and_then():
    learn = lm_learner()
    ages: list[float] = []

    def note(learn: Learner) -> None:
        state = learn.model.state
        if state is not None:
            for hidden, cell in state:
                gone = (hidden == 0).all(-1)
                assert torch.equal(gone, (cell == 0).all(-1))  # both tensors of the state, of the same rows
                assert torch.equal(gone, (state[0][0] == 0).all(-1))  # and of all layers
            ages.append(float(gone.float().mean()))

    learn.fit(40, 1e-3, cbs=[FreshStarts(0.25), Callback(before_batch=note)])
    assert 0.15 < np.mean(ages) < 0.35
    for p in (0, 1.5, "a"):
        with pytest.raises(ConfigError, match="p="):
            FreshStarts(p)
    with pytest.raises(ConfigError, match="TextClassifier keeps none"):
        classifier_learner().fit(1, 1e-3, cbs=[FreshStarts()])
    with pytest.raises(ConfigError, match="first=-1"):
        GrowingDropout(-1)


def test_a_base_learns_in_all_layers_from_the_first_step(monkeypatch):
    monkeypatch.setattr("ulmfit.training.lm_stage._LM_MIN_STEPS", 3)
    base, stores = language_model(make_reviews(40)[0]), stores_of(40, 10)
    frozen: list[bool] = []

    def note(learn: Learner, batch: object, train_batch=Learner.train_batch) -> None:
        train_batch(learn, batch)
        frozen.append(not all(p.requires_grad for p in learn.model.parameters()))

    monkeypatch.setattr(Learner, "train_batch", note)
    _, history, report = train_language_model(stores, base.config, Recipe(lm_epochs=1), Clock(None), QUIET, base)
    assert frozen and not any(frozen)
    assert [row["epoch"] for row in history] == [0]
    assert report["perplexity"] == history[0]["perplexity"]


def test_it_is_checked_on_a_sample_where_the_texts_held_out_are_many(monkeypatch):
    monkeypatch.setattr("ulmfit.training.lm_stage._LM_MIN_STEPS", 3)
    base, stores = language_model(make_reviews(40)[0]), stores_of(40, 300)

    def checked(clock: Clock) -> int:
        console = Console(record=True, width=300, file=io.StringIO())
        n: int = train_language_model(stores, base.config, Recipe(lm_epochs=1), clock, console, base)[2]["checked"]
        assert (f"checked on {n} of the 300 texts held out" in console.export_text()) == (n < 300)
        return n

    assert checked(Clock(None)) == 300
    assert checked(Clock(0.05)) == FEW  # in so short a time the least that says something
    monkeypatch.setattr("ulmfit.training.lm_stage._CHECKED", stores.valid.n_tokens // 3)
    assert checked(Clock(None)) == pytest.approx(100, abs=1)


def test_fine_tuning_holds_out_no_more_than_tells_something(tmp_path: Path, monkeypatch):
    texts = make_reviews(100)[0]
    save_bundle(language_model(texts), tmp_path / "base")
    (tmp_path / "a.csv").write_text("\n".join(["text", *texts]), encoding="utf-8")
    monkeypatch.setattr(finetune_module, "_HELD_OUT", 500)
    console = Console(record=True, width=300, file=io.StringIO())
    run = (str(tmp_path / "base"), [tmp_path / "a.csv"])
    found = finetune(*run, tmp_path / "lm", Recipe(lm_epochs=1, valid_pct=0.5), console)
    assert f"{found['checked']} of 50 texts held out are enough" in console.export_text()
    assert 1 < found["checked"] < 10
    monkeypatch.undo()
    assert finetune(*run, tmp_path / "other", Recipe(lm_epochs=1, valid_pct=0.5))["checked"] == 50


def test_what_is_held_out_is_drawn_from_all_of_a_sorted_file(monkeypatch):
    monkeypatch.setattr(finetune_module, "_HELD_OUT", 300)
    texts = ["x" * 10] * 1000
    train, valid = finetune_module._split(texts, Recipe(), QUIET)
    assert (len(train), len(valid)) == (970, 30)
    assert sorted([*train, *valid]) == list(range(1000))
    assert 350 < np.mean(valid) < 650
