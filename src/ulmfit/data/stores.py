"""Texts to a token store, found again at once when nothing has changed."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
import warnings
from collections.abc import Iterable, Sequence, Sized
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import rich
from numpy.typing import NDArray

from ulmfit._version import __version__
from ulmfit.data.texts import FromFiles
from ulmfit.errors import DataError, FormatError, named
from ulmfit.text.cache import default_cache_dir
from ulmfit.text.progress import progress_bar
from ulmfit.text.rules import BOS
from ulmfit.text.scripts import finds_no_words
from ulmfit.text.store import TokenStore, vocabulary_setting
from ulmfit.text.tokenizers import Tokenizer
from ulmfit.text.vocab import Vocab

_MANY = 2_000  # texts from which on it is worth showing how far tokenizing is
_SETTLED_NS = 2_000_000_000  # within the coarsest clock of a file system, a second edit may leave the time as it is
_POINTERS = "unchanged"


def build_store(
    texts: Iterable[str],
    tokenizer: Tokenizer,
    *,
    vocab: Vocab | None = None,
    special_toks: Sequence[str] | None = None,
    min_freq: int = 3,
    max_vocab: int = 60_000,
    n_workers: int = 1,
    cache: bool | Path = True,
    what: str = "texts",
) -> TokenStore:
    """Turn texts into a store of ids, or find the store that was made of them before.

    Texts of files are not read again if names, sizes and times of all files are as they were.

    Args:
        texts: N texts, which can be passed over again.
        tokenizer: what cuts them.
        vocab: which id each token has; None to make a vocabulary of these texts.
        special_toks: its first entries; None for the usual nine.
        min_freq: the least count of a token in a vocabulary that is made.
        max_vocab: its largest number of entries.
        n_workers: processes that tokenize.
        cache: keep the store in the user's cache folder, in this folder, or (False) in memory.
        what: what the texts are, for messages.

    Returns:
        The store.

    Raises:
        DataError: a text cannot be read.
    """
    root = cache_root(cache)
    setting = vocab.itos if vocab else vocabulary_setting(min_freq, max_vocab, special_toks)
    pointer, latest = _pointer(texts, tokenizer, setting, root)
    if pointer is not None and root is not None and (found := _follow(pointer, root)) is not None:
        return found
    if vocab is None and finds_no_words(tokenizer.tok, texts):
        lang = tokenizer.tok.config()["lang"]
        warnings.warn(
            f"The {what} are written without spaces between words, and WordTokenizer({lang!r}) takes whole phrases for "
            "words. SubwordTokenizer() learns what to cut, CharTokenizer() takes characters.",
            stacklevel=2,
        )
    began = time.time_ns()
    n = len(texts) if isinstance(texts, Sized) else 0
    console = rich.get_console()
    shown = n >= _MANY and (console.is_terminal or console.is_jupyter)
    with progress_bar(f"Tokenizing {what}") if shown else nullcontext() as progress:
        store = TokenStore.build(
            texts,
            tokenizer,
            vocab=vocab,
            special_toks=special_toks,
            min_freq=min_freq,
            max_vocab=max_vocab,
            workers=n_workers or 1,  # 0 is this process too
            cache_dir=root,
            progress=progress,
        )
    if len(store) == 0:
        raise DataError(f"there are no {what}")
    if pointer is not None and store.path is not None and latest + _SETTLED_NS < began:
        _publish(pointer, store.path)
    return store


def cache_root(cache: bool | Path) -> Path | None:
    """The folder of all stores, or None for memory; see `build_store`."""
    return None if cache is False else default_cache_dir() if cache is True else Path(cache)


def find_store(texts: Iterable[str], tokenizer: Tokenizer, setting: Any, cache: bool | Path) -> TokenStore | None:
    """The store that was made of texts of files before, found without reading any.

    Args:
        texts: N texts.
        tokenizer: what cut them.
        setting: what else the ids depend on, such as a `vocabulary_setting`.
        cache: see `build_store`.
    """
    root = cache_root(cache)
    pointer, _ = _pointer(texts, tokenizer, setting, root)
    return None if pointer is None or root is None else _follow(pointer, root)


def _pointer(texts: Iterable[str], tokenizer: Tokenizer, setting: Any, root: Path | None) -> tuple[Path | None, int]:
    """The file that says which store was made of texts of files, and when these were last changed."""
    if root is None or not isinstance(texts, FromFiles):
        return None, 0
    tokenizer.fit(texts)
    stamp, latest = texts.stamp()
    content = json.dumps([__version__, stamp, tokenizer.fingerprint(), setting]).encode("utf-8", "surrogatepass")
    return root / _POINTERS / hashlib.sha256(content).hexdigest(), latest


def warn_of_empty(store: TokenStore, what: str, numbers: NDArray[np.int64]) -> None:
    """Name the texts that have no token but the one that marks their beginning.

    Args:
        store: the ids of N texts.
        what: what they are.
        numbers: which number each has where it is from.
    """
    if empty := _empty(store, numbers):
        warnings.warn(f"{len(empty)} of {len(store)} {what} are empty: {named(empty)} (from 1)", stacklevel=2)


def _empty(store: TokenStore, numbers: NDArray[np.int64]) -> list[int]:
    short = np.flatnonzero(np.diff(store.offsets) <= 1).tolist()
    return [int(numbers[i]) for i in short if all(store.vocab[int(token)] == BOS for token in store[i])]


def _follow(pointer: Path, root: Path) -> TokenStore | None:
    try:
        return TokenStore.open(root / pointer.read_text(encoding="utf-8"))
    except (OSError, ValueError, FormatError):
        return None


def _publish(pointer: Path, store: Path) -> None:
    """Write which store it is, whole or not at all."""
    try:
        pointer.parent.mkdir(exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=pointer.parent, delete=False, encoding="utf-8") as file:
            file.write(store.name)
        os.replace(file.name, pointer)  # noqa: PTH105 - by name, as the file has no Path
    except OSError:
        return  # the store itself is there; it is found by its content, only more slowly


def vocab_of(given: Any) -> Vocab | None:
    """Take a text vocabulary in the forms that users have it in.

    Args:
        given: a `Vocab`; a list of tokens; or a classifier's `dls.vocab`, the text vocabulary and the labels.

    Returns:
        The text vocabulary, or None if none was given.

    Raises:
        DataError: it is none of these.
    """
    if given is None or isinstance(given, Vocab):
        return given
    inner = getattr(given, "vocab", None)
    if isinstance(inner, Vocab):
        return inner
    if isinstance(given, list | tuple) and given:
        if all(isinstance(token, str) for token in given):
            return Vocab(given)
        return vocab_of(given[0])
    raise DataError(
        f"a text vocabulary is a Vocab, such as dls.vocab of a language model, or a list of tokens, "
        f"not {type(given).__name__}"
    )
