"""A corpus as numbers: the ids of all texts in one array, and where each text begins.

Legend: N is the number of documents.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ulmfit.errors import ConfigError, DataError, FormatError
from ulmfit.text.batching import batches, refuse_one_text
from ulmfit.text.cache import ContentHash, full_disk_named, publish, usable_folder
from ulmfit.text.counting import MAX_TYPES, Types
from ulmfit.text.tokenizers import Tokenizer
from ulmfit.text.vocab import Vocab
from ulmfit.text.workers import encode_parallel

Ids = NDArray[np.uint16] | NDArray[np.uint32]
Progress = Callable[[int, int | None], None]

_FORMAT, _FORMAT_VERSION = "ulmfit-store", 2
_META, _IDS, _OFFSETS, _VOCAB = "store.json", "ids.bin", "offsets.bin", "vocab.json"
_NO_LIMIT = 2**31 - 1  # of a vocabulary
_BLOCK = 1 << 20  # ids that are exchanged at once
_SAMPLES, _SAMPLE = 64, 4096  # blocks of bytes whose checksum is compared on opening


class TokenStore:
    """The ids of N documents.

    Args:
        ids: the ids of all documents one after the other, uint16 or uint32; in memory or mapped from a file.
        offsets: where each document begins, and the end of the last; int64 of shape (N + 1,).
        vocab: what the ids mean.
        path: the folder that holds these documents, if there is one.

    Raises:
        DataError: if ids and offsets do not belong together.
    """

    def __init__(self, ids: Ids, offsets: NDArray[np.int64], vocab: Vocab, path: Path | None = None) -> None:
        if len(offsets) < 1 or offsets[0] != 0 or offsets[-1] != len(ids):
            raise DataError(f"The offsets of a store must begin with 0 and end with the number of ids ({len(ids)}).")
        self.ids, self.offsets, self.vocab, self.path = ids, offsets, vocab, path

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
        if not isinstance(i, int | np.integer):
            raise TypeError(f"A store is indexed by the number of one document, not by {type(i).__name__}.")
        n = len(self)
        if not -n <= i < n:
            raise IndexError(f"There is no document {i} in a store of {n} documents.")
        i %= n
        return self.ids[self.offsets[i] : self.offsets[i + 1]]

    def take(self, rows: NDArray[np.int64]) -> TokenStore:
        """Some documents, in memory.

        Args:
            rows: their numbers (n,), in the order wanted.

        Raises:
            IndexError: there is no such document.
        """
        ids = np.concatenate([self.ids[:0], *(self[i] for i in rows)])
        return TokenStore(ids, np.append(0, np.cumsum(self.lengths[rows])), self.vocab)

    def joined(self, other: TokenStore) -> TokenStore:
        """These documents and then those of another store with the same vocabulary, in memory."""
        offsets = np.append(self.offsets, self.offsets[-1] + other.offsets[1:])
        return TokenStore(np.concatenate([self.ids, other.ids]), offsets, self.vocab)

    def with_vocab(self, vocab: Vocab) -> TokenStore:
        """The same documents with the ids of another vocabulary, in memory; tokens that it lacks become unknown."""
        if vocab is self.vocab:
            return self
        return TokenStore(vocab.numericalize(self.vocab.itos).astype(vocab.dtype)[self.ids], self.offsets, vocab)

    def cut(self, row: int) -> tuple[TokenStore, TokenStore]:
        """The documents before one, and those from it on; nothing is copied."""
        start = self.offsets[row]
        return (
            TokenStore(self.ids[:start], self.offsets[: row + 1], self.vocab),
            TokenStore(self.ids[start:], self.offsets[row:] - start, self.vocab),
        )

    def __repr__(self) -> str:
        return f"TokenStore({len(self):,} documents, {self.n_tokens:,} tokens, {len(self.vocab):,} entries)"

    @classmethod
    def build(
        cls,
        texts: Iterable[str],
        tokenizer: Tokenizer,
        *,
        vocab: Vocab | None = None,
        min_freq: int = 3,
        max_vocab: int = 60_000,
        special_toks: Sequence[str] | None = None,
        workers: int = 1,
        cache_dir: Path | None = None,
        progress: Progress | None = None,
    ) -> TokenStore:
        """Tokenize texts and turn the tokens into ids, or find the store where that was done before.

        Args:
            texts: any number of texts. If it can be iterated over again (a list, not a generator), a finished store is
                found without tokenizing.
            tokenizer: what cuts them.
            vocab: which id each token has; None to make a vocabulary from these texts.
            min_freq: as for `make_vocab`, if a vocabulary is made.
            max_vocab: likewise.
            special_toks: likewise.
            workers: the number of processes that tokenize; 1 for this one.
            cache_dir: the folder of all stores, such as `default_cache_dir()`; None to keep the store in memory and
                touch no disk. With a folder, memory is bounded however many texts there are.
            progress: called now and then with the number of documents done and, if known, of all.

        Returns:
            The store.

        Raises:
            DataError: if one of the texts is not a string, the message names its position; or the disk of the cache
                has no room.
            ConfigError: if a setting is out of range.
        """
        if workers < 1:
            raise ConfigError(f"workers is {workers}; it must be 1 (this process) or more.")
        if min_freq < 1 or max_vocab < 9:
            raise ConfigError(f"min_freq is {min_freq} and max_vocab {max_vocab}; they must be at least 1 and 9.")
        refuse_one_text(texts)
        tokenizer.fit(texts)
        job = _Job(tokenizer, vocab, min_freq, max_vocab, special_toks, workers, progress, _length(texts))
        if cache_dir is None:
            return job.in_memory(texts)
        root = usable_folder(Path(cache_dir))
        setting = [
            _FORMAT_VERSION,
            tokenizer.fingerprint(),
            vocab.itos if vocab else vocabulary_setting(min_freq, max_vocab, special_toks),
        ]
        if iter(texts) is not texts:
            known = root / ContentHash(setting).update(texts).hexdigest()
            if (found := _open_if_sound(known)) is not None:
                return found
        content = ContentHash(setting)
        with (
            full_disk_named(root),
            tempfile.TemporaryDirectory(dir=root, prefix="building-", ignore_cleanup_errors=True) as folder,
        ):
            new = Path(folder) / "store"
            new.mkdir()
            job.in_files(content.passing(texts), new)
            return publish(new, root / content.hexdigest(), _open_if_sound)

    @classmethod
    def of_every_word(cls, texts: Iterable[str], tokenizer: Tokenizer) -> TokenStore:
        """Tokenize texts, in memory, with a vocabulary that has every token, however many there are."""
        refuse_one_text(texts)
        tokenizer.fit(texts)
        return _Job(tokenizer, None, 1, _NO_LIMIT, None, 1, None, _length(texts), _NO_LIMIT).in_memory(texts)

    def select(self, rows: NDArray[np.int64], cache_dir: Path | None = None) -> TokenStore:
        """Take some of the documents.

        Args:
            rows: their numbers, in the order wanted; those that follow each other here are not copied.
            cache_dir: the folder of all stores, where copied ids are kept and found again; None for memory. Ids of a
                store that is itself in memory stay there.

        Returns:
            A store of these documents.
        """
        if len(rows) and np.array_equal(rows, np.arange(rows[0], rows[0] + len(rows))):
            offsets = self.offsets[rows[0] : rows[-1] + 2]
            return TokenStore(self.ids[offsets[0] : offsets[-1]], offsets - offsets[0], self.vocab)
        offsets = np.append(0, np.cumsum(self.lengths[rows]))
        if cache_dir is None or self.path is None:
            ids = np.empty(int(offsets[-1]), dtype=self.ids.dtype)
            for row, start, end in zip(rows.tolist(), offsets.tolist(), offsets[1:].tolist(), strict=False):
                ids[start:end] = self[row]
            return TokenStore(ids, offsets, self.vocab)
        root = usable_folder(Path(cache_dir))
        final = root / ContentHash([_FORMAT_VERSION, self.path.name, rows.tolist()]).hexdigest()
        if (found := _open_if_sound(final)) is not None:
            return found
        with (
            full_disk_named(root),
            tempfile.TemporaryDirectory(dir=root, prefix="building-", ignore_cleanup_errors=True) as folder,
        ):
            new = Path(folder) / "store"
            new.mkdir()
            with (new / _IDS).open("wb") as file:
                for row in rows.tolist():
                    file.write(self[row].tobytes())
            _write_rest(new, offsets, self.vocab, int(offsets[-1]))
            return publish(new, final, _open_if_sound)

    def save(self, folder: Path) -> None:
        """Write the store into a folder of its own.

        Args:
            folder: where to; made if need be.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / _IDS).open("wb") as file:
            for start in range(0, len(self.ids), _BLOCK):
                file.write(np.ascontiguousarray(self.ids[start : start + _BLOCK]).tobytes())
        _write_rest(folder, self.offsets, self.vocab, len(self.ids))

    @classmethod
    def open(cls, folder: Path, verify: bool = False) -> TokenStore:
        """Map a store that was written before into memory.

        Args:
            folder: where it is.
            verify: read all ids and compare their checksum, so that no damage is overlooked. Without, sizes and 64
                samples of the ids are compared, besides all else that is in the folder: that takes no longer for a
                large store than for a small one.

        Returns:
            The store.

        Raises:
            FormatError: if a file is missing or damaged, or written by a newer version.
        """
        folder = Path(folder)
        try:
            meta = json.loads((folder / _META).read_text(encoding="utf-8"))
            if meta["format"] != _FORMAT or meta["version"] != _FORMAT_VERSION:
                raise FormatError(
                    f"{folder} has format {meta['format']!r} {meta['version']!r}; this version reads {_FORMAT} "
                    f"{_FORMAT_VERSION}. Upgrade ulmfit."
                )
            offsets = (folder / _OFFSETS).read_bytes()
            vocabulary = (folder / _VOCAB).read_bytes()
            found = {"offsets": crc32(offsets), "vocab": crc32(vocabulary), "samples": _sampled_crc(folder / _IDS)}
            if verify:
                found["ids"] = _whole_crc(folder / _IDS)
            size, expected = (folder / _IDS).stat().st_size, meta["n_tokens"] * np.dtype(meta["dtype"]).itemsize
            damaged = [name for name, value in found.items() if value != meta["crc"][name]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FormatError(f"{folder} is not a store, or is damaged ({error}).") from error
        if size != expected or damaged:
            raise FormatError(
                f"The store {folder} is damaged: {size} of {expected} bytes of ids are there; changed: "
                f"{', '.join(damaged) or 'none'}. Build it again."
            )
        vocab = Vocab.load(folder / _VOCAB)
        dtype = np.dtype(meta["dtype"])
        ids: Any = np.memmap(folder / _IDS, dtype=dtype, mode="r") if expected else np.zeros(0, dtype=dtype)
        return cls(ids, np.frombuffer(offsets, dtype="<i8"), vocab, folder)


def vocabulary_setting(min_freq: int, max_vocab: int, special_toks: Sequence[str] | None) -> list[Any]:
    """What a vocabulary that is made depends on beside the texts, in terms of JSON."""
    return [min_freq, max_vocab] + ([] if special_toks is None else [list(special_toks)])


def _length(texts: Any) -> int | None:
    return len(texts) if hasattr(texts, "__len__") else None


def _open_if_sound(folder: Path) -> TokenStore | None:
    try:
        return TokenStore.open(folder, verify=True)  # far cheaper than the hash of the texts that led here
    except FormatError:
        return None


def _sampled_crc(path: Path) -> int:
    """Checksum of blocks spread over a file, its beginning and end among them."""
    size, crc = path.stat().st_size, 0
    with path.open("rb") as file:
        for i in range(_SAMPLES):
            file.seek(max(0, size - _SAMPLE) * i // (_SAMPLES - 1))
            crc = crc32(file.read(_SAMPLE), crc)
    return crc


def _whole_crc(path: Path) -> int:
    crc = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            crc = crc32(block, crc)
    return crc


def _write_rest(folder: Path, offsets: NDArray[np.int64], vocab: Vocab, n_tokens: int) -> None:
    (folder / _OFFSETS).write_bytes(offsets.astype("<i8").tobytes())
    vocab.save(folder / _VOCAB)
    meta = {
        "format": _FORMAT,
        "version": _FORMAT_VERSION,
        "n_documents": len(offsets) - 1,
        "n_tokens": n_tokens,
        "dtype": vocab.dtype.newbyteorder("<").str,
        "crc": {
            "offsets": crc32((folder / _OFFSETS).read_bytes()),
            "vocab": crc32((folder / _VOCAB).read_bytes()),
            "samples": _sampled_crc(folder / _IDS),
            "ids": _whole_crc(folder / _IDS),
        },
    }
    (folder / _META).write_text(json.dumps(meta, indent=2), encoding="utf-8")


@dataclass(frozen=True)
class _Job:
    """Tokenize, choose the vocabulary, exchange provisional ids for final ones."""

    tokenizer: Tokenizer
    vocab: Vocab | None
    min_freq: int
    max_vocab: int
    special_toks: Sequence[str] | None
    workers: int
    progress: Progress | None
    total: int | None
    max_types: int = MAX_TYPES

    def encoded(
        self, texts: Iterable[str], types: Types, lengths: list[NDArray[np.int64]]
    ) -> Iterator[NDArray[np.uint32]]:
        done = 0
        if self.workers > 1:
            answers = encode_parallel(texts, self.tokenizer, self.vocab, types, self.workers)
        else:
            answers = map(self.tokenizer.encoder(self.vocab, types), batches(texts))
        for ids, sizes in answers:
            lengths.append(np.array(sizes, dtype=np.int64))
            yield ids
            done += len(sizes)
            if self.progress is not None:
                self.progress(done, self.total)

    def finish(self, types: Types) -> tuple[Vocab, Callable[[NDArray[np.uint32]], Ids]]:
        if self.vocab is not None:
            dtype = self.vocab.dtype
            return self.vocab, lambda ids: ids.astype(dtype)
        vocab, final = types.finish(self.min_freq, self.max_vocab, self.special_toks)
        table = final.astype(vocab.dtype)
        return vocab, lambda ids: table[ids]

    def in_memory(self, texts: Iterable[str]) -> TokenStore:
        types, lengths = Types(self.max_types), [np.zeros(1, dtype=np.int64)]
        parts = list(self.encoded(texts, types, lengths))
        vocab, exchange = self.finish(types)
        offsets = np.cumsum(np.concatenate(lengths), dtype=np.int64)
        ids = np.concatenate([exchange(part) for part in parts]) if parts else np.zeros(0, dtype=vocab.dtype)
        return TokenStore(ids, offsets, vocab)

    def in_files(self, texts: Iterable[str], folder: Path) -> None:
        types, lengths = Types(), [np.zeros(1, dtype=np.int64)]
        with tempfile.TemporaryFile(dir=folder) as spill:
            for part in self.encoded(texts, types, lengths):
                spill.write(part.tobytes())
            vocab, exchange = self.finish(types)
            offsets = np.cumsum(np.concatenate(lengths), dtype=np.int64)
            spill.seek(0)
            with (folder / _IDS).open("wb") as file:
                while block := spill.read(4 * _BLOCK):
                    file.write(exchange(np.frombuffer(block, dtype="<u4")).tobytes())
        _write_rest(folder, offsets, vocab, int(offsets[-1]))
