"""Known data sets: where they are, and how they get here."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from ulmfit.arguments import checked
from ulmfit.data.archives import ARCHIVE_SUFFIXES, archive_stem, unpack
from ulmfit.data.collection import L
from ulmfit.data.download import NotThereError, download, file_sha256
from ulmfit.errors import DataError, FormatError

if TYPE_CHECKING:
    _Path = Path
else:
    _Path = type(Path())  # the class of this system, which Python 3.11 needs to derive from

_S3 = "https://s3.amazonaws.com/fast-ai-"
MAX_BYTES = 20 * 1024**3
"""Largest size of an unpacked data set, unless more is allowed."""


class URLs:
    """Addresses of data sets of texts, and of the language models that the tutorials start from."""

    AG_NEWS = f"{_S3}nlp/ag_news_csv.tgz"
    AMAZON_REVIEWS = f"{_S3}nlp/amazon_review_full_csv.tgz"
    AMAZON_REVIEWS_POLARITY = f"{_S3}nlp/amazon_review_polarity_csv.tgz"
    DBPEDIA = f"{_S3}nlp/dbpedia_csv.tgz"
    HUMAN_NUMBERS = f"{_S3}sample/human_numbers.tgz"
    IMDB = f"{_S3}nlp/imdb.tgz"
    IMDB_SAMPLE = f"{_S3}sample/imdb_sample.tgz"
    MT_ENG_FRA = f"{_S3}nlp/giga-fren.tgz"
    SOGOU_NEWS = f"{_S3}nlp/sogou_news_csv.tgz"
    WIKITEXT = f"{_S3}nlp/wikitext-103.tgz"
    WIKITEXT_TINY = f"{_S3}nlp/wikitext-2.tgz"
    WT103_BWD = f"{_S3}modelzoo/wt103-bwd.tgz"
    WT103_FWD = f"{_S3}modelzoo/wt103-fwd.tgz"
    YAHOO_ANSWERS = f"{_S3}nlp/yahoo_answers_csv.tgz"
    YELP_REVIEWS = f"{_S3}nlp/yelp_review_full_csv.tgz"
    YELP_REVIEWS_POLARITY = f"{_S3}nlp/yelp_review_polarity_csv.tgz"


SIZES = {
    URLs.AG_NEWS: 11_784_419,
    URLs.DBPEDIA: 68_341_743,
    URLs.HUMAN_NUMBERS: 30_252,
    URLs.IMDB: 144_440_600,
    URLs.IMDB_SAMPLE: 571_827,
    URLs.WIKITEXT_TINY: 4_070_055,
}
"""Sizes of the archives in bytes, where they are known."""


class DataPath(_Path):
    """A path that can list what is in it, as the tutorials do."""

    def ls(self, n_max: int | None = None) -> L[DataPath]:
        """What is in the folder, by name.

        Args:
            n_max: entries at most; None for all.
        """
        return L[DataPath](sorted(self.iterdir())[:n_max])

    def __repr__(self) -> str:
        return f"Path({str(self)!r})"


def data_folder() -> Path:
    """The folder that data sets are kept in: `ULMFIT_DATA` if that is set, else the system's place for users' data.

    Returns:
        The folder. It may not exist yet.
    """
    if given := os.environ.get("ULMFIT_DATA"):
        return Path(given).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "ulmfit"


@checked
def untar_data(
    url: str | Path,
    archive: str | Path | None = None,
    data: str | Path | None = None,
    c_key: str = "data",
    force_download: bool = False,
    base: str | Path | None = None,
    *,
    sha256: str | None = None,
    max_bytes: int = MAX_BYTES,
) -> DataPath:
    """Fetch an archive and unpack it, unless that was done before.

    `ULMFIT_MIRROR` names a folder or an address that is looked at first. The archive may stand there under its own
    name, or with another ending of an archive, or unpacked as a folder.

    Args:
        url: address of the archive; a path or a `file://` address will do, and an unpacked folder is taken as it is.
        archive: folder for archives; None for `archive` in the folder `base`.
        data: folder for what is unpacked; None for the one that `c_key` names.
        c_key: name of that folder in the folder `base`.
        force_download: do all anew. What was there is replaced once the new is whole.
        base: None for the user's data folder.
        sha256: checksum of the archive in hexadecimal digits, if known; compared before it is unpacked, not when the
            folder is there already.
        max_bytes: the most that may be unpacked.

    Returns:
        The folder.

    Raises:
        DataError: the archive cannot be had, is not the one expected, or is refused (see `archives.unpack`); or the
            folder holds what came from another address.
        FormatError: it is damaged or cut short.
    """
    if isinstance(url, str) and url.isidentifier() and hasattr(URLs, url) and not Path(url).exists():
        raise DataError(f"{url!r} is the name of a data set, not its address: write untar_data(URLs.{url})")
    local = _local_path(url)
    address = str(url) if local is None else local.absolute().as_uri()
    if local is not None and local.is_dir():
        return DataPath(local)
    name = (local or Path(unquote(urlsplit(str(url)).path))).name
    root = data_folder() if base is None else Path(base).expanduser()
    folder = Path(data or root / c_key) / archive_stem(name)
    if folder.is_dir() and not force_download:
        if (origin := _origin(folder)) not in (None, address):
            raise DataError(
                f"{folder} was made from {origin}, not from {url}. Name another folder with data=..., or replace it "
                "with force_download=True"
            )
        return DataPath(folder)
    archives = Path(archive or root / "archive")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"{folder.parent} cannot hold data sets: {error.strerror or error}. Name another folder, with ULMFIT_DATA "
            "or data=..."
        ) from error
    found = local if local is not None else _find(str(url), name, archives, force_download, sha256)
    if found.is_dir():
        return DataPath(found)
    if not found.is_file():
        raise DataError(f"{found} does not exist")
    if sha256 is not None and (digest := file_sha256(found)) != sha256.lower():
        raise DataError(f"{found} has the checksum {digest} instead of {sha256}: it was changed or damaged")
    try:
        _unpack_over(found, folder, max_bytes)
    except FormatError:
        if found.parent == archives:  # ours: the next call fetches it anew
            found.unlink()
        raise
    _note_origin(folder, address)
    return DataPath(folder)


def _unpack_over(archive: Path, folder: Path, max_bytes: int) -> None:
    """Unpack; a folder that is there already is replaced when the new one is whole."""
    if not folder.exists():
        unpack(archive, folder, max_bytes)
        return
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".replacing-", ignore_cleanup_errors=True) as name:
        new = Path(name) / "new"
        unpack(archive, new, max_bytes)
        folder.rename(Path(name) / "old")
        new.rename(folder)


def _origin_file(path: Path) -> Path:
    return path.with_name(f".{path.name}.origin")


def _origin(path: Path) -> str | None:
    """The address that a folder or an archive came from; None if that was not written down."""
    try:
        return _origin_file(path).read_text(encoding="utf-8")
    except OSError:
        return None


def _note_origin(path: Path, url: str) -> None:
    _origin_file(path).write_text(url, encoding="utf-8")


def _local_path(url: str | Path) -> Path | None:
    if isinstance(url, Path):
        return url
    parts = urlsplit(url)
    if "://" in url and parts.scheme not in ("http", "https", "file"):
        raise DataError(f"{url}: addresses begin with https://, http:// or file://; fetch it, and give its path")
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    return None if parts.scheme in ("http", "https") else Path(url)


def _find(url: str, name: str, archives: Path, force: bool, sha256: str | None) -> Path:
    """The archive: from the mirror, from an earlier download, or from its address."""
    mirror = os.environ.get("ULMFIT_MIRROR")
    stem = archive_stem(name)
    others = [stem + suffix for suffix in ARCHIVE_SUFFIXES if stem + suffix != name]
    if mirror:
        at = _local_path(mirror)
        if at is not None and (there := _in_folder(at.expanduser(), name, others, stem)) is not None:
            return there
    target = archives / name
    if target.is_file() and not force and _origin(target) in (None, url):
        return target
    if mirror and _local_path(mirror) is None:
        for other in (name, *others):
            try:
                download(f"{mirror.rstrip('/')}/{other}", archives / other, sha256=sha256)
            except NotThereError:
                continue
            return archives / other
    try:
        download(url, target, size=SIZES.get(url), sha256=sha256)
    except DataError as error:
        if mirror:
            looked = f"ULMFIT_MIRROR={mirror} was looked at first: it has no {name}, nor {stem} with another ending"
            raise DataError(f"{error} ({looked})") from error
        raise
    _note_origin(target, url)
    return target


def _in_folder(mirror: Path, name: str, others: list[str], stem: str) -> Path | None:
    if not mirror.is_dir():
        raise DataError(f"ULMFIT_MIRROR={mirror} is neither a folder nor an address")
    candidates: list[Any] = [mirror / name, *(mirror / other for other in others), mirror / stem]
    return next((path for path in candidates if path.exists()), None)
