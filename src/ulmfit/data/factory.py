"""What the constructors of `TextDataLoaders` do: choose items, split and block for a source."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ulmfit.data.block import DataBlock
from ulmfit.data.cells import is_missing, label_name
from ulmfit.data.collection import L
from ulmfit.data.getters import ColReader, get_text_files, parent_label
from ulmfit.data.rows import named_columns
from ulmfit.data.sources import UNLABELLED_FOLDERS, check_classes
from ulmfit.data.splitters import ColSplitter, IndexSplitter, RandomSplitter, Split, Splitter, stratified_split
from ulmfit.data.tables import Table, as_table
from ulmfit.data.targets import CategoryBlock, MultiCategoryBlock, TargetBlock
from ulmfit.data.text_block import TextBlock
from ulmfit.errors import ConfigError, DataError, named


def split_for(block: Any, labels: Callable[[Any], Iterable[Any]], valid_pct: float, seed: int | None) -> Splitter:
    """A random split; where each text has one class, with each class in its proportion."""
    if not isinstance(block, CategoryBlock) or block.add_na:
        return RandomSplitter(valid_pct, seed)

    def split(items: Any) -> Split:
        names = [label_name(value) for value in labels(items)]
        known = [name for name in names if name is not None]
        if len(known) < len(names):
            return RandomSplitter(valid_pct, seed)(items)  # the missing ones are refused where they are counted
        check_classes(known, f"{len(names)} items")
        return stratified_split(known, valid_pct, seed or 0)

    return split


def folder_block(
    root: Path,
    text: TextBlock,
    *,
    train: str,
    valid: str,
    valid_pct: float | None,
    seed: int | None,
    vocab: Iterable[Any] | None,
    splitter: Splitter | None,
    skip: Sequence[str],
) -> DataBlock:
    """A block for the text files of a folder; see `TextDataLoaders.from_folder`."""
    target = None if text.is_lm else CategoryBlock(vocab)
    blocks = text if target is None else (text, target)
    if valid_pct is not None or splitter is not None:
        labelled = valid_pct is not None and target is not None
        if valid_pct is not None and splitter is not None:
            raise ConfigError("valid_pct and splitter both say what to check with; give one of them")
        choose: Callable[[Any], Any] = partial(_text_files, skip=skip, labelled=labelled)
        chosen = splitter or split_for(target, partial(map, parent_label), valid_pct or 0.0, seed)
    else:
        train, valid = train.strip("/"), valid.strip("/")
        one, other = (root / train).resolve(), (root / valid).resolve()
        if one == other or one in other.parents or other in one.parents:
            what = "are one folder" if one == other else "stand one within the other"
            raise DataError(f"train={train!r} and valid={valid!r} {what}: no file can be in both parts")
        try:
            parts = [get_text_files(root, folders=[name], skip=skip) for name in (train, valid)]
        except DataError as error:
            raise DataError(
                f"{error}. train={train!r} and valid={valid!r} name the folders of both parts; valid_pct=0.1 instead "
                "takes a tenth of all files at random to check with"
            ) from error
        if target is not None:
            parts = [_labelled(part) for part in parts]
        _refuse_shared(parts)
        _refuse_stray(parts, {root / train, root / valid}, is_lm=text.is_lm)
        choose = partial(_found_already, parts[0] + parts[1])
        chosen = IndexSplitter(range(len(parts[0]), len(parts[0]) + len(parts[1])))
    return DataBlock(blocks, get_items=choose, get_y=None if text.is_lm else parent_label, splitter=chosen)


def _text_files(path: Path, *, skip: Sequence[str], labelled: bool) -> L[Path]:
    files = get_text_files(path, skip=skip)
    if labelled:
        files = _labelled(files)
        if any(file.parent != path for file in files):
            _refuse_stray([files], {path}, is_lm=False)
    return files


def _found_already(files: L[Path], _: Path) -> L[Path]:
    return files


def _labelled(files: L[Path]) -> L[Path]:
    kept = files.filter(lambda file: file.parent.name.lower() not in UNLABELLED_FOLDERS)
    if len(kept) < len(files):
        left_out = sorted({file.parent.name for file in files} & set(UNLABELLED_FOLDERS))
        warnings.warn(
            f"{len(files) - len(kept)} files of folder {', '.join(left_out)} have no label and are left out; a "
            "language model (is_lm=True) can learn from them",
            stacklevel=2,
        )
    return kept


def _refuse_shared(parts: Sequence[L[Path]]) -> None:
    """A folder that a link puts into both parts would be learned from and checked with."""
    one, other = ({folder.resolve(): folder for folder in {file.parent for file in part}} for part in parts)
    if both := sorted(one.keys() & other.keys()):
        raise DataError(
            f"{one[both[0]]} and {other[both[0]]} are one folder: no file can be in both parts. Remove the link"
        )


def _refuse_stray(parts: Sequence[L[Path]], roots: set[Path], *, is_lm: bool) -> None:
    """A file beside the class folders would make a class of its own."""
    stray = [file for part in parts for file in part if file.parent in roots]
    if stray and not is_lm:
        raise DataError(
            f"{len(stray)} text files stand beside the class folders, not in one: {named(stray)}. If they are no "
            f"documents, leave them out with skip={sorted({file.name for file in stray})[:3]}, or move them away"
        )


def table_block(
    table: Table,
    text: TextBlock,
    *,
    valid_pct: float,
    seed: int | None,
    label_col: str | int | Sequence[str | int],
    label_delim: str | None,
    y_block: TargetBlock | None,
    valid_col: str | int | None,
    n_valid: int | None,
) -> DataBlock:
    """A block for the rows of a table; see `TextDataLoaders.from_df`."""
    target, reader = None, None
    text.text_cols = [table.name(col) for col in text.text_cols]  # by name, as in other tables they may stand elsewhere
    if not text.is_lm:
        said = "" if y_block is not None and label_delim is None else label_delim  # that a cell is one label
        reader = ColReader(label_col, label_delim=said)
        target = y_block or _target_of(table, reader)
        names = [table.name(col) for col in reader.cols]
        reader.cols = list(names)
        if both := set(names) & set(text.text_cols):
            raise ConfigError(
                f"{table.source}: column {named_columns(sorted(both))} is named both as text and as label"
            )
    if n_valid is not None:
        if valid_col is not None:
            raise ConfigError("valid_col and a table of its own both say what to check with; give one of them")
        splitter = IndexSplitter(range(len(table) - n_valid, len(table)))
    elif valid_col is not None:
        splitter = ColSplitter(valid_col)
    else:
        values = reader and (lambda _: (reader.of_values(cells) for cells in table.rows(*names)))
        splitter = split_for(target, values or (lambda items: items), valid_pct, seed)
    return DataBlock(text if target is None else (text, target), get_y=reader, splitter=splitter)


def _target_of(table: Table, reader: ColReader) -> TargetBlock:
    """One column of labels, one of several labels in a cell, or a column of 0 and 1 for each label."""
    if len(reader.cols) == 1:
        return MultiCategoryBlock() if reader.label_delim else CategoryBlock()
    names = [table.name(col) for col in reader.cols]
    cells = {str(cell) for row in table.rows(*names) for cell in row if not is_missing(cell)}
    if cells <= {"0", "1", "0.0", "1.0", "False", "True"}:
        return MultiCategoryBlock(encoded=True, vocab=names)
    return MultiCategoryBlock()


def joined(train: Any, valid: Any) -> tuple[Table, int | None]:
    """One table of both parts, and the number of rows of the second.

    Raises:
        DataError: their columns differ.
    """
    first = as_table(train)
    if valid is None:
        return first, None
    second = as_table(valid)
    if first.names != second.names:
        raise DataError(
            f"the part to learn from has the columns {named_columns(first.names)}, "
            f"the part to check with {named_columns(second.names)}"
        )

    if twice := sorted({str(Path(f).resolve()) for f in first.files} & {str(Path(f).resolve()) for f in second.files}):
        raise DataError(f"{named(twice)}: named both to learn from and to check with")

    def read(columns: Sequence[str]) -> Any:
        yield from first.read(columns)
        yield from second.read(columns)

    files = first.files + second.files if first.files and second.files else ()
    frame = None
    if first.frame is not None and second.frame is not None:
        import pandas as pd

        frame = pd.concat([first.frame, second.frame])
    whole = replace(
        first,
        n_rows=len(first) + len(second),
        read=read,
        files=files,
        frame=frame,
        source=f"{first.source} and {second.source}" if files else first.source,
    )
    return whole, len(second)


def pairs_of(texts: Iterable[Any], labels: Iterable[Any] | None) -> L[Any]:
    """Texts with their labels, as a list of pairs.

    Raises:
        DataError: there are more texts than labels, or the other way round.
    """
    items = L[Any](list(texts))
    if labels is None:
        return items
    values = list(labels)
    if len(values) != len(items):
        raise DataError(f"{len(items)} texts but {len(values)} labels")
    return L(list(zip(items, values, strict=True)))
