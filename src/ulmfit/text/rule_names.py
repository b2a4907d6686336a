"""Rules for tokenizing as JSON: those of the library by their names."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from ulmfit.errors import ConfigError, FormatError
from ulmfit.text.identity import name_of
from ulmfit.text.rules import DEFAULT_POST_RULES, DEFAULT_RULES, Rule

_BUILT_IN_RULES = {rule.__name__: rule for rule in (*DEFAULT_RULES, *DEFAULT_POST_RULES)}


def is_built_in(rule: Rule) -> bool:
    """Whether it is a rule of this library, perhaps with keywords that can be written as JSON."""
    inner: Any = rule
    if isinstance(rule, partial):
        inner = rule.func
        if rule.args or not all(isinstance(value, bool | int | float | str) for value in rule.keywords.values()):
            return False
    return _BUILT_IN_RULES.get(getattr(inner, "__name__", "")) is inner


def rule_to_json(rule: Rule) -> dict[str, Any]:
    """The name of a rule and its keywords."""
    if not is_built_in(rule):
        return {"custom": name_of(rule)}
    inner, keywords = (rule.func, rule.keywords) if isinstance(rule, partial) else (rule, {})
    return {"name": getattr(inner, "__name__", "")} | ({"keywords": dict(keywords)} if keywords else {})


def rule_from_json(entry: Any, path: Path) -> Rule:
    """The rule that was written so.

    Args:
        entry: what `rule_to_json` gave.
        path: the file it stands in, for messages.

    Raises:
        ConfigError: it is a rule of the user's own.
        FormatError: there is no such rule.
    """
    if isinstance(entry, dict) and "custom" in entry:
        raise ConfigError(
            f"{path} was saved with the rule {entry['custom']} of your own. Give all rules: load(folder, rules=...)."
        )
    try:
        rule = _BUILT_IN_RULES[entry["name"]]
        return partial(rule, **entry["keywords"]) if "keywords" in entry else rule
    except (KeyError, TypeError) as error:
        raise FormatError(f"{path} names an unknown rule: {entry!r}.") from error
