"""What users give: misspelt names are answered with the one that was probably meant, wrong types with the right one."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from numbers import Integral, Real
from pathlib import Path
from types import SimpleNamespace, UnionType
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from ulmfit.errors import ConfigError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

P = ParamSpec("P")
R = TypeVar("R")
_SHOWN = 80  # letters of a wrong value in a message


def one_of(name: str, known: Iterable[str]) -> str:
    """What to say behind "NAME is not known": the likeliest name meant, and all names there are."""
    known = list(known)
    close = likeliest(name, known)
    meant = f"did you mean {close!r}? Known are" if close else "known are"
    return f"{meant} {', '.join(known)}"


def likeliest(name: str, known: list[str]) -> str | None:
    """The known name that was probably meant by this one, if any is like it."""
    words = sorted(name.split("_"))  # max_lr is lr_max
    close = [k for k in known if sorted(k.split("_")) == words]
    close = close or [k for k in known if k.endswith(f"_{name}")] or get_close_matches(name, known, n=1)
    close = close or [k for k in known if k.startswith(name)]
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
            close = likeliest(name, known)
            problems.append(f"{name!r}" + (f" (did you mean {close!r}?)" if close else ""))
    if problems:
        raise ConfigError(f"{owner} has no argument {', '.join(problems)}; it takes {', '.join(known)}")


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function of users: arguments that are misspelt or of a wrong type are refused before anything is done.

    Types are those of the annotations. Functions with `**settings` check these names themselves.

    Raises:
        ConfigError: all such arguments at once, each with what was probably meant or what it must be.
    """
    signature = inspect.signature(function)
    known = parameter_names(function)
    takes_any = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    owner = function.__qualname__.removesuffix(".__init__").rpartition(".")[2]
    annotated = SimpleNamespace(
        __annotations__={p.name: p.annotation for p in signature.parameters.values() if p.annotation is not p.empty}
    )
    # When it is called: all names are defined by then.
    hints = functools.cache(lambda: get_type_hints(annotated, getattr(function, "__globals__", {})))

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        if not takes_any and not kwargs.keys() <= set(known):
            check_names(owner, kwargs, known)
        try:
            given = signature.bind(*args, **kwargs).arguments
        except TypeError:
            return function(*args, **kwargs)  # Python says which argument is missing, or too many
        _check_types(owner, {name: value for name, value in given.items() if name in known}, hints())
        return function(*args, **kwargs)

    return wrapper


def check_fields(config: DataclassInstance) -> None:
    """Refuse fields of a dataclass that are not of the types of their annotations.

    Raises:
        ConfigError: all such fields at once.
    """
    given = {field.name: getattr(config, field.name) for field in fields(config)}
    _check_types(type(config).__name__, given, get_type_hints(type(config)))


def at_least(least: int, **given: float | None) -> None:
    """Refuse numbers that are too small; None passes.

    Raises:
        ConfigError: naming the arguments.
    """
    _refuse({n: v for n, v in given.items() if v is not None and not v >= least}, f"must be at least {least}")


def positive(**given: float | None) -> None:
    """Refuse numbers that are not above 0; None passes.

    Raises:
        ConfigError: naming the arguments.
    """
    _refuse({n: v for n, v in given.items() if v is not None and not v > 0}, "must be a positive number")


def check_dropouts(**given: float) -> None:
    """Refuse probabilities of dropout that are not in [0, 1).

    Raises:
        ConfigError: naming the arguments.
    """
    _refuse({n: v for n, v in given.items() if not 0 <= v < 1}, "must be in [0, 1)")


def between_0_and_1(**given: float) -> None:
    """Refuse numbers that are not between 0 and 1, both excluded.

    Raises:
        ConfigError: naming the arguments.
    """
    _refuse({n: v for n, v in given.items() if not 0 < v < 1}, "must be between 0 and 1")


def _refuse(wrong: Mapping[str, object], why: str) -> None:
    if wrong:
        raise ConfigError("; ".join(f"{name}={value} {why}" for name, value in wrong.items()))


def _check_types(owner: str, given: Mapping[str, Any], hints: Mapping[str, Any]) -> None:
    problems = [
        f"{name}={_shown(value)} must be {_described(hint)}{_slip(value, hint)}"
        for name, value in given.items()
        if not _fits(value, hint := hints.get(name, Any))
    ]
    if problems:
        raise ConfigError(f"{owner}: {'; '.join(problems)}")


def _slip(value: Any, hint: Any) -> str:
    """What a wrong value was probably meant to be."""
    if get_origin(hint) is type and isinstance(value, str):
        names = [c.__name__ for c in get_args(hint)[0].__subclasses__()]
        return f" (write {value} without quotes)" if value in names else ""
    return " (nan is not one)" if isinstance(value, float) and math.isnan(value) else ""


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of a type; numbers of numpy are numbers, lists are as good as tuples."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, UnionType):
        return any(_fits(value, part) for part in inner)
    if origin is Literal:
        return value in inner
    if origin is type:
        return isinstance(value, type) and issubclass(value, inner[0])
    if origin is tuple and inner[-1] is Ellipsis:
        origin = Sequence
    if origin is tuple:
        return isinstance(value, tuple | list) and len(value) == len(inner) and all(map(_fits, value, inner))
    if origin is Sequence:
        return isinstance(value, tuple | list) and all(_fits(part, inner[0]) for part in value)
    if origin is Iterable:  # a string is one thing: its letters are never what was meant
        return isinstance(value, Iterable) and not isinstance(value, str | bytes | Path)
    if hint is bool:
        return isinstance(value, bool | np.bool_)
    if isinstance(value, bool) and hint in (int, float):
        return False
    if hint is int:
        return isinstance(value, Integral)
    if hint is float:
        return isinstance(value, Real) and not math.isnan(float(value))
    if getattr(hint, "_is_protocol", False) and not getattr(hint, "_is_runtime_protocol", False):
        return True  # is asked for what is needed of it where that is used
    return isinstance(value, origin or hint)


_IN_WORDS = {
    float: "a number",
    int: "a whole number",
    bool: "True or False",
    str: "a string",
    Path: "a path",
    slice: "slice(high) or slice(low, high)",
    type(None): "None",
    Callable: "a function",
    Mapping: "a dictionary",
}


def _described(hint: Any) -> str:
    """A type in words."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return " or ".join(map(_described, inner))
    if origin is Literal:
        return f"one of {', '.join(map(repr, inner))}"
    if origin is type:
        known = ", ".join(c.__name__ for c in inner[0].__subclasses__())
        return f"a subclass of {inner[0].__name__}" + (f" ({known})" if known else "")
    if origin is tuple and inner[-1] is not Ellipsis:
        return f"{len(inner)} values, each {_described(inner[0])}"
    if origin is Iterable:
        return "a list or another collection"
    if origin in (Sequence, tuple):
        return f"a list of such: {_described(inner[0])}"
    if getattr(hint, "_is_protocol", False):
        return str(inspect.getdoc(hint)).partition("\n")[0].rstrip(".").lower()
    return _IN_WORDS.get(origin or hint) or f"an object of {(origin or hint).__name__}"


def _shown(value: object) -> str:
    """A value as it was probably written, or its class where that would be long."""
    text = repr(value)
    return text if len(text) <= _SHOWN and "\n" not in text and " at 0x" not in text else f"<{type(value).__name__}>"
