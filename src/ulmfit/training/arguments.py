"""Arguments that are misspelt are answered with the name that was probably meant."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import ParamSpec, TypeVar

from ulmfit.errors import ConfigError

P = ParamSpec("P")
R = TypeVar("R")


def one_of(name: str, known: Iterable[str]) -> str:
    """What to say behind "NAME is not known": the likeliest name meant, and all names there are."""
    known = list(known)
    close = _likeliest(name, known)
    meant = f"did you mean {close!r}? Known are" if close else "known are"
    return f"{meant} {', '.join(known)}"


def _likeliest(name: str, known: list[str]) -> str | None:
    close = get_close_matches(name, known, n=1) or [k for k in known if k.startswith(name)]
    return close[0] if close else None


def parameter_names(function: Callable[..., object]) -> list[str]:
    """Names of the arguments that can be given by name."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = inspect.signature(function).parameters.values()
    return [p.name for p in parameters if p.kind in kinds and p.name != "self"]


def check_names(owner: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Refuse argument names that nobody takes.

    Raises:
        ConfigError: all unknown names at once, each with the name that was probably meant.
    """
    known = list(known)
    problems = []
    for name in given:
        if name not in known:
            close = _likeliest(name, known)
            problems.append(f"{name!r}" + (f" (did you mean {close!r}?)" if close else ""))
    if problems:
        raise ConfigError(f"{owner} has no argument {', '.join(problems)}; it takes {', '.join(known)}")


def names_checked(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function whose misspelt arguments shall be answered with a suggestion."""
    known = parameter_names(function)
    owner = function.__qualname__.removesuffix(".__init__").rpartition(".")[2]

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        if not kwargs.keys() <= set(known):
            check_names(owner, kwargs, known)
        return function(*args, **kwargs)

    return checked
