"""How batches are made of ids."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from inspect import signature
from typing import Any, TypedDict, Unpack

import torch

from ulmfit.arguments import at_least, check_fields
from ulmfit.errors import ConfigError

__all__ = ["Batching", "LoaderOptions", "Loading", "Unpack", "taken"]


class Batching(TypedDict, total=False):
    """Those keywords of `LoaderOptions` that concern batches only."""

    bs: int
    val_bs: int | None
    shuffle: bool
    random_bptt: bool
    max_tokens: int | None
    balanced: bool
    weights: Iterable[float] | None
    partial_n: int | None
    device: Any
    rank: int
    world_size: int


class Loading(Batching, total=False):
    """The keywords of `LoaderOptions`."""

    seq_len: int
    backwards: bool
    seed: int | None


_ANY = object()
_NONE: tuple[Any, ...] = (None, [], ())
_FILES = "get_items says which files are read, as in get_items=partial(get_text_files, folders=[...])"
_TEXTS = "texts are changed before they are cut, by rules: tok_tfm=Tokenizer(rules=[...]), or by get_x"
_BATCHES = "batches are changed by a Callback with before_batch"
_KEPT = "ids are kept in a cache and found again while nothing has changed: cache=FOLDER"
_OF_THE_PEER: dict[str, tuple[Any, str]] = {
    # Batches are slices of one array: workers could only make them later. The values change nothing, so they are taken.
    **dict.fromkeys(("num_workers", "pin_memory", "persistent_workers", "prefetch_factor", "timeout"), (_ANY, "")),
    **dict.fromkeys(("after_item", "item_tfms"), (_NONE, _TEXTS)),
    **dict.fromkeys(("after_batch", "batch_tfms", "before_batch", "dl_tfms"), (_NONE, _BATCHES)),
    **dict.fromkeys(("extensions", "folders"), (_NONE, _FILES)),
    **dict.fromkeys(("output_dir", "output_names"), (_NONE, _KEPT)),
    "skip_if_exists": ((True,), _KEPT),
    "sep": ((" ",), "tokens are shown with spaces between them; Tokenizer.detokenize makes text of them"),
    "n_inp": ((None, 1), "the text is the only input; several columns become one text: TextBlock.from_df([...])"),
    "drop_last": ((None, False), "a last batch too small to learn from is joined with the one before it"),
    "do_setup": ((True,), "loaders are ready when they are there"),
    "verbose": ((False,), "DataBlock.summary(source) tells the steps"),
    "shuffle_train": ((), "it is called shuffle"),
    "indexed": ((None, True), "texts are always found by their index"),
    "n": ((None,), "partial_n draws so many texts for each epoch"),
    "rm_type_tfms": ((None, 0), "texts are always tokenized"),
    "ctxs": ((None,), "there are no contexts to draw in"),
    "show": ((True,), "batch_table gives what would be shown"),
    "unique": ((False,), "without random changes to texts, one text would be shown again and again"),
    "chunksize": (_ANY, ""),
    "include_bos": ((True,), "rules decide about marks: tokenizer=Tokenizer(rules=[...])"),
    "include_eos": (
        (False,),
        "rules decide about marks: tokenizer=Tokenizer(rules=[partial(lowercase, add_eos=True)])",
    ),
    **dict.fromkeys(("test", "test_df"), (_NONE, "texts to predict are given later: data.test_dl(texts)")),
}
"""Keywords of fastai that mean nothing here: the values that change nothing anyway, and what to use instead."""


def taken(function: Callable[..., Any], given: Mapping[str, Any], *known: Any) -> dict[str, Any]:
    """Refuse keywords that a function does not have, by the name under which the user called it.

    Args:
        function: what was called.
        given: keywords that it does not name itself.
        known: typed dictionaries of those that it passes on.

    Returns:
        Those that it passes on. Keywords of fastai that would change nothing there either are left out.

    Raises:
        TypeError: there is no such keyword.
    """
    passed_on = {name for one in known for name in one.__required_keys__ | one.__optional_keys__}
    names = sorted(passed_on | {name for name, p in signature(function).parameters.items() if p.kind != p.VAR_KEYWORD})
    for name, value in given.items():
        if name in passed_on:
            continue
        harmless, advice = _OF_THE_PEER.get(name, ((), ""))
        if harmless is _ANY or any(value is one or value == one for one in harmless):
            continue
        near = [] if advice else get_close_matches(name, names, n=1)
        raise TypeError(
            f"{function.__qualname__}() has no keyword {name!r}"
            + (f": {advice}" if advice else f". Did you mean {near[0]!r}?" if near else f"; it has: {', '.join(names)}")
        )
    return {name: value for name, value in given.items() if name in passed_on}


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
        max_tokens: of a batch of texts with labels, as for `ClassifierLoader`; instead of `bs`.
        balanced: draw every class as often as any other, for training.
        weights: how often each text to learn from is drawn in relation to the others.
        partial_n: so many texts are drawn for each epoch of training, other ones each time; None for all.
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
    weights: Iterable[float] | None = None
    partial_n: int | None = None
    seed: int | None = None
    device: Any = None
    rank: int = 0
    world_size: int = 1

    def __post_init__(self) -> None:
        check_fields(self)
        at_least(1, bs=self.bs, val_bs=self.val_bs, seq_len=self.seq_len, world_size=self.world_size)
        at_least(1, max_tokens=self.max_tokens, partial_n=self.partial_n)
        at_least(0, seed=self.seed, rank=self.rank)
        if self.balanced and self.weights is not None:
            raise ConfigError("give balanced or weights, not both")
        if (self.balanced or self.weights is not None or self.partial_n is not None) and not self.shuffle:
            raise ConfigError("balanced, weights and partial_n draw texts at random: they need shuffle=True")
        try:
            torch.device(self.device or "cpu")
        except (RuntimeError, TypeError) as error:
            raise ConfigError(
                f"device={self.device!r} is not known; expected 'cpu', 'cuda', 'cuda:1', 'mps' or the like"
            ) from error
