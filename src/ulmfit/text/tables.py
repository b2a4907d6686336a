"""Tokenizing what comes as lists, tables and files: thin users of `Tokenizer`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

from ulmfit.errors import ConfigError, DataError
from ulmfit.text.base import BareTokenizer
from ulmfit.text.batching import refuse_one_text
from ulmfit.text.rules import FLD, Rule
from ulmfit.text.tokenizers import Tokenizer, tokenizer_of
from ulmfit.text.workers import tokenize_parallel

if TYPE_CHECKING:
    import pandas as pd

_Number = TypeVar("_Number", bound=np.generic)


def tokenize1(
    text: str,
    tok: BareTokenizer | Tokenizer | None = None,
    rules: Sequence[Rule] | None = None,
    post_rules: Sequence[Rule] | None = None,
) -> list[str]:
    """Tokenize one text. For more than one, a `Tokenizer` that is kept is faster.

    Args:
        text: the text.
        tok: what cuts it; None for words.
        rules: as for `Tokenizer`.
        post_rules: likewise.

    Returns:
        Its tokens.
    """
    return tok(text) if isinstance(tok, Tokenizer) else Tokenizer(tok, rules, post_rules)(text)


def parallel_tokenize(
    items: Iterable[str],
    tok: BareTokenizer | Tokenizer | None = None,
    rules: Sequence[Rule] | None = None,
    n_workers: int = 1,
) -> Iterator[tuple[int, list[str]]]:
    """Tokenize texts, in several processes if wished.

    Args:
        items: any number of texts.
        tok: what cuts them; None for words.
        rules: as for `Tokenizer`.
        n_workers: the number of processes; 0 or 1 for this one.

    Yields:
        The position of each text and its tokens, in order.
    """
    yield from enumerate(_tokenize(items, tokenizer_of(tok, rules), n_workers))


def _tokenize(texts: Iterable[str], tokenizer: Tokenizer, n_workers: int) -> Iterator[list[str]]:
    refuse_one_text(texts)
    tokenizer.fit(texts)
    return tokenize_parallel(texts, tokenizer, n_workers) if n_workers > 1 else tokenizer.tokenize(texts)


def tokenize_texts(
    texts: Iterable[str],
    n_workers: int = 1,
    rules: Sequence[Rule] | None = None,
    tok: BareTokenizer | Tokenizer | None = None,
) -> list[list[str]]:
    """Tokenize texts.

    Args:
        texts: any number of texts.
        n_workers: the number of processes; 0 or 1 for this one.
        rules: as for `Tokenizer`.
        tok: what cuts the texts; None for words.

    Returns:
        The tokens of each text.
    """
    return list(_tokenize(texts, tokenizer_of(tok, rules), n_workers))


def join_fields(columns: Sequence[Sequence[str]], mark_fields: bool | None = None) -> list[str]:
    """Join several texts of each document into one.

    Args:
        columns: for each field the texts of all N documents.
        mark_fields: write `xxfld` and the number of the field, from 1, before each; None for if there are several.

    Returns:
        N texts.

    Raises:
        DataError: if a value is missing or no string; the message names the field and the position.
    """
    mark = len(columns) > 1 if mark_fields is None else mark_fields
    for number, column in enumerate(columns, 1):
        for position, value in enumerate(column):
            if not isinstance(value, str):
                raise DataError(
                    f"Field {number} of text {position} is {type(value).__name__} ({value!r:.50}); it must be a "
                    "string. Fill missing texts with '' or leave the rows out."
                )
    if len(sizes := {len(column) for column in columns}) > 1:
        raise DataError(
            f"The fields have {' and '.join(map(str, sorted(sizes)))} texts; each must have one for each text."
        )
    texts = zip(*columns, strict=True)
    return [" ".join(f"{FLD} {i} {part}" if mark else part for i, part in enumerate(parts, 1)) for parts in texts]


def tokenize_df(
    df: pd.DataFrame,
    text_cols: str | int | Sequence[str | int],
    n_workers: int = 1,
    rules: Sequence[Rule] | None = None,
    mark_fields: bool | None = None,
    tok: BareTokenizer | Tokenizer | None = None,
    tok_text_col: str = "text",
) -> tuple[pd.DataFrame, Counter[str]]:
    """Tokenize the texts of a data frame.

    Args:
        df: the data frame.
        text_cols: one or more columns with texts, by name or position.
        n_workers: the number of processes; 0 or 1 for this one.
        rules: as for `Tokenizer`.
        mark_fields: as for `join_fields`.
        tok: what cuts the texts; None for words.
        tok_text_col: the column for the tokens; their number goes to a column with `_length` appended.

    Returns:
        The data frame with the other columns and those two, and the counts of all tokens.
    """
    given = [text_cols] if isinstance(text_cols, str | int) else list(text_cols)
    names = [df.columns[column] if isinstance(column, int) else column for column in given]
    if missing := [name for name in names if name not in df.columns]:
        raise DataError(f"There is no column {', '.join(map(repr, missing))}. The columns are {', '.join(df.columns)}.")
    tokens = tokenize_texts(join_fields([df[name].tolist() for name in names], mark_fields), n_workers, rules, tok)
    out = df.drop(columns=names).copy()
    if taken := [name for name in (tok_text_col, f"{tok_text_col}_length") if name in out.columns]:
        raise ConfigError(
            f"The data frame has a column {' and '.join(map(repr, taken))} beside the texts, which the tokens would "
            "replace. Give another name: tok_text_col=..."
        )
    out[tok_text_col] = tokens
    out[f"{tok_text_col}_length"] = [len(document) for document in tokens]
    return out, Counter(token for document in tokens for token in document)


def tokenize_csv(
    fname: str | Path,
    text_cols: str | int | Sequence[str | int],
    outname: str | Path | None = None,
    n_workers: int = 1,
    rules: Sequence[Rule] | None = None,
    mark_fields: bool | None = None,
    tok: BareTokenizer | Tokenizer | None = None,
    header: Any = "infer",
    chunksize: int = 50_000,
    tok_text_col: str = "text",
) -> Counter[str]:
    """Tokenize the texts of a CSV file, piece by piece, into another CSV file, which is written whole or not at all.

    Every cell is taken as it stands; an empty one is an empty text.

    Args:
        fname: the file.
        text_cols: as for `tokenize_df`.
        outname: the file for the tokens, which are joined by spaces; None for the same name with `_tok` appended.
        n_workers: the number of processes; 0 or 1 for this one.
        rules: as for `Tokenizer`.
        mark_fields: as for `join_fields`.
        tok: what cuts the texts; None for words.
        header: as for `pandas.read_csv`.
        chunksize: the number of rows read at a time.
        tok_text_col: as for `tokenize_df`.

    Returns:
        The counts of all tokens.

    Raises:
        DataError: if the file cannot be read as CSV, or has no such column.
    """
    import pandas as pd

    path = Path(fname)
    out = path.with_name(f"{path.stem}_tok.csv") if outname is None else Path(outname)
    tokenizer, count, first = tokenizer_of(tok, rules), Counter[str](), True
    partial = out.with_name(f".{out.name}.{os.getpid()}.writing")
    try:
        for frame in pd.read_csv(path, header=header, chunksize=chunksize, dtype=str, keep_default_na=False):
            done, counted = tokenize_df(frame, text_cols, n_workers, None, mark_fields, tokenizer, tok_text_col)
            done[tok_text_col] = [" ".join(tokens) for tokens in done[tok_text_col]]
            done.to_csv(partial, mode="w" if first else "a", header=first, index=False)
            count += counted
            first = False
        partial.replace(out)
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise DataError(f"{path} cannot be read as CSV, or {out} not be written: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return count


def read_texts(files: Iterable[str | Path], encoding: str = "utf-8") -> Iterator[str]:
    """Read text files one after the other.

    Args:
        files: their paths.
        encoding: their encoding.

    Yields:
        The text of each.

    Raises:
        DataError: if a file cannot be read, was removed meanwhile, or is not in that encoding; the message names it.
    """
    for file in files:
        try:
            yield Path(file).read_text(encoding=encoding)
        except UnicodeDecodeError as error:
            raise DataError(
                f"{file} is not {encoding} text ({error}). Give its encoding, perhaps 'latin-1'."
            ) from error
        except OSError as error:
            raise DataError(f"{file} cannot be read ({error.strerror or error}).") from error


def tokenize_files(
    files: Sequence[str | Path],
    n_workers: int = 1,
    rules: Sequence[Rule] | None = None,
    tok: BareTokenizer | Tokenizer | None = None,
    encoding: str = "utf-8",
) -> Iterator[tuple[Path, list[str]]]:
    """Tokenize text files. Nothing is written: `TokenStore.build` keeps what it made.

    Args:
        files: their paths.
        n_workers: the number of processes; 0 or 1 for this one.
        rules: as for `Tokenizer`.
        tok: what cuts the texts; None for words.
        encoding: the encoding of the files.

    Yields:
        The path and the tokens of each file, in order.
    """
    tokenizer = tokenizer_of(tok, rules)
    tokenizer.fit(FileTexts(files, encoding))
    tokens = _tokenize(read_texts(files, encoding), tokenizer, n_workers)
    yield from zip(map(Path, files), tokens, strict=True)


def tokenize_folder(
    path: str | Path,
    extensions: Sequence[str] = (".txt",),
    folders: Sequence[str] | None = None,
    n_workers: int = 1,
    rules: Sequence[Rule] | None = None,
    tok: BareTokenizer | Tokenizer | None = None,
    encoding: str = "utf-8",
) -> Iterator[tuple[Path, list[str]]]:
    """Tokenize the text files of a folder and the folders in it.

    Args:
        path: the folder.
        extensions: the endings of the names of the files that are read.
        folders: the folders directly in it that are read; None for all.
        n_workers: the number of processes; 0 or 1 for this one.
        rules: as for `Tokenizer`.
        tok: what cuts the texts; None for words.
        encoding: the encoding of the files.

    Returns:
        Path and tokens of each file, in the order of the paths.

    Raises:
        DataError: if the folder cannot be read or holds no such file.
    """
    files = text_files(path, extensions, folders)
    return tokenize_files(files, n_workers, rules, tok, encoding)


def text_files(
    path: str | Path, extensions: Sequence[str] = (".txt",), folders: Sequence[str] | None = None
) -> list[Path]:
    """Find the text files of a folder and the folders in it.

    Args:
        path: the folder.
        extensions: the endings of their names.
        folders: the folders directly in it that count; None for all, and the folder itself.

    Returns:
        Their paths, sorted.

    Raises:
        DataError: if a folder cannot be read, or there is no such file.
    """

    def refuse(error: OSError) -> NoReturn:
        raise DataError(f"The folder {error.filename} cannot be read ({error.strerror}).") from error

    root, found = Path(path), list[Path]()
    for start in [root] if folders is None else [root / folder for folder in folders]:
        for folder, inner, names in os.walk(start, onerror=refuse):
            inner.sort()
            found += [Path(folder) / name for name in names if Path(name).suffix in extensions]
    if not found:
        raise DataError(f"{root} holds no file that ends with {' or '.join(extensions)}.")
    return sorted(found)


class FileTexts:
    """The texts of files, read when they are iterated over, as often as that is done.

    Args:
        files: their paths.
        encoding: their encoding.
    """

    def __init__(self, files: Sequence[str | Path], encoding: str = "utf-8") -> None:
        self.files, self.encoding = files, encoding

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[str]:
        return read_texts(self.files, self.encoding)


def reverse_text(ids: NDArray[_Number]) -> NDArray[_Number]:
    """Turn a text round, for a model that reads backwards. The mark of its beginning is then at the end.

    Args:
        ids: the ids of one text, of shape (T,).

    Returns:
        A view of them from the last to the first.
    """
    return ids[::-1]
