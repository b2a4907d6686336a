"""Moving a language model onto another vocabulary.

V vocabulary, E embedding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ulmfit.text.rules import SPECIAL_TOKENS, UNK
from ulmfit.text.vocab import FILLER, Vocab, make_vocab

_NO_WORDS = frozenset(SPECIAL_TOKENS) - {UNK}
_BY_CLUSTER = ("decoder.clusters", "decoder.cluster_bias")
_BY_WORD = ("encoder.embedding.weight", "decoder.weight", "decoder.bias")


@dataclass(frozen=True, kw_only=True)
class Match:
    """How much of a vocabulary an older one covers.

    Args:
        shared: words that both have.
        new: words that only the new one has.
    """

    shared: int
    new: int


def occurrences(ids: npt.NDArray[Any], vocab: Vocab) -> dict[str, int]:
    """How often each entry of a vocabulary occurs among ids."""
    found = np.bincount(np.asarray(ids), minlength=len(vocab)).tolist()
    return dict(zip(vocab.itos, found, strict=True))


def coverage(counts: Mapping[str, int], vocab: Vocab) -> float:
    """The share of a running text's words that a vocabulary knows; special tokens do not count.

    Args:
        counts: how often each token occurs in the text; "xxunk" counts as a word that is not known.
        vocab: the vocabulary.
    """
    words = {word: n for word, n in counts.items() if word not in _NO_WORDS}
    known = sum(n for word, n in words.items() if word != UNK and word in vocab.stoi)
    return known / max(1, sum(words.values()))


def widen(counts: Mapping[str, int], base: Vocab, *, min_freq: int, max_vocab: int) -> Vocab:
    """The vocabulary for texts on which a pretrained model is to be trained further.

    It has all words of the model, so that a text may later use words that the training texts do not have, and of the
    training texts those that are frequent enough to be learned.

    Args:
        counts: how often each token occurs in the training texts.
        base: the model's vocabulary.
        min_freq: a word that the model does not know gets an entry if it is as frequent.
        max_vocab: largest number of words of the training texts; those that they do not have come on top.

    Returns:
        special tokens, the words of the texts from frequent to rare, and the model's other words in its order.
    """
    words = {w: n for w, n in counts.items() if n > 0 and (n >= min_freq or w in base.stoi) and not _is_extra(w)}
    frequent = sorted(words, key=lambda w: (-words[w], w))[:max_vocab]
    rank = {w: len(base) - i for i, w in enumerate(base.itos) if not _is_extra(w)}
    rank |= {w: len(base) + words[w] for w in frequent}
    return make_vocab(rank, min_freq=1, max_vocab=len(rank) + len(SPECIAL_TOKENS))


def _is_extra(word: str) -> bool:
    return word in SPECIAL_TOKENS or word.startswith(FILLER)


def match_vocab(
    weights: Mapping[str, Tensor], old: Vocab, new: Vocab, cutoffs: Sequence[int] = ()
) -> tuple[dict[str, Tensor], Match]:
    """A language model's weights for another vocabulary.

    Shared words keep their rows, new ones take the mean of all rows.

    Args:
        weights: of a language model with vocabulary `old`.
        old: V words.
        new: V' words.
        cutoffs: of the adaptive softmax, if there is one: a smaller vocabulary has fewer clusters, a larger one more,
            which start from zero.

    Returns:
        weights with V' rows where there were V, and the count of shared and new words.

    Source: Howard and Ruder 2018, section 3.2, as done in the authors' published code.
    """
    places = np.array([old.stoi.get(word, -1) for word in new.itos])
    index = torch.from_numpy(places)
    known = index >= 0
    moved = dict(weights)
    for name in _BY_WORD:
        if name in weights:
            rows = weights[name]
            taken = rows[index.clamp_min(0)].clone()
            taken[~known] = rows.mean(0)
            moved[name] = taken
    n_clusters = sum(c < len(new) for c in cutoffs)
    for name in _BY_CLUSTER:
        before = weights.get(name)
        moved.pop(name, torch.empty(0))
        if n_clusters and (name.endswith("clusters") or "decoder.bias" in weights):
            width = weights["encoder.embedding.weight"].shape[1]
            size = (n_clusters, width) if name.endswith("clusters") else (n_clusters,)
            moved[name] = torch.zeros(size)
            if before is not None:
                kept = min(n_clusters, len(before))
                moved[name][:kept] = before[:kept]
    shared = int(known.sum())
    return moved, Match(shared=shared, new=len(new) - shared)
