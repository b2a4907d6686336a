"""Documents as a model reads them: ids of its vocabulary, and how words are written that it does not know.

N documents, T tokens, V entries of the model's vocabulary and S of a store's, J words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ulmfit.text.rules import SPECIAL_TOKENS
from ulmfit.text.store import TokenStore
from ulmfit.text.tokenizers import Tokenizer
from ulmfit.text.vocab import Vocab

Ints = NDArray[np.int64]

_PIECE = 500_000  # tokens that are held at once


@dataclass(frozen=True)
class Piece:
    """Some of the documents, in memory.

    Args:
        ids: (T,) of the model's vocabulary, of all documents one after the other.
        entries: (T,) of the store's own vocabulary.
        offsets: (N + 1,) where each document begins, and the end of the last.
    """

    ids: Ints
    entries: Ints
    offsets: Ints


@dataclass(frozen=True)
class Strange:
    """The words of documents that something does not know.

    Args:
        words: J words.
        number: (S,) for each entry of the store's vocabulary its number among the words, or -1.
    """

    words: tuple[str, ...]
    number: Ints


@dataclass(frozen=True)
class Reading:
    """A store whose vocabulary may be wider than a model's.

    Args:
        store: N documents.
        vocab: of the model.
    """

    store: TokenStore
    vocab: Vocab

    @classmethod
    def of_texts(cls, texts: Iterable[str], tokenizer: Tokenizer, vocab: Vocab) -> Reading:
        """Texts as a model with this vocabulary reads them."""
        return cls(TokenStore.of_every_word(texts, tokenizer), vocab)

    def __len__(self) -> int:
        return len(self.store)

    @property
    def n_tokens(self) -> int:
        """The number of tokens of all documents."""
        return self.store.n_tokens

    def take(self, rows: NDArray[np.int64]) -> Reading:
        """Some documents, in memory, in the order of their numbers (n,)."""
        return Reading(self.store.take(rows), self.vocab)

    def joined(self, other: Reading) -> Reading:
        """These documents and then those of another reading of the same kind, in memory."""
        return Reading(self.store.joined(other.store), self.vocab)

    def narrowed(self) -> TokenStore:
        """The documents in ids of the model's vocabulary alone."""
        return self.store.with_vocab(self.vocab)

    def strange(self, known: NDArray[np.bool_]) -> Strange:
        """The words that occur and are not known; special tokens are none.

        Args:
            known: (V,) whether each word of the model's vocabulary is; the unknown one stands for all that it lacks.
        """
        entries = self.store.vocab
        occurs = np.zeros(len(entries), bool)
        occurs[self.store.ids] = True
        lacking = np.flatnonzero(occurs & ~known[self._ids])
        lacking = lacking[[entries[i] not in SPECIAL_TOKENS for i in lacking.tolist()]]
        number = np.full(len(entries), -1)
        number[lacking] = np.arange(len(lacking))
        return Strange(tuple(entries.decode(lacking)), number)

    def pieces(self) -> Iterator[Piece]:
        """The documents in pieces of about half a million tokens, each of whole ones."""
        store = self.store
        start, n = 0, len(store)
        while start < n:
            stop = int(np.searchsorted(store.offsets, store.offsets[start] + _PIECE, side="right")) - 1
            stop = min(n, max(stop, start + 1))
            offsets = store.offsets[start : stop + 1]
            entries = np.asarray(store.ids[offsets[0] : offsets[-1]]).astype(np.int64)
            yield Piece(self._ids[entries], entries, offsets - offsets[0])
            start = stop

    @cached_property
    def _ids(self) -> Ints:
        """For each entry of the store's vocabulary its id in the model's (S,)."""
        if self.store.vocab is self.vocab:
            return np.arange(len(self.vocab))
        return self.vocab.numericalize(self.store.vocab.itos)
