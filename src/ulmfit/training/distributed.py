"""Several processes training one model, through accelerate (`accelerate launch` on GPUs, `torchrun` on CPUs too).

Every process sees every batch and takes its own rows of it, so that two processes train on what one would have, without
overlap, and the state of a language model's rows stays with them. Gradients are summed after the backward pass.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ulmfit.data.loaders import Batch
from ulmfit.errors import ConfigError


class Processes:
    """This process among those that train together; by itself if nothing launched several.

    Attributes:
        rank: number of this process.
        n: number of processes.
        device: where this process trains.
        sharing: the last batch was shared: all processes have rows of it.
    """

    def __init__(self, device: torch.device | str | None = None) -> None:
        self.rank, self.n, self.sharing = 0, 1, False
        if device is None or "RANK" in os.environ:
            from accelerate import PartialState

            launched_on_cpu = "LOCAL_RANK" in os.environ and not torch.cuda.is_available()
            cpu = os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true") or launched_on_cpu
            # Nothing is tested on the GPUs of Macs, and virtual machines report one that cannot allocate.
            cpu = cpu or (device is None and torch.backends.mps.is_available())
            state = PartialState(cpu=cpu or str(device) == "cpu")
            self.rank, self.n = state.process_index, state.num_processes
            device = state.device if device is None else device
        try:
            self.device = torch.device(device)
            torch.empty(0, device=self.device)
        except (RuntimeError, AssertionError) as error:
            raise ConfigError(f"device={device!r} cannot be used here: {error}") from error

    @property
    def is_main(self) -> bool:
        """Whether this process prints and writes."""
        return self.rank == 0

    def shard(self, batch: Batch) -> Batch | None:
        """This process's rows of a batch; None where there are none for it.

        A classifier cannot learn from a single row: a batch of fewer than two rows for each process goes to the first.
        """
        if self.n == 1:
            return batch
        rows = len(batch.inputs[0])
        self.sharing = rows >= 2 * self.n
        if not self.sharing:
            return batch if self.is_main else None
        mine = slice(self.rank, None, self.n)
        return Batch(tuple(x[mine] for x in batch.inputs), None if batch.target is None else batch.target[mine])

    def sum_gradients(self, parameters: Iterable[nn.Parameter], extra: Tensor) -> Tensor:
        """Add up the gradients of all processes, in place.

        Args:
            parameters: those that are trained.
            extra: (n,) further numbers to add up on the way.

        Returns:
            the sums of `extra`.
        """
        if self.n == 1:
            return extra
        trained = [p for p in parameters if p.requires_grad]
        for p in trained:
            if p.grad is None:
                p.grad = torch.zeros_like(p)
        grads = [p.grad for p in trained if p.grad is not None]
        exact = torch.float64 if any(g.dtype == torch.float64 for g in grads) else torch.float32
        flat = self.sum(torch.cat([extra.to(exact), *(g.flatten().to(exact) for g in grads)]))
        start = len(extra)
        for g in grads:
            g.copy_(flat[start : start + g.numel()].view_as(g))
            start += g.numel()
        return flat[: len(extra)]

    def sum(self, value: Tensor) -> Tensor:
        """The sum of the tensors of all processes, in every process."""
        if self.n == 1:
            return value
        from accelerate.utils import reduce

        result: Tensor = reduce(value, "sum")
        return result

    def wait(self) -> None:
        """Go on when all processes are here."""
        if self.n > 1:
            from accelerate import PartialState

            PartialState().wait_for_everyone()

    def gather(self, value: Any) -> Sequence[Any]:
        """The values of all processes, in their order."""
        if self.n == 1:
            return [value]
        from accelerate.utils import gather_object

        result: Sequence[Any] = gather_object([value])
        return result

    def from_main(self, value: Any) -> Any:
        """The first process's value, in every process."""
        return self.gather(value)[0]

    def same_weights(self, model: nn.Module) -> None:
        """Give every process the first one's weights and running statistics."""
        self._same((*model.parameters(), *model.buffers()))

    def same_buffers(self, model: nn.Module) -> None:
        """Give every process the first one's running statistics, after a batch that no other process saw."""
        if not self.sharing:
            self._same(model.buffers())

    @torch.no_grad()
    def _same(self, tensors: Iterable[Tensor]) -> None:
        if self.n == 1:
            return
        from accelerate.utils import broadcast

        for tensor in tensors:
            tensor.copy_(broadcast(tensor))
