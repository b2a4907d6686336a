"""The language model that a run starts from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from ulmfit.errors import ConfigError
from ulmfit.inference.bundle import BACKWARD, LANGUAGE_MODEL, Bundle, load_bundle
from ulmfit.pretrained.weights import choose, load, names
from ulmfit.text.scripts import finds_no_words
from ulmfit.text.tokenizers import Tokenizer, tokenizer_by_kind
from ulmfit.training.progress import say

AUTO, NONE = "auto", "none"
LANGUAGE_MODEL_FOLDER = "language_model"


@dataclass(frozen=True)
class Bases:
    """What the directions of a run start from; None for random weights.

    Args:
        forward: a language model that reads from the start.
        backward: one that reads from the end.
    """

    forward: Bundle | None = None
    backward: Bundle | None = None


def load_base(name: str) -> Bundle | None:
    """The language model of a name.

    Args:
        name: "none"; the name of a bundled one; or a model folder of a language model, or of a classifier with its
            language model inside.

    Raises:
        ConfigError: the name is none of these.
        FormatError: the folder holds no language model.
    """
    if name == NONE:
        return None
    if name in names():
        return load(name)
    folder = Path(name)
    if not folder.is_dir():
        raise ConfigError(
            f"{name!r} is neither a bundled model ({', '.join(names()) or 'there are none'}) nor a model folder"
        )
    inner = folder / LANGUAGE_MODEL_FOLDER
    bundle = load_bundle(inner if inner.is_dir() else folder, kind=LANGUAGE_MODEL)
    return replace(bundle, name=folder.resolve().name)


def own_tokenizer(
    kind: str, lang: str, texts: Iterable[str], console: Console, vocab_size: int | None = None
) -> Tokenizer:
    """That of a model without a base; where spaces do not tell words in the texts, what follows from it is said.

    Args:
        kind: as for `tokenizer_by_kind`.
        lang: language of the texts.
        texts: which it is for; the first of them are looked at.
        console: where to say it.
        vocab_size: pieces of a subword model.

    Raises:
        ConfigError: there is no such kind, or no rules for the language.
    """
    tokenizer = tokenizer_by_kind(kind, lang, vocab_size, texts)
    if kind == AUTO and tokenizer.tok.kind == "subword":
        say(console, "The texts are written without spaces between words: cut into subwords (--tokenizer: other ways)")
    elif finds_no_words(tokenizer.tok, texts):
        say(
            console,
            f"The texts are written without spaces between words, and the rules of --lang {lang} take whole phrases "
            "for words: --tokenizer subword or char will be better",
        )
    return tokenizer


def check_base(name: str, *, backwards: bool = False) -> None:
    """Refuse early what `find_bases` would refuse.

    Raises:
        ConfigError: there is no such model, or it reads in the other direction.
        FormatError: the folder holds no language model.
    """
    if name != AUTO:
        _in_direction(load_base(name), name, backwards=backwards)


def find_bases(
    texts: Sequence[str], console: Console, base: str, *, bidirectional: bool = False, backward_base: str = AUTO
) -> Bases:
    """What to start from; what is chosen is said.

    Args:
        texts: which the models are for.
        console: where to say it.
        base: as for `load_base`, or "auto" for a bundled model that knows the words of the texts.
        bidirectional: find one that reads from the end, too.
        backward_base: the same for that direction; "auto" takes it from the folder of `base`, if that holds both
            directions, or a bundled one. With base "none" there is none.

    Raises:
        ConfigError: there is no such model, or it reads in the other direction.
        FormatError: the folder holds no language model.
    """
    forward = _choose(texts, console) if base == AUTO else _in_direction(load_base(base), base)
    if not bidirectional:
        return Bases(forward)
    twin = Path(base) / BACKWARD
    if backward_base != AUTO:
        backward = _in_direction(load_base(backward_base), backward_base, backwards=True)
    elif base == NONE:
        backward = None
    elif base not in names() and twin.is_dir():
        backward = _in_direction(load_base(str(twin)), str(twin), backwards=True)
    else:
        backward = _choose(texts, console, backwards=True)
    if forward is not None and backward is not None and forward.tokenizer != backward.tokenizer:
        raise ConfigError(
            "the bases of the two directions cut texts differently; give --backward-base another, or none"
        )
    return Bases(forward, backward)


def _in_direction(bundle: Bundle | None, name: str, *, backwards: bool = False) -> Bundle | None:
    if bundle is not None and bundle.backwards != backwards:
        reads, needed = ("end", "start") if bundle.backwards else ("start", "end")
        place = "--backward-base, with --bidirectional" if bundle.backwards else "--base"
        raise ConfigError(
            f"the base {name} reads texts from their {reads}, and one from their {needed} is needed here; its place is "
            f"{place}"
        )
    return bundle


def _choose(texts: Sequence[str], console: Console, *, backwards: bool = False) -> Bundle | None:
    """The bundled language model of a direction if it knows the language of the texts."""
    found, share = choose(texts, backwards=backwards)
    option = "--backward-base" if backwards else "--base"
    says = (
        f"starting from it ({found.name})" if found else f"starting from random weights; {option} names another start"
    )
    if share or (names() and not backwards):
        direction = "backward " if backwards else ""
        say(console, f"The bundled {direction}English language model knows {share:.0%} of the words: {says}")
    elif backwards:
        say(console, f"No bundled language model reads from the end: that direction is {says}")
    return found
