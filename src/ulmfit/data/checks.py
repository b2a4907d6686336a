"""Arguments of a wrong kind are answered where they are given, by name, before anything is read or trained."""

from __future__ import annotations

import os
from collections.abc import Iterable
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from ulmfit.errors import ConfigError


def _wrong(name: str, value: object, expected: str) -> ConfigError:
    return ConfigError(f"{name}={value!r:.80} is of type {type(value).__name__}; it must be {expected}")


def _is_number(value: object, kind: type = Real) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def whole_number(name: str, value: Any, least: int = 1, none: str | None = None) -> None:
    """Refuse what is no whole number.

    Args:
        name: of the argument.
        value: what was given.
        least: the smallest that makes sense.
        none: what None stands for; None if it is not allowed.

    Raises:
        ConfigError: naming the argument and what was expected.
    """
    if value is None and none is not None:
        return
    or_none = f", or None {none}" if none else ""
    if not _is_number(value, Integral):
        raise _wrong(name, value, f"a whole number{or_none}")
    if value < least:
        raise ConfigError(f"{name}={value} must be at least {least}{or_none}")


def share(name: str, value: Any) -> None:
    """Refuse what is no number between 0 and 1, both excluded.

    Raises:
        ConfigError: naming the argument.
    """
    if not _is_number(value):
        raise _wrong(name, value, "a number between 0 and 1, such as 0.2")
    if not 0 < value < 1:
        raise ConfigError(f"{name}={value} must be between 0 and 1")


def share_or_number(name: str, value: Any) -> None:
    """Refuse what is neither a share nor a whole number of items.

    Raises:
        ConfigError: naming the argument.
    """
    if not _is_number(value):
        raise _wrong(name, value, "a share between 0 and 1, or a whole number of items")
    if not 0 < value < 1 and (value < 1 or value != int(value)):
        raise ConfigError(f"{name}={value} must be a share between 0 and 1, or a whole number of items")


def yes_or_no(**given: Any) -> None:
    """Refuse what is neither True nor False.

    Raises:
        ConfigError: naming the argument.
    """
    for name, value in given.items():
        if not isinstance(value, bool):
            raise _wrong(name, value, "True or False")


def path_of(name: str, value: Any) -> Path:
    """Take a path.

    Raises:
        ConfigError: it is none.
    """
    if not isinstance(value, str | os.PathLike):
        raise _wrong(name, value, "a path, as a string or a Path")
    return Path(value)


def string(name: str, value: Any, none: bool = False) -> None:
    """Refuse what is no string.

    Raises:
        ConfigError: naming the argument.
    """
    if not (isinstance(value, str) or (none and value is None)):
        raise _wrong(name, value, "a string" + (" or None" if none else ""))


def functions(**given: Any) -> None:
    """Refuse what is neither a function nor None.

    Raises:
        ConfigError: naming the argument.
    """
    for name, value in given.items():
        if not (value is None or callable(value)):
            raise _wrong(name, value, "a function")


def column_names(name: str, value: Any) -> list[str | int]:
    """Take one column or several, by name or position.

    Raises:
        ConfigError: it is neither.
    """
    several = value if isinstance(value, list | tuple) else [value]
    if not all(isinstance(one, str | int) and not isinstance(one, bool) for one in several):
        raise _wrong(name, value, "the name or position of a column, or a list of them")
    return list(several)


def several(name: str, value: Any, what: str) -> list[Any]:
    """Take a collection. A string is one thing: its characters are never what was meant.

    Raises:
        ConfigError: it is none.
    """
    if isinstance(value, str | bytes | os.PathLike) or not isinstance(value, Iterable):
        raise _wrong(name, value, f"{what}, as a list or another collection")
    return list(value)
