"""Linear baselines for text classification, on any training and test file with one text and one label per row.

`tfidf`: TF-IDF of words and word pairs with sublinear term frequency, and logistic regression.
`nb`: presence of words and word pairs, weighted by naive Bayes log-count ratios, and logistic regression.
Of more than two classes each is told from the rest, by liblinear's Newton method, which takes a tenth of the time of
its dual one on long texts and ends at the same optimum. (Rows of results up to commit 7b4b951 are of one problem for
`tfidf`, and of scikit-learn's usual solver.) The strength of the regularization is chosen by cross-validation on the
training part alone; what it does not change, the features of a fold, is made once.

Source: Wang & Manning 2012, Baselines and Bigrams: Simple, Good Sentiment and Topic Classification, section 2 (the
ratios, on the presence of n-grams); Mesnil et al. 2014, Ensemble of Generative and Discriminative Techniques for
Sentiment Analysis of Movie Reviews (logistic regression in place of the support vector machine).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from memory import peak_memory
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline

WORDS_AND_MARKS = r"\w+(?:'\w+)?|[^\w\s]"  # the default pattern of scikit-learn drops "!" and "I"
STRENGTHS = (0.1, 1.0, 10.0, 100.0, 1_000.0)  # of C, the inverse of the regularization


class LogCountRatio(TransformerMixin, BaseEstimator):
    """Weight each feature by how much more often it occurs in one class than in the other.

    The weight is r = log((p / |p|) / (q / |q|)), where p and q are alpha plus the sums of the feature over the rows of
    either class.

    Args:
        alpha: the smoothing count, above 0.
    """

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def fit(self, X: sparse.csr_matrix, y: npt.ArrayLike) -> Self:
        """Estimate the ratios.

        Args:
            X: the features, N x V, not negative.
            y: the two classes, N; the greater value is the positive class.

        Returns:
            The transformer itself, with `log_ratio_` of shape V.

        Raises:
            ValueError: if `y` does not hold exactly two classes.
        """
        labels = np.asarray(y)
        classes = np.unique(labels)
        if len(classes) != 2:
            raise ValueError(f"two classes are compared and y holds {len(classes)}; wrap this in OneVsRestClassifier")
        sums = (X[np.flatnonzero(labels == label)].sum(axis=0) for label in classes)
        negative, positive = (counts / counts.sum() for counts in (self.alpha + np.asarray(s).ravel() for s in sums))
        self.log_ratio_: npt.NDArray[np.float64] = np.log(positive / negative)
        return self

    def transform(self, X: sparse.csr_matrix) -> sparse.csr_matrix:
        """Return the features, N x V, each column times its ratio."""
        return sparse.csr_matrix(X @ sparse.diags(self.log_ratio_))


def logistic_regression(seed: int) -> LogisticRegression:
    """Return the classifier of two classes that both baselines share."""
    return LogisticRegression(max_iter=1_000, random_state=seed)


def one_of_many(seed: int) -> LogisticRegression:
    """Return what tells one class from the rest in less time.

    liblinear's penalty is on the intercept, too; the scale keeps that small.
    """
    return LogisticRegression(max_iter=1_000, random_state=seed, solver="liblinear", intercept_scaling=10.0)


def searched(features: Any, one_class: Any, folds: StratifiedKFold, many: bool, cache: str) -> GridSearchCV:
    """The search for the strength, of a pipeline whose classifier is told from the rest class by class if it must."""
    steps = [("features", features), ("model", OneVsRestClassifier(one_class) if many else one_class)]
    model = Pipeline(steps, memory=cache)
    name = "model__estimator__classifier__C" if many else "model__classifier__C"
    return GridSearchCV(model, {name: STRENGTHS}, cv=folds)


def tfidf(seed: int, folds: StratifiedKFold, n_classes: int, cache: str) -> GridSearchCV:
    """Return TF-IDF with logistic regression, to be fitted on raw strings; features are kept in the folder `cache`."""
    features = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=WORDS_AND_MARKS, dtype=np.float32)
    many = n_classes > 2
    one_class = Pipeline([("classifier", one_of_many(seed) if many else logistic_regression(seed))])
    return searched(features, one_class, folds, many, cache)


def nb(seed: int, folds: StratifiedKFold, n_classes: int, cache: str) -> GridSearchCV:
    """Return NB-weighted n-grams with logistic regression, to be fitted on raw strings; `cache` as for `tfidf`."""
    features = CountVectorizer(ngram_range=(1, 2), binary=True, token_pattern=WORDS_AND_MARKS, dtype=np.float32)
    many = n_classes > 2
    classifier = one_of_many(seed) if many else logistic_regression(seed)
    return searched(features, Pipeline([("ratio", LogCountRatio()), ("classifier", classifier)]), folds, many, cache)


METHODS = {"tfidf": tfidf, "nb": nb}


def fitted(method: str, texts: list[str], labels: list[str], folds: int, seed: int) -> GridSearchCV:
    """Choose the strength on folds of the training part, and fit a method (a key of `METHODS`) on all of it."""
    parts = StratifiedKFold(folds, shuffle=True, random_state=seed)
    with TemporaryDirectory() as cache:
        return METHODS[method](seed, parts, len(set(labels)), cache).fit(texts, labels)


def read(path: Path, text: str, label: str) -> tuple[list[str], list[str]]:
    """Read texts and labels of a CSV file, every label as a string.

    Raises:
        SystemExit: if a column is missing or a cell of it is empty.
    """
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    for column in (text, label):
        if column not in frame.columns:
            raise SystemExit(f"{path}: no column {column!r}; there are: {', '.join(frame.columns)}")
        if empty := int((frame[column].str.strip() == "").sum()):
            raise SystemExit(f"{path}: {empty} empty cells in column {column!r}")
    return frame[text].tolist(), frame[label].tolist()


def measure(method: str, train: Path, test: Path, text: str, label: str, folds: int, seed: int) -> dict[str, Any]:
    """Fit one method and score it on the test file.

    Args:
        method: a key of `METHODS`.
        train: the training CSV; fitting and the choice of C see nothing else.
        test: the test CSV.
        text: the name of the text column.
        label: the name of the label column.
        folds: the number of folds of the cross-validation.
        seed: of the folds and of the classifier.

    Returns:
        Scores in 0..1, seconds of wall time, and the peak memory of this process in MB (10^6 bytes).
    """
    texts, labels = read(train, text, label)
    test_texts, test_labels = read(test, text, label)
    start = time.perf_counter()
    search = fitted(method, texts, labels, folds, seed)
    ready = time.perf_counter()
    predicted = search.predict(test_texts)
    end = time.perf_counter()
    return {
        "method": method,
        "accuracy": round(float(accuracy_score(test_labels, predicted)), 4),
        "macro_f1": round(float(f1_score(test_labels, predicted, average="macro")), 4),
        "cross_validation_accuracy": round(float(search.best_score_), 4),
        "C": next(iter(search.best_params_.values())),
        "train_rows": len(texts),
        "test_rows": len(test_texts),
        "fit_seconds": round(ready - start, 1),
        "predict_seconds": round(end - ready, 1),
        "peak_memory_mb": round(peak_memory() / 1e6),
    }


def main() -> None:
    """Parse the command line, measure each method in a process of its own, print JSON and write it to a file."""
    parser = argparse.ArgumentParser(description="Linear baselines for text classification.")
    parser.add_argument("train", type=Path, help="training CSV")
    parser.add_argument("test", type=Path, help="test CSV")
    parser.add_argument("--text", default="text", help="name of the text column")
    parser.add_argument("--label", default="label", help="name of the label column")
    parser.add_argument("--method", choices=[*METHODS, "all"], default="all")
    parser.add_argument("--folds", type=int, default=5, help="folds of the cross-validation that chooses C")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/linear_baselines.json"), help="JSON file to write")
    args = parser.parse_args()
    for path in (args.train, args.test):
        if not path.is_file():
            parser.error(f"{path} is not there")
    methods = list(METHODS) if args.method == "all" else [args.method]
    results = []
    for method in methods:  # a fresh process each, so that the peak memory is that of the method
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            job = pool.submit(measure, method, args.train, args.test, args.text, args.label, args.folds, args.seed)
            results.append(job.result())
        print(json.dumps(results[-1], indent=2), flush=True)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
