"""Texts to ids in one pass, while the vocabulary is still unknown.

Every token gets a provisional id when it is first seen. The ids are counted as they come; at the end the vocabulary is
chosen from the counts and the provisional ids are exchanged for the final ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ulmfit.text.engine import Memo
from ulmfit.text.rules import Rule
from ulmfit.text.tokenizers import Tokenizer
from ulmfit.text.vocab import Vocab, make_vocab

MAX_TYPES = 1_000_000
"""A corpus with more different tokens than this is counted approximately: the rarest are forgotten now and then."""

_ID = np.dtype(np.uint32)


class _Ids(dict[str, bytes]):
    """The packed id of each token as spaCy gives it; new tokens get the next id."""

    def __init__(self, post_rules: Sequence[Rule], vocab: Vocab | None) -> None:
        super().__init__()
        self._rules = post_rules
        self._vocab = vocab
        self.types: dict[str, bytes] = {}
        self.n_types = 0

    def __missing__(self, token: str) -> bytes:
        finished = token
        for rule in self._rules:
            finished = rule(finished)
        if self._vocab is not None:
            answer = self._vocab.stoi.get(finished, self._vocab.unk_idx).to_bytes(4, "little")
        elif (known := self.types.get(finished)) is None:
            answer = self.types[finished] = self.n_types.to_bytes(4, "little")
            self.n_types += 1
        else:
            answer = known
        self[token] = answer
        return answer


class IdCounter:
    """Turns texts into ids: final ones if the vocabulary is given, else provisional ones, which are counted.

    Args:
        tokenizer: what cuts the texts.
        vocab: the vocabulary, or None to make one at the end.
        max_types: see `MAX_TYPES`.
    """

    def __init__(self, tokenizer: Tokenizer, vocab: Vocab | None = None, max_types: int = MAX_TYPES) -> None:
        self._ids = _Ids(tokenizer.post_rules, vocab)
        self._memo: Memo[bytes] = Memo(tokenizer.tok, tokenizer.rules, self._ids, b"".join)
        self._vocab, self._max_types = vocab, max_types
        self._counts = np.zeros(1 << 16, dtype=np.int64)

    def __call__(self, texts: Sequence[str]) -> tuple[NDArray[np.uint32], list[int]]:
        """Turn texts into ids.

        Args:
            texts: some texts.

        Returns:
            The ids of all texts, one after the other, and how many each text has.
        """
        documents = [b"".join(pieces) for pieces in self._memo(texts)]
        ids = np.frombuffer(b"".join(documents), dtype="<u4")
        if self._vocab is None:
            self.count(ids)
            self._prune()
        elif len(self._ids) > self._max_types:
            self._ids.clear()
        return ids, [len(document) // 4 for document in documents]

    def count(self, ids: NDArray[np.uint32]) -> None:
        """Add ids to the counts.

        Args:
            ids: provisional ids.
        """
        n = self._ids.n_types
        if n > len(self._counts):
            self._counts = np.concatenate([self._counts, np.zeros(max(n, len(self._counts)), dtype=np.int64)])
        if len(ids):
            self._counts[:n] += np.bincount(ids, minlength=n)

    def _prune(self) -> None:
        """Forget the names of the rarest tokens. Their ids are not used again and stand for the unknown token."""
        if len(self._ids.types) <= self._max_types:
            return
        least = 1
        kept = self._ids.types
        while len(kept) > self._max_types // 2:
            least += 1
            kept = {t: i for t, i in kept.items() if self._counts[int.from_bytes(i, "little")] >= least}
        self._ids.types = kept
        self._ids.clear()
        self._memo.forget()

    def counts(self) -> dict[str, int]:
        """Tell how often each token was seen.

        Returns:
            Token and count.
        """
        return {t: int(self._counts[int.from_bytes(i, "little")]) for t, i in self._ids.types.items()}

    def finish(self, min_freq: int, max_vocab: int) -> tuple[Vocab, NDArray[np.uint32]]:
        """Choose the vocabulary.

        Args:
            min_freq: as for `make_vocab`.
            max_vocab: likewise.

        Returns:
            The vocabulary, and the final id for each provisional one.
        """
        vocab = self._vocab or make_vocab(self.counts(), min_freq, max_vocab)
        if self._vocab is not None:
            return vocab, np.arange(len(vocab), dtype=_ID)
        final = np.full(self._ids.n_types, vocab.unk_idx, dtype=_ID)
        for token, packed in self._ids.types.items():
            final[int.from_bytes(packed, "little")] = vocab.stoi.get(token, vocab.unk_idx)
        return vocab, final
