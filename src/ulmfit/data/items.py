"""Items as a `DataBlock` gets them, and how their texts and labels are read: lists, and tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ulmfit.data.cells import is_missing
from ulmfit.data.collection import L
from ulmfit.data.getters import ColReader
from ulmfit.data.reading import read_text_file
from ulmfit.data.rows import named_columns
from ulmfit.data.tables import Table, as_table, is_frame
from ulmfit.data.texts import DocumentFiles, table_texts
from ulmfit.errors import ConfigError, DataError, named
from ulmfit.text.tables import join_fields

Rows = NDArray[np.int64]


class Items(Protocol):
    """N items."""

    source: str
    named_columns: str
    """Which columns are text and label, for messages."""

    def __len__(self) -> int:
        """How many there are."""

    def texts(self, rows: Rows) -> Iterable[str]:
        """The texts of some items, rising; can be passed over again."""

    def values(self) -> list[Any]:
        """What each item says about its label."""

    def take(self, rows: Rows) -> Any:
        """Some items, as they are."""


class ListItems:
    """Items one by one: paths, texts, pairs of text and label, or whatever the getters understand.

    Args:
        items: N items.
        get_x: gives the text of an item, or the path of its file; None if the item is that, or the first of a pair.
        get_y: gives the label; None for the second of a pair.
        encoding: of files.
    """

    def __init__(
        self,
        items: Sequence[Any],
        get_x: Callable[[Any], Any] | None,
        get_y: Callable[[Any], Any] | None,
        encoding: str = "utf-8",
    ) -> None:
        self.items, self.get_x, self.get_y, self.encoding = L[Any](items), get_x, get_y, encoding
        self.source, self.named_columns = f"{len(self.items)} items", ""

    def __len__(self) -> int:
        return len(self.items)

    def texts(self, rows: Rows) -> Iterable[str]:
        """See `Items`.

        Raises:
            DataError: an item gives no text; the message names which.
        """
        chosen = self.take(rows)
        if self.get_x is not None:
            chosen = chosen.map(self.get_x)
        elif chosen and isinstance(chosen[0], tuple | list):
            chosen = chosen.itemgot(0)
        if all(isinstance(x, Path) for x in chosen):
            return DocumentFiles(chosen, self.encoding)
        wrong = [
            f"{row + 1} ({'missing' if is_missing(x) else type(x).__name__})"
            for row, x in zip(rows.tolist(), chosen, strict=True)
            if not isinstance(x, str | Path)
        ]
        if wrong:
            raise DataError(
                f"{len(wrong)} of {len(chosen)} items are not text: items {named(wrong)}, counted from 1. "
                "Expected a string or the Path of a file for each; get_x can say how to get it"
            )
        return [x if isinstance(x, str) else read_text_file(x, self.encoding) for x in chosen]

    def values(self) -> list[Any]:
        """See `Items`.

        Raises:
            ConfigError: it is not said what the labels are.
        """
        if self.get_y is not None:
            return list(map(self.get_y, self.items))
        if any(not isinstance(item, tuple | list) or len(item) < 2 for item in self.items):
            raise ConfigError(
                "get_y is missing: it says how to get the label of an item, for example get_y=parent_label; "
                "without it, every item must be a pair of text and label"
            )
        return [item[1] for item in self.items]

    def take(self, rows: Rows) -> L[Any]:
        """See `Items`."""
        return L(self.items[i] for i in rows.tolist())


class TableItems:
    """The rows of a table.

    Args:
        table: the table.
        columns: with text; () if `get_x` gives it.
        get_x: gives the text of a row.
        get_y: gives the label of a row.
        mark_fields: as for `TableTexts`.
    """

    def __init__(
        self,
        table: Table,
        columns: Sequence[str],
        get_x: Callable[[Any], Any] | None,
        get_y: Callable[[Any], Any] | None,
        mark_fields: bool | None = None,
    ) -> None:
        if not columns and get_x is None:
            raise ConfigError(
                "it is not said which column holds the text: TextBlock.from_df(column), or get_x=ColReader(column)"
            )
        self.table, self.columns, self.mark_fields = table, columns, mark_fields
        self.get_x, self.get_y = get_x, get_y
        self.source, self.named_columns = table.source, ""
        if columns and isinstance(get_y, ColReader):
            labels = [table.name(col) for col in get_y.cols]
            self.named_columns = f" (text: {named_columns(columns)}, label: {named_columns(labels)})"

    def __len__(self) -> int:
        return len(self.table)

    def texts(self, rows: Rows) -> Iterable[str]:
        """See `Items`."""
        if self.columns:
            return table_texts(self.table, self.columns, rows, self.mark_fields)
        return ListItems(self._each(self.get_x), None, None).texts(rows)

    def values(self) -> list[Any]:
        """See `Items`.

        Raises:
            ConfigError: it is not said what the labels are.
        """
        if self.get_y is None:
            raise ConfigError("get_y is missing: it says which column holds the label, as in get_y=ColReader('label')")
        return self._each(self.get_y)

    def _each(self, getter: Callable[[Any], Any] | None) -> list[Any]:
        if isinstance(getter, ColReader):
            names = [self.table.name(col) for col in getter.cols]
            return [getter.of_values(cells) for cells in self.table.rows(*names)]
        if getter is None:
            return []
        if self.table.frame is not None:  # rows with attributes, as users of pandas expect them
            return [getter(row) for _, row in self.table.frame.iterrows()]
        return [getter(row) for row in self.table.dicts()]

    def take(self, rows: Rows) -> Any:
        """See `Items`: rows of the frame, or the numbers of rows that stay in their file."""
        return self.table.frame.iloc[rows] if self.table.frame is not None else L(rows.tolist())


def _of_joined(
    get_x: Callable[[Any], Any], columns: Sequence[str], name: str, mark_fields: bool | None
) -> Callable[[Any], Any]:
    """What makes the text of a row, which may also ask for the text columns together."""

    def get(row: Any) -> Any:
        if name not in row:
            row[name] = join_fields([[row[col]] for col in columns], mark_fields)[0]
        return get_x(row)

    return get


def make_items(
    source: Any,
    *,
    get_x: Callable[[Any], Any] | None,
    get_y: Callable[[Any], Any] | None,
    text_cols: Sequence[str | int] = (),
    tok_text_col: str = "text",
    encoding: str = "utf-8",
    mark_fields: bool | None = None,
) -> Items:
    """Take items in any form.

    Args:
        source: a table or data frame, or an iterable of items.
        get_x: gives the text of an item.
        get_y: gives its label.
        text_cols: columns with text, of a table.
        tok_text_col: a name for all of them together, which `get_x` may use.
        encoding: of files that items are the paths of.
        mark_fields: as for `TableTexts`.

    Raises:
        DataError: there are no items.
    """
    items: Items
    if isinstance(source, Table) or is_frame(source):
        table = as_table(source)
        columns = [table.name(col) for col in text_cols]
        if isinstance(get_x, ColReader) and not get_x.pref + get_x.suff:
            asked = [] if columns and get_x.cols == [tok_text_col] else [table.name(col) for col in get_x.cols]
            if columns and asked and asked != columns:
                raise ConfigError(f"the text is to be read from {columns} by the TextBlock, but from {asked} by get_x")
            columns = columns or asked
        elif get_x is not None and columns:
            get_x, columns = _of_joined(get_x, columns, tok_text_col, mark_fields), []
        items = TableItems(table, columns, get_x, get_y, mark_fields)
    elif isinstance(source, str | Path):
        raise ConfigError(
            f"{source} is one path, not items. Say how to find the items in it, for example get_items=get_text_files"
        )
    elif not isinstance(source, Iterable):
        raise DataError(
            f"{type(source).__name__} is no collection of items; expected a list of texts, files or pairs, a data "
            "frame, or with get_items what that takes"
        )
    else:
        items = ListItems(source if isinstance(source, Sequence) else list(source), get_x, get_y, encoding)
    if not len(items):
        raise DataError(f"{items.source}: there is nothing to learn from")
    return items
