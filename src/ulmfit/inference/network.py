"""The network of a model folder, with its weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import init
from torch.overrides import TorchFunctionMode

from ulmfit.errors import FormatError
from ulmfit.inference.bundle import CLASSIFIER, LANGUAGE_MODEL, Bundle
from ulmfit.models.classifier import TextClassifier
from ulmfit.models.language_model import LanguageModel

# torch asks first for the function that a layer calls, and not for what that calls in turn.
_RANDOM = (torch.Tensor.uniform_, torch.Tensor.normal_, init.uniform_, init.normal_, init.kaiming_uniform_)


class _WithoutNumbers(TorchFunctionMode):
    """Within this context new weights are not filled with random numbers, whose place a file's take at once."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = dict(kwargs or {})
        if func in _RANDOM:
            return args[0] if args else named["tensor"]
        return func(*args, **named)


def classifier_of(bundle: Bundle) -> TextClassifier:
    """The classifier of a model folder, in evaluation mode.

    Raises:
        FormatError: the folder holds something else, or weights that do not fit its configuration.
    """
    if bundle.kind != CLASSIFIER:
        raise FormatError(f"the folder holds a {bundle.kind}; a {CLASSIFIER} is needed here")
    shapes = _head_shapes(bundle)
    n_out = len(bundle.labels) or (shapes[-1][0] if shapes else 0)
    with _WithoutNumbers():
        model = TextClassifier(
            len(bundle.vocab),
            n_out,
            bundle.config,
            bptt=bundle.bptt,
            max_len=bundle.max_len,
            lin_ftrs=[rows for rows, _ in shapes[:-1]],
            y_range=bundle.y_range,
            pool_words=bundle.pool_words,
        )
    _fill(model, bundle)
    return model


def language_model_of(bundle: Bundle) -> LanguageModel:
    """The language model of a model folder, in evaluation mode.

    Raises:
        FormatError: the folder holds something else, or weights that do not fit its configuration.
    """
    if bundle.kind != LANGUAGE_MODEL:
        raise FormatError(f"the folder holds a {bundle.kind}; a {LANGUAGE_MODEL} is needed here")
    with _WithoutNumbers():
        model = LanguageModel(len(bundle.vocab), bundle.config)
    _fill(model, bundle)
    return model


def _fill(model: TextClassifier | LanguageModel, bundle: Bundle) -> None:
    try:
        model.load_state_dict(dict(bundle.weights))
    except RuntimeError as error:
        raise FormatError(f"the weights do not fit the configuration of the model: {error}") from error
    model.eval()


def _head_shapes(bundle: Bundle) -> list[tuple[int, int]]:
    """Shapes of the head's linear layers, first to last."""
    matrices: dict[int, Tensor] = {
        int(name.split(".")[2]): weight
        for name, weight in bundle.weights.items()
        if name.startswith("head.layers.") and weight.dim() == 2
    }
    return [(matrices[i].shape[0], matrices[i].shape[1]) for i in sorted(matrices)]
