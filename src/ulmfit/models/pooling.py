"""Concat pooling of texts whose outputs arrive chunk by chunk, exact whatever stands behind a text.

B batch, T time, E size of the encoder's output.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ulmfit.errors import DataError
from ulmfit.models.products import widened


@dataclass(frozen=True, kw_only=True)
class Pooled:
    """Documents as vectors.

    Args:
        features: (B, 3E): last output, maximum over time, mean over time; (B, 6E) if the words are pooled too.
        ar: mean square of the outputs over real positions, 0 in evaluation.
        tar: mean square of the step-to-step differences within each text's pooled positions, 0 in evaluation.
    """

    features: Tensor
    ar: Tensor
    tar: Tensor


class Pool:
    """Last, maximum and mean of outputs that arrive chunk by chunk.

    Args:
        lengths: (B,) of the texts, falling.
        max_len: positions from the end of a text that are pooled; all of them if None.
    """

    def __init__(self, lengths: Tensor, max_len: int | None) -> None:
        self.lengths = lengths
        self.first = torch.zeros_like(lengths) if max_len is None else (lengths - max_len).clamp_min(0)
        self.maximum: Tensor | None = None
        self.total: Tensor | None = None
        self.last: Tensor | None = None
        self.edge: Tensor | None = None  # the outputs before the next chunk
        self.squares = torch.zeros((), device=lengths.device)
        self.differences = torch.zeros((), device=lengths.device)

    def _counted(self, rows: int, start: int, steps: int) -> Tensor:
        """Which positions are pooled, (rows, steps, 1)."""
        position = torch.arange(start, start + steps, device=self.lengths.device)
        return ((position >= self.first[:rows, None]) & (position < self.lengths[:rows, None])).unsqueeze(2)

    def add(self, output: Tensor, start: int) -> None:
        """Take the vectors (rows, steps, features) of the rows that go on, from position `start`."""
        rows, steps, _ = output.shape
        counted = self._counted(rows, start, steps)
        present = output.masked_fill(~counted, 0.0)
        at_end = (self.lengths[:rows] - 1 - start).clamp(max=steps - 1)
        self.maximum = _update(self.maximum, output.masked_fill(~counted, -torch.inf).amax(1), torch.maximum)
        self.total = _update(self.total, present.sum(1), torch.add)
        self.last = _update(self.last, output[torch.arange(rows, device=output.device), at_end], _newer)

    def regularise(self, output: Tensor, start: int) -> None:
        """Add the outputs (rows, steps, E) to the terms of activation regularisation.

        The output before a chunk is compared with its first; like the state that is carried, it is cut from its graph.
        """
        output = widened(output)
        rows, steps, _ = output.shape
        counted = self._counted(rows, start - 1, steps + 1)  # with the step before; none is counted before the first
        self.squares = self.squares + output.masked_fill(~counted[:, 1:], 0.0).pow(2).mean(2).sum()
        before = (output[:, 0] if self.edge is None else self.edge[:rows]).detach()
        changes = output.diff(dim=1, prepend=before.unsqueeze(1))
        changes = changes.masked_fill(~(counted[:, 1:] & counted[:, :-1]), 0.0)
        self.differences = self.differences + changes.pow(2).mean(2).sum()
        self.edge = output[:, -1].detach().clone()

    def result(self, order: Tensor) -> Pooled:
        """The pooled rows, in the order given."""
        if self.maximum is None or self.total is None or self.last is None:
            raise DataError("no outputs were pooled")
        n = self.lengths - self.first
        features = torch.cat([self.last, self.maximum, self.total / n.unsqueeze(1)], dim=1)[order]
        n_changes = (n - 1).sum().clamp_min(1)
        return Pooled(features=features, ar=self.squares / n.sum(), tar=self.differences / n_changes)


def _newer(_: Tensor, new: Tensor) -> Tensor:
    return new


def _update(kept: Tensor | None, new: Tensor, combine: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Combine the first rows of what is kept with the new ones; the rows behind them have ended and stay."""
    if kept is None:
        return new
    rows = new.shape[0]
    return torch.cat([combine(kept[:rows], new), kept[rows:]])
