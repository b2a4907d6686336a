"""The data block: a description of how to get texts and labels from a source, and what to make of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ulmfit.data.datasets import Datasets, TextDataset
from ulmfit.data.delimiters import refuse_joined
from ulmfit.data.getters import parent_label
from ulmfit.data.items import Items, make_items
from ulmfit.data.options import LoaderOptions, Loading, Unpack
from ulmfit.data.rows import named_columns
from ulmfit.data.show import Shown
from ulmfit.data.splitters import RandomSplitter, Splitter, checked_split
from ulmfit.data.stores import build_store, vocab_of
from ulmfit.data.targets import CategoryBlock, Picked, Target, TargetBlock
from ulmfit.errors import ConfigError
from ulmfit.text.rules import Rule
from ulmfit.text.tokenizers import BareTokenizer, Tokenizer
from ulmfit.text.vocab import Vocab

if TYPE_CHECKING:
    from ulmfit.data.dataloaders import TextDataLoaders


class TextBlock:
    """Says how texts become ids, and what they are for.

    Args:
        tok_tfm: what cuts them into tokens; None for words.
        vocab: the vocabulary; None to make one of the part to learn from.
        is_lm: they are for a language model.
        seq_len: steps of a batch of a language model (bptt).
        backwards: texts are read from their end.
        min_freq: the least count of a token in a vocabulary that is made.
        max_vocab: its largest number of entries.
        text_cols: columns with text, where items are rows.
        tok_text_col: a name for all of them together, which a `ColReader` may use.
        mark_fields: write `xxfld` and its number before each column; None for if there are several.
        n_workers: processes that tokenize.
        encoding: of text files.
        cache: keep ids in the user's cache folder, in this folder, or (False) in memory.
    """

    def __init__(
        self,
        tok_tfm: Tokenizer | BareTokenizer | None = None,
        vocab: Vocab | Sequence[str] | None = None,
        is_lm: bool = False,
        seq_len: int = 72,
        backwards: bool = False,
        *,
        min_freq: int = 3,
        max_vocab: int = 60_000,
        text_cols: str | int | Sequence[str | int] = (),
        tok_text_col: str = "text",
        mark_fields: bool | None = None,
        n_workers: int = 1,
        encoding: str = "utf-8",
        cache: bool | Path = True,
    ) -> None:
        self.tokenizer = tok_tfm if isinstance(tok_tfm, Tokenizer) else Tokenizer(tok_tfm)
        self.vocab = vocab_of(vocab)
        self.is_lm, self.seq_len, self.backwards = is_lm, seq_len, backwards
        self.min_freq, self.max_vocab = min_freq, max_vocab
        self.text_cols = [text_cols] if isinstance(text_cols, str | int) else list(text_cols)
        self.tok_text_col, self.mark_fields = tok_text_col, mark_fields
        self.n_workers, self.encoding, self.cache = n_workers, encoding, cache

    @classmethod
    def from_df(
        cls,
        text_cols: str | int | Sequence[str | int],
        vocab: Vocab | Sequence[str] | None = None,
        is_lm: bool = False,
        seq_len: int = 72,
        backwards: bool = False,
        min_freq: int = 3,
        max_vocab: int = 60_000,
        *,
        tok: Tokenizer | BareTokenizer | None = None,
        rules: Sequence[Rule] | None = None,
        n_workers: int = 1,
        mark_fields: bool | None = None,
        tok_text_col: str = "text",
        cache: bool | Path = True,
    ) -> TextBlock:
        """Texts of a data frame; see the class for what is not said here.

        Args:
            text_cols: columns with text.
            vocab: see the class.
            is_lm: see the class.
            seq_len: see the class.
            backwards: see the class.
            min_freq: see the class.
            max_vocab: see the class.
            tok: what cuts texts into tokens; None for words.
            rules: as for `Tokenizer`.
            n_workers: see the class.
            mark_fields: see the class.
            tok_text_col: see the class.
            cache: see the class.
        """
        return cls(
            with_rules(tok, rules),
            vocab,
            is_lm,
            seq_len,
            backwards,
            min_freq=min_freq,
            max_vocab=max_vocab,
            text_cols=text_cols,
            tok_text_col=tok_text_col,
            mark_fields=mark_fields,
            n_workers=n_workers,
            cache=cache,
        )

    @classmethod
    def from_folder(
        cls,
        path: str | Path,
        vocab: Vocab | Sequence[str] | None = None,
        is_lm: bool = False,
        seq_len: int = 72,
        backwards: bool = False,
        min_freq: int = 3,
        max_vocab: int = 60_000,
        *,
        tok: Tokenizer | BareTokenizer | None = None,
        rules: Sequence[Rule] | None = None,
        n_workers: int = 1,
        encoding: str = "utf-8",
        cache: bool | Path = True,
    ) -> TextBlock:
        """Texts of the files of a folder; see the class for what is not said here.

        Args:
            path: the folder. Which of its files are read is the matter of `get_items`.
            vocab: see the class.
            is_lm: see the class.
            seq_len: see the class.
            backwards: see the class.
            min_freq: see the class.
            max_vocab: see the class.
            tok: what cuts texts into tokens; None for words.
            rules: as for `Tokenizer`.
            n_workers: see the class.
            encoding: see the class.
            cache: see the class.

        Raises:
            ConfigError: there is no such folder.
        """
        if not Path(path).is_dir():
            raise ConfigError(f"{path} is not a folder")
        return cls(
            with_rules(tok, rules),
            vocab,
            is_lm,
            seq_len,
            backwards,
            min_freq=min_freq,
            max_vocab=max_vocab,
            n_workers=n_workers,
            encoding=encoding,
            cache=cache,
        )


def with_rules(tok: Tokenizer | BareTokenizer | None, rules: Sequence[Rule] | None) -> Tokenizer:
    """A tokenizer of these rules.

    Raises:
        ConfigError: the tokenizer has rules of its own.
    """
    if isinstance(tok, Tokenizer):
        if rules is not None:
            raise ConfigError("give rules or a Tokenizer, which has rules of its own, not both")
        return tok
    return Tokenizer(tok, rules)


class DataBlock:
    """Describes how to get from a source to batches: what items there are, what is text, what is the label, which part.

    Args:
        blocks: a `TextBlock` alone for a language model, else a `TextBlock` and a block for the target (or classes).
        getters: `get_x` and `get_y` as a list.
        get_items: gives the items of a source; None if the source is the items.
        splitter: gives the indices of both parts; None for a fifth of the items at random to check with.
        get_x: gives the text of an item, or the path of its file.
        get_y: gives the label of an item.

    Raises:
        ConfigError: the blocks make no sense together.
    """

    def __init__(
        self,
        blocks: Any = None,
        *,
        getters: Sequence[Callable[[Any], Any] | None] | None = None,
        get_items: Callable[[Any], Any] | None = None,
        splitter: Splitter | None = None,
        get_x: Callable[[Any], Any] | None = None,
        get_y: Callable[[Any], Any] | None = None,
    ) -> None:
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
        if getters is not None and (get_x is not None or get_y is not None):
            raise ConfigError("give getters, or get_x and get_y, not both")
        pair = [*(getters or [get_x, get_y]), None, None]
        self.get_x, self.get_y = pair[0], pair[1]
        self.get_items = get_items
        self.splitter = splitter or RandomSplitter()

    def items(self, source: Any) -> tuple[Any, Items]:
        """The items of a source: as they came, for the splitter, and with their texts and labels."""
        got = source if self.get_items is None else self.get_items(source)
        if not hasattr(got, "__len__"):
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

    def datasets(self, source: Any) -> Datasets:
        """Read a source and turn it into ids and numbers.

        Args:
            source: what `get_items` takes, or the items.

        Raises:
            UlmfitError: there is something wrong with the items; see the message.
        """
        got, items = self.items(source)
        values = [] if self.target is None else items.values()
        if isinstance(self.target, CategoryBlock) and self.target.vocab is None:
            self._refuse_joined(values, items.source)
        train_rows, valid_rows = checked_split(self.splitter(got), len(items))
        target: Target | None = None
        targets: tuple[Any, Any] = None, None
        if self.target is not None:
            parts = [Picked((values[i] for i in rows), (rows + 1).tolist()) for rows in (train_rows, valid_rows)]
            sources = [f"{items.source}, {part}" for part in ("part to learn from", "part to check with")]
            target = self.target.fit(parts[0], sources[0])
            targets = target.encode(parts[0], sources[0]), target.encode(parts[1], sources[1])
        text = self.text
        vocab, sets = text.vocab, []
        for rows, numbers, what in zip((train_rows, valid_rows), targets, ("train", "valid"), strict=True):
            store = build_store(
                items.texts(rows),
                text.tokenizer,
                vocab=vocab,
                min_freq=text.min_freq,
                max_vocab=text.max_vocab,
                n_workers=text.n_workers,
                cache=text.cache,
                what=f"{what} texts",
                numbers=rows + 1,
            )
            vocab = store.vocab
            sets.append(TextDataset(store, numbers, items.take(rows)))
        title = "" if self.target is None else self.target.title
        return Datasets(train=sets[0], valid=sets[1], target=target, title=title)

    def _refuse_joined(self, values: Sequence[Any], source: str) -> None:
        """One class for each text was asked for; unless it was said that a label is one, it must look like one."""
        said = self.get_y is parent_label or getattr(self.get_y, "label_delim", None) is not None
        if not said:
            columns = getattr(self.get_y, "cols", None)
            refuse_joined(values, source if columns is None else f"{source}, column {named_columns(columns)}")

    def dataloaders(self, source: Any, path: str | Path | None = None, **loading: Unpack[Loading]) -> TextDataLoaders:
        """Read a source and make loaders of it.

        Args:
            source: what `get_items` takes, or the items.
            path: where a learner keeps its models; None for the source if it is a folder, else the current folder.
            loading: how batches are made; see `LoaderOptions`.

        Raises:
            UlmfitError: there is something wrong with the items or a setting; see the message.
        """
        from ulmfit.data.dataloaders import TextDataLoaders  # which is built on this module

        options = LoaderOptions(**({"seq_len": self.text.seq_len, "backwards": self.text.backwards} | loading))
        sets = self.datasets(source)
        if path is None:
            path = source if isinstance(source, str | Path) and Path(source).is_dir() else "."
        return TextDataLoaders(
            sets,
            tokenizer=self.text.tokenizer,
            path=path,
            options=options,
            read_items=self._read_more,
        )

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

    def summary(self, source: Any, bs: int = 4, show_batch: bool = False) -> Shown:
        """Go through the steps from a source to a batch, and tell what each gives.

        Args:
            source: what `get_items` takes, or the items.
            bs: rows of the batch.
            show_batch: show the batch too.

        Returns:
            What to show: a table in a notebook and in a terminal.
        """
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
            labels = f": {', '.join(dls.labels[:10])}" if dls.labels else ""
            steps.append((dls.sets.title, f"{dls.target.task}, {dls.n_out} number(s){labels}"))
        steps.append(("batch", f"shapes {shapes}; {len(dls.train)} batches in an epoch"))
        shown = Shown(("step", "gives"), steps)
        if show_batch:
            dls.show_batch(max_n=bs)
        return shown


def _first(items: Any) -> str:
    try:
        return f"{items[0]!r:.80}"
    except (KeyError, IndexError, TypeError):
        return "a row"
