"""Metrics of a validation pass: each sees every batch once and gives one number.

A metric is given by its name, as a function of `(logits, target)`, as a class or as an object of it. What is collected
over the pass is sums where sums are enough; metrics of scikit-learn are in `sklearn_metrics`.
"""

from __future__ import annotations

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from ulmfit.arguments import checked, one_of
from ulmfit.errors import ConfigError
from ulmfit.training.losses import described, flat_pair


class Output(Protocol):
    """What the models return."""

    ar: Tensor
    tar: Tensor

    def cross_entropy(self, target: Tensor) -> Tensor:
        """Mean loss against the target."""

    def predictions(self) -> Tensor:
        """The likeliest class or token of each place of the target."""


def logits_of(output: Output) -> Tensor:
    """The logits of a batch. A language model's are made here: B x T x V numbers."""
    logits = getattr(output, "logits", None)
    return cast("Tensor", output.log_probabilities() if logits is None else logits)  # type: ignore[attr-defined]


class Metric(ABC):
    """Collects over a validation pass.

    Attributes:
        name: its column in the history.
        higher_is_better: whether a higher value is better.
        tasks: whose answers it can measure; None for all.
    """

    name: str
    tasks: tuple[str, ...] | None = None
    higher_is_better: bool = True

    @abstractmethod
    def reset(self) -> None:
        """Forget what was collected."""

    @abstractmethod
    def update(self, output: Output, target: Tensor, loss: float) -> None:
        """Take one batch; `loss` is its mean loss."""

    @abstractmethod
    def value(self) -> float:
        """The figure for all batches since `reset`; NaN where it is not defined."""

    @abstractmethod
    def state(self) -> list[Any]:
        """What was collected, to be sent to other processes."""

    @abstractmethod
    def merge(self, states: Sequence[list[Any]]) -> None:
        """Replace what was collected by what all processes have."""


class MeanMetric(Metric):
    """The mean of something over all targets."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget what was collected."""
        self.total, self.n = 0.0, 0

    def add(self, mean: float, n: int) -> None:
        """Take the mean of n targets."""
        self.total += mean * n
        self.n += n

    def value(self) -> float:
        """The mean; NaN when nothing was seen."""
        return self.total / self.n if self.n else math.nan

    def state(self) -> list[Any]:
        """Sum and count."""
        return [self.total, self.n]

    def merge(self, states: Sequence[list[Any]]) -> None:
        """Add up the sums and counts of all processes."""
        self.total, self.n = sum(s[0] for s in states), sum(s[1] for s in states)


class Accuracy(MeanMetric):
    """Share of right predictions."""

    name = "accuracy"
    tasks = ("lm", "single_label")

    def update(self, output: Output, target: Tensor, loss: float) -> None:
        """Take one batch."""
        self.total += int((output.predictions() == target).sum())
        self.n += target.numel()


class ErrorRate(Accuracy):
    """Share of wrong predictions."""

    name = "error_rate"
    higher_is_better = False

    def value(self) -> float:
        """In [0, 1]; NaN when nothing was seen."""
        return 1 - super().value()


class Perplexity(MeanMetric):
    """Exponential of the mean loss."""

    name = "perplexity"
    tasks = ("lm", "single_label")
    higher_is_better = False

    def update(self, output: Output, target: Tensor, loss: float) -> None:
        """Take one batch."""
        self.add(loss, target.numel())

    def value(self) -> float:
        """At least 1; infinity where it is too large for a float, NaN when nothing was seen."""
        mean = super().value()
        return math.exp(mean) if not mean >= 700 else math.inf


class AvgMetric(MeanMetric):
    """The mean of a function of `(logits, target)` over the batches, each counted by its rows.

    Args:
        func: gives the mean over a batch.
        name: its column in the history; by default the function's name.
        higher_is_better: whether a higher value is better.
    """

    @checked
    def __init__(
        self, func: Callable[[Tensor, Tensor], Any], name: str | None = None, *, higher_is_better: bool = True
    ) -> None:
        super().__init__()
        self.func = func
        self.name = name or getattr(func, "__name__", None) or getattr(func, "func", func).__name__
        self.higher_is_better = higher_is_better
        self.tasks = _TASKS.get(getattr(func, "func", func))

    def update(self, output: Output, target: Tensor, loss: float) -> None:
        """Take one batch."""
        value: Any = self.func(logits_of(output), target)
        try:
            self.add(float(value), len(target))
        except (TypeError, ValueError, RuntimeError) as error:
            raise ConfigError(
                f"metric {self.name} must give one number for a batch; it gave {described(value)}"
            ) from error


class Accumulated(Metric):
    """A metric that collects by itself, as those that are derived from `names.Metric`.

    Args:
        metric: has `reset()`, `accumulate(learn)`, `value` and `name`.
    """

    def __init__(self, metric: Any) -> None:
        self.metric, self.name = metric, str(metric.name)
        self.reset()

    def reset(self) -> None:
        """Forget what was collected."""
        self.metric.reset()

    def update(self, output: Output, target: Tensor, loss: float) -> None:
        """Take one batch."""
        self.metric.accumulate(SimpleNamespace(pred=logits_of(output), y=target, yb=(target,), loss=loss))

    def value(self) -> float:
        """The figure, as a number; NaN where there is none."""
        value = self.metric.value
        value = value() if callable(value) else value
        return math.nan if value is None else float(value)

    def state(self) -> list[Any]:
        """Nothing that could be put together."""
        return []

    def merge(self, states: Sequence[list[Any]]) -> None:
        """Refuse several processes.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(f"{self.name} cannot be put together of several processes; derive from metrics.Metric")


class RootMeanSquare(AvgMetric):
    """Root of the mean square of the differences, over all targets."""

    def __init__(self) -> None:
        super().__init__(mse, "rmse", higher_is_better=False)

    def value(self) -> float:
        """The root; NaN when nothing was seen."""
        return math.sqrt(super().value())


def accuracy(logits: Tensor, target: Tensor, axis: int = -1) -> Tensor:
    """Share of places where the highest logit (..., C; classes along `axis`) is the target's (...)."""
    return (logits.argmax(axis) == target).float().mean()


def error_rate(logits: Tensor, target: Tensor, axis: int = -1) -> Tensor:
    """Share of places where the highest logit (..., C; classes along `axis`) is not the target's (...)."""
    return 1 - accuracy(logits, target, axis)


def top_k_accuracy(logits: Tensor, target: Tensor, k: int = 5) -> Tensor:
    """Share of places where the target (...) is among the k highest logits (..., C)."""
    highest = logits.topk(min(k, logits.shape[-1]), dim=-1).indices
    return (highest == target.unsqueeze(-1)).any(-1).float().mean()


def accuracy_multi(logits: Tensor, target: Tensor, thresh: float = 0.5, sigmoid: bool = True) -> Tensor:
    """Share of right answers over texts and classes (N, C), where a text has any number of classes."""
    probabilities = logits.sigmoid() if sigmoid else logits
    return ((probabilities > thresh) == target.bool()).float().mean()


def mse(logits: Tensor, target: Tensor) -> Tensor:
    """Mean square of the differences."""
    return torch.nn.functional.mse_loss(*flat_pair(logits, target))


def mae(logits: Tensor, target: Tensor) -> Tensor:
    """Mean size of the differences."""
    return torch.nn.functional.l1_loss(*flat_pair(logits, target))


def rmse(logits: Tensor, target: Tensor) -> Tensor:
    """Root of the mean square of the differences."""
    return mse(logits, target).sqrt()


def msle(logits: Tensor, target: Tensor) -> Tensor:
    """Mean square of the differences of the logarithms of 1 + x; nothing may be at or below -1."""
    values, target = flat_pair(logits, target)
    return torch.nn.functional.mse_loss(values.log1p(), target.log1p())


_TASKS: dict[Callable[..., Any], tuple[str, ...]] = {
    accuracy: ("lm", "single_label"),
    error_rate: ("lm", "single_label"),
    top_k_accuracy: ("lm", "single_label"),
    accuracy_multi: ("multi_label",),
    **dict.fromkeys((mse, mae, rmse, msle), ("regression",)),
}


def _known() -> dict[str, Callable[[str], Metric]]:
    """Metrics by name, each made for a task."""
    from ulmfit.training import sklearn_metrics

    return {
        "accuracy": lambda task: AvgMetric(accuracy_multi, "accuracy") if task == "multi_label" else Accuracy(),
        "error_rate": lambda task: ErrorRate(),
        "perplexity": lambda task: Perplexity(),
        "top_k_accuracy": lambda task: AvgMetric(top_k_accuracy),
        "accuracy_multi": lambda task: AvgMetric(accuracy_multi),
        "mse": lambda task: AvgMetric(mse, higher_is_better=False),
        "mae": lambda task: AvgMetric(mae, higher_is_better=False),
        "rmse": lambda task: RootMeanSquare(),
        **sklearn_metrics.BY_NAME,
    }


def make_metric(metric: object, task: str = "single_label") -> Metric:
    """A metric from its name, function, class, or the metric itself.

    Args:
        metric: a name, a `Metric`, a subclass of it that needs no arguments, or a function of `(logits, target)`.
        task: "lm", "single_label", "multi_label" or "regression".

    Raises:
        ConfigError: the name is not known, or it is none of these.
    """
    if isinstance(metric, Metric):
        return metric
    own = {accuracy: "accuracy", error_rate: "error_rate", rmse: "rmse", mse: "mse", mae: "mae"}
    name = own.get(metric) if callable(metric) else metric
    if isinstance(name, str):
        known = _known()
        if name not in known:
            raise ConfigError(f"metric {name!r} is not known; {one_of(name, known)}")
        return known[name](task)
    if isinstance(metric, type) and issubclass(metric, Metric):
        try:
            return metric()
        except TypeError as error:
            raise ConfigError(f"metric {metric.__name__} needs arguments: give an object of it ({error})") from error
    if hasattr(metric, "accumulate"):
        return Accumulated(metric() if isinstance(metric, type) else metric)
    if callable(metric):
        if getattr(metric, "__module__", "") == "ulmfit.training.sklearn_metrics":
            named = getattr(metric, "__name__", repr(metric))
            raise ConfigError(f"metric {named} must be called: metrics=[{named}()]")
        return AvgMetric(metric)
    raise ConfigError(f"a metric must be a name, a Metric or a function of (logits, target), not {metric!r}")


def make_metrics(metrics: object, task: str) -> list[Metric]:
    """Metrics from one or several of what `make_metric` takes; None for none.

    Raises:
        ConfigError: one is not known, or two have one name.
    """
    given = [] if metrics is None else list(metrics) if isinstance(metrics, list | tuple) else [metrics]
    made = [make_metric(m, task) for m in given]
    names = [m.name for m in made]
    if twice := sorted({n for n in names if names.count(n) > 1}):
        raise ConfigError(f"two metrics are named {', '.join(twice)}; give one of them another name")
    return made


def check_task(metrics: Sequence[Metric], task: str | None, n_classes: int = 0) -> None:
    """Refuse metrics that cannot measure the answers of a task (None if it is not known) or of so few classes.

    Raises:
        ConfigError: all of them, with the names of metrics that can.
    """
    unfit = [m for m in metrics if task is not None and m.tasks is not None and task not in m.tasks]
    if unfit:
        fit = [name for name, make in _known().items() if (t := make(str(task)).tasks) is None or task in t]
        reasons = "; ".join(f"{m.name} is for {' and '.join(m.tasks or ())}" for m in unfit)
        raise ConfigError(f"the task is {task}, and {reasons}; metrics for it are {', '.join(fit)}")
    for k in (inspect.signature(f).parameters["k"].default for m in metrics if (f := _top_k(m)) is not None):
        if k < 1 or 0 < n_classes <= k:
            most = f" and below the {n_classes} classes: it is always 1" if k >= 1 else ""
            raise ConfigError(f"top_k_accuracy: k={k} must be at least 1{most}; give partial(top_k_accuracy, k=...)")


def _top_k(metric: Metric) -> Callable[..., Any] | None:
    func = metric.func if isinstance(metric, AvgMetric) else None
    return func if func is not None and getattr(func, "func", func) is top_k_accuracy else None
