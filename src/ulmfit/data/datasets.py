"""Texts as ids with their targets as numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ulmfit.arguments import checked
from ulmfit.data.items import Items
from ulmfit.data.options import LoaderOptions, Loading, Unpack, taken
from ulmfit.data.targets import Target
from ulmfit.text.store import TokenStore
from ulmfit.text.tokenizers import Tokenizer
from ulmfit.text.vocab import Vocab

if TYPE_CHECKING:
    from ulmfit.data.dataloaders import TextDataLoaders


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
        tokenizer: what cut the texts.
        read_items: takes items to predict.
        loading: how batches are made, if loaders are not told otherwise.
        train_rows: the numbers of the items to learn from in the source, from 0.
    """

    train: TextDataset
    valid: TextDataset
    target: Target | None
    title: str
    tokenizer: Tokenizer
    read_items: Callable[[Any], Items]
    loading: Loading
    train_rows: Sequence[int]

    @checked
    def dataloaders(self, path: str | Path = ".", **loading: Unpack[Loading]) -> TextDataLoaders:
        """Make loaders.

        Args:
            path: where a learner keeps its models.
            loading: how batches are made; see `LoaderOptions`.
        """
        from ulmfit.data.dataloaders import TextDataLoaders  # which is built on this module

        given = taken(self.dataloaders, loading, Loading)
        return TextDataLoaders(self, path=path, options=LoaderOptions(**{**self.loading, **given}))

    @checked
    def weighted_dataloaders(self, wgts: Iterable[float], bs: int = 64, **loading: Any) -> TextDataLoaders:
        """Make loaders that draw the texts to learn from with these weights.

        Args:
            wgts: how often each text to learn from is drawn in relation to the others: a number for each of them, or
                for each item of the source, of which those to check with do not count.
            bs: rows of a batch.
            loading: as for `dataloaders`.
        """
        given = list(wgts)
        if len(given) == len(self.train_rows) + len(self.valid):
            given = [given[i] for i in self.train_rows]
        return self.dataloaders(weights=given, bs=bs, **loading)

    @checked
    def partial_dataloaders(self, partial_n: int, bs: int = 64, **loading: Any) -> TextDataLoaders:
        """Make loaders that draw so many of the texts to learn from for each epoch.

        Args:
            partial_n: number of texts.
            bs: rows of a batch.
            loading: as for `dataloaders`.
        """
        return self.dataloaders(partial_n=partial_n, bs=bs, **loading)
