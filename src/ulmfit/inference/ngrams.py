"""A linear model of which words and word pairs a text holds, whose numbers are added to the network's.

With few labels such models are hard to beat, and they err on other texts than a network does: together they are better
than either. Nothing here needs torch.

N documents, T tokens, V vocabulary, C classes, K n-grams.

Source: Wang and Manning 2012, "Baselines and Bigrams: Simple, Good Sentiment and Topic Classification"; Mesnil et al.
2014, "Ensemble of Generative and Discriminative Techniques for Sentiment Analysis of Movie Reviews" (a recurrent
network beside it).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ulmfit.errors import FormatError
from ulmfit.text.rules import BOS, TK_MAJ, TK_UP
from ulmfit.text.store import TokenStore
from ulmfit.text.vocab import Vocab

NGRAMS = "ngrams.safetensors"

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

_PART = 500_000  # tokens whose n-grams are held at once


@dataclass(frozen=True, kw_only=True)
class NGrams:
    """A linear model on the presence of n-grams.

    A text's numbers are the bias and the sum of the weights of its different n-grams, each times its scale, divided by
    the root of the sum of the squares of these scales.

    Args:
        longest: the largest number of tokens in an n-gram.
        skipped: (S,) ids that are left out before tokens are joined, such as that of the mark of a capital.
        keys: (K,) rising numbers of the n-grams, as `keys_of` gives them.
        scale: (K,) what the presence of each counts, above 0: 1, or its rarity (idf).
        weights: (K, C).
        bias: (C,).
        shares: (2,) the factors of the network's numbers and of these.
    """

    longest: int
    skipped: Ints
    keys: Ints
    scale: Floats
    weights: Floats
    bias: Floats
    shares: NDArray[np.float64]

    def outputs(self, store: TokenStore) -> Floats:
        """The numbers (N, C) for the documents of a store of the model's vocabulary."""
        parts = [self.features(part, len(store.vocab)) @ self.weights for part in portions(store)]
        return (np.concatenate(parts) + self.bias).astype(np.float32)

    def features(self, part: tuple[Ints, Ints], n_words: int) -> Any:
        """The scaled presence of n-grams in documents, a sparse matrix (N, K) with rows of length 1 (or 0).

        Args:
            part: ids and offsets, as `portions` gives them.
            n_words: entries V of the vocabulary.
        """
        from scipy.sparse import csr_matrix

        ids, offsets = part
        document, key = keys_by_document(ids, offsets, n_words, self.longest, self.skipped)
        column = find(self.keys, key)
        document, column = document[column >= 0], column[column >= 0]
        n = len(offsets) - 1
        values = self.scale[column]
        lengths = np.sqrt(np.bincount(document, values.astype(np.float64) ** 2, minlength=n))
        values = (values / lengths[document]).astype(np.float32)
        places = np.append(0, np.cumsum(np.bincount(document, minlength=n)))
        return csr_matrix((values, column, places), shape=(n, len(self.keys)))

    def join(self, network: Floats, ngrams: Floats) -> Floats:
        """The numbers (N, C) of the whole model from those of its two halves."""
        joined: Floats = (self.shares[0] * network + self.shares[1] * ngrams).astype(np.float32)
        return joined

    def contributions(self, ids: NDArray[Any], n_words: int, output: int) -> Floats:
        """What each token of a text (T,) adds to one of its numbers, before the share.

        The weight of an n-gram is divided among its occurrences and their tokens: all contributions and the bias make
        the number.
        """
        kept, found = _occurrences(ids.astype(np.int64), n_words, self)
        columns = np.concatenate([column for column, _ in found])
        known, counts = np.unique(columns[columns >= 0], return_counts=True)
        times = dict(zip(known.tolist(), counts.tolist(), strict=True))
        result = np.zeros(len(ids))
        for column, length in found:
            for place in np.flatnonzero(column >= 0):
                k = int(column[place])
                result[kept[place : place + length]] += self.scale[k] * self.weights[k, output] / (times[k] * length)
        result /= np.linalg.norm(self.scale[known]) if len(known) else 1
        return result.astype(np.float32)

    def save(self, folder: Path) -> None:
        """Write the file of a model folder."""
        from safetensors.numpy import save

        values = {field.name: np.ascontiguousarray(getattr(self, field.name)) for field in fields(self)}
        values["longest"] = np.array([self.longest], np.int64)
        (folder / NGRAMS).write_bytes(save(values))

    @classmethod
    def load(cls, folder: Path, n_words: int) -> NGrams:
        """Read the file of a model folder.

        Args:
            folder: the folder.
            n_words: entries of its vocabulary.

        Raises:
            FormatError: it is damaged, or of another vocabulary.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            values: dict[str, Any] = dict(load((folder / NGRAMS).read_bytes()))
            values["longest"] = int(values["longest"][0])
            ngrams = cls(**values)
            _check(ngrams, n_words)
        except (SafetensorError, OSError, KeyError, TypeError, ValueError, IndexError) as error:
            raise FormatError(f"{folder / NGRAMS} is damaged: {type(error).__name__}: {error}") from error
        return ngrams


def _check(ngrams: NGrams, n_words: int) -> None:
    n, classes = ngrams.weights.shape
    if (
        not ngrams.keys.shape == ngrams.scale.shape == (n,)
        or ngrams.bias.shape != (classes,)
        or ngrams.shares.shape != (2,)
    ):
        raise ValueError("its arrays do not belong together")
    if ngrams.longest < 1 or np.any(np.diff(ngrams.keys) <= 0):
        raise ValueError("its keys are none")
    if n and (ngrams.keys[0] < 1 or ngrams.keys[-1] >= (n_words + 1) ** ngrams.longest):
        raise ValueError(f"its keys are of another vocabulary than that of {n_words} words")


def skipped_ids(vocab: Vocab) -> Ints:
    """What carries no meaning beside the word behind it: the beginning of a text, the marks of capitals."""
    return np.array(sorted(vocab.stoi[token] for token in (BOS, TK_MAJ, TK_UP) if token in vocab.stoi), np.int64)


def keys_of(ids: Ints, n_words: int, length: int) -> Ints:
    """The numbers of the n-grams of `length` tokens (T - length + 1,) of T ids.

    They are digits of 1 to V in a number of base V + 1, so that no two n-grams of whatever length have the same one.
    """
    keys = np.zeros(max(0, len(ids) - length + 1), np.int64)
    for i in range(length):
        keys = keys * (n_words + 1) + ids[i : i + len(keys)] + 1
    return keys


def longest_that_fits(n_words: int, wanted: int) -> int:
    """The largest number of tokens, at most `wanted`, whose n-grams have numbers of 63 bits."""
    return max(n for n in range(1, wanted + 1) if n == 1 or (n_words + 1) ** n < 2**63)


def keys_by_document(ids: Ints, offsets: Ints, n_words: int, longest: int, skipped: Ints) -> tuple[Ints, Ints]:
    """All n-grams of documents.

    Args:
        ids: (T,) of all documents one after the other.
        offsets: (N + 1,) where each begins.
        n_words: entries V of the vocabulary.
        longest: the largest number of tokens.
        skipped: ids to leave out.

    Returns:
        documents and keys, one pair for each document and different n-gram in it, in rising order.
    """
    of = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    keep = ~np.isin(ids, skipped)
    ids, of = ids[keep], of[keep]
    documents, keys = [], []
    for length in range(1, longest + 1):
        found = keys_of(ids, n_words, length)
        whole = of[: len(found)] == of[length - 1 :]  # begins and ends in the same document
        documents.append(of[: len(found)][whole])
        keys.append(found[whole])
    document, key = np.concatenate(documents), np.concatenate(keys)
    order = np.lexsort((key, document))
    document, key = document[order], key[order]
    first = np.ones(len(key), bool)
    first[1:] = (document[1:] != document[:-1]) | (key[1:] != key[:-1])
    return document[first], key[first]


def find(keys: Ints, wanted: Ints) -> Ints:
    """Where in rising keys each wanted one stands; -1 for those that are not there."""
    if not len(keys):
        return np.full(len(wanted), -1)
    place = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
    return np.where(keys[place] == wanted, place, -1)


def portions(store: TokenStore) -> Iterator[tuple[Ints, Ints]]:
    """A store as pieces of ids and offsets, each of about half a million tokens, of whole documents."""
    start, n = 0, len(store)
    while start < n:
        stop = int(np.searchsorted(store.offsets, store.offsets[start] + _PART, side="right")) - 1
        stop = min(n, max(stop, start + 1))
        offsets = store.offsets[start : stop + 1]
        yield np.asarray(store.ids[offsets[0] : offsets[-1]]).astype(np.int64), offsets - offsets[0]
        start = stop


def _occurrences(ids: Ints, n_words: int, of: NGrams) -> tuple[Ints, list[tuple[Ints, int]]]:
    """Where the tokens that count stand; for each length, the columns (or -1) of the n-grams that begin there."""
    kept = np.flatnonzero(~np.isin(ids, of.skipped))
    lengths = range(1, of.longest + 1)
    return kept, [(find(of.keys, keys_of(ids[kept], n_words, length)), length) for length in lengths]


def from_config(folder: Path, config: Mapping[str, Any], n_words: int) -> NGrams | None:
    """The n-grams of a model folder, if its configuration says that there are any."""
    return NGrams.load(folder, n_words) if config.get("ngrams") else None
