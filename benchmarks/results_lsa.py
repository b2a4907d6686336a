"""TF-IDF of all texts, with and without a label, its first singular vectors, and logistic regression.

    python benchmarks/results_lsa.py TASK_FOLDER ANSWER.json [--seed 0]

What scikit-learn can make of texts without labels: `TruncatedSVD` finds the directions in which they vary together
(latent semantic analysis), and the classifier learns from where a text stands along them. Their number and the strength
of the regularization are chosen by cross-validation on the training part (with the dev part) alone. For tasks of one
class for each text.

Source: Deerwester et al. 1990, Indexing by Latent Semantic Analysis.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from linear_baselines import STRENGTHS, WORDS_AND_MARKS
from results_tasks import SINGLE, read_known, read_part, read_task, read_unlabelled
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.preprocessing import normalize

DIRECTIONS = (50, 100, 300)
FOLDS = 5


def vectors(texts: list[str], others: list[str], new: list[str], seed: int) -> tuple[Any, Any]:
    """Where texts and new ones stand (N, 300) along the directions of the texts and the others."""
    table = TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, token_pattern=WORDS_AND_MARKS, min_df=2, dtype=np.float32
    )
    directions = TruncatedSVD(max(DIRECTIONS), random_state=seed)
    places = directions.fit_transform(table.fit_transform([*texts, *others]))
    return places[: len(texts)], directions.transform(table.transform(new))


def main() -> None:
    """Find directions, fit, predict, write the answer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", type=Path)
    parser.add_argument("answer", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if (kind := read_task(given.task).kind) != SINGLE:
        parser.error(f"this is for tasks of kind {SINGLE}, and {given.task} is of kind {kind}")
    texts, labels = read_known(given.task)
    known, new = vectors(texts, read_unlabelled(given.task), read_part(given.task, "test")[0], given.seed)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=given.seed)
    searches = {
        n: GridSearchCV(LogisticRegression(max_iter=2_000), {"C": STRENGTHS}, cv=folds).fit(
            normalize(known[:, :n]), labels
        )
        for n in DIRECTIONS
    }
    n = max(searches, key=lambda n: searches[n].best_score_)
    predictions = [str(label) for label in searches[n].predict(normalize(new[:, :n]))]
    given.answer.write_text(json.dumps(predictions), encoding="utf-8")


if __name__ == "__main__":
    main()
