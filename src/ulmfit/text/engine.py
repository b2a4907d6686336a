"""The memory that makes tokenizing fast: every distinct piece of text is cut once.

What is unusual here, and why it is exact:

* After the rules, a text is a sequence of units (`BareTokenizer.split`) whose tokens do not depend on each other. A
  dictionary from unit to tokens therefore gives the tokens that the tokenizer gives for the whole text. Where spaCy's
  special cases could reach across a space (`BareTokenizer.sticks`), the neighbours are made one unit.
* All the default rules but `fix_html` and `replace_wrep` look no further than the next white space. So they too are
  applied once per distinct piece of raw text: a chunk, together with the white space before it if that is more than
  spaces. `replace_wrep` needs a word three times in a row. That is rare and cheap to rule out; a text where it cannot
  be ruled out goes the long way: all rules on the whole text, then unit by unit. So do texts under a user's own rules.

Pieces that were not used for a while are forgotten, so that memory is bounded whatever the texts are.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, compress, islice
from operator import eq
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from ulmfit.text.plan import RULED, make_plan
from ulmfit.text.rules import Rule, replace_rep

T = TypeVar("T")
_Work = tuple[int, list[str], bool]  # the position of a text, what to look up for it, whether rules were applied

_ODD_SPACE = re.compile(r"([^\S ]\s*)")
_SEPARATOR = "\x1c"  # white space to every rule, and very rare in texts
_STICKY, _EXPANDED, _DOUBLED = 1, 2, 4


class BareTokenizer(Protocol):
    """What a tokenizer must offer for its answers to be remembered."""

    kind: str

    @property
    def chunked(self) -> bool:
        """Whether tokens depend on nothing beyond a space, but for what `sticks` tells."""
        ...

    def config(self) -> dict[str, Any]:
        """Tell the arguments that make an equal tokenizer."""
        ...

    def identity(self) -> dict[str, Any]:
        """Tell all that its tokens depend on, versions of other libraries among them."""
        ...

    def save(self, folder: Path) -> None:
        """Write what `config` does not tell into a folder."""
        ...

    def split(self, text: str) -> list[str]:
        """Cut a text into units whose tokens do not depend on each other, but for what `sticks` tells.

        If `chunked`, a printable text without two spaces in a row is cut at its spaces and, within 100 characters, not
        elsewhere.
        """
        ...

    def tokenize_units(self, units: Sequence[str]) -> Iterable[tuple[str, Sequence[str]]]:
        """Cut units into tokens; give each unit with its tokens, in any order."""
        ...

    def may_stick(self, unit: str, tokens: Sequence[str]) -> bool:
        """Tell whether `sticks` can be true of this unit and some unit before it. False is a promise."""
        ...

    def may_precede(self, text: str, right: str, right_tokens: Sequence[str]) -> bool:
        """Tell whether `sticks` can be true of a unit that ends this text and the unit after it. False is a promise."""
        ...

    def sticks(self, left: str, right: str, right_tokens: Sequence[str]) -> bool:
        """Tell whether the tokens of "left right" may be others than those of both apart. False is a promise."""
        ...


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


class _Generations(dict[str, T]):
    """A dictionary that falls back on its previous generation, and notes what it does not know."""

    def __init__(self) -> None:
        super().__init__()
        self.old: dict[str, T] = {}
        self.unknown: dict[str, None] = {}
        self.misses = 0

    def __missing__(self, key: str) -> T | None:
        value = self.old.get(key)
        if value is None:
            self.misses += 1
            self.unknown[key] = None
        else:
            self[key] = value
        return value

    def turn(self) -> None:
        """Forget the previous generation and begin a new one."""
        self.old = dict(self)
        self.clear()


class Memo(Generic[T]):
    """Tokenizes texts piece by piece and remembers an answer of any type for each piece.

    Args:
        tok: the bare tokenizer.
        rules: the rules before the cut.
        table: the answer for a token. May make it when asked (`__missing__`).
        combine: makes one answer of several.
        limit: how many bytes, roughly, a generation of pieces may take before it becomes the previous one. Two are
            kept.
    """

    def __init__(
        self,
        tok: BareTokenizer,
        rules: Sequence[Rule],
        table: Mapping[str, T],
        combine: Callable[[Iterable[T]], T],
        limit: int = 48_000_000,
    ) -> None:
        self._tok, self._rules, self._table, self._combine, self._limit = tok, tuple(rules), table, combine, limit
        self._plan = make_plan(rules) if tok.chunked else None
        self._values: _Generations[T] = _Generations()  # by piece
        self._units: dict[str, T] = {}
        self._sticky: dict[str, Sequence[str]] = {}  # tokens of the units that may stick to the one before them
        self._watched: dict[str, int] = {}  # pieces
        self._first: dict[str, str] = {}  # the first unit of those pieces for which it may stick to what is before it
        self._pairs: dict[tuple[str, str], bool] = {}  # pieces
        self._size = 0
        self._lock = threading.Lock()

    def forget(self) -> None:
        """Forget everything, as needed when the answers of `table` have changed."""
        with self._lock:
            self._turn()
            self._turn()

    def __call__(self, texts: Sequence[str]) -> list[list[T]]:
        """Tokenize texts.

        Args:
            texts: some texts; hundreds are better than one, as new pieces are cut together.

        Returns:
            For each text the answers for its pieces, in order.
        """
        if not self._tok.chunked:
            return [self._whole(text) for text in texts]
        with self._lock:
            if self._size > self._limit:
                self._turn()
            answers: list[list[T]] = [[]] * len(texts)
            # Not a list: a text all of whose pieces are known is done before the next is cut, while in the CPU's cache.
            work: Iterable[_Work] = ((i, *self._keys(text)) for i, text in enumerate(texts))
            while left := list(self._round(texts, work, answers)):
                self._learn()
                work = left
            return answers

    def _whole(self, text: str) -> list[T]:
        units = self._tok.split(self._apply(without_surrogates(text)))
        known = dict(self._tok.tokenize_units(units))
        return [self._table[token] for unit in units for token in known[unit]]

    def _apply(self, text: str) -> str:
        for rule in self._rules:
            text = rule(text)
        return text

    def _turn(self) -> None:
        self._values.turn()
        self._watched = {key: flags for key, flags in self._watched.items() if key in self._values.old}
        self._units, self._sticky, self._first, self._pairs, self._size = {}, {}, {}, {}, 0

    def _round(self, texts: Sequence[str], work: Iterable[_Work], answers: list[list[T]]) -> Iterable[_Work]:
        """Answer the texts all of whose pieces are known; give back the others, with what to look up next."""
        values, watched = self._values, self._watched.keys()
        for i, keys, ruled in work:
            misses = values.misses
            found = [values[key] for key in keys]
            if values.misses != misses:
                yield i, keys, ruled
            elif watched.isdisjoint(keys) or not (close := self._close(keys)):
                answers[i] = found
            elif ruled:
                yield i, _merged(keys, close), True
            else:
                yield i, self._ruled_keys(texts[i]), True

    def _keys(self, text: str) -> tuple[list[str], bool]:
        """Cut a text into the pieces to look up: raw chunks if nothing speaks against it yet, else ruled units."""
        plan = self._plan
        if plan is None:
            return self._ruled_keys(text), True
        fixed = without_surrogates(text)
        for rule in plan.whole:
            fixed = rule(fixed)
        keys = chunks = fixed.split()
        thrice = plan.wrep and any(map(eq, chunks, islice(chunks, 1, None))) and _thrice(chunks)
        if thrice or not (chunks or plan.before):
            return self._ruled_keys(text), True
        if not fixed.isprintable():  # only then can there be white space other than spaces
            keys = _with_odd_space(fixed)
        return [*plan.before, *keys, *plan.after], False

    def _ruled_keys(self, text: str) -> list[str]:
        return [RULED + unit for unit in self._tok.split(self._apply(without_surrogates(text)))]

    def _close(self, keys: Sequence[str]) -> list[int]:
        """Find the pieces whose answers cannot be taken as they are: because of the piece before, or any (raw only)."""
        watched = self._watched
        return [i for i in [i for i, key in enumerate(keys) if key in watched] if self._is_close(keys, i)]

    def _is_close(self, keys: Sequence[str], i: int) -> bool:
        flags = self._watched[keys[i]]
        return (
            flags & _DOUBLED != 0
            or (i > 0 and self._interact(keys[i - 1], keys[i]))
            or (flags & _EXPANDED != 0 and i + 1 < len(keys) and self._interact(keys[i], keys[i + 1]))
        )

    def _interact(self, left: str, right: str) -> bool:
        """Tell whether two neighbours can have other tokens together than apart."""
        answer = self._pairs.get((left, right))
        if answer is None:
            answer = False
            if self._watched.get(right, 0) & _STICKY:
                unit = self._first.get(right) or self._units_of(right)[0]
                # The last unit of a chunk in ASCII is the chunk's end, in small letters.
                maybe = not left.isascii() or self._tok.may_precede(left.lower(), unit, self._tokens_of(unit))
                answer = maybe and self._sticks(self._units_of(left)[-1], unit)
            if not answer and (self._watched.get(left, 0) | self._watched.get(right, 0)) & _EXPANDED:
                answer = replace_rep(left).split()[-1] == replace_rep(right).split()[0]
            self._pairs[left, right] = answer
        return answer

    def _units_of(self, key: str) -> list[str]:
        return [key[1:]] if key[0] == RULED else self._tok.split(self._chunk_rules(key).strip(" "))

    def _chunk_rules(self, text: str) -> str:
        for rule in self._plan.chunkwise if self._plan else ():
            text = rule(text)
        return text.lower()

    def _learn(self) -> None:
        """Cut the pieces that were asked for and not known."""
        keys = list(self._values.unknown)
        self._values.unknown = {}
        ruled = [key for key in keys if key[0] == RULED]
        raw = [key for key in keys if key[0] != RULED and _SEPARATOR not in key]
        odd = [key for key in keys if key[0] != RULED and _SEPARATOR in key]
        keys = [*raw, *odd, *ruled]
        # The rules see all new chunks as one text. White space keeps the chunks apart for every one of them.
        joined = _SEPARATOR.join(raw)
        lines = [line.strip(" ") for line in self._chunk_rules(joined).split(_SEPARATOR)] if raw else []
        lines += [self._chunk_rules(key).strip(" ") for key in odd]
        lines += [key[1:] for key in ruled]
        alone = [
            (len(line) <= 100 and line.isalnum()) or key[0] == RULED for key, line in zip(keys, lines, strict=True)
        ]
        # Lines are cut twice, as lists that live on would cost more, in garbage collection.
        several = [line for line, one in zip(lines, alone, strict=True) if not one]
        self._cut(chain(compress(lines, alone), chain.from_iterable(map(self._split, several))))
        known, sticky, values = self._units, self._sticky, self._values
        for key, line, one in zip(keys, lines, alone, strict=True):
            if one and line not in sticky:
                values[key] = known[line]
            else:
                self._add(key, [line] if one else self._split(line))
        self._size += sum(map(len, keys)) + 250 * len(keys)
        if self._plan is not None and self._plan.wrep and replace_rep in self._plan.chunkwise:
            expanded = (replace_rep(joined).split(_SEPARATOR) if raw else []) + [replace_rep(key) for key in odd]
            self._watch_expanded(raw + odd, expanded)

    def _split(self, line: str) -> list[str]:
        return line.split(" ") if len(line) <= 100 and line.isprintable() else self._tok.split(line)

    def _cut(self, units: Iterable[str]) -> None:
        """Find the answers for units that are not known yet."""
        known, table, may_stick, sticky = self._units, self._table, self._tok.may_stick, self._sticky
        for unit, tokens in self._tok.tokenize_units(list(set(units).difference(known))):
            known[unit] = table[tokens[0]] if len(tokens) == 1 else self._combine([table[token] for token in tokens])
            if may_stick(unit, tokens):
                sticky[unit] = tokens

    def _add(self, key: str, units: Sequence[str]) -> None:
        """Remember the answer for a piece, now that its units are known."""
        known, sticky = self._units, self._sticky
        if units[0] in sticky:
            self._watched[key] = _STICKY
            self._first[key] = units[0]
        if len(units) == 1:
            self._values[key] = known[units[0]]
            return
        if not sticky.keys().isdisjoint(units):
            close = [i for i in range(1, len(units)) if units[i] in sticky and self._sticks(units[i - 1], units[i])]
            if close:
                units = _merged(units, close)
                self._cut(units)
        self._values[key] = self._combine([known[unit] for unit in units])

    def _sticks(self, left: str, right: str) -> bool:
        return self._tok.sticks(left, right, self._tokens_of(right))

    def _tokens_of(self, unit: str) -> Sequence[str]:
        if unit not in self._sticky:  # forgotten since its piece was learned
            self._sticky.update(self._tok.tokenize_units([unit]))
        return self._sticky[unit]

    def _watch_expanded(self, keys: Sequence[str], expanded: Sequence[str]) -> None:
        for key, longer in zip(keys, expanded, strict=True):
            if key != longer:
                words = longer.split()
                flags = _EXPANDED | (_DOUBLED if any(map(eq, words, words[1:])) else 0)
                self._watched[key] = self._watched.get(key, 0) | flags


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


def _merged(keys: Sequence[str], close: Sequence[int]) -> list[str]:
    """Make one piece of those at the positions `close` and the ones before them."""
    out: list[str] = []
    at = frozenset(close)
    for i, key in enumerate(keys):
        if i in at:
            out[-1] += key if key[0] == RULED else f" {key}"
        else:
            out.append(key)
    return out
