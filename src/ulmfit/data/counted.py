"""The parts of a source as ids, and which texts are counted for the vocabulary of both."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from ulmfit.data.getters import METADATA_FILES, get_files
from ulmfit.data.items import Items, Rows
from ulmfit.data.stores import build_store, cache_root, find_store, warn_of_empty
from ulmfit.data.text_block import TextBlock
from ulmfit.data.texts import DocumentFiles
from ulmfit.errors import DataError
from ulmfit.text.store import TokenStore, vocabulary_setting
from ulmfit.text.vocab import Vocab

_PARTS = ("train texts", "valid texts")


def stores_of(items: Items, parts: Sequence[Rows], text: TextBlock) -> list[TokenStore]:
    """Turn the parts to learn from and to check with into ids, with one vocabulary.

    Where more than the first part is counted (`TextBlock.count`), all that is counted is tokenized at once and kept
    under its own name in the cache, so that other parts of the same texts are found there.

    Args:
        items: N items.
        parts: the numbers of those of each part, rising.
        text: how texts become ids.

    Returns:
        A store for each part.

    Raises:
        DataError: a text cannot be read.
    """
    stores = _of_all(items, parts, text) if text.count != "train" else None
    if stores is None:
        stores, vocab = [], text.vocab
        for rows, what in zip(parts, _PARTS, strict=True):
            stores.append(_store(items.texts(rows), text, vocab, what))
            vocab = stores[0].vocab
    for store, rows, what in zip(stores, parts, _PARTS, strict=True):
        warn_of_empty(store, what, rows + 1)
    return stores


def _of_all(items: Items, parts: Sequence[Rows], text: TextBlock) -> list[TokenStore] | None:
    """Both parts out of a store of all texts; None if the vocabulary is given and is not that of such a store."""
    texts, place = items.texts(np.arange(len(items))), np.arange(len(items))
    if isinstance(text.count, Path) and isinstance(texts, DocumentFiles):
        files, place = _with_folder(texts.files, text.count, text.skip)
        texts = DocumentFiles(files, text.encoding)
    if text.vocab is None:
        whole: TokenStore | None = _store(texts, text, None, "texts")
    else:
        setting = vocabulary_setting(text.min_freq, text.max_vocab, text.special_toks)
        whole = find_store(texts, text.tokenizer, setting, text.cache)
    if whole is None or (text.vocab is not None and whole.vocab != text.vocab):
        return None
    return [whole.select(place[rows], cache_root(text.cache)) for rows in parts]


def _store(texts: Iterable[str], text: TextBlock, vocab: Vocab | None, what: str) -> TokenStore:
    return build_store(
        texts,
        text.tokenizer,
        vocab=vocab,
        special_toks=text.special_toks,
        min_freq=text.min_freq,
        max_vocab=text.max_vocab,
        n_workers=text.n_workers,
        cache=text.cache,
        what=what,
    )


def _with_folder(files: Sequence[Path], folder: Path, skip: Sequence[str]) -> tuple[list[Path], Rows]:
    """The text files of a folder with those of the items that are not among them, and which the items are."""
    real = cache(os.path.realpath)  # of folders, of which there are few

    def name(file: Path) -> tuple[str, str]:
        head, tail = os.path.split(file)
        return real(head), tail

    try:
        found = list(get_files(folder, ".txt", skip=[*METADATA_FILES, *skip]))
    except DataError:
        found = []  # items are found elsewhere
    places = {name(file): i for i, file in enumerate(found)}
    chosen = []
    for file in files:
        place = places.setdefault(name(file), len(found))
        if place == len(found):
            found.append(file)
        chosen.append(place)
    return found, np.array(chosen, dtype=np.int64)
