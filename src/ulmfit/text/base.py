"""What every tokenizer offers: a small class to derive one's own from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self


class BareTokenizer(ABC):
    """Cuts texts into tokens, without rules.

    A tokenizer of one's own needs `tokenize_units` alone. Saving and loading it takes `config`, whose answer is given
    to the class again, and `save` and `load` where that does not suffice. Setting `chunked` makes it fast.
    """

    kind: ClassVar[str] = "custom"
    """The name of the class in the files of a saved tokenizer."""

    chunked: bool = False
    """Whether tokens depend on nothing beyond a space, but for what `lefts` and `sticks` tell."""

    @abstractmethod
    def tokenize_units(self, units: Sequence[str]) -> Iterable[Sequence[str]]:
        """Cut units into tokens.

        Args:
            units: what `split` gave.

        Returns:
            The tokens of each unit, in the order of the units.
        """

    def split(self, text: str) -> list[str]:
        """Cut a text into units whose tokens do not depend on each other: here the whole text.

        Args:
            text: any text.

        Returns:
            The units. A chunked tokenizer cuts a printable text without two spaces in a row at its spaces and, within
            100 characters, not elsewhere.
        """
        return [text] if text else []

    def lefts(self, units: Sequence[str], tokens: Iterable[Sequence[str]]) -> dict[str, tuple[str, ...]]:
        """Tell what the unit before must end with for the tokens of both together to be others than those apart.

        Args:
            units: some units.
            tokens: the tokens of each.

        Returns:
            Such endings for each unit that may depend on the one before; here none does.
        """
        return {}

    def sticks(self, left: str, lefts: tuple[str, ...]) -> bool:
        """Tell whether the tokens of two neighbours may be others together than apart.

        Args:
            left: the unit before.
            lefts: what `lefts` gave for the unit that follows it after a space.

        Returns:
            False is a promise.
        """
        return False

    def config(self) -> dict[str, Any]:
        """Tell the arguments that make an equal tokenizer, but for what `save` writes.

        Returns:
            Name and value of each, in terms of JSON.
        """
        return {}

    def identity(self) -> dict[str, Any]:
        """Tell all that the tokens depend on.

        Returns:
            The arguments, and whatever else there is, such as versions of other libraries, in terms of JSON.
        """
        return self.config()

    def save(self, folder: Path) -> None:
        """Write what `config` does not tell: here nothing.

        Args:
            folder: where to.
        """
        return

    @classmethod
    def load(cls, folder: Path, **config: Any) -> Self:
        """Make the tokenizer again.

        Args:
            folder: where it was saved.
            **config: what `config` told.

        Returns:
            An equal tokenizer.
        """
        return cls(**config)

    def __call__(self, texts: Iterable[str]) -> Iterator[list[str]]:
        """Cut texts into tokens, without rules and without remembering.

        Args:
            texts: any number of texts.

        Yields:
            The tokens of each text.
        """
        for text in texts:
            yield [token for tokens in self.tokenize_units(self.split(text)) for token in tokens]
