"""Where finished stores are kept, and how one gets there whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sys
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from ulmfit._version import __version__
from ulmfit.errors import DataError, FormatError

T = TypeVar("T")


def default_cache_dir() -> Path:
    """Find the folder for stores: `ULMFIT_CACHE` if that is set, else the place that the system has for caches.

    Returns:
        The folder. It may not exist yet.
    """
    if given := os.environ.get("ULMFIT_CACHE"):
        return Path(given).expanduser() / "stores"
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "ulmfit" / "stores"


def usable_folder(folder: Path) -> Path:
    """Make a folder, or if it cannot be written a temporary one instead, with a warning.

    Args:
        folder: the folder wished for.

    Returns:
        A folder that can be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        other = Path(tempfile.mkdtemp(prefix="ulmfit-"))
        warnings.warn(
            f"The cache folder {folder} cannot be written ({error}). Using {other} this time; set ULMFIT_CACHE to a "
            "folder that can be written.",
            stacklevel=3,
        )
        return other


@contextmanager
def full_disk_named(folder: Path) -> Iterator[None]:
    """Writing into the cache: a disk without room is an error that says where, and what to do.

    Raises:
        DataError: there is no room.
    """
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise DataError(
            f"{folder} has no room for the token ids ({error.strerror}); set ULMFIT_CACHE to a folder on another disk"
        ) from error


class ContentHash:
    """Hashes texts, and the setting under which they are turned into ids.

    Args:
        setting: whatever else the ids depend on, in terms of JSON.
    """

    def __init__(self, setting: Any) -> None:
        self._hash = hashlib.sha256(json.dumps([__version__, setting]).encode("utf-8", "surrogatepass"))

    def _add(self, text: Any, position: int) -> None:
        if not isinstance(text, str):
            raise DataError(f"Text {position} is {type(text).__name__} ({text!r:.50}); every text must be a string.")
        encoded = text.encode("utf-8", "surrogatepass")
        self._hash.update(len(encoded).to_bytes(8, "little"))
        self._hash.update(encoded)

    def update(self, texts: Iterable[str]) -> ContentHash:
        """Add texts.

        Args:
            texts: any number of texts.

        Returns:
            Itself.

        Raises:
            DataError: if one is not a string; the message names its position.
        """
        for position, text in enumerate(texts):
            self._add(text, position)
        return self

    def passing(self, texts: Iterable[str]) -> Iterator[str]:
        """Add texts while something else reads them.

        Args:
            texts: any number of texts.

        Yields:
            The texts.

        Raises:
            DataError: if one is not a string; the message names its position.
        """
        for position, text in enumerate(texts):
            self._add(text, position)
            yield text

    def hexdigest(self) -> str:
        """Tell the hash of all that was added.

        Returns:
            A hexadecimal string that can name a folder.
        """
        return self._hash.hexdigest()[:40]


def publish(new: Path, final: Path, open_if_sound: Callable[[Path], T | None]) -> T:
    """Move a finished folder to its place, all at once. If another process was faster, its folder is taken.

    Args:
        new: the finished folder, on the same file system.
        final: its place.
        open_if_sound: opens a folder, or gives None if it is missing or damaged.

    Returns:
        What `open_if_sound` made of the folder in its place.

    Raises:
        FormatError: if the folder cannot be read back.
    """
    for _ in range(10):
        try:
            new.rename(final)
        except OSError:
            if (theirs := open_if_sound(final)) is not None:
                return theirs
            # Damaged, or gone meanwhile. Renaming it away is atomic too, and two processes may both do so.
            away = final.with_name(f"damaged-{uuid.uuid4().hex}")
            try:
                final.rename(away)
            except OSError:
                continue
            shutil.rmtree(away, ignore_errors=True)
        else:
            if (ours := open_if_sound(final)) is not None:
                return ours
    raise FormatError(f"The store could not be moved to {final}, or not be read there. Is the disk full or failing?")
