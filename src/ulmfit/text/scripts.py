"""Scripts that are written without spaces between words, and whether a tokenizer finds words in them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice

from ulmfit.text.base import BareTokenizer
from ulmfit.text.words import WordTokenizer

_WITHOUT_SPACES = re.compile(
    "[\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f"  # Burmese
    "\u1780-\u17ff"  # Khmer
    "\u3040-\u30ff"  # Hiragana, Katakana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003fffd]"  # Chinese characters
)
_LETTER = re.compile(r"[^\W\d_]")
_SHARE = 0.3
_TEXTS, _CHARACTERS = 500, 2_000


def share_without_spaces(texts: Iterable[str]) -> float:
    """The share of letters that belong to scripts without spaces between words, such as Chinese or Thai.

    Args:
        texts: any number, of which the first 500 are looked at, of each the first 2,000 characters.

    Returns:
        Between 0 and 1; 0 if there are no letters.
    """
    found = letters = 0
    for text in islice(texts, _TEXTS):
        part = text[:_CHARACTERS]
        found += len(_WITHOUT_SPACES.findall(part))
        letters += len(_LETTER.findall(part))
    return min(1.0, found / letters) if letters else 0.0


def different_words(texts: Iterable[str]) -> int:
    """How many different words there are; where spaces do not tell them, how many pairs of neighbouring characters.

    Args:
        texts: any number, read twice.
    """
    if share_without_spaces(texts) < _SHARE:
        return len({word for text in texts for word in text.split()})
    return len({part[i : i + 2] for text in texts for part in text.split() for i in range(max(1, len(part) - 1))})


def finds_no_words(tok: BareTokenizer, texts: Iterable[str]) -> bool:
    """Whether a tokenizer for words would take whole phrases for words.

    That is so where a good part of the texts is written without spaces, and the rules of the language have nothing else
    to go by. (For Chinese, Japanese and Thai spaCy has rules of another kind.)

    Args:
        tok: the tokenizer; any other than `WordTokenizer` finds its tokens everywhere.
        texts: some of what it is for.
    """
    return isinstance(tok, WordTokenizer) and tok.chunked and share_without_spaces(texts) >= _SHARE
