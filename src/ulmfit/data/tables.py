"""Rows and named columns, whatever they are kept in: frames of pandas or polars, Hugging Face datasets, files.

Files are read piece by piece, again for each pass, so that they may be larger than memory.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ulmfit.data.reading import codec, decoding_error, json_lines
from ulmfit.data.sources import TABLE_SUFFIXES, check_table_file, named_columns
from ulmfit.errors import ConfigError, DataError

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
        if twice := [name for name, n in Counter(self.names).items() if n > 1]:
            raise DataError(f"{self.source}: columns stand twice: {named_columns(twice)}")

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
        f"{type(source).__name__} is no table; expected a data frame of pandas or polars, a Hugging Face dataset, "
        "or a file"
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


def read_files(
    paths: Path | Sequence[Path],
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
    if header != "infer" and header is not None and (type(header) is not int or header < 0):
        raise ConfigError(
            f"header={header!r}: expected 'infer', the number of the line with the names of the columns (from 0), or "
            "None if no line has them"
        )
    files = _files(paths)
    csv_options = {
        "header": 0 if header == "infer" else header,
        "sep": delimiter,
        "quoting": quoting,
        "encoding": encoding,
    }
    readers = [_file_reader(file, encoding, csv_options) for file in files]
    names, n_rows = readers[0].names, 0
    for file, reader in zip(files, readers, strict=True):
        if reader.names != names:
            raise DataError(
                f"{file} has the columns {named_columns(reader.names)}, but {files[0]} {named_columns(names)}"
            )
        n_rows += reader.n_rows
    source = str(files[0]) if len(files) == 1 else f"{files[0]} and {len(files) - 1} more files"

    def read(columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        for reader in readers:
            yield from reader.read(columns)

    return Table(
        names=names,
        n_rows=n_rows,
        read=read,
        source=source,
        files=tuple(files),
        reading=repr((encoding, delimiter, header, quoting)),
    )


def _files(paths: Path | Sequence[Path]) -> list[Path]:
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


def _file_reader(path: Path, encoding: str, csv_options: Mapping[str, Any]) -> Table:
    suffix = path.suffix.lower()
    if csv_options["sep"] is None or suffix in (".parquet", ".jsonl", ".ndjson"):
        check_table_file(path)
    elif not path.is_file():
        raise DataError(f"{path} does not exist")
    if suffix == ".parquet":
        return _of_parquet(path)
    if suffix in (".jsonl", ".ndjson"):
        return _of_json_lines(path, encoding)
    return _of_csv(path, {**csv_options, "sep": csv_options["sep"] or ("\t" if suffix == ".tsv" else ",")})


def _of_parquet(path: Path) -> Table:
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
        names, n_rows = tuple(file.schema_arrow.names), file.metadata.num_rows
        file.close()
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read as PARQUET: {error}") from error

    def read(columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_CHUNK, columns=list(columns)):
                yield from zip(*(batch.column(name).to_pylist() for name in columns), strict=True)

    return Table(names=names, n_rows=n_rows, read=read, source=str(path))


def _of_json_lines(path: Path, encoding: str) -> Table:
    names: dict[str, None] = {}
    n_rows = 0
    try:
        for row in json_lines(path, encoding):
            names.update(dict.fromkeys(row))
            n_rows += 1
    except UnicodeDecodeError as error:
        raise decoding_error(path, encoding) from error
    if not n_rows:
        raise DataError(f"{path} has no rows")

    def read(columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        return (tuple(row.get(name) for name in columns) for row in json_lines(path, encoding))

    return Table(names=tuple(names), n_rows=n_rows, read=read, source=str(path))


def _of_csv(path: Path, options: Mapping[str, Any]) -> Table:
    encoding = options["encoding"]
    names: list[str] = []
    n_rows = 0
    for chunk in _csv_chunks(path, options):
        names = names or [str(name) for name in chunk.columns]
        n_rows += len(chunk)
    if not n_rows:
        raise DataError(f"{path} has a header but no rows")
    if options["header"] is not None:  # pandas renames columns that stand twice
        with path.open(encoding=codec(encoding), newline="") as file:
            lines = csv.reader(file, delimiter=options["sep"], quoting=options["quoting"])
            names = next(islice(lines, options["header"], None))

    def read(columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        places = [names.index(name) for name in columns]
        for chunk in _csv_chunks(path, options):
            yield from zip(*(chunk.iloc[:, place].tolist() for place in places), strict=True)

    return Table(names=tuple(names), n_rows=n_rows, read=read, source=str(path))


def _csv_chunks(path: Path, options: Mapping[str, Any]) -> Iterator[pd.DataFrame]:
    """Every cell as text; blank lines at the end of the file are no rows."""
    import pandas as pd

    blank: list[pd.DataFrame] = []
    try:
        with pd.read_csv(
            path,
            **{**options, "encoding": codec(options["encoding"])},
            dtype=str,
            keep_default_na=False,
            index_col=False,
            skip_blank_lines=False,  # so that rows stay where they are in the file
            chunksize=_CHUNK,
        ) as chunks:
            for chunk in chunks:
                empty = (chunk.isna() | (chunk == "")).all(axis=1)
                n_blank = int(empty[::-1].cumprod().sum())
                if n_blank < len(chunk):
                    yield from blank
                    blank = []
                    yield chunk.iloc[: len(chunk) - n_blank]
                if n_blank:
                    blank.append(chunk.iloc[len(chunk) - n_blank :])
    except UnicodeDecodeError as error:
        raise decoding_error(path, options["encoding"]) from error
    except LookupError as error:
        raise DataError(f"encoding {options['encoding']!r} is not known to Python") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError, OSError) as error:
        raise DataError(f"{path} cannot be read as a table: {error}") from error
