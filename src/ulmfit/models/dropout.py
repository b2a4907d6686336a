"""The dropouts of an AWD-LSTM: on whole words, on whole features over time, and on recurrent weights.

B batch, T time, E embedding, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ulmfit.arguments import at_least, check_dropouts, checked

_T = TypeVar("_T")


def dropout_mask(like: Tensor, size: tuple[int, ...], p: float) -> Tensor:
    """A mask of zeros (with probability `p`) and 1/(1-p), of shape `size`, with dtype and device of `like`.

    On a CPU the probability is rounded to a multiple of 1/65,536: 16 random bits an element take a third of the time of
    a Bernoulli draw.
    """
    kept, scale = _draw(size, p, like.device)
    return kept.to(like.dtype).mul_(scale)


def _draw(size: tuple[int, ...], p: float, device: torch.device) -> tuple[Tensor, float]:
    """Which elements are kept, booleans of shape `size`, and the factor that makes up for the others."""
    if device.type != "cpu":
        return torch.empty(size, dtype=torch.bool, device=device).bernoulli_(1 - p), 1 / (1 - p)
    n = math.prod(size)
    dropped = min(round(p * 65_536), 65_535)
    words = torch.empty((n + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    return words.view(torch.int16)[:n].view(size) >= dropped - 32_768, 65_536 / (65_536 - dropped)


class _Masked(torch.autograd.Function):
    """A matrix times a boolean mask and a factor; of the mask a byte an element is kept for the gradient, not four."""

    _ROWS = 128  # whose mask as numbers stays in the cache

    @staticmethod
    def forward(ctx: Any, weight: Tensor, kept: Tensor, scale: float) -> Tensor:
        ctx.save_for_backward(kept)
        ctx.scale = scale
        return _Masked._times(weight, kept, scale)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None]:
        (kept,) = ctx.saved_tensors
        return _Masked._times(grad_outputs[0], kept, ctx.scale), None, None

    @staticmethod
    def _times(x: Tensor, kept: Tensor, scale: float) -> Tensor:
        if x.device.type != "cpu":
            return (x * scale).mul_(kept)
        result = torch.empty_like(x)
        for start in range(0, len(x), _Masked._ROWS):
            rows = slice(start, start + _Masked._ROWS)
            torch.mul(x[rows], kept[rows].to(x.dtype).mul_(scale), out=result[rows])
        return result


class WeightDrop(nn.Module):
    """Single weights replaced by zero in training (DropConnect).

    Args:
        p: probability to zero a weight.

    Shapes: a matrix, to one of the same shape.

    Source: Wan et al. 2013, "Regularization of Neural Networks using DropConnect".
    """

    @checked
    def __init__(self, p: float) -> None:
        super().__init__()
        check_dropouts(p=p)
        self.p = p
        self._kept: dict[str, Any] | None = None
        self._learns = True

    def forward(self, weight: Tensor) -> Tensor:
        """The weights with some dropped: in training anew at each call, but for `one_draw`."""
        if not self.training or self.p == 0:
            return weight

        def draw() -> Tensor:
            dropped: Tensor = _Masked.apply(weight, *_draw(tuple(weight.shape), self.p, weight.device))  # type: ignore[no-untyped-call]
            return dropped

        return self.keep("weight", draw)

    def keep(self, name: str, make: Callable[[], _T]) -> _T:
        """What `make` makes, within `one_draw` once: what is made of the weights costs as much as they do."""
        if self._kept is None:
            return make()
        if name not in self._kept:
            with torch.set_grad_enabled(self._learns):  # a first chunk may be one of which nothing is learned
                self._kept[name] = make()
        kept: _T = self._kept[name]
        return kept

    @staticmethod
    @contextmanager
    def one_draw(model: nn.Module) -> Iterator[None]:
        """Within it the modules in `model` drop the same weights at each call, as for one longer sequence.

        In evaluation it changes nothing, so that threads may share a model.
        """
        drops = [module for module in model.modules() if isinstance(module, WeightDrop)] if model.training else []
        for drop in drops:
            drop._kept, drop._learns = {}, torch.is_grad_enabled()
        try:
            yield
        finally:
            for drop in drops:
                drop._kept = None

    def extra_repr(self) -> str:
        """The probability, for printing."""
        return f"p={self.p}"


class RNNDropout(nn.Module):
    """Dropout with one mask for all time steps of a sequence.

    Args:
        p: probability to zero a feature.

    Shapes: (B, T, E) to (B, T, E).

    Source: Gal and Ghahramani 2016, "A Theoretically Grounded Application of Dropout in Recurrent Neural Networks".
    """

    @checked
    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        check_dropouts(p=p)
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

    @checked
    def __init__(self, vocab_sz: int, emb_sz: int, p: float) -> None:
        super().__init__()
        at_least(1, vocab_sz=vocab_sz, emb_sz=emb_sz)
        check_dropouts(p=p)
        self.p = p
        self.weight = nn.Parameter(torch.empty(vocab_sz, emb_sz).uniform_(-0.1, 0.1))

    def forward(self, ids: Tensor) -> Tensor:
        """Look the words up; in training some words become zeros.

        Args:
            ids: of any shape.

        Returns:
            that shape and `emb_sz`.
        """
        steps = ids.transpose(0, 1) if ids.dim() > 1 else ids
        embedded = F.embedding(steps, self.weight)
        if self.training and self.p > 0:
            mask = dropout_mask(self.weight, (self.weight.shape[0], 1), self.p)
            embedded = embedded * F.embedding(steps, mask)
        return embedded.transpose(0, 1) if ids.dim() > 1 else embedded

    def extra_repr(self) -> str:
        """Sizes and probability, for printing."""
        return f"{self.weight.shape[0]}, {self.weight.shape[1]}, p={self.p}"
