"""Learning what parts of words tell, see `ulmfit.inference.spelling`.

K words and other n-grams, P parts, N documents, C classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ulmfit.inference.spelling import Floats, Spelling, parts_of, rows_of_parts
from ulmfit.training.latent import frequent


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
    def of(cls, words: Sequence[str], most: int, lexicon: Iterable[str] = ()) -> WordParts:
        """The parts that two words have or more, each counted by its rarity (idf); the rows have length 1 or 0.

        Args:
            words: K as they are written; '' for what is not divided.
            most: parts; of more the most frequent ones are taken.
            lexicon: further words of the language: a part that a word shares with one of these counts, too.
        """
        found = [parts_of(word) for word in words]
        numbers: dict[str, int] = {}
        columns = [numbers.setdefault(part, len(numbers)) for parts in found for part in parts]
        further = {*lexicon}.difference(words)
        columns += [numbers[part] for word in sorted(further) for part in parts_of(word) if part in numbers]
        counts = np.bincount(np.array(columns, np.int64), minlength=len(numbers))
        kept = frequent(counts, most)
        rarity = np.log((1 + sum(map(bool, words)) + len(further)) / (1 + counts[kept])).astype(np.float32)
        names = list(numbers)
        parts = tuple(names[i] for i in kept.tolist())
        matrix = rows_of_parts(found, {part: i for i, part in enumerate(parts)}, rarity)
        return cls(matrix=matrix, parts=parts, rarity=rarity)

    def of_texts(self, features: Any) -> Any:
        """How much each part counts in texts (N, P), sparse, by their n-grams (N, K)."""
        return features @ self.matrix

    def folded(self, weights: NDArray[np.float64], of_parts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weights of the first n-grams (k, C) with those of parts (P, C) in them."""
        whole: NDArray[np.float64] = weights + self.matrix[: len(weights)] @ of_parts
        return whole

    def spelling(self, of_parts: NDArray[np.float64], scale: float) -> Spelling:
        """What the parts tell, from their weights (P, C), for words that count as much as `scale`."""
        weights = of_parts.astype(np.float32)
        return Spelling(parts=self.parts, rarity=self.rarity, weights=weights, scale=scale)
