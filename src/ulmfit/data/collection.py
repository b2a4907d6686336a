"""A list that shows its length and its first items, and small helpers for collections."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Generic, TypeVar, cast, overload

T = TypeVar("T")
U = TypeVar("U")


def coll_repr(c: Collection[Any], max_n: int = 10) -> str:
    """Write the length and the first items of a collection.

    Args:
        c: a collection with a length.
        max_n: items that are written at most.

    Returns:
        For example `(#3) ['a','b','c']`.
    """
    n = len(c)
    return f"(#{n}) [{','.join(map(repr, islice(c, max_n)))}{'...' if n > max_n else ''}]"


def first(x: Iterable[T], f: Callable[[T], Any] | None = None) -> T | None:
    """Give the first item, or the first one that `f` is true of; None if there is none."""
    return next((item for item in x if f is None or f(item)), None)


class L(list[T], Generic[T]):
    """A list that shows its length, can be indexed by several indices or a mask, and mapped by a method.

    Args:
        items: an iterable; None for an empty list. A string, a path or another single thing becomes its only item.
    """

    def __init__(self, items: Any = None) -> None:
        if items is None:
            super().__init__()
        elif isinstance(items, str | bytes | Path | dict) or not isinstance(items, Iterable):
            super().__init__([cast(T, items)])
        else:
            super().__init__(items)

    def __repr__(self) -> str:
        return coll_repr(self)

    @overload  # type: ignore[override]
    def __getitem__(self, i: int) -> T: ...

    @overload
    def __getitem__(self, i: slice | Iterable[int] | Iterable[bool]) -> L[T]: ...

    def __getitem__(self, i: Any) -> Any:
        if isinstance(i, int):  # first: by far the most frequent
            return super().__getitem__(i)
        if isinstance(i, slice):
            return L(super().__getitem__(i))
        if isinstance(i, Iterable):
            chosen = list(i)
            if chosen and isinstance(chosen[0], bool):
                return L(item for item, keep in zip(self, chosen, strict=True) if keep)
            return L(super(L, self).__getitem__(int(one)) for one in chosen)
        return super().__getitem__(i)

    def __add__(self, other: Iterable[Any]) -> L[Any]:
        return L([*self, *other])

    def map(self, f: Callable[[T], U]) -> L[U]:
        """Apply `f` to every item."""
        return L(list(map(f, self)))

    def filter(self, f: Callable[[T], Any]) -> L[T]:
        """Keep the items that `f` is true of."""
        return L(list(filter(f, self)))

    def attrgot(self, name: str, default: Any = None) -> L[Any]:
        """The attribute `name` of every item."""
        return self.map(lambda item: getattr(item, name, default))

    def itemgot(self, *indices: Any) -> L[Any]:
        """What stands at the indices, one inside the other, in every item."""
        got: Iterator[Any] = iter(self)
        for index in indices:
            got = (item[index] for item in list(got))
        return L(list(got))

    def unique(self) -> L[T]:
        """Every different item once, in the order of first occurrence."""
        return L(list(dict.fromkeys(self)))
