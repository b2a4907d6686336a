"""How often documents are drawn.

N documents.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ulmfit.errors import ConfigError


def probabilities(weights: Iterable[float] | None, n: int) -> NDArray[np.float64] | None:
    """Weights as probabilities.

    Args:
        weights: how often each document is drawn in relation to the others (N), or None.
        n: number of documents.

    Returns:
        Probabilities (N), or None.

    Raises:
        ConfigError: they are no N numbers that can be that.
    """
    if weights is None:
        return None
    try:
        given = np.asarray(list(weights), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"weights={weights!r:.80}: expected {n} numbers") from error
    if given.shape != (n,) or not np.isfinite(given).all() or (given < 0).any() or given.sum() <= 0:
        raise ConfigError(f"weights of shape {given.shape}: expected {n} numbers, none negative and not all zero")
    return np.asarray(given / given.sum())


def balanced_weights(classes: NDArray[Any]) -> NDArray[np.float64]:
    """Weights with which every class is drawn as often as any other.

    Args:
        classes: class ids (N,).

    Returns:
        A weight for each document (N,).
    """
    counts = np.bincount(classes)
    return np.asarray(1.0 / counts[classes], dtype=np.float64)
