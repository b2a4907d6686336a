"""The time of a run: used, and left of its budget."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

_SHARE_OF_THE_END = 0.04
_LONGEST_END = 5.0


@dataclass
class Clock:
    """Counts from its making.

    Args:
        budget: seconds for the whole run, or None for no limit.
        reserve: seconds that no part of the work may take: for what comes at the end, as the folder that is written.
    """

    budget: float | None
    reserve: float = field(init=False)
    started: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        self.reserve = 0.0 if self.budget is None else min(_LONGEST_END, _SHARE_OF_THE_END * self.budget)

    @property
    def used(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.started

    def share(self, part: float, *, keep: float = 0.0) -> float | None:
        """Seconds that a part of the work may take.

        Args:
            part: share of the time left.
            keep: further seconds that are set aside first.

        Returns:
            at least one second; None without a budget.
        """
        return None if self.budget is None else max(1.0, part * (self.budget - self.used - self.reserve - keep))
