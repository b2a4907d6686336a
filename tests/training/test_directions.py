"""N-grams learn from texts without labels what words have to do with one another."""

from __future__ import annotations

from io import StringIO

import numpy as np
import pytest
from bundles import as_read
from rich.console import Console
from scipy.sparse import csr_matrix

import ulmfit.training.ngrams as learning
from ulmfit.inference.reading import Reading
from ulmfit.text import Tokenizer, TokenStore
from ulmfit.training.directions import Directions, frequent
from ulmfit.training.ngrams import fit_ngrams

QUIET = Console(quiet=True)
SEA = ["ship", "sail", "harbour", "captain", "wave", "anchor", "deck", "tide"]
KITCHEN = ["bread", "oven", "flour", "butter", "spoon", "dough", "sugar", "recipe"]


def stories(words: list[str], n: int, seed: int) -> list[str]:
    """Texts of five different words of a subject and two that any text may have."""
    rng = np.random.default_rng(seed)
    common = ["people", "time", "house", "day", "always", "often"]
    return [" ".join([*rng.choice(words, 5, replace=False), *rng.choice(common, 2, replace=False)]) for _ in range(n)]


@pytest.fixture(scope="module")
def stores() -> tuple[Reading, Reading, Reading]:
    """Two labelled texts in two words each, 200 without labels, and 40 to check with that lack the labelled words."""
    texts = stories(SEA, 100, 0) + stories(KITCHEN, 100, 1)
    tokenizer = Tokenizer()
    unlabelled = TokenStore.build(texts, tokenizer, min_freq=1)
    labelled = TokenStore.build(["ship sail", "bread oven"] * 3, tokenizer, vocab=unlabelled.vocab)
    check = stories(SEA[2:], 20, 2) + stories(KITCHEN[2:], 20, 3)
    checked = TokenStore.build(check, tokenizer, vocab=unlabelled.vocab)
    return as_read(labelled), as_read(unlabelled), as_read(checked)


TARGETS = {
    "single_label": np.array([0, 1] * 3),
    "multi_label": np.array([[1, 0], [0, 1]] * 3),
    "regression": np.array([-1.0, 1.0] * 3),
}


@pytest.mark.parametrize("task", TARGETS)
def test_words_without_a_label_are_known_by_their_company(stores, task: str):
    labelled, unlabelled, check = stores
    n_classes = 1 if task == "regression" else 2

    def right(**further: Reading) -> float:
        found = fit_ngrams(labelled, TARGETS[task], task, n_classes, "word", QUIET, **further).outputs(check)
        difference = found[:, 0] if task == "regression" else found[:, 1] - found[:, 0]
        return float(((difference > 0) == (np.arange(40) >= 20)).mean())

    assert right() == 0.5  # nothing in the texts is known
    assert right(unlabelled=unlabelled) > 0.95


def test_three_classes_too(stores):
    labelled, unlabelled, check = stores
    target = np.array([0, 2] * 3)
    found = fit_ngrams(labelled, target, "single_label", 3, "word", QUIET, unlabelled=unlabelled).outputs(check)
    assert (found.argmax(1) == np.repeat([0, 2], 20)).mean() > 0.95


def test_weights_of_places_become_weights_of_ngrams():
    rng = np.random.default_rng(0)
    features = csr_matrix((rng.random((60, 30)) < 0.2) * rng.random((60, 30)), dtype=np.float32)
    latent = Directions.of_texts(features)
    places = latent.places(features)
    assert (places**2).sum(1).mean() == pytest.approx(1, rel=1e-3)
    of_places = rng.normal(size=(places.shape[1], 3))
    weights = np.zeros((30, 3))
    latent.add_to(weights, of_places)
    np.testing.assert_allclose(features @ weights, places @ of_places, atol=1e-4)


def test_directions_are_those_of_the_singular_value_decomposition():
    rng = np.random.default_rng(1)
    features = (rng.random((40, 12)) < 0.5) * rng.random((40, 12))
    latent = Directions.of_texts(csr_matrix(features, dtype=np.float32))
    _, spread, rows = np.linalg.svd(features)
    for i in range(3):  # all but the first, and as long as texts vary along each
        wanted = rows[i + 1] * spread[i + 1]
        found = latent.matrix[:, i] * (wanted @ latent.matrix[:, i]) / (latent.matrix[:, i] ** 2).sum()
        np.testing.assert_allclose(found, wanted, atol=0.05 * np.abs(wanted).max())
    lengths = np.linalg.norm(latent.matrix, axis=0)
    np.testing.assert_allclose(lengths / lengths[0], spread[1 : 1 + len(lengths)] / spread[1], rtol=0.02)


@pytest.mark.parametrize("n", [1, 2])
def test_of_a_text_or_two_there_are_none(n: int):
    latent = Directions.of_texts(csr_matrix(np.eye(n, 5, dtype=np.float32) + 1))
    assert latent.matrix.shape[1] == 0
    assert latent.places(csr_matrix((3, 5), dtype=np.float32)).shape == (3, 0)


def test_texts_that_all_say_the_same_vary_in_nothing():
    latent = Directions.of_texts(csr_matrix(np.ones((9, 4), np.float32) / 2))
    assert latent.matrix.shape[1] == 0


def test_the_most_frequent_are_found_in_order():
    assert frequent(np.array([3, 1, 5, 2, 5]), 3).tolist() == [0, 2, 4]
    assert frequent(np.array([3, 1, 5, 2, 5]), 9).tolist() == [0, 2, 3, 4]


def test_how_many_texts_were_read_is_said_and_bounded(stores, monkeypatch: pytest.MonkeyPatch):
    labelled, unlabelled, _ = stores
    target = TARGETS["single_label"]

    def said() -> str:
        out = StringIO()
        console = Console(file=out, width=200)
        fit_ngrams(labelled, target, "single_label", 2, "word", console, unlabelled=unlabelled)
        return out.getvalue()

    assert "of 6 texts; what they share, of 206" in said()
    monkeypatch.setattr(learning, "_MAX_CORPUS", labelled.n_tokens + unlabelled.n_tokens // 2)
    assert "of 6 texts; what they share, of 106" in said()
    for limit, most in (("_MAX_PLACES", 11), ("_FEW", 5)):
        with monkeypatch.context() as patched:
            patched.setattr(learning, limit, most)
            assert "what they share" not in said()


@pytest.mark.parametrize("task", TARGETS)
def test_labelled_texts_without_a_word_leave_the_bias(stores, task: str):
    _, unlabelled, check = stores
    empty = TokenStore(np.full(6, unlabelled.vocab.stoi["xxbos"], np.uint16), np.arange(7), unlabelled.vocab)
    model = fit_ngrams(
        as_read(empty), TARGETS[task], task, 1 if task == "regression" else 2, "word", QUIET, unlabelled=unlabelled
    )
    np.testing.assert_allclose(model.outputs(check), np.broadcast_to(model.bias, (40, len(model.bias))))
