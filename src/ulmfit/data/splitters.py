"""Splitting items into a part to learn from and a part to check with.

Every splitter is a function from items to the indices of the two parts. Chance comes from a generator of its own; no
seed means seed 0, so that a program that is run again splits in the same way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ulmfit.arguments import at_least, between_0_and_1, checked
from ulmfit.data.reading import read_text_file
from ulmfit.data.tables import Table, as_table, is_frame
from ulmfit.errors import ConfigError, DataError, named

Split = tuple[NDArray[np.int64], NDArray[np.int64]]
Splitter = Callable[[Any], Split]

_YES, _NO = {"true", "yes", "1", "1.0"}, {"false", "no", "0", "0.0", ""}


def stratified_split(labels: Sequence[str], valid_pct: float, seed: int) -> Split:
    """Indices of a training and a validation part, each class in its proportion.

    Args:
        labels: a label for each example.
        valid_pct: share of the validation part, in (0, 1).
        seed: the same seed gives the same split.

    Raises:
        ConfigError: `valid_pct` is not in (0, 1).
        DataError: too few examples for that share.
    """
    from sklearn.model_selection import train_test_split  # 1 s, which a language model need not wait for

    between_0_and_1(valid_pct=valid_pct)
    indices = np.arange(len(labels))
    n_valid = max(round(valid_pct * len(labels)), len(set(labels)))  # what a stratified split needs
    if n_valid > len(labels) - len(set(labels)):
        raise DataError(
            f"{len(labels)} examples in {len(set(labels))} classes are too few to hold out {valid_pct:.0%} "
            "for validation; "
            "add examples or name a part to check with"
        )
    train, valid = train_test_split(indices, test_size=n_valid, random_state=int(seed) % 2**32, stratify=list(labels))
    return np.sort(train), np.sort(valid)


def _n_valid(n: int, valid_pct: float) -> int:
    between_0_and_1(valid_pct=valid_pct)
    n_valid = int(valid_pct * n)
    if not 0 < n_valid < n:
        raise DataError(
            f"valid_pct={valid_pct} of {n} items leaves {n_valid} to check with and {n - n_valid} to learn from; "
            "each part needs one at least"
        )
    return n_valid


def checked_split(parts: Any, n: int) -> Split:
    """What a splitter gave, as rising indices.

    Args:
        parts: the indices of both parts: arrays, lists, ranges, in any order.
        n: number of items.

    Raises:
        DataError: they are not two lists of indices of items, or an item is in both parts, or twice in one.
    """
    try:
        given = [np.asarray(list(part)) for part in parts]
    except TypeError:
        given = []
    if len(given) != 2 or any(part.ndim != 1 or (part.size and part.dtype.kind not in "iu") for part in given):
        raise DataError(
            f"the splitter gave {parts!r:.80}; expected two lists of indices: (to learn from, to check with)"
        )
    train, valid = (np.sort(part.astype(np.int64)) for part in given)
    every = np.concatenate((train, valid))
    numbers, counts = np.unique(every, return_counts=True)
    wrong = {
        "there are no items": numbers[(numbers < 0) | (numbers >= n)],
        "in both parts": np.intersect1d(train, valid),
        "twice in one part": np.setdiff1d(numbers[counts > 1], np.intersect1d(train, valid)),
    }
    found = [f"{what}: {named([str(i) for i in which.tolist()])}" for what, which in wrong.items() if len(which)]
    purposes = (("learn from", train), ("check with", valid))
    found += [f"the part to {purpose} is empty" for purpose, part in purposes if not len(part)]
    if found:
        raise DataError(
            f"the splitter gave indices that {n} items, counted from 0, cannot be split by: {'; '.join(found)}"
        )
    return train, valid


def _parts(valid: NDArray[np.bool_], rule: str) -> Split:
    train_rows, valid_rows = np.flatnonzero(~valid), np.flatnonzero(valid)
    if not len(train_rows) or not len(valid_rows):
        raise DataError(
            f"{rule}: {len(train_rows)} items to learn from and {len(valid_rows)} to check with; "
            "each part needs one at least"
        )
    return train_rows, valid_rows


def _each(items: Any) -> Iterable[Any]:
    """The items one by one: of a table its rows."""
    if isinstance(items, Table) or is_frame(items):
        return as_table(items).dicts()
    return list(items)


@checked
def RandomSplitter(valid_pct: float = 0.2, seed: int | None = None) -> Splitter:
    """Split at random.

    Args:
        valid_pct: share of the part to check with, in (0, 1).
        seed: the same seed gives the same split; None is 0.
    """
    between_0_and_1(valid_pct=valid_pct)
    at_least(0, seed=seed)

    def split(items: Any) -> Split:
        n_valid = _n_valid(len(items), valid_pct)
        order = np.random.default_rng(seed or 0).permutation(len(items))
        return np.sort(order[n_valid:]), np.sort(order[:n_valid])

    return split


@checked
def TrainTestSplitter(
    test_size: float | int = 0.2,
    random_state: int | None = None,
    stratify: Iterable[Any] | None = None,
    train_size: float | int | None = None,
    shuffle: bool = True,
) -> Splitter:
    """Split as scikit-learn's `train_test_split` does.

    Args:
        test_size: share or number of items to check with.
        random_state: the same gives the same split; None is 0.
        stratify: a class for each item, to have each in its proportion in both parts.
        train_size: share or number of items to learn from; None for all others.
        shuffle: at random, else the last items are those to check with.
    """

    def split(items: Any) -> Split:
        from sklearn.model_selection import train_test_split

        try:
            train, valid = train_test_split(
                np.arange(len(items)),
                test_size=test_size,
                random_state=(random_state or 0) if shuffle else None,
                stratify=None if stratify is None else list(stratify),
                train_size=train_size,
                shuffle=shuffle,
            )
        except ValueError as error:
            raise DataError(f"{len(items)} items cannot be split so: {error}") from error
        return np.sort(train), np.sort(valid)

    return split


@checked
def GrandparentSplitter(
    train_name: str | Sequence[str] = "train", valid_name: str | Sequence[str] = "valid"
) -> Splitter:
    """Split files by the name of the folder above the one that they stand in.

    Args:
        train_name: of the folder or folders of files to learn from.
        valid_name: of those to check with.
    """
    train_names, valid_names = _stripped(train_name), _stripped(valid_name)

    def split(items: Any) -> Split:
        names = [path.parent.parent.name for path in _paths(items)]
        parts = tuple(
            np.array([i for i, name in enumerate(names) if name in wanted], dtype=np.int64)
            for wanted in (train_names, valid_names)
        )
        for wanted, part in zip((train_names, valid_names), parts, strict=True):
            if not len(part):
                found = ", ".join(f"{name!r} ({n})" for name, n in Counter(names).most_common(8))
                raise DataError(
                    f"no file stands in a class folder of a folder named {' or '.join(sorted(wanted))}; the folders "
                    f"above the class folders are: {found}. Name them with train and valid, or give valid_pct"
                )
        return parts[0], parts[1]

    return split


def _paths(items: Any) -> list[Path]:
    """The items, which must be paths."""
    wrong = [i for i, item in enumerate(items, start=1) if not isinstance(item, str | Path)]
    if wrong:
        raise DataError(f"this splitter is for paths of files; not so: items {named(wrong)} (counted from 1)")
    return [Path(item) for item in items]


def _names(items: Any) -> list[str]:
    return [path.name for path in _paths(items)]


def _stripped(names: str | Sequence[str]) -> set[str]:
    return {name.strip("/") for name in ([names] if isinstance(names, str) else names)}


@checked
def ColSplitter(col: str | int = "is_valid", on: Any = None) -> Splitter:
    """Split a table by a column.

    Args:
        col: name or position of the column.
        on: the value or values that mark a row to check with; None if the column says yes or no.
    """

    def split(items: Any) -> Split:
        table = as_table(items)
        name = table.name(col)
        values = [value for (value,) in table.rows(name)]
        if on is None:
            marked = [_yes(value, name, row) for row, value in enumerate(values, start=1)]
        else:
            wanted = {str(one) for one in (on if isinstance(on, list | tuple | set) else [on])}
            marked = [str(value) in wanted for value in values]
        return _parts(np.array(marked, dtype=np.bool_), f"column {name!r}" + (f" on {on!r}" if on is not None else ""))

    return split


def _yes(value: Any, name: str, row: int) -> bool:
    text = str(value).strip().lower()
    if text not in _YES | _NO:
        raise DataError(
            f"column {name!r}, row {row}: {value!r} is neither yes nor no; name the value of rows to check with (on)"
        )
    return text in _YES


@checked
def IndexSplitter(valid_idx: Iterable[int]) -> Splitter:
    """Split off the items at these indices to check with.

    Args:
        valid_idx: their indices.
    """
    given: list[Any] = list(valid_idx)
    if any(isinstance(i, bool | np.bool_) for i in given):
        raise ConfigError("valid_idx is a list of indices, counted from 0; for True and False there is MaskSplitter")
    if wrong := [i for i in given if not isinstance(i, int | np.integer)]:
        raise ConfigError(f"valid_idx is a list of indices, counted from 0; {named([repr(i) for i in wrong])} are none")
    chosen = [int(i) for i in given]

    def split(items: Any) -> Split:
        if wrong := [i for i in chosen if not 0 <= i < len(items)]:
            raise DataError(f"valid_idx {wrong[:8]}: there are {len(items)} items, counted from 0")
        mask = np.zeros(len(items), dtype=np.bool_)
        mask[chosen] = True
        return _parts(mask, "valid_idx")

    return split


@checked
def EndSplitter(valid_pct: float = 0.2, valid_last: bool = True) -> Splitter:
    """Split off the last items, or the first, to check with: for items in the order of time.

    Args:
        valid_pct: share of the part to check with, in (0, 1).
        valid_last: the last items, else the first.
    """
    between_0_and_1(valid_pct=valid_pct)

    def split(items: Any) -> Split:
        n, n_valid = len(items), _n_valid(len(items), valid_pct)
        order = np.arange(n)
        return (order[: n - n_valid], order[n - n_valid :]) if valid_last else (order[n_valid:], order[:n_valid])

    return split


@checked
def FuncSplitter(func: Callable[[Any], Any]) -> Splitter:
    """Split off the items that a function is true of to check with.

    Args:
        func: function of an item.
    """
    return lambda items: _parts(np.array([bool(func(item)) for item in _each(items)], dtype=np.bool_), "func")


@checked
def MaskSplitter(mask: Iterable[Any]) -> Splitter:
    """Split by a mask.

    Args:
        mask: for each item whether it is one to check with.
    """
    given = list(mask)

    def split(items: Any) -> Split:
        if len(given) != len(items):
            raise DataError(f"the mask has {len(given)} entries, but there are {len(items)} items")
        marks = np.asarray(given)
        wrong = [f"{one!r} at {i}" for i, one in enumerate(given) if str(one) not in ("True", "False", "0", "1")]
        if wrong or marks.dtype.kind not in "biu":
            raise DataError(f"the mask must say True or False for each item, not {named(wrong or [repr(given[0])])}")
        return _parts(marks.astype(np.bool_), "mask")

    return split


@checked
def FileSplitter(fname: str | Path) -> Splitter:
    """Split off the files whose names are listed in a file to check with.

    Args:
        fname: the file, with a name in each line.
    """

    def split(items: Any) -> Split:
        names = {line for line in read_text_file(Path(fname), "utf-8").split("\n") if line.strip()}
        found = _names(items)
        if unknown := sorted(names.difference(found)):
            raise DataError(
                f"{fname}: {len(unknown)} of its {len(names)} lines name no item: {named(unknown)}. "
                "A line is the name of a file, without its folder"
            )
        return _parts(np.array([name in names for name in found], dtype=np.bool_), str(fname))

    return split


@checked
def RandomSubsetSplitter(train_sz: float | int, valid_sz: float | int, seed: int | None = None) -> Splitter:
    """Take two random parts that need not be all items.

    Args:
        train_sz: share or number of items to learn from.
        valid_sz: share or number of items to check with.
        seed: the same seed gives the same split; None is 0.
    """

    def split(items: Any) -> Split:
        n = len(items)
        sizes = [int(size * n) if isinstance(size, float) and size < 1 else int(size) for size in (train_sz, valid_sz)]
        if min(sizes) < 1 or sum(sizes) > n:
            raise DataError(
                f"train_sz={train_sz} and valid_sz={valid_sz} of {n} items are {sizes[0]} and {sizes[1]}; "
                f"each must be at least 1, and both together at most {n}"
            )
        order = np.random.default_rng(seed or 0).permutation(n)
        return np.sort(order[: sizes[0]]), np.sort(order[sizes[0] : sum(sizes)])

    return split
