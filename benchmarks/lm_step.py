"""Measure the training step of the language model in tokens per second, with and without adaptive softmax.

    python benchmarks/lm_step.py --vocab 30000 --bs 64      # as `ulmfit pretrain` does it by default

The configurations take turns, so that a machine that slows down slows all of them; medians are printed. Tokens are
drawn from a Zipf distribution, as the words of a language are: the cost of an adaptive softmax depends on it.
The last columns say how much work the matrix products of a step are (2 operations for each weight and token, as many
again for each of both gradients), and which share of the rate that one large product reaches in the same run the whole
step comes to: what is missing are gates, softmax, masks, the optimizer and products too small to be as fast.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from model_bounds import layer_weights, rate
from numpy.typing import NDArray

from ulmfit.models.config import EncoderConfig, size_config
from ulmfit.models.encoder import n_parameters
from ulmfit.models.language_model import LanguageModel
from ulmfit.training.optimizer import make_optimizer
from ulmfit.training.precision import autocast, resolve_precision

CPU = torch.device("cpu")
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def frequencies_of(vocab_sz: int) -> NDArray[np.float64]:
    """A Zipf distribution (V,)."""
    ranks = np.arange(1, vocab_sz + 1)
    frequencies: NDArray[np.float64] = (1 / ranks) / (1 / ranks).sum()
    return frequencies


def operations(config: EncoderConfig, vocab_sz: int) -> float:
    """Of the products of a training step, for one token."""
    edges = [*config.cutoffs, vocab_sz]
    frequencies = frequencies_of(vocab_sz)
    scores = edges[0] + len(config.cutoffs)  # of the frequent words and of each cluster
    scores += sum((high - low) * frequencies[low:high].sum() for low, high in pairwise(edges))
    return 6 * (sum(layer_weights(config)) + config.emb_sz * float(scores))


def make_step(config: EncoderConfig, vocab_sz: int, bs: int, seq_len: int, precision: str) -> Callable[[], None]:
    """A function that takes one training step of a fresh model."""
    model = LanguageModel(vocab_sz, config).train()
    optimizer = make_optimizer(model.parameter_groups(), wd=0.01)
    for group in optimizer.param_groups:
        group["lr"] = 1e-3
    frequencies = frequencies_of(vocab_sz)
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
    chosen = {
        "one softmax": replace(config, cutoffs=()),
        f"adaptive softmax {cutoffs}": replace(config, cutoffs=cutoffs),
    }
    steps = {
        (name, precision): make_step(one, arguments.vocab, arguments.bs, arguments.seq_len, precision)
        for name, one in chosen.items()
        for precision in precisions
    }
    limits = {precision: rate(DTYPES[precision]) for precision in precisions}
    seconds: dict[tuple[str, str], list[float]] = {key: [] for key in steps}
    for turn in range(arguments.steps + 2):
        for key, step in steps.items():
            started = time.perf_counter()
            step()
            if turn >= 2:
                seconds[key].append(time.perf_counter() - started)
    tokens = arguments.bs * arguments.seq_len
    print(
        f"\n{torch.get_num_threads()} threads; one large product: "
        + ", ".join(f"{limit:,.0f} GFLOP/s in {precision}" for precision, limit in limits.items())
    )
    print("\n| decoder | precision | tokens/s, median | slowest | fastest | MFLOP a token | of the limit |")
    print("|" + "---|" * 7)
    for (name, precision), taken in seconds.items():
        work = operations(chosen[name], arguments.vocab)
        rates = [tokens / duration for duration in (statistics.median(taken), max(taken), min(taken))]
        share = rates[0] * work / 1e9 / limits[precision]
        figures = " | ".join(f"{tokens_per_second:,.0f}" for tokens_per_second in rates)
        print(f"| {name} | {precision} | {figures} | {work / 1e6:.1f} | {share:.0%} |")


if __name__ == "__main__":
    main()
