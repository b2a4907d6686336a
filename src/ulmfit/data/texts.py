"""Texts that are read while they are passed over, as often as wanted, from files and tables."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ulmfit.data.cells import is_missing
from ulmfit.data.reading import codec, read_text_file
from ulmfit.data.tables import Table
from ulmfit.errors import DataError, named
from ulmfit.text.tables import join_fields


@runtime_checkable
class FromFiles(Protocol):
    """Texts of which it can be told, without reading them, whether they are the same as before."""

    def stamp(self) -> tuple[str, int]:
        """A hash of names, sizes and times of the files, and the time of the last change in nanoseconds."""


def stamp_of_files(files: Sequence[str | Path], more: str) -> tuple[str, int]:
    """Hash what the file system says about files: any edit, however it is done, changes it.

    Args:
        files: their paths.
        more: what else the texts depend on.

    Returns:
        A hexadecimal string, and the time of the last change in nanoseconds.

    Raises:
        DataError: a file is missing.
    """
    content, latest = hashlib.sha256(more.encode()), 0
    for file in files:
        try:
            status = os.stat(file)  # noqa: PTH116 - half the time of Path.stat, for 100,000 files
        except OSError as error:
            raise DataError(f"{file} cannot be read: {error.strerror or error}") from error
        # Programs can set the time of modification, as unpacking does, but not that of the change of the entry.
        content.update(f"{file}\0{status.st_size}\0{status.st_mtime_ns}\0{status.st_ctime_ns}\0".encode())
        latest = max(latest, status.st_mtime_ns, status.st_ctime_ns)
    return content.hexdigest(), latest


class DocumentFiles:
    """The texts of files, one document in each.

    Args:
        files: their paths.
        encoding: their encoding.
    """

    def __init__(self, files: Sequence[Path], encoding: str = "utf-8") -> None:
        self.files, self.encoding = files, encoding

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[str]:
        return (read_text_file(Path(file), self.encoding) for file in self.files)

    def stamp(self) -> tuple[str, int]:
        """See `FromFiles`."""
        return stamp_of_files([os.fspath(file) for file in self.files], codec(self.encoding))


class TableTexts:
    """The texts of some rows of a table, their columns joined.

    Args:
        table: the table.
        columns: with text.
        rows: the rows that are wanted, rising; None for all.
        mark_fields: write `xxfld` and its number before each column; None for if there are several.
    """

    def __init__(
        self,
        table: Table,
        columns: Sequence[str],
        rows: NDArray[np.int64] | None = None,
        mark_fields: bool | None = None,
    ) -> None:
        self.table, self.columns, self.mark_fields = table, tuple(columns), mark_fields
        self.chosen = np.arange(len(table)) if rows is None else rows

    def __len__(self) -> int:
        return len(self.chosen)

    def __iter__(self) -> Iterator[str]:
        wanted = iter(self.chosen.tolist())
        next_row = next(wanted, None)
        wrong, stopped = list[str](), False  # of all rows, so that one message names those of both parts
        for row, cells in enumerate(self.table.rows(*self.columns)):
            bad = [cell for cell in cells if not isinstance(cell, str)]
            if bad:
                wrong.append(f"{row + 1} ({'missing' if is_missing(bad[0]) else type(bad[0]).__name__})")
            if row == next_row:
                next_row = next(wanted, None)
                stopped = stopped or bool(bad)
                if not stopped:
                    yield cells[0] if len(cells) == 1 and not self.mark_fields else self._join(cells)
        if stopped:
            columns = ", ".join(map(repr, self.columns))
            raise DataError(
                f"{self.table.source}: {len(wrong)} rows of column {columns} are not text: rows {named(wrong)}, "
                "counted from 1 below the header. Fill them (with '' if need be) or leave these rows out"
            )

    def _join(self, cells: tuple[Any, ...]) -> str:
        return join_fields([[cell] for cell in cells], self.mark_fields)[0]


class TableFileTexts(TableTexts):
    """As `TableTexts`, of a table that is read from files."""

    def stamp(self) -> tuple[str, int]:
        """See `FromFiles`."""
        rows = hashlib.sha256(self.chosen.tobytes()).hexdigest()
        return stamp_of_files(self.table.files, f"{self.table.reading} {self.columns} {self.mark_fields} {rows}")


def table_texts(
    table: Table, columns: Sequence[str], rows: NDArray[np.int64] | None = None, mark_fields: bool | None = None
) -> TableTexts:
    """The texts of some rows of a table; see `TableTexts`."""
    return (TableFileTexts if table.files else TableTexts)(table, columns, rows, mark_fields)
