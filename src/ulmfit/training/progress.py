"""The epoch table and the live progress of a fit, in a terminal or in a pipe."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from ulmfit.training.callbacks import Callback

if TYPE_CHECKING:
    from ulmfit.training.learner import Learner

_WIDTH = 10  # of a column, at least
_REFRESH_SECONDS = 0.2
_LINE_SECONDS = 300.0  # an epoch on an ordinary machine may take half an hour


def say(console: Console, text: str) -> None:
    """Print a line as it is: no markup, no colours, not wrapped."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)


class ProgressTable(Callback):
    """Prints a row for each epoch; in between a bar in a terminal, a line every five minutes elsewhere.

    Args:
        console: where to print.
        header: print the names of the columns before the first row of this object.
        bar: show the bar, or the lines.
    """

    def __init__(self, console: Console, *, header: bool = True, bar: bool = True) -> None:
        self.console = console
        self.header = header
        self.bar = bar
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._shown = self._started = self._before = 0.0

    def before_fit(self, learn: Learner) -> None:
        """Start the bar, or the clock of the lines."""
        self._started = self._shown = time.monotonic()
        self._before = learn.progress
        if self.bar and (self.console.is_terminal or self.console.is_jupyter):
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=30),
                TextColumn("{task.percentage:>3.0f}%"),
                TimeRemainingColumn(),
                console=self.console,
                transient=True,
            )
            self._task = self._bar.add_task("training", total=1.0)
            self._bar.start()

    def after_batch(self, learn: Learner) -> None:
        """Move the bar, or print a line."""
        now = time.monotonic()
        if not self.bar or now - self._shown < (_LINE_SECONDS if self._bar is None else _REFRESH_SECONDS):
            return
        self._shown = now
        text = f"epoch {learn.epoch}  loss {learn.smooth_loss:.4f}"
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=learn.progress, description=text)
        else:
            left = _left(now - self._started, self._before, learn.progress)
            say(self.console, f"{text}  {learn.progress:.0%} done, {left}")

    def after_epoch(self, learn: Learner) -> None:
        """Print the row."""
        row = {k: v for k, v in learn.history[-1].items() if k != "steps"}
        if self.header:
            self.header = False
            say(self.console, "  ".join(f"{name:>{_WIDTH}}" for name in row))
        say(self.console, "  ".join(f"{_cell(name, value):>{max(_WIDTH, len(name))}}" for name, value in row.items()))

    def after_fit(self, learn: Learner) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


class StatusLine(Callback):
    """A line now and then: where the run is, how fast, and how long it will take.

    Args:
        console: where to print.
        seconds: between two lines; the first comes after a tenth of it.
    """

    def __init__(self, console: Console, seconds: float = 60.0) -> None:
        self.console, self.seconds = console, seconds
        self._last = self._started = 0.0
        self._tokens = 0
        self._progress = 0.0

    def before_fit(self, learn: Learner) -> None:
        """Start counting: what was done before an interruption does not count for the speed."""
        self._started = time.monotonic()
        self._last = self._started - 0.9 * self.seconds
        self._tokens, self._progress = learn.n_targets, learn.progress

    def after_batch(self, learn: Learner) -> None:
        """Print if it is time."""
        now = time.monotonic()
        if now - self._last < self.seconds:
            return
        self._last = now
        spent = now - self._started
        say(
            self.console,
            f"{learn.progress:6.1%}  {in_millions(learn.n_targets):>9} tokens  "
            f"{(learn.n_targets - self._tokens) / spent:8,.0f} tokens/s  loss {learn.smooth_loss:.4f}  "
            f"perplexity {math.exp(min(learn.smooth_loss, 50)):.1f}  "
            f"{_left(spent, self._progress, learn.progress)}",
        )


def in_millions(n: int) -> str:
    """A large number as one reads it: 12.3M, or 45,678."""
    return f"{n / 1e6:.1f}M" if n >= 1_000_000 else f"{n:,}"


def _left(spent: float, before: float, done: float) -> str:
    """How long a fit takes that came from one share to another in so many seconds."""
    return f"{spent / (done - before) * (1 - done) / 60:.0f} min left" if done > before else "just begun"


def _cell(name: str, value: float | int) -> str:
    if name == "time":
        minutes, seconds = divmod(round(value), 60)
        return f"{minutes:02d}:{seconds:02d}"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
