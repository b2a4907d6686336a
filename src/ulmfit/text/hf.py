"""An adapter for a tokenizer file of the Hugging Face `tokenizers` library."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Self

from ulmfit.errors import FormatError, MissingExtraError
from ulmfit.text.base import BareTokenizer

_FILE = "hf-tokenizer.json"


class HFTokenizer(BareTokenizer):
    """Cuts texts as a `tokenizer.json` of the `tokenizers` library tells. Use it with few rules or none.

    Args:
        file: the path of the file.
        content: instead of the path, what is in the file.

    Raises:
        FormatError: if it is no such file.
    """

    kind = "hf"

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
        """Tell the hash of the file."""
        return {"sha256": hashlib.sha256(self._content.encode()).hexdigest()}

    def save(self, folder: Path) -> None:
        """Write the file."""
        (folder / _FILE).write_text(self._content, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, **config: Any) -> Self:
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

    def tokenize_units(self, units: Sequence[str]) -> Iterator[Sequence[str]]:
        """Cut texts into tokens."""
        for unit in units:
            yield self._ready().encode(unit, add_special_tokens=False).tokens

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_tokenizer": None}
