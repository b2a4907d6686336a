"""What both sides of model_speed.py share: the inputs, from numpy alone, and the conversation with the program.

Tokens are drawn from a Zipf distribution, as the words of a language are. Lengths of documents are log-normal with the
median and spread of the IMDb reviews (about 230 tokens, a quarter of them above 370), in batches of similar length.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping

import numpy as np
from memory import peak_memory
from numpy.typing import NDArray

Ids = NDArray[np.int64]


def stream(vocab_sz: int, bs: int, seq_len: int, step: int) -> Ids:
    """One batch of running text with one token more, (bs, seq_len + 1)."""
    ranks = np.arange(1, vocab_sz - 8)
    probabilities = (1 / ranks) / (1 / ranks).sum()
    rng = np.random.default_rng(step)
    return 9 + rng.choice(len(ranks), size=(bs, seq_len + 1), p=probabilities)


def documents(vocab_sz: int, bs: int, step: int) -> list[Ids]:
    """One batch of documents of similar length, longest first."""
    rng = np.random.default_rng(0)
    lengths = np.sort(rng.lognormal(np.log(230), 0.7, size=50 * bs).astype(int).clip(20, 1400))[::-1]
    first = [25, 10, 40, 18, 32, 5][step % 6] * bs
    return [stream(vocab_sz, 1, int(n) - 1, step)[0] for n in lengths[first : first + bs]]


def answer(makers: Mapping[str, Callable[..., Callable[[int], int]]]) -> None:
    """Make the contestant that the command line names; then for each line of input take a step.

    The answer is a line with the seconds it took, what was worked through, and the peak memory in MB.
    """
    if len(sys.argv) != 2 or not sys.argv[1].startswith("["):
        sys.exit("this is run by model_speed.py")
    maker, arguments = json.loads(sys.argv[1])
    step = makers[maker](*arguments)
    for n, _ in enumerate(sys.stdin):
        started = time.perf_counter()
        done = step(n)
        seconds = time.perf_counter() - started
        sys.stdout.write(json.dumps([seconds, done, peak_memory() / 2**20]) + "\n")
        sys.stdout.flush()
