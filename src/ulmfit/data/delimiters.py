"""Telling columns of several labels in a cell from columns of single labels whose names have a comma or a space."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from ulmfit.data.cells import label_name
from ulmfit.errors import DataError, named

_MARKS = (";", "|", ",", " ")


def find_delimiter(labels: Iterable[str]) -> tuple[str, list[str]] | None:
    """Find what separates several labels in a cell, if the whole column says that there are such cells.

    A part of a cell is a label of its own if it comes back in other cells at another place or among more or fewer
    parts: `b` in `a;b`, `b;c` and `b` does, while in `Springfield, IL` and `Springfield, MO` no part does. Where at
    least half of the cells that can be cut consist of such parts only, they are taken as several labels. Spaces are
    common in names of classes (`world news` beside `world` and `news`): there each part must also stand alone, and one
    of them be at several places beside others.

    Args:
        labels: the cells.

    Returns:
        The delimiter, and the cells that consist of several labels; None if there are none.
    """
    different = sorted(set(labels))
    for mark in _MARKS:
        cells = {label: [part for part in map(str.strip, label.split(mark)) if part] for label in different}
        places = defaultdict[str, set[tuple[int, int]]](set)
        for parts in cells.values():
            for i, part in enumerate(parts):
                places[part].add((i, len(parts)))
        candidates = [label for label, parts in cells.items() if len(parts) > 1]
        found = [label for label in candidates if _are_labels([places[part] for part in cells[label]], mark)]
        if found and 2 * len(found) >= len(candidates):
            return mark, found
    return None


def _are_labels(parts: list[set[tuple[int, int]]], mark: str) -> bool:
    """Whether the parts of a cell are labels, by the places (which of how many) at which each occurs in all cells."""
    if mark == " ":
        return all((0, 1) in places for places in parts) and any(len(places) > 2 for places in parts)
    return all(len(places) > 1 for places in parts)


def refuse_joined(values: Iterable[object], source: str) -> None:
    """Refuse several labels in one value, where each text has one class.

    Args:
        values: what the items say about their labels.
        source: what they are from, for messages.

    Raises:
        DataError: naming such values, what separates the labels, and how to say what is meant.
    """
    found = find_delimiter(name for name in map(label_name, values) if name)
    if found is not None:
        mark, joined = found
        raise DataError(
            f"{source}: {len(joined)} of the labels look like several labels joined by {mark!r}: "
            f"{named(list(map(repr, joined)))}. If a text may have several labels, say so with label_delim={mark!r}; "
            "if each of these is one class, with label_delim='' or by naming the classes, CategoryBlock(vocab=[...])"
        )
