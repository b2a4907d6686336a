"""What functions and objects of the user's own depend on, so that ids made with others are not taken for theirs."""

from __future__ import annotations

import dis
import hashlib
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import PurePath
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

_MAX_PARTS = 20_000
_PLAIN = (type(None), bool, int, float, complex, str, bytes, bytearray, type(...))
_UNITED = (list, tuple, set, frozenset, dict)


class UnknownStateError(Exception):
    """There is no telling what this depends on."""


def digest(thing: Any) -> str:
    """Hash all that a function or an object depends on: code, arguments, what it refers to, and what it holds.

    Args:
        thing: a function, a partial, an object that can be called, or anything else.

    Returns:
        A hexadecimal string, equal in every process in which the same would be computed.

    Raises:
        UnknownStateError: it holds something that cannot be looked into.
    """
    try:
        content = _Description().of(thing)
    except RecursionError as error:
        raise UnknownStateError("it is nested too deeply") from error
    return hashlib.sha256(json.dumps(content).encode("utf-8", "surrogatepass")).hexdigest()


class _Description:
    """Describes things in terms of JSON; what was described before is named by its number."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}
        self._kept: list[Any] = []  # as the number of an object that is gone may be given again

    def of(self, thing: Any) -> Any:
        if type(thing) in _PLAIN:
            return [type(thing).__name__, repr(thing)]
        if id(thing) in self._numbers:
            return self._numbers[id(thing)]
        self._numbers[id(thing)] = len(self._kept)
        self._kept.append(thing)
        if len(self._kept) > _MAX_PARTS:
            raise UnknownStateError("it refers to too much")
        return self._new(thing)

    def _new(self, thing: Any) -> Any:
        kind = type(thing)
        if kind in _UNITED:
            return [kind.__name__, self._united(thing)]
        if isinstance(thing, re.Pattern):
            return ["pattern", self.of(thing.pattern), thing.flags]
        if isinstance(thing, PurePath):
            return ["path", str(thing)]
        if isinstance(thing, CodeType):
            return [
                thing.co_code.hex(),
                thing.co_names,
                thing.co_varnames,
                thing.co_freevars,
                [self.of(one) for one in thing.co_consts],
            ]
        if isinstance(thing, partial):
            return ["partial", self.of(thing.func), self.of(thing.args), self.of(thing.keywords)]
        if isinstance(thing, MethodType):
            return ["method", self.of(thing.__func__), self.of(thing.__self__)]
        if isinstance(thing, BuiltinFunctionType):
            held = thing.__self__
            return [thing.__qualname__, held.__name__ if isinstance(held, ModuleType) else self.of(held)]
        if isinstance(thing, ModuleType):
            return _installed(thing.__name__) or thing.__name__
        if isinstance(thing, FunctionType):
            return _installed(thing.__module__, thing.__qualname__) or self._function(thing)
        if isinstance(thing, type):
            return _installed(thing.__module__, thing.__qualname__) or self._class(thing)
        return self._object(thing)

    def _united(self, thing: Any) -> Any:
        if isinstance(thing, dict):
            return [[self.of(key), self.of(value)] for key, value in thing.items()]
        parts = sorted(thing, key=repr) if isinstance(thing, set | frozenset) else thing
        return [self.of(part) for part in parts]

    def _function(self, function: FunctionType) -> Any:
        cells = function.__closure__ or ()
        return [
            function.__qualname__,
            self.of(function.__code__),
            self.of(function.__defaults__),
            self.of(function.__kwdefaults__),
            [self.of(_cell_value(cell)) for cell in cells],
            [[name, self.of(value)] for name, value in _referred(function.__code__, function.__globals__)],
        ]

    def _class(self, kind: type) -> Any:
        own = {
            name: getattr(value, "__func__", getattr(value, "fget", value))
            for name, value in vars(kind).items()
            if name not in _OF_EVERY_CLASS and not isinstance(value, _DESCRIPTORS)
        }
        return [kind.__qualname__, [self.of(base) for base in kind.__bases__], self._united(own)]

    def _object(self, thing: Any) -> Any:
        if callable(wrapped := getattr(thing, "__wrapped__", None)):  # such as what lru_cache makes
            return [type(thing).__qualname__, self.of(wrapped)]
        if isinstance(thing, _METHODS):  # such as str.lower
            return [thing.__qualname__, thing.__objclass__.__name__]
        try:
            reduced = thing.__reduce_ex__(2)
        except Exception as error:  # whatever the author of the class raises: it cannot be looked into
            raise UnknownStateError(f"{type(thing).__name__}: {error}") from error
        if isinstance(reduced, str):
            return [self.of(type(thing)), reduced]
        make, arguments, state, items, pairs = (*reduced, None, None, None)[:5]
        return [
            self.of(make),
            self.of(arguments),
            self.of(state),
            [self.of(item) for item in items or ()],
            [[self.of(key), self.of(value)] for key, value in pairs or ()],
        ]


_OF_EVERY_CLASS = frozenset(("__dict__", "__weakref__", "__doc__", "__module__", "__firstlineno__", "_abc_impl"))
_METHODS: Any = (type(str.lower), type(str.__len__), type("".__len__))
_DESCRIPTORS = (type(FunctionType.__code__), type(FunctionType.__globals__))


def _installed(module: str | None, name: str = "") -> list[str] | None:
    """Name and version of what is of Python, of this library, or was installed; None for the user's own."""
    top = (module or "").partition(".")[0]
    if top in sys.stdlib_module_names or top in ("ulmfit", "builtins"):
        return [f"{module}.{name}", sys.version if top != "ulmfit" else ""]
    found = sys.modules.get(top)
    file = PurePath(getattr(found, "__file__", None) or "")
    if {"site-packages", "dist-packages"} & set(file.parts):
        return [f"{module}.{name}", str(getattr(found, "__version__", ""))]
    return None


def _cell_value(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a variable that was not set yet
        return "unset"


def _referred(code: CodeType, known: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The global names that code uses, with their values, and what it may use of the user's own modules."""
    for name in sorted(_global_names(code)):
        if name not in known:
            continue
        value = known[name]
        yield name, value
        if isinstance(value, ModuleType) and _installed(value.__name__) is None:
            yield from ((f"{name}.{one}", getattr(value, one)) for one in code.co_names if hasattr(value, one))


def _global_names(code: CodeType) -> set[str]:
    own = {str(one.argval) for one in dis.get_instructions(code) if one.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    inner: list[set[str]] = [_global_names(const) for const in code.co_consts if isinstance(const, CodeType)]
    return own.union(*inner)


def name_of(function: Callable[..., Any]) -> str:
    """The name of a function or of the class of an object, for messages and files."""
    inner = function.func if isinstance(function, partial) else function
    named = inner if hasattr(inner, "__qualname__") else type(inner)
    return f"{getattr(named, '__module__', '')}.{getattr(named, '__qualname__', '')}"
