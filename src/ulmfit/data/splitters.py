"""Splitting examples into parts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from ulmfit.errors import ConfigError, DataError


def stratified_split(labels: Sequence[str], valid_pct: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of a training and a validation part, each class in its proportion.

    Args:
        labels: a label for each example.
        valid_pct: share of the validation part, in (0, 1).
        seed: the same seed gives the same split.

    Raises:
        ConfigError: `valid_pct` is not in (0, 1).
        DataError: too few examples for that share.
    """
    if not 0 < valid_pct < 1:
        raise ConfigError(f"valid_pct={valid_pct} must be between 0 and 1")
    indices = np.arange(len(labels))
    n_valid = max(round(valid_pct * len(labels)), len(set(labels)))  # what a stratified split needs
    if n_valid > len(labels) - len(set(labels)):
        raise DataError(
            f"{len(labels)} examples in {len(set(labels))} classes are too few to hold out {valid_pct:.0%} "
            "for validation; "
            "add examples or give a validation part with --valid"
        )
    train, valid = train_test_split(indices, test_size=n_valid, random_state=seed, stratify=list(labels))
    return np.sort(train), np.sort(valid)
