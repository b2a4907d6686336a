"""How accurate a classifier becomes when lower layers learn more slowly: the recipe's `rate_fall`, on texts held out.

    ulmfit finetune en-small reviews.csv --text text --out runs/reviews-lm
    python benchmarks/rate_fall.py runs/reviews-lm train.csv dev.csv [--falls 2.6 1.375] [--out runs/rate_fall]

Every run begins with the same fine-tuned language model, which is left as it is.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from ulmfit.training.job import TrainJob, run
from ulmfit.training.recipe import Recipe


def main() -> None:
    """Train with each fall, and print the epochs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", type=Path, help="folder of a language model")
    parser.add_argument("train", type=Path)
    parser.add_argument("dev", type=Path)
    parser.add_argument("--falls", type=float, nargs="+", default=[2.6, 1.375])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/rate_fall"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for fall in given.falls:
        console = Console()
        console.print(f"rate_fall {fall}")
        recipe = Recipe(lm_epochs=0, rate_fall=fall, seed=given.seed)
        out = given.out / f"{fall}-{given.seed}"
        job = TrainJob(data=given.train, valid=given.dev, out=out, base=str(given.base), recipe=recipe, overwrite=True)
        run(job, console)


if __name__ == "__main__":
    main()
