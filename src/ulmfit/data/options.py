"""How batches are made of ids."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from inspect import signature
from typing import Any, TypedDict, Unpack

import torch

from ulmfit.errors import ConfigError

__all__ = ["Batching", "LoaderOptions", "Loading", "Unpack", "refuse_unknown"]


class Batching(TypedDict, total=False):
    """Those keywords of `LoaderOptions` that concern batches only."""

    bs: int
    val_bs: int | None
    shuffle: bool
    random_bptt: bool
    max_tokens: int | None
    balanced: bool
    weights: Sequence[float] | None
    device: Any
    rank: int
    world_size: int


class Loading(Batching, total=False):
    """The keywords of `LoaderOptions`."""

    seq_len: int
    backwards: bool
    seed: int | None


def refuse_unknown(function: Callable[..., Any], given: Mapping[str, Any], *known: Any) -> None:
    """Refuse keywords that a function does not have, by the name under which the user called it.

    Args:
        function: what was called.
        given: keywords that it does not name itself.
        known: typed dictionaries of those that it passes on.

    Raises:
        TypeError: there is no such keyword.
    """
    passed_on = {name for one in known for name in one.__required_keys__ | one.__optional_keys__}
    names = sorted(passed_on | set(signature(function).parameters))
    for name in given:
        if name not in passed_on:
            near = get_close_matches(name, names, n=1)
            raise TypeError(
                f"{function.__qualname__}() has no keyword {name!r}"
                + (f". Did you mean {near[0]!r}?" if near else f"; it has: {', '.join(names)}")
            )


@dataclass(frozen=True, kw_only=True)
class LoaderOptions:
    """How batches are made of ids.

    Args:
        bs: rows of a batch to learn from.
        val_bs: rows of a batch to check with; None for `bs`.
        shuffle: a new order each epoch, of the part to learn from.
        seq_len: steps of a batch of a language model (bptt).
        backwards: texts are read from their end.
        random_bptt: as for `LMDataLoader`.
        max_tokens: as for `ClassifierLoader`.
        balanced: draw every class as often as any other, for training.
        weights: how often each text to learn from is drawn in relation to the others.
        seed: of order and composition; None is 0.
        device: where a learner puts model and batches; None for what is there.
        rank: which of `world_size` processes this is.
        world_size: processes that share the batches.

    Raises:
        ConfigError: two settings contradict each other.
    """

    bs: int = 64
    val_bs: int | None = None
    shuffle: bool = True
    seq_len: int = 72
    backwards: bool = False
    random_bptt: bool = False
    max_tokens: int | None = None
    balanced: bool = False
    weights: Sequence[float] | None = None
    seed: int | None = None
    device: Any = None
    rank: int = 0
    world_size: int = 1

    def __post_init__(self) -> None:
        if self.balanced and self.weights is not None:
            raise ConfigError("give balanced or weights, not both")
        if (self.balanced or self.weights is not None) and not self.shuffle:
            raise ConfigError("balanced and weights choose what to draw at random: they need shuffle=True")
        if self.val_bs is not None and self.val_bs < 1:
            raise ConfigError(f"val_bs={self.val_bs} must be at least 1, or None for as many rows as bs")
        try:
            torch.device(self.device or "cpu")
        except (RuntimeError, TypeError) as error:
            raise ConfigError(
                f"device={self.device!r} is not known; expected 'cpu', 'cuda', 'cuda:1', 'mps' or the like"
            ) from error
