"""What the matrix products of each row of model_speed.py bound it to, and what share of that was reached.

    python benchmarks/model_bounds.py --measure
    python benchmarks/model_bounds.py --bf16 730 --fp32 358 --processor "AMD EPYC"

GFLOP/s are those that a large product reaches on the machine, which `--measure` prints; the figures are the medians of
`speed.jsonl` for one processor. Work is counted in products alone: 2 operations for each weight and token, as many
again for each of both gradients. Softmax, gates, masks and the optimizer come on top of it.
"""

from __future__ import annotations

import argparse
import time
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import torch
from model_inputs import documents
from rows import SPEED, rows_of
from speed_tables import by_processor

from ulmfit.models.config import EncoderConfig, size_config
from ulmfit.models.products import linear

DOCUMENTS = 32
BOUND = ("lm-", "classifier-")  # rows that are bound by products; the others read weights


def layer_weights(config: EncoderConfig) -> list[int]:
    """Weights of each layer of an AWD-LSTM, each used once for a token."""
    sizes = [config.emb_sz, *[config.n_hid] * (config.n_layers - 1), config.emb_sz]
    return [4 * n_out * (n_in + n_out) for n_in, n_out in pairwise(sizes)]


def operations(row: str, turn: int) -> float:
    """GFLOP of the products for one token, or for one document of a turn's batch."""
    layers = layer_weights(size_config("base"))
    encoder = 2 * sum(layers)
    words = int(row.split("-")[2]) if row.startswith("lm-") else 0
    token = encoder + 2 * words * size_config("base").emb_sz
    if row.startswith("lm-train"):
        return 3 * token / 1e9
    if row.startswith("lm-eval"):
        return token / 1e9
    lengths = [len(document) for document in documents(10_344, DOCUMENTS, turn)]
    learned = {"classifier-unfrozen": sum(layers), "classifier-two-groups": layers[-1]}.get(row, 0)
    return (encoder + 4 * learned) * sum(lengths) / len(lengths) / 1e9


def rate(dtype: torch.dtype) -> float:
    """GFLOP/s of a product of the size of a batch's input product, by the faster library, the best of ten."""
    a, b = torch.randn(4608, 1152, dtype=dtype), torch.randn(4608, 1152, dtype=dtype)
    seconds = []
    for _ in range(10):
        started = time.perf_counter()
        linear(a, b)
        seconds.append(time.perf_counter() - started)
    return 2 * a.shape[0] * a.shape[1] * b.shape[0] / min(seconds) / 1e9


def reached(rows: list[dict[str, Any]]) -> dict[str, dict[str, tuple[float, float]]]:
    """Of the AWD-LSTM with one softmax, by row and precision: its median, and GFLOP/s of products, median, too."""
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for row in rows:
        name, *how = row["measure"].split(", ")
        if name.startswith(BOUND) and how[:-1] in ([], ["exact"]):
            done = [value * operations(name, turn) for turn, value in enumerate(row["ulmfit"], 1)]
            found.setdefault(name, {})[how[-1]] = median(row["ulmfit"]), median(done)
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bf16", type=float, help="GFLOP/s")
    parser.add_argument("--fp32", type=float, help="GFLOP/s")
    parser.add_argument("--measure", action="store_true", help="print what products reach here, and nothing else")
    parser.add_argument("--rows", type=Path, default=SPEED, help="of model_speed.py")
    parser.add_argument("--processor", help="whose rows, if there are those of several")
    given = parser.parse_args()
    if given.measure:
        print(f"--bf16 {rate(torch.bfloat16):.0f} --fp32 {rate(torch.float32):.0f}")
        return
    found = by_processor(rows_of(given.rows))
    measured = found.get(given.processor or next(iter(found), ""))
    if measured is None or (given.processor is None and len(found) > 1):
        parser.error(f"--processor: name one of {', '.join(found)}")
    rates = {name: r for name in ("bf16", "fp32") if (r := getattr(given, name)) is not None}
    print("| row |" + "".join(f" {name}: in a second | GFLOP/s of products | of {r:g} |" for name, r in rates.items()))
    print("|" + "---|" * (1 + 3 * len(rates)))
    for row, of in reached(measured).items():
        cells = [f"{of[n][0]:,.1f} | {of[n][1]:,.0f} | {of[n][1] / r:.0%}" for n, r in rates.items() if n in of]
        print(f"| `{row}` | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
