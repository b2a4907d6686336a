from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import sklearn.metrics
import torch
from learners import classifier_learner, lm_learner
from torch import Tensor

from ulmfit.errors import ConfigError
from ulmfit.training import sklearn_metrics as sk
from ulmfit.training.metrics import (
    Accuracy,
    AvgMetric,
    Perplexity,
    accuracy,
    accuracy_multi,
    make_metric,
    make_metrics,
    msle,
    rmse,
    top_k_accuracy,
)


@dataclass
class Said:
    logits: Tensor
    ar = tar = torch.zeros(())

    def cross_entropy(self, target: Tensor) -> Tensor:
        return torch.nn.functional.cross_entropy(self.logits, target)

    def predictions(self) -> Tensor:
        return self.logits.argmax(-1)


def seen(metric, logits: Tensor, target: Tensor, parts: int = 3) -> float:
    """The metric's value over batches of different sizes."""
    metric.reset()
    cuts = [0, *sorted(torch.randperm(len(logits) - 1)[: parts - 1].add(1).tolist()), len(logits)]
    for a, b in pairwise(cuts):
        metric.update(Said(logits[a:b]), target[a:b], 0.0)
    return metric.value()


def test_single_label_metrics_are_those_of_scikit_learn_over_the_whole_pass():
    logits, target = torch.randn(40, 3), torch.randint(3, (40,))
    y, p = target.numpy(), logits.argmax(1).numpy()
    probabilities = logits.softmax(1).numpy()
    expected = {
        "f1": sklearn.metrics.f1_score(y, p, average="macro"),
        "precision": sklearn.metrics.precision_score(y, p, average="macro", zero_division=0),
        "recall": sklearn.metrics.recall_score(y, p, average="macro"),
        "mcc": sklearn.metrics.matthews_corrcoef(y, p),
        "balanced_accuracy": sklearn.metrics.balanced_accuracy_score(y, p),
        "roc_auc": sklearn.metrics.roc_auc_score(y, probabilities, multi_class="ovr"),
        "accuracy": (y == p).mean(),
        "error_rate": (y != p).mean(),
    }
    for name, value in expected.items():
        assert seen(make_metric(name), logits, target) == pytest.approx(value), name


def test_two_classes_are_averaged_as_two():
    logits, target = torch.randn(30, 2), torch.randint(2, (30,))
    assert seen(make_metric("f1"), logits, target) == pytest.approx(
        sklearn.metrics.f1_score(target.numpy(), logits.argmax(1).numpy())
    )
    assert seen(make_metric("roc_auc"), logits, target) == pytest.approx(
        sklearn.metrics.roc_auc_score(target.numpy(), logits.softmax(1)[:, 1].numpy())
    )


def test_multi_label_metrics():
    logits, target = torch.randn(30, 4), torch.randint(2, (30, 4)).float()
    y, p = target.numpy(), (logits.sigmoid() > 0.3).numpy()
    assert seen(sk.F1ScoreMulti(thresh=0.3), logits, target) == pytest.approx(
        sklearn.metrics.f1_score(y, p, average="macro", zero_division=0)
    )
    assert seen(make_metric("roc_auc", "multi_label"), logits, target) == pytest.approx(
        sklearn.metrics.roc_auc_score(y, logits.sigmoid().numpy())
    )
    assert seen(make_metric("accuracy", "multi_label"), logits, target) == pytest.approx(
        float(accuracy_multi(logits, target))
    )


def test_regression_metrics():
    values, target = torch.randn(25, 1), torch.randn(25)
    x, y = values[:, 0].numpy(), target.numpy()
    assert seen(make_metric("r2"), values, target) == pytest.approx(sklearn.metrics.r2_score(y, x), abs=1e-6)
    assert seen(make_metric("mae"), values, target) == pytest.approx(np.abs(x - y).mean())
    assert seen(make_metric(rmse), values, target) == pytest.approx(np.sqrt(((x - y) ** 2).mean()))
    ranks = np.corrcoef(x.argsort().argsort(), y.argsort().argsort())[0, 1]
    assert seen(make_metric("spearman"), values, target) == pytest.approx(ranks)
    assert seen(make_metric("pearson"), values, target) == pytest.approx(np.corrcoef(x, y)[0, 1])


def test_a_metric_that_is_not_defined_is_nan_and_says_nothing():
    logits, target = torch.randn(6, 2), torch.zeros(6, dtype=torch.int64)  # one class only
    assert math.isnan(seen(make_metric("roc_auc"), logits, target))
    assert math.isnan(seen(make_metric("pearson"), torch.ones(5, 1), torch.randn(5)))
    assert math.isnan(make_metric("f1").value())


def test_what_processes_saw_is_put_together():
    logits, target = torch.randn(20, 2), torch.randint(2, (20,))
    for name in ("accuracy", "f1", "roc_auc"):
        whole = seen(make_metric(name), logits, target)
        parts = []
        for rows in (slice(0, 7), slice(7, 20)):
            one = make_metric(name)
            one.update(Said(logits[rows]), target[rows], 0.0)
            parts.append(one.state())
        together = make_metric(name)
        together.merge(parts)
        assert together.value() == pytest.approx(whole)


def test_a_metric_is_a_name_a_function_a_class_or_an_object():
    assert isinstance(make_metric(accuracy), Accuracy)
    assert isinstance(make_metric(Perplexity), Perplexity)
    assert make_metric(top_k_accuracy).name == "top_k_accuracy"
    assert make_metric(partial(top_k_accuracy, k=2)).name == "top_k_accuracy"
    assert [m.name for m in make_metrics([accuracy, Perplexity(), "f1"], "single_label")] == [
        "accuracy",
        "perplexity",
        "f1_score",
    ]
    assert make_metrics(accuracy, "lm")[0].name == "accuracy"
    assert make_metrics(None, "lm") == []
    with pytest.raises(ConfigError, match="did you mean 'accuracy'"):
        make_metric("acuracy")
    with pytest.raises(ConfigError, match="must be a name"):
        make_metric(3)
    with pytest.raises(ConfigError, match="named accuracy"):
        make_metrics([accuracy, "accuracy"], "lm")
    with pytest.raises(ConfigError, match="average='mean'"):
        sk.F1Score("mean")


def test_they_reach_the_history():
    def share_of_ones(logits: Tensor, target: Tensor) -> Tensor:
        return (logits.argmax(1) == 1).float().mean()

    learn = classifier_learner(metrics=["f1", "roc_auc", share_of_ones, AvgMetric(top_k_accuracy)])
    learn.fit(1, 1e-2)
    assert list(learn.history[0])[4:-1] == ["f1_score", "roc_auc_score", "share_of_ones", "top_k_accuracy"]
    lm = lm_learner(metrics=[partial(top_k_accuracy, k=2), "accuracy"])
    row = lm.validate()
    assert row["top_k_accuracy"] >= row["accuracy"]


@pytest.mark.parametrize(
    ("metric", "task", "message"),
    [
        ("accuracy", "regression", "accuracy is for lm and single_label"),
        ("f1", "regression", "the task is regression"),
        ("r2", "single_label", "r2_score is for regression"),
        (top_k_accuracy, "multi_label", "top_k_accuracy is for"),
    ],
)
def test_a_metric_that_does_not_fit_the_task_is_refused(metric, task, message):
    learn = classifier_learner()
    learn.dls = SimpleNamespace(task=task)
    learn.task = task
    with pytest.raises(ConfigError, match=message):
        learn.metrics = [metric]


def test_metrics_that_are_assigned_later_are_made_into_metrics():
    learn = classifier_learner(metrics=None)
    learn.metrics = [accuracy]
    assert 0 <= learn.validate()["accuracy"] <= 1


def test_what_makes_a_metric_is_no_metric():
    with pytest.raises(ConfigError, match=r"must be called: metrics=\[F1Score\(\)\]"):
        classifier_learner(metrics=[sk.F1Score])
    with pytest.raises(ConfigError, match="AvgMetric needs arguments"):
        classifier_learner(metrics=AvgMetric)


def test_further_metrics_of_scikit_learn():
    rng = np.random.default_rng(0)
    logits, target = torch.from_numpy(rng.normal(size=(40, 2))), torch.from_numpy(rng.integers(0, 2, 40))
    several = torch.from_numpy(rng.integers(0, 2, (40, 2)))
    values, wanted = logits[:, :1].float(), torch.from_numpy(rng.normal(size=40)).float()
    answers, p, said = logits.argmax(1), logits.softmax(1)[:, 1], logits.sigmoid() > 0.5
    skm = sklearn.metrics
    for metric, x, y, expected in (
        (sk.Jaccard(), logits, target, skm.jaccard_score(target, answers)),
        (sk.HammingLoss(), logits, target, skm.hamming_loss(target, answers)),
        (sk.BrierScore(), logits, target, skm.brier_score_loss(target, p)),
        (sk.RocAucBinary(), logits, target, skm.roc_auc_score(target, p)),
        (sk.APScoreBinary(), logits, target, skm.average_precision_score(target, p)),
        (sk.JaccardMulti(), logits, several, skm.jaccard_score(several, said, average="macro")),
        (sk.FBetaMulti(2.0), logits, several, skm.fbeta_score(several, said, beta=2.0, average="macro")),
        (sk.MatthewsCorrCoefMulti(), logits, several, skm.matthews_corrcoef(several.ravel(), said.ravel().long())),
        (sk.ExplainedVariance(), values, wanted, skm.explained_variance_score(wanted, values[:, 0])),
    ):
        assert seen(metric, x, y) == pytest.approx(expected, abs=1e-6), metric.name
    assert float(msle(torch.tensor([1.0, 3.0]), torch.tensor([1.0, 1.0]))) == pytest.approx(math.log(2) ** 2 / 2)


def test_settings_of_scikit_learn_reach_it():
    logits = torch.tensor([[2.0, 0, 0], [0, 2, 0], [2, 0, 0], [0, 0, 2], [0, 2, 0], [0, 0, 2]])
    target = torch.tensor([0, 1, 1, 2, 0, 1])
    said = logits.argmax(1)

    def figure(metric):
        metric.update(SimpleNamespace(logits=logits, predictions=lambda: said), target, 0.0)
        return metric.value()

    assert figure(sk.CohenKappa(weights="quadratic")) == pytest.approx(
        sklearn.metrics.cohen_kappa_score(target, said, weights="quadratic")
    )
    assert figure(sk.BalancedAccuracy(adjusted=True)) == pytest.approx(
        sklearn.metrics.balanced_accuracy_score(target, said, adjusted=True)
    )
    assert figure(sk.F1Score(average="macro", labels=[0, 2])) == pytest.approx(
        sklearn.metrics.f1_score(target, said, average="macro", labels=[0, 2])
    )
    assert accuracy(logits.T, target, axis=0) == accuracy(logits, target)
