"""What one cell of a table says."""

from __future__ import annotations

from ulmfit.errors import DataError


def is_missing(value: object) -> bool:
    """Whether a cell is empty in the sense of a table: None, NaN, NA, NaT."""
    return (
        value is None or type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and value != value)
    )


def label_name(value: object) -> str | None:
    """A label as a string; None if it is missing.

    Raises:
        DataError: it is several labels.
    """
    scalar = getattr(value, "item", None)
    if callable(scalar) and getattr(value, "ndim", None) == 0:  # of numpy or torch
        value = scalar()
    if isinstance(value, list | tuple | set | frozenset | dict) or getattr(value, "ndim", None):
        raise DataError(
            f"the label {value!r:.60} is a collection, but each text has one class here. If texts have several labels, "
            "say so with y_block=MultiCategoryBlock()"
        )
    if is_missing(value):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a column of integers with a gap is read as floats
    return str(value).strip() or None
