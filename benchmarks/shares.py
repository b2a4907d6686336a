"""How much to listen to the network where few texts can prove it: priors of `fit_shares`, on texts held out.

    python benchmarks/base_worth.py TASK/train.csv --labels 200 1000 --time-budget 4m --halves runs/halves
    python benchmarks/shares.py keep MODEL TASK/train.csv CHECK.csv --seed 0 --out runs/halves/imdb-lm.npz
    python benchmarks/shares.py compare runs/halves/*.npz --enough 1000 10000 --doubt 0.5 2

A file has what both halves of one classifier answer for the part it was chosen and weighed by, and for texts that it
has never seen. `base_worth.py` writes one for each run; `keep` makes one of a model folder that `ulmfit train` wrote
from TRAIN with the seed, and the texts of CHECK that are not among TRAIN's. `compare` weighs the halves anew with each
prior, and prints the accuracy on the texts never seen, beside those of each half alone and of the best fixed share.
"""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from few_labels import read
from rich.console import Console
from rich.table import Table

from ulmfit.data.sources import Examples
from ulmfit.inference.predictor import Predictor
from ulmfit.training.ngrams import fit_shares
from ulmfit.training.parts import Texts, prepare_texts

FIXED = np.concatenate([[0.0], np.geomspace(0.01, 10, 31)])  # of the network, as a share of the n-grams'


def keep_halves(predictor: Predictor, texts: Texts, check: tuple[list[str], list[str]], out: Path) -> None:
    """Write both halves' outputs (N, C) for the validation part and for texts never seen, with what is right."""
    kept: dict[str, Any] = {"n_learned": np.array(len(texts.train[0]))}
    for name, (asked, labels) in (("valid", texts.valid), ("check", check)):
        network, ngrams = predictor.halves(asked)
        if ngrams is None:
            raise SystemExit("the classifier has no n-grams")
        right = np.array([predictor.labels.index(label) for label in labels])
        kept |= {f"{name}_network": network, f"{name}_ngrams": ngrams, f"{name}_target": right}
    out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(out, **kept)


def keep(given: argparse.Namespace) -> None:
    """Write the halves of a model folder."""
    rows = read(given.train)
    data = Examples(texts=[text for text, _ in rows], labels=[label for _, label in rows], source=str(given.train))
    texts = prepare_texts(data, None, [], valid_pct=0.1, seed=given.seed)
    known = set(data.texts)
    others = [row for row in read(given.check) if row[0] not in known]
    others = [others[i] for i in np.random.default_rng(0).permutation(len(others))[: given.most]]
    check = [text for text, _ in others], [label for _, label in others]
    keep_halves(Predictor.load(given.model), texts, check, given.out)


def compare(given: argparse.Namespace) -> None:
    """Print the table."""
    priors = list(product(given.enough, given.doubt))
    heads = [f"{enough:,.0f}, {doubt:g}" for enough, doubt in priors]
    table = Table("", "learned", "valid", "network", "n-grams", *heads, "best fixed", box=None)
    found = []
    for path in given.files:
        with np.load(path) as file:
            kept = dict(file)
        network, ngrams, right = (kept[f"check_{name}"] for name in ("network", "ngrams", "target"))
        valid = kept["valid_network"], kept["valid_ngrams"], kept["valid_target"], "single_label"
        n = int(kept["n_learned"])
        shares = [fit_shares(*valid, n, enough=enough, doubt=doubt) for enough, doubt in priors]
        joined = [first * network + second * ngrams for first, second in shares]
        fixed = [share * network + ngrams for share in FIXED]
        correct = [float((o.argmax(1) == right).mean()) for o in (network, ngrams, *joined, *fixed)]
        found.append([*correct[: 2 + len(priors)], max(correct[2 + len(priors) :])])
        table.add_row(path.stem, f"{n:,}", str(len(valid[0])), *(f"{value:.4f}" for value in found[-1]))
    table.add_row("mean", "", "", *(f"{value:.4f}" for value in np.mean(found, axis=0)))
    Console(width=120 + 12 * len(priors)).print(table)


def main() -> None:
    """Keep or compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    keeping = commands.add_parser("keep")
    keeping.add_argument("model", type=Path)
    keeping.add_argument("train", type=Path)
    keeping.add_argument("check", type=Path)
    keeping.add_argument("--seed", type=int, default=0)
    keeping.add_argument("--most", type=int, default=1_500)
    keeping.add_argument("--out", type=Path, required=True)
    keeping.set_defaults(run=keep)
    comparing = commands.add_parser("compare")
    comparing.add_argument("files", type=Path, nargs="+")
    comparing.add_argument("--enough", type=float, nargs="+", default=[1_000, 3_000, 10_000])
    comparing.add_argument("--doubt", type=float, nargs="+", default=[0.5, 2.0])
    comparing.set_defaults(run=compare)
    given = parser.parse_args()
    given.run(given)


if __name__ == "__main__":
    main()
