"""The encoders by the name of their architecture."""

from __future__ import annotations

from ulmfit.errors import ConfigError
from ulmfit.models.awd_lstm import AWD_LSTM
from ulmfit.models.awd_qrnn import AWD_QRNN
from ulmfit.models.config import EncoderConfig
from ulmfit.models.encoder import Encoder

ENCODERS: dict[str, type[Encoder]] = {e.config_class.arch: e for e in (AWD_LSTM, AWD_QRNN)}


def make_encoder(vocab_sz: int, config: EncoderConfig) -> Encoder:
    """The encoder that a configuration describes.

    Raises:
        ConfigError: the configuration is of no known architecture.
    """
    if config.arch not in ENCODERS:
        raise ConfigError(f"{type(config).__name__} is not of a known architecture ({', '.join(ENCODERS)})")
    return ENCODERS[config.arch].from_config(vocab_sz, config)
