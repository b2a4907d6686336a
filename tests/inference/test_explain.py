from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from bundles import classifier

from ulmfit.errors import ConfigError, DataError
from ulmfit.inference.bundle import Bundle
from ulmfit.inference.explain import explain
from ulmfit.inference.predictor import Predictor

TEXT = "The parcel came late. Wonderful coffee!"


@pytest.mark.parametrize("backwards", [False, True])
def test_contributions_are_derivatives_of_the_answer(example: Bundle, backwards: bool):
    predictor = Predictor(replace(example, backwards=backwards, bptt=3))  # the gradient must cross the pieces
    found = explain(predictor, TEXT, label="praise")
    assert list(found.tokens) == predictor.tokens(TEXT)
    before = predictor.outputs([TEXT])[0, 2]
    weight = predictor.directions[0][1].encoder.embedding.weight
    ids = predictor.bundle.vocab.numericalize(found.tokens)
    assert len(found.tokens) > 6
    for i, (token, contribution) in enumerate(zip(found.tokens, found.contributions, strict=True)):
        if list(found.tokens).count(token) == 1 and not token.startswith("xxunk"):
            with torch.no_grad():
                kept = weight[ids[i]].clone()
                weight[ids[i]] *= 1.05
                after = predictor.outputs([TEXT])[0, 2]
                weight[ids[i]] = kept
            assert (after - before) / 0.05 == pytest.approx(contribution, abs=3e-3, rel=0.1), token
    assert np.abs(found.contributions).max() > 0


def test_two_directions_are_explained_by_their_mean(example: Bundle):
    other = replace(classifier(seed=1), backwards=True)
    one, two = (np.array(explain(Predictor(b), TEXT, label="praise").contributions) for b in (example, other))
    both = explain(Predictor(replace(example, backward=other)), TEXT, label="praise")
    assert np.abs(one - two).max() > 0.1 * np.abs(one).max()
    assert both.contributions == pytest.approx((one + two) / 2, rel=1e-4, abs=1e-9)


def test_the_likeliest_class_is_explained_and_written_in_three_ways(example: Bundle):
    predictor = Predictor(example)
    found = explain(predictor, "late <b>coffee</b>")
    assert found.label == predictor.predict("late <b>coffee</b>").label
    assert [c for _, c in found.top(2)] == sorted(found.contributions, key=lambda c: -abs(c))[:2]
    assert found.to_text(3).count("\n") == 2
    assert "<b>" not in found.to_html()
    assert "&lt;" in found.to_html()
    said = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert [t["token"] for t in said["tokens"]] == list(found.tokens)


def test_values_can_be_explained(example: Bundle):
    predictor = Predictor(replace(example, task="regression", labels=(), y_range=(0.0, 1.0)))
    assert explain(predictor, TEXT).label == "0"
    assert explain(predictor, TEXT, label="2").to_dict()["prediction"].keys() == {"values"}


def test_what_cannot_be_explained(example: Bundle):
    predictor = Predictor(example)
    with pytest.raises(ConfigError, match="no class 'fraud'; it has billing"):
        explain(predictor, "a", label="fraud")
    with pytest.raises(DataError, match="got list"):
        explain(predictor, ["a"])  # type: ignore[arg-type]
    with pytest.raises(DataError, match="at most 5,000"):
        explain(predictor, "coffee late " * 3000)
