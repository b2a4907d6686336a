"""The texts that the tokenizing benchmarks read from a folder of public data sets."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path


def tar_texts(archive: Path, prefix: str = "", encoding: str = "utf-8") -> Iterator[str]:
    """Read the files of a tar archive whose names begin with `prefix`, in the archive's order."""
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile() and member.name.startswith(prefix) and not member.name.endswith("README"):
                file = tar.extractfile(member)
                if file is not None:
                    yield file.read().decode(encoding)


def parquet_texts(*files: Path) -> Iterator[str]:
    """Read the column `text` of Parquet files."""
    import pyarrow.parquet as pq

    for file in files:
        for batch in pq.ParquetFile(file).iter_batches(columns=["text"], batch_size=500):
            yield from batch.column(0).to_pylist()


def sms_texts(file: Path) -> Iterator[str]:
    """Read the messages of the SMS spam collection."""
    for line in file.read_text(encoding="utf-8").splitlines():
        yield line.partition("\t")[2]


def corpora(data: Path) -> dict[str, tuple[str, Callable[[], list[str]]]]:
    """Name the corpora of the comparison, each with its language and what reads it."""
    return {
        "imdb-train": ("en", lambda: list(tar_texts(data / "imdb.tar.xz", "imdb/train/"))),
        "enwiki": ("en", lambda: list(islice(parquet_texts(data / "enwiki-0.parquet"), 2_000))),
        "dewiki": ("de", lambda: list(islice(parquet_texts(data / "dewiki.parquet"), 2_000))),
        "sms-spam": ("en", lambda: list(sms_texts(data / "sms-spam" / "SMSSpamCollection"))),
        "20news": ("en", lambda: list(tar_texts(data / "20news-bydate.tar.xz", encoding="latin-1"))),
    }
