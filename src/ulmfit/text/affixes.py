"""spaCy's way of cutting a word, without spaCy's objects, and what can be told about its patterns without running them.

spaCy cuts a word in a loop: take a prefix and a suffix off, until the rest is a special case or has none; then look for
infixes in the rest. Most words of a text are only letters, or letters with punctuation around them. A look at the
patterns themselves shows that none of them can match within letters alone, whatever the letters: the loop then ends at
such a rest, and it is one token. It also shows on how many letters before its end a word's suffix can depend, so that
suffixes can be remembered. Where the look shows nothing (a pattern of a kind that it does not know), spaCy does the
work.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf
from typing import Any

_LETTERS = frozenset([*range(ord("a"), ord("z") + 1), *range(0xDF, 0xF7), *range(0xF8, 0x100)])
"""a to z and the small letters of Latin-1."""

LONGEST_UNIT = 1_000
"""A word of more characters than this is cut. spaCy needs time quadratic in the length of a word."""

_MAX_SUFFIXES = 100_000
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


def _most_letters(nodes: Iterable[Any]) -> float:
    """Tell how many letters a pattern can look at, at most; infinite where that is not known."""
    return sum(map(_most_letters_of, nodes))


def _most_letters_of(node: Any) -> float:
    kind, value = str(node[0]), node[1]
    if kind == "LITERAL":
        return value in _LETTERS
    if kind == "IN":
        return any(_allows(value, code) for code in _LETTERS)
    if kind == "BRANCH":
        return max(map(_most_letters, value[1]))
    if kind in ("SUBPATTERN", "ASSERT", "ASSERT_NOT"):
        return _most_letters(value[-1])
    if kind in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        once = _most_letters(value[2])
        return once and once * (inf if str(value[1]) == "MAXREPEAT" else value[1])
    return 0 if kind == "AT" and str(value) == "AT_END" else inf


def _may_end_with(nodes: Sequence[Any], code: int) -> bool:
    """Tell whether what a pattern matches may end with a character. False is a proof."""
    for node in reversed(nodes):
        kind, value = str(node[0]), node[1]
        if kind in ("AT", "ASSERT", "ASSERT_NOT"):
            continue
        if kind == "LITERAL":
            return bool(value == code)
        if kind == "IN":
            return _allows(value, code)
        if kind == "BRANCH":
            return any(_may_end_with(branch, code) for branch in value[1])
        if kind == "SUBPATTERN":
            return _may_end_with(value[-1], code)
        if kind in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT") and value[0] > 0:
            return _may_end_with(value[2], code)
        return True
    return True


class Affixes:
    """Cuts words as spaCy does.

    Args:
        tokenizer: spaCy's tokenizer.
        cases: the words that it treats specially, with their tokens.
        before: which tokens may stand before a token within a special case of several tokens.
    """

    def __init__(self, tokenizer: Any, cases: Mapping[str, Sequence[str]], before: Mapping[str, set[str]]) -> None:
        self._prefix, self._suffix = tokenizer.prefix_search, tokenizer.suffix_search
        self._infixes, self._url = tokenizer.infix_finditer, tokenizer.url_match
        self._cases = {case: tuple(tokens) for case, tokens in cases.items()}
        self._splitting = frozenset(case for case, tokens in self._cases.items() if tokens != (case,))
        self._lefts = {right: tuple(lefts) for right, lefts in before.items()}
        self._rights: dict[str, tuple[str, ...]] = {}
        for right, lefts in before.items():
            for left in lefts:
                self._rights[left] = (*self._rights.get(left, ()), right)
        self._only_letters = re.compile(f"[{_ONE_OF_LETTERS}]+").fullmatch
        self._first_letter = re.compile(f"[{_ONE_OF_LETTERS}]").match
        self._suffixes: dict[str, int] = {}
        self._enough: dict[str, int] = {}
        within = _patterns_of(self._prefix, self._suffix, self._infixes, self._url)
        self.usable = bool(
            tokenizer.token_match is None and within is not None and self._prefix and self._suffix and self._infixes
        )
        if self.usable and within:
            try:
                trees = [_parsed(p.pattern, p.flags & ~re.UNICODE) for p in within]
                ignoring = any(p.flags & re.IGNORECASE for p in within)
                self.usable = not ignoring and not any(all(map(_can_match, tree)) for tree in trees)
                self._prefix_letters = _can_begin(trees[0])
                top = trees[1]
                whole = len(top) == 1 and str(top[0][0]) == "BRANCH"
                self._endings = [(nodes, _most_letters(nodes)) for nodes in (top[0][1][1] if whole else [top])]
            except (ImportError, AttributeError, TypeError, IndexError, ValueError, re.error):
                self.usable = False

    def cut(self, unit: str) -> tuple[str, ...] | None:
        """Cut a word into tokens.

        Args:
            unit: a word, several joined by one space each, or white space.

        Returns:
            Its tokens. None if spaCy must do it, because a special case might reach across the borders found here.
        """
        cases, only_letters = self._cases, self._only_letters
        if only_letters(unit) and len(unit) <= LONGEST_UNIT:
            return cases.get(unit) or (unit,)
        if unit[0].isspace():
            return (unit,)
        if len(unit) > LONGEST_UNIT or " " in unit:
            return None
        word, last = unit[:-1], unit[-1:]
        if only_letters(word) and not self._prefix_letters and self._suffix_length(unit) == 1:
            special = word in cases or unit in cases or last in self._splitting or word in self._lefts.get(last, ())
            if not special:
                return (word, last)  # the most frequent form, found sooner
        prefixes: list[str] = []
        suffixes: list[str] = []
        rest, whole = unit, False
        while rest and not whole and rest not in cases:
            begun = 0
            if (self._prefix_letters or not self._first_letter(rest)) and (found := self._prefix(rest)):
                begun = found.end() - found.start()
                if begun and rest[begun:] in cases:
                    prefixes.append(rest[:begun])
                    rest = rest[begun:]
                    break
            ended = self._suffix_length(rest[begun:])
            if not (begun or ended):
                break
            if ended:
                suffixes.append(rest[-ended:])
                if rest[:-ended] in cases:
                    rest = rest[:-ended]
                    break
            if begun:
                prefixes.append(rest[:begun])
            rest = rest[begun : len(rest) - ended]
            whole = only_letters(rest) is not None
        suffixes.reverse()
        if rest in cases:
            alone = self._alone(prefixes) and self._alone(suffixes) and not self._borders_case(prefixes, rest, suffixes)
            return (*prefixes, *cases[rest], *suffixes) if alone else None
        middle = (rest,) if whole else self._at_infixes(rest) if rest else ()
        tokens = (*prefixes, *middle, *suffixes)
        return tokens if self._alone(tokens) else None

    def _suffix_length(self, text: str) -> int:
        """Find how long the suffix is that spaCy takes off a text."""
        last = text[-1:]
        if (enough := self._enough.get(last)) is None:
            enough = self._enough[last] = self._letters_before(last)
        end = text[-enough - 1 :]
        # Enough letters before the last character keep the pattern from seeing what is before them.
        if len(end) < len(text) and not self._only_letters(end[:-1]):
            found = self._suffix(text)
            return found.end() - found.start() if found else 0
        length = self._suffixes.get(end)
        if length is None:
            found = self._suffix(end)
            if len(self._suffixes) > _MAX_SUFFIXES:
                self._suffixes.clear()
            length = self._suffixes[end] = found.end() - found.start() if found else 0
        return length

    def _letters_before(self, last: str) -> int:
        """Tell how many letters before a last character hide from the pattern of suffixes what is before them."""
        seen = [most for nodes, most in self._endings if not last or _may_end_with(nodes, ord(last))]
        return int(min(max(seen, default=0), LONGEST_UNIT)) + 1

    def _at_infixes(self, text: str) -> tuple[str, ...]:
        tokens: list[str] = []
        start = 0
        for infix in self._infixes(text):
            if infix.start() == 0:
                continue
            if infix.start() != start:
                tokens.append(text[start : infix.start()])
            if infix.start() != infix.end():
                tokens.append(infix[0])
            start = infix.end()
        if not start or (self._url and self._url(text)):
            return (text,)
        return (*tokens, text[start:]) if start < len(text) else tuple(tokens)

    def _alone(self, tokens: Sequence[str]) -> bool:
        """Tell whether no special case can be found in tokens that follow each other."""
        if not self._splitting.isdisjoint(tokens):
            return False
        lefts, left = self._lefts, ""
        for token in tokens:
            if token in lefts and left in lefts[token]:
                return False
            left = token
        return True

    def _borders_case(self, prefixes: Sequence[str], case: str, suffixes: Sequence[str]) -> bool:
        """Tell whether a token beside a special case might be part of a longer one with what the case ends with."""
        return bool(suffixes and case.endswith(self._lefts.get(suffixes[0], ()))) or bool(
            prefixes and case.startswith(self._rights.get(prefixes[-1], ()))
        )
