"""What can be told about spaCy's patterns without running them, to spare most words the way through spaCy.

spaCy cuts a word in a loop: take a prefix and a suffix off, until the rest is a special case or has none; then look for
infixes in the rest. Most words of a text are only letters, or letters with punctuation around them. A look at the
patterns themselves shows that none of them can match within letters alone, whatever the letters: the loop then ends at
such a rest, and it is one token. Where the look shows nothing (a pattern of a kind that it does not know), spaCy
does the work.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Collection, Sequence
from itertools import pairwise
from typing import Any

_LETTERS = frozenset([*range(ord("a"), ord("z") + 1), *range(0xDF, 0xF7), *range(0xF8, 0x100)])
"""a to z and the small letters of Latin-1."""

_ONE_OF_LETTERS = "a-z\u00df-\u00f6\u00f8-\u00ff"


def _parsed(pattern: str, flags: int) -> Any:
    """Parse a pattern with the parser of `re`. It is private: whatever goes wrong here only costs speed."""
    return importlib.import_module("re._parser").parse(pattern, flags)


def _allows(items: Sequence[Any], code: int) -> bool:
    """Tell whether a character class may hold a character."""
    negated = str(items[0][0]) == "NEGATE"
    for kind, value in items[1:] if negated else items:
        if str(kind) == "LITERAL":
            hit = value == code
        elif str(kind) == "RANGE":
            hit = value[0] <= code <= value[1]
        else:
            return True
        if hit:
            return not negated
    return negated


def _can_match(node: Any) -> bool:
    """Tell whether a part of a pattern may match within letters, looking at letters only. False is a proof."""
    kind, value = str(node[0]), node[1]
    if kind == "LITERAL":
        return value in _LETTERS
    if kind == "IN":
        return any(_allows(value, code) for code in _LETTERS)
    if kind == "BRANCH":
        return any(all(map(_can_match, branch)) for branch in value[1])
    if kind in ("SUBPATTERN", "ASSERT"):
        return all(map(_can_match, value[-1]))
    if kind in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        return value[0] == 0 or all(map(_can_match, value[2]))
    if kind == "ATOMIC_GROUP":
        return all(map(_can_match, value))
    return True


def _can_begin(nodes: Sequence[Any]) -> bool:
    """Tell whether a pattern may match a text that begins with a letter. False is a proof."""
    for node in nodes:
        kind, value = str(node[0]), node[1]
        if kind in ("AT", "ASSERT", "ASSERT_NOT"):
            continue
        if kind in ("LITERAL", "IN"):
            return _can_match(node)
        if kind == "BRANCH":
            return any(_can_begin(branch) for branch in value[1])
        if kind == "SUBPATTERN":
            return _can_begin(value[-1])
        if kind in ("MAX_REPEAT", "MIN_REPEAT") and value[0] > 0:
            return _can_begin(value[2])
        return True
    return True


def _patterns_of(*functions: Callable[..., Any] | None) -> list[re.Pattern[str]] | None:
    """Find the patterns whose methods these are; None if one is something else."""
    patterns = [getattr(function, "__self__", None) for function in functions if function is not None]
    return (
        [p for p in patterns if isinstance(p, re.Pattern)] if all(isinstance(p, re.Pattern) for p in patterns) else None
    )


class Affixes:
    """Takes prefixes and suffixes off words as spaCy does, as far as needed to see letters alone.

    Args:
        tokenizer: spaCy's tokenizer.
        cases: the words that it treats specially.
        before: which tokens may stand before a token within a special case of several tokens.
    """

    def __init__(self, tokenizer: Any, cases: Collection[str], before: dict[str, set[str]]) -> None:
        self._prefix, self._suffix = tokenizer.prefix_search, tokenizer.suffix_search
        self._cases, self._before = cases, before
        self._after: dict[str, tuple[str, ...]] = {}
        for right, lefts in before.items():
            for left in lefts:
                self._after[left] = (*self._after.get(left, ()), right)
        self._only_letters = re.compile(f"[{_ONE_OF_LETTERS}]+").fullmatch
        self._first_letter = re.compile(f"[{_ONE_OF_LETTERS}]").match
        within = _patterns_of(self._prefix, self._suffix, tokenizer.infix_finditer, tokenizer.url_match)
        self.usable = tokenizer.token_match is None and within is not None and self._prefix and self._suffix
        if self.usable and within:
            try:
                trees = [_parsed(p.pattern, p.flags & ~re.UNICODE) for p in within]
                ignoring = any(p.flags & re.IGNORECASE for p in within)
                self.usable = not ignoring and not any(all(map(_can_match, tree)) for tree in trees)
                self._prefix_letters = _can_begin(trees[0])
            except (ImportError, AttributeError, TypeError, IndexError, ValueError, re.error):
                self.usable = False

    def is_word(self, unit: str) -> bool:
        """Tell whether a unit is surely one token.

        Args:
            unit: a word.

        Returns:
            True is a promise.
        """
        return self._only_letters(unit) is not None and unit not in self._cases

    def peel(self, unit: str) -> tuple[list[str], str, list[str], bool] | None:
        """Take off what spaCy takes off.

        Args:
            unit: a word.

        Returns:
            The tokens before the rest, the rest, the tokens behind it, and whether the rest is surely one token (or
            nothing) and not still to be cut. None if the unit must be cut as a whole, because a special case might
            reach across these borders.
        """
        prefixes: list[str] = []
        suffixes: list[str] = []
        rest, cases, only_letters = unit, self._cases, self._only_letters
        while rest and not (word := only_letters(rest)) and rest not in cases:
            tail = rest
            if (self._prefix_letters or not self._first_letter(rest)) and (found := self._prefix(rest)):
                length = found.end() - found.start()
                if length:
                    prefixes.append(rest[:length])
                    tail = rest[length:]
                    if not tail or tail in cases:
                        rest = tail
                        continue
            if found := self._suffix(tail):
                length = found.end() - found.start()
                if length:
                    suffixes.append(tail[-length:])
                    tail = tail[:-length]
            if len(tail) == len(rest):
                break
            rest = tail
        suffixes.reverse()
        single = not rest or (word is not None and rest not in cases)
        return None if self._may_join(prefixes, rest, suffixes, single) else (prefixes, rest, suffixes, single)

    def _may_join(self, prefixes: Sequence[str], rest: str, suffixes: Sequence[str], single: bool) -> bool:
        """Tell whether tokens next to each other might be parts of one special case."""
        before, after = self._before, self._after
        if len(prefixes) + len(suffixes) > 1:
            tokens = [*prefixes, *suffixes]
            for left, right in pairwise(tokens):
                if right in before and left in before[right]:
                    return True
        if (
            suffixes
            and (lefts := before.get(suffixes[0]))
            and (rest in lefts if single else rest.endswith(tuple(lefts)))
        ):
            return True
        rights = after.get(prefixes[-1]) if prefixes else None
        return rights is not None and (rest in rights if single else rest.startswith(rights))
