"""The history in TensorBoard, Weights & Biases and others, through accelerate's trackers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ulmfit.arguments import checked, one_of
from ulmfit.errors import ConfigError
from ulmfit.training.callbacks import Callback

if TYPE_CHECKING:
    from accelerate import Accelerator

    from ulmfit.training.learner import Learner


class LogTo(Callback):
    """Sends each epoch's row, and the loss of steps, to an experiment tracker.

    Args:
        tracker: a name that accelerate knows ("tensorboard", "wandb", "mlflow", ...) or its tracker object.
        project: the run's name.
        folder: where trackers that write files do so.
        config: settings of the run to show there.
        every: steps between two losses that are sent.

    Raises:
        ConfigError: accelerate knows no tracker of this name.
    """

    @checked
    def __init__(
        self,
        tracker: Any,
        project: str = "ulmfit",
        folder: Path | str = ".",
        *,
        config: dict[str, Any] | None = None,
        every: int = 50,
    ) -> None:
        if isinstance(tracker, str):
            from accelerate.utils import LoggerType

            known = [str(kind.value) for kind in LoggerType]
            if tracker not in known:
                raise ConfigError(f"tracker {tracker!r} is not known; {one_of(tracker, known)}")
        self.tracker, self.project, self.folder, self.config, self.every = tracker, project, folder, config, every
        self._accelerator: Accelerator | None = None

    def before_fit(self, learn: Learner) -> None:
        """Open the tracker.

        Raises:
            ConfigError: there is no such tracker, or its package is not installed.
        """
        if self._accelerator is not None:
            return
        from accelerate import Accelerator

        try:
            self._accelerator = Accelerator(log_with=self.tracker, project_dir=self.folder)
            if not self._accelerator.log_with:
                raise ValueError("its package is not installed")
            self._accelerator.init_trackers(self.project, self.config)
        except (ValueError, ImportError) as error:
            self._accelerator = None
            raise ConfigError(f"tracker {self.tracker!r} cannot be used: {error}") from error

    def after_batch(self, learn: Learner) -> None:
        """Send the loss of a step."""
        if learn.n_steps % self.every == 0:
            self._log({"loss": learn.loss, "lr": learn.optimizer.param_groups[-1]["lr"]}, learn)

    def after_epoch(self, learn: Learner) -> None:
        """Send the row."""
        self._log({k: v for k, v in learn.history[-1].items() if math.isfinite(v)}, learn)

    def _log(self, values: dict[str, float], learn: Learner) -> None:
        if self._accelerator is not None:
            self._accelerator.log(values, step=learn.n_steps)

    def close(self) -> None:
        """Close the tracker; it stays open from fit to fit."""
        if self._accelerator is not None:
            self._accelerator.end_training()
            self._accelerator = None
