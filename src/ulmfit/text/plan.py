"""Which rules see the whole text, and which are applied once per distinct chunk of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ulmfit.text.rules import DEFAULT_RULES, Rule, lowercase, replace_wrep, rm_useless_spaces


@dataclass(frozen=True)
class Plan:
    """How a list of rules is carried out.

    Args:
        whole: the rules that see the whole text.
        chunkwise: the rules that are applied to each distinct chunk, without `replace_wrep` and `lowercase`.
        wrep: whether `replace_wrep` is one of the rules.
        before: the tokens that `lowercase` puts before a text.
        after: the tokens that it puts behind it.
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
        The plan, or None if all must see the whole text. They need not if the list ends with rules of
        `DEFAULT_RULES[1:]` in that order, `rm_useless_spaces` and `lowercase` among them.
    """
    last: Any = rules[-1] if rules else None
    keywords: dict[str, Any] = {}
    if isinstance(last, partial) and not last.args:
        last, keywords = last.func, last.keywords
    if last is not lowercase:
        return None
    order = {rule: i for i, rule in enumerate(DEFAULT_RULES) if i}
    start, at = len(rules) - 1, len(DEFAULT_RULES) - 1
    while start > 0 and order.get(rules[start - 1], at) < at:
        start -= 1
        at = order[rules[start]]
    local = rules[start:-1]
    if rm_useless_spaces not in local:
        return None
    before = lowercase("", **(keywords | {"add_eos": False})).split()
    after = lowercase("", **(keywords | {"add_bos": False})).split()
    chunkwise = tuple(rule for rule in local if rule is not replace_wrep)
    return Plan(tuple(rules[:start]), chunkwise, replace_wrep in local, tuple(before), tuple(after))
