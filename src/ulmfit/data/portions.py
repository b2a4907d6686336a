"""Long passes in portions."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from ulmfit.data.loaders import Batch, LMDataLoader, Loader


class Portions(Loader):
    """A loader whose passes are cut into equal portions, so that a long pass is measured now and then.

    Each portion is an epoch. Batches that would make the portions unequal (fewer than their number) are left out; each
    pass leaves out others.

    Args:
        loader: the loader.
        n: portions of each of its passes.
    """

    def __init__(self, loader: LMDataLoader, n: int) -> None:
        super().__init__(bs=loader.bs, seed=loader.seed, rank=loader.rank, world_size=loader.world_size)
        self.loader, self.n = loader, n

    def __len__(self) -> int:
        return len(self.loader) // self.n

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """Choose the portion, and the batch in it, at which the next pass begins; see `Loader`."""
        self.loader.set_epoch(epoch // self.n)
        super().set_epoch(epoch, start)

    def _batches(self, start: int) -> Iterator[Batch]:
        self.loader.set_epoch(self.epoch // self.n, self.epoch % self.n * len(self) + start)
        return islice(self.loader, len(self) - start)
