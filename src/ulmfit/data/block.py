"""The data block: a description of how to get texts and labels from a source, and what to make of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ulmfit.arguments import checked
from ulmfit.data.collection import L
from ulmfit.data.counted import stores_of
from ulmfit.data.datasets import Datasets, TextDataset
from ulmfit.data.delimiters import refuse_joined
from ulmfit.data.getters import parent_label
from ulmfit.data.items import Items, make_items
from ulmfit.data.loaders import ClassifierLoader, LMDataLoader, Loader
from ulmfit.data.options import LoaderOptions, Loading, Unpack, taken
from ulmfit.data.rows import named_columns
from ulmfit.data.show import Shown
from ulmfit.data.splitters import RandomSplitter, Splitter, checked_split
from ulmfit.data.targets import CategoryBlock, Picked, Target, TargetBlock
from ulmfit.data.text_block import TextBlock
from ulmfit.errors import ConfigError, DataError, named

if TYPE_CHECKING:
    from ulmfit.data.dataloaders import TextDataLoaders


class DataBlock:
    """Describes how to get from a source to batches: what items there are, what is text, what is the label, which part.

    Args:
        blocks: a `TextBlock` alone for a language model, else a `TextBlock` and a block for the target (or classes).
        getters: `get_x` and `get_y` as a list.
        get_items: gives the items of a source; None if the source is the items.
        splitter: gives the indices of both parts; None for a fifth of the items at random to check with.
        get_x: gives the text of an item, or the path of its file.
        get_y: gives the label of an item.
        dl_type: the class of loaders; None, or that which there is: `LMDataLoader` for a language model, else
            `ClassifierLoader`.
        others: keywords of fastai that change nothing.

    Raises:
        ConfigError: the blocks make no sense together.
    """

    @checked
    def __init__(
        self,
        blocks: Any = None,
        *,
        getters: Sequence[Callable[[Any], Any] | None] | None = None,
        get_items: Callable[[Any], Any] | None = None,
        splitter: Splitter | None = None,
        get_x: Callable[[Any], Any] | None = None,
        get_y: Callable[[Any], Any] | None = None,
        dl_type: type[Loader] | None = None,
        **others: object,
    ) -> None:
        taken(type(self), others)
        given = list(blocks) if isinstance(blocks, list | tuple) else [blocks or TextBlock]
        made = [block() if isinstance(block, type) else block for block in given]
        if not made or not isinstance(made[0], TextBlock):
            raise ConfigError("blocks must begin with a TextBlock, as in blocks=(TextBlock(), CategoryBlock())")
        self.text: TextBlock = made[0]
        wanted = 1 if self.text.is_lm else 2
        if len(made) != wanted:
            raise ConfigError(
                "a language model (is_lm=True) needs no block but its TextBlock"
                if self.text.is_lm
                else f"{len(made)} blocks: expected a TextBlock and one for the target, such as CategoryBlock; "
                "for a language model, TextBlock(is_lm=True) alone"
            )
        self.target: TargetBlock | None = None if self.text.is_lm else made[1]
        if self.target is not None and not hasattr(self.target, "fit"):
            raise ConfigError(
                f"blocks: {made[1]!r:.60} is no block for a target; expected CategoryBlock, MultiCategoryBlock or "
                "RegressionBlock"
            )
        there = LMDataLoader if self.text.is_lm else ClassifierLoader
        if dl_type not in (None, there):
            raise ConfigError(
                f"dl_type={dl_type!r:.80}: these blocks need a {there.__name__}, which is taken anyway. What it does "
                "is chosen with the keywords of LoaderOptions"
            )
        if getters is not None and (get_x is not None or get_y is not None):
            raise ConfigError("give getters, or get_x and get_y, not both")
        if len(getters or []) > wanted:
            raise ConfigError(f"getters has {len(getters or [])} functions for {wanted} block(s)")
        pair = [*(getters or [get_x, get_y]), None, None]
        self.get_x, self.get_y = pair[0], pair[1]
        self.get_items = get_items
        self.splitter = splitter or RandomSplitter()

    @classmethod
    @checked
    def from_columns(
        cls,
        blocks: Any = None,
        getters: Sequence[Callable[[Any], Any] | None] | None = None,
        get_items: Callable[[Any], Any] | None = None,
        **others: Any,
    ) -> DataBlock:
        """A block for a source that is a column for each block: texts, and labels.

        Args:
            blocks: see the class.
            getters: what gets text and label of a pair; None for its first and its second.
            get_items: gives the columns of a source; None if the source is the columns.
            others: as for the class.
        """

        def pairs(source: Any) -> L[Any]:
            columns = [list(column) for column in (source if get_items is None else get_items(source))]
            if len({len(column) for column in columns}) > 1:
                raise DataError(f"the columns are of different lengths: {', '.join(str(len(c)) for c in columns)}")
            return L(list(zip(*columns, strict=True)))

        return cls(blocks, getters=getters, get_items=pairs, **others)

    def items(self, source: Any) -> tuple[Any, Items]:
        """The items of a source: as they came, for the splitter, and with their texts and labels."""
        got = source if self.get_items is None else self.get_items(source)
        if isinstance(got, Iterable) and not hasattr(got, "__len__"):
            got = list(got)
        text = self.text
        return got, make_items(
            got,
            get_x=self.get_x,
            get_y=self.get_y,
            text_cols=text.text_cols,
            tok_text_col=text.tok_text_col,
            encoding=text.encoding,
            mark_fields=text.mark_fields,
        )

    def datasets(self, source: Any, **others: object) -> Datasets:
        """Read a source and turn it into ids and numbers.

        Args:
            source: what `get_items` takes, or the items.
            others: keywords of fastai that change nothing.

        Raises:
            UlmfitError: there is something wrong with the items; see the message.
        """
        taken(self.datasets, others)
        got, items = self.items(source)
        values = [] if self.target is None else items.values()
        if isinstance(self.target, CategoryBlock) and self.target.vocab is None:
            self._refuse_joined(values, items.source)
        train_rows, valid_rows = checked_split(self.splitter(got), len(items))
        target: Target | None = None
        targets: tuple[Any, Any] = None, None
        if self.target is not None:
            parts = [Picked((values[i] for i in rows), (rows + 1).tolist()) for rows in (train_rows, valid_rows)]
            columns = items.named_columns
            sources = [f"{items.source}{columns}, {part}" for part in ("part to learn from", "part to check with")]
            target = self.target.fit(parts[0], sources[0])
            targets = target.encode(parts[0], sources[0]), target.encode(parts[1], sources[1])
        stores = stores_of(items, (train_rows, valid_rows), self.text)
        sets = [
            TextDataset(store, numbers, items.take(rows))
            for store, numbers, rows in zip(stores, targets, (train_rows, valid_rows), strict=True)
        ]
        title = "" if self.target is None else self.target.title
        return Datasets(
            train=sets[0],
            valid=sets[1],
            target=target,
            title=title,
            tokenizer=self.text.tokenizer,
            read_items=self._read_more,
            loading=self._loading,
            train_rows=train_rows.tolist(),
        )

    @property
    def _loading(self) -> Loading:
        return {"seq_len": self.text.seq_len, "backwards": self.text.backwards}

    def _refuse_joined(self, values: Sequence[Any], source: str) -> None:
        """One class for each text was asked for; unless it was said that a label is one, it must look like one."""
        said = self.get_y is parent_label or getattr(self.get_y, "label_delim", None) is not None
        if not said:
            columns = getattr(self.get_y, "cols", None)
            refuse_joined(values, source if columns is None else f"{source}, column {named_columns(columns)}")

    @checked
    def dataloaders(self, source: Any, path: str | Path | None = None, **loading: Unpack[Loading]) -> TextDataLoaders:
        """Read a source and make loaders of it.

        Args:
            source: what `get_items` takes, or the items.
            path: where a learner keeps its models; None for the source if it is a folder, else the current folder.
            loading: how batches are made; see `LoaderOptions`.

        Raises:
            UlmfitError: there is something wrong with the items or a setting; see the message.
        """
        given = taken(self.dataloaders, loading, Loading)
        LoaderOptions(**{**self._loading, **given})  # a wrong setting is told before anything is read
        return self.datasets(source).dataloaders(_place(source, path), **given)

    def weighted_dataloaders(
        self, source: Any, wgts: Iterable[float], bs: int = 64, path: str | Path | None = None, **loading: Any
    ) -> TextDataLoaders:
        """Read a source and make loaders that draw the texts to learn from with weights; see `Datasets`."""
        return self.datasets(source).weighted_dataloaders(wgts, bs, path=_place(source, path), **loading)

    def partial_dataloaders(self, source: Any, partial_n: int, bs: int = 64, **loading: Any) -> TextDataLoaders:
        """Read a source and make loaders that draw so many texts for each epoch of training; see `Datasets`."""
        return self.dataloaders(source, partial_n=partial_n, bs=bs, **loading)

    def _read_more(self, source: Any) -> Items:
        """Items to predict: of the kind that the block was made for, or texts and files."""
        text = self.text
        rows = not isinstance(source, list | tuple)
        plain = isinstance(source, list | tuple) and all(isinstance(one, str | Path) for one in source)
        return make_items(
            source,
            get_x=None if plain else self.get_x,
            get_y=None if plain and self.get_y is None else self.get_y,
            text_cols=text.text_cols if rows else (),
            tok_text_col=text.tok_text_col,
            encoding=text.encoding,
            mark_fields=text.mark_fields,
        )

    @checked
    def summary(self, source: Any, bs: int = 4, show_batch: bool = False) -> Shown:
        """Go through the steps from a source to a batch, and tell what each gives.

        Args:
            source: what `get_items` takes, or the items.
            bs: rows of the batch.
            show_batch: show the batch too.

        Returns:
            What to show: a table in a notebook and in a terminal.
        """
        if isinstance(source, Iterator):
            source = list(source)
        got, items = self.items(source)
        dls = self.dataloaders(source, bs=bs)
        batch = dls.one_batch()
        shapes = " and ".join(str(tuple(x.shape)) for x in (*batch.inputs, batch.target) if x is not None)
        steps = [
            ("items", f"{len(items):,} from {type(got).__name__}; the first: {_first(got)}"),
            ("split", f"{len(dls.train_ds):,} to learn from, {len(dls.valid_ds):,} to check with"),
            ("text", " ".join(dls.text_vocab[int(i)] for i in dls.train_ds.store[0][:20])),
            ("vocabulary", f"{len(dls.text_vocab):,} entries"),
        ]
        if dls.target is not None:
            labels = f": {named(dls.labels, 10)}" if dls.labels else ""
            steps.append((dls.sets.title, f"{dls.target.task}, {dls.n_out} number(s){labels}"))
        steps.append(("batch", f"shapes {shapes}; {len(dls.train)} batches in an epoch"))
        shown = Shown(("step", "gives"), steps)
        if show_batch:
            dls.show_batch(max_n=bs)
        return shown


def _place(source: Any, path: str | Path | None) -> str | Path:
    """Where a learner keeps its models."""
    if path is not None:
        return path
    return source if isinstance(source, str | Path) and Path(source).is_dir() else "."


def _first(items: Any) -> str:
    try:
        return f"{items[0]!r:.80}"
    except (KeyError, IndexError, TypeError):
        return "a row"
