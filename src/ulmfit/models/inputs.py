"""What is given to a model: ids, lengths and targets that make no sense are refused with a message.

B batch, T time, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ulmfit.errors import DataError

_SHAPES = {1: "(B,)", 2: "(B, T)"}


def check_integers(name: str, value: object, n_axes: int) -> None:
    """Refuse what is no tensor of whole numbers with so many axes.

    Raises:
        DataError: naming it.
    """
    shape = _SHAPES[n_axes]
    if not isinstance(value, Tensor):
        raise DataError(
            f"{name} must be a tensor of shape {shape}; got {type(value).__name__} "
            "(torch.as_tensor makes one of a list or an array)"
        )
    if value.dim() != n_axes or value.dtype not in (torch.int64, torch.int32):
        raise DataError(
            f"{name} must be integers (int64 or int32) of shape {shape}; got {value.dtype} {tuple(value.shape)}"
        )


def check_ids(ids: Tensor, vocab_sz: int, name: str = "ids") -> None:
    """Refuse ids (B, T) that are not of the vocabulary.

    Raises:
        DataError: wrong shape or type, nothing in it, or an id beyond the vocabulary.
    """
    check_integers(name, ids, 2)
    if ids.numel() == 0:
        raise DataError(f"the batch is empty: {name} have the shape {tuple(ids.shape)}")
    lowest, highest = (int(i) for i in torch.aminmax(ids))
    if lowest < 0 or highest >= vocab_sz:
        wrong = lowest if lowest < 0 else highest
        raise DataError(
            f"{name}: token id {wrong} is not in the vocabulary of {vocab_sz} words (ids 0 to {vocab_sz - 1})"
        )


def check_lengths(ids: Tensor, lengths: Tensor, pad_idx: int) -> None:
    """Refuse lengths (B,) that are not those of the texts in ids (B, T), which are padded behind.

    On a CPU the padding is looked at too: a text ends with its last token that is not padding. Elsewhere that would
    wait for the device.

    Raises:
        DataError: another number of lengths than texts, a length that no text can have or that is not that of its text.
    """
    check_integers("lengths", lengths, 1)
    n_rows, n_steps = ids.shape
    if len(lengths) != n_rows:
        raise DataError(f"ids (B, T) and lengths (B,) must be of as many texts; got {n_rows} and {len(lengths)}")
    wrong = (lengths < 1) | (lengths > n_steps)
    if wrong.any():
        row = int(wrong.nonzero()[0])
        length = int(lengths[row])
        raise DataError(
            f"every length must be between 1 and the {n_steps} steps of the batch; row {row} has {length}"
            + (" (a text that is nothing but padding)" if length == 0 else "")
        )
    if ids.device.type != "cpu":
        return
    real = ids != pad_idx
    ends = (real * torch.arange(1, n_steps + 1)).amax(1)
    wrong = ends != lengths.cpu()
    if wrong.any():
        row = int(wrong.nonzero()[0])
        n_real, end = int(real[row].sum()), int(ends[row])
        told = f"{n_real} tokens that are not padding (id {pad_idx}), the last at position {end}"
        raise DataError(
            f"row {row} has the length {int(lengths[row])}, but "
            + (told if n_real else f"is nothing but padding (id {pad_idx})")
            + "; give each text's own length, or no lengths"
        )
