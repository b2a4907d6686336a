"""The character tokenizer, for languages and tasks where words are no good unit."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from ulmfit.text.base import BareTokenizer
from ulmfit.text.rules import SPECIAL_TOKENS


class CharTokenizer(BareTokenizer):
    """Cuts texts into characters (code points). Special tokens stay whole.

    Args:
        special_toks: tokens that are never cut; None for the usual nine. They are recognized as whole words only.
    """

    kind = "char"

    def __init__(self, special_toks: Sequence[str] | None = None) -> None:
        self.special_toks = tuple(SPECIAL_TOKENS if special_toks is None else special_toks)
        # The space behind a special token only sets it apart and would be noise as a token of its own.
        special = "|".join(re.escape(token) for token in sorted(self.special_toks, key=len, reverse=True))
        self._pattern = re.compile(rf"(?<!\S)({special})(?:\s|$)|([\s\S])" if special else r"()([\s\S])")

    def config(self) -> dict[str, Any]:
        """Tell the special tokens."""
        return {"special_toks": list(self.special_toks)}

    def tokenize_units(self, units: Sequence[str]) -> Iterator[Sequence[str]]:
        """Cut texts into characters."""
        for unit in units:
            yield [special or character for special, character in self._pattern.findall(unit)]
