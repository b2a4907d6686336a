"""What an encoder is made of: one frozen dataclass for each architecture, its sizes, and its JSON form."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, ClassVar, Self

import numpy as np

from ulmfit.arguments import check_fields, checked
from ulmfit.errors import ConfigError

_SIZES = ("emb_sz", "n_hid", "n_layers")


DECODER_FIELDS = ("tie_weights", "out_bias", "cutoffs")  # of a language model; a classifier has no decoder


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """Sizes and dropout probabilities that the architectures have in common; use the class of an architecture.

    Args:
        emb_sz: embedding size E, also the size of the encoder's output.
        n_hid: hidden size H of every layer but the last, whose size is E.
        n_layers: number of recurrent layers.
        pad_token: id of the padding token.
        bidir: each layer reads in both directions, with half of its size for each.
        output_p: dropout on the encoder's output (before the decoder or the classifier's head).
        hidden_p: variational dropout between layers.
        input_p: variational dropout on the embedded words.
        embed_p: dropout of whole words of the embedding.
        weight_p: dropout on weights of the recurrent layers (DropConnect).
        tie_weights: the decoder shares the embedding's weights.
        out_bias: the decoder has a bias.
        cutoffs: adaptive softmax: words from these ids on (frequent words have low ids) form clusters of their own;
            none for one softmax. Cutoffs beyond the vocabulary are left out.

    Raises:
        ConfigError: a value makes no sense; the message names all of them.
    """

    arch: ClassVar[str] = ""

    emb_sz: int = 400
    n_hid: int = 1152
    n_layers: int = 3
    pad_token: int = 1
    bidir: bool = False
    output_p: float = 0.1
    hidden_p: float = 0.15
    input_p: float = 0.25
    embed_p: float = 0.02
    weight_p: float = 0.2
    tie_weights: bool = True
    out_bias: bool = True
    cutoffs: tuple[int, ...] = ()

    @property
    def layer_sizes(self) -> list[int]:
        """The input size of the first layer, then the output size of each."""
        return [self.emb_sz, *[self.n_hid] * (self.n_layers - 1), self.emb_sz]

    def __post_init__(self) -> None:
        for f in fields(self):
            object.__setattr__(self, f.name, _plain(getattr(self, f.name)))
        check_fields(self)
        problems = self._problems()
        if problems:
            raise ConfigError(f"configuration of {self.arch or 'an encoder'}: " + "; ".join(problems))

    def _problems(self) -> list[str]:
        """What is wrong with values of the right types."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        problems = [f"{n}={values[n]} must be at least 1" for n in _SIZES if values[n] < 1]
        problems += [f"{n}={values[n]} must be in [0, 1)" for n in self.probabilities() if not 0 <= values[n] < 1]
        if self.pad_token < 0:
            problems.append(f"pad_token={self.pad_token} must be a token id, 0 or more")
        problems += cutoff_problems(self.cutoffs)
        if self.bidir and not problems:
            problems += [f"{n}={values[n]} must be even with bidir" for n in ("emb_sz", "n_hid") if values[n] % 2]
        return problems

    @classmethod
    def probabilities(cls) -> tuple[str, ...]:
        """Names of the dropout probabilities."""
        return tuple(f.name for f in fields(cls) if f.name.endswith("_p"))

    @checked
    def scaled(self, drop_mult: float) -> Self:
        """The same sizes with every dropout probability multiplied by `drop_mult`.

        Raises:
            ConfigError: it is negative, or makes a probability 1 or more.
        """
        if not 0 <= drop_mult < math.inf:
            raise ConfigError(f"drop_mult={drop_mult} must be 0 or more, and finite")
        scaled = {n: getattr(self, n) * drop_mult for n in self.probabilities()}
        if large := [f"{n}={getattr(self, n)} becomes {p:.3g}" for n, p in scaled.items() if p >= 1]:
            raise ConfigError(f"drop_mult={drop_mult} is too large: {', '.join(large)}, and must stay below 1")
        return replace(self, **scaled)

    def with_dropouts_of(self, other: EncoderConfig) -> Self:
        """The same sizes with those dropout probabilities that `other` has too."""
        shared = set(self.probabilities()) & set(other.probabilities())
        return replace(self, **{n: getattr(other, n) for n in shared})

    def to_dict(self) -> dict[str, Any]:
        """Plain values with the name of the architecture, as written to JSON."""
        return {"arch": self.arch} | asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Read back what `to_dict` gave; without the name of an architecture, that of this class is meant.

        Raises:
            ConfigError: a name is not a field of the configuration, or the architecture is another.
        """
        arch = values.get("arch", cls.arch)
        if arch != cls.arch:
            raise ConfigError(f"the configuration is of arch={arch!r}; expected {cls.arch!r}")
        known = {f.name for f in fields(cls)}
        unknown = sorted(set(values) - known - {"arch"})
        if unknown:
            raise ConfigError(
                f"unknown fields in the configuration of {cls.arch}: {', '.join(unknown)}; "
                f"known: {', '.join(sorted(known))}"
            )
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k != "arch"}
        return cls(**plain)


@dataclass(frozen=True, kw_only=True)
class AWDLSTMConfig(EncoderConfig):
    """An AWD-LSTM; `weight_p` drops hidden-to-hidden weights.

    The defaults are the language model of the AWD-LSTM paper as ULMFiT uses it.

    Source: Merity et al. 2017, "Regularizing and Optimizing LSTM Language Models", section 4 and 5.
    """

    arch: ClassVar[str] = "awd_lstm"


@dataclass(frozen=True, kw_only=True)
class AWDQRNNConfig(EncoderConfig):
    """An AWD-QRNN; `weight_p` drops weights of the gates. The defaults have as many parameters as those of AWD-LSTM.

    Args:
        window: steps that the gates of the first layer see, 1 or 2; the layers above see one.
        zoneout_p: probability that a cell keeps its last value.

    Source: Bradbury et al. 2016, "Quasi-Recurrent Neural Networks"; Merity et al. 2018, "An Analysis of Neural
    Language Modeling at Multiple Scales".
    """

    arch: ClassVar[str] = "awd_qrnn"

    n_hid: int = 1552
    n_layers: int = 4
    window: int = 2
    zoneout_p: float = 0.0

    def _problems(self) -> list[str]:
        problems = super()._problems()
        if self.window not in (1, 2):
            problems.append(f"window={self.window} must be 1 or 2")
        return problems


def _plain(value: Any) -> Any:
    """Numbers of numpy as Python's, which JSON takes, and lists as tuples, which can be hashed."""
    if isinstance(value, list | tuple):
        return tuple(_plain(v) for v in value)
    return value.item() if isinstance(value, np.generic) else value


def cutoff_problems(cutoffs: tuple[int, ...]) -> list[str]:
    """What is wrong with the places where an adaptive softmax cuts the vocabulary, if anything is."""
    good = list(cutoffs) == sorted(set(cutoffs)) and all(c >= 1 for c in cutoffs)
    return [] if good else [f"cutoffs={cutoffs} must be rising, and at least 1"]


# The classifier's dropouts of ULMFiT; the recipe and the learner scale them by drop_mult.
CLASSIFIER_DROPOUTS = AWDLSTMConfig(output_p=0.4, hidden_p=0.3, input_p=0.4, embed_p=0.05, weight_p=0.5)

CONFIGS: dict[str, type[EncoderConfig]] = {c.arch: c for c in (AWDLSTMConfig, AWDQRNNConfig)}

_SMALL_DROPOUTS = EncoderConfig(output_p=0.1, hidden_p=0.1, input_p=0.15, embed_p=0.02, weight_p=0.1)

# "small" is for two cores. The cutoffs make its step 1.7 times as fast at 20,000 words (benchmarks/lm_step.py).
SIZES: dict[str, dict[str, EncoderConfig]] = {
    "awd_lstm": {
        "base": AWDLSTMConfig(),
        "small": AWDLSTMConfig(emb_sz=300, n_hid=640, n_layers=2, cutoffs=(2_000, 8_000)).with_dropouts_of(
            _SMALL_DROPOUTS
        ),
    },
    "awd_qrnn": {
        "base": AWDQRNNConfig(),
        "small": AWDQRNNConfig(emb_sz=300, n_hid=640, n_layers=2, cutoffs=(2_000, 8_000)).with_dropouts_of(
            _SMALL_DROPOUTS
        ),
    },
}


def size_config(name: str, arch: str = "awd_lstm") -> EncoderConfig:
    """The configuration of a named size of an architecture.

    Raises:
        ConfigError: the name or the architecture is not known.
    """
    if arch not in SIZES:
        raise ConfigError(f"arch={arch!r} is not known; choose one of {', '.join(SIZES)}")
    if name not in SIZES[arch]:
        raise ConfigError(f"size {name!r} is not known; choose one of {', '.join(SIZES[arch])}")
    return SIZES[arch][name]


def config_from_dict(values: dict[str, Any]) -> EncoderConfig:
    """Read back what `to_dict` of any architecture gave; without a name of one, it is an AWD-LSTM.

    Raises:
        ConfigError: the architecture or a field is not known.
    """
    arch = values.get("arch", AWDLSTMConfig.arch)
    if arch not in CONFIGS:
        raise ConfigError(f"arch={arch!r} is not known; choose one of {', '.join(CONFIGS)}")
    return CONFIGS[arch].from_dict(values)
