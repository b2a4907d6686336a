"""Texts as ids with their targets as numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ulmfit.data.targets import Target
from ulmfit.text.store import TokenStore
from ulmfit.text.vocab import Vocab


class TextDataset:
    """Texts as ids, with their targets as numbers.

    Args:
        store: the ids of N texts.
        targets: int64 (N,), float32 (N,) or (N, C); None for a language model.
        items: what the texts were read from.
    """

    def __init__(self, store: TokenStore, targets: NDArray[Any] | None, items: Any) -> None:
        self.store, self.targets, self.items = store, targets, items

    @property
    def vocab(self) -> Vocab:
        """What the ids mean."""
        return self.store.vocab

    def __len__(self) -> int:
        return len(self.store)

    def __getitem__(self, i: int) -> tuple[Tensor, Any]:
        """Ids of a text (T,), and its target."""
        ids = torch.from_numpy(self.store[i].astype(np.int64))
        return ids, None if self.targets is None else torch.as_tensor(self.targets[i])


@dataclass(frozen=True, kw_only=True)
class Datasets:
    """Both parts, as ids and numbers.

    Args:
        train: the part to learn from.
        valid: the part to check with.
        target: between labels and numbers; None for a language model.
        title: of the target, where it is shown.
    """

    train: TextDataset
    valid: TextDataset
    target: Target | None
    title: str
