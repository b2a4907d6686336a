"""The subword tokenizer: pieces of words that SentencePiece learns from the texts themselves."""

from __future__ import annotations

import hashlib
import io
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from pathlib import Path
from typing import Any, Self

from ulmfit.errors import ConfigError, DataError, FormatError
from ulmfit.text.base import BareTokenizer
from ulmfit.text.rules import SPACE_MARK, SPECIAL_TOKENS, Rule
from ulmfit.text.scripts import different_words

_FILE = "subword.model"
_EUROPEAN = frozenset("bg cs da de el en es et fi fr ga hr hu it lt lv mt nl pl pt ro sk sl sv".split())  # noqa: SIM905
_OTHER_SIZE = re.compile(r"(?:<= |required_chars\. \d+ vs )(\d+)")
_MAX_LEARNED = 50_000_000  # characters; SentencePiece needs some twenty bytes of memory for each
_MAX_SENTENCE = 1 << 16  # bytes; SentencePiece leaves out lines that are longer than its own limit of 4,192


class SubwordTokenizer(BareTokenizer):
    """Cuts texts into pieces of words. The pieces are learned from texts; special tokens stay whole.

    Of texts with more than 50 million characters every second line is learned from, or every fourth, and so on; all are
    cut.

    Args:
        lang: the language, which decides about `char_coverage` if that is None.
        special_toks: tokens that are never cut; None for the usual nine.
        sp_model: a SentencePiece model that was trained elsewhere, as a path or as its bytes; None to train one.
        vocab_sz: the number of pieces; None for a quarter of the number of different words. If the texts do not support
            so many, there are as many as they do, and a warning tells the number.
        max_vocab_sz: the most pieces if `vocab_sz` is None.
        model_type: "unigram" or "bpe".
        char_coverage: the share of characters that get a piece of their own; None for 0.99999 for European languages
            and 0.9998 for others.
        cache_dir: not used, as nothing is written; there for programs that give it.

    Raises:
        ConfigError: if a setting is out of range.

    Source: Kudo and Richardson (2018), "SentencePiece: A simple and language independent subword tokenizer and
    detokenizer for Neural Text Processing".
    """

    kind = "subword"
    chunked = True

    def __init__(
        self,
        lang: str = "en",
        special_toks: Sequence[str] | None = None,
        sp_model: str | Path | bytes | None = None,
        vocab_sz: int | None = None,
        max_vocab_sz: int = 30_000,
        model_type: str = "unigram",
        char_coverage: float | None = None,
        cache_dir: str | Path | None = None,
    ) -> None:
        if model_type not in ("unigram", "bpe"):
            raise ConfigError(f"model_type is {model_type!r}; it must be 'unigram' or 'bpe'.")
        if vocab_sz is not None and vocab_sz < 1:
            raise ConfigError(f"vocab_sz is {vocab_sz}; it must be 1 or more.")
        self.lang, self.vocab_sz, self.max_vocab_sz, self.model_type = lang, vocab_sz, max_vocab_sz, model_type
        self.special_toks = tuple(SPECIAL_TOKENS if special_toks is None else special_toks)
        self.char_coverage = char_coverage or (0.99999 if lang in _EUROPEAN else 0.9998)
        self._processor: Any = None
        self._model = b""
        if sp_model is not None:
            self._use(sp_model if isinstance(sp_model, bytes) else Path(sp_model).read_bytes())

    @property
    def trained(self) -> bool:
        """Whether there is a model."""
        return bool(self._model)

    def _use(self, model: bytes) -> None:
        import sentencepiece

        processor = sentencepiece.SentencePieceProcessor()
        try:
            processor.LoadFromSerializedProto(model)
        except (RuntimeError, OSError) as error:
            raise FormatError(f"This is not a SentencePiece model, or it is damaged ({error}).") from error
        self._model, self._processor = model, processor

    def train_on(self, texts: Iterable[str]) -> None:
        """Learn the pieces.

        Args:
            texts: the texts, with rules applied.

        Raises:
            DataError: if there is nothing to learn from.
        """
        lines = _evenly(_lines(texts), _MAX_LEARNED)
        words = different_words(lines)
        if not words:
            raise DataError("There is no text to learn subwords from: all texts are empty.")
        size = self.vocab_sz
        if size is None:
            size = min(max(words // 4, 29), self.max_vocab_sz)
            size += -size % 8
        self._use(self._train(lines, max(size, len(self.special_toks) + 2)))
        there_are = self._processor.GetPieceSize()
        if self.vocab_sz is not None and there_are != self.vocab_sz:
            bound = "support at most" if there_are < self.vocab_sz else "and the special tokens need at least"
            warnings.warn(
                f"Of {self.vocab_sz:,} subword pieces asked for there are {there_are:,}: these texts {bound} so many.",
                stacklevel=3,
            )

    def setup(self, items: Iterable[str], rules: Sequence[Rule] | None = None) -> None:
        """Learn the pieces, unless there is a model: `train_on` under its older name.

        Args:
            items: the texts.
            rules: applied to them before, in order; None if that was done.

        Raises:
            DataError: if there is nothing to learn from.
        """
        if isinstance(items, str):
            raise DataError(f"{items!r:.50} is one text; expected a list of texts.")
        if not self.trained:
            self.train_on(reduce(lambda text, rule: rule(text), rules or (), item) for item in items)

    def _train(self, lines: list[str], size: int) -> bytes:
        import sentencepiece

        model = io.BytesIO()
        for _ in range(3):
            try:
                sentencepiece.SentencePieceTrainer.Train(
                    sentence_iterator=iter(lines),
                    model_writer=model,
                    vocab_size=size,
                    model_type=self.model_type,
                    character_coverage=self.char_coverage,
                    user_defined_symbols=[SPACE_MARK + token for token in self.special_toks],
                    unk_id=len(self.special_toks),
                    pad_id=-1,
                    bos_id=-1,
                    eos_id=-1,
                    hard_vocab_limit=False,
                    minloglevel=2,
                    num_threads=1,
                    max_sentence_length=_MAX_SENTENCE,
                )
            except RuntimeError as error:
                possible = _OTHER_SIZE.search(str(error))  # the largest number that the texts support, or the least
                if possible is None:
                    raise DataError(f"SentencePiece could not learn {size} pieces from these texts: {error}") from error
                size = int(possible[1])
                model = io.BytesIO()
            else:
                return model.getvalue()
        raise DataError(
            f"SentencePiece could not learn pieces from these {len(lines)} texts. There is too little text."
        )

    def config(self) -> dict[str, Any]:
        """Tell the arguments, but for the model."""
        return {
            "lang": self.lang,
            "special_toks": list(self.special_toks),
            "vocab_sz": self.vocab_sz,
            "max_vocab_sz": self.max_vocab_sz,
            "model_type": self.model_type,
            "char_coverage": self.char_coverage,
        }

    def identity(self) -> dict[str, Any]:
        """Tell the arguments and the hash of the model."""
        return self.config() | {"model": hashlib.sha256(self._model).hexdigest()}

    def save(self, folder: Path) -> None:
        """Write the model.

        Args:
            folder: where to.

        Raises:
            ConfigError: if there is none yet.
        """
        self._ready()
        (folder / _FILE).write_bytes(self._model)

    @classmethod
    def load(cls, folder: Path, **config: Any) -> Self:
        """Read what `save` wrote.

        Args:
            folder: where from.
            **config: what `config` told.

        Returns:
            An equal tokenizer.

        Raises:
            FormatError: if the model is missing or damaged.
        """
        try:
            model = (folder / _FILE).read_bytes()
        except OSError as error:
            raise FormatError(f"{folder} holds no {_FILE} ({error}).") from error
        return cls(sp_model=model, **config)

    def _ready(self) -> Any:
        if not self.trained:
            raise ConfigError(
                "The subword tokenizer has no model yet. Call Tokenizer.fit with your texts, or give sp_model."
            )
        if self._processor is None:
            self._use(self._model)
        return self._processor

    def split(self, text: str) -> list[str]:
        """Cut a text into words: no piece crosses white space."""
        return text.split()

    def tokenize_units(self, units: Sequence[str]) -> Iterator[Sequence[str]]:
        """Cut words into pieces."""
        special = {SPACE_MARK + token: token for token in self.special_toks}
        for pieces in self._ready().EncodeAsPieces(list(units)):
            yield [special.get(piece, piece) for piece in pieces]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_processor": None}


SentencePieceTokenizer = SubwordTokenizer


def _evenly(lines: Iterable[str], most: int) -> list[str]:
    """Every line, every second, every fourth ...: so few that together they have at most `most` characters, or one."""
    kept: list[str] = []
    step, size = 1, 0
    for i, line in enumerate(lines):
        if i % step:
            continue
        kept.append(line)
        size += len(line)
        while size > most and len(kept) > 1:
            kept, step = kept[::2], 2 * step
            size = sum(map(len, kept))
    return kept


def _lines(texts: Iterable[str]) -> Iterator[str]:
    """Cut texts into lines that SentencePiece does not leave out for their length or for a NUL."""
    longest = _MAX_SENTENCE // 4  # characters, of up to four bytes
    for text in texts:
        words = text.replace("\0", " ").split()
        for i in range(0, len(words), 500):
            line = " ".join(words[i : i + 500])
            yield from (line[k : k + longest] for k in range(0, len(line), longest))
