"""Callbacks that watch a column of the history: keep the best, stop early, lower the learning rate; and logs of it."""

from __future__ import annotations

import copy
import csv
import io
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ulmfit.arguments import checked, one_of
from ulmfit.errors import ConfigError, FormatError
from ulmfit.training.callbacks import Callback, CancelFitException

if TYPE_CHECKING:
    from torch import Tensor

    from ulmfit.training.learner import Learner

_LOSSES = ("train_loss", "valid_loss")


class TrackerCallback(Callback):
    """Knows the best value of a column so far.

    Args:
        monitor: "valid_loss", "train_loss" or a metric's name.
        comp: comp(a, b) tells whether a is better than b; by default as the metric says, and lower for losses.
        min_delta: a value is better only if it is better by so much.
        reset_on_fit: every fit starts anew.
    """

    @checked
    def __init__(
        self,
        monitor: str = "valid_loss",
        comp: Callable[[float, float], bool] | None = None,
        min_delta: float = 0.0,
        reset_on_fit: bool = True,
    ) -> None:
        self.monitor, self.min_delta, self.reset_on_fit = monitor, abs(min_delta), reset_on_fit
        self.sign = 0.0 if comp is None else 1.0 if comp(1.0, 0.0) else -1.0
        self.best = math.nan
        self.improved = False

    def before_fit(self, learn: Learner) -> None:
        """Check that there is such a column, and forget the last fit.

        Raises:
            ConfigError: there is no such column.
        """
        known = [*_LOSSES, *(m.name for m in learn.metrics)]
        if self.monitor not in known:
            raise ConfigError(f"monitor {self.monitor!r} is not measured; {one_of(self.monitor, known)}")
        if not self.sign:
            higher = next((m.higher_is_better for m in learn.metrics if m.name == self.monitor), False)
            self.sign = 1.0 if higher else -1.0
        if self.reset_on_fit and learn.step == 0:
            self.start()

    def start(self) -> None:
        """Forget what was seen."""
        self.best = math.nan

    def after_epoch(self, learn: Learner) -> None:
        """Compare the epoch with the best one; `improved` says the outcome."""
        value = learn.history[-1][self.monitor]
        sign = self.sign or -1.0
        self.improved = not math.isnan(value) and (
            math.isnan(self.best) or sign * value > sign * self.best + self.min_delta
        )
        if self.improved:
            self.best = value

    def state(self) -> dict[str, Any]:
        """The best value, and what the callback counts."""
        return {"best": self.best, **{k: v for k, v in vars(self).items() if k in ("waited", "row")}}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        for name, value in state.items():
            setattr(self, name, value)


class SaveBest(TrackerCallback):
    """Keeps the weights of the best epoch in memory, over one or several fits.

    Args:
        monitor: a column of the history, "valid_loss" or a metric's name.
        higher_is_better: whether the best value is the highest; by default as the metric says.
    """

    @checked
    def __init__(self, monitor: str = "valid_loss", *, higher_is_better: bool | None = None) -> None:
        super().__init__(monitor, reset_on_fit=False)
        if higher_is_better is not None:
            self.sign = 1.0 if higher_is_better else -1.0
        self.row: dict[str, Any] = {}
        self._weights: dict[str, Tensor] = {}

    def after_epoch(self, learn: Learner) -> None:
        """Keep the weights if the monitored value is better than ever before."""
        super().after_epoch(learn)
        if self.improved:
            self.row = dict(learn.history[-1])
            self._weights = copy.deepcopy(learn.model.state_dict())

    def restore(self, learn: Learner) -> None:
        """Put the best weights back into the model."""
        if self._weights:
            learn.model.load_state_dict(self._weights)

    def state(self) -> dict[str, Any]:
        """The best epoch and its weights."""
        return super().state() | {f"weights.{k}": v for k, v in self._weights.items()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self._weights = {k.removeprefix("weights."): v for k, v in state.items() if k.startswith("weights.")}
        super().load_state({k: v for k, v in state.items() if not k.startswith("weights.")})


class SaveModelCallback(TrackerCallback):
    """Saves the model whenever it is better than before, and takes the best one back when the fit ends.

    Args:
        monitor: a column of the history.
        comp: as for `TrackerCallback`.
        min_delta: as for `TrackerCallback`.
        fname: name of the file, as for `Learner.save`.
        every_epoch: save every epoch as `fname_EPOCH` instead.
        at_end: save the last one as `fname` when the fit ends, instead of the best.
        with_opt: save the optimizer's state too.
        reset_on_fit: every fit starts anew.
        restore: take the best one back when the fit ends.
    """

    @checked
    def __init__(
        self,
        monitor: str = "valid_loss",
        comp: Callable[[float, float], bool] | None = None,
        min_delta: float = 0.0,
        fname: str = "model",
        every_epoch: bool = False,
        at_end: bool = False,
        with_opt: bool = False,
        reset_on_fit: bool = True,
        *,
        restore: bool = True,
    ) -> None:
        super().__init__(monitor, comp, min_delta, reset_on_fit)
        self.fname, self.every_epoch, self.at_end, self.with_opt = fname, every_epoch, at_end, with_opt
        self.restore = restore and not every_epoch and not at_end

    def after_epoch(self, learn: Learner) -> None:
        """Save if it is the best, or always."""
        super().after_epoch(learn)
        if self.every_epoch:
            learn.save(f"{self.fname}_{learn.epoch - 1}", with_opt=self.with_opt)
        elif self.improved and not self.at_end:
            learn.save(self.fname, with_opt=self.with_opt)

    def after_fit(self, learn: Learner) -> None:
        """Load the best, or save the last."""
        if self.at_end:
            learn.save(self.fname, with_opt=self.with_opt)
        elif self.restore and not math.isnan(self.best):
            learn.load(self.fname, with_opt=self.with_opt)


class EarlyStoppingCallback(TrackerCallback):
    """Ends the fit when an epoch has been no better than the best for some time.

    Args:
        monitor: a column of the history.
        comp: as for `TrackerCallback`.
        min_delta: as for `TrackerCallback`.
        patience: epochs without improvement that end the fit.
        reset_on_fit: every fit starts anew.
    """

    @checked
    def __init__(
        self,
        monitor: str = "valid_loss",
        comp: Callable[[float, float], bool] | None = None,
        min_delta: float = 0.0,
        patience: int = 1,
        reset_on_fit: bool = True,
    ) -> None:
        super().__init__(monitor, comp, min_delta, reset_on_fit)
        self.patience = _patience(patience)
        self.waited = 0

    def start(self) -> None:
        """Forget what was seen."""
        super().start()
        self.waited = 0

    def after_epoch(self, learn: Learner) -> None:
        """Count epochs without improvement."""
        super().after_epoch(learn)
        self.waited = 0 if self.improved else self.waited + 1
        if self.waited >= self.patience:
            raise CancelFitException


class ReduceLROnPlateau(TrackerCallback):
    """Lowers all learning rates when an epoch has been no better than the best for some time, under any schedule.

    Args:
        monitor: a column of the history.
        comp: as for `TrackerCallback`.
        min_delta: as for `TrackerCallback`.
        patience: epochs without improvement.
        factor: the rates are divided by this.
        min_lr: rates of the highest group do not fall below this.
        reset_on_fit: every fit starts anew.
    """

    @checked
    def __init__(
        self,
        monitor: str = "valid_loss",
        comp: Callable[[float, float], bool] | None = None,
        min_delta: float = 0.0,
        patience: int = 1,
        factor: float = 10.0,
        min_lr: float = 0.0,
        reset_on_fit: bool = True,
    ) -> None:
        super().__init__(monitor, comp, min_delta, reset_on_fit)
        if not factor > 1:
            raise ConfigError(f"factor={factor} must be above 1: the rates are divided by it")
        self.patience, self.factor, self.min_lr = _patience(patience), factor, min_lr
        self.waited = 0

    def start(self) -> None:
        """Forget what was seen."""
        super().start()
        self.waited = 0

    def after_epoch(self, learn: Learner) -> None:
        """Count epochs without improvement."""
        super().after_epoch(learn)
        self.waited = 0 if self.improved else self.waited + 1
        if self.waited >= self.patience:
            self.waited = 0
            if learn.optimizer.param_groups[-1]["lr"] / self.factor >= self.min_lr:
                learn.rate_factor /= self.factor


class _LogFile(Callback):
    """A file under the learner's folder that grows by a row for each epoch, and by none twice when a fit is resumed."""

    fname: str
    path: Path | None = None
    _size: int | None = None  # of the file when the checkpoint was written that the fit goes on from

    def before_fit(self, learn: Learner) -> None:
        """Find the file."""
        self.path = learn.path / self.fname

    def write(self, learn: Learner, row: str, *, anew: bool = False) -> None:
        """Put a row behind those that are there, or in their place."""
        if not learn.processes.is_main:
            return
        path = learn.path / self.fname
        path.parent.mkdir(parents=True, exist_ok=True)
        if self._size is not None and path.exists() and path.stat().st_size > self._size:
            os.truncate(path, self._size)
        self._size = None
        with path.open("w" if anew else "a", encoding="utf-8", newline="") as file:
            file.write(row)

    def state(self) -> dict[str, Any]:
        """How long the file is."""
        if self.path is None:
            return {}
        return {"size": self.path.stat().st_size if self.path.exists() else 0}

    def load_state(self, state: dict[str, Any]) -> None:
        """Leave out what was written since."""
        self._size = state.get("size")


class CSVLogger(_LogFile):
    """Writes the history of every fit to a CSV file under the learner's folder as it grows.

    Args:
        fname: name of the file.
        append: go on behind what is there.
    """

    @checked
    def __init__(self, fname: str = "history.csv", append: bool = False) -> None:
        self.fname, self.append = fname, append

    def before_fit(self, learn: Learner) -> None:
        """Begin the file with the names of the columns."""
        super().before_fit(learn)
        if learn.step == 0 and not (self.append and (learn.path / self.fname).exists()):
            names = ["epoch", "steps", "train_loss", "valid_loss", *(m.name for m in learn.metrics), "time"]
            self.write(learn, _csv(names), anew=True)

    def after_epoch(self, learn: Learner) -> None:
        """Write the row."""
        self.write(learn, _csv(list(learn.history[-1].values())))


class JSONLLogger(_LogFile):
    """Writes the history of every fit to a file of JSON lines under the learner's folder as it grows.

    Args:
        fname: name of the file; what is there is kept.
    """

    @checked
    def __init__(self, fname: str = "history.jsonl") -> None:
        self.fname = fname

    def after_epoch(self, learn: Learner) -> None:
        """Write the row; what is not a number becomes null."""
        row = {k: None if not math.isfinite(v) else v for k, v in learn.history[-1].items()}
        self.write(learn, json.dumps(row) + "\n")


def _csv(cells: list[Any]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()


def read_history(path: Path) -> list[dict[str, Any]]:
    """The rows that `JSONLLogger` wrote.

    Raises:
        FormatError: the file is damaged.
    """
    try:
        return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise FormatError(f"{path} is not a history: {error}") from error


def _patience(patience: int) -> int:
    if patience < 1:
        raise ConfigError(f"patience={patience} must be at least 1 epoch")
    return patience
