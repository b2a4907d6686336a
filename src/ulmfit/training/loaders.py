"""What the training loop needs of loaders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ulmfit.data.loaders import Batch


@runtime_checkable
class Loader(Protocol):
    """Batches that can be passed over again and again, such as those of `learn.dls.test_dl(texts)`."""

    def __len__(self) -> int:
        """Number of batches."""

    def __iter__(self) -> Iterator[Batch]:
        """The batches of the epoch."""

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """Choose the order of the next pass, and the batch at which it begins."""


@runtime_checkable
class AnyLoaders(Protocol):
    """A loader for training and one for validation."""

    @property
    def train(self) -> Loader:
        """For training."""

    @property
    def valid(self) -> Loader:
        """For validation."""


@dataclass(frozen=True)
class DataLoaders:
    """A loader for training and one for validation."""

    train: Loader
    valid: Loader
