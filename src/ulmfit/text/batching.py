"""Texts in lists of a size that is worth while."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ulmfit.errors import DataError


def refuse_one_text(texts: object) -> None:
    """Refuse one string where many are expected: each of its characters would be taken for a text.

    Raises:
        DataError: it is a string.
    """
    if isinstance(texts, str | bytes):
        raise DataError(f"{texts!r:.50} is one text; expected a list of texts. Write [text] if it is the only one.")


def batches(texts: Iterable[str], documents: int = 4_096, characters: int = 1_500_000) -> Iterator[list[str]]:
    """Gather texts into lists of a size that is worth while and fits into memory.

    Args:
        texts: any number of texts.
        documents: how many of them a list holds at most.
        characters: a list is full when its texts have this many characters.

    Yields:
        Lists of texts.

    Raises:
        DataError: if one of them is not a string; the message names its position.
    """
    refuse_one_text(texts)
    batch: list[str] = []
    size = 0
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError(f"Text {position} is {type(text).__name__} ({text!r:.50}); every text must be a string.")
        batch.append(text)
        size += len(text)
        if len(batch) >= documents or size >= characters:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
