"""Options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Encoding = Annotated[str, typer.Option(help="Encoding of the text files.")]
TextColumn = Annotated[str | None, typer.Option("--text", help="Name of the text column.")]
LabelDelim = Annotated[
    str | None, typer.Option(help="What separates the labels of a cell, where texts may have several, such as ';'.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the model that --out already holds.")]
Seed = Annotated[
    int, typer.Option(help="Of the split, the weights, the order of texts and dropout.", min=0, max=2**32 - 1)
]
Model = Annotated[Path, typer.Argument(help="A model folder, as `ulmfit train` writes it.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for other programs.")]
