"""Linear models for each kind of task, on the n-grams of texts, parts of words, and places along latent directions.

N documents, K n-grams, D directions, C classes.

Source: Wang and Manning 2012, "Baselines and Bigrams", section 2, with logistic regression in place of the support
vector machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ulmfit.data.labelling import REGRESSION, SINGLE_LABEL
from ulmfit.inference.reading import Ints
from ulmfit.inference.spelling import Floats

_RATIO_STRENGTH, _RARITY_STRENGTH, _PENALTY = 0.5, 100.0, 0.1
_OF_BIAS = 10.0  # what stands for the bias beside rows of length 1
_SHARES = (0.5, 1.0, 0.0)  # of places, beside n-grams that count 1; of equally good ones the first is taken
_FOLDS = 5
_FEW, _ENOUGH = 20, 1_000  # documents: too few to choose by, enough for one fold
_MUCH = 10_000  # documents times classes: more have no need of a choice that takes so long

Target = NDArray[np.floating] | Ints
Reals = NDArray[np.float64]


def fit_linear(
    features: Sequence[Any], places: Floats, target: Target, task: str, n_classes: int, strength: float
) -> tuple[Reals, Reals, Reals]:
    """Learn from labelled documents.

    - Two classes, and each of several labels: logistic regression on features that are weighted by the log-count ratios
      of naive Bayes. The ratios become part of the weights.
    - More classes: logistic regression of each against the rest.
    - Values: ridge regression.

    Args:
        features: of each kind (N, K) sparse: n-grams in rows of length 1 or 0, parts of words.
        places: (N, D).
        target: class ids (N,), 0 and 1 (N, C), or values (N,).
        task: "single_label", "multi_label" or "regression".
        n_classes: C; 1 for values.
        strength: factor on how closely the examples are followed; the inverse of regularization.

    Returns:
        weights of the features, one kind after the other (K, C), of the places (D, C), and the bias (C,).
    """
    sizes = [kind.shape[1] for kind in features]
    kind_of = np.repeat(np.arange(len(sizes)), sizes)
    known = np.flatnonzero(np.concatenate([kind.getnnz(0) for kind in features]))
    matrix = _beside(*features)[:, known]
    if task == REGRESSION:
        weights, bias = _values(matrix, places, target, _PENALTY / strength)
    elif task == SINGLE_LABEL and n_classes > 2:
        weights, bias = _several_classes(matrix, places, target, n_classes, _RARITY_STRENGTH * strength)
    else:
        columns = target[:, None] if task == SINGLE_LABEL else target.reshape(len(target), -1)
        kinds = [(kind_of[known] == i, size) for i, size in enumerate(sizes)]
        fitted = [_one_class(matrix, places, column, _RATIO_STRENGTH * strength, kinds) for column in columns.T]
        weights, bias = np.stack([w for w, _ in fitted], 1), np.array([b for _, b in fitted])
        if task == SINGLE_LABEL:  # the second class's logit, halved between both
            weights, bias = weights * [-0.5, 0.5], bias * [-0.5, 0.5]
    of_features = np.zeros((len(kind_of), n_classes))
    of_features[known] = weights[: len(known)]
    return of_features, weights[len(known) :], bias


@dataclass(frozen=True)
class Choice:
    """How much the places count, and what documents were answered with that while they were held out.

    Args:
        shares: the factor on each kind of places.
        rows: the documents' numbers (n,); none, if none were held out.
        outputs: the answers (n, C).
    """

    shares: tuple[np.float32, ...]
    rows: Ints
    outputs: Reals

    def scaled(self, places: Sequence[Floats]) -> Floats:
        """All kinds of places (N, D), each times its share."""
        return np.hstack([kind * share for kind, share in zip(places, self.shares, strict=True)])


def choose_shares(
    features: Sequence[Any], places: Sequence[Floats], target: Target, task: str, n_classes: int, strength: float
) -> Choice:
    """By what factors on the places documents that are held out are answered best; the first kind's is chosen first.

    Up to 1,000 documents are held out in five turns, more in one. With very few the places count fully; where documents
    times classes are more than 10,000, half. Arguments as for `fit_linear`, but for places of one kind or more.
    """
    n = len(target)
    nothing = np.zeros(0, np.int64), np.zeros((0, n_classes))
    if n < _FEW or n * n_classes > _MUCH:
        return Choice((np.float32(1.0 if n < _FEW else 0.5),) * len(places), *nothing)
    chance = np.random.default_rng(0).random(n)
    order = np.lexsort((chance, target if target.ndim == 1 else chance))  # each class in turn
    fold = np.empty(n, np.int64)
    fold[order] = np.arange(n) % _FOLDS
    turns = _FOLDS if n <= _ENOUGH else 1
    best, least = Choice((), np.flatnonzero(fold < turns), np.zeros((0, n_classes))), np.inf
    for i, kind in enumerate(places):
        found: list[tuple[float, Choice]] = []
        for share in _SHARES:
            tried = replace(best, shares=(*best.shares, np.float32(share)))
            if i and (share == 0 or not kind.shape[1]):  # as without this kind
                found.append((least, tried))
                continue
            moved, answers, loss = tried.scaled(places[: i + 1]), np.zeros((n, n_classes)), 0.0
            for held_out in [fold == turn for turn in range(turns)]:
                rest = ~held_out
                weights, of_places, bias = fit_linear(
                    [f[rest] for f in features], moved[rest], target[rest], task, n_classes, strength
                )
                outputs = _beside(*(f[held_out] for f in features)) @ weights + moved[held_out] @ of_places + bias
                loss += _loss(outputs, target[held_out], task)
                answers[held_out] = outputs
            found.append((loss, replace(tried, outputs=answers[best.rows])))
            if not kind.shape[1]:
                break
        least, best = min(found, key=lambda one: one[0])
    return best


def _loss(outputs: Reals, target: Target, task: str) -> float:
    """What the answers (N, C) lack: squares; of several labels the logarithms of the probabilities; errors of one.

    Errors, because models of few texts are too sure of themselves, which the places only soften.
    """
    if task == REGRESSION:
        return float(((outputs[:, 0] - target) ** 2).sum())
    if task == SINGLE_LABEL:
        return float((outputs.argmax(1) != target).sum())
    return float((np.logaddexp(0, outputs) - target * outputs).sum())


def without_words(target: Target, task: str, n_classes: int) -> NDArray[np.float64]:
    """The bias (C,) where no word tells anything."""
    if task == REGRESSION:
        return np.atleast_1d(target.mean(0, dtype=np.float64))
    if task == SINGLE_LABEL:
        return np.log(1 + np.bincount(target, minlength=n_classes))
    positive = target.sum(0)
    chances: NDArray[np.float64] = np.log((1 + positive) / (1 + len(target) - positive))
    return chances


def _one_class(
    matrix: Any, places: Floats, goal: NDArray[Any], strength: float, kinds: Sequence[tuple[NDArray[np.bool_], int]]
) -> tuple[NDArray[np.float64], float]:
    """Weights (K + D,) and bias of one class against the rest; the strength is for a text of mean length.

    The ratios are those of counts that begin with one for each feature, also for those of no text. They are ratios of
    shares of a kind: which of the features belong to it, and how many it has in all.
    """
    from sklearn.linear_model import LogisticRegression

    n, positive = len(goal), float(goal.sum())
    if not 0 < positive < n:
        return np.zeros(matrix.shape[1] + places.shape[1]), float(np.log((positive + 1) / (n - positive + 1)))
    there = matrix.sign()
    yes, no = (1 + np.asarray(there.T @ side).ravel() for side in (goal, 1 - goal))
    ratio = np.log(yes / no)
    for kind, n_all in kinds:
        unseen = n_all - kind.sum()
        ratio[kind] -= np.log((yes[kind].sum() + unseen) / (no[kind].sum() + unseen)) if n_all else 0
    weighted = matrix.multiply(ratio[None]).tocsr()
    size = float(np.sqrt(weighted.multiply(weighted).sum() / n))  # of a text: its places are to count as much
    learner = LogisticRegression(C=strength * _richness(matrix), max_iter=1_000)
    fitted = learner.fit(_with_places(weighted, places * np.float32(size)), goal)
    return fitted.coef_[0] * np.append(ratio, np.full(places.shape[1], size)), float(fitted.intercept_[0])


def _richness(matrix: Any) -> float:
    """How many features documents (N, K) have on average, if those that weigh little count as part of one."""
    squares, fourths = (np.asarray(matrix.power(p).sum(1), np.float64).ravel() for p in (2, 4))
    counts = np.divide(squares**2, fourths, out=np.zeros_like(squares), where=fourths > 0)
    return max(1.0, float(counts.mean()))


def _several_classes(
    matrix: Any, places: Floats, target: Target, n_classes: int, strength: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights (K + D, C) and bias (C,) of several classes; one without an example gets what one with few might."""
    from sklearn.linear_model import LogisticRegression

    features = _with_places(matrix, places)
    present = np.unique(target)
    weights = np.zeros((features.shape[1], n_classes))
    if len(present) < 2:
        return weights, without_words(target, SINGLE_LABEL, n_classes)
    # liblinear's Newton method; its penalty is on the bias, too: the factor keeps that small
    learner = LogisticRegression(C=strength, solver="liblinear", intercept_scaling=_OF_BIAS, max_iter=1_000)
    offsets = np.zeros(n_classes)
    for one in present:
        fitted = learner.fit(features, target == one)
        weights[:, one], offsets[one] = fitted.coef_[0], fitted.intercept_[0]
    offsets[~np.isin(np.arange(n_classes), present)] = offsets[present].min() - 1
    return weights, offsets


def _values(
    matrix: Any, places: Floats, target: Target, penalty: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights (K + D, 1) and bias (1,) of values."""
    from sklearn.linear_model import Ridge

    fitted = Ridge(alpha=penalty, solver="sparse_cg").fit(_with_places(matrix, places), target.reshape(-1))
    return fitted.coef_.reshape(-1, 1), np.array([fitted.intercept_])


def _beside(*matrices: Any) -> Any:
    """Sparse matrices (N, K) beside one another as one."""
    from scipy.sparse import hstack

    filled = [m for m in matrices if m.shape[1]]
    return hstack(filled, format="csr") if len(filled) > 1 else filled[0]


def _with_places(matrix: Any, places: Floats) -> Any:
    """Features (N, K) and places (N, D) in one sparse matrix (N, K + D)."""
    from scipy.sparse import csr_matrix

    return _beside(matrix, csr_matrix(places))
