"""What the matrix products of each row of model_speed.py bound it to, and what share of that was reached.

    python benchmarks/model_bounds.py --bf16 750 --fp32 330 lm-train-10344=3344,1907 classifier-frozen=41.9,20.3

GFLOP/s are those that a large product reaches on the machine (`--measure` measures them here); after a row come the
figures of bfloat16 and float32 from model_speed.py. Work is counted in products alone: 2 operations for each weight and
token, as many again for each of both gradients. Softmax, gates, masks and the optimizer come on top of it.
"""

from __future__ import annotations

import argparse
import time
from itertools import pairwise

import torch
from model_inputs import documents
from rich.console import Console
from rich.table import Table

from ulmfit.models.config import EncoderConfig, size_config
from ulmfit.models.products import linear

DOCUMENTS, BATCHES = 32, 6
PER_TEXT = {"one-text-235": 235, "one-text-8": 8}


def encoder_weights(config: EncoderConfig) -> int:
    """Weights of the layers of an AWD-LSTM, each used once for a token."""
    sizes = [config.emb_sz, *[config.n_hid] * (config.n_layers - 1), config.emb_sz]
    return sum(4 * n_out * (n_in + n_out) for n_in, n_out in pairwise(sizes))


def operations(row: str) -> float:
    """GFLOP of the products for one token, document or text."""
    encoder = 2 * encoder_weights(size_config("base"))
    words = int(row.rpartition("-")[2]) if row.startswith(("lm-", "next-")) else 0
    token = encoder + 2 * words * size_config("base").emb_sz
    if row.startswith("lm-train"):
        return 3 * token / 1e9
    if row.startswith(("lm-eval", "next-word")):
        return token / 1e9
    if row in PER_TEXT:
        return PER_TEXT[row] * encoder / 1e9
    lengths = [len(document) for step in range(BATCHES) for document in documents(10_344, DOCUMENTS, step)]
    return (3 if row == "classifier-unfrozen" else 1) * encoder * sum(lengths) / len(lengths) / 1e9


def rate(dtype: torch.dtype) -> float:
    """GFLOP/s of a product of the size of a batch's input product, by the faster library, the best of ten."""
    a, b = torch.randn(4608, 1152, dtype=dtype), torch.randn(4608, 1152, dtype=dtype)
    seconds = []
    for _ in range(10):
        started = time.perf_counter()
        linear(a, b)
        seconds.append(time.perf_counter() - started)
    return 2 * a.shape[0] * a.shape[1] * b.shape[0] / min(seconds) / 1e9


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW=BF16[,FP32]")
    parser.add_argument("--bf16", type=float, help="GFLOP/s")
    parser.add_argument("--fp32", type=float, help="GFLOP/s")
    parser.add_argument("--measure", action="store_true", help="print what products reach here, and nothing else")
    given = parser.parse_args()
    if given.measure:
        print(f"--bf16 {rate(torch.bfloat16):.0f} --fp32 {rate(torch.float32):.0f}")
        return
    rates = [r for r in (given.bf16, given.fp32) if r is not None]
    table = Table("row", "MFLOP", *(f"at most, of {r:g} GFLOP/s" for r in rates), "reached", box=None)
    for argument in given.rows:
        row, _, figures = argument.partition("=")
        work = operations(row)
        most = [r / work for r in rates]
        shares = [float(figure) / m for figure, m in zip(figures.split(","), most, strict=False) if figure]
        table.add_row(row, f"{work * 1e3:,.0f}", *(f"{m:,.1f}" for m in most), ", ".join(f"{s:.0%}" for s in shares))
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
