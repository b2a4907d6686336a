"""Checkpoints: everything a fit needs to go on where it was interrupted, in one file that is never half there."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from torch import Tensor

from ulmfit.errors import FormatError
from ulmfit.training.callbacks import Callback
from ulmfit.training.precision import AUTO, same_precision
from ulmfit.training.progress import say
from ulmfit.training.tensor_file import compare_weights, load_optimizer, optimizer_state, read_tensors, write_tensors

if TYPE_CHECKING:
    from ulmfit.training.learner import Learner

FORMAT_VERSION = 2
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_COUNTS = (
    *("epoch", "step", "n_steps", "n_targets", "passes", "batch", "validating", "seconds", "progress", "rate_factor"),
    *("loss", "smooth_loss"),
)


def save_checkpoint(
    learn: Learner, path: Path, about: Mapping[str, Any] | None = None, callbacks: Sequence[Callback] | None = None
) -> None:
    """Write a learner's weights, optimizer, random state, carried hidden state, position and history.

    The file at `path` is the one before or the new one, whole, whatever happens while writing.

    Args:
        learn: between two steps of a fit, or outside one.
        path: the file.
        about: further JSON values to keep, such as the settings of the run.
        callbacks: whose state is kept; by default those of the running fit.

    Raises:
        OSError: the disk is full or not writable; the checkpoint before is still there.
    """
    optimizer, groups = optimizer_state(learn.optimizer)
    tensors = {f"model.{name}": t for name, t in learn.model.state_dict().items()} | optimizer
    for layer, parts in enumerate(getattr(learn.model, "state", None) or ()):
        tensors |= {f"state.{layer}.{i}": t for i, t in enumerate(parts)}
    gradients = enumerate(p.grad for p in learn.model.parameters())  # kept from step to step when they accumulate
    tensors |= {f"gradient.{i}": g for i, g in gradients if g is not None}
    tensors["random"] = learn.random_state()
    states = []
    for i, cb in enumerate(learn.active if callbacks is None else callbacks):
        state = cb.state()
        tensors |= {f"callback.{i}.{name}": v for name, v in state.items() if isinstance(v, Tensor)}
        states.append([type(cb).__name__, {n: v for n, v in state.items() if not isinstance(v, Tensor)}])
    facts = {
        "format_version": FORMAT_VERSION,
        "learner": {name: getattr(learn, name) for name in _COUNTS},
        "history": learn.history,
        "precision": learn.precision,
        "groups": groups,
        "callbacks": states,
        "scaler": learn.scaler.state_dict(),
        "about": dict(about or {}),
    }
    write_tensors(path, tensors, "checkpoint", facts)


def read_about(path: Path) -> dict[str, Any]:
    """The further values that a checkpoint was saved with.

    Raises:
        FormatError: the file is not a checkpoint, or damaged.
    """
    return dict(_read(path)[0]["about"])


def read_counts(path: Path) -> dict[str, Any]:
    """Where the learner of a checkpoint was: `progress` of its fit in [0, 1], `seconds` and `step` of it, and so on.

    Raises:
        FormatError: the file is not a checkpoint, or damaged.
    """
    return dict(_read(path)[0]["learner"])


def load_checkpoint(learn: Learner, path: Path) -> dict[str, Any]:
    """Put a learner into the state that `save_checkpoint` wrote; then `fit(..., resume=True)` goes on.

    Args:
        learn: with the same data, model and settings as the one that was saved.
        path: the file.

    Returns:
        the further values it was saved with.

    Raises:
        FormatError: the file is not a checkpoint, is damaged, or belongs to another model.
    """
    facts, tensors = _read(path)
    counts = facts["learner"]
    if facts["format_version"] == 1 and not counts["batch"] and counts["step"] > counts["epoch"] * len(learn.dls.train):
        raise FormatError(
            f"{path} was written by an older version in a validation pass, and does not say so well enough to go on "
            "with it; delete it and begin the fit anew"
        )
    _load_weights(learn, path, tensors)
    load_optimizer(learn.optimizer, tensors, facts["groups"], path)
    for i, p in enumerate(learn.model.parameters()):
        gradient = tensors.get(f"gradient.{i}")
        p.grad = None if gradient is None else gradient.to(p.device)
    if hasattr(learn.model, "state"):
        learn.model.state = _hidden_state(tensors, learn)
    learn.set_random_state(tensors["random"])
    if learn.asked_precision == AUTO:
        learn.precision = same_precision(facts.get("precision", learn.precision), learn.precision, learn.device)
    for name in _COUNTS:
        setattr(learn, name, counts.get(name, getattr(learn, name)))
    if facts.get("scaler"):
        learn.scaler.load_state_dict(facts["scaler"])
    learn.callback_states = [
        (kind, values | {n.split(".", 2)[2]: t for n, t in tensors.items() if n.startswith(f"callback.{i}.")})
        for i, (kind, values) in enumerate(facts.get("callbacks", []))
    ]
    learn.history = list(facts["history"])
    learn.resumable = True
    return dict(facts["about"])


def load_weights(learn: Learner, path: Path) -> None:
    """Give a learner's model the weights of a checkpoint, and leave all else.

    Raises:
        FormatError: the file is not a checkpoint, is damaged, or belongs to another model.
    """
    _load_weights(learn, path, _read(path)[1])


def _load_weights(learn: Learner, path: Path, tensors: Mapping[str, Tensor]) -> None:
    saved = {name.removeprefix("model."): t for name, t in tensors.items() if name.startswith("model.")}
    compare_weights(path, saved, learn.model.state_dict())
    learn.model.load_state_dict(saved)


def _hidden_state(tensors: Mapping[str, Tensor], learn: Learner) -> Any:
    layers: dict[int, dict[int, Tensor]] = {}
    for name, t in tensors.items():
        if name.startswith("state."):
            _, layer, part = name.split(".")
            layers.setdefault(int(layer), {})[int(part)] = t.to(learn.device)
    return [tuple(parts[i] for i in sorted(parts)) for _, parts in sorted(layers.items())] or None


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    if not path.exists():
        raise FormatError(f"{path} does not exist: there is no checkpoint to resume from")
    facts, tensors = read_tensors(path, "checkpoint")
    if facts.get("format_version") not in (1, FORMAT_VERSION):
        raise FormatError(
            f"{path} has format version {facts.get('format_version')}; this version reads 1 and {FORMAT_VERSION}"
        )
    return facts, tensors


class SaveCheckpoint(Callback):
    """Saves checkpoints: at intervals, and when Ctrl-C or SIGTERM ends the program.

    Args:
        path: the file.
        seconds: between two checkpoints.
        steps: batches between two checkpoints, instead of `seconds`.
        every_epoch: one is also written at the end of every epoch, and before its validation, which may be long.
        about: as for `save_checkpoint`.
    """

    def __init__(
        self,
        path: Path,
        *,
        seconds: float = 300.0,
        steps: int | None = None,
        every_epoch: bool = False,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        self.path, self.seconds, self.steps, self.every_epoch, self.about = path, seconds, steps, every_epoch, about
        self._last = time.monotonic()
        self._signal: int | None = None
        self._saved = False  # the file holds the present state: an interruption loses nothing

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Let Ctrl-C and SIGTERM wait until the batch is over and the state is saved; a second one does not wait.

        Raises:
            KeyboardInterrupt: for Ctrl-C.
            SystemExit: for SIGTERM, with its usual status.
        """
        if threading.current_thread() is not threading.main_thread():
            yield  # only the main thread may set handlers
            return
        heard = [s for s in _SIGNALS if signal.getsignal(s) not in (signal.SIG_IGN, None)]
        before = {s: signal.signal(s, self._note) for s in heard}
        try:
            yield
        except (KeyboardInterrupt, SystemExit) as stop:
            for note in notes_of(stop):
                say(Console(stderr=True), note)
            raise
        finally:
            for s, handler in before.items():
                signal.signal(s, handler)

    def save(
        self, learn: Learner, about: Mapping[str, Any] | None = None, callbacks: Sequence[Callback] | None = None
    ) -> None:
        """Write the file, from the first process; and end the program if it was told to."""
        if learn.processes.is_main:
            save_checkpoint(learn, self.path, self.about if about is None else about, callbacks)
        self._last, self._saved = time.monotonic(), True
        if self._signal is not None:
            self._stop(self._signal)

    def before_fit(self, learn: Learner) -> None:
        """Start the interval."""
        self._last = time.monotonic()

    def before_batch(self, learn: Learner) -> None:
        """From here on, work is lost by an interruption."""
        self._saved = False

    def after_batch(self, learn: Learner) -> None:
        """Save if it is time, or the program is told to end."""
        due = self._is_late() if self.steps is None else learn.step % self.steps == 0
        if due or self._signal is not None:
            self.save(learn)
            self._saved = False  # what comes before the next batch is not saved

    def after_train(self, learn: Learner) -> None:
        """Save if it is time, asked for, or the program is told to end."""
        if self.every_epoch or self._signal is not None or self._is_late():
            self.save(learn)

    def after_epoch(self, learn: Learner) -> None:
        """Save the epoch's row."""
        self._saved = False
        self.after_train(learn)

    def after_fit(self, learn: Learner) -> None:
        """What comes after the fit is not saved yet."""
        self._saved = False

    def _is_late(self) -> bool:
        return time.monotonic() - self._last >= self.seconds

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._signal is not None or self._saved:
            self._stop(number)
        self._signal = number

    def _stop(self, number: int) -> None:
        if self._saved:
            what = f"Interrupted; saved in {self.path}."
        elif self.path.exists():
            what = f"Interrupted; the last checkpoint is {self.path}."
        else:
            what = "Interrupted before the first checkpoint."
        stop = KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number)
        stop.add_note(f"{what} Run the same again with resume=True (--resume) to go on")
        raise stop


def notes_of(stop: BaseException) -> list[str]:
    """What has been said of an interruption."""
    return list(getattr(stop, "__notes__", []))
