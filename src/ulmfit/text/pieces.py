"""From texts to pieces: what stands between spaces, each different one once.

A piece is a chunk of raw text, together with the white space before it if that is more than spaces. Of many texts there
are few different pieces, and whatever is done with pieces is done with these.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ulmfit.text.plan import Plan
from ulmfit.text.rules import apply

_ODD_SPACE = re.compile(r"([^\S ]\s*)")
_MANY = 400_000  # characters from which on importing PyArrow (0.2 s, 80 MB) is worth while


@dataclass(frozen=True)
class Pieces:
    """The pieces of N texts, M in all, of which D are different.

    Args:
        distinct: D pieces.
        codes: which one stands at each place, int32 of shape (M,).
        bounds: where each text begins among the places, and the end of the last; int64 of shape (N + 1,).
        not_local: texts that rules must see as a whole, rising.
    """

    distinct: list[str]
    codes: NDArray[np.int32]
    bounds: NDArray[np.int64]
    not_local: list[int]

    def between(self, begin: int, end: int) -> list[str]:
        """The pieces at some places."""
        return [self.distinct[code] for code in self.codes[begin:end]]


def without_surrogates(text: str) -> str:
    """Mend a text that holds halves of characters, which no encoding can write.

    Args:
        text: any text.

    Returns:
        The text with pairs of halves joined, and U+FFFD for each half without a partner.
    """
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def cut_into_pieces(texts: Sequence[str], plan: Plan) -> Pieces:
    """Apply the rules that see whole texts, and cut what they give at its spaces.

    Args:
        texts: N texts.
        plan: which rules see whole texts.
    """
    parts: list[str] = []  # without white space other than spaces
    odd: list[tuple[int, str]] = []  # part before which there is other white space, and that
    ends: list[int] = []  # of the texts among the parts
    for text in texts:
        fixed = apply(plan.whole, without_surrogates(text))
        if fixed.isprintable():
            parts.append(fixed)
        else:
            first, *others = _ODD_SPACE.split(fixed.strip())
            odd += zip(range(len(parts) + 1, len(parts) + 1 + len(others) // 2), others[::2], strict=True)
            parts += [first, *others[1::2]]
        ends.append(len(parts))
    distinct, codes, part_bounds = _words(parts)
    bounds = part_bounds[[0, *ends]]
    not_local = _where_words_repeat(distinct, codes, bounds) if plan.wrep else []
    numbers: dict[str, int] = {}
    for part, space in odd:
        place = part_bounds[part]
        piece = space + distinct[codes[place]]
        codes[place] = numbers.setdefault(piece, len(distinct) + len(numbers))
    return Pieces([*distinct, *numbers], codes, bounds, not_local)


def _words(parts: Sequence[str]) -> tuple[list[str], NDArray[np.int32], NDArray[np.int64]]:
    """Cut texts at their spaces: the different words, the number of each word, and where each text begins."""
    if sum(map(len, parts)) >= _MANY:
        return _words_by_arrow(parts)
    numbers: dict[str, int] = {}
    words = [part.split() for part in parts]
    codes = [numbers.setdefault(word, len(numbers)) for some in words for word in some]
    bounds = np.cumsum([0, *map(len, words)], dtype=np.int64)
    return list(numbers), np.array(codes, dtype=np.int32), bounds


def _words_by_arrow(parts: Sequence[str]) -> tuple[list[str], NDArray[np.int32], NDArray[np.int64]]:
    import pyarrow as pa
    import pyarrow.compute as pc

    pool = pa.system_memory_pool()  # the default one keeps tens of megabytes
    lists = pc.split_pattern(pa.array(parts, pa.large_string(), memory_pool=pool), " ", memory_pool=pool)
    words = pc.dictionary_encode(lists.flatten(), memory_pool=pool)
    distinct: list[str] = words.dictionary.to_pylist()
    codes = words.indices.to_numpy().copy()
    bounds = lists.offsets.to_numpy().astype(np.int64)
    bounds -= bounds[0]
    if "" in distinct:  # between two spaces
        kept = codes != distinct.index("")
        bounds = np.concatenate([[0], np.cumsum(kept)])[bounds]
        codes = codes[kept]
    return distinct, codes, bounds


def _where_words_repeat(distinct: Sequence[str], codes: NDArray[np.int32], bounds: NDArray[np.int64]) -> list[int]:
    """The texts where a word may stand three times in a row for `replace_wrep`, the third time perhaps with a tail."""
    twice = np.flatnonzero(codes[:-1] == codes[1:])
    found: dict[int, None] = {}
    for place, text in zip(twice.tolist(), (np.searchsorted(bounds, twice, side="right") - 1).tolist(), strict=True):
        third = place + 2
        if third < bounds[text + 1] and distinct[codes[third]].startswith(distinct[codes[place]]):
            found[text] = None
    return list(found)
