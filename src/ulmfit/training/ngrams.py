"""Learning the n-gram model of `ulmfit.inference.ngrams`, and how much to listen to it.

N documents, V vocabulary, C classes, K n-grams.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression, Ridge

from ulmfit.data.labelling import REGRESSION, SINGLE_LABEL
from ulmfit.inference.ngrams import (
    Floats,
    Ints,
    NGrams,
    keys_by_document,
    longest_that_fits,
    portions,
    presence,
    skipped_ids,
)
from ulmfit.text.store import TokenStore
from ulmfit.training.progress import say

# Chosen on held-out parts of training sets (docs/training.md): nearly the best for all of them.
_STRENGTH = 20.0  # C of the logistic regressions, the inverse of their regularization
_PENALTY = 1.0  # of the ridge regression of values
_LEAST = 2  # texts that an n-gram must stand in
_LONGEST = {"word": 2, "subword": 3, "hf": 3, "char": 5}
_MAX_WEIGHTS = 5_000_000  # K times C: 20 MB in the model folder
_MAX_TOKENS = 10_000_000  # to learn from: the matrix of their n-grams takes some 200 MB
_MAX_WORK = 1_500_000_000  # tokens times classes, some minutes
_DOUBT = 0.5  # a prior of standard deviation 1 on the logarithm of the shares: few texts prove little


def fit_ngrams(
    store: TokenStore, target: NDArray[np.floating] | Ints, task: str, kind: str, console: Console
) -> NGrams:
    """Learn from labelled documents.

    Logistic regression of each class against the rest, on the presence of n-grams weighted by the log-count ratios of
    naive Bayes; for values ridge regression, on presence weighted by rarity (idf). The weights become part of the
    model's. Of more texts than fit into bounded time and memory a sample is taken, and said to be one.

    Args:
        store: N documents.
        target: class ids (N,), 0 and 1 (N, C), or values (N,).
        task: "single_label", "multi_label" or "regression".
        kind: of the tokenizer: what an n-gram is made of.
        console: where to say how many there are.

    Source: Wang and Manning 2012, section 2, with logistic regression in place of the support vector machine.
    """
    goal = _columns(target, task)
    store, goal = _sample(store, goal, console)
    n_words, longest = len(store.vocab), longest_that_fits(len(store.vocab), _LONGEST.get(kind, 2))
    skipped = skipped_ids(store.vocab)
    keys, counts = _frequent(store, longest, skipped)
    most = max(1, _MAX_WEIGHTS // goal.shape[1])
    if len(keys) > most:
        kept = np.sort(np.argsort(-counts, kind="stable")[:most])
        keys, counts = keys[kept], counts[kept]
    empty = np.zeros((0, goal.shape[1]), np.float32)
    shares = np.array([0.5, 0.5])
    model = NGrams(longest=longest, skipped=skipped, keys=keys, weights=empty, bias=empty.sum(0), shares=shares)
    matrix = _matrix(store, n_words, model)
    if task == REGRESSION:
        fitted = [_values(matrix, goal[:, 0], np.log(len(store) / counts))]
    else:
        fitted = [_class(matrix, goal[:, c]) for c in range(goal.shape[1])]
    weights, bias = np.stack([w for w, _ in fitted], 1), np.array([b for _, b in fitted])
    if task == SINGLE_LABEL and len(fitted) == 1:  # of two classes the second one's logit, halved between both
        weights, bias = weights * [-0.5, 0.5], bias * [-0.5, 0.5]
    say(console, f"N-grams: {len(keys):,} tokens and chains of up to {longest}, of {len(store):,} texts")
    return NGrams(
        longest=longest,
        skipped=skipped,
        keys=keys,
        weights=weights.astype(np.float32),
        bias=bias.astype(np.float32),
        shares=shares,
    )


def fit_shares(network: Floats, ngrams: Floats, target: NDArray[np.floating] | Ints, task: str) -> NDArray[np.float64]:
    """The factors of both halves (2,), above 0, that make held-out answers likeliest; of values they sum to 1.

    Args:
        network: (N, C).
        ngrams: (N, C).
        target: class ids (N,), 0 and 1 (N, C), or values (N,) or (N, 1).
        task: "single_label", "multi_label" or "regression".
    """
    if task == REGRESSION:
        apart, missing = (ngrams - network).astype(np.float64), target.reshape(network.shape) - network
        share = float(((apart * missing).sum() + _few(apart)) / ((apart**2).sum() + 2 * _few(apart)))
        share = min(1.0, max(0.0, share))
        return np.array([1 - share, share])

    def loss(logs: NDArray[np.float64]) -> float:
        joined = 0.5 * (np.exp(logs[0]) * network + np.exp(logs[1]) * ngrams).astype(np.float64)
        if task == SINGLE_LABEL:
            unlikely = -log_softmax(joined, axis=1)[np.arange(len(target)), target].sum()
        else:
            unlikely = (np.logaddexp(0, joined) - target * joined).sum() / joined.shape[1]
        return float(unlikely + _DOUBT * (logs**2).sum()) / len(target)

    found = minimize(loss, np.zeros(2), method="L-BFGS-B", bounds=[(-5.0, 3.0)] * 2)
    shares: NDArray[np.float64] = 0.5 * np.exp(found.x)
    return shares


def _few(apart: NDArray[np.float64]) -> float:
    """What a handful of texts would add to the squares: so much the halves are taken to be worth the same."""
    return 2 * float((apart**2).mean())


def _columns(target: NDArray[np.floating] | Ints, task: str) -> NDArray[np.floating]:
    """What is learned as columns (N, C) of 0 and 1; of two classes the second one; of values themselves."""
    if task != SINGLE_LABEL:
        return target.reshape(len(target), -1).astype(np.float64)
    classes = np.arange(int(target.max()) + 1)
    columns: NDArray[np.floating] = (target[:, None] == classes).astype(np.float64)
    return columns[:, 1:] if len(classes) == 2 else columns


def _sample(store: TokenStore, goal: NDArray[np.floating], console: Console) -> tuple[TokenStore, NDArray[np.floating]]:
    """As many documents as may be learned from, evenly spread."""
    most = min(_MAX_TOKENS, _MAX_WORK // goal.shape[1])
    if store.n_tokens <= most:
        return store, goal
    n = max(2, int(len(store) * most / store.n_tokens))
    rows = np.linspace(0, len(store) - 1, n).astype(np.int64)
    ids = np.concatenate([store[i] for i in rows])
    say(console, f"The n-grams learn from a sample of {n:,} of the {len(store):,} texts, evenly spread")
    return TokenStore(ids, np.append(0, np.cumsum(store.lengths[rows])), store.vocab), goal[rows]


def _frequent(store: TokenStore, longest: int, skipped: Ints) -> tuple[Ints, Ints]:
    """The keys (K,) that stand in enough documents, rising, and in how many (K,)."""
    found = [
        np.unique(keys_by_document(*part, len(store.vocab), longest, skipped)[1], return_counts=True)
        for part in portions(store)
    ]
    keys, place = np.unique(np.concatenate([k for k, _ in found]), return_inverse=True)
    counts = np.bincount(place, np.concatenate([c for _, c in found]), len(keys)).astype(np.int64)
    return keys[counts >= _LEAST], counts[counts >= _LEAST]


def _matrix(store: TokenStore, n_words: int, model: NGrams) -> Any:
    from scipy.sparse import vstack

    return vstack([presence(part, n_words, model) for part in portions(store)], format="csr")


def _class(matrix: Any, goal: NDArray[np.floating]) -> tuple[NDArray[np.float64], float]:
    """Weights (K,) and bias of one class against the rest."""
    n, positive = len(goal), float(goal.sum())
    if not 0 < positive < n or not matrix.shape[1]:
        return np.zeros(matrix.shape[1]), float(np.log((positive + 1) / (n - positive + 1)))
    there = matrix.copy()
    there.data[:] = 1
    yes, no = (1 + np.asarray(there.T @ side).ravel() for side in (goal, 1 - goal))
    ratio = np.log((yes / yes.sum()) / (no / no.sum()))
    fitted = LogisticRegression(C=_STRENGTH, max_iter=1_000).fit(matrix.multiply(ratio[None]).tocsr(), goal)
    return fitted.coef_[0] * ratio, float(fitted.intercept_[0])


def _values(matrix: Any, goal: NDArray[np.floating], rarity: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Weights (K,) and bias of a value."""
    if not matrix.shape[1]:
        return np.zeros(0), float(goal.mean())
    fitted = Ridge(alpha=_PENALTY, solver="sparse_cg").fit(matrix.multiply(rarity[None]).tocsr(), goal)
    return fitted.coef_ * rarity, float(fitted.intercept_)
