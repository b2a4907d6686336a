"""Programs that may be killed and simply run again: checkpoints over several fits."""

from __future__ import annotations

import json
import zlib
from collections import namedtuple
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ulmfit.arguments import at_least
from ulmfit.errors import FormatError
from ulmfit.training.checkpoint import SaveCheckpoint, load_checkpoint, load_weights, read_about
from ulmfit.training.progress import say
from ulmfit.training.storage import compare_facts, facts_of
from ulmfit.training.tensor_file import clear_leftovers

if TYPE_CHECKING:
    from ulmfit.training.learner import Learner
    from ulmfit.training.loop import Plan


class Checkpoints:
    """Counts a learner's fits, saves within and after them, and when resumed leaves out those that were finished.

    Args:
        path: the file.
        seconds: between two checkpoints of a fit.
        steps: batches between two checkpoints, instead of `seconds`.
        every_epoch: one is also written at the end of every epoch, and before its validation.

    Attributes:
        finished: fits that are done.
        replaying: the program has not yet come to where it was interrupted.
    """

    def __init__(
        self, path: Path, *, seconds: float = 300.0, steps: int | None = None, every_epoch: bool = True
    ) -> None:
        at_least(0, seconds=seconds)
        at_least(1, steps=steps)
        self.path, self.seconds, self.steps, self.every_epoch = path, seconds, steps, every_epoch
        self.number = self.finished = 0
        self.waiting: dict[str, Any] | None = None  # what the file says of the fit that was interrupted
        self._finished_there = 0
        self._fits: list[dict[str, Any]] = []  # what each fit was called with, as far as the program has come
        self._found: list[dict[str, float]] = []  # what each search of a learning rate gave
        self._n_found = 0

    def resume(self, learn: Learner) -> None:
        """Go on from the file, if there is one.

        Raises:
            FormatError: the file is damaged, no checkpoint of such a program, or of other data, vocabulary, labels or
                configuration.
        """
        if learn.processes.is_main:
            clear_leftovers(self.path)
        if not self.path.exists():
            return
        about = read_about(self.path)
        if "finished" not in about:
            raise FormatError(f"{self.path} is not a checkpoint of Learner.checkpoint; choose another name")
        compare_facts(self.path, about.get("program", {}), _program(learn))
        self.waiting, self._finished_there, self._found = about, about["finished"], about.get("found", [])
        say(learn.console, f"Resuming from {self.path}: {about['finished']} fits are finished")

    @property
    def replaying(self) -> bool:
        """Whether the program has not yet come to where it was interrupted."""
        return self.waiting is not None

    def run(self, learn: Learner, plan: Plan) -> None:
        """Carry out a fit, go on with it, or leave it out."""
        self.number += 1
        here = _facts(plan, learn)
        resume = False
        if self.waiting is not None:
            unfinished = self.waiting.get("plan")
            if self.number <= self._finished_there:
                self._check(self._there(), here, "is finished")
                self._fits.append(here)
                load_weights(learn, self.path)  # so that a program with fewer fits does not end with random ones
                if self.number == self._finished_there and unfinished is None:
                    self._load(learn)
                    learn.take_states(plan.callbacks)
                self.finished = self.number
                return
            if unfinished is not None:
                self._check(unfinished, here, "was interrupted")
                self._load(learn)
                resume = True
        about = {"finished": self.number - 1, "plan": here, **self._so_far(learn)}
        keeper = SaveCheckpoint(
            self.path, seconds=self.seconds, steps=self.steps, every_epoch=self.every_epoch, about=about
        )
        with keeper.signals():
            learn.run(replace(plan, callbacks=[*plan.callbacks, keeper]), resume=resume)
            self.finished = self.number
            self._fits.append(here)
            keeper.save(learn, {"finished": self.finished, **self._so_far(learn)}, plan.callbacks)

    def remember(self, search: Callable[[], tuple[float, ...]]) -> tuple[float, ...]:
        """Search a learning rate, or give again what was found before the interruption: fits depend on it."""
        self._n_found += 1
        if self.waiting is None or self._n_found > len(self._found):
            found: Any = search()
            self._found[self._n_found - 1 :] = [found._asdict()]
        again = self._found[self._n_found - 1]
        make: Any = namedtuple("SuggestedLRs", again)  # type: ignore[misc]
        result: tuple[float, ...] = make(**again)
        return result

    def _so_far(self, learn: Learner) -> dict[str, Any]:
        return {"program": _program(learn), "fits": list(self._fits), "found": self._found}

    def _there(self) -> dict[str, Any]:
        """What the file says of the present fit, which is finished there; nothing if an older version wrote it."""
        fits = (self.waiting or {}).get("fits", [])
        return dict(fits[self.number - 1]) if len(fits) >= self.number else {}

    def _load(self, learn: Learner) -> None:
        load_checkpoint(learn, self.path)
        self.waiting = None

    def _check(self, there: dict[str, Any], here: dict[str, Any], what: str) -> None:
        changed = [f"{k} was {there[k]} and is {v}" for k, v in here.items() if k in there and there[k] != v]
        if changed:
            raise FormatError(
                f"{self.path}: fit {self.number} {what} and is now called otherwise: {'; '.join(changed)}. "
                "Call it as before, or delete the checkpoint"
            )


def _facts(plan: Plan, learn: Learner) -> dict[str, Any]:
    """What a fit must have in common with the one of the file, as JSON gives it back."""
    config = getattr(learn.model, "config", None)
    loss = learn.loss_func
    facts = {
        "n_batches": plan.total_steps,
        "first_batch": plan.first_step,
        "batches_in_an_epoch": len(learn.dls.train),
        "learning_rates": plan.rates,
        "schedule": [plan.schedule(at) for at in (0, 0.1, 0.3, 0.5, 0.8, 1)],
        "seconds": plan.seconds,
        "trained": [all(p.requires_grad for p in group) for group in learn.groups],
        "optimizer": type(learn.optimizer).__name__,
        "wd": [group.get("weight_decay") for group in learn.optimizer.param_groups],
        "loss": None if loss is None else getattr(loss, "__name__", type(loss).__name__),
        "clip": learn.clip,
        "alpha, beta": [learn.alpha, learn.beta],
        "asked_precision": learn.asked_precision,
        "seed": learn.seed,
        "dropouts": None if config is None else {n: v for n, v in config.to_dict().items() if n.endswith("_p")},
    }
    result: dict[str, Any] = json.loads(json.dumps(facts))
    return result


_SAMPLE = 1_000_000  # tokens from each end of the data that tell it from other data


def _program(learn: Learner) -> dict[str, Any]:
    """What two programs must have in common: the model, its vocabulary and labels, and the data."""
    return facts_of(learn) | {"data": [_digest(learn.dls.train), _digest(learn.dls.valid)]}


def _digest(loader: Any) -> str:
    """Number of texts and tokens, and a checksum; only the length of other loaders than the library's."""
    documents = getattr(loader, "documents", None)
    if documents is None:
        return f"{len(loader)} batches"
    parts = [documents.offsets, documents.ids[:_SAMPLE], documents.ids[-_SAMPLE:]]
    labels = getattr(loader, "labels", None)
    total = 0
    for part in [*parts, *([] if labels is None else [labels])]:
        total = zlib.crc32(np.ascontiguousarray(np.asarray(part)).tobytes(), total)
    n, n_tokens = len(documents.offsets) - 1, int(documents.offsets[-1])
    return f"{n} texts of {n_tokens} tokens, bs={getattr(loader, 'bs', None)} ({total:08x})"
