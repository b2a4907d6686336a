"""Predictions for files of any size, and as a table."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table as ShownTable
from rich.text import Text

from ulmfit.data.cells import is_missing
from ulmfit.data.labelling import REGRESSION
from ulmfit.data.sources import text_column_of, texts_of
from ulmfit.data.tables import read_files
from ulmfit.errors import DataError, named
from ulmfit.inference.answers import Prediction, TextPredictor

_DECIMALS = 6
_OTHERS = 6  # classes beside the likeliest, in a table
LABEL, PROBABILITY = "prediction", "probability"
_WINDOW = 1_024  # rows that are in memory at once, those of similar length read together
_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_ENDINGS = (*_SEPARATORS, ".jsonl", ".ndjson", ".parquet")
_Write = Callable[[list[tuple[Any, ...]]], None]


def predict_file(
    predictor: TextPredictor,
    source: Path | Sequence[Path],
    target: Path,
    *,
    text: str | None = None,
    encoding: str = "utf-8",
    abstain_below: float | None = None,
    say: Callable[[str], object] = lambda note: None,
) -> int:
    """Label every row of one or more files; the rows keep their order and cells.

    Memory does not grow with their number.

    Args:
        predictor: the model.
        source: CSV, TSV, JSONL or Parquet files of the same columns, or a folder of them.
        target: CSV, TSV, JSONL or Parquet file, which is written whole or not at all.
        text: name of the text column; guessed when only one column can be meant.
        encoding: of the sources; the target is UTF-8.
        abstain_below: give no class where the probability is smaller.
        say: is called with what was guessed.

    Returns:
        number of rows.

    Raises:
        DataError: the source cannot be used, or the target cannot be written or its ending is not known.
    """
    if target.suffix.lower() not in _ENDINGS:
        raise DataError(f"{target}: the output must end in {', '.join(_ENDINGS[:-1])} or {_ENDINGS[-1]}")
    if not target.parent.is_dir() or target.is_dir():
        raise DataError(f"{target} cannot be written: " + ("it is a folder" if target.is_dir() else "no such folder"))
    partial = target.with_name(f".{target.name}.{os.getpid()}.writing")
    try:
        partial.touch()
    except OSError as error:
        raise DataError(f"{target} cannot be written: {error.strerror}") from error
    try:
        table = read_files(source, encoding=encoding)
        if not len(table):
            raise DataError(f"{table.source} has no rows")
        notes: list[str] = []
        column = text_column_of(table.names, text, table.source, notes)
        added = free_columns(predictor, table.names, table.source)
        for note in notes:
            say(note)
        for _ in texts_of(table, column):
            pass  # a row without a text is refused before the first is labelled
        place, rows = table.names.index(column), iter(table.rows(*table.names))
        with _writing(partial, target.suffix.lower(), [*table.names, *added], table.files) as write:
            while piece := list(islice(rows, _WINDOW)):
                answers = predictor.predict([row[place] for row in piece], abstain_below=abstain_below)
                write([(*row, *added_cells(answer)) for row, answer in zip(piece, answers, strict=True)])
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return len(table)


def added_columns(predictor: TextPredictor) -> list[str]:
    """The names of the columns that predictions add to a table."""
    if predictor.task == REGRESSION:
        return [LABEL]
    return [LABEL, PROBABILITY, *(probability_column(label) for label in predictor.labels)]


def free_columns(predictor: TextPredictor, names: Sequence[str], source: str) -> list[str]:
    """The columns that predictions add to a table of columns with these names.

    Raises:
        DataError: it has some of them already.
    """
    added = added_columns(predictor)
    if taken := [name for name in added if name in names]:
        raise DataError(
            f"{source} already has columns named {', '.join(taken)}, which the predictions need; rename them"
        )
    return added


def added_cells(answer: Prediction) -> list[str | float]:
    """What stands in those columns for one text."""
    if answer.values:
        return [said(answer)]
    return [said(answer), *(round(v, _DECIMALS) for v in (answer.probability, *answer.probabilities.values()))]


@contextmanager
def _writing(path: Path, suffix: str, names: Sequence[str], sources: Sequence[Path]) -> Iterator[_Write]:
    """What writes rows to a file of the format that the suffix names."""
    if suffix == ".parquet":
        with _writing_parquet(path, names, sources) as write:
            yield write
        return
    separated = suffix in _SEPARATORS
    # Lone surrogates, which UTF-8 does not have, are written as JSON writes them.
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="" if separated else "\n") as file:
        if separated:
            table = csv.writer(file, delimiter=_SEPARATORS[suffix], lineterminator="\n")
            table.writerow(names)
            yield lambda rows: table.writerows(["" if is_missing(c) else c for c in row] for row in rows)
        else:
            yield lambda rows: file.writelines(
                json.dumps(
                    {name: None if is_missing(c) else c for name, c in zip(names, row, strict=True)},
                    ensure_ascii=False,
                    default=_plain,
                )
                + "\n"
                for row in rows
            )


@contextmanager
def _writing_parquet(path: Path, names: Sequence[str], sources: Sequence[Path]) -> Iterator[_Write]:
    """Columns keep the types that they have in Parquet sources; for others the first rows say what they are."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pq.read_schema(sources[0]) if sources[0].suffix.lower() == ".parquet" else pa.schema([])
    types = dict(zip(schema.names, schema.types, strict=True))
    writer: pq.ParquetWriter | None = None

    def write(rows: list[tuple[Any, ...]]) -> None:
        nonlocal writer
        try:
            columns = zip(*rows, strict=True)
            table = pa.table({n: pa.array(column, types.get(n)) for n, column in zip(names, columns, strict=True)})
        except (pa.ArrowException, UnicodeEncodeError) as error:
            raise DataError(f"these rows do not fit into Parquet ({error}); let the output end in .jsonl") from error
        if writer is None:
            types.update(zip(names, table.schema.types, strict=True))
            writer = pq.ParquetWriter(path, table.schema)
        writer.write_table(table)

    try:
        yield write
    finally:
        if writer is not None:
            writer.close()


def _plain(value: object) -> object:
    """What JSON can hold of a cell: lists of arrays, and anything else as text."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)


def said(prediction: Prediction) -> str:
    """The answer in words: a class, classes or numbers, several of them separated by semicolons; or nothing."""
    return ";".join(prediction.labels or (f"{v:.6g}" for v in prediction.values))


def probability_column(label: str) -> str:
    """The name of the column that holds a class's probability."""
    return f"p_{label}"


def print_predictions(
    predictor: TextPredictor, texts: Sequence[str], console: Console, *, abstain_below: float | None = None
) -> None:
    """A table of texts, labels and the probabilities of all classes (of the likeliest, if there are many)."""
    table = ShownTable(box=None, pad_edge=False)
    table.add_column("text", overflow="fold", max_width=60)
    table.add_column("label", overflow="fold")
    table.add_column("probability", justify="right")
    table.add_column("others", overflow="fold")
    for text, p in zip(texts, predictor.predict(list(texts), abstain_below=abstain_below), strict=True):
        others = sorted(((v, k) for k, v in p.probabilities.items() if k != p.label), reverse=True)
        rest = named([f"{label} {value:.3f}" for value, label in others], _OTHERS)
        probability = "" if predictor.task == REGRESSION else f"{p.probability:.3f}"
        table.add_row(*(Text(cell) for cell in (text, said(p) or "(none)", probability, rest)))
    console.print(table)
