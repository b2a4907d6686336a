"""A corpus of texts larger than memory: read one after the other, as often as need be, a part of it held out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ulmfit.data.reading import json_lines, read_text_file
from ulmfit.data.sources import TEXT_COLUMNS, load_texts
from ulmfit.errors import DataError

_ROWS = 256  # of a Parquet file that are in memory at once
_STREAMED = (".parquet", ".jsonl", ".ndjson")


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """The texts of files and folders, in order, without those that another part holds.

    Iterating reads the files anew; one text (or a few hundred rows of a Parquet file) is in memory at a time, except
    for CSV and TSV files, which are read whole one by one. Texts that are empty are left out; `n_empty` counts them.

    Args:
        paths: Parquet, JSONL, CSV, TSV or text files, and folders of these at any depth.
        text: name of the text column; found by its name if not given.
        encoding: of files that are not Parquet.
        held_out: the share of texts that belongs to the held-out part.
        part: "train" for the texts that are not held out, "held_out" for those that are.
        seed: of the choice, which depends on it and on the position of a text only.

    Raises:
        DataError: a path does not exist or holds nothing to read; on iteration: a file is not of its format or has no
            such column.
    """

    paths: tuple[Path, ...]
    text: str | None = None
    encoding: str = "utf-8"
    held_out: float = 0.0
    part: str = "train"
    seed: int = 0

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
        found: list[Path] = []
        for path in self.paths:
            inside = [path] if path.is_file() else sorted(p for p in path.rglob("*") if _is_readable(p))
            if not inside:
                raise DataError(f"{path} holds no .txt, .jsonl, .parquet, .csv or .tsv files")
            found += inside
        return found

    def __iter__(self) -> Iterator[str]:
        wanted = self.part == "held_out"
        rng = np.random.default_rng(self.seed)
        for file in self.files():
            for text in _texts_of(file, self.text, self.encoding):
                if (rng.random() < self.held_out) == wanted and text.strip():
                    yield text


def _is_readable(path: Path) -> bool:
    return (
        path.is_file() and not path.name.startswith(".") and path.suffix.lower() in (".txt", ".csv", ".tsv", *_STREAMED)
    )


def _texts_of(path: Path, column: str | None, encoding: str) -> Iterator[str]:
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        yield from _parquet_texts(path, column)
    elif suffix in _STREAMED:
        for number, row in enumerate(json_lines(path, encoding), start=1):
            name = _text_column(list(row), column, path)
            value = row[name]
            if not isinstance(value, str):
                raise DataError(f"{path}, object {number}: field {name!r} is not text but {type(value).__name__}")
            yield value
    elif suffix in (".csv", ".tsv"):
        yield from load_texts(path, text=column, encoding=encoding).texts
    else:
        yield read_text_file(path, encoding)


def _parquet_texts(path: Path, column: str | None) -> Iterator[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{path} cannot be read as Parquet: {error}") from error
    with file:
        name = _text_column(file.schema_arrow.names, column, path)
        kind = file.schema_arrow.field(name).type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            raise DataError(f"{path}: column {name!r} is not text but {kind}")
        try:
            for batch in file.iter_batches(batch_size=_ROWS, columns=[name]):
                yield from (value or "" for value in batch.column(0).to_pylist())
        except (pa.ArrowInvalid, OSError) as error:
            raise DataError(f"{path} is damaged: {error}") from error


def _text_column(columns: Sequence[str], asked: str | None, path: Path) -> str:
    if asked is not None:
        if asked not in columns:
            raise DataError(f"{path}: there is no column {asked!r}. Columns: {', '.join(columns)}")
        return asked
    matches = [c for c in columns if c.lower() in TEXT_COLUMNS]
    if len(matches) != 1 and len(columns) == 1:
        matches = list(columns)
    if len(matches) != 1:
        raise DataError(f"{path}: which column holds the texts? Name it (--text). Columns: {', '.join(columns)}")
    return matches[0]
