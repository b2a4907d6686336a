"""The linear models on n-grams and places, and how much the places count."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from ulmfit.training.linear import choose_share, fit_linear

TASKS = ["single_label", "multi_label", "regression"]


def example(n: int, seed: int = 0) -> tuple[csr_matrix, np.ndarray, np.ndarray]:
    """Words that tell nothing, and a place that tells of two classes which one it is."""
    rng = np.random.default_rng(seed)
    classes = rng.permutation(np.arange(n) % 2)
    words = csr_matrix(rng.random((n, 30)) < 0.2, dtype=np.float32)
    return words, (2.0 * classes[:, None] - 1).astype(np.float32), classes


def of_task(task: str, classes: np.ndarray) -> tuple[np.ndarray, int]:
    if task == "multi_label":
        return np.stack([classes, 1 - classes], 1), 2
    return (classes * 3.0, 1) if task == "regression" else (classes, 2)


@pytest.mark.parametrize("task", TASKS)
def test_places_that_tell_are_listened_to(task: str):
    words, places, classes = example(80)
    target, n_classes = of_task(task, classes)
    assert choose_share([words], places, target, task, n_classes, 1.0).share > 0
    weights, of_places, bias = fit_linear([words], places, target, task, n_classes, 1.0)
    found = words @ weights + places @ of_places + bias
    if task == "regression":
        np.testing.assert_allclose(found[:, 0], target, atol=0.3)
    elif task == "single_label":
        assert (found.argmax(1) == target).all()
    else:
        assert ((found > 0) == target).all()


@pytest.mark.parametrize("task", TASKS)
def test_places_that_tell_nothing_are_not(task: str):
    _, places, classes = example(200)
    rng = np.random.default_rng(1)
    words = csr_matrix(np.eye(2, dtype=np.float32)[classes])
    noise = rng.normal(size=(200, 150)).astype(np.float32) * 3
    target, n_classes = of_task(task, classes)
    if task != "single_label":  # there an error more decides, and words alone make none
        assert choose_share([words], noise, target, task, n_classes, 1.0).share == 0
    weights, of_places, bias = fit_linear([words], places * 0, target, task, n_classes, 1.0)
    assert np.allclose(of_places, 0)
    assert np.isfinite(weights).all()
    assert np.isfinite(bias).all()


def test_of_very_few_texts_all_counts_and_of_many_half():
    words, places, classes = example(12)
    assert choose_share([words], places, classes, "single_label", 2, 1.0).share == 1
    words, places, classes = example(5_001)
    assert choose_share([words], places, classes, "single_label", 2, 1.0).share == 0.5


@pytest.mark.parametrize("rare", [7, 20])
def test_a_class_with_one_example_may_be_held_out(rare: int):
    """Of three classes one has no example and one a single one: without it there is nothing to tell apart."""
    words, places, classes = example(40)
    target = np.where(np.arange(40) == rare, 2, 0)
    assert choose_share([words], places, target, "single_label", 3, 1.0).share in (0, 0.5, 1)
    weights, _, bias = fit_linear([words], places, classes * 0, "single_label", 3, 1.0)
    assert not weights.any()
    assert bias.argmax() == 0


def test_ngrams_that_no_document_holds_weigh_nothing():
    words, places, classes = example(40)
    wider = csr_matrix((words.data, words.indices * 2, words.indptr), shape=(40, 60))
    weights, of_places, bias = fit_linear([words], places, classes * 1.5, "regression", 1, 1.0)
    spread, also_places, also_bias = fit_linear([wider], places, classes * 1.5, "regression", 1, 1.0)
    for task in TASKS:
        target, n_classes = of_task(task, classes)
        assert not fit_linear([wider], places, target, task, n_classes, 1.0)[0][1::2].any()
    np.testing.assert_array_equal(spread[::2], weights)
    assert not spread[1::2].any()
    np.testing.assert_array_equal(also_places, of_places)
    np.testing.assert_array_equal(also_bias, bias)
