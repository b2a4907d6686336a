"""Measure the training step of the language model in tokens per second, with and without adaptive softmax.

The configurations take turns, so that a machine that slows down slows all of them; medians are printed. Tokens are
drawn from a Zipf distribution, as the words of a language are: the cost of an adaptive softmax depends on it.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from ulmfit.models.config import EncoderConfig, size_config
from ulmfit.models.encoder import n_parameters
from ulmfit.models.language_model import LanguageModel
from ulmfit.training.optimizer import make_optimizer
from ulmfit.training.precision import autocast, resolve_precision

CPU = torch.device("cpu")


def make_step(config: EncoderConfig, vocab_sz: int, bs: int, seq_len: int, precision: str) -> Callable[[], None]:
    """A function that takes one training step of a fresh model."""
    model = LanguageModel(vocab_sz, config).train()
    optimizer = make_optimizer(model.parameter_groups(), wd=0.01)
    for group in optimizer.param_groups:
        group["lr"] = 1e-3
    ranks = np.arange(1, vocab_sz + 1)
    frequencies = (1 / ranks) / (1 / ranks).sum()
    rng = np.random.default_rng(0)

    def step() -> None:
        ids = torch.from_numpy(rng.choice(vocab_sz, size=(bs, seq_len + 1), p=frequencies))
        with autocast(precision, CPU):
            output = model(ids[:, :-1])
            loss = output.cross_entropy(ids[:, 1:])
        (loss + 2 * output.ar + output.tar).backward()
        optimizer.step()
        optimizer.zero_grad()

    print(f"{n_parameters(model):,} parameters: {config}")
    return step


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="small")
    parser.add_argument("--vocab", type=int, default=20_000)
    parser.add_argument("--bs", type=int, default=32)
    parser.add_argument("--seq-len", type=int, default=72)
    parser.add_argument("--steps", type=int, default=8, help="counted steps of each configuration, after two")
    arguments = parser.parse_args()
    config = size_config(arguments.size)
    cutoffs = config.cutoffs or (2_000, 6_000)
    precisions = ["fp32", "bf16"] if resolve_precision("auto", CPU) == "bf16" else ["fp32"]
    steps = {
        (name, precision): make_step(chosen, arguments.vocab, arguments.bs, arguments.seq_len, precision)
        for name, chosen in (
            ("one softmax", replace(config, cutoffs=())),
            (f"adaptive softmax {cutoffs}", replace(config, cutoffs=cutoffs)),
        )
        for precision in precisions
    }
    seconds: dict[tuple[str, str], list[float]] = {key: [] for key in steps}
    for turn in range(arguments.steps + 2):
        for key, step in steps.items():
            started = time.perf_counter()
            step()
            if turn >= 2:
                seconds[key].append(time.perf_counter() - started)
    tokens = arguments.bs * arguments.seq_len
    print("\n| decoder | precision | tokens/s, median | slowest | fastest |\n|---|---|---|---|---|")
    for (name, precision), taken in seconds.items():
        median = tokens / statistics.median(taken)
        print(f"| {name} | {precision} | {median:,.0f} | {tokens / max(taken):,.0f} | {tokens / min(taken):,.0f} |")


if __name__ == "__main__":
    main()
