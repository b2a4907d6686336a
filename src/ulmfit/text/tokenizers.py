"""From texts to tokens and back: rules, a tokenizer, rules for tokens."""

from __future__ import annotations

import hashlib
import json
import uuid
import warnings
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ulmfit.errors import ConfigError, DataError, FormatError
from ulmfit.text.base import BareTokenizer
from ulmfit.text.chars import CharTokenizer
from ulmfit.text.counting import Encoder, Types
from ulmfit.text.detokenize import detokenize
from ulmfit.text.engine import Memo, tokens_of
from ulmfit.text.hf import HFTokenizer
from ulmfit.text.identity import UnknownStateError, digest, name_of
from ulmfit.text.pieces import without_surrogates
from ulmfit.text.rules import DEFAULT_POST_RULES, DEFAULT_RULES, Rule, apply
from ulmfit.text.subword import SentencePieceTokenizer, SubwordTokenizer
from ulmfit.text.vocab import Vocab
from ulmfit.text.words import SpacyTokenizer, WordTokenizer

__all__ = [
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

_FILE = "tokenizer.json"
_FORMAT, _FORMAT_VERSION = "ulmfit-tokenizer", 1
_BUILT_IN_RULES = {rule.__name__: rule for rule in (*DEFAULT_RULES, *DEFAULT_POST_RULES)}


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
        tok: the bare tokenizer; None for `WordTokenizer()`.
        rules: functions from text to text, applied in order before the cut; None for `DEFAULT_RULES`.
        post_rules: functions from token to token, applied in order after it; None for `DEFAULT_POST_RULES`.
    """

    def __init__(
        self,
        tok: BareTokenizer | None = None,
        rules: Sequence[Rule] | None = None,
        post_rules: Sequence[Rule] | None = None,
    ) -> None:
        self.tok: BareTokenizer = WordTokenizer() if tok is None else tok
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
            "rules": [_rule_to_json(rule) for rule in self.rules],
            "post_rules": [_rule_to_json(rule) for rule in self.post_rules],
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
        parts: list[Any] = [rule for rule in (*self.rules, *self.post_rules) if not _is_built_in(rule)]
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
            [_rule_from_json(entry, path) for entry in names] if rules is None else rules,
            [_rule_from_json(entry, path) for entry in post_names] if post_rules is None else post_rules,
        )


def refuse_one_text(texts: object) -> None:
    """Refuse one string where many are expected: each of its characters would be taken for a text.

    Raises:
        DataError: it is a string.
    """
    if isinstance(texts, str | bytes):
        raise DataError(f"{texts!r:.50} is one text; expected a list of texts. Write [text] if it is the only one.")


def tokenizer_by_kind(kind: str, lang: str, vocab_size: int | None = None) -> Tokenizer:
    """A tokenizer by the name of its kind, with the usual rules.

    Args:
        kind: one of `KINDS`.
        lang: language of the texts, as spaCy names it.
        vocab_size: pieces of a subword model; None for as many as suit the texts.

    Raises:
        ConfigError: there is no such kind.
    """
    if kind not in KINDS:
        raise ConfigError(f"tokenizer={kind!r} must be one of {', '.join(KINDS)}")
    if kind == "subword":
        return Tokenizer(SubwordTokenizer(lang=lang, vocab_sz=vocab_size))
    return Tokenizer(CharTokenizer() if kind == "char" else WordTokenizer(lang=lang))


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


def batches(texts: Iterable[str], documents: int = 4_096, characters: int = 1_500_000) -> Iterator[list[str]]:
    """Gather texts into lists of a size that is worth while and fits into memory.

    Args:
        texts: any number of texts.
        documents: how many of them a list holds at most.
        characters: a list is full when its texts have this many characters.

    Yields:
        Lists of texts.

    Raises:
        DataError: if one of them is not a string; the message names its position.
    """
    refuse_one_text(texts)
    batch: list[str] = []
    size = 0
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError(f"Text {position} is {type(text).__name__} ({text!r:.50}); every text must be a string.")
        batch.append(text)
        size += len(text)
        if len(batch) >= documents or size >= characters:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _is_built_in(rule: Rule) -> bool:
    """Whether it is a rule of this library, perhaps with keywords that can be written as JSON."""
    inner: Any = rule
    if isinstance(rule, partial):
        inner = rule.func
        if rule.args or not all(isinstance(value, bool | int | float | str) for value in rule.keywords.values()):
            return False
    return _BUILT_IN_RULES.get(getattr(inner, "__name__", "")) is inner


def _rule_to_json(rule: Rule) -> dict[str, Any]:
    if not _is_built_in(rule):
        return {"custom": name_of(rule)}
    inner, keywords = (rule.func, rule.keywords) if isinstance(rule, partial) else (rule, {})
    return {"name": getattr(inner, "__name__", "")} | ({"keywords": dict(keywords)} if keywords else {})


def _rule_from_json(entry: Any, path: Path) -> Rule:
    if isinstance(entry, dict) and "custom" in entry:
        raise ConfigError(
            f"{path} was saved with the rule {entry['custom']} of your own. Give all rules: load(folder, rules=...)."
        )
    try:
        rule = _BUILT_IN_RULES[entry["name"]]
        return partial(rule, **entry["keywords"]) if "keywords" in entry else rule
    except (KeyError, TypeError) as error:
        raise FormatError(f"{path} names an unknown rule: {entry!r}.") from error
