"""The rows of one file, read piece by piece and anew for each pass, so that it may be larger than memory."""

from __future__ import annotations

import csv
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ulmfit.data.reading import codec, decoding_error, json_lines
from ulmfit.errors import ConfigError, DataError

if TYPE_CHECKING:
    import pandas as pd

TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
OTHER_SEPARATORS = (";", "\t", "|")
SEPARATE = "write the file with commas, or with tabs as .tsv"
_PIECE = 1_000  # rows that are in memory at once


def named_columns(columns: Iterable[object]) -> str:
    """Columns as a message names them."""
    return ", ".join(repr(str(c)) for c in columns)


def refuse_twice(names: Sequence[str], source: str) -> None:
    """Refuse columns of the same name.

    Raises:
        DataError: naming them.
    """
    if twice := [name for name, n in Counter(names).items() if n > 1]:
        raise DataError(f"{source}: columns stand twice: {named_columns(twice)}")


class FileRows(ABC):
    """The rows of a file, and the names of its columns.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @abstractmethod
    def head(self) -> tuple[str, ...]:
        """The names of the columns, as far as the beginning of the file tells."""

    @abstractmethod
    def scan(self) -> tuple[tuple[str, ...], int]:
        """The names of all columns and the number of rows, for which the file is passed over if it does not say."""

    @abstractmethod
    def read(self, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """The cells of some columns, row by row. What is missing is None or NaN.

        Raises:
            DataError: the file is damaged or not in its encoding.
        """


class ParquetRows(FileRows):
    """The rows of a Parquet file."""

    def head(self) -> tuple[str, ...]:
        """See `FileRows`."""
        return self.scan()[0]

    def scan(self) -> tuple[tuple[str, ...], int]:
        """See `FileRows`."""
        import pyarrow
        import pyarrow.parquet

        try:
            with pyarrow.parquet.ParquetFile(self.path) as file:
                return tuple(file.schema_arrow.names), file.metadata.num_rows
        except (pyarrow.ArrowException, OSError) as error:
            raise DataError(f"{self.path} cannot be read as PARQUET: {error}") from error

    def read(self, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """See `FileRows`."""
        import pyarrow
        import pyarrow.parquet

        try:
            with pyarrow.parquet.ParquetFile(self.path) as file:
                for batch in file.iter_batches(batch_size=_PIECE, columns=list(columns)):
                    yield from zip(*(batch.column(name).to_pylist() for name in columns), strict=True)
        except (pyarrow.ArrowException, OSError) as error:
            raise DataError(f"{self.path} is damaged: {error}") from error


class JSONRows(FileRows):
    """The objects of a JSONL file.

    Args:
        path: the file.
        encoding: its encoding.
    """

    def __init__(self, path: Path, encoding: str) -> None:
        super().__init__(path)
        self.encoding = encoding

    def head(self) -> tuple[str, ...]:
        """The names in the first object."""
        for row in json_lines(self.path, self.encoding):
            return tuple(row)
        raise DataError(f"{self.path} has no rows")

    def scan(self) -> tuple[tuple[str, ...], int]:
        """See `FileRows`."""
        names: dict[str, None] = {}
        n_rows = 0
        for row in json_lines(self.path, self.encoding):
            names.update(dict.fromkeys(row))
            n_rows += 1
        if not n_rows:
            raise DataError(f"{self.path} has no rows")
        return tuple(names), n_rows

    def read(self, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """See `FileRows`."""
        return (tuple(row.get(name) for name in columns) for row in json_lines(self.path, self.encoding))


class SeparatedRows(FileRows):
    """The rows of a CSV or TSV file, every cell as the text that it is. Blank lines at its end are no rows.

    Args:
        path: the file.
        encoding: its encoding.
        delimiter: between the cells.
        header: the line that has the names of the columns, from 0; None if there is none.
        quoting: as in the module `csv`.
    """

    def __init__(self, path: Path, encoding: str, delimiter: str, header: int | None, quoting: Any) -> None:
        super().__init__(path)
        self.encoding, self.delimiter, self.header, self.quoting = encoding, delimiter, header, quoting

    def head(self) -> tuple[str, ...]:
        """See `FileRows`."""
        for piece in self._pieces():
            return self._names(piece)
        raise DataError(f"{self.path} has no rows")

    def scan(self) -> tuple[tuple[str, ...], int]:
        """See `FileRows`."""
        names: tuple[str, ...] = ()
        n_rows = 0
        for piece in self._pieces():
            names = names or self._names(piece)
            n_rows += len(piece)
        n_rows -= self.header is not None
        if n_rows < 1:
            raise DataError(f"{self.path} has a header but no rows" if names else f"{self.path} has no rows")
        return names, n_rows

    def read(self, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """See `FileRows`."""
        places: list[int] = []
        for piece in self._pieces():
            body = piece
            if not places:
                names = self._names(piece)
                places = [names.index(name) for name in columns]
                body = piece.iloc[int(self.header is not None) :]
            yield from zip(*(body.iloc[:, place].tolist() for place in places), strict=True)

    def _names(self, piece: pd.DataFrame) -> tuple[str, ...]:
        names = tuple(str(name) for name in (piece.columns if self.header is None else piece.iloc[0]))
        refuse_twice(names, str(self.path))
        return names

    def _pieces(self) -> Iterator[pd.DataFrame]:
        """All rows, the names among them: pandas would rename columns that stand twice, and cut rows that are long."""
        import pandas as pd

        blank: list[pd.DataFrame] = []
        try:
            with pd.read_csv(
                self.path,
                sep=self.delimiter,
                encoding=codec(self.encoding),
                quoting=self.quoting,
                header=None,
                skiprows=self.header or 0,
                dtype=str,
                keep_default_na=False,
                index_col=False,
                skip_blank_lines=False,  # so that rows stay where they are in the file
                chunksize=_PIECE,
            ) as pieces:
                for piece in pieces:
                    empty = (piece.isna() | (piece == "")).all(axis=1)
                    n_blank = int(empty[::-1].cumprod().sum())
                    if n_blank < len(piece):
                        yield from blank
                        blank = []
                        yield piece.iloc[: len(piece) - n_blank]
                    if n_blank:
                        blank.append(piece.iloc[len(piece) - n_blank :])
        except UnicodeDecodeError as error:
            raise decoding_error(self.path, self.encoding) from error
        except LookupError as error:
            raise DataError(f"encoding {self.encoding!r} is not known to Python") from error
        except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError, OSError) as error:
            if isinstance(error, DataError):
                raise
            kind = {"\t": "TSV", ",": "CSV"}.get(self.delimiter, f"a table with {self.delimiter!r} between the cells")
            mend = self._mend(str(error)) if isinstance(error, pd.errors.ParserError) else ""
            raise DataError(f"{self.path} cannot be read as {kind}: {str(error).strip()}{mend}") from error

    def _mend(self, reason: str) -> str:
        """What is likely wrong with a file that is no such table, as the end of a message."""
        with self.path.open(encoding=codec(self.encoding), errors="replace") as file:
            first = file.readline(_PIECE)
        other = max(OTHER_SEPARATORS, key=first.count)
        if first.count(other) > first.count(self.delimiter):
            return f". Its first line is separated by {other!r}: {SEPARATE}"
        if "EOF inside string" in reason:
            return ". A cell begins with a quote that is never closed: close it, or double the quotes inside of cells"
        if "Expected" in reason:
            return f". A row has more cells than the first line: put quotes around cells that hold {self.delimiter!r}"
        return ""


def file_rows(
    path: Path,
    encoding: str = "utf-8",
    *,
    delimiter: str | None = None,
    header: str | int | None = "infer",
    quoting: int = csv.QUOTE_MINIMAL,
) -> FileRows:
    """The rows of a file of any known format.

    Args:
        path: a CSV, TSV, JSONL or Parquet file; with a delimiter, a file of any other ending too.
        encoding: of text files.
        delimiter: between the cells; None for what the ending of the name says.
        header: the line that has the names of the columns, counted from 0; "infer" for the first, None if none has.
        quoting: as in the module `csv`.

    Raises:
        DataError: the file is missing, empty or of an unknown format.
        ConfigError: a setting is none of these.
    """
    if header != "infer" and header is not None and (type(header) is not int or header < 0):
        raise ConfigError(
            f"header={header!r}: expected 'infer', the number of the line with the names of the columns (from 0), or "
            "None if no line has them"
        )
    suffix = path.suffix.lower()
    if not path.is_file():
        raise DataError(f"{path} is a folder, not a file" if path.is_dir() else f"{path} does not exist")
    if delimiter is None and suffix not in TABLE_SUFFIXES:
        raise DataError(
            f"{path}: the ending {suffix or '(none)'} is not known; "
            f"expected one of {', '.join(TABLE_SUFFIXES)} or a folder"
        )
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty")
    if suffix == ".parquet":
        return ParquetRows(path)
    if suffix in (".jsonl", ".ndjson"):
        return JSONRows(path, encoding)
    line = 0 if header == "infer" else header if isinstance(header, int) else None
    return SeparatedRows(path, encoding, delimiter or ("\t" if suffix == ".tsv" else ","), line, quoting)
