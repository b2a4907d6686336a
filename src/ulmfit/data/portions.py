"""Long passes in portions."""

from __future__ import annotations

from collections.abc import Iterator

from ulmfit.data.loaders import Batch, LMDataLoader


class Portions:
    """A loader whose passes are cut into equal portions, so that a long pass is measured now and then.

    Batches that would make the portions unequal (fewer than their number) are left out; each pass leaves out others.
    """

    def __init__(self, loader: LMDataLoader, n: int) -> None:
        self.loader, self.n = loader, n

    def __len__(self) -> int:
        return len(self.loader) // self.n

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """Choose the portion, and the batch in it, at which the next pass begins."""
        self._start = start
        self.loader.set_epoch(epoch // self.n, epoch % self.n * len(self) + start)

    def __iter__(self) -> Iterator[Batch]:
        batches = iter(self.loader)
        for _ in range(len(self) - self._start):
            yield next(batches)
