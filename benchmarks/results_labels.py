"""Several labels for each text: a classifier against the rest for each label, and one threshold for all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.metrics import f1_score
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import MultiLabelBinarizer


def several_labels(
    known: Any,
    labels: Sequence[str],
    new: Any,
    *,
    classifier: Callable[[float], Any],
    strengths: Sequence[float],
    seed: int,
) -> list[str]:
    """Fit, and choose strength and threshold for the best micro F1 in cross-validation.

    Args:
        known: features of the texts to learn from (N, E).
        labels: their labels, separated by spaces.
        new: features of the texts to label.
        classifier: makes the classifier of one label from the inverse of the regularization's strength.
        strengths: to choose from.
        seed: of the folds.

    Returns:
        The labels of the new texts, separated by spaces.
    """
    binarizer = MultiLabelBinarizer()
    targets = binarizer.fit_transform([label.split() for label in labels])
    folds = KFold(5, shuffle=True, random_state=seed)
    best: tuple[float, float, float] = (-1.0, 0.0, 0.0)
    for strength in strengths:
        model = OneVsRestClassifier(classifier(strength))
        scores = cross_val_predict(model, known, targets, cv=folds, method="predict_proba")
        for threshold in np.arange(0.05, 0.55, 0.05).tolist():
            f1 = float(f1_score(targets, scores >= threshold, average="micro", zero_division=0))
            best = max(best, (f1, strength, threshold))
    _, strength, threshold = best
    model = OneVsRestClassifier(classifier(strength)).fit(known, targets)
    return [" ".join(names) for names in binarizer.inverse_transform(model.predict_proba(new) >= threshold)]
