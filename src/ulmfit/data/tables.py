"""Rows and named columns, whatever they are kept in: frames of pandas or polars, Hugging Face datasets, files.

Files are read piece by piece, again for each pass, so that they may be larger than memory.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ulmfit.arguments import checked
from ulmfit.data.rows import TABLE_SUFFIXES, file_rows, named_columns, refuse_twice
from ulmfit.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

_CHUNK = 10_000  # rows that are read at once
Reader = Callable[[Sequence[str]], Iterator[tuple[Any, ...]]]


class _Again:
    """Rows that can be passed over again and again."""

    def __init__(self, read: Callable[[], Iterator[tuple[Any, ...]]], n: int) -> None:
        self._read, self._n = read, n

    def __len__(self) -> int:
        return self._n

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return self._read()


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows and named columns.

    Args:
        names: of the columns.
        n_rows: number of rows.
        read: gives the cells of some columns, row by row; called for each pass.
        source: what it was read from, for messages.
        files: the files it is read from, if any.
        reading: how they are read, where that changes what is read.
        frame: the pandas frame it is, if any.
    """

    names: tuple[str, ...]
    n_rows: int
    read: Reader
    source: str
    files: tuple[Path, ...] = ()
    reading: str = ""
    frame: pd.DataFrame | None = None

    def __post_init__(self) -> None:
        refuse_twice(self.names, self.source)

    def __len__(self) -> int:
        return self.n_rows

    def name(self, column: str | int) -> str:
        """The name of a column that is given by name or position.

        Raises:
            DataError: there is no such column.
        """
        if isinstance(column, int) and not isinstance(column, bool):
            if not -len(self.names) <= column < len(self.names):
                raise DataError(
                    f"{self.source}: there is no column at position {column}. Columns: {named_columns(self.names)}"
                )
            return self.names[column]
        if str(column) not in self.names:
            raise DataError(f"{self.source}: there is no column {column!r}. Columns: {named_columns(self.names)}")
        return str(column)

    def rows(self, *columns: str) -> Iterable[tuple[Any, ...]]:
        """The cells of some columns, row by row, as often as wanted."""
        return _Again(lambda: self.read(columns), self.n_rows)

    def dicts(self) -> Iterator[dict[str, Any]]:
        """The rows as dictionaries."""
        return (dict(zip(self.names, row, strict=True)) for row in self.read(self.names))


def is_frame(source: object) -> bool:
    """Whether this is a data frame or a data set of columns."""
    kinds = ("columns", "__getitem__", "__len__"), ("column_names", "__getitem__", "__len__")
    return not isinstance(source, type) and any(all(hasattr(source, name) for name in kind) for kind in kinds)


def as_table(source: Any) -> Table:
    """Take a data frame of pandas or polars, a Hugging Face dataset, or a table, as a table.

    Raises:
        DataError: it is none of these.
    """
    if isinstance(source, Table):
        return source
    if hasattr(source, "iloc") and hasattr(source, "columns"):
        return _of_pandas(source)
    if hasattr(source, "column_names") and hasattr(source, "__getitem__") and hasattr(source, "__len__"):
        return _of_dataset(source)
    if hasattr(source, "get_column") and hasattr(source, "columns"):
        return _of_polars(source)
    raise DataError(
        f"{type(source).__name__} is no table; expected a data frame of pandas or polars (a lazy one after collect()), "
        "a Hugging Face dataset that is not streamed, or a file"
    )


def _of_pandas(frame: pd.DataFrame) -> Table:
    names = tuple(str(name) for name in frame.columns)

    def read(columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        return zip(*(frame.iloc[:, names.index(name)].tolist() for name in columns), strict=True)

    return Table(names=names, n_rows=len(frame), read=read, source="the data frame", frame=frame)


def _of_polars(frame: Any) -> Table:
    def read(columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        return zip(*(frame.get_column(name).to_list() for name in columns), strict=True)

    return Table(names=tuple(frame.columns), n_rows=len(frame), read=read, source="the data frame")


def _of_dataset(dataset: Any) -> Table:
    names = dataset.column_names
    if isinstance(names, Mapping):
        parts = ", ".join(map(str, names))
        raise DataError(f"this is a dictionary of data sets: {parts}. Give one of them, or those to join")
    features = getattr(dataset, "features", None) or {}
    label_names = {name: feature.int2str for name, feature in features.items() if hasattr(feature, "int2str")}

    def read(columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        for start in range(0, len(dataset), _CHUNK):
            piece = dataset[start : start + _CHUNK]
            yield from zip(*(_as_names(piece[name], label_names.get(name)) for name in columns), strict=True)

    return Table(names=tuple(names), n_rows=len(dataset), read=read, source="the data set")


def _as_names(values: Sequence[Any], int2str: Callable[[int], str] | None) -> Iterable[Any]:
    """The names of classes, where a data set keeps their numbers. A negative number marks a missing label."""
    if int2str is None:
        return values
    return (None if value is None or value < 0 else int2str(value) for value in values)


@checked
def read_files(
    paths: str | Path | Sequence[str | Path],
    *,
    encoding: str = "utf-8",
    delimiter: str | None = None,
    header: str | int | None = "infer",
    quoting: int = csv.QUOTE_MINIMAL,
) -> Table:
    """Take one or more files of the same columns as a table. They are read piece by piece.

    Args:
        paths: CSV, TSV, JSONL or Parquet files; or a folder of them, sorted by name.
        encoding: of text files.
        delimiter: between the cells; None for what the ending of the name says.
        header: the line that has the names of the columns, counted from 0; what is above it is left out. "infer" for
            the first, None if there is none.
        quoting: as in the module `csv`.

    Returns:
        The table. Every cell of a CSV or TSV file is a string.

    Raises:
        DataError: a file is missing, empty, not decodable or not of its format, or the columns differ.
        ConfigError: `header` is none of these.
    """
    files = _files(paths)
    readers = [file_rows(file, encoding, delimiter=delimiter, header=header, quoting=quoting) for file in files]
    scans = [reader.scan() for reader in readers]
    names = scans[0][0]
    for file, (others, _) in zip(files, scans, strict=True):
        if others != names:
            raise DataError(f"{file} has the columns {named_columns(others)}, but {files[0]} {named_columns(names)}")
    source = str(files[0]) if len(files) == 1 else f"{files[0]} and {len(files) - 1} more files"

    def read(columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        for reader in readers:
            yield from reader.read(columns)

    return Table(
        names=names,
        n_rows=sum(n for _, n in scans),
        read=read,
        source=source,
        files=tuple(files),
        reading=repr((encoding, delimiter, header, quoting)),
    )


def _files(paths: str | Path | Sequence[str | Path]) -> list[Path]:
    given = [Path(paths)] if isinstance(paths, str | Path) else [Path(path) for path in paths]
    files: list[Path] = []
    for path in given:
        found = [path]
        if path.is_dir():
            found = sorted(p for p in path.iterdir() if p.suffix.lower() in TABLE_SUFFIXES)
            if not found:
                raise DataError(f"{path} holds no file ending in {', '.join(TABLE_SUFFIXES)}")
        files += found
    if not files:
        raise DataError("no file was given")
    return files
