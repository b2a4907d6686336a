"""The validation pass: mean loss and metrics over a loader, in one process or several."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

import torch

from ulmfit.training.memory import enough_memory
from ulmfit.training.precision import autocast

if TYPE_CHECKING:
    from ulmfit.data.loaders import LMDataLoader
    from ulmfit.training.loaders import Loader
    from ulmfit.training.loop import Loop
    from ulmfit.training.metrics import Output


@torch.no_grad()
def evaluate(learn: Loop, loader: Loader) -> dict[str, float]:
    """Mean loss per target and the metrics over a loader.

    Raises:
        UlmfitError: there is not enough memory for a batch.
    """
    learn.model.eval()
    learn.reset()
    total, n = 0.0, 0
    for metric in learn.metrics:
        metric.reset()
    with enough_memory():
        for batch in loader:
            mine = learn.processes.shard(batch)
            if mine is None:
                continue
            inputs, target = learn.to_device(mine)
            with autocast(learn.precision, learn.device):
                output = cast("Output", learn.model(*inputs))
                loss = learn.loss_of(output, target).item()
                for metric in learn.metrics:
                    metric.update(output, target, loss)
            total, n = total + loss * target.numel(), n + target.numel()
    learn.reset()
    sums = learn.processes.gather((total, n, [m.state() for m in learn.metrics]))
    if len(sums) > 1:
        total, n = sum(s[0] for s in sums), sum(s[1] for s in sums)
        for i, metric in enumerate(learn.metrics):
            metric.merge([s[2][i] for s in sums])
    return {"valid_loss": total / n if n else float("nan")} | {m.name: m.value() for m in learn.metrics}


def seconds_per_token(learn: Loop, loader: LMDataLoader) -> float:
    """What a token takes in a validation pass of a language model, measured on the texts of this loader."""
    started = time.perf_counter()
    evaluate(learn, loader)
    return (time.perf_counter() - started) / loader.n_tokens
