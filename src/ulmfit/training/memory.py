"""What to do when there is too little memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ulmfit.errors import UlmfitError


@contextmanager
def enough_memory() -> Iterator[None]:
    """Within this context, a lack of memory is answered with the settings to lower.

    Raises:
        UlmfitError: there was not enough memory.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not _out_of_memory(error):
            raise
        raise UlmfitError(
            "there is not enough memory for a batch; lower bs, then seq_len (or max_len of a classifier), or train "
            f"fewer layers (freeze_to). What was missing: {error}"
        ) from error


def _out_of_memory(error: Exception) -> bool:
    text = str(error).lower()
    return (
        isinstance(error, MemoryError | torch.OutOfMemoryError)
        or "can't allocate memory" in text
        or "out of memory" in text
    )
