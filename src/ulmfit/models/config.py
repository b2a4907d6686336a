"""What an AWD-LSTM is made of: one frozen dataclass, its sizes, and its JSON form."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from ulmfit.errors import ConfigError

_PROBABILITIES = ("output_p", "hidden_p", "input_p", "embed_p", "weight_p")
_SIZES = ("emb_sz", "n_hid", "n_layers")


@dataclass(frozen=True, kw_only=True)
class AWDLSTMConfig:
    """Sizes and dropout probabilities of an AWD-LSTM.

    The defaults are the language model of the AWD-LSTM paper as ULMFiT uses it.

    Args:
        emb_sz: embedding size E, also the size of the encoder's output.
        n_hid: hidden size H of every layer but the last, whose size is E.
        n_layers: number of recurrent layers.
        pad_token: id of the padding token.
        output_p: dropout on the encoder's output (before the decoder or the classifier's head).
        hidden_p: variational dropout between layers.
        input_p: variational dropout on the embedded words.
        embed_p: dropout of whole words of the embedding.
        weight_p: dropout on the recurrent weights (DropConnect).
        tie_weights: the decoder shares the embedding's weights.
        out_bias: the decoder has a bias.
        cutoffs: adaptive softmax: words from these ids on (frequent words have low ids) form clusters of their own;
            none for one softmax. Cutoffs beyond the vocabulary are left out.

    Raises:
        ConfigError: a size is not positive or a probability is not in [0, 1).

    Source: Merity et al. 2017, "Regularizing and Optimizing LSTM Language Models", section 4 and 5.
    """

    emb_sz: int = 400
    n_hid: int = 1152
    n_layers: int = 3
    pad_token: int = 1
    output_p: float = 0.1
    hidden_p: float = 0.15
    input_p: float = 0.25
    embed_p: float = 0.02
    weight_p: float = 0.2
    tie_weights: bool = True
    out_bias: bool = True
    cutoffs: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        problems = [
            f"{n}={getattr(self, n)!r} must be an integer of at least 1"
            for n in _SIZES
            if not _is_size(getattr(self, n))
        ]
        problems += [
            f"{n}={getattr(self, n)!r} must be a number in [0, 1)"
            for n in _PROBABILITIES
            if not isinstance(getattr(self, n), int | float) or not 0 <= getattr(self, n) < 1
        ]
        if list(self.cutoffs) != sorted(set(self.cutoffs)) or any(not _is_size(c) for c in self.cutoffs):
            problems.append(f"cutoffs={self.cutoffs!r} must be rising positive integers")
        if problems:
            raise ConfigError("AWD-LSTM configuration: " + "; ".join(problems))

    def scaled(self, drop_mult: float) -> AWDLSTMConfig:
        """The same sizes with every dropout probability multiplied by `drop_mult`."""
        if drop_mult < 0:
            raise ConfigError(f"drop_mult={drop_mult!r} must not be negative")
        return replace(self, **{n: getattr(self, n) * drop_mult for n in _PROBABILITIES})

    def with_dropouts_of(self, other: AWDLSTMConfig) -> AWDLSTMConfig:
        """The same sizes with the dropout probabilities of `other`."""
        return replace(self, **{n: getattr(other, n) for n in _PROBABILITIES})

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as written to JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> AWDLSTMConfig:
        """Read back what `to_dict` gave.

        Raises:
            ConfigError: a name is not a field of the configuration.
        """
        known = {f.name for f in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ConfigError(
                f"unknown fields in the AWD-LSTM configuration: {', '.join(unknown)}; known: {', '.join(sorted(known))}"
            )
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**plain)


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


# The classifier's dropouts of ULMFiT; the recipe and the learner scale them by drop_mult.
CLASSIFIER_DROPOUTS = AWDLSTMConfig(output_p=0.4, hidden_p=0.3, input_p=0.4, embed_p=0.05, weight_p=0.5)

SIZES: dict[str, AWDLSTMConfig] = {
    "base": AWDLSTMConfig(),
    # For two cores. The cutoffs make its step 1.7 times as fast at 20,000 words (benchmarks/lm_step.py).
    "small": AWDLSTMConfig(
        emb_sz=300,
        n_hid=640,
        n_layers=2,
        output_p=0.1,
        hidden_p=0.1,
        input_p=0.15,
        embed_p=0.02,
        weight_p=0.1,
        cutoffs=(2_000, 8_000),
    ),
}


def size_config(name: str) -> AWDLSTMConfig:
    """The configuration of a named size.

    Raises:
        ConfigError: the name is not known.
    """
    if name not in SIZES:
        raise ConfigError(f"size {name!r} is not known; choose one of {', '.join(SIZES)}")
    return SIZES[name]
