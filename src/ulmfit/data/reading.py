"""Reading text files: encodings, and what to say when bytes are not of the one expected."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ulmfit.errors import DataError


def codec(encoding: str) -> str:
    """UTF-8 files may begin with a byte order mark, which is no text."""
    return "utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding


def json_lines(path: Path, encoding: str) -> Iterator[dict[str, object]]:
    """The objects of a JSONL file, one after the other.

    Raises:
        DataError: a line is not a JSON object, the message names it; or the file cannot be read or decoded.
    """
    with _errors_named(path, encoding), path.open(encoding=codec(encoding)) as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                value = json.loads(line)
            except json.JSONDecodeError as error:
                raise DataError(f"{path}, line {number}: not JSON ({error.msg})") from error
            if not isinstance(value, dict):
                raise DataError(
                    f"{path}, line {number}: expected an object with named fields, got {type(value).__name__}"
                )
            yield value


def decoding_error(path: Path, encoding: str) -> DataError:
    """The error for a file that is not in the encoding, with the offset of the first bad byte."""
    decoder = codecs.getincrementaldecoder(encoding)()
    offset = 0
    pending = 0
    with path.open("rb") as file:
        while True:
            block = file.read(1 << 20)
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                offset += error.start - pending
                break
            if not block:
                break
            offset += len(block)
            pending = len(decoder.getstate()[0])
    with path.open("rb") as file:
        likely = "utf-16" if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "latin-1"
    return DataError(
        f"{path}: the bytes at offset {offset} are not {encoding}. "
        f"If the file is in another encoding, name it, for example encoding={likely!r} (--encoding {likely} on the "
        "command line)"
    )


def read_text_file(path: Path, encoding: str = "utf-8") -> str:
    """The text of a file.

    Raises:
        DataError: missing, unreadable or not decodable.
    """
    with _errors_named(path, encoding):
        return path.read_text(encoding=codec(encoding))


def text_pieces(path: Path, encoding: str, size: int) -> Iterator[str]:
    """The text of a file that may be larger than memory, in pieces of about `size` characters that end with a line.

    Raises:
        DataError: missing, unreadable or not decodable.
    """
    with _errors_named(path, encoding), path.open(encoding=codec(encoding)) as file:
        while piece := file.read(size):
            yield piece + file.readline(size)


@contextmanager
def _errors_named(path: Path, encoding: str) -> Iterator[None]:
    """What can go wrong in reading a file of text, as one message."""
    try:
        yield
    except DataError:
        raise
    except UnicodeDecodeError as error:
        raise decoding_error(path, encoding) from error
    except UnicodeError as error:
        raise DataError(f"{path} is not {encoding}: {error}") from error
    except LookupError as error:
        raise DataError(f"encoding {encoding!r} is not known to Python") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
