"""The time of a run: used, and left of its budget; with it goes what a run that is interrupted leaves."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ulmfit.training.run_files import RunFiles

if TYPE_CHECKING:
    from ulmfit.training.learner import Learner

_SHARE_OF_THE_END = 0.04
_LONGEST_END = 5.0


@dataclass
class Clock:
    """Counts from its making.

    Args:
        budget: seconds for the whole run, or None for no limit.
        files: of a run that may be interrupted: the time that earlier processes used counts, too.
        reserve: seconds that no part of the work may take: for what comes at the end, as the folder that is written.
        check: seconds that each part takes beyond its share, to check what it has learned.
    """

    budget: float | None
    files: RunFiles | None = None
    reserve: float = field(init=False)
    check: float = 0.0
    started: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        self.reserve = 0.0 if self.budget is None else min(_LONGEST_END, _SHARE_OF_THE_END * self.budget)
        self.started += self._correction

    @property
    def used(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.started + self._correction

    def share(self, part: float, *, keep: float = 0.0, check: float | None = None) -> float | None:
        """Seconds that a part of the work may take; of a run that goes on, what it was told before.

        Args:
            part: share of the time left.
            keep: further seconds that are set aside first.
            check: what the part takes beyond its share, in place of what all parts do.

        Returns:
            at least one second; None without a budget.
        """
        left, check = self.left, self.check if check is None else check
        return self.recall(None if left is None else max(1.0, part * (left - keep) - check))

    @property
    def left(self) -> float | None:
        """Seconds of the budget that are neither used nor reserved; None without one."""
        return None if self.budget is None else self.budget - self.used - self.reserve

    def recall(self, value: float | None) -> float | None:
        """This number, which depends on the time; of a run that goes on, what it was before."""
        return value if self.files is None else self.files.share(value, self.used)

    def once(self, name: str, of: str, make: Callable[[], Any]) -> Any:
        """What is made of something; of a run that goes on, what was made before; see `RunFiles.once`."""
        return make() if self.files is None else self.files.once(name, of, make)

    def mark(self) -> float:
        """Seconds since the start; of a run that goes on and was here before, those that it had taken then."""
        if self.files is not None:
            self.files.share(None, self.used)
        return self.used

    def keep(self, learn: Learner, stage: str, *, start: str | None = None, backwards: bool) -> None:
        """Keep checkpoints of a stage if the run has files; see `RunFiles.keep`."""
        if self.files is not None:
            self.files.keep(learn, stage, start=start, backwards=backwards)

    @property
    def _correction(self) -> float:
        return 0.0 if self.files is None else self.files.correction
