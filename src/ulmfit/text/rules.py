"""Rules that tidy a text before it is cut into tokens, and the special tokens that they leave behind.

Every rule is a pure function from string to string. The rules keep what a language model can use (that a word was
capitalized, that a character was repeated) as separate special tokens, so that "THE", "The" and "the" share one
embedding. All of them run in time linear in the length of the text, whatever the text.

Source: the preprocessing of Howard and Ruder (2018), "Universal Language Model Fine-tuning for Text Classification",
section 4.1, in the form in which the fastai library made it known.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ulmfit.errors import DataError

UNK, PAD, BOS, EOS, FLD = "xxunk", "xxpad", "xxbos", "xxeos", "xxfld"
TK_REP, TK_WREP, TK_UP, TK_MAJ = "xxrep", "xxwrep", "xxup", "xxmaj"

SPECIAL_TOKENS: tuple[str, ...] = (UNK, PAD, BOS, EOS, FLD, TK_REP, TK_WREP, TK_UP, TK_MAJ)
"""The special tokens in the order of their ids, 0 to 8."""

SPACE_MARK = "\u2581"
"""Stands for a space inside a token, so that tokens can be joined and split at spaces."""

Rule = Callable[[str], str]

# Possessive quantifiers keep the patterns linear: without them a long run of capitals that ends in a small letter,
# or a long list of the same word, backtracks quadratically.
_REPEATED_CHARACTER = re.compile(r"(\S)\1{2,}+")
_REPEATED_WORD = re.compile(r"(?:^|\s)(\w++)((?:\s++\1(?!\w)){2,}+)([\s\S]?)")
_SPACES = re.compile(r" {2,}+")
_ALL_CAPS = re.compile(r"(?<!\S)[A-Z][^a-z\s]*+(?!\S)")
_CAPITALIZED = re.compile(r"(?<!\S)[A-Z][^A-Z\s]*+(?!\S)")

_ENTITY_REMAINS = (("#39;", "'"), ("amp;", "&"), ("#146;", "'"), ("nbsp;", " "), ("#36;", "$"))


def fix_html(text: str) -> str:
    """Undo HTML entities, line-break tags and the escapes that are found in common corpora.

    Args:
        text: any text.

    Returns:
        The text with entities (also half-destroyed ones such as `amp;`) as characters, `<br />` and a written-out
        backslash-n as newlines, `<unk>` as the unknown token, the WikiText escapes `@.@` and `@-@` undone, and three
        dots as a space and an ellipsis.
    """
    entities, escapes = ";" in text, "\\" in text
    if entities:
        for remains, character in _ENTITY_REMAINS:
            text = text.replace(remains, character)
    if escapes:
        text = text.replace("\\n", "\n")
    if entities:
        text = text.replace("quot;", "'")
    if "<" in text:
        text = text.replace("<br />", "\n")
    if escapes:
        text = text.replace('\\"', '"')
    if "<" in text:
        text = text.replace("<unk>", UNK)
    if "@" in text:
        text = text.replace(" @.@ ", ".").replace(" @-@ ", "-")
    return html.unescape(text.replace("...", " …"))


def replace_rep(text: str) -> str:
    """Replace a character that stands three or more times in a row: `cccc` becomes ` xxrep 4 c `.

    Args:
        text: any text.

    Returns:
        The text with each run of three or more equal non-space characters replaced.
    """
    return _REPEATED_CHARACTER.sub(lambda m: f" {TK_REP} {m.end() - m.start()} {m[1]} ", text)


def replace_wrep(text: str) -> str:
    """Replace a word that stands three or more times in a row: `ha ha ha` becomes ` xxwrep 3 ha `.

    Args:
        text: any text.

    Returns:
        The text with each run of three or more equal words, separated by white space only, replaced.
    """
    return _REPEATED_WORD.sub(lambda m: f" {TK_WREP} {len(m[2].split()) + 1} {m[1]} {m[3]}", text)


def spec_add_spaces(text: str) -> str:
    r"""Put spaces around `/`, `#` and `\`.

    Args:
        text: any text.

    Returns:
        The text with those characters set apart.
    """
    return text.replace("/", " / ").replace("#", " # ").replace("\\", " \\ ")


def rm_useless_spaces(text: str) -> str:
    """Make one space of several. Tabs and newlines stay.

    Args:
        text: any text.

    Returns:
        The text without two spaces in a row.
    """
    return _SPACES.sub(" ", text) if "  " in text else text


def replace_all_caps(text: str) -> str:
    """Write words in ALL CAPS small, with `xxup` before those longer than one character.

    Args:
        text: any text; a word reaches from white space to white space and starts with A to Z.

    Returns:
        The text without words in capitals.
    """
    return _ALL_CAPS.sub(lambda m: _marked(TK_UP, m[0]), text)


def replace_maj(text: str) -> str:
    """Write Capitalized words small, with `xxmaj` before those longer than one character.

    Args:
        text: any text; a word reaches from white space to white space and only its first character is one of A to Z.

    Returns:
        The text without capitalized words.
    """
    return _CAPITALIZED.sub(lambda m: _marked(TK_MAJ, m[0]), text)


def _marked(mark: str, word: str) -> str:
    return f"{mark} {word.lower()}" if len(word) > 1 else word.lower()


def lowercase(text: str, add_bos: bool = True, add_eos: bool = False) -> str:
    """Write the text in small letters, without white space around it, after a mark of its beginning.

    Args:
        text: any text.
        add_bos: put `xxbos` before the text.
        add_eos: put `xxeos` behind it.

    Returns:
        The text in small letters with the marks.
    """
    return (f"{BOS} " if add_bos else "") + text.lower().strip() + (f" {EOS}" if add_eos else "")


def replace_space(token: str) -> str:
    """Write spaces inside a token as U+2581, so that tokens can be joined and split at spaces.

    Args:
        token: one token.

    Returns:
        The token without spaces.
    """
    return token.replace(" ", SPACE_MARK)


def apply(rules: Iterable[Rule], text: str) -> str:
    """Apply rules one after the other.

    Raises:
        DataError: one of them gives something that is no text.
    """
    for rule in rules:
        ruled = rule(text)
        if not isinstance(ruled, str):
            raise DataError(
                f"The rule {getattr(rule, '__name__', rule)!s} made {type(ruled).__name__} of a text; "
                "a rule is a function from string to string."
            )
        text = ruled
    return text


DEFAULT_RULES: tuple[Rule, ...] = (
    fix_html,
    replace_rep,
    replace_wrep,
    spec_add_spaces,
    rm_useless_spaces,
    replace_all_caps,
    replace_maj,
    lowercase,
)
"""What happens to a text before it is cut, in order."""

DEFAULT_POST_RULES: tuple[Rule, ...] = (replace_space,)
"""What happens to each token after the cut, in order."""


@dataclass(frozen=True)
class TextDefaults:
    """What is used where nothing is said, under the names that programs for texts know; cannot be changed.

    Args:
        text_spec_tok: the special tokens.
        text_proc_rules: rules for texts.
        text_postproc_rules: rules for tokens.
    """

    text_spec_tok: tuple[str, ...] = SPECIAL_TOKENS
    text_proc_rules: tuple[Rule, ...] = DEFAULT_RULES
    text_postproc_rules: tuple[Rule, ...] = DEFAULT_POST_RULES


defaults = TextDefaults()
"""What is used where nothing is said. To use something else, give it as an argument, such as `rules`."""
