"""What the training loop costs over the bare step: Learner.fit with table, history and recorder, and a plain loop.

    python benchmarks/learner_loop.py --size small --steps 30 --rounds 7

Both run the same batches through the same model by turns, bare, loop, bare, ...; the ratio is of the medians. The
epoch's validation pass is left out of both.
"""

from __future__ import annotations

import argparse
import io
import json
import platform
import statistics
import time
from typing import Any

import numpy as np
import torch
from rich.console import Console

from ulmfit.data.loaders import Batch
from ulmfit.models.config import size_config
from ulmfit.models.language_model import LanguageModel
from ulmfit.training.callbacks import Callback
from ulmfit.training.learner import DataLoaders, Learner
from ulmfit.training.precision import autocast
from ulmfit.training.progress import ProgressTable


class Batches:
    """The same batches in every pass."""

    def __init__(self, batches: list[Batch]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Any:
        return iter(self.batches)

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """There is one order."""


class Timed(Callback):
    """Seconds from the first batch to the last."""

    def before_epoch(self, learn: Learner) -> None:
        """Start."""
        self.started = time.perf_counter()

    def before_validate(self, learn: Learner) -> None:
        """Stop."""
        self.seconds = time.perf_counter() - self.started


def bare(learn: Learner) -> float:
    """The step by itself, with what it must have: forward, backward, optimizer."""
    learn.model.train()
    learn.reset()
    started = time.perf_counter()
    for batch in learn.dls.train:
        with autocast(learn.precision, learn.device):
            output = learn.model(*batch.inputs)
            loss = output.cross_entropy(batch.target)
        (loss + 2 * output.ar + output.tar).backward()
        learn.optimizer.step()
        learn.optimizer.zero_grad(set_to_none=True)
        loss.item()
    return time.perf_counter() - started


def main() -> None:
    """Measure and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="small")
    parser.add_argument("--vocab", type=int, default=10_000)
    parser.add_argument("--bs", type=int, default=32)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    ids = [torch.from_numpy(rng.integers(9, options.vocab, (options.bs, 73))) for _ in range(options.steps)]
    train = Batches([Batch((x[:, :-1],), x[:, 1:]) for x in ids])
    model = LanguageModel(options.vocab, size_config(options.size))
    timed = Timed()
    table = ProgressTable(Console(file=io.StringIO(), force_terminal=True, width=100))
    learn = Learner(DataLoaders(train, Batches(train.batches[:1])), model, metrics=["perplexity"], cbs=[timed, table])
    bare(learn)
    seconds: dict[str, list[float]] = {"bare": [], "loop": []}
    for _ in range(options.rounds):
        seconds["bare"].append(bare(learn))
        learn.fit_one_cycle(1, 1e-4)
        seconds["loop"].append(timed.seconds)
    medians = {name: statistics.median(values) / options.steps for name, values in seconds.items()}
    result = {
        "size": options.size,
        "precision": learn.precision,
        "threads": torch.get_num_threads(),
        "ms_per_step": {name: round(1000 * value, 2) for name, value in medians.items()},
        "loop_over_bare": round(medians["loop"] / medians["bare"], 4),
        "machine": platform.processor() or platform.machine(),
        "torch": torch.__version__,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
