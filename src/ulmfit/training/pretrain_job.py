"""What is asked of a pretraining run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ulmfit.errors import ConfigError
from ulmfit.models import DEFAULT_ARCH
from ulmfit.models.config import EncoderConfig, size_config
from ulmfit.text.tokenizers import AUTO, kind_problems
from ulmfit.training.run_files import training_folder

FEWEST_WORDS = 100  # of a vocabulary that is asked for
# Settings that a base has made already, and what they are without one if they are not given.
OF_A_BASE: Mapping[str, Any] = MappingProxyType(
    {"arch": DEFAULT_ARCH, "size": "small", "tokenizer": AUTO, "lang": "en", "vocab_size": 30_000, "min_freq": 3}
)


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
        arch: "awd_lstm" or "awd_qrnn". This and the next five are as `OF_A_BASE` says if they are not given; with a
            base they are its own, and what is given must agree with it.
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
        precision: "auto", "bf16", "fp16" (on a GPU) or "fp32".
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
    arch: str | None = None
    size: str | None = None
    tokenizer: str | None = None
    lang: str | None = None
    vocab_size: int | None = None
    min_freq: int | None = None
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
        for name in ("data", "valid"):
            object.__setattr__(self, name, _paths(name, getattr(self, name)))
        object.__setattr__(self, "out", Path(self.out))
        own = self.own()
        problems = [
            f"{name}={getattr(self, name)} must be a positive number"
            for name in ("epochs", "time_budget", "lr", "checkpoint_every")
            if getattr(self, name) is not None and not 0 < getattr(self, name) < math.inf
        ]
        whole = {name: getattr(self, name) for name in ("bs", "bptt", "workers")}
        whole |= {name: own[name] for name in ("min_freq", "vocab_size")}
        problems += [
            f"{name}={value} must be at least {low}"
            for name, value in whole.items()
            if value < (low := FEWEST_WORDS if name == "vocab_size" else 1)
        ]
        problems += kind_problems(own["tokenizer"])
        if not self.valid and not 0 < self.held_out < 1:
            problems.append(f"held_out={self.held_out} must be between 0 and 1, or valid given")
        if self.base == AUTO:
            problems.append("base='auto' is for classifiers: name a model, or none")
        if problems:
            raise ConfigError("pretraining: " + "; ".join(problems))
        self.config.scaled(self.drop_mult)

    def own(self) -> dict[str, Any]:
        """What the settings of `OF_A_BASE` are where there is no base."""
        given = {name: getattr(self, name) for name in OF_A_BASE}
        return {name: default if given[name] is None else given[name] for name, default in OF_A_BASE.items()}

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
        own = self.own() if self.base == "none" else {}
        for name, value in asdict(self).items():
            if name in own:
                plain[name] = own[name]
            elif name not in (*free, *OF_A_BASE):
                plain[name] = [str(p) for p in value] if isinstance(value, tuple) else value
        return plain

    def settings_by_name(self) -> dict[str, Any]:
        """The same with the names of files and folders only, as a model folder tells them."""
        names = {"data": [p.name for p in self.data], "valid": [p.name for p in self.valid]}
        return {**self.settings(), **names, "base": Path(self.base).name}

    @property
    def config(self) -> EncoderConfig:
        """Of the encoder of a model without a base."""
        own = self.own()
        return size_config(own["size"], own["arch"])

    @property
    def training_folder(self) -> Path:
        """Where the checkpoints are."""
        return training_folder(self.out)


def _paths(name: str, value: object) -> tuple[Path, ...]:
    """Files and folders as paths, of one or several that may be strings.

    Raises:
        ConfigError: they are something else.
    """
    several = (value,) if isinstance(value, str | Path) else value
    if not isinstance(several, list | tuple) or not all(isinstance(path, str | Path) for path in several):
        raise ConfigError(f"pretraining: {name} must be files or folders, not {value!r}")
    return tuple(map(Path, several))
