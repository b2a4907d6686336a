"""Batches from token ids: a stream for the language model, length-sorted documents for the classifier.

B batch, T time, N documents, C classes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ulmfit.arguments import at_least, checked
from ulmfit.data.documents import Documents, as_documents, padded
from ulmfit.data.weights import probabilities
from ulmfit.errors import ConfigError, DataError

_BUCKET_BATCHES = 50  # batches' worth of shuffled documents that are sorted by length together
_LENGTH_SPREAD, _SHORT_SHARE = 5, 0.05  # of a randomised bptt: standard deviation, and how often its mean is halved


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch: what the model is called with, and what it should say.

    It unpacks as `x, y`, x being the only input or the tuple of them.

    Args:
        inputs: tensors, B rows each.
        target: B rows, or None.
    """

    inputs: tuple[Tensor, ...]
    target: Tensor | None

    def __iter__(self) -> Iterator[Any]:
        yield self.inputs[0] if len(self.inputs) == 1 else self.inputs
        yield self.target

    def __getitem__(self, i: int) -> Any:
        return tuple(self)[i]


class Loader(ABC):
    """What the loaders share: an order that depends on seed and epoch only, a place to start from, and shards.

    Each pass is an epoch: one that follows another has the order of the next epoch, unless `set_epoch` says otherwise.
    What was interrupted goes on in the same order with `set_epoch(loader.epoch, batches_seen)`.

    Args:
        bs: rows of a batch.
        seed: the order depends on it and on the epoch only.
        rank: which of `world_size` processes this is.
        world_size: the processes among which the batches of an epoch are shared out, without overlap.
    """

    def __init__(self, *, bs: int, seed: int, rank: int, world_size: int) -> None:
        at_least(1, bs=bs, world_size=world_size)
        at_least(0, seed=seed, rank=rank)
        if not 0 <= rank < world_size:
            raise ConfigError(f"rank={rank} must be at least 0 and below world_size={world_size}")
        self.bs, self.seed = bs, seed
        self.rank, self.world_size = rank, world_size
        self.epoch = 0
        self.start = 0
        self._begun = False

    @abstractmethod
    def __len__(self) -> int:
        """Batches of this epoch, in this process, those before the start included."""

    @abstractmethod
    def _batches(self, start: int) -> Iterator[Batch]:
        """The batches of this epoch from one on, whatever epoch is chosen before they have all been given."""

    def __iter__(self) -> Iterator[Batch]:
        if self._begun:
            self.set_epoch(self.epoch + 1)
        self._begun = True
        return self._batches(self.start)

    def one_batch(self) -> Batch:
        """The first batch of this epoch. Looking at it is no pass."""
        return next(self._batches(0))

    @checked
    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """Choose the order of the next pass, and the batch it starts at.

        Args:
            epoch: the order depends on it.
            start: batches to leave out, as they were seen before an interruption.

        Raises:
            ConfigError: the epoch has no such batch.
        """
        at_least(0, epoch=epoch, start=start)
        self.epoch = epoch
        if start > len(self):
            raise ConfigError(f"start={start}: epoch {epoch} has {len(self)} batches")
        self.start = start
        self._begun = False

    def _rng(self, purpose: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, self.epoch, purpose])


class LMDataLoader(Loader):
    """Consecutive pieces of one long stream of all documents, for a language model that carries its state.

    The stream is the documents one after the other, in a new random order each epoch. It is cut into `bs` equal rows
    (times `world_size`: each process has rows of its own); a batch is the next `seq_len` tokens of every row, so that a
    row goes on where it stopped. A batch costs the same however large the corpus is. Only the tail of fewer tokens than
    there are rows is left out.

    Args:
        documents: token ids: a `TokenStore`, or a sequence of arrays.
        bs: rows of a batch.
        seq_len: steps of a batch (bptt).
        shuffle: a new order of the documents each epoch.
        backwards: every document is read from its end.
        random_bptt: draw the steps of each batch around `seq_len`, or with probability 0.05 around half of it, so that
            documents are cut elsewhere each epoch.
        seed: the order depends on it and on the epoch only.
        rank: which of `world_size` processes this is.
        world_size: processes that share the rows.

    Yields:
        batch (Batch): x (B, T) and y (B, T), y being x one token later. The last batch may be shorter.

    Raises:
        DataError: the corpus is smaller than one token for each row.

    Source: random lengths: Merity, Keskar and Socher 2017, Regularizing and Optimizing LSTM Language Models, section 5.
    """

    @checked
    def __init__(
        self,
        documents: Documents | Sequence[Any],
        *,
        bs: int = 64,
        seq_len: int = 72,
        shuffle: bool = False,
        backwards: bool = False,
        random_bptt: bool = False,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        super().__init__(bs=bs, seed=seed, rank=rank, world_size=world_size)
        at_least(1, seq_len=seq_len)
        self.documents = as_documents(documents)
        self.seq_len = seq_len
        self.shuffle = shuffle
        self.backwards = backwards
        self.random_bptt = random_bptt
        self.n_tokens = int(self.documents.offsets[-1])
        self.row_len = (self.n_tokens - 1) // (bs * world_size)
        if self.row_len < 1:
            raise DataError(
                f"a corpus of {self.n_tokens} tokens is too small for {bs * world_size} rows; "
                "lower the batch size (bs) or add texts"
            )

    def __len__(self) -> int:
        return len(self._cuts()) - 1 if self.random_bptt else -(-self.row_len // self.seq_len)

    def _cuts(self) -> NDArray[np.int64]:
        """Where the batches of this epoch begin in each row, and the end of the last."""
        if not self.random_bptt:
            return np.append(np.arange(0, self.row_len, self.seq_len), self.row_len)
        rng = self._rng(1)
        least, most = min(_LENGTH_SPREAD, self.seq_len), self.seq_len + 4 * _LENGTH_SPREAD
        n = self.row_len // least + 1
        mean = np.where(rng.random(n) < _SHORT_SHARE, self.seq_len / 2, self.seq_len)
        steps = np.clip(np.rint(rng.normal(mean, _LENGTH_SPREAD)), least, most).astype(np.int64)
        cuts = np.cumsum(steps)
        return np.concatenate([[0], cuts[cuts < self.row_len], [self.row_len]])

    def _batches(self, start: int) -> Iterator[Batch]:
        lengths = np.diff(self.documents.offsets)
        order = np.arange(len(lengths))
        if self.shuffle:
            order = np.random.default_rng([self.seed, self.epoch]).permutation(len(lengths))
        ends = np.cumsum(lengths[order])
        rows = np.arange(self.rank * self.bs, (self.rank + 1) * self.bs, dtype=np.int64) * self.row_len
        return (
            self._batch(rows + first, last - first, order, ends)
            for first, last in pairwise(self._cuts()[start:].tolist())
        )

    def _batch(self, starts: NDArray[np.int64], steps: int, order: NDArray[np.int64], ends: NDArray[np.int64]) -> Batch:
        tokens = torch.from_numpy(self._read(starts, steps + 1, order, ends))
        return Batch((tokens[:, :-1],), tokens[:, 1:])

    def _read(
        self, starts: NDArray[np.int64], steps: int, order: NDArray[np.int64], ends: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """The next ids of the stream from each start on: (B, T).

        The stream there consists of segments, each from one document. Only their borders are searched for; the place of
        every token in `ids` follows from that of its segment.
        """
        first = np.searchsorted(ends, starts, side="right")
        n_segments = np.searchsorted(ends, starts + steps - 1, side="right") - first + 1
        before = np.cumsum(n_segments) - n_segments  # segments of the rows above
        place = np.arange(int(n_segments.sum())) + np.repeat(first - before, n_segments)
        segment_ends = ends[place]
        stops = np.minimum(segment_ends, np.repeat(starts + steps, n_segments))
        begins = np.empty_like(stops)
        begins[1:] = stops[:-1]
        begins[before] = starts
        offsets, document = self.documents.offsets, order[place]
        positions = (starts[:, None] + np.arange(steps)).ravel()
        # Counted from its end, a token of the stream is (segment end - position) before the end of its document.
        if self.backwards:
            index = np.repeat(offsets[document] + segment_ends - 1, stops - begins) - positions
        else:
            index = np.repeat(offsets[document + 1] - segment_ends, stops - begins) + positions
        tokens: NDArray[np.int64] = self.documents.ids[index].astype(np.int64)
        return tokens.reshape(len(starts), steps)


class ClassifierLoader(Loader):
    """Batches of whole documents, padded behind, of similar length.

    Args:
        documents: token ids of N documents: a `TokenStore`, or a sequence of arrays.
        labels: what each document should give: class ids (N,), or floats (N,) or (N, C); None for no target.
        bs: documents of a batch, at most, if `max_tokens` is given too; None for 32, or for as many as these allow.
        max_tokens: the most tokens that a batch may have, padding included. A longer document is a batch of its own.
            With `shuffle` a batch has two documents at least, even if they have more tokens: batch norm cannot learn
            from one.
        shuffle: a new composition each epoch: shuffled documents are sorted by length within pools of 50 batches, and
            the batches shuffled. Without it the documents come by falling length.
        longest_first: with `shuffle`, the longest batch comes first, so that too little memory shows at once.
        weights: how often each document is drawn in relation to the others (N,). An epoch then draws N times with
            replacement. For training only: needs `shuffle`.
        partial_n: draw so many documents for an epoch instead of N. For training only: needs `shuffle`.
        backwards: every document is read from its end.
        pad_idx: id of the padding token.
        seed: composition and order depend on it and on the epoch only.
        rank: which of `world_size` processes this is.
        world_size: processes that share the batches. Each has as many batches as the others while there are enough
            documents.

    Yields:
        batch (Batch): ids (B, T) with lengths (B,), and the target: int64 (B,) or float32 (B,) or (B, C).
    """

    @checked
    def __init__(
        self,
        documents: Documents | Sequence[Any],
        labels: Iterable[Any] | None = None,
        *,
        bs: int | None = None,
        max_tokens: int | None = None,
        shuffle: bool = False,
        longest_first: bool = True,
        weights: Iterable[float] | None = None,
        partial_n: int | None = None,
        backwards: bool = False,
        pad_idx: int = 1,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        super().__init__(bs=32 if bs is None else bs, seed=seed, rank=rank, world_size=world_size)
        self.documents = as_documents(documents)
        self.lengths = np.diff(self.documents.offsets)
        if len(self.lengths) == 0:
            raise DataError("there are no documents to load")
        if int(self.lengths.min()) < 1:
            raise DataError(f"document {int(self.lengths.argmin())} has no tokens")
        at_least(1, max_tokens=max_tokens, partial_n=partial_n)
        if partial_n is not None and (partial_n > len(self.lengths) or not shuffle):
            raise ConfigError(
                f"partial_n={partial_n} of {len(self.lengths)} documents are drawn at random: it needs so many "
                "documents at least, and shuffle=True"
            )
        self.labels = _targets(labels, len(self.lengths))
        self.probabilities = probabilities(weights, len(self.lengths))
        if self.probabilities is not None and not shuffle:
            raise ConfigError("weights choose what to draw at random: they need shuffle=True")
        self.max_tokens, self.partial_n = max_tokens, partial_n
        self.shuffle = shuffle
        self.longest_first = longest_first
        self.backwards = backwards
        self.pad_idx = pad_idx
        self._most = self.bs if bs is not None or max_tokens is None else len(self.lengths)
        self._least = 2 if shuffle and self._most > 1 else 1
        self._composed: tuple[int, list[NDArray[np.int64]]] | None = None

    def __len__(self) -> int:
        return len(self.batch_indices())

    def batch_indices(self) -> list[NDArray[np.int64]]:
        """The documents of each batch of this epoch, in this process, those before the start included.

        This epoch is that of the last pass that was begun, or if there was none, of the next.
        """
        epoch = self.epoch if self.shuffle else 0
        if self._composed is None or self._composed[0] != epoch:
            self._composed = epoch, self._compose()[self.rank :: self.world_size]
        return self._composed[1]

    def _compose(self) -> list[NDArray[np.int64]]:
        """The documents of each batch of this epoch, in all processes."""
        if not self.shuffle:
            order = np.argsort(-self.lengths, kind="stable")
            return self._share(self._cut(order))
        rng = np.random.default_rng([self.seed, self.epoch])
        n, total = len(self.lengths), int(self.lengths.sum())
        drawn = self.partial_n or n
        order = rng.permutation(n)[:drawn] if self.probabilities is None else rng.choice(n, drawn, p=self.probabilities)
        pool = _BUCKET_BATCHES * min(self._most, -(-(self.max_tokens or total) * n // total))
        pools = (order[i : i + pool] for i in range(0, drawn, pool))
        order = np.concatenate([part[np.argsort(-self.lengths[part], kind="stable")] for part in pools])
        batches = self._cut(order)
        if len(batches) > 1 and len(batches[-1]) < self._least:
            last = np.concatenate(batches[-2:])
            batches[-2:] = [last[:-2], last[-2:]] if len(last) > 3 else [last]
        batches = self._share(batches)
        # Processes wait for each other at every step: what they do at one step is of similar length.
        steps = [batches[i : i + self.world_size] for i in range(0, len(batches), self.world_size)]
        first = []
        if self.longest_first:
            longest = max(range(len(steps)), key=lambda i: max(int(self.lengths[batch].max()) for batch in steps[i]))
            first.append(steps.pop(longest))
        return [batch for step in (*first, *(steps[i] for i in rng.permutation(len(steps)))) for batch in step]

    def _cut(self, order: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        if self.max_tokens is None:
            return [order[i : i + self._most] for i in range(0, len(order), self._most)]
        batches, start = list[NDArray[np.int64]](), 0
        while start < len(order):
            # The first is the longest, but where a new pool begins longer ones follow.
            n = max(self._least, self.max_tokens // int(self.lengths[order[start]]))
            longest = np.maximum.accumulate(self.lengths[order[start : start + min(n, self._most)]])
            n = int(np.searchsorted(longest * np.arange(1, len(longest) + 1), self.max_tokens, side="right"))
            n = max(self._least, n)
            batches.append(order[start : start + n])
            start += n
        return batches

    def _share(self, batches: list[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
        """As many batches for each process: the largest are halved, or if they are too small the last joined."""
        shared = list(batches)
        while len(shared) % self.world_size:
            i = max(range(len(shared)), key=lambda i: len(shared[i]))
            if len(shared[i]) < 2 * self._least:
                break
            shared[i : i + 1] = np.array_split(shared[i], 2)
        else:
            return shared
        surplus = len(batches) % self.world_size
        if surplus == len(batches):
            raise DataError(f"{len(self.lengths)} documents are too few for {self.world_size} processes")
        return [*batches[: -surplus - 1], np.concatenate(batches[-surplus - 1 :])]

    def _batches(self, start: int) -> Iterator[Batch]:
        return map(self.collate, self.batch_indices()[start:])

    def collate(self, indices: NDArray[np.int64]) -> Batch:
        """The batch of these documents."""
        ids, lengths = padded(self.documents, indices, pad_idx=self.pad_idx, backwards=self.backwards)
        target = None if self.labels is None else torch.from_numpy(self.labels[indices])
        return Batch((torch.from_numpy(ids), torch.from_numpy(lengths)), target)


def _targets(labels: Iterable[Any] | None, n: int) -> NDArray[Any] | None:
    if labels is None:
        return None
    targets = np.asarray(labels)
    if targets.dtype.kind not in "biuf" or targets.ndim not in (1, 2):
        raise DataError(f"labels have type {targets.dtype} and shape {targets.shape}; expected numbers (N,) or (N, C)")
    if len(targets) != n:
        raise DataError(f"{n} documents but {len(targets)} labels")
    return targets.astype(np.int64 if targets.dtype.kind in "biu" and targets.ndim == 1 else np.float32)
