"""The word tokenizer: spaCy's rules for a language, applied to each distinct chunk of text once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ulmfit.errors import ConfigError
from ulmfit.text.rules import SPECIAL_TOKENS

if TYPE_CHECKING:
    from spacy.tokenizer import Tokenizer as _SpacyRules

# Every run of white space but a single space is a token of its own for spaCy.
_ODD_SPACE = re.compile(r"(\s\s+|[^\S ])")


class WordTokenizer:
    """Cuts texts into words and punctuation with the rules of spaCy for a language.

    Args:
        lang: a language that spaCy knows, as its two- or three-letter code.
        special_toks: tokens that are never cut; None for the usual nine.

    Source: Honnibal, Montani, Van Landeghem and Boyd (2020), "spaCy: Industrial-strength Natural Language Processing in
    Python"; the algorithm stands in its documentation under "Linguistic features", "Tokenization".
    """

    kind = "word"
    chunked = True

    def __init__(self, lang: str = "en", special_toks: Sequence[str] | None = None) -> None:
        self.lang = lang
        self.special_toks = tuple(SPECIAL_TOKENS if special_toks is None else special_toks)
        self._spacy: _SpacyRules | None = None

    def config(self) -> dict[str, Any]:
        """Tell what distinguishes this tokenizer from others of its kind.

        Returns:
            The arguments that make an equal tokenizer.
        """
        return {"lang": self.lang, "special_toks": list(self.special_toks)}

    def _rules(self) -> _SpacyRules:
        if self._spacy is None:
            import spacy
            from spacy.symbols import ORTH

            try:
                nlp = spacy.blank(self.lang)
            except ImportError as error:
                raise ConfigError(f"spaCy has no rules for the language {self.lang!r}, or they need more packages: {error}") from error
            for token in self.special_toks:
                nlp.tokenizer.add_special_case(token, [{ORTH: token}])
            self._spacy = nlp.tokenizer
        return self._spacy

    def split(self, text: str) -> list[str]:
        """Cut a text into units whose tokens do not depend on each other.

        Args:
            text: any text.

        Returns:
            The units in order. The tokens of the text are those of its units, one after the other.
        """
        return [text]

    def tokenize_units(self, units: Sequence[str]) -> list[list[str]]:
        """Cut units into tokens.

        Args:
            units: what `split` gave.

        Returns:
            The tokens of each unit.
        """
        rules = self._rules()
        return [[token.text for token in rules(unit)] for unit in units]

    def __call__(self, texts: Iterable[str]) -> Iterator[list[str]]:
        """Cut texts into tokens, without rules.

        Args:
            texts: any number of texts.

        Yields:
            The tokens of each text.
        """
        for text in texts:
            yield [token for tokens in self.tokenize_units(self.split(text)) for token in tokens]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_spacy": None}


SpacyTokenizer = WordTokenizer
