"""From texts to tokens and back: rules, a tokenizer, rules for tokens."""

from __future__ import annotations

import hashlib
import json
import uuid
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ulmfit.arguments import checked
from ulmfit.errors import ConfigError, DataError, FormatError
from ulmfit.text.base import BareTokenizer
from ulmfit.text.batching import batches
from ulmfit.text.chars import CharTokenizer
from ulmfit.text.counting import Encoder, Types
from ulmfit.text.detokenize import detokenize
from ulmfit.text.engine import Memo, tokens_of
from ulmfit.text.hf import HFTokenizer
from ulmfit.text.identity import UnknownStateError, digest, name_of
from ulmfit.text.pieces import without_surrogates
from ulmfit.text.rule_names import is_built_in, rule_from_json, rule_to_json
from ulmfit.text.rules import DEFAULT_POST_RULES, DEFAULT_RULES, Rule, apply
from ulmfit.text.scripts import finds_no_words
from ulmfit.text.subword import SentencePieceTokenizer, SubwordTokenizer
from ulmfit.text.vocab import Vocab
from ulmfit.text.words import SpacyTokenizer, WordTokenizer

__all__ = [
    "AUTO",
    "KINDS",
    "BareTokenizer",
    "CharTokenizer",
    "HFTokenizer",
    "SentencePieceTokenizer",
    "SpacyTokenizer",
    "SubwordTokenizer",
    "Tokenizer",
    "WordTokenizer",
    "tokenizer_by_kind",
]

KINDS = ("word", "subword", "char")
"""The kinds of tokenizers that need no file to begin with."""

AUTO = "auto"
"""In place of a kind: words; or subwords for texts in which spaces do not tell words."""

_FILE = "tokenizer.json"
_FORMAT, _FORMAT_VERSION = "ulmfit-tokenizer", 1


class _Finished(dict[str, bytes]):
    """What the rules for tokens make of a token, as its number in a list, in four bytes."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        super().__init__()
        self._rules = rules
        self.tokens: list[str] = []

    def __missing__(self, token: str) -> bytes:
        finished = token
        for rule in self._rules:
            finished = rule(finished)
        answer = self[token] = len(self.tokens).to_bytes(4, "little")
        self.tokens.append(finished)
        return answer


_MAX_FINISHED = 300_000
_KINDS: dict[str, Any] = {"word": WordTokenizer, "char": CharTokenizer, "subword": SubwordTokenizer, "hf": HFTokenizer}


class Tokenizer:
    """Rules, a bare tokenizer and rules for tokens, as one function from text to tokens.

    Args:
        tok: the bare tokenizer, or its class; None for `WordTokenizer()`.
        rules: functions from text to text, applied in order before the cut; None for `DEFAULT_RULES`.
        post_rules: functions from token to token, applied in order after it; None for `DEFAULT_POST_RULES`.
    """

    def __init__(
        self,
        tok: BareTokenizer | type[BareTokenizer] | None = None,
        rules: Sequence[Rule] | None = None,
        post_rules: Sequence[Rule] | None = None,
    ) -> None:
        made: Any = WordTokenizer if tok is None else tok
        self.tok: BareTokenizer = made() if isinstance(made, type) else made
        self.reading: dict[str, Any] = {}
        """What `from_df` and `from_folder` were told about the texts, as keywords of `TextBlock`."""
        self.rules: tuple[Rule, ...] = DEFAULT_RULES if rules is None else tuple(rules)
        self.post_rules: tuple[Rule, ...] = DEFAULT_POST_RULES if post_rules is None else tuple(post_rules)
        given: tuple[object, ...] = (*self.rules, *self.post_rules)
        if wrong := [rule for rule in given if not callable(rule)]:
            raise ConfigError(f"rules are functions from string to string; {wrong[0]!r} is none")
        if not hasattr(self.tok, "tokenize_units"):
            raise ConfigError(
                f"{self.tok!r:.80} is no tokenizer: derive it from BareTokenizer and give it tokenize_units "
                "(docs/design/tokenizer.md)"
            )
        self._memory: tuple[Memo, _Finished] | None = None
        self._encoder: Encoder | None = None

    @classmethod
    @checked
    def from_df(
        cls,
        text_cols: str | int | Sequence[str | int],
        tok: BareTokenizer | type[BareTokenizer] | None = None,
        rules: Sequence[Rule] | None = None,
        *,
        n_workers: int = 1,
        mark_fields: bool | None = None,
        tok_text_col: str = "text",
    ) -> Tokenizer:
        """A tokenizer that also tells which columns of a frame to read: `TextBlock(Tokenizer.from_df(...))`.

        Args:
            text_cols: columns with text.
            tok: see the class.
            rules: see the class.
            n_workers: processes that tokenize.
            mark_fields: write `xxfld` and its number before each column; None for if there are several.
            tok_text_col: a name for all of them together.
        """
        made = cls(tok, rules)
        told = {"n_workers": n_workers, "mark_fields": mark_fields, "tok_text_col": tok_text_col}
        made.reading = {"text_cols": text_cols, "count": "all", **told}
        return made

    @classmethod
    @checked
    def from_folder(
        cls,
        path: str | Path,
        tok: BareTokenizer | type[BareTokenizer] | None = None,
        rules: Sequence[Rule] | None = None,
        *,
        n_workers: int = 1,
        encoding: str = "utf-8",
    ) -> Tokenizer:
        """A tokenizer that also tells which folder it is for: `TextBlock(Tokenizer.from_folder(path))`.

        Args:
            path: the folder, whose text files are counted for the vocabulary.
            tok: see the class.
            rules: see the class.
            n_workers: processes that tokenize.
            encoding: of the files.
        """
        made = cls(tok, rules)
        made.reading = {"count": Path(path), "n_workers": n_workers, "encoding": encoding}
        return made

    @property
    def memory(self) -> tuple[Memo, _Finished]:
        """What this tokenizer remembers."""
        if self._memory is None or len(self._memory[1].tokens) > _MAX_FINISHED:
            finished = _Finished(self.post_rules)
            self._memory = Memo(self.tok, self.rules, finished), finished
        return self._memory

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_memory": None, "_encoder": None}

    def fit(self, texts: Iterable[str]) -> Tokenizer:
        """Train the bare tokenizer on texts, if it is of a kind that must be trained and has not been.

        Args:
            texts: any number of texts, which the rules are applied to.

        Returns:
            Itself.
        """
        tok: Any = self.tok
        if hasattr(tok, "train_on") and not tok.trained:
            if iter(texts) is texts:
                raise DataError(
                    "The tokenizer must be trained on the texts before it can cut them, so they are needed twice. Give "
                    "a list, or another object that can be iterated over again, not a generator; or call fit before."
                )
            tok.train_on(self._ruled(texts))
            self._memory = self._encoder = None
        return self

    def _ruled(self, texts: Iterable[str]) -> Iterator[str]:
        for batch in batches(texts):
            for text in batch:
                yield apply(self.rules, without_surrogates(text))

    def encoder(self, vocab: Vocab | None = None, types: Types | None = None) -> Encoder:
        """Make what turns texts into ids; the same one again for the same vocabulary, as it remembers.

        Args:
            vocab: the vocabulary; None for provisional ids.
            types: where provisional ids are given and counted.

        Returns:
            A function from a list of texts to their ids and lengths.
        """
        if vocab is None:
            return Encoder(self, types=types)
        if self._encoder is None or self._encoder.vocab is not vocab:
            self._encoder = Encoder(self, vocab)
        return self._encoder

    def __call__(self, text: str) -> list[str]:
        """Cut one text into tokens.

        Args:
            text: the text.

        Returns:
            Its tokens.

        Raises:
            DataError: if `text` is not a string.
        """
        return next(self.tokenize([text]))

    def tokenize(self, texts: Iterable[str]) -> Iterator[list[str]]:
        """Cut texts into tokens.

        Args:
            texts: any number of texts.

        Yields:
            The tokens of each text, in the order of the texts.

        Raises:
            DataError: if one of them is not a string; the message names its position.
        """
        for batch in batches(texts):
            memo, finished = self.memory
            yield from tokens_of(memo(batch), finished.tokens)

    def detokenize(self, tokens: Iterable[str]) -> str:
        """Write tokens as readable text.

        Args:
            tokens: the tokens of one text.

        Returns:
            The text, without special tokens, with their meaning carried out.
        """
        return detokenize(tokens)

    def config(self) -> dict[str, Any]:
        """Tell what this tokenizer consists of, in terms of JSON.

        Returns:
            The kind and arguments of the bare tokenizer and the names of the rules.
        """
        return {
            "tok": {"kind": self.tok.kind} | self.tok.config(),
            "rules": [rule_to_json(rule) for rule in self.rules],
            "post_rules": [rule_to_json(rule) for rule in self.post_rules],
        }

    def fingerprint(self) -> str:
        """Tell tokenizers that may give different tokens apart.

        Returns:
            A hexadecimal string, equal for equal tokenizers, across processes and machines.
        """
        content, unknown = self._identity()
        if unknown:
            warnings.warn(
                f"There is no telling what these depend on: {'; '.join(unknown)}. What is made with them is not found "
                "again in the cache. Rules that are plain functions, and tokenizers that define identity(), are.",
                stacklevel=2,
            )
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def _identity(self) -> tuple[Any, list[str]]:
        """All that the tokens depend on, in terms of JSON, and of what that cannot be told."""
        parts: list[Any] = [rule for rule in (*self.rules, *self.post_rules) if not is_built_in(rule)]
        content: dict[str, Any] = self.config() | {"tok": {"kind": self.tok.kind} | self.tok.identity(), "own": []}
        if not type(self.tok).__module__.startswith("ulmfit."):
            parts.append(type(self.tok) if "identity" in vars(type(self.tok)) else self.tok)
        unknown: list[str] = []
        for part in parts:
            try:
                content["own"].append(digest(part))
            except UnknownStateError as error:
                content["own"].append(uuid.uuid4().hex)
                unknown.append(f"{name_of(part)} ({error})")
        return content, unknown

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Tokenizer) and self._identity() == other._identity())

    def __hash__(self) -> int:
        return hash(json.dumps(self.config(), sort_keys=True))

    def save(self, folder: Path) -> None:
        """Write the tokenizer as plain files.

        Args:
            folder: where to; made if need be.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.tok.save(folder)
        content = {"format": _FORMAT, "version": _FORMAT_VERSION} | self.config()
        (folder / _FILE).write_text(json.dumps(content, ensure_ascii=False, indent=2), encoding="utf-8")

    @classmethod
    def load(
        cls, folder: Path, rules: Sequence[Rule] | None = None, post_rules: Sequence[Rule] | None = None
    ) -> Tokenizer:
        """Read what `save` wrote.

        Args:
            folder: where from.
            rules: needed only if the tokenizer has rules that are not of this library.
            post_rules: likewise.

        Returns:
            The tokenizer.

        Raises:
            FormatError: if the file is missing, damaged, or was written by a newer version.
            ConfigError: if rules of the user's own are needed and were not given.
        """
        path = Path(folder) / _FILE
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            form, version, tok = content["format"], content["version"], dict(content["tok"])
            names, post_names = list(content["rules"]), list(content["post_rules"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FormatError(
                f"{path} is missing, damaged, or not a tokenizer written by this library ({error})."
            ) from error
        if form != _FORMAT or version != _FORMAT_VERSION:
            raise FormatError(
                f"{path} has format {form!r} {version!r}; this version reads {_FORMAT} {_FORMAT_VERSION}."
            )
        kind = tok.pop("kind", None)
        if kind not in _KINDS:
            raise FormatError(f"{path} holds a tokenizer of the unknown kind {kind!r}; known are {', '.join(_KINDS)}.")
        try:
            bare: BareTokenizer = _KINDS[kind].load(Path(folder), **tok)
        except (TypeError, ValueError) as error:
            raise FormatError(f"{path} is damaged: {error}") from error
        return cls(
            bare,
            [rule_from_json(entry, path) for entry in names] if rules is None else rules,
            [rule_from_json(entry, path) for entry in post_names] if post_rules is None else post_rules,
        )


def kind_problems(kind: str) -> list[str]:
    """What is wrong with the name of a kind of tokenizer, or nothing."""
    known = (AUTO, *KINDS)
    return [] if kind in known else [f"tokenizer={kind!r} must be one of {', '.join(known)}"]


def tokenizer_by_kind(kind: str, lang: str, vocab_size: int | None = None, texts: Iterable[str] = ()) -> Tokenizer:
    """A tokenizer by the name of its kind, with the usual rules.

    Args:
        kind: one of `KINDS`, or `AUTO`.
        lang: language of the texts, as spaCy names it.
        vocab_size: pieces of a subword model; None for as many as suit the texts.
        texts: some of what it is for, by which `AUTO` chooses.

    Raises:
        ConfigError: there is no such kind.
    """
    if problems := kind_problems(kind):
        raise ConfigError(*problems)
    if kind == "char":
        return Tokenizer(CharTokenizer())
    if kind != "subword":
        words = WordTokenizer(lang=lang)
        if kind == "word" or not finds_no_words(words, texts):
            return Tokenizer(words)
    return Tokenizer(SubwordTokenizer(lang=lang, vocab_sz=vocab_size))


def tokenizer_of(
    given: Tokenizer | BareTokenizer | None,
    rules: Sequence[Rule] | None = None,
    special_toks: Sequence[str] | None = None,
) -> Tokenizer:
    """Take a tokenizer, with or without rules of its own; None for words.

    Raises:
        ConfigError: it is none, or it has rules of its own and others are given.
    """
    if isinstance(given, Tokenizer):
        if rules is not None:
            raise ConfigError("Give rules or a Tokenizer, which has rules of its own, not both.")
        return given
    return Tokenizer(WordTokenizer(special_toks=special_toks) if given is None else given, rules)
