"""Directions along which texts differ: what n-grams have to do with one another.

What is learned from the places of some texts along few directions holds for all n-grams, also for those that these
texts lack. The directions are those in which texts vary most, labelled or not, and those of the words of a language
model (`ulmfit.training.word_vectors`).

N documents, K n-grams, J of them, D directions, C classes.

Source: Deerwester et al. 1990, "Indexing by Latent Semantic Analysis"; Halko, Martinsson and Tropp 2011, "Finding
structure with randomness" (how the directions are found).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ulmfit.inference.reading import Ints
from ulmfit.inference.spelling import Floats

_MOST = 200
MOST_NGRAMS = 100_000  # of which directions are made: with 200 of them 80 MB
_ROUNDS = 1  # of the power iteration
_NOISE = 1e-5  # a spread that is smaller, as a share of the largest, is rounding


@dataclass(frozen=True, kw_only=True)
class Directions:
    """Directions, each a sum of n-grams.

    Args:
        columns: (J,) the n-grams that they are made of, rising.
        matrix: (J, D) how much of each.
    """

    columns: Ints
    matrix: Floats

    @classmethod
    def of_texts(cls, features: Any) -> Directions:
        """Those in which texts vary most, but for the first one, which is what all have in common.

        Each is as long as the texts vary along it: their places follow most of what they are about, in few numbers. The
        mean sum of squares of the places is 1. They are made of the most frequent n-grams; of fewer than three texts or
        n-grams there are none.

        Args:
            features: (N, K) sparse, in rows of length 1 or 0.
        """
        columns = frequent(features.getnnz(0), MOST_NGRAMS)
        part = features[:, columns]
        n = min(_MOST + 1, *part.shape) - 1
        if n < 2:
            return cls(columns=columns, matrix=np.zeros((len(columns), 0), np.float32))

        from sklearn.decomposition import TruncatedSVD  # a second and 100 MB, which not every program needs

        with np.errstate(divide="ignore", invalid="ignore"):  # of shares of the variance where there is none
            found = TruncatedSVD(n, n_iter=_ROUNDS, random_state=0).fit(part)
        real = found.singular_values_ > _NOISE * found.singular_values_[0]
        real[0] = False
        spread = found.singular_values_[real].astype(np.float64)
        lengths = spread / np.sqrt((spread**4).sum() / features.shape[0])
        return cls(columns=columns, matrix=(found.components_[real].T * lengths).astype(np.float32))

    def places(self, features: Any) -> Floats:
        """Where texts stand (N, D), by their features (N, K)."""
        places: Floats = features[:, self.columns] @ self.matrix
        return places

    def add_to(self, weights: NDArray[np.float64], of_places: NDArray[np.float64]) -> None:
        """Make weights (D, C) of places part of those of n-grams (K, C), in place: the answers are the same."""
        weights[self.columns] += self.matrix @ of_places


def frequent(counts: Ints, most: int) -> Ints:
    """Where the largest of some counts (K,) stand, at most so many, each at least 2; in rising order."""
    largest = np.argsort(-counts, kind="stable")[:most]
    return np.sort(largest[counts[largest] >= 2])
