"""What a run needs to go on where it was interrupted, in the folder OUT.training beside the model folder OUT."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from ulmfit.errors import ConfigError
from ulmfit.training.callbacks import Callback
from ulmfit.training.progress import say
from ulmfit.training.resuming import Checkpoints
from ulmfit.training.tensor_file import read_tensors, write_tensors

if TYPE_CHECKING:
    from ulmfit.training.learner import Learner

_EVERY = 300.0  # seconds between two checkpoints
_STAGES = ("language_model", "classifier")


class RunFiles:
    """The checkpoints of a run's stages, and the time that was given to each of their fits.

    Texts are read and tokenized again when a run goes on; fits that were finished are left out.

    Args:
        out: the model folder that the run will write.
        settings: of the run, which must be the same when it goes on: JSON values, and tuples of them.
        console: where to say what is there.
        resume: go on with the run that was interrupted, if there is one.
        overwrite: begin anew although there is one.

    Attributes:
        found: there is a run to go on with.
        earlier: seconds that the run has taken in processes before this one.

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
        self.earlier = 0.0
        self._console = console
        self._settings: dict[str, Any] = json.loads(json.dumps(settings))
        self._shares: list[tuple[float | None, float]] = []  # what was given, and the time that was used before
        self._n_shares = 0
        if self.found:
            facts, _ = read_tensors(self.file, "run")
            check_settings(self.file, facts["settings"], self._settings)
            self._shares = [(seconds, used) for seconds, used in facts["shares"]]
        elif self.file.exists() and not overwrite:
            raise ConfigError(
                f"{self.folder} holds the checkpoints of an interrupted run: --resume to go on with it, or --overwrite "
                "to begin anew"
            )
        if resume and not self.found:
            say(console, f"There is nothing to resume in {self.folder}: the run begins at its start")

    def share(self, seconds: float | None, used: float) -> float | None:
        """The time of the next fit: this, or what it was given before the interruption.

        Args:
            seconds: that it may take by now.
            used: seconds that the run has taken by now, those of earlier processes included.
        """
        if self._n_shares < len(self._shares):
            seconds, used_then = self._shares[self._n_shares]
            self.earlier += used_then - used
        else:
            self._shares.append((seconds, used))
            write_tensors(self.file, {}, "run", {"settings": self._settings, "shares": self._shares})
        self._n_shares += 1
        return seconds

    def keep(self, learn: Learner, stage: str, *, backwards: bool = False) -> None:
        """Keep checkpoints of a stage, and go on from the last one.

        Args:
            learn: before its first fit.
            stage: "language_model" or "classifier".
            backwards: of the direction from the end.
        """
        path = self._path(stage, backwards=backwards)
        learn.checkpoints = Checkpoints(path, seconds=_EVERY, every_epoch=False)
        if self.found:
            learn.checkpoints.resume(learn)
            if learn.checkpoints.replaying:
                say(self._console, f"Going on from {path}: the epochs before are not shown again")
        learn.add_cbs(Callback(before_fit=self._count_earlier))

    def _count_earlier(self, learn: Learner) -> None:
        self.earlier += learn.seconds

    @contextmanager
    def last_step(self) -> Iterator[None]:
        """While the model is written: then the files are needed no more; if it fails, they are what is left."""
        try:
            yield
        except BaseException:
            say(self._console, f"The trained model is kept in {self.folder}: --resume writes it")
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


def training_folder(out: Path) -> Path:
    """Where the checkpoints are of a run that writes a model folder."""
    out = out if out.name.strip(".") else out.resolve()  # "." and ".." are no names
    return out.with_name(out.name + ".training")


def check_settings(path: Path, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Refuse to go on with a run that had other settings.

    Raises:
        ConfigError: both sides of every difference are named.
    """
    changed = [f"{n} was {there[n]!r} and is {here[n]!r}" for n in sorted(here) if n in there and there[n] != here[n]]
    if changed:
        raise ConfigError(f"{path} belongs to a run with other settings: {'; '.join(changed)}")
