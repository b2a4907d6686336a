"""What the cells of a label column say: one class, several, or a number."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ulmfit.data.cells import is_missing, label_name
from ulmfit.errors import ConfigError, DataError, named

SINGLE_LABEL, MULTI_LABEL, REGRESSION = TASKS = ("single_label", "multi_label", "regression")


@dataclass(frozen=True, kw_only=True)
class Labelling:
    """How labels are read.

    Args:
        task: "single_label", "multi_label" or "regression".
        label_delim: between the labels of a cell, for "multi_label"; cells that hold lists need none.

    Raises:
        ConfigError: the task is not known, or has no use for `label_delim`.
    """

    task: str = SINGLE_LABEL
    label_delim: str | None = None

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise ConfigError(f"task={self.task!r} is not known; choose one of {', '.join(TASKS)}")
        if self.label_delim is not None and self.task != MULTI_LABEL:
            raise ConfigError(f"label_delim={self.label_delim!r} is for task='multi_label', not {self.task!r}")
        if self.label_delim == "":
            raise ConfigError("label_delim is empty; give what stands between the labels of a cell, such as ';'")

    def read(self, cells: Sequence[Any], source: str) -> list[Any]:
        """What each cell says: a class (str), classes (list of str) or a number (float); None for an empty cell.

        A list without entries, and a cell that holds nothing but `label_delim`, say that no class applies.

        Args:
            cells: N cells.
            source: what they are from, for messages.

        Raises:
            DataError: cells that say something else; the message counts them from 1.
        """
        if self.task == SINGLE_LABEL:
            return [label_name(cell) for cell in cells]
        read = _number if self.task == REGRESSION else self._classes
        values, wrong = [], []
        for row, cell in enumerate(cells, start=1):
            try:
                values.append(None if is_missing(cell) or cell == "" else read(cell))
            except (TypeError, ValueError):
                wrong.append(f"{row} ({cell!r:.30})")
        if wrong:
            expected = (
                "a finite number"
                if self.task == REGRESSION
                else "a list of labels; name what separates the labels of a cell with label_delim"
            )
            raise DataError(f"{source}: {len(wrong)} of {len(cells)} cells are not {expected}: rows {named(wrong)}")
        return values

    def _classes(self, cell: Any) -> list[str]:
        if isinstance(cell, str):
            if self.label_delim is None:
                raise ValueError(cell)
            parts: Iterable[Any] = cell.split(self.label_delim)
        else:
            parts = cell
        return list(dict.fromkeys(name for name in map(label_name, parts) if name))


def _number(cell: Any) -> float:
    if isinstance(cell, bool):
        raise TypeError
    value = float(cell)
    if not math.isfinite(value):
        raise ValueError(cell)
    return value
