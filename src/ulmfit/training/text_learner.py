"""The two factories of learners for texts: a language model's, and a classifier's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from numbers import Integral
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from ulmfit.arguments import check_names, checked, parameter_names
from ulmfit.data.labelling import MULTI_LABEL, REGRESSION
from ulmfit.errors import ConfigError, named
from ulmfit.inference.bundle import Bundle
from ulmfit.models.config import CLASSIFIER_DROPOUTS, EncoderConfig
from ulmfit.models.core import AWD_LSTM, get_language_model, get_text_classifier
from ulmfit.models.encoder import Encoder
from ulmfit.pretrained import weights as pretrained_weights
from ulmfit.training.answering import LMLearner, TextLearner, TextLoaders
from ulmfit.training.learner import Learner
from ulmfit.training.linear import without_words
from ulmfit.training.losses import default_loss
from ulmfit.training.predictions import tell_longer

Config = EncoderConfig | Mapping[str, Any] | None


@checked
def language_model_learner(
    dls: TextLoaders,
    arch: type[Encoder] = AWD_LSTM,
    config: Config = None,
    drop_mult: float = 1.0,
    backwards: bool = False,
    pretrained: bool = True,
    pretrained_fnames: Path | str | None = None,
    **settings: Any,
) -> LMLearner:
    """A learner of a language model.

    Args:
        dls: loaders made with `is_lm=True`.
        arch: AWD_LSTM or AWD_QRNN.
        config: a configuration, or a mapping with some of its fields; that of the pretrained weights, or the base size,
            by default.
        drop_mult: multiplies every dropout probability.
        backwards: the model reads texts from their end, as the loaders must.
        pretrained: begin with pretrained weights, all but the last group frozen.
        pretrained_fnames: a model folder with pretrained weights; by default those of the package.
        settings: further arguments of `Learner`.

    Raises:
        ConfigError: an argument that is not known, loaders of another task or direction, no pretrained weights.
    """
    _check(language_model_learner, settings, dls, backwards)
    if dls.task != "lm":
        raise ConfigError(f"the loaders are for {dls.task}; make them with is_lm=True for a language model")
    bundle = (
        _bundle(arch, config, dls, pretrained_fnames, decoder=True)
        if pretrained or pretrained_fnames is not None
        else None
    )
    if config is None and bundle is not None:
        config = bundle.config.with_dropouts_of(arch.config_class())
    with _seeded(settings):
        model = get_language_model(arch, len(dls.text_vocab), config, drop_mult)
    learn = LMLearner(dls, model, **{"verbose": 1, **settings})
    return learn if bundle is None else learn.load_pretrained(bundle)


@checked
def text_classifier_learner(
    dls: TextLoaders,
    arch: type[Encoder] = AWD_LSTM,
    seq_len: int = 72,
    config: Config = None,
    backwards: bool = False,
    pretrained: bool = True,
    drop_mult: float = 0.5,
    n_out: int | None = None,
    lin_ftrs: Sequence[int] | None = None,
    ps: Sequence[float] | None = None,
    max_len: int | None = 72 * 20,
    y_range: tuple[float, float] | None = None,
    **settings: Any,
) -> TextLearner:
    """A learner of a classifier, of one class or of any number of classes for each text, or of values.

    Args:
        dls: loaders of texts with labels.
        arch: AWD_LSTM or AWD_QRNN.
        seq_len: steps of a chunk; gradients stay within one.
        config: a configuration, or a mapping with some of its fields; that of the pretrained weights, or the base size,
            with a classifier's dropouts, by default.
        backwards: the model reads texts from their end, as the loaders must.
        pretrained: begin with a pretrained encoder, frozen.
        drop_mult: multiplies every dropout probability of the configuration.
        n_out: number of answers; by default as the loaders say.
        lin_ftrs: sizes of the head's layers between the pooled vector and the answers.
        ps: dropout behind each of them.
        max_len: tokens from the end of a text that are pooled; None for all.
        y_range: lowest and highest value, for regression; answers begin at the mean of the values to learn from.
        settings: further arguments of `Learner`.

    Raises:
        ConfigError: an argument that is not known, loaders of another task or direction, no pretrained weights.
    """
    _check(text_classifier_learner, settings, dls, backwards)
    if dls.task == "lm":
        raise ConfigError("the loaders are for a language model; make them without is_lm=True, with labels")
    labels = getattr(dls, "labels", ())
    if n_out is not None and labels and n_out != len(labels):
        raise ConfigError(
            f"n_out={n_out}, but the loaders have {len(labels)} labels ({named(labels)}); leave n_out out"
        )
    if n_out not in (None, dls.n_out) and dls.task == REGRESSION:
        raise ConfigError(f"n_out={n_out}, but the loaders have {dls.n_out} values for each text; leave n_out out")
    bundle = _bundle(arch, config, dls, None, decoder=False) if pretrained else None
    if config is None and bundle is not None:
        pad_token = dls.text_vocab.pad_idx  # its own padding may have another id
        config = replace(bundle.config.with_dropouts_of(CLASSIFIER_DROPOUTS), pad_token=pad_token)
    with _seeded(settings):
        model = get_text_classifier(
            arch,
            len(dls.text_vocab),
            dls.n_out if n_out is None else n_out,
            seq_len,
            config,
            drop_mult,
            lin_ftrs,
            ps,
            dls.text_vocab.pad_idx,
            max_len,
            y_range,
        )
    values = getattr(dls.train, "labels", None)
    if values is not None and (dls.task == MULTI_LABEL or (dls.task == REGRESSION and y_range is not None)):
        model.head.begin_at(torch.from_numpy(without_words(values, dls.task, dls.n_out)))
    settings = {"loss_func": default_loss(dls.task), "verbose": 1, **settings}
    learn = TextLearner(dls, cast("nn.Module", model), **settings)
    tell_longer(learn, "training texts", getattr(dls.train, "lengths", ()))
    tell_longer(learn, "validation texts", getattr(dls.valid, "lengths", ()))
    return learn if bundle is None else learn.load_pretrained(bundle)


def _check(factory: Callable[..., object], settings: Mapping[str, Any], dls: TextLoaders, backwards: bool) -> None:
    of_learner = [name for name in parameter_names(Learner.__init__) if name not in ("dls", "model")]
    known = [name for name in parameter_names(factory) if name != "settings"]
    check_names(factory.__name__, settings, [*known, *of_learner])
    needed = [n for n in ("train", "valid", "tokenizer", "text_vocab", "task", "n_out") if not hasattr(dls, n)]
    if needed:
        raise ConfigError(
            f"dls must be text loaders (TextDataLoaders); {type(dls).__name__} has no {', '.join(needed)}"
        )
    if backwards and not dls.backwards:
        raise ConfigError("backwards=True needs loaders that read texts from their end: make them with backwards=True")


def _bundle(
    arch: type[Encoder], config: Config, dls: TextLoaders, folder: Path | str | None, *, decoder: bool
) -> Bundle:
    if folder is not None:
        if not isinstance(cast("object", folder), str | Path):
            raise ConfigError(
                f"pretrained_fnames={folder!r} must be a model folder; `ulmfit convert` makes one of older files"
            )
        return pretrained_weights.load_named(folder)
    sizes = config if isinstance(config, EncoderConfig) or config is None else get_config(arch, config)
    return pretrained_weights.find(arch.config_class.arch, backwards=dls.backwards, config=sizes, decoder=decoder)


def get_config(arch: type[Encoder], config: Mapping[str, Any]) -> EncoderConfig:
    """A whole configuration from some of its fields."""
    return arch.config_class.from_dict(arch.config_class().to_dict() | dict(config))


@contextmanager
def _seeded(settings: Mapping[str, Any]) -> Iterator[None]:
    """Random weights come from the learner's seed; the caller's generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        seed = settings.get("seed", 0)
        if not isinstance(seed, Integral):
            raise ConfigError(f"seed={seed!r} must be a whole number")
        torch.default_generator.manual_seed(int(seed))
        yield
