"""What n-grams have to do with one another, learned from texts whether labelled or not.

N documents, K n-grams, D directions, C classes.

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
class Latent:
    """The directions in which texts vary most, but for the first one, which is what all have in common.

    Each is as long as the texts vary along it: a text's places along them follow most of what it is about, in few
    numbers. What is learned from the places of some texts so holds for all n-grams, also those that these texts lack.

    Args:
        columns: (J,) the n-grams that the directions are made of, the most frequent ones.
        directions: (J, D).
    """

    columns: Ints
    directions: Floats

    @classmethod
    def of(cls, features: Any) -> Latent:
        """The directions of texts; of fewer than three there are none.

        Args:
            features: (N, K) sparse, in rows of length 1 or 0.
        """
        columns = frequent(features.getnnz(0), MOST_NGRAMS)
        part = features[:, columns]
        n = min(_MOST + 1, *part.shape) - 1
        if n < 2:
            return cls(columns=columns, directions=np.zeros((len(columns), 0), np.float32))

        from sklearn.decomposition import TruncatedSVD  # a second and 100 MB, which not every program needs

        with np.errstate(divide="ignore", invalid="ignore"):  # of shares of the variance where there is none
            found = TruncatedSVD(n, n_iter=_ROUNDS, random_state=0).fit(part)
        real = found.singular_values_ > _NOISE * found.singular_values_[0]
        real[0] = False
        spread = found.singular_values_[real].astype(np.float64)
        lengths = spread / np.sqrt((spread**4).sum() / features.shape[0])
        return cls(columns=columns, directions=(found.components_[real].T * lengths).astype(np.float32))

    def places(self, features: Any) -> Floats:
        """Where texts stand (N, D), by their features (N, K). Of those learned from, the mean sum of squares is 1."""
        places: Floats = features[:, self.columns] @ self.directions
        return places

    def add_to(self, weights: NDArray[np.float64], of_places: NDArray[np.float64]) -> None:
        """Make weights (D, C) of places part of those of n-grams (K, C), in place: the answers are the same."""
        weights[self.columns] += self.directions @ of_places


def frequent(counts: Ints, most: int, least: int = 2) -> Ints:
    """Where the largest of some counts (K,) stand, at most so many, each at least `least`; in rising order."""
    largest = np.argsort(-counts, kind="stable")[:most]
    return np.sort(largest[counts[largest] >= least])
