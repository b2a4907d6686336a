"""Both parts of a task as batches, and what is known about them.

B batch, T time, N documents, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from torch import Tensor

from ulmfit.arguments import at_least, checked
from ulmfit.data.datasets import Datasets, TextDataset
from ulmfit.data.loaders import Batch, ClassifierLoader, LMDataLoader
from ulmfit.data.options import LoaderOptions, Loading, Unpack, taken
from ulmfit.data.show import Shown
from ulmfit.data.targets import Target
from ulmfit.data.weights import balanced_weights
from ulmfit.errors import ConfigError, DataError
from ulmfit.text.batching import refuse_one_text
from ulmfit.text.store import TokenStore
from ulmfit.text.vocab import Vocab

_SHOWN_TOKENS = 150


class PartLoaders:
    """Loaders of the part to learn from and the part to check with, and what is known about them.

    Args:
        sets: both parts as ids and numbers.
        path: where a learner keeps its models.
        options: how batches are made.
    """

    n_inp = 1
    """Inputs that a user gives for each answer: the text."""

    @checked
    def __init__(self, sets: Datasets, *, path: str | Path, options: LoaderOptions) -> None:
        self.sets, self.tokenizer = sets, sets.tokenizer
        self.train_ds, self.valid_ds = sets.train, sets.valid
        self.target: Target | None = sets.target
        self.path, self.options = Path(path), options
        self.train = self._loader(sets.train, options.bs, train=True)
        self.valid = self._loader(sets.valid, options.val_bs or options.bs, train=False)

    def _loader(self, dataset: TextDataset, bs: int, *, train: bool) -> LMDataLoader | ClassifierLoader:
        o = self.options
        shuffle, seed = train and o.shuffle, o.seed or 0
        if self.target is None:
            for name in ("balanced", "weights", "partial_n", "max_tokens"):
                if getattr(o, name) not in (None, False):
                    raise ConfigError(f"{name} is for texts with labels; a language model reads one stream of tokens")
            try:
                return LMDataLoader(
                    dataset.store,
                    bs=bs,
                    seq_len=o.seq_len,
                    shuffle=shuffle,
                    backwards=o.backwards,
                    random_bptt=train and o.random_bptt,
                    seed=seed,
                    rank=o.rank,
                    world_size=o.world_size,
                )
            except DataError as error:
                part, name = ("learn from", "bs") if train else ("check with", "val_bs")
                raise DataError(f"the part to {part}: {error} ({name}={bs})") from error
        weights = o.weights if train else None
        if train and o.balanced:
            if self.target.task != "single_label" or dataset.targets is None:
                raise ConfigError(f"balanced=True is for texts with one class each, not for {self.target.task}")
            weights = balanced_weights(dataset.targets).tolist()
        loader = ClassifierLoader(
            dataset.store,
            dataset.targets,
            bs=bs if o.max_tokens is None else None,
            max_tokens=o.max_tokens,
            shuffle=shuffle,
            weights=weights,
            partial_n=o.partial_n if train else None,
            backwards=o.backwards,
            pad_idx=self.text_vocab.pad_idx,
            seed=seed,
            rank=o.rank,
            world_size=o.world_size,
        )
        loader.bs = bs  # what was asked for, as checkpoints compare it
        return loader

    def __iter__(self) -> Any:
        return iter((self.train, self.valid))

    def __getitem__(self, i: int) -> LMDataLoader | ClassifierLoader:
        return (self.train, self.valid)[i]

    @property
    def text_vocab(self) -> Vocab:
        """What the ids of texts mean."""
        return self.train_ds.vocab

    @property
    def vocab(self) -> Vocab | list[Any]:
        """The text vocabulary; with classes, a list of the text vocabulary and the labels."""
        return [self.text_vocab, list(self.labels)] if self.labels else self.text_vocab

    @property
    def task(self) -> str:
        """One of "lm", "single_label", "multi_label", "regression"."""
        return "lm" if self.target is None else self.target.task

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes in the order of their ids; none for a language model or regression."""
        return () if self.target is None else self.target.labels

    @property
    def n_out(self) -> int:
        """Numbers that the model gives for each text, or for each token of a language model."""
        return len(self.text_vocab) if self.target is None else self.target.n_out

    @property
    def c(self) -> int:
        """The same as `n_out`, under its older name."""
        return self.n_out

    @property
    def bs(self) -> int:
        """Rows of a batch to learn from."""
        return self.options.bs

    @property
    def seq_len(self) -> int:
        """Steps of a batch of a language model."""
        return self.options.seq_len

    @property
    def backwards(self) -> bool:
        """Whether texts are read from their end."""
        return self.options.backwards

    @property
    def device(self) -> Any:
        """Where a learner puts model and batches; None for what is there."""
        return self.options.device

    @checked
    def shard(self, rank: int, world_size: int) -> Self:
        """The share of one of several processes.

        Args:
            rank: which process this is, from 0.
            world_size: how many there are.

        Returns:
            Loaders of the same parts, whose batches no other process has.
        """
        return self.new(rank=rank, world_size=world_size)

    def new(self, **changes: Unpack[Loading]) -> Self:
        """The same parts with other options; see `LoaderOptions`."""
        options = replace(self.options, **taken(self.new, changes, Loading))
        return type(self)(self.sets, path=self.path, options=options)

    def to(self, device: Any) -> Self:
        """Have a learner put model and batches on this device; None for what is there."""
        self.options = replace(self.options, device=device)
        return self

    def cpu(self) -> Self:
        """The same as `to("cpu")`."""
        return self.to("cpu")

    def cuda(self) -> Self:
        """The same as `to("cuda")`."""
        return self.to("cuda")

    def one_batch(self) -> Batch:
        """The first batch of the part to learn from."""
        return self.train.one_batch()

    @checked
    def test_dl(
        self, items: Any, with_labels: bool = False, bs: int | None = None, **others: object
    ) -> LMDataLoader | ClassifierLoader:
        """A loader of further texts.

        The batches of a classifier are sorted by length; `loader.batch_indices()` tells which texts each batch has.

        Args:
            items: texts, paths of files, or whatever the loaders were made from.
            with_labels: read their labels too.
            bs: rows of a batch; None for as many as when checking.
            others: keywords of fastai that change nothing.

        Raises:
            DataError: an item is not text, or a label is missing or not known.
        """
        taken(self.test_dl, others)
        at_least(1, bs=bs)
        refuse_one_text(items)
        read = self.sets.read_items([items] if isinstance(items, Path) else items)
        rows = np.arange(len(read))
        store = TokenStore.build(read.texts(rows), self.tokenizer, vocab=self.text_vocab)
        targets = None
        if with_labels and self.target is not None:
            targets = self.target.encode(read.values(), read.source)
        dataset = TextDataset(store, targets, read.take(rows))
        return self._loader(dataset, bs or self.options.val_bs or self.options.bs, train=False)

    @checked
    def show_batch(
        self, b: Batch | None = None, max_n: int = 9, trunc_at: int = _SHOWN_TOKENS, **others: object
    ) -> None:
        """Show the texts and targets of a batch, as a table.

        Args:
            b: the batch; None for the first of the part to learn from.
            max_n: rows at most.
            trunc_at: tokens of a text at most.
            others: keywords of fastai that change nothing.
        """
        taken(self.show_batch, others)
        self.batch_table(b, max_n, trunc_at).show()

    @checked
    def batch_table(self, b: Batch | None = None, max_n: int = 9, trunc_at: int = _SHOWN_TOKENS) -> Shown:
        """The texts and targets of a batch, as a table; see `show_batch`."""
        at_least(1, max_n=max_n, trunc_at=trunc_at)
        batch = self.one_batch() if b is None else b
        ids = list(batch.inputs[0][:max_n])
        if self.target is None:
            targets = [] if batch.target is None else [self._words(row, trunc_at) for row in batch.target[:max_n]]
            columns = ("text", "text_")
        else:
            ids = [row[:length] for row, length in zip(ids, batch.inputs[1].tolist(), strict=False)]
            targets = [] if batch.target is None else [self.target.decode(row) for row in batch.target[:max_n]]
            columns = ("text", self.sets.title)
        rows = [self._words(row, trunc_at) for row in ids]
        if not targets:
            return Shown(columns[:1], [(text,) for text in rows])
        return Shown(columns, list(zip(rows, targets, strict=True)))

    def _words(self, ids: Sequence[int] | Tensor, most: int) -> str:
        return " ".join(self.text_vocab[int(i)] for i in ids[:most])

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.task}, {len(self.train_ds):,} + {len(self.valid_ds):,} texts, "
            f"vocabulary {len(self.text_vocab):,}" + (f", {len(self.labels)} labels)" if self.labels else ")")
        )
