"""What the language model of the recipe learns in a given time, by its rate, rows, dropout, schedule and frozen layers.

    python benchmarks/lm_finetuning.py TASK/train.csv --seconds 60s --rates 0.01 0.02 --rows 32 64 --first 0.2 1

FILE has a column text. A quarter of it, at most `--held-out` texts, is held out; `--texts` of the rest are learned
from. One line of JSON for each combination: perplexity on the held-out texts at the end of the time, in which nothing
is checked; the vocabulary is the same in all runs of a draw, so that these compare. `--schedules cycle` is one cycle
that rises for a quarter of the time, a number a trapezoid that falls for so large a share of it.
"""

from __future__ import annotations

import argparse
import json
import math
from itertools import product
from pathlib import Path

import numpy as np
from few_labels import QUIET, held_out_of, read

from ulmfit.cli.options import parse_duration
from ulmfit.data.loaders import LMDataLoader
from ulmfit.models.config import size_config
from ulmfit.training.bases import find_bases
from ulmfit.training.callbacks import Callback, CancelValidException
from ulmfit.training.learner import DataLoaders, Learner
from ulmfit.training.lm_callbacks import FreshStarts, GrowingDropout
from ulmfit.training.lm_stage import CLIP, begin
from ulmfit.training.parts import Wide
from ulmfit.training.recipe import MAX_VOCAB, Recipe
from ulmfit.training.schedules import one_cycle, trapezoid

EPOCHS = 1000  # more than any time is enough for


def skip(learn: Learner) -> None:
    """Check nothing: the time is for learning."""
    raise CancelValidException


def main() -> None:
    """Train with each setting, in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--base", default="en-small", help="or none, for random weights with its words")
    parser.add_argument("--texts", type=int, default=6_000)
    parser.add_argument("--held-out", type=int, default=300)
    parser.add_argument("--seconds", type=parse_duration, nargs="+", default=[60.0])
    parser.add_argument("--rates", type=float, nargs="+", default=[0.02])
    parser.add_argument("--rows", type=int, nargs="+", default=[64], help="of a batch")
    parser.add_argument("--first", type=float, nargs="+", default=[0.2], help="factor on dropout in the first pass")
    parser.add_argument("--dropouts", type=float, nargs="+", default=[1.0], help="factor on dropout in all passes")
    parser.add_argument("--schedules", nargs="+", default=["0.7"])
    parser.add_argument("--frozen", type=float, nargs="+", default=[0.0], help="share of the time without the layers")
    parser.add_argument("--fresh", type=float, nargs="+", default=[0.06], help="chance of a row to forget its state")
    parser.add_argument("--draws", type=int, default=1)
    given = parser.parse_args()
    rows = read(given.file)
    rest, held_out = held_out_of([label for _, label in rows])
    names = ("seconds", "rates", "rows", "first", "dropouts", "schedules", "frozen", "fresh")
    for draw in range(given.draws):
        learned = [rows[i][0] for i in np.random.default_rng(draw).permutation(rest)[: given.texts]]
        base = find_bases(learned, QUIET, "en-small" if given.base == "none" else given.base).forward
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
        for setting in product(*(getattr(given, name) for name in names)):
            seconds, rate, bs, first, dropout, schedule, frozen, fresh = setting
            config = (size_config("small") if given.base == "none" else base.config).scaled(dropout)
            model = begin(stores, config, Recipe(seed=draw), QUIET, None if given.base == "none" else base)
            dls = DataLoaders(
                LMDataLoader(stores.lm, bs=bs, seq_len=Recipe().bptt, shuffle=True, seed=draw),
                LMDataLoader(stores.valid, bs=min(32, len(stores.valid)), seq_len=Recipe().bptt),
            )
            learn = Learner(dls, model, seed=draw, clip=CLIP)
            shape = one_cycle() if schedule == "cycle" else trapezoid(fall=float(schedule), mom=learn.moms[1])
            cbs = [Callback(before_validate=skip), GrowingDropout(first), *([FreshStarts(fresh)] if fresh else [])]
            if frozen:
                learn.freeze()
                learn.fit(EPOCHS, rate, schedule=shape, seconds=frozen * seconds, cbs=cbs)
                learn.unfreeze()
            learn.fit(EPOCHS, rate, schedule=shape, seconds=(1 - frozen) * seconds, cbs=cbs)
            facts = dict(zip(names, setting, strict=True)) | {"draw": draw, "base": given.base}
            facts |= {"perplexity": round(math.exp(learn.validate()["valid_loss"]), 2)}
            facts |= {"passes": round(learn.n_targets / stores.lm.n_tokens, 2)}
            print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    main()
