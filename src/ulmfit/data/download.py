"""Fetching files over the network: whole or not at all, and from where it stopped."""

from __future__ import annotations

import hashlib
import http.client
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import rich

from ulmfit.errors import DataError

_BLOCK = 1 << 18
_TRIES = 3
_TIMEOUT = 30  # seconds without an answer
OFFLINE = (
    "Without a network, put the archive into a folder and name it with ULMFIT_MIRROR=FOLDER "
    "(a learner needs no pretrained weights with pretrained=False)"
)


class NotThereError(DataError):
    """The server has no such file."""


def download(url: str, target: Path, *, size: int | None = None, sha256: str | None = None) -> None:
    """Fetch a file, unless it is cut short at the first attempts.

    What has come is kept in a file `.part` beside the target; a later call goes on where it ends.

    Args:
        url: its address, http or https.
        target: where to put it.
        size: its size in bytes, if known.
        sha256: its checksum in hexadecimal digits, if known.

    Raises:
        NotThereError: there is no such file.
        DataError: the server cannot be reached, the connection broke, or the file is not the one expected.
    """
    if not url.startswith(("http://", "https://")):
        raise DataError(f"{url} is no address that begins with http:// or https://")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    for attempt in range(1, _TRIES + 1):
        try:
            _fetch(url, part)
            break
        except urllib.error.HTTPError as error:
            kind = NotThereError if error.code in (403, 404, 410) else DataError
            raise kind(f"{url}: the server answers {error.code} {error.reason}. {OFFLINE}") from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            if attempt == _TRIES:
                raise DataError(
                    f"{url} cannot be fetched: {reason}. What has come is kept; run again to go on. {OFFLINE}"
                ) from error
            time.sleep(0.2 * attempt)
    _check(url, part, size, sha256)
    os.replace(part, target)  # noqa: PTH105 - atomic, over an older one too
    _tag_of(part).unlink(missing_ok=True)


def _fetch(url: str, part: Path) -> None:
    have, tag = (part.stat().st_size if part.exists() else 0), _tag_of(part)
    request = urllib.request.Request(url, headers={"User-Agent": "ulmfit"})  # noqa: S310 - http or https, as checked
    if have and tag.exists():
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", tag.read_text(encoding="latin-1"))
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310
        goes_on = answer.status == 206
        have = have if goes_on else 0
        left = answer.headers.get("Content-Length")
        if mark := answer.headers.get("ETag") or answer.headers.get("Last-Modified"):
            tag.write_text(mark, encoding="latin-1")
        total = None if left is None else have + int(left)
        with part.open("ab" if goes_on else "wb") as file, _bar(url.rpartition("/")[2], have, total) as advance:
            while block := answer.read(_BLOCK):
                file.write(block)
                advance(len(block))
                have += len(block)
    if total is not None and have < total:
        raise OSError(f"the connection ended after {have:,} of {total:,} bytes")


def _tag_of(part: Path) -> Path:
    """Where the mark of the version that is being fetched is kept: another version must not be joined to it."""
    return part.with_name(f"{part.name}.tag")


def _check(url: str, part: Path, size: int | None, sha256: str | None) -> None:
    found = part.stat().st_size
    wrong = f"{found:,} bytes instead of {size:,}" if size is not None and found != size else ""
    if not wrong and sha256 is not None and (digest := file_sha256(part)) != sha256.lower():
        wrong = f"the checksum {digest} instead of {sha256}"
    if wrong:
        part.unlink()
        _tag_of(part).unlink(missing_ok=True)
        raise DataError(f"{url} has {wrong}: it was changed, or damaged on the way")


def file_sha256(path: Path) -> str:
    """The checksum of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _bar(name: str, done: int, total: int | None) -> Iterator[Callable[[int], object]]:
    console = rich.get_console()
    if not (console.is_terminal or console.is_jupyter):
        yield lambda n: None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn(name), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(name, total=total, completed=done)
        yield lambda n: bar.advance(task, n)
