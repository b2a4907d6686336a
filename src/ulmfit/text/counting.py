"""Texts to ids in one pass, while the vocabulary is still unknown.

Every different token (a type) gets a provisional id when it is first seen. The ids are counted as they come; at the end
the vocabulary is chosen from the counts and the provisional ids are exchanged for the final ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ulmfit.text.engine import Encoded, Memo
from ulmfit.text.vocab import Vocab, make_vocab

if TYPE_CHECKING:
    from ulmfit.text.tokenizers import Tokenizer

MAX_TYPES = 300_000
"""A corpus with more types than this is counted approximately: the rarest are forgotten now and then."""


_MAX_PACKED = 60_000  # of the tokens of new pieces most are frequent ones


class Types:
    """The types seen so far, their provisional ids and how often they were seen.

    Args:
        max_types: see `MAX_TYPES`.
    """

    def __init__(self, max_types: int = MAX_TYPES) -> None:
        self.ids: dict[str, int] = {}
        self.n = 0
        self._max_types = max_types
        self._counts = np.zeros(1 << 16, dtype=np.int64)

    def add(self, token: str) -> int:
        """Give the id of a type, a new one if it was not seen before.

        Args:
            token: the type.

        Returns:
            Its provisional id.
        """
        known = self.ids.setdefault(token, self.n)
        self.n += known == self.n
        return known

    def count(self, ids: NDArray[np.uint32]) -> None:
        """Add ids to the counts.

        Args:
            ids: provisional ids.
        """
        if self.n > len(self._counts):
            self._counts = np.concatenate([self._counts, np.zeros(max(self.n, len(self._counts)), dtype=np.int64)])
        if len(ids):
            self._counts[: self.n] += np.bincount(ids, minlength=self.n)

    def prune(self) -> bool:
        """Forget the rarest types if there are too many. Their ids are not used again and mean the unknown token.

        Returns:
            Whether types were forgotten.
        """
        if len(self.ids) <= self._max_types:
            return False
        least = 1
        while len(self.ids) > self._max_types // 2:
            least += 1
            self.ids = {token: i for token, i in self.ids.items() if self._counts[i] >= least}
        return True

    def finish(
        self, min_freq: int, max_vocab: int, special_toks: Sequence[str] | None = None
    ) -> tuple[Vocab, NDArray[np.uint32]]:
        """Choose the vocabulary.

        Args:
            min_freq: as for `make_vocab`.
            max_vocab: likewise.
            special_toks: likewise.

        Returns:
            The vocabulary, and the final id for each provisional one.
        """
        counts = {token: int(self._counts[i]) for token, i in self.ids.items()}
        vocab = make_vocab(counts, min_freq, max_vocab, special_toks)
        final = np.full(self.n, vocab.unk_idx, dtype=np.uint32)
        for token, i in self.ids.items():
            final[i] = vocab.stoi.get(token, vocab.unk_idx)
        return vocab, final


class _Packed(dict[str, bytes]):
    """The id of each token as four bytes; that of a token not asked for before is looked up or made."""

    def __init__(self, tokenizer: Tokenizer, vocab: Vocab | None, types: Types) -> None:
        super().__init__()
        self._rules, self._vocab, self._types = tokenizer.post_rules, vocab, types

    def __missing__(self, token: str) -> bytes:
        finished = token
        for rule in self._rules:
            finished = rule(finished)
        vocab = self._vocab
        number = self._types.add(finished) if vocab is None else vocab.stoi.get(finished, vocab.unk_idx)
        answer = self[token] = number.to_bytes(4, "little")
        return answer


class Encoder:
    """Turns texts into ids: final ones if the vocabulary is given, else provisional ones, which are counted.

    Args:
        tokenizer: what cuts the texts.
        vocab: the vocabulary, or None.
        types: where provisional ids are given and counted; None to begin anew.
        max_types: how many types are counted, if `types` is not given.
    """

    def __init__(
        self, tokenizer: Tokenizer, vocab: Vocab | None = None, types: Types | None = None, max_types: int = MAX_TYPES
    ) -> None:
        self.vocab, self.types = vocab, types if types is not None else Types(max_types)
        self._packed = _Packed(tokenizer, vocab, self.types)
        self._memo = Memo(tokenizer.tok, tokenizer.rules, self._packed)

    def __call__(self, texts: Sequence[str]) -> Encoded:
        """Turn texts into ids.

        Args:
            texts: some texts.

        Returns:
            The ids of all texts, one after the other, and how many each text has.
        """
        ids, lengths = self._memo(texts)
        if self.vocab is None:
            self.types.count(ids)
        forget = self.types.prune()
        if forget:
            self._memo.forget()
        if forget or len(self._packed) > _MAX_PACKED:
            self._packed.clear()
        return ids, lengths
