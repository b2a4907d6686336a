"""What a model's validation gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, overload


class Figures(tuple[float, ...]):
    """The loss and the metrics: a tuple in their order, whose values can be had by name too.

        loss, accuracy = learn.validate()
        learn.validate()["accuracy"]

    Args:
        values: by name.
    """

    names: tuple[str, ...]

    def __new__(cls, values: Mapping[str, float]) -> Self:
        """Take over the values."""
        made = super().__new__(cls, values.values())
        made.names = tuple(values)
        return made

    def keys(self) -> tuple[str, ...]:
        """The names, so that dict(figures) and {**figures} work."""
        return self.names

    @overload
    def __getitem__(self, key: str) -> float: ...

    @overload
    def __getitem__(self, key: Any) -> Any: ...

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, str):
            return super().__getitem__(key)
        if key not in self.names:
            raise KeyError(f"{key!r} was not measured; there are {', '.join(self.names)}")
        return super().__getitem__(self.names.index(key))

    def __reduce__(self) -> tuple[type[Self], tuple[dict[str, float]]]:
        return type(self), (dict(zip(self.names, self, strict=True)),)

    def __repr__(self) -> str:
        return f"Figures({', '.join(f'{name}={value:.4g}' for name, value in zip(self.names, self, strict=True))})"
