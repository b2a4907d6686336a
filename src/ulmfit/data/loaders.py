"""Batches from token ids: a stream for the language model, length-sorted documents for the classifier.

B batch, T time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ulmfit.errors import ConfigError, DataError

_BUCKET_BATCHES = 50  # batches' worth of shuffled documents that are sorted by length together


class Documents(Protocol):
    """Token ids of N documents, one after the other: what a `TokenStore` offers."""

    @property
    def ids(self) -> NDArray[np.generic]:
        """All ids, flat."""

    @property
    def offsets(self) -> NDArray[np.int64]:
        """Start of each document in `ids`, and the end of the last: N + 1 entries."""


class Batch(NamedTuple):
    """One batch: what the model is called with, and what it should say."""

    inputs: tuple[Tensor, ...]
    target: Tensor | None


class LMDataLoader:
    """Consecutive pieces of one long stream of all documents, for a language model that carries its state.

    The stream is the documents one after the other, in a new random order each epoch. It is cut into `bs` equal rows; a
    batch is the next `seq_len` tokens of every row, so that a row goes on where it stopped. A batch costs the same
    however large the corpus is. Only the tail of fewer than `bs` tokens is left out.

    Args:
        documents: token ids.
        bs: rows of a batch.
        seq_len: steps of a batch (bptt).
        shuffle: a new order of the documents each epoch.
        backwards: every document is read from its end.
        seed: the order depends on it and on the epoch only.

    Yields:
        `Batch` of x (B, T) and y (B, T), y being x one token later. The last batch may be shorter.

    Raises:
        DataError: the corpus is smaller than one token for each row.
    """

    def __init__(
        self,
        documents: Documents,
        *,
        bs: int = 64,
        seq_len: int = 72,
        shuffle: bool = False,
        backwards: bool = False,
        seed: int = 0,
    ) -> None:
        if bs < 1 or seq_len < 1:
            raise ConfigError(f"bs={bs} and seq_len={seq_len} must be at least 1")
        self.documents = documents
        self.bs = bs
        self.seq_len = seq_len
        self.shuffle = shuffle
        self.backwards = backwards
        self.seed = seed
        self.epoch = self.start = 0
        self.n_tokens = int(documents.offsets[-1])
        self.row_len = (self.n_tokens - 1) // bs
        if self.row_len < 1:
            raise DataError(
                f"a corpus of {self.n_tokens} tokens is too small for {bs} rows; lower the batch size or add texts"
            )

    def __len__(self) -> int:
        return -(-self.row_len // self.seq_len)

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """Choose the order of the documents for the passes to come, and the batch at which they begin."""
        self.epoch, self.start = epoch, start

    def __iter__(self) -> Iterator[Batch]:
        lengths = np.diff(self.documents.offsets)
        order = np.arange(len(lengths))
        if self.shuffle:
            order = np.random.default_rng([self.seed, self.epoch]).permutation(len(lengths))
        ends = np.cumsum(lengths[order])
        row_starts = np.arange(self.bs, dtype=np.int64)[:, None] * self.row_len
        for start in range(self.start * self.seq_len, self.row_len, self.seq_len):
            steps = min(self.seq_len, self.row_len - start)
            stream = self._read(row_starts + np.arange(start, start + steps + 1), order, ends)
            tokens = torch.from_numpy(stream)
            yield Batch((tokens[:, :-1],), tokens[:, 1:])

    def _read(
        self, positions: NDArray[np.int64], order: NDArray[np.int64], ends: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """The ids at positions of the stream."""
        place = np.searchsorted(ends, positions, side="right")
        document = order[place]
        from_end = ends[place] - positions  # 1 for a document's last token
        offsets = self.documents.offsets
        index = offsets[document] + from_end - 1 if self.backwards else offsets[document + 1] - from_end
        return self.documents.ids[index].astype(np.int64)


class ClassifierLoader:
    """Batches of whole documents, padded behind, of similar length.

    Args:
        documents: token ids.
        labels: class id of each document, or None.
        bs: documents of a batch.
        shuffle: a new composition each epoch: shuffled documents are sorted by length within pools of 50 batches, and
            the batches shuffled. The longest batch comes first, so that too little memory shows at once. Without it the
            documents come by falling length.
        backwards: every document is read from its end.
        pad_idx: id of the padding token.
        seed: composition and order depend on it and on the epoch only.

    Yields:
        `Batch` of ids (B, T), lengths (B,) and class ids (B,).
    """

    def __init__(
        self,
        documents: Documents,
        labels: Sequence[int] | NDArray[np.int64] | None = None,
        *,
        bs: int = 32,
        shuffle: bool = False,
        backwards: bool = False,
        pad_idx: int = 1,
        seed: int = 0,
    ) -> None:
        self.documents = documents
        self.lengths = np.diff(documents.offsets)
        self.labels = None if labels is None else np.asarray(labels, dtype=np.int64)
        if bs < 1:
            raise ConfigError(f"bs={bs} must be at least 1")
        if len(self.lengths) == 0:
            raise DataError("there are no documents to load")
        if int(self.lengths.min()) < 1:
            raise DataError(f"document {int(self.lengths.argmin())} has no tokens")
        if self.labels is not None and len(self.labels) != len(self.lengths):
            raise DataError(f"{len(self.lengths)} documents but {len(self.labels)} labels")
        self.bs = bs
        self.shuffle = shuffle
        self.backwards = backwards
        self.pad_idx = pad_idx
        self.seed = seed
        self.epoch = self.start = 0

    def __len__(self) -> int:
        n = len(self.lengths)
        full, rest = divmod(n, self.bs)
        return full + (rest > 0) - (self.shuffle and rest == 1 and full > 0)

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """Choose the composition of the batches for the passes to come, and the batch at which they begin."""
        self.epoch, self.start = epoch, start

    def batch_indices(self) -> list[NDArray[np.int64]]:
        """The documents of each batch of this epoch."""
        if not self.shuffle:
            order = np.argsort(-self.lengths, kind="stable")
            return [order[i : i + self.bs] for i in range(0, len(order), self.bs)]
        rng = np.random.default_rng([self.seed, self.epoch])
        order = rng.permutation(len(self.lengths))
        pool = self.bs * _BUCKET_BATCHES
        order = np.concatenate(
            [
                part[np.argsort(-self.lengths[part], kind="stable")]
                for part in (order[i : i + pool] for i in range(0, len(order), pool))
            ]
        )
        batches = [order[i : i + self.bs] for i in range(0, len(order), self.bs)]
        if self.bs > 1 and len(batches) > 1 and len(batches[-1]) == 1:  # batch norm cannot learn from a single document
            batches[-2:] = [np.concatenate(batches[-2:])]
        longest = max(range(len(batches)), key=lambda i: int(self.lengths[batches[i]].max()))
        first = batches.pop(longest)
        return [first, *(batches[i] for i in rng.permutation(len(batches)))]

    def __iter__(self) -> Iterator[Batch]:
        for indices in self.batch_indices()[self.start :]:
            yield self.collate(indices)

    def collate(self, indices: NDArray[np.int64]) -> Batch:
        """The batch of these documents."""
        lengths = self.lengths[indices]
        ids = np.full((len(indices), int(lengths.max())), self.pad_idx, dtype=np.int64)
        for row, i in enumerate(indices):
            tokens = self.documents.ids[self.documents.offsets[i] : self.documents.offsets[i + 1]]
            ids[row, : len(tokens)] = tokens[::-1] if self.backwards else tokens
        target = None if self.labels is None else torch.from_numpy(self.labels[indices])
        return Batch((torch.from_numpy(ids), torch.from_numpy(lengths.astype(np.int64))), target)
