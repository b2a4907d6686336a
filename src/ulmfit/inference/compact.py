"""Weights in a quarter of their size: int8 rows with a scale each, expanded on loading.

R rows, the first axis of a matrix.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ulmfit.errors import FormatError

_VALUES, _SCALES = ".int8", ".scales"
_MIN_ELEMENTS = 4096  # smaller tensors are left as they are: nothing is gained


def compress(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same weights with each large matrix (R, ...) as int8 values and R scales.

    A row's values are its scale times an integer from -127 to 127, so that the error is at most 1/254 of its largest.

    Args:
        weights: by name; small tensors and vectors stay.

    Returns:
        `NAME.int8` and `NAME.scales` in place of each large matrix NAME.
    """
    compact: dict[str, Tensor] = {}
    for name, weight in weights.items():
        if weight.dim() < 2 or weight.numel() < _MIN_ELEMENTS or not weight.is_floating_point():
            compact[name] = weight
            continue
        rows = weight.detach().float().flatten(1)
        scales = rows.abs().amax(1).clamp_min(torch.finfo(torch.float32).tiny) / 127
        compact[name + _VALUES] = (rows / scales[:, None]).round().to(torch.int8).view(weight.shape)
        compact[name + _SCALES] = scales
    return compact


def is_compact(weights: Mapping[str, Tensor]) -> bool:
    """Whether some of the weights are compressed."""
    return any(name.endswith(_VALUES) for name in weights)


def expand(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights as float32 again; those that were not compressed are left alone.

    Raises:
        FormatError: values and scales do not belong together.
    """
    full: dict[str, Tensor] = {}
    for name, weight in weights.items():
        if name.endswith(_VALUES):
            stem = name.removesuffix(_VALUES)
            scales = weights.get(stem + _SCALES)
            if scales is None or scales.shape != weight.shape[:1]:
                raise FormatError(f"{stem}: the int8 values have no scales that fit them")
            full[stem] = weight.float() * scales.float().view(-1, *[1] * (weight.dim() - 1))
        elif not name.endswith(_SCALES):
            full[name] = weight
    return full
