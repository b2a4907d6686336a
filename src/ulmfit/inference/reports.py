"""What `ulmfit evaluate` says of a model, by its task.

N documents, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import classification_report

from ulmfit.data.labelling import MULTI_LABEL, REGRESSION
from ulmfit.inference.answers import TextPredictor
from ulmfit.inference.evaluate import figures_text, multi_label_figures, target_of, value_figures
from ulmfit.inference.interpretation import Interpretation, title

_SHOWN = 5


@dataclass(frozen=True)
class MultiLabelReport:
    """A model of several labels for each text, on labelled texts.

    Args:
        labels: C class names.
        target: 0 and 1 (N, C).
        probabilities: (N, C).
        thresholds: from which probability on each class applies (C,).
    """

    labels: tuple[str, ...]
    target: NDArray[Any]
    probabilities: NDArray[np.floating[Any]]
    thresholds: NDArray[np.float64]

    def by_label(self, *, as_dict: bool = False) -> Any:
        """Precision, recall and F1 of each class, as a table or as a dictionary."""
        said = self.probabilities >= self.thresholds
        return classification_report(
            self.target > 0.5, said, target_names=self.labels, zero_division=0.0, output_dict=as_dict
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as for JSON."""
        figures = multi_label_figures(self.probabilities, self.target, self.thresholds)
        thresholds = dict(zip(self.labels, self.thresholds.tolist(), strict=True))
        return {
            **figures,
            "labels": list(self.labels),
            "thresholds": thresholds,
            "by_label": self.by_label(as_dict=True),
        }

    def to_text(self) -> str:
        """A report for people."""
        figures = multi_label_figures(self.probabilities, self.target, self.thresholds)
        return f"{figures_text(figures)}\n\n{self.by_label()}"


@dataclass(frozen=True)
class ValueReport:
    """A model that gives values, on texts whose values are known.

    Args:
        texts: N texts.
        target: their values (N, n).
        values: what the model gives (N, n).
    """

    texts: tuple[str, ...]
    target: NDArray[Any]
    values: NDArray[np.floating[Any]]

    def worst(self, k: int = 9) -> list[dict[str, Any]]:
        """The texts with the largest error, largest first."""
        order = np.argsort(-np.abs(self.values - self.target).max(1), kind="stable")[:k].tolist()
        return [
            {"index": i, "text": self.texts[i], "value": self.target[i].tolist(), "said": self.values[i].tolist()}
            for i in order
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as for JSON."""
        return {**value_figures(self.values, self.target), "worst": self.worst()}

    def to_text(self) -> str:
        """A report for people."""
        lines = [figures_text(value_figures(self.values, self.target)), "", "The largest errors:"]
        for case in self.worst(_SHOWN):
            said, value = (", ".join(f"{v:.4g}" for v in case[name]) for name in ("said", "value"))
            lines.append(f"  text {case['index'] + 1}: {said} instead of {value}: {title(case['text'])}")
        return "\n".join(lines)


def report(
    predictor: TextPredictor, texts: Sequence[str], labels: Sequence[Any]
) -> Interpretation | MultiLabelReport | ValueReport:
    """A model on N labelled texts, read once.

    Raises:
        DataError: there are no texts, one is empty, or the model does not know a label.
    """
    if predictor.task not in (MULTI_LABEL, REGRESSION):
        return Interpretation.of(predictor, texts, labels)
    target = target_of(predictor, labels)
    if predictor.task == MULTI_LABEL:
        return MultiLabelReport(predictor.labels, target, predictor.predict_proba(texts), predictor.thresholds)
    values = predictor.outputs(texts)
    return ValueReport(tuple(texts), target.reshape(values.shape), values)
