"""A linear model of which words and word pairs a text holds, whose numbers are added to the network's.

With few labels such models are hard to beat, and they err on other texts than a network does: together they are better
than either. Words that are none of its n-grams it knows by their letters. Nothing here needs torch.

N documents, T tokens, V vocabulary, C classes, K n-grams, J words that are none of them.

Source: Wang and Manning 2012, "Baselines and Bigrams: Simple, Good Sentiment and Topic Classification"; Mesnil et al.
2014, "Ensemble of Generative and Discriminative Techniques for Sentiment Analysis of Movie Reviews" (a recurrent
network beside it).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ulmfit.errors import FormatError
from ulmfit.inference.reading import Ints, Piece, Reading, Strange
from ulmfit.inference.spelling import Floats, Spelling
from ulmfit.text.rules import BOS, SPECIAL_TOKENS, TK_MAJ, TK_UP
from ulmfit.text.vocab import Vocab

NGRAMS = "ngrams.safetensors"

_COUNTED = "counted"
_LONGEST = 63  # tokens of an n-gram, as even of a vocabulary of one word no longer ones have numbers of 63 bits


@dataclass(frozen=True, kw_only=True)
class NGrams:
    """A linear model on the n-grams that texts hold.

    A text's numbers are the bias and the sum of the weights of its different n-grams, each times what it counts there,
    divided by the root of the sum of the squares of what they count: the scale, or with `counted` the scale times
    1 + log(how often the text holds it). A word that is no n-gram counts as one with the weights of its spelling, if
    something has been learned of spellings.

    Args:
        longest: the largest number of tokens in an n-gram.
        skipped: (S,) ids that are left out before tokens are joined, such as that of the mark of a capital.
        keys: (K,) rising numbers of the n-grams, as `keys_of` gives them.
        scale: (K,) what the presence of each counts, above 0: 1, or its rarity (idf).
        weights: (K, C).
        bias: (C,).
        shares: (2,) the factors of the network's numbers and of these.
        spelling: what the parts of a word tell.
        counted: whether it matters how often a text holds an n-gram, not only that it does.
    """

    longest: int
    skipped: Ints
    keys: Ints
    scale: Floats
    weights: Floats
    bias: Floats
    shares: NDArray[np.float64]
    spelling: Spelling | None = None
    counted: bool = False

    def outputs(self, reading: Reading) -> Floats:
        """The numbers (N, C) for documents, read with the model's vocabulary."""
        spelling = self.spelling
        if spelling is None:
            parts = [features @ self.weights for features, _ in self.features(reading)]
        else:
            strange = reading.strange(self.known(len(reading.vocab)))
            spelt = spelling.of_words(strange.words)
            both = self.features(reading, strange, spelling.scale)
            parts = [features @ self.weights + of_strange @ spelt for features, of_strange in both]
        return (np.concatenate(parts) + self.bias).astype(np.float32)

    def known(self, n_words: int) -> NDArray[np.bool_]:
        """Whether each word of the vocabulary is an n-gram (V,)."""
        known = np.zeros(n_words, bool)
        known[self.keys[: np.searchsorted(self.keys, n_words, side="right")] - 1] = True
        return known

    def features(
        self, reading: Reading, strange: Strange | None = None, strange_scale: float = 0.0
    ) -> Iterator[tuple[Any, Any]]:
        """What n-grams count in documents, in rows of length 1 (or 0), for one piece after the other.

        Args:
            reading: the documents.
            strange: the words that are no n-grams; None to pass over them.
            strange_scale: what the presence of each of these counts.

        Yields:
            sparse matrices (N, K) and (N, J), which together have these rows.
        """
        from scipy.sparse import csr_matrix

        for piece in reading.pieces():
            n = len(piece.offsets) - 1
            document, key, times = keys_by_document(piece, len(reading.vocab), self.longest, self.skipped)
            column = find(self.keys, key)
            document, times, column = (array[column >= 0] for array in (document, times, column))
            of, word, often = (document[:0],) * 3 if strange is None else strange_by_document(piece, strange)
            values = self.scale[column] * self._worth(times)
            strangely = strange_scale * self._worth(often)
            squares = np.bincount(document, values**2, minlength=n) + np.bincount(of, strangely**2, minlength=n)
            lengths = np.sqrt(squares)
            yield (
                csr_matrix(((values / lengths[document]).astype(np.float32), (document, column)), (n, len(self.keys))),
                csr_matrix(
                    ((strangely / lengths[of]).astype(np.float32), (of, word)),
                    (n, 0 if strange is None else len(strange.words)),
                ),
            )

    def _worth(self, times: Ints) -> NDArray[np.float64]:
        """What it matters to be in a text so many times, beside being there once."""
        return 1 + np.log(times) if self.counted else np.ones(len(times))

    def join(self, network: Floats, ngrams: Floats) -> Floats:
        """The numbers (N, C) of the whole model from those of its two halves."""
        joined: Floats = (self.shares[0] * network + self.shares[1] * ngrams).astype(np.float32)
        return joined

    def contributions(self, tokens: Sequence[str], vocab: Vocab, output: int) -> Floats:
        """What each token of a text (T,) adds to one of its numbers, before the share.

        The weight of an n-gram is divided among its occurrences and their tokens: all contributions and the bias make
        the number.
        """
        ids = vocab.numericalize(tokens)
        found = _occurrences(ids, len(vocab), self)
        columns = np.concatenate([column for column, _, _ in found])
        there, times = np.unique(columns[columns >= 0], return_counts=True)
        values = self.scale[there] * self._worth(times)
        result, square = np.zeros(len(ids)), float((values**2).sum())
        each = values * self.weights[there, output] / times
        for column, places, length in found:
            for i in np.flatnonzero(column >= 0):
                result[places[i : i + length]] += each[np.searchsorted(there, column[i])] / length
        if self.spelling is not None:
            lacking = np.flatnonzero(~self.known(len(vocab))[ids]).tolist()
            strange = {n: tokens[n] for n in lacking if tokens[n] not in SPECIAL_TOKENS}
            often = Counter(strange.values())
            times = np.array([*often.values()], np.int64)
            values = self.spelling.scale * self._worth(times)
            of_words = values * self.spelling.of_words([*often])[:, output] / times
            share = dict(zip(often, of_words.tolist(), strict=True))
            for n, word in strange.items():
                result[n] += share[word]
            square += float((values**2).sum())
        return (result / (np.sqrt(square) or 1)).astype(np.float32)

    def save(self, folder: Path) -> None:
        """Write the file of a model folder."""
        from safetensors.numpy import save

        names = [field.name for field in fields(self) if field.name not in ("longest", "spelling", _COUNTED)]
        values = {name: np.ascontiguousarray(getattr(self, name)) for name in names}
        values["longest"] = np.array([self.longest], np.int64)
        values |= {_COUNTED: np.array([1], np.int64)} if self.counted else {}
        values |= {} if self.spelling is None else self.spelling.arrays()
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
            spelling = Spelling.of_arrays(values)
            values["longest"] = int(values["longest"][0])
            values[_COUNTED] = bool(int(values.get(_COUNTED, [0])[0]))
            ngrams = cls(**values, spelling=spelling)
            _check(ngrams, n_words)
        except (SafetensorError, OSError, KeyError, TypeError, ValueError, IndexError, RecursionError) as error:
            raise FormatError(f"{folder / NGRAMS} is damaged: {type(error).__name__}: {error}") from error
        return ngrams


def _check(ngrams: NGrams, n_words: int) -> None:
    whole = {"keys": ngrams.keys, "skipped": ngrams.skipped}
    real = {name: getattr(ngrams, name) for name in ("scale", "weights", "bias", "shares")}
    if ngrams.spelling is not None:
        real |= {"rarity": ngrams.spelling.rarity, "part_weights": ngrams.spelling.weights}
    for kind, arrays in (("i", whole), ("f", real)):
        for name, array in arrays.items():
            if array.dtype.kind != kind or not np.isfinite(array).all():
                raise ValueError(f"its {name} are no finite numbers of their kind")
    n, classes = ngrams.weights.shape
    if (
        not ngrams.keys.shape == ngrams.scale.shape == (n,)
        or ngrams.bias.shape != (classes,)
        or ngrams.shares.shape != (2,)
        or (ngrams.spelling is not None and ngrams.spelling.weights.shape[1] != classes)
    ):
        raise ValueError("its arrays do not belong together")
    if not 1 <= ngrams.longest <= _LONGEST or np.any(np.diff(ngrams.keys) <= 0):
        raise ValueError("its keys are none")
    if (ngrams.scale <= 0).any():
        raise ValueError("its n-grams are counted by numbers that are not above 0")
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


def lengths_of(keys: Ints, n_words: int) -> Ints:
    """How many tokens each n-gram (K,) has."""
    lengths, rest = np.zeros(len(keys), np.int64), keys
    while rest.any():
        lengths += rest > 0
        rest = rest // (n_words + 1)
    return lengths


def keys_with(word: int, keys: Ints, n_words: int) -> NDArray[np.bool_]:
    """Which n-grams (K,) hold a word, by its id."""
    found, rest = np.zeros(len(keys), bool), keys
    while rest.any():
        found |= rest % (n_words + 1) == word + 1
        rest = rest // (n_words + 1)
    return found


def longest_that_fits(n_words: int, wanted: int) -> int:
    """The largest number of tokens, at most `wanted`, whose n-grams have numbers of 63 bits."""
    return max(n for n in range(1, wanted + 1) if n == 1 or (n_words + 1) ** n < 2**63)


def keys_by_document(piece: Piece, n_words: int, longest: int, skipped: Ints) -> tuple[Ints, Ints, Ints]:
    """All n-grams of documents.

    Args:
        piece: the documents.
        n_words: entries V of the vocabulary.
        longest: the largest number of tokens.
        skipped: ids to leave out.

    Returns:
        documents and keys, one pair for each document and different n-gram in it, in rising order, and how often it is
        there.
    """
    keep = ~np.isin(piece.ids, skipped)
    ids, of = piece.ids[keep], _documents(piece)[keep]
    documents, keys = [], []
    for length in range(1, longest + 1):
        found = keys_of(ids, n_words, length)
        whole = of[: len(found)] == of[length - 1 :]  # begins and ends in the same document
        documents.append(of[: len(found)][whole])
        keys.append(found[whole])
    return _each_once(np.concatenate(documents), np.concatenate(keys))


def strange_by_document(piece: Piece, strange: Strange) -> tuple[Ints, Ints, Ints]:
    """Documents and the numbers of the strange words in them, one pair for each different one, and how often it is."""
    number = strange.number[piece.entries]
    return _each_once(_documents(piece)[number >= 0], number[number >= 0])


def _documents(piece: Piece) -> Ints:
    """The document of each token (T,)."""
    return np.repeat(np.arange(len(piece.offsets) - 1), np.diff(piece.offsets))


def _each_once(document: Ints, key: Ints) -> tuple[Ints, Ints, Ints]:
    """Each different pair once, in rising order, and how often it was there."""
    order = np.lexsort((key, document))
    document, key = document[order], key[order]
    first = np.ones(len(key), bool)
    first[1:] = (document[1:] != document[:-1]) | (key[1:] != key[:-1])
    return document[first], key[first], np.diff(np.append(np.flatnonzero(first), len(key)))


def find(keys: Ints, wanted: Ints) -> Ints:
    """Where in rising keys each wanted one stands; -1 for those that are not there."""
    if not len(keys):
        return np.full(len(wanted), -1)
    place = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
    return np.where(keys[place] == wanted, place, -1)


def _occurrences(ids: Ints, n_words: int, of: NGrams) -> list[tuple[Ints, Ints, int]]:
    """For each length the columns (or -1) of the n-grams that begin at tokens that count, and where these stand."""
    kept = np.flatnonzero(~np.isin(ids, of.skipped))
    lengths = range(1, of.longest + 1)
    return [(find(of.keys, keys_of(ids[kept], n_words, length)), kept, length) for length in lengths]


def from_config(folder: Path, config: Mapping[str, Any], n_words: int) -> NGrams | None:
    """The n-grams of a model folder, if its configuration says that there are any."""
    return NGrams.load(folder, n_words) if config.get("ngrams") else None
