"""Predictions for a file, and as a table."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ulmfit.data.labelling import REGRESSION
from ulmfit.data.sources import examples_of_table
from ulmfit.data.tables import read_table
from ulmfit.errors import DataError
from ulmfit.inference.answers import Prediction, TextPredictor

_DECIMALS = 6
LABEL, PROBABILITY = "prediction", "probability"


def predict_file(
    predictor: TextPredictor,
    source: Path,
    target: Path,
    *,
    text: str | None = None,
    encoding: str = "utf-8",
    abstain_below: float | None = None,
    say: Callable[[str], object] = lambda note: None,
) -> int:
    """Label every row of a table; the rows keep their order and columns.

    Args:
        predictor: the model.
        source: CSV, TSV, JSONL or Parquet file.
        target: CSV, TSV or JSONL file; written whole or not at all.
        text: name of the text column; guessed when only one column can be meant.
        encoding: of the source; the target is UTF-8.
        abstain_below: give no class where the probability is smaller.
        say: is called with what was guessed.

    Returns:
        number of rows.

    Raises:
        DataError: the source cannot be used, or the target's ending is not known.
    """
    suffix = target.suffix.lower()
    if suffix not in (".csv", ".tsv", ".jsonl", ".ndjson"):
        raise DataError(f"{target}: the output must end in .csv, .tsv or .jsonl")
    if source.is_dir():
        raise DataError(f"{source} is a folder; the input must be a CSV, TSV, JSONL or Parquet file")
    if not target.parent.is_dir() or target.is_dir():
        raise DataError(f"{target} cannot be written: " + ("it is a folder" if target.is_dir() else "no such folder"))
    partial = target.with_name(f".{target.name}.{os.getpid()}.writing")
    try:
        partial.touch()
        partial.unlink()
    except OSError as error:
        raise DataError(f"{target} cannot be written: {error.strerror}") from error
    table = read_table(source, encoding)
    examples = examples_of_table(table, source, text=text, need_labels=False)
    columns = [LABEL]
    if predictor.task != REGRESSION:
        columns += [PROBABILITY, *(probability_column(label) for label in predictor.labels)]
    taken = [c for c in columns if c in table.columns]
    if taken:
        raise DataError(
            f"{source} already has columns named {', '.join(taken)}, which the predictions need; rename them"
        )
    for note in examples.notes:
        say(note)
    rows = [
        [said(p), *(round(v, _DECIMALS) for v in (p.probability, *p.probabilities.values()))][: len(columns)]
        for p in predictor.stream(examples.texts, abstain_below=abstain_below)
    ]
    result = pd.concat([table, pd.DataFrame(rows, columns=columns, index=table.index)], axis=1)
    try:
        if suffix in (".jsonl", ".ndjson"):
            _write_json_lines(result, partial)
        else:
            result.to_csv(partial, index=False, sep="\t" if suffix == ".tsv" else ",", errors="replace")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return len(rows)


def _write_json_lines(table: pd.DataFrame, path: Path) -> None:
    """One object a row; cells without a value are null."""
    plain = table.astype(object).where(table.notna(), None)
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
        for row in plain.to_dict("records"):
            file.write(json.dumps(row, ensure_ascii=False, default=_plain) + "\n")


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
    shown = 6
    table = Table(box=None, pad_edge=False)
    table.add_column("text", overflow="fold", max_width=60)
    table.add_column("label", overflow="fold")
    table.add_column("probability", justify="right")
    table.add_column("others", overflow="fold")
    for text, p in zip(texts, predictor.predict(list(texts), abstain_below=abstain_below), strict=True):
        others = sorted(((v, k) for k, v in p.probabilities.items() if k != p.label), reverse=True)
        rest = ", ".join(f"{label} {value:.3f}" for value, label in others[:shown])
        more = f", {len(others) - shown} more" if len(others) > shown else ""
        probability = "" if predictor.task == REGRESSION else f"{p.probability:.3f}"
        table.add_row(*(Text(cell) for cell in (text, said(p) or "(none)", probability, rest + more)))
    console.print(table)
