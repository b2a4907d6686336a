"""Tables for people: HTML in a notebook, drawn in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib import import_module
from typing import Any

import rich
from rich.table import Table


@dataclass(frozen=True)
class Shown:
    """A table to look at.

    Args:
        columns: their headings.
        rows: their cells.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(name)}</th>" for name in self.columns)
        body = "\n".join(
            f"    <tr><th>{i}</th>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>"
            for i, row in enumerate(self.rows)
        )
        return (
            '<table border="1" class="dataframe">\n'
            f'  <thead><tr style="text-align: left;"><th></th>{head}</tr></thead>\n'
            f"  <tbody>\n{body}\n  </tbody>\n</table>"
        )

    def __rich__(self) -> Table:
        table = Table(*self.columns, show_lines=True)
        for row in self.rows:
            table.add_row(*(cell.replace("[", r"\[") for cell in row))
        return table

    def __repr__(self) -> str:
        return "\n".join("  ".join(row) for row in [self.columns, *self.rows])

    def show(self) -> None:
        """Show it where the user is: under the cell of a notebook, or in the terminal."""
        console = rich.get_console()
        if console.is_jupyter:
            notebook: Any = import_module("IPython.display")  # typed in some versions only
            notebook.display(notebook.HTML(self._repr_html_()))
        else:
            console.print(self)
