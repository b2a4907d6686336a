"""A folder of plain files that is written whole or not at all, and checked against sha256 sums when it is read.

What the files hold is the business of `bundle` (weights of torch) and `onnx`; nothing here needs torch.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ulmfit._version import __version__
from ulmfit.errors import DataError, FormatError, named

FORMAT_VERSION = 5  # the newest that is read; a folder says the oldest that suffices for it
CONFIG, VOCAB, MANIFEST, METRICS, CARD = "config.json", "vocab.json", "manifest.json", "metrics.json", "README.md"


def is_model_folder(path: Path) -> bool:
    """Whether the folder looks like one that `save_bundle` wrote."""
    try:
        manifest = read_json(path / MANIFEST)
    except FormatError:
        return False
    return isinstance(manifest.get("format_version"), int) and isinstance(manifest.get("files"), dict)


def check_target(path: Path, *, overwrite: bool) -> None:
    """Refuse a place where a model cannot or must not be written.

    Raises:
        DataError: a model is there and `overwrite` is off, something else is there, or nothing can be written there.
    """
    path = path.resolve()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent):
            pass
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error}") from error
    if not path.exists():
        return
    if not path.is_dir():
        raise DataError(f"{path} is a file; give a folder to save the model in")
    if os.path.ismount(path):  # Path.is_mount is not implemented on Windows before Python 3.12
        raise DataError(f"{path} is the root of a file system; give a folder inside it")
    if is_model_folder(path):
        if not overwrite:
            raise DataError(
                f"{path} already holds a model; give another folder, or --overwrite (overwrite=True) to replace it"
            )
        own = {*read_json(path / MANIFEST)["files"], MANIFEST}
        foreign = sorted(p.name for p in path.iterdir() if p.name not in own and not is_model_folder(p))
        if foreign:
            raise DataError(
                f"{path} holds files beside the model: {named(foreign)}; move them away, or give another folder"
            )
    elif any(path.iterdir()):
        raise DataError(f"{path} holds files that are not a model; give a new or empty folder")


@contextmanager
def staging(path: Path) -> Iterator[Path]:
    """A temporary folder on the same disk, removed whatever happens."""
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".writing", dir=path.parent))
    folder.chmod(0o777 & ~_umask())
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(folder: Path, path: Path) -> None:
    """Put the finished folder in its place; the one before is moved aside first and moved back if that fails."""
    if not path.exists():
        folder.rename(path)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".previous", dir=path.parent))
    previous = aside / path.name
    try:
        path.rename(previous)
        folder.rename(path)
    except BaseException:
        if previous.exists() and not path.exists():
            previous.rename(path)
        raise
    finally:
        if path.exists():
            shutil.rmtree(aside, ignore_errors=True)


def _umask() -> int:
    """The permissions that this process does not give; it can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write an object as JSON."""
    path.write_text(json.dumps(finite(value), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def finite(value: Any) -> Any:
    """The same value with None for infinities and NaN, which JSON does not have."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    return value


def _to_disk(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def sha256_of(path: Path) -> str:
    """The sum of a file's content, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_config(path: Path) -> dict[str, Any]:
    """The configuration of a model folder.

    Raises:
        FormatError: there is none, or it is of a newer format.
    """
    if not path.is_dir():
        raise FormatError(f"{path} is not a model folder: there is no such folder")
    if not (path / CONFIG).is_file():
        raise FormatError(f"{path} is not a model folder: it has no {CONFIG}")
    config = read_json(path / CONFIG)
    version = config.get("format_version")
    if not isinstance(version, int):
        raise FormatError(f"{path / CONFIG} is not a model's configuration: it has no format_version")
    if version > FORMAT_VERSION:
        raise FormatError(
            f"{path} has format version {version}; ulmfit {__version__} reads up to {FORMAT_VERSION}. "
            f"It was written by ulmfit {config.get('ulmfit_version', '(unknown)')}: install that version or a newer one"
        )
    return config


def read_json(path: Path) -> dict[str, Any]:
    """An object of a JSON file.

    Raises:
        FormatError: it is missing or damaged.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise FormatError(f"{path.parent} is incomplete: {path.name} is missing") from error
    except (OSError, ValueError) as error:
        raise FormatError(f"{path} is damaged: {error}") from error
    if not isinstance(value, dict):
        raise FormatError(f"{path} is damaged: expected an object")
    return value


def write_manifest(folder: Path, version: int) -> None:
    """List the files of a folder with their sums, and have the disk write them."""
    files = sorted(p for p in folder.iterdir() if p.is_file())
    manifest = {p.name: {"bytes": p.stat().st_size, "sha256": sha256_of(p)} for p in files}
    write_json(folder / MANIFEST, {"format_version": version, "files": manifest})
    for p in (*files, folder / MANIFEST):
        _to_disk(p)


def check_manifest(path: Path, *needed: str) -> None:
    """Compare every file with the manifest.

    Args:
        path: the folder.
        needed: files that must be listed, beside configuration and vocabulary.

    Raises:
        FormatError: naming all that is wrong.
    """
    files = read_json(path / MANIFEST).get("files")
    if not isinstance(files, dict) or not files:
        raise FormatError(f"{path / MANIFEST} is damaged: it lists no files")
    problems = []
    for name in sorted({*files, CONFIG, VOCAB, *needed}):
        entry, file = files.get(name), path / name
        if Path(name).name != name or not isinstance(entry, dict):
            problems.append(f"{name} is not listed properly")
        elif not file.is_file():
            problems.append(f"{name} is missing")
        elif file.stat().st_size != entry.get("bytes"):
            problems.append(f"{name} has {file.stat().st_size} bytes instead of {entry.get('bytes')}")
        elif sha256_of(file) != entry.get("sha256"):
            problems.append(f"{name} has another content than when it was written")
    if problems:
        raise FormatError(f"{path} is damaged: {'; '.join(problems)}")


def folder_size(path: Path) -> int:
    """Bytes of all files of a model folder."""
    return sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
