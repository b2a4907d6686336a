"""The older interface of the tutorials, as other names of the same things."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ulmfit.arguments import checked
from ulmfit.data.dataloaders import TextDataLoaders
from ulmfit.data.options import Batching, Unpack
from ulmfit.text.tokenizers import BareTokenizer, Tokenizer


class OlderOptions(Batching, total=False):
    """Keywords that both kinds of data bunches take, beside those of batches."""

    text_cols: str | int | Sequence[str | int]
    tokenizer: Tokenizer | BareTokenizer | None
    vocab: Any
    max_vocab: int
    min_freq: int
    mark_fields: bool | None
    valid_pct: float
    seed: int | None
    backwards: bool
    cache: bool | str | Path


class _DataBunch:
    """Makes `TextDataLoaders` by the older names of arguments. Text stands in column 1, labels in column 0."""

    is_lm = False

    @classmethod
    @checked
    def from_df(
        cls,
        path: str | Path,
        train_df: Any,
        valid_df: Any = None,
        *,
        label_cols: str | int | Sequence[str | int] = 0,
        label_delim: str | None = None,
        bptt: int = 70,
        **options: Unpack[OlderOptions],
    ) -> TextDataLoaders:
        """Loaders of data frames.

        Args:
            path: where a learner keeps its models.
            train_df: the part to learn from.
            valid_df: the part to check with; None for a share of the other.
            label_cols: label column, by name or position, or several.
            label_delim: a cell holds several labels, separated by this; "" to say that each is one label.
            bptt: steps of a batch of a language model.
            options: the text columns (`text_cols`, by default 1), `tokenizer`, `vocab` and so on; for what is not
                said here see `TextDataLoaders.from_df`.
        """
        given: dict[str, Any] = dict(options)
        return TextDataLoaders.from_df(
            train_df,
            path,
            text_col=given.pop("text_cols", 1),
            label_col=label_cols,
            label_delim=label_delim,
            text_vocab=given.pop("vocab", None),
            tok_tfm=given.pop("tokenizer", None),
            is_lm=cls.is_lm,
            seq_len=bptt,
            valid_df=valid_df,
            **given,
        )

    @classmethod
    @checked
    def from_csv(
        cls,
        path: str | Path,
        csv_name: str,
        *,
        header: str | int | None = "infer",
        delimiter: str | None = None,
        label_cols: str | int | Sequence[str | int] = 0,
        label_delim: str | None = None,
        bptt: int = 70,
        **options: Unpack[OlderOptions],
    ) -> TextDataLoaders:
        """Loaders of the rows of a file.

        Args:
            path: the folder it is in, and where a learner keeps its models.
            csv_name: its name.
            header: "infer" or 0 if the first row has the names of the columns, None if it has not.
            delimiter: between the cells.
            label_cols: label column, by name or position, or several.
            label_delim: a cell holds several labels, separated by this; "" to say that each is one label.
            bptt: steps of a batch of a language model.
            options: as for `from_df`.
        """
        given: dict[str, Any] = dict(options)
        return TextDataLoaders.from_csv(
            path,
            csv_name,
            header,
            delimiter,
            text_col=given.pop("text_cols", 1),
            label_col=label_cols,
            label_delim=label_delim,
            text_vocab=given.pop("vocab", None),
            tok_tfm=given.pop("tokenizer", None),
            is_lm=cls.is_lm,
            seq_len=bptt,
            **given,
        )

    @classmethod
    @checked
    def from_folder(
        cls,
        path: str | Path,
        train: str = "train",
        valid: str = "valid",
        *,
        classes: Sequence[str] | None = None,
        bptt: int = 70,
        **options: Unpack[OlderOptions],
    ) -> TextDataLoaders:
        """Loaders of text files whose folder is their label.

        Args:
            path: the folder.
            train: name of the folder of the part to learn from.
            valid: name of that of the part to check with.
            classes: the labels; None for those of the part to learn from.
            bptt: steps of a batch of a language model.
            options: as for `from_df`, without columns.
        """
        given: dict[str, Any] = dict(options)
        return TextDataLoaders.from_folder(
            path,
            train,
            valid,
            vocab=classes,
            text_vocab=given.pop("vocab", None),
            tok_tfm=given.pop("tokenizer", None),
            is_lm=cls.is_lm,
            seq_len=bptt,
            **given,
        )


class TextLMDataBunch(_DataBunch):
    """Loaders for a language model, by the older names."""

    is_lm = True


class TextClasDataBunch(_DataBunch):
    """Loaders for a classifier, by the older names."""
