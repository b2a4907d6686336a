"""The vocabulary: which token has which id.

Legend: V is the number of entries of a vocabulary.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ulmfit.errors import ConfigError, DataError, FormatError
from ulmfit.text.rules import BOS, EOS, FLD, PAD, SPECIAL_TOKENS, TK_MAJ, TK_REP, TK_UP, TK_WREP, UNK

FILLER = "xxfake"
"""Entries that only fill a vocabulary up to a multiple of eight are named xxfake0, xxfake1 and so on."""

_FORMAT_VERSION = 1


class Vocab:
    """An immutable list of tokens and the way back from a token to its place in it.

    Args:
        itos: the tokens in the order of their ids (V entries). A token that occurs twice is found at its first place.

    Raises:
        DataError: if an entry is not a string, or the unknown token is missing.
    """

    __slots__ = ("itos", "stoi", "unk_idx")

    def __init__(self, itos: Sequence[str]) -> None:
        self.itos: tuple[str, ...] = tuple(itos)
        if {*map(type, self.itos)} - {str}:  # in bulk: a store is opened in milliseconds, and this is most of it
            for i, token in enumerate(self.itos):
                if not isinstance(token, str):
                    raise DataError(
                        f"Vocabulary entry {i} is {type(token).__name__} ({token!r:.50}); every entry must be a string."
                    )
        self.stoi: dict[str, int] = dict(zip(reversed(self.itos), range(len(self.itos) - 1, -1, -1), strict=True))
        if UNK not in self.stoi:
            raise DataError(
                f"The vocabulary ({len(self.itos)} entries) has no {UNK!r}, which stands for words that are not in it. "
                f"Make it with make_vocab, or put {UNK!r} first."
            )
        self.unk_idx: int = self.stoi[UNK]

    def __len__(self) -> int:
        return len(self.itos)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocab) and self.itos == other.itos

    def __hash__(self) -> int:
        return hash(self.itos)

    def __repr__(self) -> str:
        return f"Vocab({len(self.itos)} entries: {' '.join(self.itos[:12])} ...)"

    def __contains__(self, token: object) -> bool:
        return token in self.stoi

    def __getitem__(self, i: int) -> str:
        return self.itos[i]

    def _special(self, token: str) -> int:
        try:
            return self.stoi[token]
        except KeyError:
            raise DataError(f"The vocabulary ({len(self.itos)} entries) has no {token!r}.") from None

    @property
    def pad_idx(self) -> int:
        """Id of the padding token."""
        return self._special(PAD)

    @property
    def bos_idx(self) -> int:
        """Id of the token that begins a text."""
        return self._special(BOS)

    @property
    def eos_idx(self) -> int:
        """Id of the token that ends a text."""
        return self._special(EOS)

    @property
    def fld_idx(self) -> int:
        """Id of the token that begins a field."""
        return self._special(FLD)

    @property
    def rep_idx(self) -> int:
        """Id of the token before a repeated character."""
        return self._special(TK_REP)

    @property
    def wrep_idx(self) -> int:
        """Id of the token before a repeated word."""
        return self._special(TK_WREP)

    @property
    def up_idx(self) -> int:
        """Id of the token before a word in capitals."""
        return self._special(TK_UP)

    @property
    def maj_idx(self) -> int:
        """Id of the token before a capitalized word."""
        return self._special(TK_MAJ)

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger]:
        """The smallest of uint16 and uint32 that holds every id."""
        return np.dtype(np.uint16 if len(self.itos) < 1 << 16 else np.uint32)

    def numericalize(self, tokens: Iterable[str]) -> NDArray[np.int64]:
        """Find the ids of tokens; those not in the vocabulary get the id of the unknown token.

        Args:
            tokens: any number of tokens (T).

        Returns:
            The ids, int64 of shape (T,).
        """
        get, unk = self.stoi.get, self.unk_idx
        return np.fromiter((get(token, unk) for token in tokens), dtype=np.int64)

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Find the tokens of ids.

        Args:
            ids: any number of ids (T), an array or a tensor among others.

        Returns:
            The T tokens.

        Raises:
            DataError: if an id is not below V.
        """
        itos, out = self.itos, []
        for i in ids:
            if not 0 <= int(i) < len(itos):
                raise DataError(f"There is no id {int(i)} in a vocabulary of {len(itos)} entries.")
            out.append(itos[int(i)])
        return out

    def save(self, path: Path) -> None:
        """Write the vocabulary as JSON.

        Args:
            path: the file.
        """
        content = {"format": "ulmfit-vocab", "version": _FORMAT_VERSION, "itos": self.itos}
        Path(path).write_text(
            json.dumps(content, ensure_ascii=False, indent=0), encoding="utf-8", errors="surrogatepass"
        )

    @classmethod
    def load(cls, path: Path) -> Vocab:
        """Read what `save` wrote.

        Args:
            path: the file.

        Returns:
            The vocabulary.

        Raises:
            FormatError: if the file is no vocabulary, is damaged, or was written by a newer version.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8", errors="surrogatepass"))
            form, version, itos = content["format"], content["version"], content["itos"]
        except (ValueError, KeyError, TypeError) as error:
            raise FormatError(
                f"{path} is not a vocabulary written by this library, or is damaged ({error})."
            ) from error
        if form != "ulmfit-vocab" or not isinstance(itos, list):
            raise FormatError(f"{path} is not a vocabulary written by this library.")
        if version != _FORMAT_VERSION:
            raise FormatError(
                f"{path} has vocabulary format {version!r}; this version reads {_FORMAT_VERSION}. Upgrade ulmfit."
            )
        try:
            return cls(itos)
        except DataError as error:
            raise FormatError(f"{path} is damaged: {error}") from error


def make_vocab(
    count: Mapping[str, int], min_freq: int = 3, max_vocab: int = 60_000, special_toks: Sequence[str] | None = None
) -> Vocab:
    """Choose the tokens to keep from their counts.

    Args:
        count: how often each token occurs.
        min_freq: the least count of a token that is kept.
        max_vocab: the largest number of entries, special tokens included, fillers not.
        special_toks: the tokens that come first, whatever their count; None for the usual nine.

    Returns:
        The special tokens, then the others from frequent to rare (equally frequent ones in the order of their code
        points), then as many fillers as bring the size to a multiple of eight, none if it is one already.

    Raises:
        ConfigError: if `max_vocab` leaves no room for the special tokens, or `min_freq` is below 1.
    """
    special = tuple(SPECIAL_TOKENS if special_toks is None else special_toks)
    if min_freq < 1:
        raise ConfigError(f"min_freq is {min_freq}; it must be 1 or more.")
    if max_vocab < len(special):
        raise ConfigError(
            f"max_vocab is {max_vocab}, less than the {len(special)} special tokens that are always kept."
        )
    taken = set(special)
    kept = sorted((-n, token) for token, n in count.items() if n >= min_freq and token not in taken)
    itos = [*special, *(token for _, token in kept[: max_vocab - len(special)])]
    taken.update(itos)
    number = 0
    while len(itos) % 8:
        if (filler := f"{FILLER}{number}") not in taken:
            itos.append(filler)
        number += 1
    return Vocab(itos)


class Numericalize:
    """Turns tokens into ids, with a vocabulary that is given or made from the tokens. Never grows by looking up.

    Args:
        vocab: the vocabulary; None to make it with `setup`.
        min_freq: as for `make_vocab`.
        max_vocab: as for `make_vocab`.
        special_toks: as for `make_vocab`.
    """

    def __init__(
        self,
        vocab: Vocab | Sequence[str] | None = None,
        min_freq: int = 3,
        max_vocab: int = 60_000,
        special_toks: Sequence[str] | None = None,
    ) -> None:
        self.vocab: Vocab | None = vocab if vocab is None or isinstance(vocab, Vocab) else Vocab(vocab)
        self.min_freq, self.max_vocab, self.special_toks = min_freq, max_vocab, special_toks

    def setup(self, texts: Iterable[Iterable[str]]) -> Numericalize:
        """Make the vocabulary, if none was given.

        Args:
            texts: tokenized texts (N lists of tokens).

        Returns:
            Itself.
        """
        if self.vocab is None:
            count: Counter[str] = Counter()
            for tokens in texts:
                count.update(tokens)
            self.vocab = make_vocab(count, self.min_freq, self.max_vocab, self.special_toks)
        return self

    @property
    def o2i(self) -> Mapping[str, int]:
        """The id of each token."""
        return self._ready().stoi

    def _ready(self) -> Vocab:
        if self.vocab is None:
            raise ConfigError(
                "Numericalize has no vocabulary yet. Give one, or call setup with the tokenized texts first."
            )
        return self.vocab

    def __call__(self, tokens: Iterable[str]) -> NDArray[np.int64]:
        """Find the ids of tokens.

        Args:
            tokens: the tokens of one text (T).

        Returns:
            The ids, int64 of shape (T,).
        """
        return self._ready().numericalize(tokens)

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Find the tokens of ids.

        Args:
            ids: the ids of one text (T).

        Returns:
            The T tokens.
        """
        return self._ready().decode(ids)
