"""From files to texts and labels: tables, class folders, and the checks that every input passes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ulmfit.data.cells import is_missing, label_name
from ulmfit.data.labelling import Labelling
from ulmfit.data.reading import read_text_file
from ulmfit.data.rows import OTHER_SEPARATORS, SEPARATE, named_columns
from ulmfit.data.tables import Table, read_files
from ulmfit.errors import DataError, named

TEXT_COLUMNS = ("text", "texts", "review", "message", "sentence", "content", "body", "comment", "utterance", "document")
LABEL_COLUMNS = ("label", "labels", "category", "class", "target", "intent", "sentiment", "topic")
UNLABELLED_FOLDERS = ("unsup", "unlabelled", "unlabeled")
_LETTERS = 40  # of a label in a message


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Texts with their labels, as read from one source.

    Args:
        texts: N texts.
        labels: N labels as `Labelling.read` gives them, or None if the source has no labels at all.
        source: what they were read from, for messages.
        notes: what was guessed or set aside while reading, one sentence each.
    """

    texts: list[str]
    labels: list[Any] | None
    source: str
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.texts)

    def labelled(self) -> tuple[list[str], list[Any]]:
        """The texts that have a label, and their labels."""
        if self.labels is None:
            raise DataError(f"{self.source} has no labels")
        pairs = [(text, label) for text, label in zip(self.texts, self.labels, strict=True) if label is not None]
        return [text for text, _ in pairs], [label for _, label in pairs]


def load_examples(
    path: Path,
    *,
    text: str | None = None,
    label: str | None = None,
    encoding: str = "utf-8",
    need_labels: bool = True,
    labelling: Labelling | None = None,
) -> Examples:
    """Read texts and labels from a table or from a folder of class folders.

    Args:
        path: a CSV, TSV, JSONL or Parquet file; or a folder whose sub-folders are the classes.
        text: name of the text column; guessed when only one column can be meant.
        label: name of the label column; likewise.
        encoding: of the text files.
        need_labels: read labels too; a table without them is an error then.
        labelling: what the labels are; one class for each text by default.

    Raises:
        DataError: see the message.
    """
    if path.is_dir():
        if labelling is not None and labelling.task != "single_label":
            raise DataError(f"{path} is a folder, which gives each text one class; {labelling.task} needs a table")
        return _load_class_folders(path, encoding)
    table = read_files(path, encoding=encoding)
    if not len(table):
        raise DataError(f"{path} has no rows")
    notes: list[str] = []
    text_column = text_column_of(table.names, text, str(path), notes)
    if not need_labels:
        return Examples(texts=list(texts_of(table, text_column)), labels=None, source=str(path), notes=notes)
    label_column = _column(table.names, label, LABEL_COLUMNS, "label", str(path), notes, taken=text_column)
    if label_column is None:
        raise DataError(
            f"{path}: cannot tell which column holds the label; name it with --label. "
            f"Columns: {named_columns(table.names)}"
        )
    if label_column == text_column:
        raise DataError(f"{path}: column {text_column!r} is named both as text and as label")
    texts = list(texts_of(table, text_column))
    cells = [cell for (cell,) in table.rows(label_column)]
    labels: list[Any]
    if labelling is None:
        labels = [label_name(cell) for cell in cells]
    else:
        labels = labelling.read(cells, f"{path}, column {label_column!r}")
    if all(one is None for one in labels):
        raise DataError(f"{path}: every cell of the label column {label_column!r} is empty")
    return Examples(texts=texts, labels=labels, source=str(path), notes=notes)


def load_texts(path: Path, *, text: str | None = None, encoding: str = "utf-8") -> Examples:
    """Read texts only: a table, a text file (one document), or a folder of text files at any depth."""
    if not path.exists():
        raise DataError(f"{path} does not exist")
    if path.is_dir():
        files = sorted(p for p in path.rglob("*.txt") if p.is_file())
        if not files:
            raise DataError(f"{path} holds no .txt files")
        texts = [read_text_file(p, encoding) for p in files]
        empty = [str(p.relative_to(path)) for p, t in zip(files, texts, strict=True) if not t.strip()]
        _refuse_empty(empty, str(path), "file")
        return Examples(texts=texts, labels=None, source=str(path))
    if path.suffix.lower() == ".txt":
        content = read_text_file(path, encoding)
        if not content.strip():
            raise DataError(f"{path} is empty")
        return Examples(texts=[content], labels=None, source=str(path))
    return load_examples(path, text=text, encoding=encoding, need_labels=False)


def text_column_of(columns: Sequence[str], asked: str | None, source: str, notes: list[str]) -> str:
    """The column that holds the texts.

    Args:
        columns: all names.
        asked: its name, if it was given; else it is found where only one can be meant.
        source: what they are from, for messages.
        notes: what was guessed is added.

    Raises:
        DataError: there is no such column, or it is not plain which one it is.
    """
    found = _column(columns, asked, TEXT_COLUMNS, "text", source, notes)
    if found is None:
        raise DataError(
            f"{source}: cannot tell which column holds the text; name it with --text. Columns (in CSV and TSV files, "
            f"what the first line holds): {named_columns(columns)}"
        )
    return found


def _column(
    columns: Sequence[str],
    asked: str | None,
    known: Sequence[str],
    role: str,
    source: str,
    notes: list[str],
    taken: str | None = None,
) -> str | None:
    """The column that is meant, or None if that is not plain."""
    if asked is not None:
        if asked not in columns:
            raise DataError(f"{source}: there is no column {asked!r}. Columns: {named_columns(columns)}")
        return asked
    free = [c for c in columns if c != taken]
    matches = [c for c in free if c.lower() in known]
    if len(matches) == 1:
        notes.append(f"column {matches[0]!r} is taken as the {role}")
        return matches[0]
    if len(columns) == 1 and any(mark in columns[0] for mark in OTHER_SEPARATORS):
        raise DataError(
            f"{source}: its only column is called {columns[0]!r}, which seems not to be separated by commas; "
            f"{SEPARATE}, or name the column"
        )
    if not matches and len(free) == 1 and (role == "text" or len(columns) == 2):
        notes.append(f"column {free[0]!r} is taken as the {role}: it is the only one left")
        return free[0]
    return None


def texts_of(table: Table, column: str) -> Iterator[str]:
    """The texts in a column of a table, one after the other.

    Raises:
        DataError: behind the last of them, if some are not texts or have nothing in them; the message names the rows.
    """
    wrong: list[str] = []
    empty: list[str] = []
    for row, (cell,) in enumerate(table.rows(column), start=1):
        if not isinstance(cell, str) and not is_missing(cell):
            wrong.append(f"{row} ({type(cell).__name__})")
        elif is_missing(cell) or not cell.strip():
            empty.append(str(row))
        else:
            yield cell
    if wrong:
        raise DataError(f"{table.source}: {len(wrong)} rows of column {column!r} are not text: rows {named(wrong)}")
    _refuse_empty(empty, table.source, "row")


def _refuse_empty(empty: Sequence[str], source: str, what: str) -> None:
    if empty:
        count = f"1 {what} has" if len(empty) == 1 else f"{len(empty)} {what}s have"
        counting = " (counted from 1 below the header)" if what == "row" else ""
        raise DataError(f"{source}: {count} no text: {what} {named(empty)}{counting}. Remove or fill them")


def _load_class_folders(path: Path, encoding: str) -> Examples:
    folders = sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not folders:
        raise DataError(
            f"{path} holds no class folders: expected one sub-folder for each class with its text files inside"
        )
    texts: list[str] = []
    labels: list[str | None] = []
    empty: list[str] = []
    notes: list[str] = []
    for folder in folders:
        files = _document_files(folder)
        if not files:
            raise DataError(f"{folder} holds no text files: each sub-folder of {path} is taken as a class")
        label = None if folder.name.lower() in UNLABELLED_FOLDERS else folder.name
        if label is None:
            notes.append(f"folder {folder.name!r} is taken as texts without labels")
        if ignored := sum(p.is_file() for p in folder.iterdir()) - len(files):
            notes.append(f"{ignored} files in folder {folder.name!r} have another ending and are ignored")
        for file in files:
            texts.append(read_text_file(file, encoding))
            labels.append(label)
            if not texts[-1].strip():
                empty.append(str(file.relative_to(path)))
    _refuse_empty(empty, str(path), "file")
    return Examples(texts=texts, labels=labels, source=str(path), notes=notes)


def _document_files(folder: Path) -> list[Path]:
    """The .txt files of a folder, or where there is none, the files without an ending (as 20 Newsgroups has them)."""
    files = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    return [p for p in files if p.suffix.lower() == ".txt"] or [
        p for p in files if not p.suffix or p.suffix[1:].isdigit()
    ]


def _cut(label: str) -> str:
    """A label as messages show it: a review that was taken for one does not fill the screen."""
    return repr(label if len(label) <= _LETTERS else label[:_LETTERS] + "…")


def _labels(labels: Sequence[str]) -> str:
    return named([_cut(label) for label in labels])


def check_classes(labels: Sequence[str], source: str) -> Counter[str]:
    """Count the classes of a training part, and refuse what cannot be learned from.

    Raises:
        DataError: fewer than two classes, or a class with a single example.
    """
    counts = Counter(labels)
    if not counts:
        raise DataError(f"{source} has no labelled examples")
    if len(counts) == 1:
        raise DataError(
            f"{source}: all {len(labels)} examples have the label {next(iter(counts))!r}; "
            "a classifier needs at least two classes"
        )
    single = sorted(label for label, n in counts.items() if n == 1)
    if single:
        shown = _labels(single)
        raise DataError(
            f"{source}: {len(single)} of {len(counts)} classes have a single example: {shown}. "
            "A class needs at least two, one to learn from and one to check with: "
            "add examples, merge or drop these classes"
        )
    return counts


def check_known_labels(labels: Sequence[str], known: Sequence[str], source: str) -> None:
    """Refuse labels that the training part does not have.

    Raises:
        DataError: listing them with their counts.
    """
    unknown = Counter(labels)
    for label in known:
        del unknown[label]
    if unknown:
        listed = named([f"{_cut(label)} ({n}x)" for label, n in sorted(unknown.items())])
        raise DataError(
            f"{source}: labels that do not occur in the training part: {listed}. "
            f"The training part has: {_labels(sorted(known))}"
        )
