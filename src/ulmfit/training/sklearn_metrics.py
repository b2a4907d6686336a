"""Metrics that scikit-learn computes from all answers of a validation pass.

They are right where a mean over batches is not (F1, ROC AUC, correlations). Where a metric is not defined, as for a
validation part of one class, its value is NaN.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from torch import Tensor

from ulmfit.arguments import checked
from ulmfit.errors import ConfigError
from ulmfit.training.metrics import Metric, Output, logits_of

Kind = Literal["classes", "probabilities", "multi_classes", "multi_probabilities", "values"]
_TASKS: dict[Kind, tuple[str, ...]] = {
    "classes": ("lm", "single_label"),
    "probabilities": ("single_label",),
    "multi_classes": ("multi_label",),
    "multi_probabilities": ("multi_label",),
    "values": ("regression",),
}
Average = Literal["binary", "macro", "micro", "weighted", "samples"]


class SklearnMetric(Metric):
    """A function of all targets and answers.

    Args:
        func: the name of a function of `sklearn.metrics`, or a function of `(targets, answers)`.
        name: column in the history.
        kind: what the answers are: class ids, probabilities of classes, the same for texts with any number of classes,
            or values.
        thresh: for "multi_classes": a class is given if its probability is higher.
        higher_is_better: whether a higher value is better.
        settings: passed on to the function.
    """

    @checked
    def __init__(
        self,
        func: str | Callable[..., float],
        name: str,
        *,
        kind: Kind = "classes",
        thresh: float = 0.5,
        higher_is_better: bool = True,
        settings: dict[str, Any] | None = None,
    ) -> None:
        self.func, self.name, self.kind, self.thresh = func, name, kind, thresh
        self.higher_is_better = higher_is_better
        self.tasks = _TASKS[kind]
        self.settings = settings or {}
        self.reset()

    def reset(self) -> None:
        """Forget what was collected."""
        self.answers: list[np.ndarray[Any, Any]] = []
        self.targets: list[np.ndarray[Any, Any]] = []

    def update(self, output: Output, target: Tensor, loss: float) -> None:
        """Take one batch."""
        if self.kind == "classes":
            answers = output.predictions().flatten()
            target = target.flatten()
        else:
            logits = logits_of(output).float()
            if self.kind == "probabilities":
                answers = logits.softmax(-1)
            elif self.kind == "values":
                answers, target = logits.flatten(), target.float().flatten()
            else:
                answers = logits.sigmoid()
        array = answers.cpu().numpy()
        self.answers.append(array > self.thresh if self.kind == "multi_classes" else array)
        self.targets.append(target.cpu().numpy())

    def value(self) -> float:
        """The figure; NaN where it is not defined."""
        if not self.answers:
            return math.nan
        targets, answers = np.concatenate(self.targets), np.concatenate(self.answers)
        settings = dict(self.settings)
        if self.kind == "probabilities" and answers.shape[1] == 2:
            answers = answers[:, 1]
        if self.kind.endswith("probabilities"):
            settings.pop("average", None) if answers.ndim == 1 else None
        if settings.get("average") == "auto":
            settings["average"] = "binary" if max(targets.max(), answers.max()) < 2 else "macro"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a metric is not defined shows in its value
            try:
                return float(_function(self.func)(targets, answers, **settings))
            except ValueError:
                if len(np.unique(targets)) < 2:
                    return math.nan
                raise

    def state(self) -> list[Any]:
        """All targets and answers."""
        return [self.answers, self.targets]

    def merge(self, states: Sequence[list[Any]]) -> None:
        """Put together the targets and answers of all processes."""
        self.answers = [a for s in states for a in s[0]]
        self.targets = [t for s in states for t in s[1]]


def _function(func: str | Callable[..., float]) -> Callable[..., float]:
    if callable(func):
        return func
    import sklearn.metrics

    result: Callable[..., float] = getattr(sklearn.metrics, func)
    return result


def _averaged(func: str, name: str, average: Average | None, *, multi: bool, thresh: float, **settings: Any) -> Metric:
    """A metric of classes that is averaged over them: binary for two classes, else macro, if nothing is said."""
    known = ("binary", "macro", "micro", "weighted", "samples")
    if average is not None and average not in known:
        raise ConfigError(f"average={average!r} is not known; choose from {', '.join(known)}")
    settings = {"average": average or ("macro" if multi else "auto"), "zero_division": 0, **settings}
    return SklearnMetric(func, name, kind="multi_classes" if multi else "classes", thresh=thresh, settings=settings)


@checked
def F1Score(average: Average | None = None, labels: Sequence[Any] | None = None, pos_label: int = 1) -> Metric:
    """Harmonic mean of precision and recall."""
    return _averaged("f1_score", "f1_score", average, multi=False, thresh=0.5, labels=labels, pos_label=pos_label)


@checked
def FBeta(
    beta: float, average: Average | None = None, labels: Sequence[Any] | None = None, pos_label: int = 1
) -> Metric:
    """Weighted harmonic mean of precision and recall."""
    return _averaged(
        "fbeta_score", "fbeta_score", average, multi=False, thresh=0.5, beta=beta, labels=labels, pos_label=pos_label
    )


@checked
def Precision(average: Average | None = None, labels: Sequence[Any] | None = None, pos_label: int = 1) -> Metric:
    """Share of the texts given a class that have it."""
    return _averaged(
        "precision_score", "precision_score", average, multi=False, thresh=0.5, labels=labels, pos_label=pos_label
    )


@checked
def Recall(average: Average | None = None, labels: Sequence[Any] | None = None, pos_label: int = 1) -> Metric:
    """Share of the texts of a class that are given it."""
    return _averaged(
        "recall_score", "recall_score", average, multi=False, thresh=0.5, labels=labels, pos_label=pos_label
    )


@checked
def F1ScoreMulti(thresh: float = 0.5, average: Average = "macro") -> Metric:
    """F1 where a text has any number of classes."""
    return _averaged("f1_score", "f1_score", average, multi=True, thresh=thresh)


@checked
def PrecisionMulti(thresh: float = 0.5, average: Average = "macro") -> Metric:
    """Precision where a text has any number of classes."""
    return _averaged("precision_score", "precision_score", average, multi=True, thresh=thresh)


@checked
def RecallMulti(thresh: float = 0.5, average: Average = "macro") -> Metric:
    """Recall where a text has any number of classes."""
    return _averaged("recall_score", "recall_score", average, multi=True, thresh=thresh)


@checked
def HammingLossMulti(thresh: float = 0.5) -> Metric:
    """Share of wrong answers over texts and classes, where a text has any number of classes."""
    return SklearnMetric("hamming_loss", "hamming_loss", kind="multi_classes", thresh=thresh, higher_is_better=False)


@checked
def FBetaMulti(beta: float, thresh: float = 0.5, average: Average = "macro") -> Metric:
    """Weighted harmonic mean of precision and recall where a text has any number of classes."""
    return _averaged("fbeta_score", "fbeta_score", average, multi=True, thresh=thresh, beta=beta)


@checked
def Jaccard(average: Average | None = None, labels: Sequence[Any] | None = None, pos_label: int = 1) -> Metric:
    """Of the texts that have a class or are given it, the share where both are so."""
    return _averaged(
        "jaccard_score", "jaccard_score", average, multi=False, thresh=0.5, labels=labels, pos_label=pos_label
    )


@checked
def JaccardMulti(thresh: float = 0.5, average: Average = "macro") -> Metric:
    """The same where a text has any number of classes."""
    return _averaged("jaccard_score", "jaccard_score", average, multi=True, thresh=thresh)


@checked
def HammingLoss() -> Metric:
    """Share of wrong answers."""
    return SklearnMetric("hamming_loss", "hamming_loss", higher_is_better=False)


@checked
def BrierScore() -> Metric:
    """Mean square of the differences of probabilities and classes; two classes."""
    return SklearnMetric("brier_score_loss", "brier_score_loss", kind="probabilities", higher_is_better=False)


@checked
def MatthewsCorrCoef() -> Metric:
    """Correlation of answers and targets."""
    return SklearnMetric("matthews_corrcoef", "matthews_corrcoef")


@checked
def MatthewsCorrCoefMulti(thresh: float = 0.5) -> Metric:
    """Correlation of answers and targets over texts and classes, where a text has any number of classes."""
    return SklearnMetric(_flat_mcc, "matthews_corrcoef", kind="multi_classes", thresh=thresh)


@checked
def CohenKappa(labels: Sequence[Any] | None = None, weights: Literal["linear", "quadratic"] | None = None) -> Metric:
    """Agreement beyond chance."""
    return SklearnMetric("cohen_kappa_score", "cohen_kappa_score", settings={"labels": labels, "weights": weights})


@checked
def BalancedAccuracy(adjusted: bool = False) -> Metric:
    """Mean recall of the classes; `adjusted` so that chance is 0."""
    return SklearnMetric("balanced_accuracy_score", "balanced_accuracy_score", settings={"adjusted": adjusted})


@checked
def RocAuc(average: str = "macro", multi_class: str = "ovr") -> Metric:
    """Area under the ROC curve, from probabilities; with more than two classes one against the rest."""
    settings = {"average": average, "multi_class": multi_class}
    return SklearnMetric("roc_auc_score", "roc_auc_score", kind="probabilities", settings=settings)


@checked
def RocAucBinary() -> Metric:
    """Area under the ROC curve, of two classes."""
    return SklearnMetric("roc_auc_score", "roc_auc_score", kind="probabilities")


@checked
def APScoreBinary() -> Metric:
    """Average precision, of two classes."""
    return SklearnMetric("average_precision_score", "average_precision_score", kind="probabilities")


@checked
def RocAucMulti(average: str = "macro") -> Metric:
    """Area under the ROC curve where a text has any number of classes."""
    return SklearnMetric("roc_auc_score", "roc_auc_score", kind="multi_probabilities", settings={"average": average})


@checked
def APScoreMulti(average: str = "macro") -> Metric:
    """Average precision where a text has any number of classes."""
    settings = {"average": average}
    return SklearnMetric(
        "average_precision_score", "average_precision_score", kind="multi_probabilities", settings=settings
    )


@checked
def R2Score() -> Metric:
    """Share of the variance that is explained."""
    return SklearnMetric("r2_score", "r2_score", kind="values")


@checked
def ExplainedVariance() -> Metric:
    """Share of the variance that is explained, whatever the mean of the values."""
    return SklearnMetric("explained_variance_score", "explained_variance_score", kind="values")


@checked
def PearsonCorrCoef() -> Metric:
    """Linear correlation of values and targets."""
    return SklearnMetric(_pearson, "pearsonr", kind="values")


@checked
def SpearmanCorrCoef() -> Metric:
    """Correlation of the ranks of values and targets."""
    return SklearnMetric(_spearman, "spearmanr", kind="values")


def _flat_mcc(targets: np.ndarray[Any, Any], answers: np.ndarray[Any, Any]) -> float:
    from sklearn.metrics import matthews_corrcoef

    return float(matthews_corrcoef(targets.ravel().astype(bool), answers.ravel().astype(bool)))


def _pearson(targets: np.ndarray[Any, Any], answers: np.ndarray[Any, Any]) -> float:
    varied = len(targets) > 1 and np.ptp(targets) > 0 and np.ptp(answers) > 0
    return float(np.corrcoef(targets, answers)[0, 1]) if varied else math.nan


def _spearman(targets: np.ndarray[Any, Any], answers: np.ndarray[Any, Any]) -> float:
    import pandas as pd  # half a second, for this one metric

    return _pearson(pd.Series(targets).rank().to_numpy(), pd.Series(answers).rank().to_numpy())


def _by_task(single: Callable[[], Metric], multi: Callable[[], Metric]) -> Callable[[str], Metric]:
    return lambda task: multi() if task == "multi_label" else single()


BY_NAME: dict[str, Callable[[str], Metric]] = {
    "f1": _by_task(F1Score, F1ScoreMulti),
    "precision": _by_task(Precision, PrecisionMulti),
    "recall": _by_task(Recall, RecallMulti),
    "roc_auc": _by_task(RocAuc, RocAucMulti),
    "mcc": lambda task: MatthewsCorrCoef(),
    "cohen_kappa": lambda task: CohenKappa(),
    "balanced_accuracy": lambda task: BalancedAccuracy(),
    "r2": lambda task: R2Score(),
    "pearson": lambda task: PearsonCorrCoef(),
    "spearman": lambda task: SpearmanCorrCoef(),
}
