"""What the language model of the recipe learns from a base in a given time, by its rate and by how long layers freeze.

    python benchmarks/lm_finetuning.py TASK/train.csv --base en-small --seconds 100s --rates 0.005 0.01 --frozen 0.1

FILE has a column text. A quarter of it, at most `--held-out` texts, is held out; `--texts` of the rest are learned
from. One line of JSON for each run: perplexity on the held-out texts, of the best epoch; the vocabulary is the same in
all runs of a draw, so that these compare.
"""

from __future__ import annotations

import argparse
import json
from itertools import product
from pathlib import Path

import numpy as np
from few_labels import QUIET, held_out_of, read

from ulmfit.cli.options import parse_duration
from ulmfit.training.bases import find_bases
from ulmfit.training.clock import Clock
from ulmfit.training.lm_stage import train_language_model
from ulmfit.training.parts import Wide
from ulmfit.training.recipes import MAX_VOCAB, Recipe


def main() -> None:
    """Train with each setting, in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--base", default="en-small")
    parser.add_argument("--texts", type=int, default=6_000)
    parser.add_argument("--held-out", type=int, default=300)
    parser.add_argument("--seconds", type=parse_duration, default=120.0)
    parser.add_argument("--rates", type=float, nargs="+", default=[5e-3])
    parser.add_argument("--frozen", type=float, nargs="+", default=[0.25], help="shares of the time")
    parser.add_argument("--rows", type=int, nargs="+", default=[Recipe().lm_bs], help="of a batch")
    parser.add_argument("--draws", type=int, default=1)
    given = parser.parse_args()
    rows = read(given.file)
    rest, held_out = held_out_of([label for _, label in rows])
    for draw in range(given.draws):
        learned = [rows[i][0] for i in np.random.default_rng(draw).permutation(rest)[: given.texts]]
        base = find_bases(learned, QUIET, given.base).forward
        if base is None:
            raise SystemExit(f"{given.base} is no base")
        stores = Wide.build(
            learned,
            [rows[i][0] for i in held_out[: given.held_out]],
            [],
            base.tokenizer,
            min_freq=Recipe().min_freq,
            max_vocab=max(MAX_VOCAB["small"], len(base.vocab)),
            console=QUIET,
            base=base.vocab,
        ).narrowed()
        for rate, frozen, lm_bs in product(given.rates, given.frozen, given.rows):
            recipe = Recipe(lm_lr=rate, lm_bs=lm_bs, seed=draw)
            _, _, report = train_language_model(
                stores, base.config, recipe, Clock(given.seconds), QUIET, base, frozen=frozen
            )
            facts = {"draw": draw, "rate": rate, "frozen": frozen, "rows": lm_bs}
            print(json.dumps(facts | {k: report[k] for k in ("perplexity", "tokens_seen", "seconds")}), flush=True)


if __name__ == "__main__":
    main()
