"""What is asked of a pretraining run."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ulmfit.errors import ConfigError
from ulmfit.models import DEFAULT_ARCH
from ulmfit.models.config import EncoderConfig, size_config
from ulmfit.text.tokenizers import AUTO, kind_problems
from ulmfit.training.run_files import training_folder

FEWEST_WORDS = 100  # of a vocabulary that is asked for
OF_THE_BASE = ("tokenizer", "lang", "vocab_size", "min_freq")  # settings that a base has made already


@dataclass(frozen=True, kw_only=True)
class PretrainJob:
    """What to train on, how, and where to put the result.

    Args:
        data: Parquet, JSONL, CSV, TSV and text files, or folders of them; read as a stream.
        out: the model folder to write.
        text: name of the text column.
        encoding: of files that are not Parquet.
        valid: texts to measure on; a share of `data` is held out if not given.
        held_out: that share.
        licence: of the data, for the model card.
        arch: "awd_lstm" or "awd_qrnn".
        size: "small" or "base".
        tokenizer: "word", "subword" or "char"; "auto" for words, or for subwords where spaces do not tell words.
        lang: language of the word tokenizer, as spaCy names it.
        vocab_size: largest number of entries of the vocabulary.
        min_freq: a token that is rarer gets no entry.
        backwards: texts are read from their end.
        base: a language model to start from, as for `load_base`: its tokens, vocabulary and sizes stay. It may
            read in the other direction: a backward model starts far better from a forward one than from nothing.
        epochs: passes over the data; a fraction is a part of it.
        time_budget: seconds of training and of the measurement at its end; epochs are then an upper limit.
        bs: rows of a batch.
        bptt: steps of a batch.
        lr: largest learning rate.
        drop_mult: factor on the size's dropouts; few passes over much text need little.
        alpha: weight of activation regularisation.
        beta: weight of temporal activation regularisation.
        workers: processes that tokenize.
        compact: the weights are written as int8 rows with scales, in a quarter of their size.
        checkpoint_every: seconds between checkpoints.
        precision: "auto", "bf16" or "fp32".
        seed: of the held-out part, the weights, the order of texts and dropout.
        resume: go on from the last checkpoint.
        overwrite: replace a model at `out`.
    """

    data: tuple[Path, ...]
    out: Path
    text: str | None = None
    encoding: str = "utf-8"
    valid: tuple[Path, ...] = ()
    held_out: float = 0.01
    licence: str = "not stated"
    arch: str = DEFAULT_ARCH
    size: str = "small"
    tokenizer: str = AUTO
    lang: str = "en"
    vocab_size: int = 30_000
    min_freq: int = 3
    backwards: bool = False
    base: str = "none"
    epochs: float = 1.0
    time_budget: float | None = None
    bs: int = 64
    bptt: int = 72
    lr: float = 1e-2
    drop_mult: float = 0.2
    alpha: float = 2.0
    beta: float = 1.0
    workers: int = 1
    compact: bool = False
    checkpoint_every: float = 300.0
    precision: str = "auto"
    seed: int = 0
    resume: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        self.config.scaled(self.drop_mult)
        problems = [
            f"{name}={getattr(self, name)} must be a positive number"
            for name in ("epochs", "time_budget", "lr", "checkpoint_every")
            if getattr(self, name) is not None and not 0 < getattr(self, name) < math.inf
        ]
        problems += [
            f"{name}={getattr(self, name)} must be at least {low}"
            for name, low in (("bs", 1), ("bptt", 1), ("min_freq", 1), ("workers", 1), ("vocab_size", FEWEST_WORDS))
            if getattr(self, name) < low
        ]
        problems += kind_problems(self.tokenizer)
        if not self.valid and not 0 < self.held_out < 1:
            problems.append(f"held_out={self.held_out} must be between 0 and 1, or valid given")
        if self.base != "none":
            problems += [
                f"{name}={getattr(self, name)!r} cannot be chosen: it is that of base {self.base!r}"
                for name in OF_THE_BASE
                if getattr(self, name) != getattr(type(self), name)
            ]
        if problems:
            raise ConfigError("pretraining: " + "; ".join(problems))

    def settings(self) -> dict[str, Any]:
        """What must be the same when a run is resumed."""
        free = (
            "out",
            "epochs",
            "time_budget",
            "resume",
            "overwrite",
            "workers",
            "compact",
            "checkpoint_every",
            "licence",
        )
        plain: dict[str, Any] = {}
        for name, value in asdict(self).items():
            if name not in free and not (name in OF_THE_BASE and self.base != "none"):
                plain[name] = [str(p) for p in value] if isinstance(value, tuple) else value
        return plain

    def settings_by_name(self) -> dict[str, Any]:
        """The same with the names of files and folders only, as a model folder tells them."""
        names = {"data": [p.name for p in self.data], "valid": [p.name for p in self.valid]}
        return {**self.settings(), **names, "base": Path(self.base).name}

    @property
    def config(self) -> EncoderConfig:
        """Of the encoder."""
        return size_config(self.size, self.arch)

    @property
    def training_folder(self) -> Path:
        """Where the checkpoints are."""
        return training_folder(self.out)
