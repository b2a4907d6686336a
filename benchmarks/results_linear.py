"""The systems of scikit-learn for the tables of results: n-grams with linear models, for every kind of task.

    python benchmarks/results_linear.py tfidf TASK_FOLDER ANSWER.json [--seed 0]

The features and classifiers are those of `linear_baselines.py`. Several labels: one classifier against the rest for
each, and one threshold for all, the best for micro F1. Numbers: ridge regression on the features, within the range of
those to learn from; there are no classes to weight n-grams by, so that those of `nb` count as they are. Strength and
threshold are chosen by cross-validation on the training part (with the dev part, where there is one) alone.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from linear_baselines import METHODS, STRENGTHS, WORDS_AND_MARKS, LogCountRatio, fitted, logistic_regression
from results_labels import several_labels
from results_tasks import MULTI, REGRESSION, SINGLE, read_known, read_part, read_task
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import Pipeline, make_pipeline

FOLDS = 5


def features(method: str) -> Any:
    """What a method makes of a text."""
    common: dict[str, Any] = {"ngram_range": (1, 2), "token_pattern": WORDS_AND_MARKS, "dtype": np.float32}
    if method == "tfidf":
        return TfidfVectorizer(sublinear_tf=True, **common)
    return CountVectorizer(binary=True, **common)


def single(method: str, texts: list[str], labels: list[str], test: list[str], seed: int) -> list[str]:
    """The class of each text of the test part."""
    return [str(label) for label in fitted(method, texts, labels, FOLDS, seed).predict(test)]


def multi(method: str, texts: list[str], labels: list[str], test: list[str], seed: int) -> list[str]:
    """The classes of each text of the test part, separated by spaces."""
    table = features(method)

    def one_label(strength: float) -> Any:
        classifier = logistic_regression(seed).set_params(C=strength)
        return make_pipeline(LogCountRatio(), classifier) if method == "nb" else classifier

    return several_labels(
        table.fit_transform(texts),
        labels,
        table.transform(test),
        classifier=one_label,
        strengths=STRENGTHS,
        seed=seed,
    )


def regression(method: str, texts: list[str], labels: list[str], test: list[str], seed: int) -> list[str]:
    """The number for each text of the test part."""
    model = Pipeline([("features", features(method)), ("ridge", Ridge())])
    folds = KFold(FOLDS, shuffle=True, random_state=seed)
    values = np.array(labels, dtype=float)
    search = GridSearchCV(model, {"ridge__alpha": [0.001, 0.01, 0.1, 1.0, 10.0, 100.0]}, cv=folds).fit(texts, values)
    return [repr(float(value)) for value in search.predict(test).clip(values.min(), values.max())]


SOLVE = {SINGLE: single, MULTI: multi, REGRESSION: regression}


def main() -> None:
    """Fit, predict, write the answer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("method", choices=[*METHODS])
    parser.add_argument("task", type=Path)
    parser.add_argument("answer", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    texts, labels = read_known(given.task)
    test, _ = read_part(given.task, "test")
    predictions = SOLVE[read_task(given.task).kind](given.method, texts, labels, test, given.seed)
    given.answer.write_text(json.dumps(predictions), encoding="utf-8")


if __name__ == "__main__":
    main()
