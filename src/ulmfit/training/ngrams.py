"""Learning the n-gram model of `ulmfit.inference.ngrams`, and how much to listen to it.

N documents, V vocabulary, C classes, K n-grams.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from ulmfit.data.labelling import REGRESSION, SINGLE_LABEL
from ulmfit.inference.ngrams import NGrams, keys_by_document, keys_with, longest_that_fits, skipped_ids
from ulmfit.inference.reading import Ints, Reading, Strange
from ulmfit.inference.spelling import Floats
from ulmfit.text.rules import SPECIAL_TOKENS
from ulmfit.text.vocab import Vocab
from ulmfit.training.directions import MOST_NGRAMS, Directions, frequent
from ulmfit.training.linear import Choice, Target, choose_shares, fit_linear, without_words
from ulmfit.training.parts import sample
from ulmfit.training.progress import say
from ulmfit.training.word_parts import WordParts
from ulmfit.training.word_vectors import WordVectors

# Chosen on held-out parts of training sets by benchmarks/ngram_strength.py, see docs/training.md.
STRENGTH = 1.0
SURE = 0.95  # the least probability of an answer that other models may learn from
_FEWEST_SURE = 20
_LONGEST = {"word": 2, "subword": 3, "hf": 3, "char": 5}
_MANY_TOKENS = 500_000  # of more, n-grams count that stand in two texts; of fewer, all
_MAX_WEIGHTS = 5_000_000  # K times C: 20 MB in the model folder
_MAX_TOKENS = 10_000_000  # to learn from: the matrix of their n-grams takes some 200 MB
_MAX_WORK = 1_500_000_000  # tokens times classes, some minutes
_MAX_WORK_OF_PARTS = 300_000_000  # of which a text has several times as many as words
_MAX_CORPUS = 5_000_000  # tokens of texts, labelled or not, that directions are learned from
_SECONDS_PER_TOKEN, _SECONDS_PER_CLASS = 4e-6, 5e-7  # of a token, and for each class: one thread, measured
_FEWEST = 200  # texts to learn from, however short the time is
_MOST_BY_PLACES = 5_000  # texts to learn from: more have no need of places (docs/training.md)
_MAX_PLACES = 700_000  # texts times classes that are learned from by their places too, some minutes
_ENOUGH = 1_000  # labelled texts: of fewer a network learns less than an n-gram model does (docs/training.md)
_TEXTS_OF_DOUBT = 4  # for values: so many texts speak for the shares that are expected
_DOUBT = 0.5  # a prior of standard deviation 1 on the logarithm of the shares: few texts prove little


@dataclass(frozen=True)
class Proof:
    """How often sure answers were right, on labelled documents that were held out in turn.

    Args:
        n_sure: answers of one class with a probability of at least `SURE`.
        n_right: the right ones among them.
    """

    n_sure: int = 0
    n_right: int = 0

    @property
    def holds(self) -> bool:
        """Whether sure answers may be believed."""
        return self.n_sure >= _FEWEST_SURE and self.n_right >= SURE * self.n_sure


@dataclass(frozen=True)
class Fitted:
    """What has been learned.

    Args:
        model: the n-grams.
        proof: whether their sure answers may be believed.
        n_learned: labelled documents that they learned from: all, or a sample.
    """

    model: NGrams
    proof: Proof
    n_learned: int


def fit_ngrams(
    reading: Reading, target: Target, task: str, n_classes: int, kind: str, console: Console, **settings: Any
) -> NGrams:
    """Learn from labelled documents; arguments as for `fit_and_prove`."""
    return fit_and_prove(reading, target, task, n_classes, kind, console, **settings).model


def fit_and_prove(
    reading: Reading,
    target: Target,
    task: str,
    n_classes: int,
    kind: str,
    console: Console,
    *,
    unlabelled: Reading | None = None,
    vectors: WordVectors | None = None,
    strength: float = STRENGTH,
    letters: bool = True,
    seconds: float | None = None,
) -> Fitted:
    """Learn from labelled documents, by what is best for each kind of task (docs/training.md).

    The features are the presence of n-grams times their rarity (idf). Beside them stand the parts of words that other
    words have too, those among them that the vocabulary lacks, and, unless labelled documents are many, the documents'
    places along the directions in which all texts vary, labelled or not, and along those of the words of a language
    model: few labels tell more about few directions than about many words. How much either counts is chosen by labelled
    documents held out. Places and parts become part of the weights; what the parts tell is kept for words that
    are not among the n-grams.

    Of more texts than fit into bounded time and memory a sample is taken, and said to be one.

    Args:
        reading: N documents.
        target: class ids (N,), 0 and 1 (N, C), or values (N,).
        task: "single_label", "multi_label" or "regression".
        n_classes: C; 1 for values.
        kind: of the tokenizer: what an n-gram is made of.
        console: where to say how many there are.
        unlabelled: further documents, of the same vocabularies.
        vectors: what a language model knows of words.
        strength: factor on how closely the examples are followed; the inverse of regularization.
        letters: whether words teach something about words that are spelt alike.
        seconds: that it may take, roughly; None for no other limit than its own.

    Source: those of `ulmfit.training.linear`, `ulmfit.training.directions` and `ulmfit.training.word_parts`.
    """
    limit = np.inf if seconds is None else seconds
    reading, target = _sample(reading, target, n_classes, limit, console)
    by_places = len(reading) <= _MOST_BY_PLACES and len(reading) * n_classes <= _MAX_PLACES
    corpus = _joined(reading, unlabelled, n_classes, limit) if by_places and unlabelled is not None else reading
    by_letters = letters and kind == "word" and reading.n_tokens * n_classes <= _MAX_WORK_OF_PARTS
    vectors = vectors if by_places else None
    model = _without_weights(reading, corpus, kind, n_classes, with_unknown=not by_letters)
    n_of_texts = len(model.keys)
    if vectors is not None:
        model = _with_words(model, vectors.knows(reading.vocab.itos), len(corpus))
    seen = _Seen.of(reading, corpus, model, vectors, by_letters=by_letters, by_places=by_places)
    n, places = len(model.keys), seen.places()
    weights, bias, of_texts = np.zeros((n, n_classes)), without_words(target, task, n_classes), False
    proof, spelling = Proof(), None
    if any(some.nnz for some in seen.features):
        choice = choose_shares(seen.features, places, target, task, n_classes, strength)
        of_texts = bool(places[0].shape[1] and choice.shares[0])
        proof = _proof(choice, target, task)
        moved = choice.scaled(places)
        of_features, of_places, bias = fit_linear(seen.features, moved, target, task, n_classes, strength)
        weights = seen.parts.folded(of_features[:n], of_features[n:])
        seen.add_to(weights, of_places, choice)
        spelling = seen.parts.spelling(of_features[n:], seen.rarest) if by_letters else None
    say(
        console,
        f"N-grams: {n_of_texts:,} tokens and chains of up to {model.longest}, of {len(reading):,} texts"
        + (f"; what they share, of {len(corpus):,}" if of_texts else "")
        + (f"; {n - n_of_texts:,} further words of the language model" if n > n_of_texts else ""),
    )
    model = replace(model, weights=weights.astype(np.float32), bias=bias.astype(np.float32), spelling=spelling)
    return Fitted(model, proof, len(reading))


def sure_answers(outputs: Floats | NDArray[np.float64]) -> tuple[Ints, Ints]:
    """Which answers (N, C) are sure, and of which class each of these is; one class for each document."""
    from scipy.special import softmax

    chances = softmax(outputs.astype(np.float64), axis=1)
    sure = np.flatnonzero(chances.max(1) >= SURE)
    return sure, chances[sure].argmax(1)


def _proof(choice: Choice, target: Target, task: str) -> Proof:
    if task != SINGLE_LABEL or not len(choice.rows):
        return Proof()
    sure, classes = sure_answers(choice.outputs)
    return Proof(len(sure), int((classes == target[choice.rows][sure]).sum()))


def fit_shares(network: Floats, ngrams: Floats, target: Target, task: str, n_learned: int) -> NDArray[np.float64]:
    """The factors of both halves (2,), above 0, that make held-out answers likeliest; of values they sum to 1.

    Until the answers prove otherwise, both are believed alike, the network less the fewer texts it has learned from.

    Args:
        network: (N, C).
        ngrams: (N, C).
        target: class ids (N,), 0 and 1 (N, C), or values (N,) or (N, 1).
        task: "single_label", "multi_label" or "regression".
        n_learned: labelled texts that both have learned from.
    """
    belief = min(1.0, max(1, n_learned) / _ENOUGH)  # in the network, as a share of that in the n-grams
    if task == REGRESSION:
        expected = 1 / (1 + belief)
        apart, missing = (ngrams - network).astype(np.float64), target.reshape(network.shape) - network
        worth = _TEXTS_OF_DOUBT * float((apart**2).mean())  # what a handful of texts would add to the squares
        if not worth:
            return np.array([1 - expected, expected])
        share = float(((apart * missing).sum() + worth * expected) / ((apart**2).sum() + worth))
        return np.array([1 - min(1.0, max(0.0, share)), min(1.0, max(0.0, share))])

    from scipy.optimize import minimize
    from scipy.special import log_softmax

    def loss(logs: NDArray[np.float64]) -> float:
        joined = 0.5 * (np.exp(logs[0]) * network + np.exp(logs[1]) * ngrams).astype(np.float64)
        if task == SINGLE_LABEL:
            unlikely = -log_softmax(joined, axis=1)[np.arange(len(target)), target].sum()
        else:
            unlikely = (np.logaddexp(0, joined) - target * joined).sum() / joined.shape[1]
        return float(unlikely + _DOUBT * ((logs - expected_logs) ** 2).sum()) / len(target)

    expected_logs = np.array([np.log(belief), 0.0])
    found = minimize(loss, expected_logs, method="L-BFGS-B", bounds=[(np.log(belief) - 5.0, 3.0), (-5.0, 3.0)])
    shares: NDArray[np.float64] = 0.5 * np.exp(found.x)
    return shares


@dataclass(frozen=True)
class _Seen:
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
    ) -> _Seen:
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
            parts = WordParts.of([*words, *strange.words], _MAX_WEIGHTS // model.weights.shape[1], lexicon, silent)
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


def _sample(
    reading: Reading, target: Target, n_classes: int, seconds: float, console: Console
) -> tuple[Reading, Target]:
    """As many documents as may be learned from, drawn at random."""
    in_time = seconds / (_SECONDS_PER_TOKEN + _SECONDS_PER_CLASS * n_classes)
    fewest = _FEWEST * reading.n_tokens / len(reading)
    most = min(_MAX_TOKENS, _MAX_WORK // n_classes, max(fewest, in_time))
    if reading.n_tokens <= most:
        return reading, target
    n = max(2, round(len(reading) * most / reading.n_tokens))
    rows = sample(len(reading), n)
    say(console, f"The n-grams learn from a sample of {n:,} of the {len(reading):,} texts, drawn at random")
    return reading.take(rows), target[rows]


def _joined(reading: Reading, unlabelled: Reading, n_classes: int, seconds: float) -> Reading:
    """Documents and as many of others as may be learned from, drawn at random."""
    left = seconds - reading.n_tokens * (_SECONDS_PER_TOKEN + _SECONDS_PER_CLASS * n_classes)
    most = max(0, int(min(_MAX_CORPUS - reading.n_tokens, left / _SECONDS_PER_TOKEN)))
    if unlabelled.n_tokens > most:
        n = max(min(1, most), int(len(unlabelled) * most / unlabelled.n_tokens))
        unlabelled = unlabelled.take(sample(len(unlabelled), n))
    return reading.joined(unlabelled)


def _without_weights(
    reading: Reading, corpus: Reading, kind: str, n_classes: int, *, with_unknown: bool = True
) -> NGrams:
    """A model of the n-grams that labelled documents hold, and of others that several texts of the corpus hold.

    If there are too many, those of the most texts are taken. Unknown words, which are all one to a vocabulary, are
    among them unless something else tells of these words.
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
        kept = frequent(counts, most, least=1)
        keys, counts = keys[kept], counts[kept]
    return NGrams(
        longest=longest,
        skipped=skipped,
        keys=keys,
        scale=_rarity(counts, len(corpus)).astype(np.float32),
        weights=np.zeros((len(keys), n_classes), np.float32),
        bias=np.zeros(n_classes, np.float32),
        shares=np.array([0.5, 0.5]),
    )


def _with_words(model: NGrams, ids: Ints, n: int) -> NGrams:
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
