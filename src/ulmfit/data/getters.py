"""What a `DataBlock` gets items, texts and labels with."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from fnmatch import translate
from pathlib import Path
from typing import Any

from ulmfit.arguments import checked
from ulmfit.data.cells import is_missing
from ulmfit.data.collection import L
from ulmfit.errors import ConfigError, DataError, named

METADATA_FILES = ("urls_*.txt", "imdbEr.txt")
"""Text files of known data sets that are no documents."""


@checked
def get_files(
    path: str | Path,
    extensions: Iterable[str] | str | None = None,
    recurse: bool = True,
    folders: Sequence[str] | str | None = None,
    followlinks: bool = True,
    *,
    skip: Sequence[str] = (),
) -> L[Path]:
    """Find the files of a folder and the folders in it. Hidden files and folders are left out.

    Args:
        path: the folder.
        extensions: endings of their names, such as ".txt"; None for any.
        recurse: look into the folders in it.
        folders: the folders directly in `path` that are looked into; None for all, and `path` itself.
        followlinks: follow links to folders.
        skip: patterns of the names of files to leave out, such as "urls_*.txt".

    Returns:
        Their paths: within a folder by name, the files before the folders.

    Raises:
        DataError: a folder is missing, cannot be read or is a link to one that it stands in; or nothing was found.
    """
    root = Path(path)
    if not root.is_dir():
        raise DataError(f"{root} is not a folder" if root.exists() else f"{root} does not exist")
    endings = None if extensions is None else {str(e).lower() for e in L[str](extensions)}
    chosen = [name.strip("/") for name in L[str](folders)]
    if missing := [name for name in chosen if not (root / name).is_dir()]:
        found = sorted(entry.name for entry in root.iterdir() if entry.is_dir())
        raise DataError(f"{root} has no folder {', '.join(missing)}. Its folders are: {', '.join(found) or 'none'}")
    starts = [root / name for name in chosen] or [root]
    files = L[Path](
        file
        for start in starts
        for file in _walk(start, endings, recurse, followlinks, _one_of(skip), {_identity(start)})
    )
    if not files:
        wanted = "files" if endings is None else f"files ending in {' or '.join(sorted(endings))}"
        where = f", folders {', '.join(chosen)}" if chosen else ""
        raise DataError(f"no {wanted} were found in {root}{where}{'' if recurse else ' (not looking deeper)'}")
    return files


@checked
def get_text_files(
    path: str | Path, recurse: bool = True, folders: Sequence[str] | str | None = None, *, skip: Sequence[str] = ()
) -> L[Path]:
    """Find the files ending in .txt of a folder and the folders in it.

    Args:
        path: the folder.
        recurse: look into the folders in it.
        folders: the folders directly in `path` that are looked into; None for all, and `path` itself.
        skip: patterns of the names of files to leave out.

    Returns:
        Their paths, as `get_files` gives them.

    Raises:
        DataError: as for `get_files`, and for files of which it is known that they are lists, not documents.
    """
    files = get_files(path, ".txt", recurse, folders, skip=skip)
    a_list = _one_of(METADATA_FILES)
    lists = [file for file in files if a_list(file.name)]
    if lists:
        raise DataError(
            f"{path}: {len(lists)} of the .txt files are lists that came with the data set, not documents: "
            f"{named(lists)}. Leave them out with skip={sorted({file.name for file in lists})}, or move them away"
        )
    return files


def _one_of(patterns: Sequence[str]) -> Callable[[str], Any]:
    """A test of whether a name fits one of the patterns, compiled once for many names."""
    nothing = "(?!)"
    return re.compile("|".join(map(translate, patterns)) or nothing).match


def _ending(name: str) -> str:
    stem, dot, ending = name.rpartition(".")
    return (dot + ending).lower() if stem else ""


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _is_circle(link: str) -> bool:
    try:
        Path(link).stat()
    except OSError as error:
        return error.errno == errno.ELOOP
    return False


def _walk(
    folder: Path,
    endings: set[str] | None,
    recurse: bool,
    followlinks: bool,
    skip: Callable[[str], Any],
    above: set[tuple[int, int]],
) -> Iterator[Path]:
    try:
        with os.scandir(folder) as scan:
            entries = sorted((e for e in scan if not e.name.startswith(".")), key=lambda e: e.name)
    except OSError as error:
        raise DataError(f"the folder {folder} cannot be read: {error.strerror or error}") from error
    inner = []
    for entry in entries:
        if entry.is_symlink() and _is_circle(entry.path):
            raise DataError(f"{entry.path} is a link to itself. Remove it")
        if entry.is_dir(follow_symlinks=followlinks):
            inner.append(entry)
        elif (endings is None or _ending(entry.name) in endings) and entry.is_file() and not skip(entry.name):
            yield folder / entry.name
    for entry in inner if recurse else ():
        within = folder / entry.name
        identity = _identity(within)
        if identity in above:
            raise DataError(
                f"{within} is a folder that it stands in itself: a link leads back, a loop. Remove the link"
            )
        yield from _walk(within, endings, recurse, followlinks, skip, above | {identity})


@checked
def parent_label(o: str | Path) -> str:
    """The name of the folder that a file stands in."""
    return Path(o).parent.name


class RegexLabeller:
    """Labels a path, or other text, by the first group of a pattern.

    Args:
        pat: a regular expression with a group.
        match: it must match from the beginning.

    Raises:
        ConfigError: the pattern is wrong or has no group.
    """

    @checked
    def __init__(self, pat: str, match: bool = False) -> None:
        try:
            self.pat = re.compile(pat)
        except re.error as error:
            raise ConfigError(f"pattern {pat!r}: {error}") from error
        if not self.pat.groups:
            raise ConfigError(f"pattern {pat!r} has no group; put the part that is the label in parentheses")
        self.match = match

    def __call__(self, o: object) -> str:
        """The label of an item.

        Raises:
            DataError: the pattern does not occur in it.
        """
        text = str(o)
        found = self.pat.match(text) if self.match else self.pat.search(text)
        if found is None:
            raise DataError(f"{text!r} has no label: pattern {self.pat.pattern!r} does not occur in it")
        return found.group(1)


class ItemGetter:
    """Gets what stands at an index of an item.

    Args:
        i: index or key.
    """

    def __init__(self, i: Any) -> None:
        self.i = i

    def __call__(self, o: Any) -> Any:
        """What stands there."""
        return o[self.i]


class AttrGetter:
    """Gets an attribute of an item.

    Args:
        nm: its name.
        default: what items without it give.
    """

    @checked
    def __init__(self, nm: str, default: Any = None) -> None:
        self.nm, self.default = nm, default

    def __call__(self, o: Any) -> Any:
        """The attribute."""
        return getattr(o, self.nm, self.default)


class ColReader:
    """Reads columns of a row.

    Args:
        cols: a name or a position, or several.
        pref: put before the value.
        suff: put behind it.
        label_delim: the value is several labels, separated by this; "" to say that it is one, whatever is in it.
    """

    @checked
    def __init__(
        self, cols: str | int | Sequence[str | int], pref: str = "", suff: str = "", label_delim: str | None = None
    ) -> None:
        self.cols: list[str | int] = [cols] if isinstance(cols, str | int) else list(cols)
        self.pref, self.suff, self.label_delim = pref, suff, label_delim

    def __call__(self, row: Any) -> Any:
        """The value, or a list of the values of several columns."""
        return self.of_values([self._value(row, col) for col in self.cols])

    def of_values(self, values: Sequence[Any]) -> Any:
        """What it makes of the values of its columns."""
        done = [self._one(value) for value in values]
        return done[0] if len(done) == 1 else done

    def _one(self, value: Any) -> Any:
        if self.label_delim and isinstance(value, str):
            return [part for part in value.split(self.label_delim) if part]
        return f"{self.pref}{value}{self.suff}" if (self.pref or self.suff) and not is_missing(value) else value

    @staticmethod
    def _value(row: Any, col: str | int) -> Any:
        if isinstance(col, int):
            return row.iloc[col] if hasattr(row, "iloc") else row[col]
        try:
            return getattr(row, col) if hasattr(row, "_fields") else row[col]
        except (KeyError, AttributeError, TypeError) as error:
            names = row._fields if hasattr(row, "_fields") else row.keys() if hasattr(row, "keys") else ["none by name"]
            raise DataError(f"there is no column {col!r}; there are: {', '.join(map(str, names))}") from error
