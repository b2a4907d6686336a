"""What a run needs to go on where it was interrupted, in the folder OUT.training beside the model folder OUT."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from rich.console import Console

from ulmfit.errors import ConfigError, FormatError
from ulmfit.training.callbacks import Callback
from ulmfit.training.checkpoint import notes_of
from ulmfit.training.progress import say
from ulmfit.training.resuming import Checkpoints
from ulmfit.training.tensor_file import read_tensors, write_tensors

if TYPE_CHECKING:
    from ulmfit.training.learner import Learner

_EVERY = 300.0  # seconds between two checkpoints
_STAGES = ("language_model", "classifier")


class RunFiles:
    """The checkpoints of a run's stages, the time that was given to each of their fits, and what was decided.

    Texts are read and tokenized again when a run goes on; fits that were finished are left out.

    Args:
        out: the model folder that the run will write.
        settings: of the run, which must be the same when it goes on: JSON values, and tuples of them.
        console: where to say what is there.
        resume: go on with the run that was interrupted, if there is one.
        overwrite: begin anew although there is one.

    Attributes:
        found: there is a run to go on with.
        correction: seconds to add to the time of this process, for what earlier ones took and it takes again.

    Raises:
        ConfigError: there is an interrupted run, and nothing says what to do with it, or it has other settings.
        FormatError: what is there is damaged.
    """

    def __init__(
        self, out: Path, settings: Mapping[str, Any], console: Console, *, resume: bool = False, overwrite: bool = False
    ) -> None:
        self.folder = training_folder(out)
        self.file = self.folder / "run.safetensors"
        self.found = resume and self.file.exists()
        self.correction = 0.0
        self._console = console
        self._facts: dict[str, Any] = {
            "settings": json.loads(json.dumps(settings)),
            "starts": {},
            "shares": [],
            "made": {},
        }
        self._n_shares = 0
        if self.folder.exists() and not self.folder.is_dir():
            raise ConfigError(f"{self.folder} is a file, and the run's checkpoints need such a folder; move it away")
        if self.found:
            self._take_over()
        elif self.file.exists() and not overwrite:
            raise ConfigError(
                f"{self.folder} holds the checkpoints of an interrupted run: --resume to go on with it, or --overwrite "
                "to begin anew"
            )
        elif resume:
            say_nothing_there(self.folder, console)

    def _take_over(self) -> None:
        try:
            facts, _ = read_tensors(self.file, "run")
        except FormatError as error:
            raise FormatError(f"{error}. Begin anew with --overwrite") from error
        check_settings(self.file, facts["settings"], self._facts["settings"])
        self._facts |= facts

    def share(self, seconds: float | None, used: float) -> float | None:
        """The time of the next fit: this, or what it was given before the interruption.

        Args:
            seconds: that it may take by now.
            used: seconds that the run has taken by now, those of earlier processes included.
        """
        shares = self._facts["shares"]
        if self._n_shares < len(shares):
            seconds, used_then = shares[self._n_shares]
            self.correction += used_then - used
        else:
            if not self.found and not shares:
                self._remove()  # of a run that is given up: its checkpoints are not this one's
            shares.append((seconds, used))
            write_tensors(self.file, {}, "run", self._facts)
        self._n_shares += 1
        return seconds

    def once(self, name: str, of: str, make: Callable[[], Any]) -> Any:
        """What is made of something in the run; when it goes on, what was made of the same before the interruption.

        Args:
            name: of what is made.
            of: a fingerprint of what it is made of.
            make: gives JSON values.
        """
        made = self._facts["made"]
        if made.get(name, {}).get("of") != of:
            made[name] = {"of": of, "value": make()}
            write_tensors(self.file, {}, "run", self._facts)
        return made[name]["value"]

    def keep(self, learn: Learner, stage: str, *, start: str | None = None, backwards: bool = False) -> None:
        """Keep checkpoints of a stage, and go on from the last one.

        Args:
            learn: before its first fit.
            stage: "language_model" or "classifier".
            start: a fingerprint of what the stage begins with from outside the run, such as a base.
            backwards: of the direction from the end.

        Raises:
            ConfigError: the stage began with something else before.
        """
        path = self._path(stage, backwards=backwards)
        check_settings(self.file, self._facts["starts"], {f"the start of {path.stem}": start})
        self._facts["starts"][f"the start of {path.stem}"] = start
        learn.checkpoints = Checkpoints(path, seconds=_EVERY, every_epoch=False)
        if self.found:
            learn.checkpoints.resume(learn)
            if learn.checkpoints.replaying:
                say(self._console, f"Going on from {path}: the epochs before are not shown again")
        learn.add_cbs(Callback(before_fit=self._count_earlier))

    def _count_earlier(self, learn: Learner) -> None:
        self.correction += learn.seconds

    @contextmanager
    def guard(self) -> Iterator[None]:
        """The whole run: if it ends early, what it leaves is said; if it ends well, nothing is left.

        Raises:
            SystemExit: SIGTERM came, outside a fit too; with its usual status.
        """
        with _orderly_end():
            try:
                yield
            except (KeyboardInterrupt, SystemExit, OSError, MemoryError) as error:
                if (self.found or self._n_shares) and not notes_of(error):
                    say(Console(stderr=True), f"What has been trained is kept in {self.folder}: --resume goes on")
                raise
        self._remove()

    def _remove(self) -> None:
        for stage in _STAGES:
            for backwards in (False, True):
                self._path(stage, backwards=backwards).unlink(missing_ok=True)
        self.file.unlink(missing_ok=True)
        with suppress(OSError):  # it holds files of others
            self.folder.rmdir()

    def _path(self, stage: str, *, backwards: bool) -> Path:
        return self.folder / f"{'backward_' if backwards else ''}{stage}.safetensors"


@contextmanager
def _orderly_end() -> Iterator[None]:
    """Let SIGTERM end the program as an error would: what is half written is removed."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def training_folder(out: Path) -> Path:
    """Where the checkpoints are of a run that writes a model folder."""
    out = out if out.name.strip(".") else out.resolve()  # "." and ".." are no names
    return out.with_name(out.name + ".training")


def say_nothing_there(folder: Path, console: Console) -> None:
    """Say that a run that was to go on begins at its start."""
    say(console, f"There is nothing to resume in {folder}: the run begins at its start")


def check_settings(path: Path, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Refuse to go on with a run that had other settings.

    Raises:
        ConfigError: both sides of every difference are named.
    """
    changed = [f"{n} was {there[n]!r} and is {here[n]!r}" for n in sorted(here) if n in there and there[n] != here[n]]
    if changed:
        raise ConfigError(f"{path} belongs to a run with other settings: {'; '.join(changed)}")
