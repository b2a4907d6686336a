"""An adapter for a tokenizer file of the Hugging Face `tokenizers` library."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from ulmfit.errors import FormatError, MissingExtraError

_FILE = "hf-tokenizer.json"


class HFTokenizer:
    """Cuts texts as a `tokenizer.json` of the `tokenizers` library tells. Use it with few rules or none.

    Args:
        file: the path of the file.
        content: instead of the path, what is in the file.

    Raises:
        FormatError: if it is no such file.
    """

    kind = "hf"
    chunked = False

    def __init__(self, file: str | Path | None = None, content: str | None = None) -> None:
        if content is None:
            try:
                content = Path(file or _FILE).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise FormatError(f"{file} cannot be read as a tokenizer file ({error}).") from error
        self._content = content
        self._tokenizer: Any = None
        self._ready()

    def _ready(self) -> Any:
        if self._tokenizer is None:
            try:
                tokenizers: Any = import_module("tokenizers")
            except ImportError as error:
                raise MissingExtraError("tokenizers", "hf") from error
            try:
                self._tokenizer = tokenizers.Tokenizer.from_str(self._content)
            except Exception as error:  # the library raises bare Exception
                raise FormatError(f"This is not a tokenizer file of the tokenizers library ({error}).") from error
        return self._tokenizer

    def config(self) -> dict[str, Any]:
        """Tell the arguments that make an equal tokenizer, but for the file.

        Returns:
            Nothing.
        """
        return {"sha256": hashlib.sha256(self._content.encode()).hexdigest()}

    def identity(self) -> dict[str, Any]:
        """Tell all that the tokens depend on.

        Returns:
            The hash of the file.
        """
        return self.config()

    def save(self, folder: Path) -> None:
        """Write the file.

        Args:
            folder: where to.
        """
        (folder / _FILE).write_text(self._content, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, **config: Any) -> HFTokenizer:
        """Read what `save` wrote.

        Args:
            folder: where from.
            **config: what `config` told.

        Returns:
            An equal tokenizer.

        Raises:
            FormatError: if the file is missing or not the one that was saved.
        """
        found = cls(folder / _FILE)
        if found.config() != config:
            raise FormatError(f"{folder / _FILE} is not the file that was saved.")
        return found

    def split(self, text: str) -> list[str]:
        """Cut a text into units whose tokens do not depend on each other: here the whole text.

        Args:
            text: any text.

        Returns:
            The text alone.
        """
        return [text] if text else []

    def tokenize_units(self, units: Sequence[str]) -> Iterator[tuple[str, Sequence[str]]]:
        """Cut texts into tokens.

        Args:
            units: what `split` gave.

        Yields:
            Each text with its tokens.
        """
        for unit in units:
            yield unit, self._ready().encode(unit, add_special_tokens=False).tokens

    def __call__(self, texts: Iterable[str]) -> Iterator[list[str]]:
        """Cut texts into tokens.

        Args:
            texts: any number of texts.

        Yields:
            The tokens of each text.
        """
        for text in texts:
            yield [token for _, tokens in self.tokenize_units(self.split(text)) for token in tokens]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_tokenizer": None}
