"""The word tokenizer: spaCy's rules for a language, cut into units that can be remembered one by one."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.metadata import entry_points, version
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

from ulmfit.errors import ConfigError
from ulmfit.text.affixes import LONGEST_UNIT, Affixes
from ulmfit.text.base import BareTokenizer
from ulmfit.text.rules import SPECIAL_TOKENS

_MAX_LEXEMES = 200_000
_UNITS_AT_ONCE = 4_000

# Every run of white space but a single space is a token of its own for spaCy, without the space it may begin with.
_ODD_SPACE = re.compile(r"(\s\s+|[^\S ])")
_SEPARATOR = "\n"


class WordTokenizer(BareTokenizer):
    """Cuts texts into words and punctuation with the rules of spaCy for a language.

    Args:
        lang: a language that spaCy knows, as its two- or three-letter code.
        special_toks: tokens that are never cut; None for the usual nine.
        buf_sz: not used; there for programs that give it.

    Source: Honnibal, Montani, Van Landeghem and Boyd (2020), "spaCy: Industrial-strength Natural Language Processing in
    Python"; its documentation describes the algorithm under "Linguistic features", "Tokenization".
    """

    kind = "word"

    def __init__(self, lang: str = "en", special_toks: Sequence[str] | None = None, buf_sz: int = 5000) -> None:
        if not _is_known(lang):
            raise ConfigError(
                f"spaCy has no rules for the language {lang!r}. Give the code of a language that is listed on "
                "https://spacy.io/usage/models#languages."
            )
        self.lang, self.buf_sz = lang, buf_sz
        self.special_toks = tuple(SPECIAL_TOKENS if special_toks is None else special_toks)
        self._spacy: _Spacy | None = None

    def config(self) -> dict[str, Any]:
        """Tell the language and the special tokens."""
        return {"lang": self.lang, "special_toks": list(self.special_toks)}

    def identity(self) -> dict[str, Any]:
        """Tell the arguments and the version of spaCy."""
        return self.config() | {"spacy": version("spacy")}

    @property
    def chunked(self) -> bool:  # type: ignore[override]
        """Not so for languages that are written without spaces (Chinese, Japanese, Thai ...)."""
        return self._rules().regular

    def _rules(self) -> _Spacy:
        if self._spacy is None:
            self._spacy = _Spacy(self.lang, self.special_toks)
        return self._spacy

    def split(self, text: str) -> list[str]:
        """Cut a text into words, and runs of white space other than one space."""
        if not self._rules().regular:
            return [text] if text else []
        if text.isprintable() and "  " not in text and text[:1] != " ":
            units = text.rstrip(" ").split(" ") if text else []
        else:
            units = _split_oddly(text)
        if len(text) > LONGEST_UNIT:
            units = [part for unit in units for part in _parts(unit)]
        return units

    def tokenize_units(self, units: Sequence[str]) -> Iterator[Sequence[str]]:
        """Cut words, or several joined by one space each."""
        spacy = self._rules()
        for start in range(0, len(units), _UNITS_AT_ONCE):
            yield from spacy.cut_all(units[start : start + _UNITS_AT_ONCE])

    def lefts(self, units: Sequence[str], tokens: Iterable[Sequence[str]]) -> dict[str, tuple[str, ...]]:
        """Tell the tokens that can stand before a unit within a special case.

        spaCy looks for its special cases (emoticons, abbreviations) in the sequence of tokens, where a space between
        two tokens does not count: the bracket in "x:) )" keeps ":)" from being found.
        """
        return self._rules().lefts(units, tokens)

    def sticks(self, left: str, lefts: tuple[str, ...]) -> bool:
        """Tell whether a unit may end with one of these tokens."""
        return self._rules().may_end_with(left, lefts)

    def __call__(self, texts: Iterable[str]) -> Iterator[list[str]]:
        """Cut texts into tokens, without rules and without remembering.

        Args:
            texts: any number of texts.

        Yields:
            The tokens of each text.
        """
        spacy = self._rules()
        for text in texts:
            yield spacy.cut(text)

    def pipe(self, texts: Iterable[str]) -> Iterator[list[str]]:
        """Cut texts into tokens: a call of the tokenizer, under the name that it has in spaCy."""
        return self(texts)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_spacy": None}


SpacyTokenizer = WordTokenizer


@cache
def _is_known(lang: str) -> bool:
    """Whether spaCy has a folder for a language, or another package adds it; told without importing spaCy."""
    spec = find_spec("spacy")
    roots = [] if spec is None else spec.submodule_search_locations or []
    return any((Path(root) / "lang" / lang).is_dir() for root in roots) or any(
        entry.name == lang for entry in entry_points(group="spacy_languages")
    )


class _Spacy:
    """spaCy's tokenizer for one language, and what must be known of its special cases.

    A special case of several tokens is found wherever its tokens follow each other, even across a space. `_lefts` holds
    which tokens stand before a token in such cases; `_first_outputs` and `_last_outputs` are what the cases begin and
    end with once they have been found.
    """

    def __init__(self, lang: str, special_toks: Sequence[str]) -> None:
        import spacy
        from spacy.symbols import ORTH
        from spacy.tokenizer import Tokenizer

        try:
            nlp = spacy.blank(lang)
        except ImportError as error:
            raise ConfigError(
                f"spaCy has no rules for the language {lang!r}, or they need another package. Give the code of a "
                "language that is listed on https://spacy.io/usage/models#languages; subwords and characters need no "
                f"rules. ({error})"
            ) from error
        tokenizer: Any = nlp.tokenizer
        self._tokenizer: Any = tokenizer
        self.regular = isinstance(tokenizer, Tokenizer)
        any_special = "|".join(re.escape(token) for token in sorted(special_toks, key=len, reverse=True))
        # The space behind a special token only sets it apart and would be a token of its own.
        self._special = re.compile(rf"(?<!\S)({any_special})(?:\s|$)") if any_special else None
        if not self.regular:
            return
        for token in special_toks:
            tokenizer.add_special_case(token, [{ORTH: token}])
        # Only the tokens are wanted. In a vocabulary without functions for attributes a new word costs a third less.
        self._tokenizer = self._renewed()
        self._learn_special_cases()

    def _learn_special_cases(self) -> None:
        plain, rules = self._renewed({}), self._tokenizer.rules
        before: dict[str, set[str]] = defaultdict(set)
        self._first_outputs: set[str] = set()
        self._last_outputs: set[str] = set()
        self._cases: dict[str, list[str]] = {}
        for case in rules:
            tokens = [token.text for token in plain(case)]
            self._cases[case] = whole = self.cut(case)
            if len(tokens) > 1:
                for token, following in pairwise(tokens):
                    before[following].add(token)
                self._first_outputs.add(whole[0])
                self._last_outputs.add(whole[-1])
        self._lefts = {right: tuple(sorted(lefts)) for right, lefts in before.items()}
        self._any_second = tuple(before)
        self._openers = self._first_outputs.union(before)
        self._affixes = Affixes(self._tokenizer, self._cases, before)

    def _renewed(self, rules: dict[str, Any] | None = None) -> Any:
        """Make the same tokenizer with an empty vocabulary, and perhaps with other special cases."""
        from spacy.tokenizer import Tokenizer
        from spacy.vocab import Vocab

        old = self._tokenizer
        return Tokenizer(
            Vocab(),
            rules=old.rules if rules is None else rules,
            prefix_search=old.prefix_search,
            suffix_search=old.suffix_search,
            infix_finditer=old.infix_finditer,
            token_match=old.token_match,
            url_match=old.url_match,
            faster_heuristics=old.faster_heuristics,
        )

    def cut(self, text: str) -> list[str]:
        if not self.regular:
            return list(self._cut_around_special(text))
        if len(self._tokenizer.vocab) > _MAX_LEXEMES:  # it never forgets a word
            self._tokenizer = self._renewed()
        return [token.text for token in self._tokenizer(text)]

    def _cut_around_special(self, text: str) -> Iterator[str]:
        """Keep special tokens whole where spaCy has no rules for them."""
        parts = [text] if self._special is None else self._special.split(text)
        for i, part in enumerate(parts):
            if i % 2:
                yield part
            elif part:
                yield from (token.text for token in self._tokenizer(part))

    def cut_all(self, units: Sequence[str]) -> Sequence[Sequence[str]]:
        """Cut many units, through spaCy only those that need it."""
        if not self.regular or not self._affixes.usable:
            return self._cut_together(units)
        found = list(map(self._affixes.cut, units))
        left = [i for i, tokens in enumerate(found) if tokens is None]
        for i, tokens in zip(left, self._cut_together([units[i] for i in left]), strict=True):
            found[i] = tuple(tokens)
        return cast(list[tuple[str, ...]], found)

    def _cut_together(self, units: Sequence[str]) -> list[list[str]]:
        """Cut many units as one text, in which a newline keeps them apart."""
        if not self.regular or len(units) < 2 or any(map(str.isspace, units)):
            return [self.cut(unit) for unit in units]
        cut = self.cut(_SEPARATOR.join(units))
        ends = [i for i, token in enumerate(cut) if token == _SEPARATOR]
        starts = [0, *(end + 1 for end in ends)]
        return [cut[start:end] for start, end in zip(starts, [*ends, len(cut)], strict=True)]

    def lefts(self, units: Sequence[str], tokens_of: Iterable[Sequence[str]]) -> dict[str, tuple[str, ...]]:
        """Find the tokens that can stand before a unit within a special case."""
        found: dict[str, tuple[str, ...]] = {}
        for unit, tokens in zip(units, tokens_of, strict=True):
            if tokens[0] not in self._openers:
                continue
            lefts = self._lefts.get(tokens[0], ())
            # A special case found at the beginning of the unit hides which tokens were there.
            hidden = len(tokens) > 1 and tokens[0] in self._first_outputs and unit not in self._cases
            if hidden and unit.startswith(self._any_second):
                lefts += tuple(e for token, ends in self._lefts.items() if unit.startswith(token) for e in ends)
            if lefts:
                found[unit] = lefts
        return found

    def may_end_with(self, unit: str, tokens: tuple[str, ...]) -> bool:
        if not unit.endswith(tokens):
            return False
        found = self.cut(unit)
        hidden = len(found) > 1 and found[-1] in self._last_outputs and unit not in self._cases
        return hidden or found[-1] in tokens


def _split_oddly(text: str) -> list[str]:
    units: list[str] = []
    for i, part in enumerate(_ODD_SPACE.split(text)):
        if not i % 2:
            # A single space that begins the text is a token for spaCy; any other only separates.
            units += ([" "] if i == 0 and part[:1] == " " else []) + part.split()
        else:
            units.append(part[1:] if part[0] == " " and i + len(units) > 1 else part)
    return units


def _parts(unit: str) -> Iterable[str]:
    return (unit[i : i + LONGEST_UNIT] for i in range(0, len(unit), LONGEST_UNIT))
