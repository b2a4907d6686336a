"""The memory that makes tokenizing fast: every distinct piece of text is cut once.

What is unusual here, and why it is exact:

* All the default rules but `fix_html` and `replace_wrep` look no further than the next white space, and so does the
  tokenizer. A text is therefore cut at its spaces, and a dictionary tells the tokens of each piece of raw text: a
  chunk, together with the white space before it if that is more than spaces. Pieces not met before are collected over
  some texts and go through the rules as one text, and through the tokenizer together.
* Some pieces must be looked at more carefully: those that spaCy's special cases may join with the piece before, and
  those with repeated characters, out of which `replace_rep` makes words that `replace_wrep` may find repeated.
* A text where `replace_wrep` cannot be ruled out goes the long way: all rules on the whole text, then unit by unit
  (`BareTokenizer.split`). So do all texts under rules that are not of the form of the default ones.

What is remembered is forgotten as a whole when it has grown too large: memory is bounded whatever the texts are.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, islice
from operator import eq
from typing import Any, Generic, NamedTuple, TypeVar

from ulmfit.text.base import BareTokenizer
from ulmfit.text.plan import Plan, make_plan
from ulmfit.text.rules import TK_REP, Rule, replace_rep

T = TypeVar("T")

_ODD_SPACE = re.compile(r"([^\S ]\s*)")
_SEPARATOR = "\x1c"  # white space to every rule, and very rare in texts
_SIZE_OF_ENTRY = 180  # bytes of memory that a remembered piece takes beside its characters, measured on reviews
_MAX_UNITS = 150_000
_AT_ONCE = 16  # texts whose pieces fit into a processor's cache; with 256 it takes up to twice as long


class _Careful(NamedTuple, Generic[T]):
    """What is known of a piece whose tokens may depend on its neighbours."""

    answer: T
    lefts: tuple[str, ...]  # what the piece before must end with for the two to have other tokens together
    repeats: bool  # whether it holds repeated characters


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


class Memo(Generic[T]):
    """Tokenizes texts piece by piece and remembers an answer of any type for each piece.

    Args:
        tok: the bare tokenizer.
        rules: the rules before the cut.
        table: the answer for a token, which must be true in a condition. May make it when asked (`__missing__`).
        combine: makes one answer of several.
        limit: how many bytes, roughly, the remembered pieces may take.
    """

    def __init__(
        self,
        tok: BareTokenizer,
        rules: Sequence[Rule],
        table: Mapping[str, T],
        combine: Callable[[Iterable[T]], T],
        limit: int = 160_000_000,
    ) -> None:
        self._tok, self._rules, self._table, self._combine, self._limit = tok, tuple(rules), table, combine, limit
        self._plan = make_plan(rules) if tok.chunked else None
        self._lock = threading.Lock()
        self._clear()

    def _clear(self) -> None:
        self._pieces: dict[str, T] = {}
        self._careful: dict[str, _Careful[T]] = {}
        self._units: dict[str, T] = {}
        self._lefts: dict[str, tuple[str, ...]] = {}  # of the units that may stick to the one before
        self._size = 0

    def forget(self) -> None:
        """Forget everything, as needed when the answers of `table` have changed."""
        with self._lock:
            self._clear()

    def __call__(self, texts: Sequence[str]) -> list[T]:
        """Tokenize texts.

        Args:
            texts: some texts; several are better than one, as new pieces are cut together.

        Returns:
            The answer for each text.
        """
        answers: list[T] = []
        with self._lock:
            for start in range(0, len(texts), _AT_ONCE):
                if self._size > self._limit:
                    self._clear()
                some = texts[start : start + _AT_ONCE]
                answers += map(self._whole, some) if self._plan is None else self._by_piece(some, self._plan)
        return answers

    def _whole(self, text: str) -> T:
        """Take the long way: all rules on the whole text, then unit by unit."""
        text = without_surrogates(text)
        for rule in self._rules:
            text = rule(text)
        units = self._tok.split(text)
        if self._tok.chunked:
            return self._assemble(units)
        return self._combine([self._table[token] for _, tokens in self._tok.tokenize_units(units) for token in tokens])

    def _by_piece(self, texts: Sequence[str], plan: Plan) -> list[T]:
        if len(self._units) > _MAX_UNITS:  # of little use beside the pieces
            self._units, self._lefts = {}, {}
        get, careful = self._pieces.get, self._careful
        opened: list[tuple[list[str], list[Any], list[int]] | None] = []
        unknown: dict[str, None] = {}
        for text in texts:
            keys = _keys(text, plan)
            if keys is None:
                opened.append(None)
                continue
            found = list(map(get, keys))
            holes = [i for i, answer in enumerate(found) if not answer]
            unknown.update([(key, None) for i in holes if (key := keys[i]) not in careful])
            opened.append((keys, found, holes))
        self._learn(list(unknown), plan)
        before, after = (self._assemble(units) for units in (plan.before, plan.after))
        return [
            self._combine([before, *work[1], after])
            if work is not None and self._fill(*work, plan)
            else self._whole(text)
            for text, work in zip(texts, opened, strict=True)
        ]

    def _fill(self, keys: list[str], found: list[Any], holes: Sequence[int], plan: Plan) -> bool:
        """Put answers where they were missing. Give False if the text must go the long way."""
        pieces, careful = self._pieces, self._careful
        begin = end = 0  # of the last pieces that were taken together
        for i in holes:
            if (note := careful.get(keys[i])) is None:
                found[i] = pieces[keys[i]]
                continue
            if note.repeats and _thrice(replace_rep(" ".join(keys[max(0, i - 2) : i + 3])).split()):
                return False
            found[i] = note.answer
            if i and note.lefts and self._piece_sticks(keys[i - 1], note.lefts, plan):
                begin, end = begin if end == i else i - 1, i + 1
                together = _chunk_rules(" ".join(keys[begin:end]), plan)
                found[begin:end] = [self._combine(())] * (i - begin) + [self._assemble(self._split(together))]
        return True

    def _piece_sticks(self, left: str, lefts: tuple[str, ...], plan: Plan) -> bool:
        # What a chunk in ASCII ends with, in small letters, its last unit ends with too.
        if left.isascii() and not left.lower().endswith(lefts):
            return False
        return self._tok.sticks(self._split(_chunk_rules(left, plan))[-1], lefts)

    def _learn(self, pieces: Sequence[str], plan: Plan) -> None:
        """Find the answers for pieces that are not known yet."""
        lines = _chunk_rules_together(pieces, plan)
        units_of = list(map(self._split, lines))
        self._cut(chain.from_iterable(units_of))
        known, lefts_of = self._units, self._lefts
        for piece, line, units in zip(pieces, lines, units_of, strict=True):
            if len(units) == 1:
                answer = known[units[0]]
            elif lefts_of.keys().isdisjoint(units[1:]):
                answer = self._combine([known[unit] for unit in units])
            else:
                answer = self._assemble(units)
            lefts, repeats = lefts_of.get(units[0], ()), plan.wrep and TK_REP in line
            if lefts or repeats:
                self._careful[piece] = _Careful(answer, lefts, repeats)
            else:
                self._pieces[piece] = answer
        self._size += sum(map(len, pieces)) + _SIZE_OF_ENTRY * len(pieces)

    def _split(self, line: str) -> list[str]:
        return line.split(" ") if len(line) <= 100 and line.isprintable() else self._tok.split(line)

    def _cut(self, units: Iterable[str]) -> None:
        """Find the answers for units that are not known yet."""
        known, table = self._units, self._table
        new = [unit for unit in dict.fromkeys(units) if unit not in known]
        for unit, tokens in self._tok.tokenize_units(new):
            known[unit] = table[tokens[0]] if len(tokens) == 1 else self._combine([table[token] for token in tokens])
            if lefts := self._tok.lefts(unit, tokens):
                self._lefts[unit] = lefts
        if self._plan is None:
            self._size += sum(map(len, new)) + _SIZE_OF_ENTRY * len(new)

    def _assemble(self, units: Sequence[str]) -> T:
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
        return self._combine([self._units[unit] for unit in units])


def _keys(text: str, plan: Plan) -> list[str] | None:
    """Cut a text into the pieces to look up. Give None if it must go the long way."""
    fixed = without_surrogates(text)
    for rule in plan.whole:
        fixed = rule(fixed)
    chunks = fixed.split()
    thrice = plan.wrep and any(map(eq, chunks, islice(chunks, 1, None))) and _thrice(chunks)
    if thrice or not (chunks or plan.before):
        return None
    # Only in a text that is not printable there can be white space other than spaces.
    return chunks if fixed.isprintable() else _with_odd_space(fixed)


def _with_odd_space(text: str) -> list[str]:
    """Cut a text at its spaces; other white space stays at the front of the chunk that follows it."""
    parts = _ODD_SPACE.split(text.strip())
    keys = parts[0].split()
    for space, words in zip(parts[1::2], parts[2::2], strict=True):
        first, *others = words.split()
        keys.append(space + first)
        keys += others
    return keys


def _thrice(chunks: Sequence[str]) -> bool:
    """Tell whether a chunk may stand three times in a row for `replace_wrep`, the third time perhaps with a tail."""
    return any(a == b and c.startswith(a) for a, b, c in zip(chunks, chunks[1:], chunks[2:], strict=False))


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
