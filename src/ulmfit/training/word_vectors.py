"""What a language model knows of words, for n-grams to learn from.

V words, E embedding, N documents, K n-grams.

Source: Turian, Ratinov and Bengio 2010, "Word Representations: A Simple and General Method for Semi-Supervised
Learning" (vectors of words as further features of a linear model).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ulmfit.inference.bundle import Bundle
from ulmfit.inference.reading import Ints
from ulmfit.inference.spelling import Floats
from ulmfit.text.rules import SPECIAL_TOKENS
from ulmfit.text.vocab import FILLER, Vocab
from ulmfit.training.directions import Directions

_LENGTH = 0.5  # of the places beside those along the directions in which texts vary
_ENOUGH = 5_000  # documents to tell by how far texts lie apart


@dataclass(frozen=True)
class WordVectors:
    """Words as a language model embeds them. Words of similar use lie side by side.

    Args:
        vocab: V words.
        vectors: (V, E), of length 1; 0 for what is no word.
    """

    vocab: Vocab
    vectors: Floats

    @classmethod
    def of(cls, base: Bundle) -> WordVectors:
        """The embeddings of a language model, without what all of them have in common."""
        rows = base.weights["encoder.embedding.weight"].float().numpy()
        words = np.array([word not in SPECIAL_TOKENS and not word.startswith(FILLER) for word in base.vocab.itos])
        vectors = np.where(words[:, None], rows - rows[words].mean(0) if words.any() else 0, np.float32(0))
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        lengths[lengths == 0] = 1
        return cls(base.vocab, (vectors / lengths).astype(np.float32))

    def knows(self, words: Sequence[str]) -> Ints:
        """Where the words stand that the language model knows, rising."""
        rows = np.array([self.vocab.stoi.get(word, -1) for word in words], np.int64)
        real = np.flatnonzero((self.vectors != 0).any(1))
        return np.flatnonzero(np.isin(rows, real))

    def directions(self, words: Sequence[str], features: Any) -> Directions:
        """The dimensions of the vectors as directions.

        They are so long that the variances of the texts' places sum to a quarter: half as long as the directions in
        which the texts themselves vary.

        Args:
            words: the n-grams (K) that are one word, '' for the others.
            features: (N, K) sparse, of which the first ones are enough.
        """
        columns = self.knows(words)
        matrix = self.vectors[[self.vocab.stoi[words[i]] for i in columns]]
        spread = np.sqrt((features[:_ENOUGH, columns] @ matrix).var(0).sum())
        if not spread:
            columns, matrix = columns[:0], matrix[:0, :0]
        return Directions(columns=columns, matrix=(_LENGTH / (spread or 1) * matrix).astype(np.float32))
