"""Going on with a pretraining run: which checkpoint to start from, and whether it may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

from rich.console import Console

from ulmfit.data.portions import Portions
from ulmfit.errors import ConfigError, FormatError
from ulmfit.inference.folder import METRICS, read_json
from ulmfit.training.callbacks import Callback
from ulmfit.training.checkpoint import read_about, read_counts, save_checkpoint
from ulmfit.training.learner import Learner
from ulmfit.training.pretrain_job import OF_A_BASE, PretrainJob
from ulmfit.training.run_files import check_settings, say_nothing_there

FALL = 0.3  # share of a run in which the learning rate falls


class BeforeFall(Callback):
    """Keeps a checkpoint from before the learning rate falls."""

    def __init__(self, path: Path, about: Mapping[str, Any]) -> None:
        self.path, self.about = path, about
        self._done: bool | None = None

    def before_batch(self, learn: Learner) -> None:
        """A fit that is resumed in its fall has its checkpoint; in `before_fit` progress may be a shorter one's."""
        if self._done is None:
            self._done = learn.progress >= 1 - FALL

    def after_batch(self, learn: Learner) -> None:
        """Save when the fall begins."""
        if not self._done and learn.progress >= 1 - FALL:
            self._done = True
            save_checkpoint(learn, self.path, self.about)


def checkpoint_to_resume(
    job: PretrainJob, last: Path, stable: Path, about: Mapping[str, Any], console: Console
) -> Path | None:
    """The checkpoint to start from, if there is one: the last, or of a run of another length one from before its fall.

    Raises:
        ConfigError: there is a checkpoint that is not asked for, or one of a run with other settings, or the one that a
            longer run would start from is not there.
    """
    if not job.resume:
        if last.exists() and not job.overwrite:
            raise ConfigError(
                f"{job.training_folder} holds the checkpoint of an earlier run: --resume to go on with it, or "
                "--overwrite to begin anew"
            )
        return None
    if not last.exists():
        say_nothing_there(job.training_folder, console)
        return None
    before, counts = read_about(last), read_counts(last)
    # Settings that older versions did not have.
    defaults = {f.name: f.default for f in fields(PretrainJob)} | dict(OF_A_BASE)
    check_settings(last, defaults | before["settings"], about["settings"])
    if before["length"] == about["length"] or counts["progress"] <= 1 - FALL:
        # A disk that was full let the one before the fall be written, and not the last any more.
        newer = stable.exists() and read_about(stable)["length"] == before["length"]
        return stable if newer and read_counts(stable)["n_steps"] > counts["n_steps"] else last
    if not stable.exists():
        raise ConfigError(
            f"{stable} is not there: the learning rate has fallen already, and the run cannot be made longer"
        )
    return stable


def check_length(job: PretrainJob, learn: Learner, start: Path, seconds: float | None) -> None:
    """Refuse a length of which too much is used up: the rate could not fall any more as it does in a whole run.

    Args:
        job: with the length.
        learn: with the loaders of the run.
        start: the checkpoint to start from.
        seconds: the time limit of the training, if there is one.

    Raises:
        ConfigError: as said, if the length is not the one that the checkpoint was written with.
    """
    if read_about(start)["length"] == [job.epochs, job.time_budget]:
        return
    counts, portions = read_counts(start), cast("Portions", learn.dls.train)
    epochs = counts["step"] / len(portions) / portions.n
    used = max(epochs / job.epochs, 0.0 if seconds is None else counts["seconds"] / seconds)
    if used >= 1 - FALL:
        raise ConfigError(
            f"the run would go on from {epochs:.2f} epochs and {counts['seconds']:.0f} s, {used:.0%} of the length "
            "asked for: --epochs and --time-budget count from its beginning. Give more, or another --out for less"
        )


def check_corpus(start: Path, here: Mapping[str, Any]) -> None:
    """Refuse a checkpoint whose texts were others: the rows of its weights are those of other words.

    Raises:
        ConfigError: the files have changed; the message says what differs.
    """
    there = read_about(start).get("corpus", {})  # an older version did not keep it
    changed = [
        f"{there[what][0]:,} {what} then and {n:,} now" + (", which are others" if n == there[what][0] else "")
        for what, (n, fingerprint) in here.items()
        if what in there and there[what][1] != fingerprint
    ]
    if changed:
        raise ConfigError(
            f"{start} belongs to a run on other texts: {'; '.join(changed)}. Give the files of then; what else there "
            "is to learn, a new run learns with --base and the model that this run gave"
        )


def gave(job: PretrainJob) -> bool:
    """Whether the model at the job's place is one that its run gave, so that it may be replaced unasked."""
    try:
        then = read_json(job.out / METRICS).get("settings", {})
    except (FormatError, OSError):
        return False
    return all(then.get(name) == value for name, value in job.settings_by_name().items())
