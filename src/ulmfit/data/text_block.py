"""What a `DataBlock` is told about texts: how they become ids, and what they are for."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from pathlib import Path
from typing import Any, Literal

from ulmfit.arguments import at_least, checked
from ulmfit.data.options import taken
from ulmfit.data.stores import vocab_of
from ulmfit.errors import ConfigError
from ulmfit.text.base import BareTokenizer
from ulmfit.text.rules import BOS, PAD, UNK, Rule
from ulmfit.text.tokenizers import Tokenizer, tokenizer_of


class TextBlock:
    """Says how texts become ids, and what they are for.

    Args:
        tok_tfm: what cuts them into tokens; None for words.
        vocab: the vocabulary; None to make one of the texts that are counted.
        is_lm: they are for a language model.
        seq_len: steps of a batch of a language model (bptt).
        backwards: texts are read from their end.
        min_freq: the least count of a token in a vocabulary that is made.
        max_vocab: its largest number of entries.
        special_toks: its first entries, which the tokenizer for words does not cut; None for the usual nine.
        text_cols: columns with text, where items are rows.
        tok_text_col: a name for all of them together, which a `ColReader` may use.
        mark_fields: write `xxfld` and its number before each column; None for if there are several.
        n_workers: processes that tokenize.
        encoding: of text files.
        cache: keep ids in the user's cache folder, in this folder, or (False) in memory.
        count: the texts that a vocabulary is made of, and a subword model trained on: those to learn from ("train"),
            all of the source ("all"), or all text files of a folder besides. None for what the tokenizer was made for
            (`Tokenizer.from_df`, `Tokenizer.from_folder`), else "train".
    """

    @checked
    def __init__(
        self,
        tok_tfm: Tokenizer | BareTokenizer | None = None,
        vocab: Any = None,
        is_lm: bool = False,
        seq_len: int = 72,
        backwards: bool = False,
        *,
        min_freq: int = 3,
        max_vocab: int = 60_000,
        special_toks: Sequence[str] | None = None,
        text_cols: str | int | Sequence[str | int] = (),
        tok_text_col: str = "text",
        mark_fields: bool | None = None,
        n_workers: int = 1,
        encoding: str = "utf-8",
        cache: bool | str | Path = True,
        count: Literal["train", "all"] | Path | None = None,
    ) -> None:
        at_least(1, seq_len=seq_len, min_freq=min_freq, max_vocab=max_vocab)
        at_least(0, n_workers=n_workers)
        self.special_toks = special_tokens(special_toks)
        self.tokenizer = tokenizer_of(tok_tfm, special_toks=self.special_toks)
        self.vocab = vocab_of(vocab)
        self.is_lm, self.seq_len, self.backwards = is_lm, seq_len, backwards
        self.min_freq, self.max_vocab = min_freq, max_vocab
        given = {"text_cols": text_cols, "tok_text_col": tok_text_col, "mark_fields": mark_fields, "count": count}
        given |= {"n_workers": n_workers, "encoding": encoding}
        usual, told = signature(TextBlock).parameters, self.tokenizer.reading
        chosen: dict[str, Any] = {n: told.get(n, v) if v == usual[n].default else v for n, v in given.items()}
        columns = chosen["text_cols"]
        self.text_cols = [columns] if isinstance(columns, str | int) else list(columns)
        self.tok_text_col, self.mark_fields = chosen["tok_text_col"], chosen["mark_fields"]
        self.n_workers, self.encoding = chosen["n_workers"], chosen["encoding"]
        self.cache = Path(cache) if isinstance(cache, str) else cache
        self.count: str | Path = chosen["count"] or "train"
        self.skip: Sequence[str] = ()
        """Patterns of the names of files that are not counted."""

    @classmethod
    @checked
    def from_df(
        cls,
        text_cols: str | int | Sequence[str | int],
        vocab: Any = None,
        is_lm: bool = False,
        seq_len: int = 72,
        backwards: bool = False,
        min_freq: int = 3,
        max_vocab: int = 60_000,
        *,
        tok: Tokenizer | BareTokenizer | None = None,
        special_toks: Sequence[str] | None = None,
        rules: Sequence[Rule] | None = None,
        n_workers: int = 1,
        mark_fields: bool | None = None,
        tok_text_col: str = "text",
        cache: bool | str | Path = True,
        **others: object,
    ) -> TextBlock:
        """Texts of a data frame, all of which are counted for the vocabulary; see the class for what is not said here.

        Args:
            text_cols: columns with text.
            vocab: see the class.
            is_lm: see the class.
            seq_len: see the class.
            backwards: see the class.
            min_freq: see the class.
            max_vocab: see the class.
            tok: what cuts texts into tokens; None for words.
            special_toks: see the class.
            rules: as for `Tokenizer`.
            n_workers: see the class.
            mark_fields: see the class.
            tok_text_col: see the class.
            cache: see the class.
            others: keywords of fastai that change nothing.
        """
        taken(cls.from_df, others)
        return cls(
            tokenizer_of(tok, rules, special_toks),
            vocab,
            is_lm,
            seq_len,
            backwards,
            min_freq=min_freq,
            max_vocab=max_vocab,
            special_toks=special_toks,
            text_cols=text_cols,
            tok_text_col=tok_text_col,
            mark_fields=mark_fields,
            n_workers=n_workers,
            cache=cache,
            count="all",
        )

    @classmethod
    @checked
    def from_folder(
        cls,
        path: str | Path,
        vocab: Any = None,
        is_lm: bool = False,
        seq_len: int = 72,
        backwards: bool = False,
        min_freq: int = 3,
        max_vocab: int = 60_000,
        *,
        tok: Tokenizer | BareTokenizer | None = None,
        special_toks: Sequence[str] | None = None,
        rules: Sequence[Rule] | None = None,
        n_workers: int = 1,
        encoding: str = "utf-8",
        cache: bool | str | Path = True,
        **others: object,
    ) -> TextBlock:
        """Texts of the files of a folder; see the class for what is not said here.

        Args:
            path: the folder. All its text files are counted for the vocabulary; which of them are read to learn from
                and to check with is the matter of `get_items`.
            vocab: see the class.
            is_lm: see the class.
            seq_len: see the class.
            backwards: see the class.
            min_freq: see the class.
            max_vocab: see the class.
            tok: what cuts texts into tokens; None for words.
            special_toks: see the class.
            rules: as for `Tokenizer`.
            n_workers: see the class.
            encoding: see the class.
            cache: see the class.
            others: keywords of fastai that change nothing.

        Raises:
            ConfigError: there is no such folder.
        """
        taken(cls.from_folder, others)
        if not Path(path).is_dir():
            raise ConfigError(f"{path} is not a folder")
        return cls(
            tokenizer_of(tok, rules, special_toks),
            vocab,
            is_lm,
            seq_len,
            backwards,
            min_freq=min_freq,
            max_vocab=max_vocab,
            special_toks=special_toks,
            n_workers=n_workers,
            encoding=encoding,
            cache=cache,
            count=Path(path),
        )


def special_tokens(given: Sequence[str] | None) -> tuple[str, ...] | None:
    """The first entries of a vocabulary that is made; None for the usual nine.

    Raises:
        ConfigError: they are no strings, one stands twice, or one is missing that nothing works without.
    """
    if given is None:
        return None
    tokens = list(given)
    missing = [token for token in (UNK, PAD, BOS) if token not in tokens]
    if missing or len(set(tokens)) < len(tokens):
        raise ConfigError(
            f"special_toks={tokens}: each once, and {UNK}, {PAD} and {BOS} among them, as in "
            "special_toks=[*SPECIAL_TOKENS, 'xxurl']"
        )
    return tuple(tokens)
