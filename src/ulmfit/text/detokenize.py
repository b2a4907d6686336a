"""From tokens back to readable text."""

from __future__ import annotations

from collections.abc import Iterable


def detokenize(tokens: Iterable[str]) -> str:
    """Write tokens as readable text.

    Args:
        tokens: the tokens of one text.

    Returns:
        The text.
    """
    return " ".join(tokens)
