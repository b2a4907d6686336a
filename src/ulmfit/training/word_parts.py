"""What words have in common by their letters: stems, endings, the halves of compounds.

K n-grams, P parts, N documents, C classes.

Source: Bojanowski et al. 2017, "Enriching Word Vectors with Subword Information", section 3.2: a word as the sum of its
chains of letters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ulmfit.training.latent import frequent

_SHORTEST, _LONGEST = 3, 5  # letters, the marks of a word's two ends included


@dataclass(frozen=True, kw_only=True)
class WordParts:
    """The chains of letters of those n-grams that are one word.

    A text has the parts of its words, so that what is learned from some words holds for others that are spelt alike,
    also for those that only texts without labels have. Parts are linear in words: their weights become part of these.

    Args:
        matrix: (K, P) sparse: how much each part counts in each n-gram.
    """

    matrix: Any

    @classmethod
    def of(cls, words: Sequence[str], n_ngrams: int, most: int) -> WordParts:
        """The parts that two words have or more, each counted by its rarity (idf); the rows have length 1 or 0.

        Args:
            words: the first of the n-grams as they are written; '' for those that are not divided.
            n_ngrams: K; those behind the words are not divided.
            most: parts; of more the most frequent ones are taken.
        """
        from scipy.sparse import csr_matrix

        columns: dict[str, int] = {}
        found = [[columns.setdefault(part, len(columns)) for part in parts_of(word)] for word in words]
        column = np.fromiter((c for row in found for c in row), np.int64)
        ends = np.full(n_ngrams + 1, len(column))
        ends[: len(words) + 1] = np.cumsum([0, *map(len, found)])
        counts = np.bincount(column, minlength=len(columns))
        kept = frequent(counts, most)
        rarity = np.log((1 + sum(map(bool, words))) / (1 + counts)).astype(np.float32)
        matrix = csr_matrix((rarity[column], column, ends), shape=(n_ngrams, len(columns)))[:, kept]
        lengths = np.sqrt(np.asarray(matrix.power(2).sum(1)).ravel())
        lengths[lengths == 0] = 1  # of words whose every part all others have
        matrix.data /= np.repeat(lengths, np.diff(matrix.indptr))
        return cls(matrix=matrix)

    def of_texts(self, features: Any) -> Any:
        """How much each part counts in texts (N, P), sparse, by their n-grams (N, K)."""
        return features @ self.matrix

    def folded(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weights of n-grams and parts (K + P, C) as weights of n-grams (K, C)."""
        n = self.matrix.shape[0]
        whole: NDArray[np.float64] = weights[:n] + self.matrix @ weights[n:]
        return whole


def parts_of(word: str) -> list[str]:
    """The different chains of letters of a word between the marks of its two ends, sorted; of '' none."""
    marked = f"<{word}>" if word else ""
    lengths = range(_SHORTEST, _LONGEST + 1)
    return sorted({marked[i : i + n] for n in lengths for i in range(len(marked) - n + 1)})
