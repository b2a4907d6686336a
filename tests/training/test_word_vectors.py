"""N-grams learn from a language model which words are of a kind."""

from __future__ import annotations

from io import StringIO
from itertools import combinations

import numpy as np
import pytest
import torch
from bundles import as_read
from rich.console import Console
from scipy.sparse import csr_matrix

import ulmfit.training.ngrams as learning
from ulmfit.inference.bundle import LANGUAGE_MODEL, Bundle
from ulmfit.inference.ngrams import NGrams
from ulmfit.inference.reading import Reading
from ulmfit.models.config import size_config
from ulmfit.text import Tokenizer, TokenStore
from ulmfit.text.vocab import FILLER, Vocab, make_vocab
from ulmfit.training import ngram_features
from ulmfit.training.ngrams import fit_ngrams
from ulmfit.training.word_vectors import WordVectors

QUIET = Console(quiet=True)
SEA = ["ship", "sail", "harbour", "captain", "wave", "anchor", "deck", "tide"]
KITCHEN = ["bread", "oven", "flour", "butter", "spoon", "dough", "sugar", "recipe"]
TARGETS = {
    "single_label": np.repeat([0, 1], 6),
    "multi_label": np.repeat([[1, 0], [0, 1]], 6, axis=0),
    "regression": np.repeat([-1.0, 1.0], 6),
}


def texts(begin: int, end: int) -> list[str]:
    """All pairs of some words of the sea, and then as many of the kitchen."""
    return [" ".join(pair) for words in (SEA, KITCHEN) for pair in combinations(words[begin:end], 2)]


def base_of(vocab: Vocab, vectors: np.ndarray) -> Bundle:
    """A language model of which only the embedding matters."""
    weights = {"encoder.embedding.weight": torch.tensor(vectors, dtype=torch.float32)}
    return Bundle(kind=LANGUAGE_MODEL, config=size_config("small"), weights=weights, tokenizer=Tokenizer(), vocab=vocab)


@pytest.fixture(scope="module")
def vocab() -> Vocab:
    """That of the base, and of the model that starts from it."""
    return make_vocab(dict.fromkeys(SEA + KITCHEN, 1), 1, 100)


@pytest.fixture(scope="module")
def vectors(vocab: Vocab) -> WordVectors:
    """Words of the sea lie on one side, those of the kitchen on the other, in some noise; and all lie far off."""
    rows = np.random.default_rng(0).normal(scale=0.3, size=(len(vocab), 6)) + 5
    rows[[vocab.stoi[word] for word in SEA], 0] += 2
    rows[[vocab.stoi[word] for word in KITCHEN], 0] -= 2
    return WordVectors.of(base_of(vocab, rows))


def read(texts: list[str], vocab: Vocab) -> Reading:
    return as_read(TokenStore.build(texts, Tokenizer(), vocab=vocab))


def test_the_vectors_have_length_1_and_no_common_part(vectors: WordVectors, vocab: Vocab):
    words = [vocab.stoi[word] for word in SEA + KITCHEN]
    np.testing.assert_allclose(np.linalg.norm(vectors.vectors[words], axis=1), 1, atol=1e-6)
    assert abs(vectors.vectors[words].mean(0)).max() < 0.2
    others = np.setdiff1d(np.arange(len(vocab)), words)
    assert not vectors.vectors[others].any()  # marks are no words


def test_entries_that_fill_up_and_words_without_a_vector_have_length_0():
    vocab = Vocab(["xxunk", "xxpad", "one", "two", "three", f"{FILLER}0"])
    vectors = WordVectors.of(base_of(vocab, np.array([[9, 9], [9, 9], [1, 0], [0, 0], [-1, 0], [7, 7]]))).vectors
    np.testing.assert_array_equal(vectors, [[0, 0], [0, 0], [1, 0], [0, 0], [-1, 0], [0, 0]])


@pytest.mark.parametrize("task", TARGETS)
def test_words_that_no_text_has_are_known_by_their_vectors(vectors: WordVectors, vocab: Vocab, task: str):
    learned, check = read(texts(0, 4), vocab), read(texts(4, 8), vocab)
    n_classes = 1 if task == "regression" else 2

    def right(**further: WordVectors) -> float:
        found = fit_ngrams(learned, TARGETS[task], task, n_classes, "word", QUIET, **further).outputs(check)
        difference = found[:, 0] if task == "regression" else found[:, 1] - found[:, 0]
        return float(((difference > 0) == (np.arange(12) >= 6)).mean())

    assert right(vectors=vectors) == 1.0
    assert right() < 0.9  # by nothing but their letters


def test_words_that_no_text_has_count_as_those_that_one_text_has(vectors: WordVectors, vocab: Vocab):
    learned = read(texts(0, 4), vocab)
    model = fit_ngrams(learned, TARGETS["single_label"], "single_label", 2, "word", QUIET, vectors=vectors)
    column = {word: int(np.searchsorted(model.keys, vocab.stoi[word] + 1)) for word in ("ship", "tide")}
    assert all(model.keys[i] == vocab.stoi[word] + 1 for word, i in column.items())
    assert model.scale[column["tide"]] == pytest.approx(np.log(13 / 2) + 1)
    assert model.scale[column["ship"]] == pytest.approx(np.log(13 / 4) + 1)
    assert np.all(np.diff(model.keys) > 0)


def test_where_there_is_no_room_they_are_left_out(vectors: WordVectors, vocab: Vocab, monkeypatch: pytest.MonkeyPatch):
    learned = read(texts(0, 4), vocab)
    alone = ngram_features.without_weights(learned, learned, "word", 2)
    known = vectors.knows(vocab.itos)
    for room in (0, 3):
        monkeypatch.setattr(ngram_features, "_MAX_WEIGHTS", 2 * (len(alone.keys) + room))
        keys = ngram_features.with_words(ngram_features.without_weights(learned, learned, "word", 2), known, 12).keys
        assert {*alone.keys} <= {*keys}
        assert len(keys) == len(alone.keys) + room


def test_texts_without_a_word_that_the_base_knows_are_learned_as_without_a_base(vectors: WordVectors):
    strange = make_vocab({"alpha": 1, "beta": 1}, 1, 100)
    learned = read(["alpha", "beta"] * 6, strange)

    def fitted(**further: WordVectors) -> NGrams:
        return fit_ngrams(learned, TARGETS["single_label"], "single_label", 2, "word", QUIET, **further)

    with_base, without = fitted(vectors=vectors), fitted()
    np.testing.assert_array_equal(with_base.keys, without.keys)
    np.testing.assert_array_equal(with_base.weights, without.weights)


def test_the_variances_of_places_sum_to_a_quarter(vectors: WordVectors):
    words = [*SEA, "", "nonsense", *KITCHEN]
    rng = np.random.default_rng(1)
    features = csr_matrix((rng.random((50, len(words))) < 0.3) * rng.random((50, len(words))), dtype=np.float32)
    directions = vectors.directions(words, features)
    assert [words[i] for i in directions.columns] == SEA + KITCHEN
    assert directions.places(features).var(0).sum() == pytest.approx(0.25, rel=1e-4)
    same = csr_matrix(np.ones((4, len(words)), np.float32))
    assert vectors.directions(words, same).matrix.shape == (0, 0)  # nothing tells these texts apart


def test_it_is_said_how_many_words_of_the_base_no_text_has(vectors: WordVectors, vocab: Vocab):
    out = StringIO()
    console = Console(file=out, width=200)
    fit_ngrams(read(texts(0, 4), vocab), TARGETS["single_label"], "single_label", 2, "word", console, vectors=vectors)
    assert "; 8 further words of the language model" in out.getvalue()


def test_many_labelled_texts_are_learned_without(vectors: WordVectors, vocab: Vocab, monkeypatch: pytest.MonkeyPatch):
    learned = read(texts(0, 4), vocab)
    monkeypatch.setattr(learning, "_FEW", 5)
    target = TARGETS["single_label"]
    with_base = fit_ngrams(learned, target, "single_label", 2, "word", QUIET, vectors=vectors)
    without = fit_ngrams(learned, target, "single_label", 2, "word", QUIET)
    np.testing.assert_array_equal(with_base.keys, without.keys)
    np.testing.assert_array_equal(with_base.weights, without.weights)
