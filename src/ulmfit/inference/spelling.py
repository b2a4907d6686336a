"""What words have in common by their letters: stems, endings, the halves of compounds. Nothing here needs torch.

J words, P parts, C classes.

Source: Bojanowski et al. 2017, "Enriching Word Vectors with Subword Information", section 3.2: a word as the sum of its
chains of letters.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_SHORTEST, _LONGEST = 3, 5  # letters, the marks of a word's two ends included
_MOST_LETTERS = 100  # of a word; what is longer is data, such as a file that was written into a mail
_FILE = ("parts", "rarity", "part_weights", "unknown_scale")


@dataclass(frozen=True, kw_only=True)
class Spelling:
    """What parts of words tell of a class, for words that a model knows in no other way.

    Args:
        parts: P chains of letters.
        rarity: (P,) how much each counts in a word (idf), above 0.
        weights: (P, C).
        scale: what the presence of such a word counts beside n-grams, see `ngrams.NGrams`.
    """

    parts: tuple[str, ...]
    rarity: Floats
    weights: Floats
    scale: float

    def of_words(self, words: Sequence[str]) -> Floats:
        """The weights (J, C) of words."""
        found: Floats = rows_of_parts([parts_of(word) for word in words], self._place, self.rarity) @ self.weights
        return found

    @cached_property
    def _place(self) -> dict[str, int]:
        return {part: i for i, part in enumerate(self.parts)}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """As the arrays of a file."""
        written = json.dumps(self.parts).encode()
        values = (np.frombuffer(written, np.uint8), self.rarity, self.weights, np.array([self.scale], np.float32))
        return dict(zip(_FILE, values, strict=True))

    @classmethod
    def of_arrays(cls, arrays: dict[str, Any]) -> Spelling | None:
        """From the arrays of a file, which are taken out; None if it has none of these.

        Raises:
            KeyError: some are missing.
            ValueError: they do not belong together, or are not what they must be.
        """
        if not set(_FILE) & set(arrays):
            return None
        parts, rarity, weights, scale = (arrays.pop(name) for name in _FILE)
        names = json.loads(parts.tobytes())
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError("its parts of words are none")
        if not len(names) == len(rarity) == len(weights) or rarity.ndim != 1 or weights.ndim != 2:
            raise ValueError("its parts of words and their weights do not belong together")
        return cls(parts=tuple(names), rarity=rarity, weights=weights, scale=float(scale[0]))


def parts_of(word: str) -> list[str]:
    """The different chains of letters of a word between the marks of its two ends, sorted.

    There are none of '', and of more than a hundred letters, which are no word.
    """
    marked = f"<{word}>" if 0 < len(word) <= _MOST_LETTERS else ""
    lengths = range(_SHORTEST, _LONGEST + 1)
    return sorted({marked[i : i + n] for n in lengths for i in range(len(marked) - n + 1)})


def rows_of_parts(found: Sequence[Sequence[str]], place: Mapping[str, int], rarity: Floats) -> Any:
    """How much each part counts in each word, a sparse matrix (J, P) with rows of length 1, or 0 without a part.

    Args:
        found: the parts of each word.
        place: the columns of those that count.
        rarity: (P,) how much.
    """
    from scipy.sparse import csr_matrix

    columns = [[place[part] for part in parts if part in place] for parts in found]
    column = np.fromiter((c for row in columns for c in row), np.int64)
    ends = np.cumsum([0, *map(len, columns)])
    values = rarity[column].astype(np.float32)
    row = np.repeat(np.arange(len(found)), np.diff(ends))
    lengths = np.sqrt(np.bincount(row, values.astype(np.float64) ** 2, minlength=len(found)))
    lengths[lengths == 0] = 1  # of words whose every part all others have
    return csr_matrix(((values / lengths[row]).astype(np.float32), column, ends), shape=(len(found), len(rarity)))
