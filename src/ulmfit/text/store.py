"""A corpus as numbers: the ids of all texts in one array, and where each text begins.

Legend: N is the number of documents.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ulmfit.errors import DataError
from ulmfit.text.tokenizers import Tokenizer
from ulmfit.text.vocab import Vocab, make_vocab

Ids = NDArray[np.uint16] | NDArray[np.uint32]
Progress = Callable[[int, int | None], None]


class TokenStore:
    """The ids of N documents.

    Args:
        ids: the ids of all documents one after the other, uint16 or uint32.
        offsets: where each document begins, and the end of the last; int64 of shape (N + 1,).
        vocab: what the ids mean.

    Raises:
        DataError: if ids and offsets do not belong together.
    """

    def __init__(self, ids: Ids, offsets: NDArray[np.int64], vocab: Vocab) -> None:
        if len(offsets) < 1 or offsets[0] != 0 or offsets[-1] != len(ids):
            raise DataError(f"The offsets of a store must begin with 0 and end with the number of ids ({len(ids)}).")
        self.ids, self.offsets, self.vocab = ids, offsets, vocab

    @property
    def lengths(self) -> NDArray[np.int64]:
        """The number of tokens of each document, int64 of shape (N,)."""
        return np.diff(self.offsets)

    @property
    def n_tokens(self) -> int:
        """The number of tokens of all documents."""
        return len(self.ids)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, i: int) -> Ids:
        n = len(self)
        if not -n <= i < n:
            raise IndexError(f"There is no document {i} in a store of {n} documents.")
        i %= n
        return self.ids[self.offsets[i] : self.offsets[i + 1]]

    @classmethod
    def build(
        cls,
        texts: Iterable[str],
        tokenizer: Tokenizer,
        *,
        vocab: Vocab | None = None,
        min_freq: int = 3,
        max_vocab: int = 60_000,
        workers: int = 1,
        cache_dir: Path | None = None,
        progress: Progress | None = None,
    ) -> TokenStore:
        """Tokenize texts and turn the tokens into ids.

        Args:
            texts: any number of texts.
            tokenizer: what cuts them.
            vocab: which id each token has; None to make a vocabulary from these texts.
            min_freq: as for `make_vocab`, if a vocabulary is made.
            max_vocab: likewise.
            workers: the number of processes that tokenize.
            cache_dir: where to keep the store; None to keep it in memory only.
            progress: called now and then with the number of documents done and, if known, of all.

        Returns:
            The store.

        Raises:
            DataError: if one of the texts is not a string; the message names its position.
        """
        tokens = list(tokenizer.tokenize(texts))
        if vocab is None:
            count: Counter[str] = Counter()
            for document in tokens:
                count.update(document)
            vocab = make_vocab(count, min_freq, max_vocab)
        offsets = np.zeros(len(tokens) + 1, dtype=np.int64)
        np.cumsum([len(document) for document in tokens], out=offsets[1:])
        ids = np.empty(offsets[-1], dtype=vocab.dtype)
        for i, document in enumerate(tokens):
            ids[offsets[i] : offsets[i + 1]] = vocab.numericalize(document)
        if progress is not None:
            progress(len(tokens), len(tokens))
        return cls(ids, offsets, vocab)
