"""What a model should say about a text, as numbers: classes, sets of classes, or measurements.

N documents, C classes. Each block describes a kind of target; `fit` learns the classes from the part to learn from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ulmfit.arguments import at_least, checked
from ulmfit.data.cells import is_missing, label_name
from ulmfit.data.sources import check_known_labels
from ulmfit.errors import ConfigError, DataError, named

NOT_KNOWN = "#na#"
"""With `add_na`, the first class: what is missing or was not seen in the part to learn from."""


class Target(Protocol):
    """Between values as users have them and numbers as models need them."""

    @property
    def task(self) -> str:
        """One of "single_label", "multi_label", "regression"."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of their ids; none for regression."""

    @property
    def n_out(self) -> int:
        """Numbers that the model gives for a text."""

    def encode(self, values: Sequence[Any], source: str) -> NDArray[Any]:
        """Numbers for N values: int64 (N,), float32 (N, C), or float32 (N,) or (N, n_out)."""

    def decode(self, row: Any) -> str:
        """What is shown for the number or numbers of one text."""


class TargetBlock(Protocol):
    """Describes a kind of target."""

    title: str

    def fit(self, values: Sequence[Any], source: str) -> Target:
        """Learn what there is to know from the values of the part to learn from."""


def _in_order(labels: Iterable[str]) -> list[str]:
    """Sorted: whole numbers by size, everything else by code points."""
    names = sorted(set(labels))
    try:
        return sorted(names, key=int)
    except ValueError:
        return names


class Picked(list[Any]):
    """Values of some items of a source, with the numbers that those items have there, from 1."""

    @checked
    def __init__(self, values: Iterable[Any], numbers: Iterable[int]) -> None:
        super().__init__(values)
        self.numbers = list(numbers)


def _numbered(values: Sequence[Any]) -> Iterator[tuple[int, Any]]:
    return zip(getattr(values, "numbers", range(1, len(values) + 1)), values, strict=True)


def _label_names(values: Sequence[Any]) -> Picked:
    return Picked(map(label_name, values), (number for number, _ in _numbered(values)))


def _refuse_missing(values: Sequence[Any], source: str) -> None:
    rows = [row for row, value in _numbered(values) if value is None or is_missing(value)]
    if rows:
        raise DataError(
            f"{source}: {len(rows)} of {len(values)} items have no label: items {named(rows)} (counted from 1). "
            "Fill them, or leave these items out; a language model (is_lm=True) needs none"
        )


@dataclass(frozen=True)
class SingleLabel:
    """One class for each text.

    Args:
        labels: the classes in the order of their ids.
    """

    labels: tuple[str, ...]
    task = "single_label"

    @property
    def n_out(self) -> int:
        """Number of classes."""
        return len(self.labels)

    def encode(self, values: Sequence[Any], source: str) -> NDArray[np.int64]:
        """Class ids, int64 (N,).

        Raises:
            DataError: a value is missing or no known class.
        """
        names = _label_names(values)
        ids = {label: i for i, label in enumerate(self.labels)}
        if self.labels[0] == NOT_KNOWN:
            return np.array([ids.get(name or NOT_KNOWN, 0) for name in names], dtype=np.int64)
        _refuse_missing(names, source)
        check_known_labels([name for name in names if name], self.labels, source)
        return np.array([ids[name] for name in names if name], dtype=np.int64)

    def decode(self, row: Any) -> str:
        """The class with this id."""
        return self.labels[int(row)]


@dataclass(frozen=True)
class MultiLabel:
    """Any number of classes for each text.

    Args:
        labels: the classes in the order of their columns.
        encoded: values are C numbers, 1 for a class that applies, not the names of those that do.
        add_na: classes that are not known are passed over.
    """

    labels: tuple[str, ...]
    encoded: bool = False
    add_na: bool = False
    task = "multi_label"

    @property
    def n_out(self) -> int:
        """Number of classes."""
        return len(self.labels)

    def encode(self, values: Sequence[Any], source: str) -> NDArray[np.float32]:
        """1 where a class applies, else 0: float32 (N, C).

        Raises:
            DataError: a value is missing, no list, or has a class that is not known.
        """
        _refuse_missing(values, source)
        if self.encoded:
            rows = np.asarray([_numbers(_yes_or_no(value), source) for value in values], dtype=np.float32)
            if rows.shape != (len(values), self.n_out) or not np.isin(rows, (0, 1)).all():
                raise DataError(f"{source}: expected {self.n_out} numbers 0 or 1 for each item: {named(self.labels)}")
            return rows
        sets = [_names(value, i, source) for i, value in _numbered(values)]
        if not self.add_na:
            check_known_labels([name for names in sets for name in names], self.labels, source)
        ids = {label: i for i, label in enumerate(self.labels)}
        rows = np.zeros((len(values), self.n_out), dtype=np.float32)
        for row, names in zip(rows, sets, strict=True):
            row[[ids[name] for name in names if name in ids]] = 1
        return rows

    def decode(self, row: Any) -> str:
        """The classes that apply, separated by semicolons."""
        return ";".join(label for label, applies in zip(self.labels, row, strict=True) if applies > 0.5)


@dataclass(frozen=True)
class Measurement:
    """One or more numbers for each text.

    Args:
        n_out: how many.
    """

    n_out: int
    task = "regression"

    @property
    def labels(self) -> tuple[str, ...]:
        """There are no classes."""
        return ()

    def encode(self, values: Sequence[Any], source: str) -> NDArray[np.float32]:
        """The numbers, float32 (N,), or (N, n_out) if there are several.

        Raises:
            DataError: a value is missing or no finite number, or there are more or fewer of them.
        """
        _refuse_missing(values, source)
        rows = Picked((_numbers(value, source) for value in values), (number for number, _ in _numbered(values)))
        wrong = [i for i, row in _numbered(rows) if len(row) != self.n_out or not np.isfinite(row).all()]
        if wrong:
            raise DataError(
                f"{source}: expected {self.n_out} finite number(s) for each item; not so: items {named(wrong)} "
                "(counted from 1)"
            )
        out = np.asarray(rows, dtype=np.float32)
        return out[:, 0] if self.n_out == 1 else out

    def decode(self, row: Any) -> str:
        """The numbers, separated by semicolons."""
        return ";".join(f"{float(number):.4g}" for number in np.atleast_1d(np.asarray(row)))


def _yes_or_no(value: Any) -> Any:
    """The cells of a row of 0 and 1, which files may spell as words."""
    words = {"True": 1, "False": 0}
    return [words.get(cell, cell) if isinstance(cell, str) else cell for cell in value]


def _given(vocab: Iterable[Any]) -> list[str]:
    """Classes that were given, written as labels are."""
    names = [label_name(label) for label in vocab]
    if None in names:
        raise ConfigError(f"vocab: a class is missing or empty: {list(vocab)!r:.80}")
    return [name for name in names if name]


def _numbers(value: Any, source: str) -> list[float]:
    parts = value if isinstance(value, list | tuple | np.ndarray) else [value]
    try:
        return [float(part) for part in parts]
    except (TypeError, ValueError) as error:
        raise DataError(f"{source}: {value!r:.60} is no number") from error


def _names(value: Any, item: int, source: str) -> list[str]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise DataError(
            f"{source}, item {item}: {value!r:.60} is one value, not a list of labels. If it holds several labels, "
            "name what separates them with label_delim; if each text has one label, use CategoryBlock"
        )
    names = [label_name(one) for one in value]
    return [name for name in names if name]


class CategoryBlock:
    """One class for each text.

    Args:
        vocab: the classes; None to take those of the part to learn from.
        sort: sort classes that were given.
        add_na: a first class `#na#` for labels that are missing or not known.
    """

    title = "category"

    @checked
    def __init__(self, vocab: Iterable[Any] | None = None, sort: bool = True, add_na: bool = False) -> None:
        self.vocab = None if vocab is None else _given(vocab)
        self.sort, self.add_na = sort, add_na

    def fit(self, values: Sequence[Any], source: str) -> SingleLabel:
        """Learn the classes.

        Args:
            values: labels of the part to learn from.
            source: what they are from, for messages.

        Raises:
            DataError: a label is missing, or there are fewer than two classes.
        """
        if self.vocab is not None:
            labels = _in_order(self.vocab) if self.sort else list(dict.fromkeys(self.vocab))
        else:
            names = _label_names(values)
            if not self.add_na:
                _refuse_missing(names, source)
            labels = _in_order(name for name in names if name)
        labels = ([NOT_KNOWN] if self.add_na else []) + [label for label in labels if label != NOT_KNOWN]
        if len(labels) < 2:
            if self.vocab is not None:
                raise ConfigError(f"vocab={self.vocab!r}: a classifier needs two classes at least")
            raise DataError(
                f"{source}: all {len(values)} items have the label {labels[0]!r}; a classifier needs two at least"
                if labels
                else f"{source}: there are no labels"
            )
        return SingleLabel(tuple(labels))


class MultiCategoryBlock:
    """Any number of classes for each text.

    Args:
        encoded: values are numbers, one for each class: 1 if it applies, else 0. Needs `vocab`.
        vocab: the classes; None to take those of the part to learn from.
        add_na: pass over classes that the part to learn from does not have.
    """

    title = "categories"

    @checked
    def __init__(self, encoded: bool = False, vocab: Iterable[Any] | None = None, add_na: bool = False) -> None:
        if encoded and vocab is None:
            raise ConfigError("encoded=True needs the names of the columns: vocab=[...]")
        self.encoded, self.add_na = encoded, add_na
        self.vocab = None if vocab is None else _given(vocab)

    def fit(self, values: Sequence[Any], source: str) -> MultiLabel:
        """Learn the classes.

        Args:
            values: lists of labels, of the part to learn from.
            source: what they are from, for messages.

        Raises:
            DataError: a value is missing or no list, or there is no label at all.
        """
        labels = self.vocab
        if labels is None:
            _refuse_missing(values, source)
            labels = _in_order(name for i, value in _numbered(values) for name in _names(value, i, source))
        if not labels:
            raise DataError(f"{source}: no item has any label")
        return MultiLabel(tuple(labels), encoded=self.encoded, add_na=self.add_na)


class RegressionBlock:
    """One or more numbers for each text.

    Args:
        n_out: how many; None for as many as the first text has.
    """

    title = "value"

    @checked
    def __init__(self, n_out: int | None = None) -> None:
        at_least(1, n_out=n_out)
        self.n_out = n_out

    def fit(self, values: Sequence[Any], source: str) -> Measurement:
        """Learn how many numbers there are.

        Args:
            values: numbers, or lists of them.
            source: what they are from, for messages.
        """
        return Measurement(self.n_out or len(_numbers(values[0], source)))


def class_counts(values: Sequence[Any]) -> Counter[str]:
    """How many texts have each label."""
    return Counter(str(label_name(value)) for value in values)
