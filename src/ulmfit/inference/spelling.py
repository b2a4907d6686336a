"""What words have in common by their letters: stems, endings, the halves of compounds. Nothing here needs torch.

J words, P parts, C classes.

Source: Bojanowski et al. 2017, "Enriching Word Vectors with Subword Information", section 3.2: a word as the sum of its
chains of letters.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_SHORTEST, _LONGEST = 3, 5  # letters, the marks of a word's two ends included
_MOST_LETTERS = 50  # of a word; what is longer is data, such as a file that was written into a mail
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
        found: Floats = rows_of_parts(map(parts_of, words), self._place, self.rarity) @ self.weights
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
        if len({*names}) < len(names):
            raise ValueError("it names a part of words twice")
        n = len(names)
        if (rarity.shape, weights.shape[:1], weights.ndim, scale.shape) != ((n,), (n,), 2, (1,)):
            raise ValueError("its parts of words and their weights do not belong together")
        if (rarity < 0).any() or not 0 < scale[0] < np.inf:
            raise ValueError("what its words count is no number above 0")
        return cls(parts=tuple(names), rarity=rarity, weights=weights, scale=float(scale[0]))


def parts_of(word: str) -> list[str]:
    """The different chains of letters of a word between the marks of its two ends, sorted.

    There are none of '', and of more than fifty letters, which are no word.
    """
    marked = f"<{word}>" if 0 < len(word) <= _MOST_LETTERS else ""
    lengths = range(_SHORTEST, _LONGEST + 1)
    return sorted({marked[i : i + n] for n in lengths for i in range(len(marked) - n + 1)})


def rows_of_parts(found: Iterable[Sequence[str]], place: Mapping[str, int], rarity: Floats) -> Any:
    """How much each part counts in each word, a sparse matrix (J, P) with rows of length 1, or 0 without a part.

    Args:
        found: the parts of each word; only one word's are held.
        place: the columns of those that count.
        rarity: (P,) how much.
    """
    from scipy.sparse import csr_matrix

    columns, until = array("q"), array("q", [0])
    for parts in found:
        columns.extend([place[part] for part in parts if part in place])
        until.append(len(columns))
    column, ends, n = np.array(columns, np.int64), np.array(until, np.int64), len(until) - 1
    values, row = rarity[column].astype(np.float32), np.repeat(np.arange(n), np.diff(ends))
    lengths = np.sqrt(np.bincount(row, values.astype(np.float64) ** 2, minlength=n))
    lengths[lengths == 0] = 1  # of words whose every part all others have
    return csr_matrix(((values / lengths[row]).astype(np.float32), column, ends), shape=(n, len(rarity)))
