"""A corpus of texts larger than memory: read one after the other, as often as need be, a part of it held out."""

from __future__ import annotations

import filecmp
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from ulmfit.data.cells import is_missing
from ulmfit.data.reading import text_pieces
from ulmfit.data.rows import TABLE_SUFFIXES, FileRows, file_rows
from ulmfit.data.sources import text_column_of
from ulmfit.errors import DataError, named

PIECE = 100_000  # characters of a text file that are one text


@dataclass(kw_only=True)
class Corpus:
    """The texts of files and folders, in order, without those that another part holds.

    Iterating reads the files anew; one text (or a piece of a table) is in memory at a time. A text file is one text, or
    several if it has more than `PIECE` characters: it is cut at line ends. Texts that are missing or empty are left
    out. `n_empty` and `n_cut` are how many of these and of files that were cut the last pass found, whatever part they
    would belong to.

    Args:
        paths: Parquet, JSONL, CSV, TSV or text files, and folders of these at any depth.
        text: name of the text column; found by its name if not given.
        encoding: of files that are not Parquet.
        held_out: the share of texts that belongs to the held-out part.
        part: "train" for the texts that are not held out, "held_out" for those that are.
        seed: of the choice, which depends on it and on the position of a text only.

    Raises:
        DataError: a path does not exist or holds nothing to read, a file is there twice; on iteration: a file is not of
            its format or has no such column.
    """

    paths: tuple[Path, ...]
    text: str | None = None
    encoding: str = "utf-8"
    held_out: float = 0.0
    part: str = "train"
    seed: int = 0
    n_empty: int = field(default=0, init=False, compare=False)
    n_cut: int = field(default=0, init=False, compare=False)

    def __post_init__(self) -> None:
        if not 0 <= self.held_out < 1:
            raise DataError(f"held_out={self.held_out} must be at least 0 and below 1")
        if self.part not in ("train", "held_out"):
            raise DataError(f"part={self.part!r} must be 'train' or 'held_out'")
        if not self.paths:
            raise DataError("a corpus needs at least one file or folder")
        self.files()

    def files(self) -> list[Path]:
        """The files that are read, in order.

        Raises:
            DataError: a path does not exist or holds nothing to read.
        """
        missing = [str(p) for p in self.paths if not p.exists()]
        if missing:
            raise DataError(f"{', '.join(missing)}: there is no such file or folder")
        for path, readable, _ in self._found:
            if not readable:
                raise DataError(f"{path} holds no .txt, .jsonl, .parquet, .csv or .tsv files")
        return [file for _, readable, _ in self._found for file in readable]

    def ignored(self) -> list[Path]:
        """The files of the folders that are of another kind, but for what is hidden."""
        return [file for _, _, others in self._found for file in others]

    @cached_property
    def _found(self) -> list[tuple[Path, list[Path], list[Path]]]:
        """Of each path the files to read and the others; folders are looked through once, as they may be large."""
        found: list[tuple[Path, list[Path], list[Path]]] = []
        seen: dict[Path, Path] = {}
        for path in self.paths:
            if path.is_file():
                readable, others = [path], []
            else:
                inside = [p for p in sorted(path.rglob("*")) if p.is_file() and not _is_hidden(p.relative_to(path))]
                readable = [p for p in inside if p.suffix.lower() in (".txt", *TABLE_SUFFIXES)]
                others = sorted(set(inside) - set(readable))
            for file in readable:
                if (other := seen.setdefault(file.resolve(), file)) is not file:
                    raise DataError(f"{other} and {file} are the same file, whose texts would count twice")
            found.append((path, readable, others))
        return found

    def column(self) -> str | None:
        """The column of the tables that holds the texts; None if there are only text files.

        Raises:
            DataError: it is not plain which one it is, or it is not the same in all of them.
        """
        tables = [file for file in self.files() if not _is_text(file)]
        columns = {_column_of(file_rows(file, self.encoding), self.text): file for file in tables}
        if len(columns) > 1:
            found = named([f"{name!r} in {file}" for name, file in columns.items()])
            raise DataError(
                f"the texts are in different columns: {found}. Name one that all have with --text, rename them, or "
                "leave files out"
            )
        return next(iter(columns), None)

    def __iter__(self) -> Iterator[str]:
        wanted = self.part == "held_out"
        rng = np.random.default_rng(self.seed)
        n_empty = n_cut = 0
        for file in self.files():
            for number, text in enumerate(_texts_of(file, self.text, self.encoding)):
                n_cut += number == 1 and _is_text(file)
                chosen = text is not None and (rng.random() < self.held_out) == wanted
                if text is None or not text.strip():
                    n_empty += 1
                elif chosen:
                    yield text
        self.n_empty, self.n_cut = n_empty, n_cut


def in_both(one: Corpus, other: Corpus) -> Iterator[str]:
    """The files of a corpus that another has, too, and its tables whose bytes another has."""
    others = {file.resolve(): file for file in other.files()}
    by_size: dict[int, list[Path]] = {}
    for file in others:
        if not _is_text(file):
            by_size.setdefault(file.stat().st_size, []).append(file)
    for file in one.files():
        if (found := others.get(file.resolve())) is not None:
            yield str(found)
        elif not _is_text(file):
            same = by_size.get(file.stat().st_size, [])
            copies = (others[path] for path in same if filecmp.cmp(file, path, shallow=False))
            yield from (f"{copy}, a copy of {file}" for copy in copies)


def _is_text(path: Path) -> bool:
    return path.suffix.lower() == ".txt"


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _column_of(rows: FileRows, asked: str | None) -> str:
    return text_column_of(rows.head(), asked, str(rows.path), [])


def _texts_of(path: Path, column: str | None, encoding: str) -> Iterator[str | None]:
    """The texts of a file; None for a cell that is missing."""
    if _is_text(path):
        yield from text_pieces(path, encoding, PIECE)
        return
    rows = file_rows(path, encoding)
    name = _column_of(rows, column)
    for number, (value,) in enumerate(rows.read([name]), start=1):
        if is_missing(value):
            yield None
        elif isinstance(value, str):
            yield value
        else:
            raise DataError(f"{path}, row {number}: column {name!r} is not text but {type(value).__name__}")
