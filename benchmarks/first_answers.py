"""What it is worth that a network of several labels begins at their shares: on the texts behind those learned from.

    python benchmarks/first_answers.py runs/tasks/goemotions/train.csv --labels 2000 --seeds 2

FILE has columns text and label, in which labels stand one after the other. For each seed the network alone is trained
twice, without a time budget, from the same weights: its answers begin at 0, or at the shares of the labels. One line of
JSON for each run: the average precision on the next `--held-out` texts, the mean over the labels that occur there, and
over all answers.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from unittest import mock

import numpy as np
from few_labels import read
from rich.console import Console
from sklearn.metrics import average_precision_score

from ulmfit.data.sources import Examples
from ulmfit.inference.predictor import Predictor
from ulmfit.models.classifier import PoolingLinearClassifier
from ulmfit.training.bases import load_base
from ulmfit.training.parts import prepare_texts
from ulmfit.training.recipe import Recipe
from ulmfit.training.recipes import train_text_classifier

QUIET = Console(quiet=True)


def main() -> None:
    """Train in both ways, for each seed, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--base", default="en-small")
    parser.add_argument("--labels", type=int, default=2_000, help="texts to learn from")
    parser.add_argument("--held-out", type=int, default=2_000)
    parser.add_argument("--seeds", type=int, default=2)
    given = parser.parse_args()
    rows = read(given.file, given.labels + given.held_out)
    texts, labels = [text for text, _ in rows], [label.split() for _, label in rows]
    learned = Examples(texts=texts[: given.labels], labels=labels[: given.labels], source=str(given.file))
    for seed in range(given.seeds):
        parts = prepare_texts(learned, None, (), valid_pct=0.1, seed=seed, task="multi_label")
        recipe = Recipe(lm_epochs=1, ngrams=False, seed=seed)
        for begins in ("0", "shares"):
            started, base = time.perf_counter(), load_base(given.base)
            if begins == "0":
                with mock.patch.object(PoolingLinearClassifier, "begin_at"):
                    trained = train_text_classifier(parts, recipe, QUIET, base=base)
            else:
                trained = train_text_classifier(parts, recipe, QUIET, base=base)
            predictor = Predictor(trained.classifier)
            answers = predictor.outputs(texts[given.labels :])
            target = np.array([[one in of_text for one in predictor.labels] for of_text in labels[given.labels :]])
            there = target.any(0)
            found = {
                "over_labels": average_precision_score(target[:, there], answers[:, there], average="macro"),
                "over_answers": average_precision_score(target, answers, average="micro"),
                "seconds": time.perf_counter() - started,
            }
            facts = {"seed": seed, "begins": begins} | {name: round(float(v), 4) for name, v in found.items()}
            print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    main()
