"""The dropouts of an AWD-LSTM: on whole words, on whole features over time, and on recurrent weights.

B batch, T time, E embedding, V vocabulary.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def dropout_mask(like: Tensor, size: tuple[int, ...], p: float) -> Tensor:
    """A mask of zeros (with probability `p`) and 1/(1-p), of shape `size`, with dtype and device of `like`.

    On a CPU the probability is rounded to a multiple of 1/65,536: 16 random bits an element take a third of the time of
    a Bernoulli draw.
    """
    if like.device.type != "cpu":
        return like.new_empty(size).bernoulli_(1 - p).div_(1 - p)
    n = math.prod(size)
    dropped = min(round(p * 65_536), 65_535)
    words = torch.empty((n + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    kept = words.view(torch.int16)[:n].view(size) >= dropped - 32_768
    return kept.to(like.dtype).mul_(65_536 / (65_536 - dropped))


def drop_weights(weight: Tensor, p: float) -> Tensor:
    """The weights with single ones replaced by zero (DropConnect), or as they are if `p` is 0."""
    return weight * dropout_mask(weight, tuple(weight.shape), p) if p else weight


class RNNDropout(nn.Module):
    """Dropout with one mask for all time steps of a sequence.

    Args:
        p: probability to zero a feature.

    Shapes: (B, T, E) to (B, T, E).

    Source: Gal and Ghahramani 2016, "A Theoretically Grounded Application of Dropout in Recurrent Neural Networks".
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Apply the dropout; in evaluation mode the input is returned as it is."""
        if not self.training or self.p == 0:
            return x
        return x * dropout_mask(x, (x.shape[0], 1, x.shape[2]), self.p)

    def extra_repr(self) -> str:
        """The probability, for printing."""
        return f"p={self.p}"


class EmbeddingDropout(nn.Module):
    """An embedding that drops whole words in training.

    The mask is drawn for each of the V words, and applied to the looked-up rows only, so that a step's cost does not
    grow with V x E; the distribution is that of masking the matrix.

    Args:
        vocab_sz: number of words V.
        emb_sz: embedding size E.
        p: probability to drop a word.

    Shapes: ids (B, T) to (B, T, E), laid out time-major in memory as the recurrent layers want it.

    Source: Merity et al. 2017, section 4.3; Gal and Ghahramani 2016.
    """

    def __init__(self, vocab_sz: int, emb_sz: int, p: float) -> None:
        super().__init__()
        self.p = p
        self.weight = nn.Parameter(torch.empty(vocab_sz, emb_sz).uniform_(-0.1, 0.1))

    def forward(self, ids: Tensor) -> Tensor:
        """Look the words up; in training some words become zeros."""
        steps = ids.t()
        embedded = F.embedding(steps, self.weight)
        if self.training and self.p > 0:
            mask = dropout_mask(self.weight, (self.weight.shape[0], 1), self.p)
            embedded = embedded * F.embedding(steps, mask)
        return embedded.transpose(0, 1)

    def extra_repr(self) -> str:
        """Sizes and probability, for printing."""
        return f"{self.weight.shape[0]}, {self.weight.shape[1]}, p={self.p}"
