"""The character tokenizer, for languages and tasks where words are no good unit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ulmfit.text.rules import SPECIAL_TOKENS


class CharTokenizer:
    """Cuts texts into characters (code points). Special tokens stay whole.

    Args:
        special_toks: tokens that are never cut; None for the usual nine. They are recognized as whole words only.
    """

    kind = "char"
    chunked = False

    def __init__(self, special_toks: Sequence[str] | None = None) -> None:
        self.special_toks = tuple(SPECIAL_TOKENS if special_toks is None else special_toks)
        # The space behind a special token only sets it apart and would be noise as a token of its own.
        special = "|".join(re.escape(token) for token in sorted(self.special_toks, key=len, reverse=True))
        self._pattern = re.compile(rf"(?<!\S)({special})(?:\s|$)|([\s\S])" if special else r"()([\s\S])")

    def config(self) -> dict[str, Any]:
        """Tell what distinguishes this tokenizer from others of its kind.

        Returns:
            The arguments that make an equal tokenizer.
        """
        return {"special_toks": list(self.special_toks)}

    def save(self, folder: Path) -> None:
        """Write what `config` does not tell: nothing.

        Args:
            folder: where to.
        """

    @classmethod
    def load(cls, folder: Path, **config: Any) -> CharTokenizer:
        """Make the tokenizer again.

        Args:
            folder: where it was saved.
            **config: what `config` told.

        Returns:
            An equal tokenizer.
        """
        return cls(**config)

    def identity(self) -> dict[str, Any]:
        """Tell all that the tokens depend on.

        Returns:
            The arguments.
        """
        return self.config()

    def split(self, text: str) -> list[str]:
        """Cut a text into units whose tokens do not depend on each other: here the whole text.

        Args:
            text: any text.

        Returns:
            The text alone.
        """
        return [text] if text else []

    def tokenize_units(self, units: Sequence[str]) -> Iterator[tuple[str, Sequence[str]]]:
        """Cut units into tokens.

        Args:
            units: what `split` gave.

        Yields:
            Each unit with its tokens.
        """
        for unit in units:
            yield unit, [special or character for special, character in self._pattern.findall(unit)]

    def may_stick(self, unit: str, tokens: Sequence[str]) -> bool:
        """Not asked, as no text is cut into several units.

        Args:
            unit: a unit.
            tokens: its tokens.

        Returns:
            False.
        """
        return False

    def may_precede(self, text: str, right: str, right_tokens: Sequence[str]) -> bool:
        """Not asked, as no text is cut into several units.

        Args:
            text: a text.
            right: a unit.
            right_tokens: its tokens.

        Returns:
            False.
        """
        return False

    def sticks(self, left: str, right: str, right_tokens: Sequence[str]) -> bool:
        """Not asked, as no text is cut into several units.

        Args:
            left: a unit.
            right: the next unit.
            right_tokens: its tokens.

        Returns:
            False.
        """
        return False

    def __call__(self, texts: Iterable[str]) -> Iterator[list[str]]:
        """Cut texts into tokens, without rules.

        Args:
            texts: any number of texts.

        Yields:
            The tokens of each text.
        """
        for text in texts:
            yield [token for _, tokens in self.tokenize_units(self.split(text)) for token in tokens]
