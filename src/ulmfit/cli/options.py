"""Options that several commands take."""

from __future__ import annotations

import re
from collections.abc import Iterable
from glob import glob
from pathlib import Path
from typing import Annotated

import typer

from ulmfit.errors import ConfigError, DataError

Encoding = Annotated[str, typer.Option(help="Encoding of the text files.")]
TextColumn = Annotated[str | None, typer.Option("--text", help="Name of the text column.")]
LabelDelim = Annotated[
    str | None, typer.Option(help="What separates the labels of a cell, where texts may have several, such as ';'.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the model that --out already holds.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint of an interrupted run.")]
Seed = Annotated[
    int, typer.Option(help="Of the split, the weights, the order of texts and dropout.", min=0, max=2**32 - 1)
]
Base = Annotated[
    str, typer.Option(help="The start: a model folder, the name of a bundled model, none; auto takes what fits.")
]
Model = Annotated[Path, typer.Argument(help="A model folder, as `ulmfit train` writes it.", show_default=False)]
NamedModel = Annotated[
    str, typer.Argument(help="A model folder, or the name of a bundled language model.", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for other programs.")]


def parse_duration(text: str) -> float:
    """Seconds of a time such as 90s, 20m, 1h30m or 2h.

    Raises:
        ConfigError: it is not such a time, or zero.
    """
    match = re.fullmatch(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?", text.strip().lower())
    seconds = sum(float(n or 0) * unit for n, unit in zip(match.groups(), (3600, 60, 1), strict=True)) if match else 0.0
    if seconds <= 0:
        raise ConfigError(f"{text!r} is not a time; write it like 90s, 20m or 1h30m")
    return seconds


def matching(names: Iterable[str | Path]) -> list[Path]:
    """The files that names with `*`, `?` or `[...]` mean, sorted; or the files and folders of such names.

    Shells do this, but not those of Windows, and none within quotation marks.

    Raises:
        DataError: no file matches a pattern.
    """
    found: list[Path] = []
    for name in map(str, names):
        if Path(name).exists() or not any(mark in name for mark in "*?["):
            found.append(Path(name))
        elif files := sorted(map(Path, glob(name, recursive=True))):  # noqa: PTH207 - the pattern may begin anywhere
            found += files
        else:
            raise DataError(f"no file is named {name}")
    return found
