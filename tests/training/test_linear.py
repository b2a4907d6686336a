"""How much places count is chosen by what they are worth on documents held out."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from ulmfit.inference.spelling import Floats
from ulmfit.training.linear import choose_shares, fit_linear

N = 60


def problem(n: int = N, seed: int = 0) -> tuple[list[csr_matrix], np.ndarray, Floats, Floats]:
    """Features that say nothing, classes, places that tell the class, and places that mislead the louder they are."""
    rng = np.random.default_rng(seed)
    features = csr_matrix((rng.random((n, 8)) < 0.4) / 2, dtype=np.float32)
    target = np.arange(n) % 2
    telling = (2.0 * target[:, None] - 1 + 0.1 * rng.normal(size=(n, 1))).astype(np.float32)
    noise = (20 * rng.normal(size=(n, 40))).astype(np.float32)
    return [features, features[:, :0]], target, telling, noise


def test_places_that_tell_count_and_others_do_not():
    features, target, telling, noise = problem()
    choice = choose_shares(features, [telling, noise], target, "single_label", 2, 1.0)
    assert choice.shares[0] > 0
    assert choice.shares[1] == 0
    assert (choice.outputs.argmax(1) == target[choice.rows]).all()


def test_the_answers_are_those_of_models_that_did_not_know_the_documents():
    own = csr_matrix(np.eye(N, dtype=np.float32))  # a feature for each, so that who knows a document knows its class
    features, target = [own, own[:, :0]], np.random.default_rng(0).integers(0, 2, N)
    places = np.zeros((N, 1), np.float32)
    weights, _, bias = fit_linear(features, places, target, "single_label", 2, 1e6)
    assert ((own @ weights + bias).argmax(1) == target).all()
    choice = choose_shares(features, [places], target, "single_label", 2, 1e6)
    assert choice.rows.tolist() == [*range(N)]
    assert (choice.outputs.argmax(1) == target).mean() < 0.8


def test_a_kind_without_places_changes_nothing():
    features, target, telling, _ = problem()
    empty = np.zeros((N, 0), np.float32)
    alone = choose_shares(features, [telling], target, "single_label", 2, 1.0)
    beside = choose_shares(features, [telling, empty], target, "single_label", 2, 1.0)
    assert beside.shares[0] == alone.shares[0]
    np.testing.assert_array_equal(beside.outputs, alone.outputs)
    first = choose_shares(features, [empty, telling], target, "single_label", 2, 1.0)
    np.testing.assert_allclose(first.outputs, alone.outputs, atol=1e-6)


def test_few_documents_count_fully_and_of_many_half_and_none_is_held_out():
    features, target, telling, noise = problem(19)
    few = choose_shares(features, [telling, noise], target, "single_label", 2, 1.0)
    assert few.shares == (1.0, 1.0)
    assert not len(few.rows)
    features, target, telling, noise = problem(60)
    many = choose_shares(features, [telling, noise], target, "single_label", 200, 1.0)
    assert many.shares == (0.5, 0.5)
    assert not len(many.rows)


def test_up_to_a_thousand_documents_are_held_out_in_turn_and_of_more_a_fifth():
    features, target, telling, _ = problem(1_001)
    assert len(choose_shares(features, [telling], target, "single_label", 2, 1.0).rows) == 201
