"""The memory that makes tokenizing fast: every distinct piece of text is cut once.

What is unusual here, and why it is exact:

* After the rules, a text is a sequence of units (see `WordTokenizer.split`) whose tokens do not depend on each other.
  A dictionary from unit to tokens therefore gives the same tokens as the tokenizer applied to the whole text.
* All the default rules but `fix_html` and `replace_wrep` look no further than the next white space. So the rules too are
  applied once per distinct piece of raw text (here: a chunk, with any white space before it other than spaces), in
  the default order or with some of them left out. `replace_wrep` needs three equal words in a row. That is rare and cheap
  to rule out; a text in which it is possible goes the long way, all rules on the whole text.
* With any other rules, the text goes the long way too.

Pieces that no text has used for a while are forgotten, so that memory is bounded whatever the texts are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from operator import eq
from typing import Any, Generic, Protocol, TypeVar

from ulmfit.text.rules import DEFAULT_RULES, Rule, lowercase, replace_rep, replace_wrep, rm_useless_spaces

T = TypeVar("T")

_ODD_SPACE = re.compile(r" *([^\S ]\s*)")
_ODD_SPACE_IN = re.compile(r"[^\S ]").search
_WORD = re.compile(r"\w+").fullmatch
_SEPARATOR = "\x1c"  # white space to every rule, and very rare in texts
_RULED = " "  # begins the keys of units to which the rules have been applied; no other key begins with a space


class BareTokenizer(Protocol):
    """What a tokenizer must offer for its answers to be remembered."""

    kind: str
    chunked: bool
    """Whether tokens never depend on what stands beyond a space, so that rules may be remembered by chunk."""

    def config(self) -> dict[str, Any]:
        """Tell the arguments that make an equal tokenizer."""
        ...

    def split(self, text: str) -> list[str]:
        """Cut a text into units whose tokens do not depend on each other."""
        ...

    def tokenize_units(self, units: Sequence[str]) -> list[list[str]]:
        """Cut units into tokens."""
        ...

    def sticks(self, chunk: str) -> bool:
        """Tell whether the tokens of a chunk might depend on the chunk before it or after it."""
        ...


@dataclass(frozen=True)
class Plan:
    """How a list of rules is carried out.

    Args:
        whole: the rules that see the whole text.
        chunkwise: the rules that are applied to each distinct chunk, without `replace_wrep` and `lowercase`.
        wrep: whether `replace_wrep` is one of the rules.
        before: tokens that `lowercase` puts before a text.
        after: tokens that it puts behind it.
    """

    whole: tuple[Rule, ...]
    chunkwise: tuple[Rule, ...]
    wrep: bool
    before: tuple[str, ...]
    after: tuple[str, ...]


def make_plan(rules: Sequence[Rule]) -> Plan | None:
    """Find out which rules can be applied chunk by chunk.

    Args:
        rules: the rules of a tokenizer.

    Returns:
        The plan, or None if they must all see the whole text. They need not if the list ends with rules of
        `DEFAULT_RULES[1:]` in that order, among them `rm_useless_spaces` and `lowercase`.
    """
    if not rules:
        return None
    last, keywords = rules[-1], dict[str, Any]()
    if isinstance(last, partial) and last.func is lowercase and not last.args:
        last, keywords = lowercase, last.keywords
    if last is not lowercase:
        return None
    order = {rule: i for i, rule in enumerate(DEFAULT_RULES) if i}
    start, at = len(rules) - 1, len(DEFAULT_RULES) - 1
    while start > 0 and order.get(rules[start - 1], at) < at:
        start -= 1
        at = order[rules[start]]
    local = tuple(rules[start:-1])
    if rm_useless_spaces not in local:
        return None
    extra = lowercase("", **keywords).split()
    after = tuple(extra[-1:]) if keywords.get("add_eos") else ()
    return Plan(
        tuple(rules[:start]),
        tuple(rule for rule in local if rule is not replace_wrep),
        replace_wrep in local,
        tuple(extra[: len(extra) - len(after)]),
        after,
    )
