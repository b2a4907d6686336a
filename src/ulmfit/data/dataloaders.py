"""Both parts of a task as batches: what a learner is given, made from whatever people have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ulmfit.arguments import checked
from ulmfit.data.block import DataBlock
from ulmfit.data.factory import folder_block, joined, pairs_of, split_for, table_block
from ulmfit.data.getters import ColReader
from ulmfit.data.options import Batching, Unpack, taken
from ulmfit.data.parts import PartLoaders
from ulmfit.data.splitters import Splitter
from ulmfit.data.stores import vocab_of
from ulmfit.data.tables import Table, read_files
from ulmfit.data.targets import CategoryBlock, TargetBlock
from ulmfit.data.text_block import TextBlock
from ulmfit.text.tokenizers import BareTokenizer, Tokenizer


class FromTable(Batching, total=False):
    """The keywords of `TextDataLoaders.from_df` that go with any table."""

    valid_pct: float
    seed: int | None
    text_col: str | int | Sequence[str | int]
    label_col: str | int | Sequence[str | int]
    label_delim: str | None
    y_block: TargetBlock | None
    text_vocab: Any
    is_lm: bool
    valid_col: str | int | None
    tok_tfm: Tokenizer | BareTokenizer | None
    tok_text_col: str
    seq_len: int
    backwards: bool
    mark_fields: bool | None
    min_freq: int
    max_vocab: int
    n_workers: int
    cache: bool | str | Path


class TextDataLoaders(PartLoaders):
    """Loaders of the part to learn from and the part to check with, made from files, tables or texts.

    For what is not covered here there is `DataBlock`. What loaders offer is described at `PartLoaders`.
    """

    @classmethod
    @checked
    def from_folder(
        cls,
        path: str | Path,
        train: str = "train",
        valid: str = "valid",
        valid_pct: float | None = None,
        seed: int | None = None,
        vocab: Iterable[Any] | None = None,
        text_vocab: Any = None,
        is_lm: bool = False,
        tok_tfm: Tokenizer | BareTokenizer | None = None,
        seq_len: int = 72,
        splitter: Splitter | None = None,
        backwards: bool = False,
        *,
        encoding: str = "utf-8",
        skip: Sequence[str] = (),
        min_freq: int = 3,
        max_vocab: int = 60_000,
        n_workers: int = 1,
        cache: bool | str | Path = True,
        **batching: Unpack[Batching],
    ) -> TextDataLoaders:
        """Loaders of text files whose folder is their label.

        Args:
            path: the folder: `path/train/LABEL/FILE.txt`, `path/valid/LABEL/FILE.txt`; for a language model the files
                may lie anywhere in both; with `valid_pct` anywhere in `path`.
            train: name of the folder of the part to learn from.
            valid: name of that of the part to check with.
            valid_pct: take this share of all files at random to check with, instead of two folders; each class in its
                proportion, at least one of each.
            seed: of the split and of the order of batches; None is 0.
            vocab: the labels; None for those of the part to learn from.
            text_vocab: the text vocabulary, such as `dls_lm.vocab`; None to make one of all text files of `path`,
                those of neither part included.
            is_lm: for a language model: no labels.
            tok_tfm: what cuts texts into tokens; None for words.
            seq_len: steps of a batch of a language model (bptt).
            splitter: gives the indices of both parts, instead of folders or a share.
            backwards: texts are read from their end.
            encoding: of the files.
            skip: patterns of the names of files to leave out.
            min_freq: the least count of a token in a vocabulary that is made.
            max_vocab: its largest number of entries.
            n_workers: processes that tokenize.
            cache: keep ids in the user's cache folder, in this folder, or (False) in memory.
            batching: how batches are made; see `LoaderOptions`.

        Raises:
            DataError: there are no files, or something is wrong with them; see the message.
        """
        batching = taken(cls.from_folder, batching, Batching)  # type: ignore[assignment]
        root = Path(path)
        text = TextBlock(
            tok_tfm,
            vocab_of(text_vocab),
            is_lm,
            seq_len,
            backwards,
            min_freq=min_freq,
            max_vocab=max_vocab,
            n_workers=n_workers,
            encoding=encoding,
            cache=cache,
            count=root,
        )
        text.skip = skip
        block = folder_block(
            root,
            text,
            train=train,
            valid=valid,
            valid_pct=valid_pct,
            seed=seed,
            vocab=vocab,
            splitter=splitter,
            skip=skip,
        )
        return block.dataloaders(root, path=root, seed=seed, **batching)

    @classmethod
    @checked
    def from_df(
        cls,
        df: Any,
        path: str | Path = ".",
        valid_pct: float = 0.2,
        seed: int | None = None,
        text_col: str | int | Sequence[str | int] = 0,
        label_col: str | int | Sequence[str | int] = 1,
        label_delim: str | None = None,
        y_block: TargetBlock | None = None,
        text_vocab: Any = None,
        is_lm: bool = False,
        valid_col: str | int | None = None,
        tok_tfm: Tokenizer | BareTokenizer | None = None,
        tok_text_col: str = "text",
        seq_len: int = 72,
        backwards: bool = False,
        *,
        valid_df: Any = None,
        mark_fields: bool | None = None,
        min_freq: int = 3,
        max_vocab: int = 60_000,
        n_workers: int = 1,
        cache: bool | str | Path = True,
        **batching: Unpack[Batching],
    ) -> TextDataLoaders:
        """Loaders of the rows of a data frame.

        Args:
            df: a data frame of pandas or polars, a Hugging Face dataset, or a table of `read_files`.
            path: where a learner keeps its models.
            valid_pct: share of the rows to check with, taken at random, each class in its proportion and at least
                once.
            seed: of the split and of the order of batches; None is 0.
            text_col: name or position of the text column, or of several.
            label_col: name or position of the label column, or of several.
            label_delim: a cell holds several labels, separated by this; "" to say that each is one label.
            y_block: what the labels are; None for one class each (several with `label_delim` or several columns).
            text_vocab: the text vocabulary, such as `dls_lm.vocab`; None to make one of all rows.
            is_lm: for a language model: no labels.
            valid_col: a column that says which rows are to check with, instead of a random share.
            tok_tfm: what cuts texts into tokens; None for words.
            tok_text_col: a name for the text columns together.
            seq_len: steps of a batch of a language model (bptt).
            backwards: texts are read from their end.
            valid_df: the part to check with, of the same columns, instead of a random share.
            mark_fields: write `xxfld` and its number before each text column; None for if there are several.
            min_freq: the least count of a token in a vocabulary that is made.
            max_vocab: its largest number of entries.
            n_workers: processes that tokenize.
            cache: keep ids in the user's cache folder, in this folder, or (False) in memory.
            batching: how batches are made; see `LoaderOptions`.

        Raises:
            DataError: a column is not there, or something is wrong with its cells; see the message.
        """
        batching = taken(cls.from_df, batching, Batching)  # type: ignore[assignment]
        text = TextBlock(
            tok_tfm,
            vocab_of(text_vocab),
            is_lm,
            seq_len,
            backwards,
            min_freq=min_freq,
            max_vocab=max_vocab,
            text_cols=text_col,
            tok_text_col=tok_text_col,
            mark_fields=mark_fields,
            n_workers=n_workers,
            cache=cache,
            count="all",
        )
        table, n_valid = joined(df, valid_df)
        block = table_block(
            table,
            text,
            valid_pct=valid_pct,
            seed=seed,
            label_col=label_col,
            label_delim=label_delim,
            y_block=y_block,
            valid_col=valid_col,
            n_valid=n_valid,
        )
        return block.dataloaders(table, path=path, seed=seed, **batching)

    @classmethod
    @checked
    def from_csv(
        cls,
        path: str | Path,
        csv_fname: str | Path | Sequence[str | Path] = "labels.csv",
        header: str | int | None = "infer",
        delimiter: str | None = None,
        quoting: int = 0,
        *,
        valid_fname: str | Path | None = None,
        encoding: str = "utf-8",
        **from_df: Unpack[FromTable],
    ) -> TextDataLoaders:
        """Loaders of the rows of one or more files, which are read piece by piece.

        Args:
            path: the folder they are in, and where a learner keeps its models.
            csv_fname: CSV, TSV, JSONL or Parquet files of the same columns, or a folder of such.
            header: the line that has the names of the columns, counted from 0; "infer" for the first, None if none has.
            delimiter: between the cells; None for what the ending of the name says.
            quoting: as in the module `csv`.
            valid_fname: the file of the part to check with, instead of a random share.
            encoding: of the files.
            from_df: as for `from_df`.

        Raises:
            DataError: a file or a column is not there, or something is wrong with its cells; see the message.
        """
        from_df = taken(cls.from_csv, from_df, FromTable)  # type: ignore[assignment]
        root = Path(path)
        names = [csv_fname] if isinstance(csv_fname, str | Path) else list(csv_fname)

        def read(files: Sequence[str | Path]) -> Table:
            paths = [root / name for name in files]
            return read_files(paths, encoding=encoding, delimiter=delimiter, header=header, quoting=quoting)

        valid = None if valid_fname is None else read([valid_fname])
        return cls.from_df(read(names), root, valid_df=valid, **from_df)

    @classmethod
    @checked
    def from_texts(
        cls,
        texts: Iterable[Any],
        labels: Iterable[Any] | None = None,
        path: str | Path = ".",
        valid_pct: float = 0.2,
        seed: int | None = None,
        *,
        y_block: TargetBlock | None = None,
        text_vocab: Any = None,
        is_lm: bool = False,
        tok_tfm: Tokenizer | BareTokenizer | None = None,
        seq_len: int = 72,
        backwards: bool = False,
        n_workers: int = 1,
        cache: bool | str | Path = True,
        **batching: Unpack[Batching],
    ) -> TextDataLoaders:
        """Loaders of texts from anywhere.

        Args:
            texts: texts, paths of text files, or pairs of one and its label.
            labels: the labels, if they are not in pairs.
            path: where a learner keeps its models.
            valid_pct: share of the texts to check with, taken at random, each class in its proportion and at least
                once.
            seed: of the split and of the order of batches; None is 0.
            y_block: what the labels are; None for one class each.
            text_vocab: the text vocabulary, such as `dls_lm.vocab`; None to make one of all texts.
            is_lm: for a language model: labels are passed over.
            tok_tfm: what cuts texts into tokens; None for words.
            seq_len: steps of a batch of a language model (bptt).
            backwards: texts are read from their end.
            n_workers: processes that tokenize.
            cache: keep ids in the user's cache folder, in this folder, or (False) in memory.
            batching: how batches are made; see `LoaderOptions`.

        Raises:
            DataError: an item is not text, or there is something wrong with the labels; see the message.
        """
        batching = taken(cls.from_texts, batching, Batching)  # type: ignore[assignment]
        text = TextBlock(
            tok_tfm,
            vocab_of(text_vocab),
            is_lm,
            seq_len,
            backwards,
            n_workers=n_workers,
            cache=cache,
            count="all",
        )
        target = None if is_lm else y_block or CategoryBlock()
        block = DataBlock(
            text if target is None else (text, target),
            get_y=None if target is None or y_block is None else ColReader(1, label_delim=""),
            splitter=split_for(target, lambda items: (item[1] for item in items), valid_pct, seed),
        )
        return block.dataloaders(pairs_of(texts, labels), path=path, seed=seed, **batching)
