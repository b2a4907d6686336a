"""The errors a user can meet. Each message says what was given, what was expected and how to mend it."""

from __future__ import annotations

from collections.abc import Sequence


class UlmfitError(Exception):
    """Base class of every error that this package raises on purpose."""


class DataError(UlmfitError, ValueError):
    """The texts or labels given cannot be used as they are."""


class ConfigError(UlmfitError, ValueError):
    """A setting is out of range, unknown, or disagrees with another."""


class FormatError(UlmfitError):
    """A file or folder that should hold a saved object is damaged, incomplete or of another format."""


class MissingExtraError(UlmfitError, ImportError):
    """An optional dependency is not installed.

    Args:
        package: the package that could not be imported.
        extra: the name of the extra of `ulmfit` that brings it.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"{package} is needed for this and is not installed. Install it with: pip install 'ulmfit[{extra}]'"
        )
        self.package = package
        self.extra = extra


def counted(n: int, what: str) -> str:
    """A number with what it is of: "1 text", "2,000 texts"."""
    return f"{n:,} {what}" + ("" if n == 1 else "s")


def named(items: Sequence[object], most: int = 8, between: str = ", ") -> str:
    """How a message lists things: the first of them, and how many more there are."""
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return between.join(map(str, items[:most])) + more
