"""From tokens back to readable text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from ulmfit.text.rules import BOS, EOS, FLD, PAD, SPACE_MARK, SPECIAL_TOKENS, TK_MAJ, TK_REP, TK_UP, TK_WREP
from ulmfit.text.vocab import FILLER

_LONGEST_REPEAT = 10_000  # a model may write any number behind xxrep
_SILENT = frozenset([PAD, BOS, EOS])
_NO_SPACE_BEFORE = re.compile(
    r"""[.,;:!?%)\]}\u2019\u201d\u2026]+|n['\u2019]t|['\u2019](s|m|d|re|ve|ll|em|t)|\+\+|\u00b0[cf]?""", re.IGNORECASE
)
_NO_SPACE_AFTER = frozenset("([{$\u00a3\u20ac#\u201c\u2018\u00bf\u00a1")
_CONTRACTIONS = frozenset(["can not", "gon na", "wan na", "got ta", "gim me", "lem me", "d' ye", "c' m"])
_ENDS = frozenset(["", ".", "!", "?", '"', "\u201c"])
_QUOTES = frozenset("\"'")
_CLITIC = re.compile("n['’]t|['’](?:s|m|d|re|ve|ll)")
_TIGHT = frozenset("-/\\\u2013\u2014~")


def detokenize(tokens: Iterable[str]) -> str:
    """Write tokens as readable text.

    Marks are carried out and disappear: `xxmaj` and `xxup` for exactly one word behind them, `xxrep` and `xxwrep` for
    exactly the count and the token behind them. Spaces before punctuation and within contractions are left out, and
    `xxfld` with its number begins a new line. What the rules destroyed (which of the spaces were there, capitals within
    words) does not come back.

    Args:
        tokens: the tokens of one text, words or subwords.

    Returns:
        The text.
    """
    words = list(_without_marks(_words(tokens)))
    out: list[str] = []
    open_quotes: set[str] = set()
    glue = True  # whether the next word follows without a space
    for i, word in enumerate(words):
        following = words[i + 1] if i + 1 < len(words) else ""
        before = words[i - 1] if i else ""
        if word.isspace():
            out.append(word)
            glue = True
            continue
        if word in _QUOTES:
            closing = word in open_quotes or (word == "'" and before[-1:].lower() == "s" and following != "")
            open_quotes ^= {word} if closing == (word in open_quotes) else set()
            space, glue_next = not closing, not closing
        elif word in _TIGHT:
            space, glue_next = _stands_alone(word, before), not _stands_alone(word, before)
        else:
            space = not (
                _NO_SPACE_BEFORE.fullmatch(word)
                or f"{before} {word}".lower() in _CONTRACTIONS
                or (word.isdecimal() and len({*word}) == 1 < len(word) - 1 and _ends_in_number(words, i))
            )
            glue_next = word[-1:] in _NO_SPACE_AFTER and len(word) == 1
        out.append(word if glue or not space else f" {word}")
        glue = glue_next
    return "".join(out)


def _ends_in_number(words: list[str], i: int) -> bool:
    """Tell whether the repeated digit at i goes on with the number before it, as in 1 000 or 10, 000."""
    before = words[i - 1] if i else ""
    return before[-1:].isdecimal() or (before in (",", ".") and i > 1 and words[i - 2][-1:].isdecimal())


def _stands_alone(mark: str, before: str) -> bool:
    return mark != "/" and mark != "\\" and not before[-1:].isalnum()


def _words(tokens: Iterable[str]) -> Iterator[str]:
    """Join subwords to words, and give words as they are."""
    tokens = list(tokens)
    if not any(token.startswith(SPACE_MARK) and not token.isspace() for token in tokens):
        yield from tokens
        return
    word = ""
    for token in tokens:
        inside = token not in SPECIAL_TOKENS and not token.startswith(SPACE_MARK)
        if word and not inside:
            yield word
            word = ""
        if token in SPECIAL_TOKENS:
            yield token
        else:
            word += token.removeprefix(SPACE_MARK)
    if word:
        yield word


def _without_marks(words: Iterable[str]) -> Iterator[str]:
    """Carry out the marks. A mark that lacks what belongs behind it is left out."""
    rest = list(words)
    i, case = 0, ""
    last = ""
    while i < len(rest):
        word = rest[i]
        i += 1
        if word in (TK_MAJ, TK_UP):
            case = word
            continue
        if word in _SILENT or word.startswith(FILLER):
            continue
        if word == FLD:
            i += i < len(rest) and rest[i].isdecimal()
            word = "\n"
        elif word in (TK_REP, TK_WREP):
            if i + 1 >= len(rest) or not rest[i].isdecimal():
                continue
            times, unit = min(int(rest[i]), _LONGEST_REPEAT), rest[i + 1]
            i += 2
            if word == TK_WREP:
                yield from [_cased(unit, case), *[unit] * (times - 1)]
                case, last = "", unit
                continue
            word = unit * times
        elif word == "i" or (word == "a" and last in _ENDS):
            word = word.upper()  # the rules leave no mark before words of one letter
        if word == "\n" and not last:
            continue
        yield _cased(word, case)
        if not word.isspace():
            goes_on = case == TK_UP and i < len(rest) and _CLITIC.fullmatch(rest[i])  # as in WASN'T, which is cut
            case, last = case if goes_on else "", word


def _cased(word: str, case: str) -> str:
    if case == TK_UP:
        return word.upper()
    return word[:1].upper() + word[1:] if case == TK_MAJ else word
