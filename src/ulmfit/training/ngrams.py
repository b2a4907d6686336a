"""Learning the n-gram model of `ulmfit.inference.ngrams`.

N documents, V vocabulary, C classes, K n-grams.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from ulmfit.data.labelling import REGRESSION, SINGLE_LABEL
from ulmfit.inference.ngrams import NGrams
from ulmfit.inference.reading import Ints, Reading
from ulmfit.inference.spelling import Floats
from ulmfit.training.linear import Choice, Target, choose_shares, fit_linear, without_words
from ulmfit.training.ngram_features import SUBWORDS, Features, with_words, without_weights
from ulmfit.training.parts import sample
from ulmfit.training.progress import say
from ulmfit.training.word_vectors import WordVectors

# Chosen on held-out parts of training sets by benchmarks/ngram_strength.py, see docs/design/ngrams.md.
STRENGTH = 1.0
SURE = 0.95  # the least probability of an answer that other models may learn from
_FEWEST_SURE = 20
_MAX_TOKENS = 10_000_000  # to learn from: the matrix of their n-grams takes some 200 MB
_MAX_WORK = 1_500_000_000  # tokens times classes, some minutes
_MAX_WORK_OF_PARTS = 300_000_000  # of which a text has several times as many as words
_MAX_CORPUS = 5_000_000  # tokens of texts, labelled or not, that directions are learned from
_SECONDS_PER_TOKEN, _SECONDS_PER_CLASS = 4e-6, 5e-7  # of a token, and for each class: one thread, measured
_FEWEST = 200  # texts to learn from, however short the time is
_FEW = 5_000  # texts to learn from: more have no need of places, nor of chains that count less (docs/design/ngrams.md)
_OF_FURTHER = 0.5  # what a chain counts, times for each token but its first, where chains say little
_MAX_PLACES = 700_000  # texts times classes that are learned from by their places too, some minutes


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
    """Learn from labelled documents, by what is best for each kind of task (docs/design/ngrams.md).

    The features are n-grams times their rarity (idf): that a text holds them, or, of several classes, how often. Beside
    them stand the parts of words that other words have too, those among them that the vocabulary lacks, and, unless
    labelled documents are many, the documents' places along the directions in which all texts vary, labelled or not,
    and along those of the words of a language model: few labels tell more about few directions than about many words.
    How much either counts is chosen by labelled documents held out. Places and parts become part of the weights; what
    the parts tell is kept for words that are not among the n-grams.

    Of more texts than fit into bounded time and memory a sample is taken, and said to be one.

    Which of two classes a text is of, or which labels apply, is told by what it holds at all; which of several classes,
    rather by the words that it repeats, and from few examples less by chains of words than by single ones. So it is of
    subwords, whose chains are often no more than the words that they stand in, but for values.

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
    few, several = len(reading) <= _FEW, task == SINGLE_LABEL and n_classes > 2
    singly = task != REGRESSION if kind in SUBWORDS else kind == "word" and several and few
    by_places = few and len(reading) * n_classes <= _MAX_PLACES
    corpus = _joined(reading, unlabelled, n_classes, limit) if by_places and unlabelled is not None else reading
    by_letters = letters and kind == "word" and reading.n_tokens * n_classes <= _MAX_WORK_OF_PARTS
    vectors = vectors if by_places else None
    model = without_weights(
        reading,
        corpus,
        kind,
        n_classes,
        with_unknown=not by_letters,
        counted=several,
        of_further=_OF_FURTHER if singly else 1.0,
    )
    n_of_texts = len(model.keys)
    if vectors is not None:
        model = with_words(model, vectors.knows(reading.vocab.itos), len(corpus))
    seen = Features.of(reading, corpus, model, vectors, by_letters=by_letters, by_places=by_places)
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
