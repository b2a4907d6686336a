"""Modules one after the other, some of which carry a state."""

from __future__ import annotations

from typing import Any

from torch import nn


class SequentialRNN(nn.Sequential):
    """Modules one after the other; the first takes all inputs, and `reset` reaches all that have one."""

    def forward(self, *inputs: Any) -> Any:
        """Run the modules."""
        first, *rest = self
        value = first(*inputs)
        for module in rest:
            value = module(value)
        return value

    def reset(self) -> None:
        """Forget the states that the modules keep."""
        for module in self:
            reset = getattr(module, "reset", None)
            if callable(reset):
                reset()
