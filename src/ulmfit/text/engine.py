"""The memory that makes tokenizing fast: every distinct piece of text is cut once.

What is unusual here, and why it is exact:

* All the default rules but `fix_html` and `replace_wrep` look no further than the next white space, and so does the
  tokenizer. Texts are therefore cut at their spaces into pieces (`pieces.py`), and a memory tells the tokens of each
  distinct piece. Those not met before go through the rules as one text, and through the tokenizer together.
* Some pieces must be looked at more carefully: those that spaCy's special cases may join with the piece before, and
  those with repeated characters, out of which `replace_rep` makes words that `replace_wrep` may find repeated.
* A text where `replace_wrep` cannot be ruled out goes the long way: all rules on the whole text, then unit by unit
  (`BareTokenizer.split`). So do all texts under rules that are not of the form of the default ones.

The tokens of all pieces lie one after the other in one array, a row for each piece: those of a text are gathered from
there at once. What is remembered is forgotten as a whole when it has grown too large: memory is bounded whatever the
texts are.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ulmfit.text.base import BareTokenizer
from ulmfit.text.pieces import Pieces, cut_into_pieces, without_surrogates
from ulmfit.text.plan import Plan, make_plan
from ulmfit.text.rules import TK_REP, Rule, apply, replace_rep

Encoded = tuple[NDArray[np.uint32], NDArray[np.int64]]
"""The ids of N texts one after the other, and how many each text has, of shape (N,)."""

_SEPARATOR = "\x1c"  # white space to every rule, and very rare in texts
_SIZE_OF_ENTRY = 180  # bytes of memory that a remembered piece takes beside its characters, measured on reviews
_MAX_UNITS = 80_000
_AT_ONCE = 1_500_000  # characters of texts whose pieces are looked up together
_SIMPLE = 100  # characters of a printable line that every tokenizer cuts at its spaces
_NOTHING = 0  # the row without tokens


class _Careful(NamedTuple):
    """What is known of a piece whose tokens may depend on its neighbours."""

    lefts: tuple[str, ...]  # what the piece before must end with for the two to have other tokens together
    repeats: bool  # whether it holds repeated characters


class Memo:
    """Tokenizes texts piece by piece and remembers the ids of the tokens of each piece.

    Args:
        tok: the bare tokenizer.
        rules: the rules before the cut.
        table: the id of a token as four bytes, little endian. May make it when asked (`__missing__`).
        limit: how many bytes, roughly, the remembered pieces may take.
    """

    def __init__(
        self, tok: BareTokenizer, rules: Sequence[Rule], table: Mapping[str, bytes], limit: int = 145_000_000
    ) -> None:
        self._tok, self._rules, self._table, self._limit = tok, tuple(rules), table, limit
        self._plan = make_plan(rules) if tok.chunked else None
        self._lock = threading.Lock()
        self._clear()

    def _clear(self) -> None:
        self._rows: dict[str, int] = {"": _NOTHING}
        self._ids = bytearray()  # of all rows, one row after the other
        self._starts = array("q", [0, 0])  # of the rows in it, and the end of the last
        self._is_careful = bytearray(1)  # for each row
        self._careful: dict[int, _Careful] = {}
        self._units: dict[str, bytes] = {}
        self._lefts: dict[str, tuple[str, ...]] = {}  # of the units that may stick to the one before
        self._size = 0

    def forget(self) -> None:
        """Forget everything, as needed when the answers of `table` have changed."""
        with self._lock:
            self._clear()

    def __call__(self, texts: Sequence[str]) -> Encoded:
        """Tokenize texts.

        Args:
            texts: some texts; many are better than few, as what they share is looked up once.

        Returns:
            The ids of their tokens.
        """
        found: list[Encoded] = []
        with self._lock:
            for some in _portions(texts):
                found.append(self._long_ways(some) if self._plan is None else self._by_piece(some, self._plan))
        if len(found) == 1:
            return found[0]
        empty = np.zeros(0, dtype=np.uint32), np.zeros(0, dtype=np.int64)
        return (
            np.concatenate([empty[0], *(ids for ids, _ in found)]),
            np.concatenate([empty[1], *(n for _, n in found)]),
        )

    def _long_ways(self, texts: Sequence[str]) -> Encoded:
        if self._size > self._limit:
            self._clear()
        answers = list(map(self._long_way, texts))
        lengths = np.array([len(answer) // 4 for answer in answers], dtype=np.int64)
        return np.frombuffer(b"".join(answers), dtype="<u4"), lengths

    def _long_way(self, text: str) -> bytes:
        """All rules on the whole text, then unit by unit."""
        units = self._tok.split(apply(self._rules, without_surrogates(text)))
        if self._tok.chunked:
            return self._assemble(units)
        return b"".join([self._table[token] for tokens in self._tok.tokenize_units(units) for token in tokens])

    def _by_piece(self, texts: Sequence[str], plan: Plan) -> Encoded:
        pieces = cut_into_pieces(texts, plan)
        rows = self._rows_of(pieces.distinct, plan)[pieces.codes]
        bounds, long_way = pieces.bounds, set(pieces.not_local)
        if self._careful:
            long_way |= self._mend(pieces, rows, plan)
        if not plan.before:
            long_way |= set(np.flatnonzero(bounds[:-1] == bounds[1:]).tolist())
        # What stands before a text has a place even if it is nothing.
        before, after = (self._row(self._assemble(units)) for units in (plan.before, plan.after))
        rows = np.insert(rows, np.repeat(bounds, 2)[1:-1], [before, after] * len(texts))
        bounds = bounds + 2 * np.arange(len(texts) + 1)
        for i in long_way:
            rows[bounds[i] : bounds[i + 1]] = _NOTHING
            rows[bounds[i]] = self._row(self._long_way(texts[i]))
        return self._gather(rows, bounds)

    def _gather(self, rows: NDArray[np.int64], bounds: NDArray[np.int64]) -> Encoded:
        """The ids of rows one after the other."""
        starts, ids = np.frombuffer(self._starts, dtype=np.int64), np.frombuffer(self._ids, dtype="<u4")
        begins = starts[rows]
        lengths = starts[rows + 1] - begins
        ends = np.concatenate([[0], np.cumsum(lengths)])
        taken = np.arange(ends[-1]) + np.repeat(begins - ends[:-1], lengths)
        return ids[taken], np.diff(ends[bounds])

    def _rows_of(self, pieces: Sequence[str], plan: Plan) -> NDArray[np.int64]:
        """The row of each distinct piece."""
        unknown = [piece for piece in pieces if piece not in self._rows]
        if self._size and self._size + _size(unknown) > self._limit:
            self._clear()
            unknown = [piece for piece in pieces if piece]
        self._learn(unknown, plan)
        return np.fromiter(map(self._rows.__getitem__, pieces), dtype=np.int64, count=len(pieces))

    def _mend(self, pieces: Pieces, rows: NDArray[np.int64], plan: Plan) -> set[int]:
        """Change the rows of pieces that depend on their neighbours. Give the texts that must go the long way."""
        distinct, codes, long_way = pieces.distinct, pieces.codes, set[int]()
        places = np.flatnonzero(np.frombuffer(self._is_careful, dtype=bool)[rows])
        texts = np.searchsorted(pieces.bounds, places, side="right") - 1
        firsts, ends = pieces.bounds[texts], pieces.bounds[texts + 1]
        begin = end = 0  # of the last pieces that were taken together
        careful = [self._careful[row] for row in rows[places].tolist()]
        for (lefts, repeats), place, text, first, last in zip(
            careful, places.tolist(), texts.tolist(), firsts.tolist(), ends.tolist(), strict=True
        ):
            if repeats:
                around = pieces.between(max(first, place - 2), min(last, place + 3))
                if _thrice(replace_rep(" ".join(around)).split()):
                    long_way.add(text)
            if place > first and lefts and self._piece_sticks(distinct[codes[place - 1]], lefts, plan):
                begin, end = begin if end == place else place - 1, place + 1
                together = _chunk_rules(" ".join(pieces.between(begin, end)), plan)
                rows[begin:end] = _NOTHING
                rows[begin] = self._row(self._assemble(self._split(together)))
        return long_way

    def _piece_sticks(self, left: str, lefts: tuple[str, ...], plan: Plan) -> bool:
        # What a chunk in ASCII ends with, in small letters, its last unit ends with too.
        if left.isascii() and not left.lower().endswith(lefts):
            return False
        return self._tok.sticks(self._split(_chunk_rules(left, plan))[-1], lefts)

    def _row(self, answer: bytes) -> int:
        """A row for tokens that stand for no single piece."""
        if not answer:
            return _NOTHING
        self._add([answer])
        self._size += len(answer)
        return len(self._is_careful) - 1

    def _add(self, answers: Sequence[bytes]) -> None:
        self._ids += b"".join(answers)
        ends = accumulate(map(len, answers), initial=4 * self._starts[-1])
        next(ends)
        self._starts.extend(end // 4 for end in ends)
        self._is_careful.extend(bytes(len(answers)))

    def _learn(self, pieces: Sequence[str], plan: Plan) -> None:
        """Find the answers for pieces that are not known yet."""
        if len(self._units) > _MAX_UNITS:  # of little use beside the pieces
            self._units, self._lefts = {}, {}
        lines = _chunk_rules_together(pieces, plan)
        units_of = list(map(self._split, lines))
        self._cut(chain.from_iterable(units_of))
        known, lefts_of = self._units, self._lefts
        first = len(self._is_careful)
        answers, careful = list[bytes](), dict[int, _Careful]()
        for row, (line, units) in enumerate(zip(lines, units_of, strict=True), start=first):
            if len(units) == 1:
                answers.append(known[units[0]])
            elif lefts_of.keys().isdisjoint(units[1:]):
                answers.append(b"".join([known[unit] for unit in units]))
            else:
                answers.append(self._assemble(units))
            lefts, repeats = lefts_of.get(units[0], ()), plan.wrep and TK_REP in line
            if lefts or repeats:
                careful[row] = _Careful(lefts, repeats)
        self._add(answers)
        for row in careful:
            self._is_careful[row] = True
        self._careful |= careful
        self._rows.update(zip(pieces, range(first, first + len(pieces)), strict=True))
        self._size += _size(pieces)

    def _split(self, line: str) -> list[str]:
        return line.split(" ") if len(line) <= _SIMPLE and line.isprintable() else self._tok.split(line)

    def _cut(self, units: Iterable[str]) -> None:
        """Find the answers for units that are not known yet."""
        known, table = self._units, self._table
        new = [unit for unit in dict.fromkeys(units) if unit not in known]
        cut = list(self._tok.tokenize_units(new))
        id_of = table.__getitem__
        known.update(zip(new, [b"".join(map(id_of, tokens)) for tokens in cut], strict=True))
        self._lefts |= self._tok.lefts(new, cut)
        if self._plan is None:
            self._size += _size(new)

    def _assemble(self, units: Sequence[str]) -> bytes:
        """Give the answer for units that follow each other."""
        self._cut(units)
        if not self._lefts.keys().isdisjoint(units):
            groups: list[str] = []
            for i, unit in enumerate(units):
                if i and (lefts := self._lefts.get(unit)) and self._tok.sticks(units[i - 1], lefts):
                    groups[-1] += f" {unit}"
                else:
                    groups.append(unit)
            self._cut(groups)
            units = groups
        return b"".join([self._units[unit] for unit in units])


def tokens_of(encoded: Encoded, names: Sequence[str]) -> Iterator[list[str]]:
    """The tokens of texts.

    Args:
        encoded: ids and lengths of N texts.
        names: the token of each id.

    Yields:
        The tokens of each text.
    """
    ids, lengths = encoded
    tokens, start = list(map(names.__getitem__, ids.tolist())), 0
    for length in lengths.tolist():
        yield tokens[start : start + length]
        start += length


def _portions(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Texts in portions of which the pieces are looked up together."""
    start = size = 0
    for i, text in enumerate(texts, start=1):
        size += len(text)
        if size >= _AT_ONCE or i == len(texts):
            yield texts[start:i]
            start, size = i, 0


def _size(pieces: Sequence[str]) -> int:
    return sum(map(len, pieces)) + _SIZE_OF_ENTRY * len(pieces)


def _thrice(words: Sequence[str]) -> bool:
    """Tell whether a word may stand three times in a row for `replace_wrep`, the third time perhaps with a tail."""
    return any(a == b and c.startswith(a) for a, b, c in zip(words, words[1:], words[2:], strict=False))


def _chunk_rules(text: str, plan: Plan) -> str:
    for rule in plan.chunkwise:
        text = rule(text)
    return text.lower().strip(" ")


def _chunk_rules_together(pieces: Sequence[str], plan: Plan) -> list[str]:
    """Apply rules to many pieces as one text. White space keeps the pieces apart for every one of the rules."""
    joined = _SEPARATOR.join(pieces)
    if joined.count(_SEPARATOR) != len(pieces) - 1:
        return [_chunk_rules(piece, plan) for piece in pieces]
    return [line.strip(" ") for line in _chunk_rules(joined, plan).split(_SEPARATOR)]
