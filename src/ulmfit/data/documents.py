"""Token ids of documents as the loaders take them: flat ids and offsets, or a part of such.

N documents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ulmfit.errors import DataError


class Documents(Protocol):
    """Token ids of N documents, one after the other: what a `TokenStore` offers."""

    @property
    def ids(self) -> NDArray[Any]:
        """All ids, flat."""

    @property
    def offsets(self) -> NDArray[np.int64]:
        """Start of each document in `ids`, and the end of the last: N + 1 entries."""


@dataclass(frozen=True)
class FlatDocuments:
    """Documents in memory.

    Args:
        ids: all ids, flat.
        offsets: start of each document, and the end of the last (N + 1).
    """

    ids: NDArray[Any]
    offsets: NDArray[np.int64]


def as_documents(documents: Documents | Sequence[Any]) -> FlatDocuments:
    """Take documents in any form.

    Args:
        documents: an object with `ids` and `offsets`, or a sequence of N arrays, tensors or lists of ids.

    Returns:
        The same documents; ids mapped from a file stay there.

    Raises:
        DataError: an item is no list of ids.
    """
    if hasattr(documents, "ids") and hasattr(documents, "offsets"):
        # A plain view: indexing a memmap costs some microseconds more each time, and there are many times.
        return FlatDocuments(np.asarray(documents.ids), np.asarray(documents.offsets, dtype=np.int64))
    arrays = []
    for i, document in enumerate(documents):
        array = np.asarray(document)
        if array.ndim != 1 or (len(array) and array.dtype.kind not in "iu"):
            raise DataError(
                f"document {i} is {type(document).__name__} of shape {array.shape} and type {array.dtype}; "
                "expected the ids of its tokens, one array of integers for each document"
            )
        arrays.append(array)
    offsets = np.cumsum([0, *(len(a) for a in arrays)], dtype=np.int64)
    return FlatDocuments(np.concatenate(arrays) if arrays else np.zeros(0, dtype=np.int64), offsets)


def padded(
    documents: Documents, rows: NDArray[np.int64], *, pad_idx: int, backwards: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Some documents as a batch.

    A word of a text that is spelt like the padding (`xxpad`) is padding where the text ends with it.

    Args:
        documents: the documents.
        rows: B numbers of documents.
        pad_idx: what is written behind a document.
        backwards: documents are read from their end.

    Returns:
        ids (B, T) and lengths (B,).
    """
    flat, offsets = documents.ids, documents.offsets
    lengths = offsets[rows + 1] - offsets[rows]
    ids = np.full((len(rows), int(lengths.max())), pad_idx, dtype=np.int64)
    step = -1 if backwards else 1
    for row, start, length in zip(ids, offsets[rows].tolist(), lengths.tolist(), strict=True):
        row[:length] = flat[start : start + length][::step]
    for i in np.flatnonzero((ids[np.arange(len(ids)), lengths - 1] == pad_idx) & (lengths > 1)):
        words = np.flatnonzero(ids[i] != pad_idx)
        lengths[i] = words[-1] + 1 if len(words) else 1
    return ids[:, : int(lengths.max())], lengths
