"""Words that are spelt alike teach something about one another."""

from __future__ import annotations

import numpy as np
import pytest
from bundles import as_read
from rich.console import Console
from scipy.sparse import csr_matrix

import ulmfit.training.ngrams as learning
from ulmfit.inference.spelling import parts_of
from ulmfit.text import Tokenizer, TokenStore
from ulmfit.training import ngram_features
from ulmfit.training.ngrams import fit_ngrams
from ulmfit.training.word_parts import WordParts

QUIET = Console(quiet=True)


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        ("", []),
        ("x" * 51, []),
        ("a", ["<a>"]),
        ("ab", ["<ab", "<ab>", "ab>"]),
        ("näh", ["<nä", "<näh", "<näh>", "näh", "näh>", "äh>"]),
        ("你好", ["<你好", "<你好>", "你好>"]),
        ("aaaaaa", ["<aa", "<aaa", "<aaaa", "aa>", "aaa", "aaa>", "aaaa", "aaaa>", "aaaaa"]),
    ],
)
def test_parts_are_the_chains_of_three_to_five_letters(word: str, parts: list[str]):
    assert parts_of(word) == sorted(parts)


def test_each_word_is_as_long_as_the_next_and_rare_parts_count_more():
    words = ["teacher", "teaching", "sailor", "", "sailing", "xyz"]
    matrix = WordParts.of(words, 1_000).matrix.toarray()
    np.testing.assert_allclose(np.linalg.norm(matrix, axis=1), [1, 1, 1, 0, 1, 0], rtol=1e-6)  # xyz shares nothing
    shared = (matrix > 0).astype(int) @ (matrix > 0).T.astype(int)
    assert shared[0, 1] == len(set(parts_of("teacher")) & set(parts_of("teaching")))
    assert shared[0, 2] == 0
    ends = WordParts.of(["aing", "bing", "cing", "aone", "eone"], 1_000).matrix.toarray()
    assert sorted(np.unique(ends[3][ends[3] > 0]).round(6)) == sorted(np.unique(ends[4][ends[4] > 0]).round(6))
    ing, one = ends[0].max() * np.linalg.norm(ends[0]), ends[3].max()
    assert one == pytest.approx(1 / np.sqrt((ends[3] > 0).sum()))
    assert ing > 0


def test_the_most_frequent_parts_are_taken():
    words = ["aing", "bing", "cing", "aone", "eone"]
    few = WordParts.of(words, 3).matrix
    assert few.shape == (5, 3)
    assert few[:3].getnnz() == 9  # those of "ing", that three words have
    assert few[3:].getnnz() == 0
    assert WordParts.of(words, 0).matrix.shape == (5, 0)


def test_a_part_that_a_word_shares_with_one_of_the_language_counts_and_many_are_bounded(monkeypatch):
    alone = WordParts.of(["sailing", "teach"], 1_000)
    assert alone.matrix.nnz == 0
    shared = WordParts.of(["sailing", "teach"], 1_000, ["teacher", "boat"])
    assert shared.matrix.getnnz(1).tolist() == [0, len({*parts_of("teach")} & {*parts_of("teacher")})]
    assert set(shared.parts) == {*parts_of("teach")} & {*parts_of("teacher")}
    monkeypatch.setattr("ulmfit.training.word_parts._MOST_FOUND", 1)
    assert WordParts.of(["teach", "teacher", "teaches"], 1_000).matrix.nnz == 0  # the first alone was divided


def test_words_that_no_text_has_have_parts_but_add_none():
    words, lexicon = ["teach", "teacher", "sailor", "teaches"], ["sailing"]
    told = WordParts.of(["teach", "", "sailor", ""], 1_000, [*lexicon, "teacher", "teaches"])
    parts = WordParts.of(words, 1_000, lexicon, silent={"teacher", "teaches"})
    assert parts.parts == told.parts
    np.testing.assert_array_equal(parts.rarity, told.rarity)
    np.testing.assert_array_equal(parts.matrix[[0, 2]].toarray(), told.matrix[[0, 2]].toarray())
    assert (parts.matrix.getnnz(1) > 0).all()


def test_weights_of_parts_become_weights_of_words():
    rng = np.random.default_rng(0)
    parts = WordParts.of(["teacher", "teaching", "", "sailor", "sailing", "", ""], 1_000)
    features = csr_matrix((rng.random((20, 7)) < 0.5) * rng.random((20, 7)), dtype=np.float32)
    of_texts = parts.of_texts(features)
    assert of_texts.shape[1] > 5
    weights = rng.normal(size=(7 + of_texts.shape[1], 3))
    folded = parts.folded(weights[:7], weights[7:])
    np.testing.assert_allclose(features @ folded, features @ weights[:7] + of_texts @ weights[7:], atol=1e-5)
    np.testing.assert_array_equal(folded[5:], weights[5:7])  # chains of words have no parts


def test_parts_that_all_words_have_tell_nothing():
    np.testing.assert_array_equal(WordParts.of(["cat", "cats"], 1_000).matrix.toarray(), np.zeros((2, 3)))
    store = TokenStore.build(["cat", "cats"] * 4, Tokenizer(), min_freq=1)
    model = fit_ngrams(as_read(store), np.array([0, 1] * 4), "single_label", 2, "word", QUIET)
    assert model.outputs(as_read(store)).argmax(1).tolist() == [0, 1] * 4


def test_without_words_there_are_none():
    parts = WordParts.of(["", "", ""], 1_000)
    assert parts.of_texts(csr_matrix(np.eye(3, dtype=np.float32))).shape == (3, 0)
    np.testing.assert_array_equal(parts.folded(np.ones((3, 2)), np.zeros((0, 2))), np.ones((3, 2)))


TARGETS = {
    "single_label": (np.array([0, 1] * 4), 2),
    "three classes": (np.array([0, 2] * 4), 3),
    "multi_label": (np.array([[1, 0], [0, 1]] * 4), 2),
    "regression": (np.array([-1.0, 1.0] * 4), 1),
}


def in_order(kind: str, task: str) -> float:
    """How many pairs of texts stand in order that consist of words without a label: about teachers, about sailors."""
    labelled = ["teacher teaching", "sailor sailing"] * 4
    check = ["teachers", "teach", "teachable", "sailors", "sail", "sailed"]
    whole = TokenStore.build([*labelled, *check * 2], Tokenizer(), min_freq=1)
    store, unlabelled, held_out = (
        as_read(TokenStore.build(texts, Tokenizer(), vocab=whole.vocab)) for texts in (labelled, check * 2, check)
    )
    target, n_classes = TARGETS[task]
    name = "single_label" if task == "three classes" else task
    outputs = fit_ngrams(store, target, name, n_classes, kind, QUIET, unlabelled=unlabelled).outputs(held_out)
    score = outputs[:, 0] if n_classes == 1 else outputs[:, -1] - outputs[:, 0]
    return float(np.mean(np.sign(score[3:, None] - score[None, :3]).round(3)) / 2 + 0.5)


@pytest.mark.parametrize("task", TARGETS)
def test_words_without_a_label_are_known_by_their_letters(task: str, monkeypatch: pytest.MonkeyPatch):
    assert in_order("word", task) == 1.0
    assert in_order("subword", task) < 0.8  # its tokens are parts already: nothing is known of these words
    monkeypatch.setattr(learning, "_MAX_WORK_OF_PARTS", 1)
    assert in_order("word", task) < 0.8


def test_marks_are_not_words():
    """`xxrep` and `xxwrep` are spelt alike, and mean another thing."""
    texts = ["a xxrep b", "c xxwrep d"]
    store = TokenStore.build(texts, Tokenizer(), min_freq=1)
    model = ngram_features.without_weights(as_read(store), as_read(store), "word", 2)
    assert not WordParts.of(ngram_features._words_of(model, store.vocab), 1_000).matrix.nnz
