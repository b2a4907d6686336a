"""Models from an architecture and a configuration, by the names and arguments of the ULMFiT tutorials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from torch import nn

from ulmfit.arguments import at_least, checked
from ulmfit.errors import ConfigError
from ulmfit.models.architectures import ENCODERS
from ulmfit.models.awd_lstm import AWD_LSTM
from ulmfit.models.awd_qrnn import AWD_QRNN
from ulmfit.models.classifier import PoolingLinearClassifier, SentenceEncoder, TextClassifier
from ulmfit.models.config import CLASSIFIER_DROPOUTS, AWDLSTMConfig, AWDQRNNConfig, EncoderConfig
from ulmfit.models.encoder import Encoder, encoder_arguments
from ulmfit.models.language_model import LanguageModel, LinearDecoder
from ulmfit.models.sequential import SequentialRNN

__all__ = [
    "AWD_LSTM",
    "AWD_QRNN",
    "AWDLSTMConfig",
    "AWDQRNNConfig",
    "LanguageModel",
    "LinearDecoder",
    "PoolingLinearClassifier",
    "SentenceEncoder",
    "SequentialRNN",
    "TextClassifier",
    "awd_lstm_clas_config",
    "awd_lstm_clas_split",
    "awd_lstm_lm_config",
    "awd_lstm_lm_split",
    "awd_qrnn_clas_config",
    "awd_qrnn_lm_config",
    "get_language_model",
    "get_text_classifier",
]


class ReadOnlyConfig(Mapping[str, Any]):
    """A mapping that nobody can change by accident: take a `copy()`, which is a dict, or `config | changes`."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __or__(self, other: Mapping[str, Any]) -> dict[str, Any]:
        return self._values | dict(other)

    def __repr__(self) -> str:
        return f"ReadOnlyConfig({self._values})"

    def copy(self) -> dict[str, Any]:
        """The same as a dict that may be changed."""
        return dict(self._values)


def _lm_values(config: EncoderConfig) -> ReadOnlyConfig:
    return ReadOnlyConfig({f.name: getattr(config, f.name) for f in fields(config) if f.name != "cutoffs"})


def _classifier_values(config: EncoderConfig) -> ReadOnlyConfig:
    config = config.with_dropouts_of(CLASSIFIER_DROPOUTS)
    return ReadOnlyConfig(encoder_arguments(config) | {"output_p": config.output_p})


awd_lstm_lm_config = _lm_values(AWDLSTMConfig())
awd_lstm_clas_config = _classifier_values(AWDLSTMConfig())
awd_qrnn_lm_config = _lm_values(AWDQRNNConfig())
awd_qrnn_clas_config = _classifier_values(AWDQRNNConfig())


@checked
def get_language_model(
    arch: type[Encoder],
    vocab_sz: int,
    config: EncoderConfig | Mapping[str, Any] | None = None,
    drop_mult: float = 1.0,
) -> LanguageModel:
    """A language model.

    Args:
        arch: AWD_LSTM or AWD_QRNN.
        vocab_sz: number of words V.
        config: a configuration, or a mapping with some of its fields; the base size by default.
        drop_mult: multiplies every dropout probability.

    Raises:
        ConfigError: an unknown architecture, field or a value that makes no sense.
    """
    return LanguageModel(vocab_sz, _config(arch, config, _config_class(arch)()).scaled(drop_mult))


@checked
def get_text_classifier(
    arch: type[Encoder],
    vocab_sz: int,
    n_class: int,
    seq_len: int = 72,
    config: EncoderConfig | Mapping[str, Any] | None = None,
    drop_mult: float = 1.0,
    lin_ftrs: Sequence[int] | None = None,
    ps: Sequence[float] | None = None,
    pad_idx: int | None = None,
    max_len: int | None = 72 * 20,
    y_range: tuple[float, float] | None = None,
) -> TextClassifier:
    """A document classifier.

    Args:
        arch: AWD_LSTM or AWD_QRNN.
        vocab_sz: number of words V.
        n_class: number of classes C (of values, for regression).
        seq_len: steps of a chunk; gradients stay within one.
        config: a configuration, or a mapping with some of its fields; the base size with the classifier's dropouts by
            default.
        drop_mult: multiplies every dropout probability of the configuration, not those of `ps`.
        lin_ftrs: sizes of the head's layers between the pooled vector and the classes, one of 50 by default.
        ps: dropout behind each of them, 0.1 if not given.
        pad_idx: id of the padding token, by default the configuration's `pad_token`.
        max_len: positions from the end of a text that are pooled; all of them if None.
        y_range: lowest and highest value of the answers, for regression.

    Raises:
        ConfigError: an unknown architecture, field or a value that makes no sense, or two different ids of the padding.
    """
    at_least(1, n_class=n_class, seq_len=seq_len, max_len=max_len)
    at_least(0, pad_idx=pad_idx)
    default = _config_class(arch)().with_dropouts_of(CLASSIFIER_DROPOUTS)
    chosen = _config(arch, config, default).scaled(drop_mult)
    if pad_idx is not None and pad_idx != chosen.pad_token:
        if isinstance(config, EncoderConfig) or "pad_token" in (config or {}):
            raise ConfigError(
                f"pad_idx={pad_idx}, but pad_token={chosen.pad_token} in the configuration; "
                "give one of them, or both the same"
            )
        chosen = replace(chosen, pad_token=pad_idx)
    ftrs = (50,) if lin_ftrs is None else lin_ftrs
    return TextClassifier(
        vocab_sz, n_class, chosen, bptt=seq_len, max_len=max_len, lin_ftrs=ftrs, ps=ps, y_range=y_range
    )


def awd_lstm_lm_split(model: LanguageModel) -> list[list[nn.Parameter]]:
    """The parameter groups of a language model; see its `parameter_groups`."""
    return model.parameter_groups()


def awd_lstm_clas_split(model: TextClassifier) -> list[list[nn.Parameter]]:
    """The parameter groups of a classifier; see its `parameter_groups`."""
    return model.parameter_groups()


def _config_class(arch: type[Encoder]) -> type[EncoderConfig]:
    if arch not in ENCODERS.values():
        known = ", ".join(e.__name__ for e in ENCODERS.values())
        raise ConfigError(f"arch={getattr(arch, '__name__', arch)!r} is not known; give one of the classes {known}")
    return arch.config_class


def _config(
    arch: type[Encoder], config: EncoderConfig | Mapping[str, Any] | None, default: EncoderConfig
) -> EncoderConfig:
    if config is None:
        return default
    if isinstance(config, EncoderConfig):
        if not isinstance(config, arch.config_class):
            raise ConfigError(f"{arch.__name__} needs a {arch.config_class.__name__}; got a {type(config).__name__}")
        return config
    return arch.config_class.from_dict(default.to_dict() | dict(config))
