"""What happened at each step: losses, learning rates and momentum, and their plots."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ulmfit.arguments import checked, one_of
from ulmfit.errors import ConfigError, MissingExtraError
from ulmfit.training.callbacks import Callback

if TYPE_CHECKING:
    from ulmfit.training.learner import Learner

_EVERY = ("losses", "smooth_losses", "lrs", "moms")


class Recorder(Callback):
    """Notes loss, smoothed loss, learning rate (of the highest group) and momentum of every step of all fits.

    Attributes:
        losses: of each batch. smooth_losses: their moving average.
        lrs: of the highest group. moms: first beta, or momentum.
        search: rates and smoothed losses of the last `lr_find`.
        metric_names: the columns of the table of the last fit.
        iters: steps at the end of each epoch. values: training and validation loss of each epoch.
    """

    def __init__(self) -> None:
        self.losses, self.smooth_losses, self.lrs, self.moms = (array("d") for _ in _EVERY)
        self.search: tuple[Any, Any] | None = None
        self.iters: list[int] = []
        self.values: list[tuple[float, float]] = []
        self.metric_names: list[str] = []

    def before_fit(self, learn: Learner) -> None:
        """Note the names."""
        self.metric_names = ["epoch", "train_loss", "valid_loss", *(m.name for m in learn.metrics), "time"]

    def after_batch(self, learn: Learner) -> None:
        """Note the step."""
        group = learn.optimizer.param_groups[-1]
        self.losses.append(learn.loss)
        self.smooth_losses.append(learn.smooth_loss)
        self.lrs.append(group["lr"])
        self.moms.append(group["betas"][0] if "betas" in group else group.get("momentum", 0.0))

    def after_epoch(self, learn: Learner) -> None:
        """Note the epoch."""
        self.iters.append(len(self.losses))
        self.values.append((learn.history[-1]["train_loss"], learn.history[-1]["valid_loss"]))

    @checked
    def plot_loss(self, skip_start: int = 5, with_valid: bool = True, log: bool = False, ax: Any = None) -> Any:
        """Draw the smoothed training loss of all steps, and the validation loss of the epochs.

        Args:
            skip_start: first steps that are left out.
            with_valid: draw the validation loss.
            log: logarithmic loss.
            ax: axes of matplotlib to draw on; by default a new figure.

        Returns:
            the axes.
        """
        ax = ax or axes()
        steps = range(skip_start, len(self.smooth_losses))
        ax.plot(steps, self.smooth_losses[skip_start:], label="train")
        if with_valid and self.iters:
            ax.plot(self.iters, [v for _, v in self.values], marker="o", label="valid")
            ax.legend()
        ax.set(xlabel="step", ylabel="loss", yscale="log" if log else "linear")
        return ax

    @checked
    def plot_sched(self, keys: str | list[str] | None = None) -> Any:
        """Draw learning rate and momentum of all steps.

        Args:
            keys: "lr", "mom" or both.

        Returns:
            the axes.
        """
        series = {"lr": self.lrs, "mom": self.moms}
        chosen = [keys] if isinstance(keys, str) else list(keys or series)
        for key in chosen:
            if key not in series:
                raise ConfigError(f"{key!r} has no schedule; {one_of(key, series)}")
        drawn = axes(len(chosen))
        for ax, key in zip([drawn] if len(chosen) == 1 else drawn, chosen, strict=True):
            ax.plot(series[key])
            ax.set(xlabel="step", ylabel=key)
        return drawn

    @checked
    def plot_lr_find(self, suggestions: Any = None) -> Any:
        """Draw the losses of the last `lr_find` over its rates.

        Args:
            suggestions: what `lr_find` gave, to be marked.

        Returns:
            the axes.

        Raises:
            ConfigError: no rate was searched yet.
        """
        if self.search is None:
            raise ConfigError("there is no search of a learning rate to draw; call learn.lr_find() first")
        lrs, losses = self.search
        ax = axes(name="lr_find")  # many searches do not fill the memory with figures
        ax.plot(lrs, losses)
        ax.set(xscale="log", xlabel="learning rate", ylabel="loss")
        if suggestions is not None:
            for name, lr in suggestions._asdict().items():
                ax.plot(lr, np.interp(lr, lrs, losses), "o", label=name)
            ax.legend(loc="best")
        return ax

    def state(self) -> dict[str, Any]:
        """All steps and epochs."""
        steps = {n: torch.tensor(getattr(self, n), dtype=torch.float64) for n in _EVERY}
        return {**steps, "iters": list(self.iters), "values": list(self.values)}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on behind these steps and epochs."""
        for name in _EVERY:
            setattr(self, name, array("d", state[name].tolist()))
        self.iters, self.values = list(state["iters"]), [(t, v) for t, v in state["values"]]


def axes(n: int = 1, name: str | None = None) -> Any:
    """A figure with so many axes side by side; one with a name takes the place of the last of that name.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise MissingExtraError("matplotlib", "plot") from error
    return pyplot.subplots(1, n, num=name, clear=name is not None, figsize=(5 * n, 4))[1]
