from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import pytest

from ulmfit.text import BareTokenizer, Tokenizer, TokenStore

PATTERN = re.compile("a")
TABLE = {"a": "b"}


def compiled(source: str, **names: Any) -> Callable[[str], str]:
    """A rule as if it stood in a program that is edited: the same name and place, another content."""
    space: dict[str, Any] = {"__name__": "program", **names}
    exec(source, space)  # noqa: S102
    return space["rule"]  # type: ignore[no-any-return]


def closing_over(word: str) -> Callable[[str], str]:
    return lambda text: text + word


class Replace:
    def __init__(self, old: str) -> None:
        self.old = old

    def __call__(self, text: str) -> str:
        return text.replace(self.old, "")

    def method(self, text: str) -> str:
        return text.replace(self.old, "")


class Cut(BareTokenizer):
    def __init__(self, at: str) -> None:
        self.at = at

    def tokenize_units(self, units: Sequence[str]) -> Iterator[Sequence[str]]:
        for unit in units:
            yield unit.split(self.at)


def swap(old: str, text: str, *, new: str = "") -> str:
    return text.replace(old, new)


SUB = "def rule(text): return P.sub('', text)"
HELPED = "def helper(text): return text + {!r}\ndef rule(text): return helper(text)"
DEFAULT = "def rule(text, more={!r}): return text + more"
KEYWORD = "def rule(text, *, more={!r}): return text + more"
NESTED = "def rule(text): return ''.join(c for c in text if c != {!r})"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (compiled("def rule(text): return text.upper()"), compiled("def rule(text): return text.lower()")),
        (closing_over("a"), closing_over("b")),
        (compiled(DEFAULT.format("a")), compiled(DEFAULT.format("b"))),
        (compiled(KEYWORD.format("a")), compiled(KEYWORD.format("b"))),
        (compiled(NESTED.format("a")), compiled(NESTED.format("b"))),
        (partial(swap, "a"), partial(swap, "b")),
        (partial(swap, "a", new="x"), partial(swap, "a", new="y")),
        (compiled(SUB, P=re.compile("a")), compiled(SUB, P=re.compile("b"))),
        (compiled(SUB, P=re.compile("a")), compiled(SUB, P=re.compile("a", re.IGNORECASE))),
        (compiled(HELPED.format("a")), compiled(HELPED.format("b"))),
        (lru_cache(compiled(HELPED.format("a"))), lru_cache(compiled(HELPED.format("b")))),
        (Replace("a"), Replace("b")),
        (Replace("a").method, Replace("b").method),
        (re.compile("a").pattern.join, re.compile("b").pattern.join),
        (str.lower, str.upper),
    ],
)
def test_rules_that_differ_are_told_apart_and_equal_ones_are_not(one: Any, other: Any) -> None:
    assert Tokenizer(rules=[one]).fingerprint() == Tokenizer(rules=[one]).fingerprint()
    assert Tokenizer(rules=[one]).fingerprint() != Tokenizer(rules=[other]).fingerprint()
    assert Tokenizer(post_rules=[one]) != Tokenizer(post_rules=[other])
    assert Tokenizer(post_rules=[one]) == Tokenizer(post_rules=[one])


def test_equal_rules_made_anew_are_equal() -> None:
    for make in (
        lambda: Replace("a"),
        lambda: closing_over("a"),
        lambda: compiled(HELPED.format("a")),
        lambda: partial(swap, "a"),
    ):
        assert Tokenizer(rules=[make()]).fingerprint() == Tokenizer(rules=[make()]).fingerprint()


def test_tokenizers_of_ones_own_are_told_apart_by_what_they_hold() -> None:
    assert Tokenizer(Cut("a")).fingerprint() == Tokenizer(Cut("a")).fingerprint()
    assert Tokenizer(Cut("a")).fingerprint() != Tokenizer(Cut("b")).fingerprint()


def test_a_rule_that_is_edited_gives_new_ids(tmp_path: Path) -> None:
    def tokens(word: str) -> list[str]:
        tokenizer = Tokenizer(rules=[closing_over(word)])
        store = TokenStore.build(["one two"], tokenizer, min_freq=1, cache_dir=tmp_path)
        return [store.vocab[int(i)] for i in store[0]]

    assert tokens(" three")[-1] == "three"
    assert tokens(" four")[-1] == "four"


def test_what_cannot_be_looked_into_is_not_found_again() -> None:
    lock = threading.Lock()

    def rule(text: str) -> str:
        with lock:
            return text

    tokenizer = Tokenizer(rules=[rule])
    with pytest.warns(UserWarning, match=r"no telling.*rule.*lock"):
        first = tokenizer.fingerprint()
    with pytest.warns(UserWarning, match="not found again in the cache"):
        assert tokenizer.fingerprint() != first
    assert tokenizer == tokenizer
    assert hash(tokenizer) == hash(tokenizer)
