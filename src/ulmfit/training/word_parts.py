"""Learning what parts of words tell, see `ulmfit.inference.spelling`.

K words and other n-grams, P parts, N documents, C classes.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ulmfit.inference.spelling import Floats, Spelling, parts_of, rows_of_parts
from ulmfit.training.directions import frequent

_MOST_FOUND = 5_000_000  # parts of words: some seconds


@dataclass(frozen=True, kw_only=True)
class WordParts:
    """The chains of letters of those n-grams that are one word.

    A text has the parts of its words, so that what is learned from some words holds for others that are spelt alike,
    also for those that no text had before. Parts are linear in words: their weights become part of these.

    Args:
        matrix: (K, P) sparse: how much each part counts in each n-gram.
        parts: P chains of letters.
        rarity: (P,) how much each counts in a word, before the words are made equally long.
    """

    matrix: Any
    parts: tuple[str, ...]
    rarity: Floats

    @classmethod
    def of(
        cls, words: Sequence[str], most: int, lexicon: Iterable[str] = (), silent: Collection[str] = ()
    ) -> WordParts:
        """The parts that two words have or more, each counted by its rarity (idf); the rows have length 1 or 0.

        Args:
            words: K as they are written, '' for what is not divided; when five million parts were found, the others
                are not divided either.
            most: parts; of more the most frequent ones are taken.
            lexicon: further words of the language: a part that a word shares with one of these counts, too.
            silent: those among the words that no text has: they have parts, but add none.
        """
        numbers: dict[str, int] = {}
        columns = array("q")
        divided = 0
        heard = ["" if word in silent else word for word in words]
        for word in heard:
            if len(columns) < _MOST_FOUND:
                columns.extend([numbers.setdefault(part, len(numbers)) for part in parts_of(word)])
                divided += 1
        further = {*lexicon, *silent}.difference(heard)
        for word in sorted(further):
            if len(columns) < 2 * _MOST_FOUND:
                columns.extend([numbers[part] for part in parts_of(word) if part in numbers])
        counts = np.bincount(np.array(columns, np.int64), minlength=len(numbers))
        kept = frequent(counts, most)
        rarity = np.log((1 + sum(map(bool, heard)) + len(further)) / (1 + counts[kept])).astype(np.float32)
        names = list(numbers)
        parts = tuple(names[i] for i in kept.tolist())
        found = (parts_of(word) if i < divided else [] for i, word in enumerate(words))
        matrix = rows_of_parts(found, {part: i for i, part in enumerate(parts)}, rarity)
        return cls(matrix=matrix, parts=parts, rarity=rarity)

    def of_texts(self, *features: Any) -> Any:
        """How much each part counts in texts (N, P), sparse, by their n-grams (N, K), in one matrix or several."""
        ends = np.cumsum([0, *(some.shape[1] for some in features)])
        return sum(some @ self.matrix[a:b] for some, a, b in zip(features, ends, ends[1:], strict=False))

    def folded(self, weights: NDArray[np.float64], of_parts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weights of the first n-grams (k, C) with those of parts (P, C) in them."""
        whole: NDArray[np.float64] = weights + self.matrix[: len(weights)] @ of_parts
        return whole

    def spelling(self, of_parts: NDArray[np.float64], scale: float) -> Spelling:
        """What the parts tell, from their weights (P, C), for words that count as much as `scale`."""
        weights = of_parts.astype(np.float32)
        return Spelling(parts=self.parts, rarity=self.rarity, weights=weights, scale=scale)
