"""Unpacking archives from elsewhere: nothing is written outside the folder, nor more than allowed."""

from __future__ import annotations

import lzma
import os
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from ulmfit.errors import DataError, FormatError

ARCHIVE_SUFFIXES = (".tgz", ".tar.gz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2", ".tar", ".zip")
_DAMAGED = (tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, EOFError, OSError)


def archive_stem(name: str) -> str:
    """The name of an archive without its ending.

    Raises:
        DataError: the ending is not one of an archive.
    """
    for suffix in sorted(ARCHIVE_SUFFIXES, key=len, reverse=True):
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    raise DataError(f"{name}: the ending is not one of an archive: {', '.join(ARCHIVE_SUFFIXES)}")


def unpack(archive: Path, folder: Path, max_bytes: int) -> None:
    """Unpack an archive, all at once or not at all.

    A single folder in the archive becomes the folder itself.

    Args:
        archive: a tar file, compressed or not, or a zip file.
        folder: where to; must not exist.
        max_bytes: the most that may be unpacked.

    Raises:
        DataError: a member would be written elsewhere or is a device, or the whole is larger than allowed.
        FormatError: the archive is damaged or cut short.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".unpacking-", ignore_cleanup_errors=True) as name:
        staging = Path(name) / "content"
        staging.mkdir()
        try:
            if archive.name.lower().endswith(".zip"):
                _unpack_zip(archive, staging, max_bytes)
            else:
                _unpack_tar(archive, staging, max_bytes)
        except tarfile.FilterError as error:
            raise DataError(f"{archive}: {error}. The archive is not unpacked") from error
        except _DAMAGED as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise FormatError(f"{archive} is damaged or cut short: {reason}. Fetch it anew") from error
        inside = list(staging.iterdir())
        if not inside:
            raise FormatError(f"{archive} is empty")
        whole = inside[0] if len(inside) == 1 and inside[0].is_dir() and not inside[0].is_symlink() else staging
        _refuse_links_out(archive, whole)
        try:
            whole.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was faster
                raise


def _unpack_tar(archive: Path, folder: Path, max_bytes: int) -> None:
    with _tar(archive) as tar:
        total = 0
        for member in tar:
            _refuse_outside(archive, member.name)
            total += member.size
            _refuse_more(archive, total, max_bytes)
            tar.extract(member, folder, filter="data")  # refuses links that lead out, and devices


@contextmanager
def _tar(archive: Path) -> Iterator[tarfile.TarFile]:
    with tarfile.open(archive, "r:*") as tar:
        yield tar
        _refuse_rest(archive, tar)


def _refuse_rest(archive: Path, tar: tarfile.TarFile) -> None:
    """A tar file ends with blocks of zeros; one that is cut between two members would look whole without them."""
    file = tar.fileobj
    if file is None:
        return
    file.seek(tar.offset)
    if len(file.read(tarfile.BLOCKSIZE)) < tarfile.BLOCKSIZE:
        raise FormatError(f"{archive} is damaged or cut short: its last block is missing")
    while file.read(1 << 20):
        pass  # to its very end, where a compressed file has its checksum


def _unpack_zip(archive: Path, folder: Path, max_bytes: int) -> None:
    total = 0
    with zipfile.ZipFile(archive) as packed:
        for member in packed.infolist():
            _refuse_outside(archive, member.filename)
            if member.flag_bits & 1:
                raise DataError(f"{archive} is encrypted; unpack it with its password, and give the folder")
            kind = member.external_attr >> 28  # of a file made on Unix: 8 is a file, 4 a folder, 0 unknown
            if kind not in (0, 4, 8):
                raise DataError(f"{archive}: {member.filename!r} is a link or a device. The archive is not unpacked")
            target = folder / member.filename
            if member.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with packed.open(member) as source, target.open("wb") as out:
                while block := source.read(1 << 20):  # what the directory says of sizes may be a lie
                    total += len(block)
                    _refuse_more(archive, total, max_bytes)
                    out.write(block)


def _refuse_links_out(archive: Path, folder: Path) -> None:
    """Links are judged by the folder that is kept: a single folder of the archive is one level less."""
    root = folder.resolve()
    for at, folders, files in os.walk(folder):
        for path in (Path(at) / name for name in (*folders, *files)):
            if path.is_symlink() and root not in (path.parent / path.readlink()).resolve().parents:
                raise DataError(
                    f"{archive}: member {str(path.relative_to(folder))!r} is a link out of the folder, to "
                    f"{str(path.readlink())!r}. The archive is not unpacked"
                )


def _refuse_outside(archive: Path, name: str) -> None:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or (path.parts and ":" in path.parts[0]):
        raise DataError(f"{archive}: member {name!r} would be written outside the folder. The archive is not unpacked")


def _refuse_more(archive: Path, total: int, max_bytes: int) -> None:
    if total > max_bytes:
        raise DataError(
            f"{archive} unpacks to more than {max_bytes:,} bytes. If that is meant, allow more with max_bytes=..."
        )
