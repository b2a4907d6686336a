"""What n-grams texts hold, and what else of texts an n-gram model learns from.

N documents, K n-grams, J words that are none of them, P parts of words, D directions, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ulmfit.inference.ngrams import NGrams, keys_by_document, keys_with, lengths_of, longest_that_fits, skipped_ids
from ulmfit.inference.reading import Ints, Reading, Strange
from ulmfit.inference.spelling import Floats
from ulmfit.text.rules import SPECIAL_TOKENS
from ulmfit.text.vocab import Vocab
from ulmfit.training.directions import MOST_NGRAMS, Directions, frequent
from ulmfit.training.linear import Choice
from ulmfit.training.word_parts import WordParts
from ulmfit.training.word_vectors import WordVectors

SUBWORDS = ("subword", "hf")  # kinds of tokenizers that cut words into pieces
_LONGEST = {"word": 2, "char": 5} | dict.fromkeys(SUBWORDS, 3)
_MANY_TOKENS = 500_000  # of more, n-grams count that stand in two texts; of fewer, all
_MAX_WEIGHTS = 20_000_000  # K times C: 80 MB in the model folder
_MAX_PART_WEIGHTS = 5_000_000  # P times C


def without_weights(
    reading: Reading,
    corpus: Reading,
    kind: str,
    n_classes: int,
    *,
    with_unknown: bool = True,
    counted: bool = False,
    of_further: float = 1.0,
) -> NGrams:
    """A model of the n-grams that labelled documents hold, and of others that several texts of the corpus hold.

    If there are too many, single tokens and then the chains of the most texts are taken. Unknown words, which are all
    one to a vocabulary, are among them unless something else tells of these words.

    Args:
        reading: the labelled documents.
        corpus: these and others.
        kind: of the tokenizer.
        n_classes: C.
        with_unknown: whether unknown words count.
        counted: whether it matters how often a text holds an n-gram.
        of_further: what a chain of tokens counts beside a single one that is as rare, for each token but its first.
    """
    n_words, skipped = len(reading.vocab), skipped_ids(reading.vocab)
    longest = longest_that_fits(n_words, _LONGEST.get(kind, 2))
    keys, counts = _counted(corpus, n_words, longest, skipped)
    there, times = (keys, counts) if corpus is reading else _counted(reading, n_words, longest, skipped)
    learned = np.isin(keys, there[times >= (1 if reading.n_tokens <= _MANY_TOKENS else 2)])
    if corpus is not reading:
        learned[frequent(counts, MOST_NGRAMS)] = True
    if not with_unknown:
        learned &= ~keys_with(reading.vocab.unk_idx, keys, n_words)
    keys, counts = keys[learned], counts[learned]
    most = max(1, _MAX_WEIGHTS // n_classes)
    if len(keys) > most:
        kept = np.sort(np.lexsort((-counts, keys > n_words))[:most])
        keys, counts = keys[kept], counts[kept]
    worth = of_further ** (lengths_of(keys, n_words) - 1)
    return NGrams(
        longest=longest,
        skipped=skipped,
        keys=keys,
        scale=(_rarity(counts, len(corpus)) * worth).astype(np.float32),
        weights=np.zeros((len(keys), n_classes), np.float32),
        bias=np.zeros(n_classes, np.float32),
        shares=np.array([0.5, 0.5]),
        counted=counted,
    )


def with_words(model: NGrams, ids: Ints, n: int) -> NGrams:
    """The same with words that no text has, by their ids (rising), each as rare as one of a single text of n.

    If there is not room for all, the first ones are taken.
    """
    n_classes = model.weights.shape[1]
    room = max(0, _MAX_WEIGHTS // n_classes - len(model.keys))
    further = np.setdiff1d(ids + 1, model.keys)[:room]
    place = np.searchsorted(model.keys, further)
    return replace(
        model,
        keys=np.insert(model.keys, place, further),
        scale=np.insert(model.scale, place, _rarity(1, n)),
        weights=np.zeros((len(model.keys) + len(further), n_classes), np.float32),
    )


@dataclass(frozen=True)
class Features:
    """What is learned from.

    Args:
        features: of the labelled documents: of n-grams (N, K), and of the parts of words (N, P), sparse.
        parts: of the words; none, if words are not divided.
        directions: in which all documents vary, none if places are left out; and those of a language model's words.
        rarest: what the presence of a word that is no n-gram counts.
    """

    features: list[Any]
    parts: WordParts
    directions: list[Directions]
    rarest: float

    @classmethod
    def of(
        cls,
        reading: Reading,
        corpus: Reading,
        model: NGrams,
        vectors: WordVectors | None,
        *,
        by_letters: bool,
        by_places: bool,
    ) -> Features:
        """The features of labelled documents, and what they and the rest of a corpus have in common."""
        rarest = float(_rarity(1, len(corpus)))
        strange, others, words = None, None, _words_of(model, reading.vocab)
        if by_letters:
            known = model.known(len(reading.vocab))
            strange, others = reading.strange(known), corpus.strange(known)
        matrix, of_strange = _columns_of(reading, model, strange, rarest)
        of_corpus = _columns_of(corpus, model, others, rarest)[0] if by_places else matrix
        directions = [Directions.of_texts(of_corpus if by_places else matrix[:0])]
        if vectors is not None:
            directions.append(vectors.directions(words, of_corpus))
        parts = WordParts.of([""] * len(words), 0)
        if strange is not None and others is not None:
            lexicon = {*reading.vocab.itos, *others.words}.difference(SPECIAL_TOKENS)
            silent = {words[i] for i in np.flatnonzero(of_corpus.getnnz(0) == 0).tolist()}
            parts = WordParts.of([*words, *strange.words], _MAX_PART_WEIGHTS // model.weights.shape[1], lexicon, silent)
        return cls([matrix, parts.of_texts(matrix, of_strange)], parts, directions, rarest)

    def places(self) -> list[Floats]:
        """Where the labelled documents stand along each kind of directions (N, D)."""
        return [kind.places(self.features[0]) for kind in self.directions]

    def add_to(self, weights: NDArray[np.float64], of_places: NDArray[np.float64], choice: Choice) -> None:
        """Make weights (D, C) of places, which counted as chosen, part of those of n-grams (K, C), in place."""
        begin = 0
        for kind, share in zip(self.directions, choice.shares, strict=True):
            end = begin + kind.matrix.shape[1]
            kind.add_to(weights, of_places[begin:end] * share)
            begin = end


def _words_of(model: NGrams, vocab: Vocab) -> list[str]:
    """The n-grams (K) that are one word as they are written, '' for the others."""
    single = model.keys[model.keys <= len(vocab)]  # the first, as keys rise
    words = ["" if (word := vocab[key - 1]) in SPECIAL_TOKENS else word for key in single.tolist()]
    return words + [""] * (len(model.keys) - len(words))


def _rarity(counts: Any, n: int) -> Any:
    """What the presence of n-grams counts (idf) that so many of n texts hold."""
    return np.log((1 + n) / (1 + counts)) + 1


def _counted(reading: Reading, n_words: int, longest: int, skipped: Ints) -> tuple[Ints, Ints]:
    """The n-grams of documents as rising keys, and how many documents hold each."""
    found = [
        np.unique(keys_by_document(piece, n_words, longest, skipped)[1], return_counts=True)
        for piece in reading.pieces()
    ]
    keys, place = np.unique(np.concatenate([k for k, _ in found]), return_inverse=True)
    return keys, np.bincount(place, np.concatenate([c for _, c in found]), len(keys)).astype(np.int64)


def _columns_of(
    reading: Reading, model: NGrams, strange: Strange | None = None, strange_scale: float = 0.0
) -> tuple[Any, Any]:
    """The features of all documents: of n-grams (N, K) and of strange words (N, J)."""
    from scipy.sparse import vstack

    of_ngrams, of_strange = zip(*model.features(reading, strange, strange_scale), strict=True)
    return vstack(of_ngrams, format="csr"), vstack(of_strange, format="csr")
