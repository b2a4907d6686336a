"""From the encoder's output to words: the decoder, and a loss that never holds all logits.

B batch, T time, E embedding, V vocabulary, N tokens.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ulmfit.models.products import compute_dtype, first_derivative, learns, linear, widened

# A chunk of rows is small, but of rows enough that the V x E additions of the gradient, once for each, cost nothing
# beside its products. Within it a block of words is worked on while it is in the cache: 1.15 s for 4,608 tokens and
# 60,008 words of 400, 2.3 s without blocks.
_LOGITS_PER_CHUNK = 8_000_000
_ROWS_PER_CHUNK = 512
_WORDS_PER_BLOCK = 2048


def _chunks(n_rows: int, vocab_sz: int) -> list[slice]:
    rows = min(n_rows, max(_ROWS_PER_CHUNK, _LOGITS_PER_CHUNK // vocab_sz))
    return [slice(start, min(start + rows, n_rows)) for start in range(0, n_rows, rows)]


def _blocks(vocab_sz: int) -> list[slice]:
    return [slice(s, min(s + _WORDS_PER_BLOCK, vocab_sz)) for s in range(0, vocab_sz, _WORDS_PER_BLOCK)]


class _LinearCrossEntropy(torch.autograd.Function):
    """Cross-entropy of a linear layer's outputs, computed and differentiated chunk by chunk of rows.

    The divisor of the sum is worked into the gradients as they are made: where nothing else multiplies the loss, they
    are handed on as they are.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor, divisor: int) -> Tensor:
        dtype = compute_dtype(x)
        exact = torch.promote_types(dtype, torch.float32)
        weight_c, x_c = weight.to(dtype), x.to(dtype)
        bias_c = None if bias is None else bias.to(dtype)
        blocks = _blocks(weight.shape[0])
        total = x.new_zeros((), dtype=exact)
        needs_x, needs_weight, needs_bias, *_ = ctx.needs_input_grad
        grad_x = torch.empty_like(x) if needs_x else None
        grad_weight = torch.zeros_like(weight) if needs_weight else None
        grad_bias = torch.zeros_like(bias) if bias is not None and needs_bias else None
        share = 1 / divisor
        for rows in _chunks(x.shape[0], weight.shape[0]):
            # d loss / d logits = softmax - one-hot. The softmax part stays in the compute dtype; the one-hot part
            # touches one row of the weights per token and is added exactly.
            parts, sums, shift = _exponentials(x_c[rows], weight_c, bias_c, blocks)
            total += (sums.log() + shift - _target_logits(x_c[rows], weight_c, bias_c, target[rows])).sum()
            inverse = (1 / sums).unsqueeze(1)
            scaled, inverse_c = (x_c[rows] * inverse).to(dtype), inverse.to(dtype)
            sum_x = torch.zeros_like(x[rows], dtype=exact) if needs_x else None
            for part, words in zip(parts, blocks, strict=True):
                if sum_x is not None:
                    sum_x += part @ weight_c[words]
                if grad_weight is not None:
                    grad_weight[words].add_(part.t() @ scaled, alpha=share)
                if grad_bias is not None:
                    grad_bias[words].add_((part.t() @ inverse_c).squeeze(1), alpha=share)
            if grad_x is not None and sum_x is not None:
                grad_x[rows] = sum_x * (inverse * share)
        if grad_x is not None:
            grad_x.sub_(F.embedding(target, weight).to(x.dtype), alpha=share)
        if grad_weight is not None:
            grad_weight.index_add_(0, target, x.to(weight.dtype), alpha=-share)
        if grad_bias is not None:
            grad_bias.sub_(torch.bincount(target, minlength=weight.shape[0]), alpha=share)
        ctx.save_for_backward(grad_x, grad_weight, grad_bias)
        return total / divisor

    @staticmethod
    @first_derivative
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        (scale,) = grad_outputs
        gradients = ctx.saved_tensors
        if scale.device.type != "cpu" or scale != 1:  # elsewhere the comparison would wait for the device
            gradients = [None if gradient is None else gradient * scale for gradient in gradients]
        return (*gradients, None, None)


def _exponentials(
    x: Tensor, weight: Tensor, bias: Tensor | None, blocks: list[slice]
) -> tuple[list[Tensor], Tensor, Tensor]:
    """Exponentials of the logits less a shift.

    The shift is 0, which saves a pass over the logits, unless some logits are too large or all are too small for that.

    Returns:
        a matrix (rows, words) for each block of words, the sum of each row (rows,), the shifts (rows,).
    """
    parts, sums = [], x.new_zeros(x.shape[0], dtype=torch.promote_types(x.dtype, torch.float32))
    for words in blocks:
        part = linear(x, weight[words], None if bias is None else bias[words]).exp_()
        sums += part.sum(1)
        parts.append(part)
    # Well inside of the range, so that what is made of them is too.
    if bool(((sums > 1e-25) & (sums < 1e25)).all()):
        return parts, sums, torch.zeros_like(sums)
    logits = linear(x, weight, bias)
    shift = logits.amax(1, keepdim=True)
    shifted = (logits - shift).exp_()
    return [shifted[:, words] for words in blocks], shifted.sum(1, dtype=sums.dtype), shift.squeeze(1).to(sums.dtype)


def _target_logits(x: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor) -> Tensor:
    """Each row's logit of its target, (rows,), rounded as the products round it but in the wider type."""
    wide = torch.promote_types(x.dtype, torch.float32)
    logits = (x.to(wide) * F.embedding(target, weight).to(wide)).sum(1)
    return (logits if bias is None else logits + bias[target].to(wide)).to(x.dtype).to(wide)


def linear_cross_entropy(x: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor, divisor: int = 1) -> Tensor:
    """Summed cross-entropy of `softmax(x @ weight.T + bias)` against `target`, with exact gradients.

    The (N, V) logits exist one chunk of rows at a time. Sums are float32 at least, matrix products in autocast's dtype.
    Gradients are computed with the loss, of those only that something learns from.

    Args:
        x: (N, E).
        weight: (V, E).
        bias: (V,) or None.
        target: (N,) ids in [0, V).
        divisor: of the sum; cheaper than to divide the loss, as nothing is left to multiply the gradients by.

    Returns:
        a scalar: the sum over the N tokens by the divisor, in nats.
    """
    if learns(x, weight, bias):
        loss: Tensor = _LinearCrossEntropy.apply(x, weight, bias, target, divisor)  # type: ignore[no-untyped-call]
        return loss
    total = x.new_zeros((), dtype=torch.promote_types(x.dtype, torch.float32))
    for rows in _chunks(x.shape[0], weight.shape[0]):
        log_p = _log_softmax(linear(x[rows], weight, bias))
        total += F.nll_loss(log_p, target[rows], reduction="sum")
    return total / divisor


def _log_softmax(logits: Tensor) -> Tensor:
    """Over the last axis, in float32 at least."""
    return F.log_softmax(widened(logits), -1)


class Decoder(nn.Module):
    """Word probabilities from the encoder's output, by one softmax or by an adaptive one.

    With cutoffs, the vocabulary (sorted by falling frequency) is cut into a head of frequent words and clusters of
    rarer ones. The head's softmax has one more entry for each cluster; a cluster's own softmax is computed only for the
    tokens that are in it. Unlike the adaptive softmax of torch, a cluster keeps the full embedding size and can
    share its rows with the embedding.

    Args:
        weight: (V, E), shared with the embedding if they are tied.
        bias: add one for each word.
        cutoffs: where clusters begin, rising, within (0, V); none for one softmax over all words.

    Source: Inan et al. 2016 and Press and Wolf 2016 for the shared weights; Goodman 2001, "Classes for Fast Maximum
    Entropy Training", and Grave et al. 2017, "Efficient softmax approximation for GPUs", for the clusters.
    """

    def __init__(self, weight: nn.Parameter, *, bias: bool = True, cutoffs: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.weight = weight
        self.bias = nn.Parameter(torch.zeros(weight.shape[0])) if bias else None
        self.cutoffs = cutoffs
        self.clusters = nn.Parameter(torch.zeros(len(cutoffs), weight.shape[1])) if cutoffs else None
        self.cluster_bias = nn.Parameter(torch.zeros(len(cutoffs))) if cutoffs and bias else None

    def _parts(self) -> tuple[list[Tensor], list[Tensor | None]]:
        """Weights and biases: of the first softmax, then of each cluster.

        They are cut off all at once, so that their gradients are put together once: a gradient for each slice of the
        weights would be a matrix of the whole vocabulary.
        """
        if self.clusters is None:
            return [self.weight], [self.bias]
        sizes = [stop - start for start, stop in pairwise([0, *self.cutoffs, self.weight.shape[0]])]
        head, *tails = torch.split(self.weight, sizes)
        biases: list[Tensor | None] = [None] * len(sizes)
        if self.bias is not None and self.cluster_bias is not None:
            frequent, *rare = torch.split(self.bias, sizes)
            biases = [torch.cat([frequent, self.cluster_bias]), *rare]
        return [torch.cat([head, self.clusters]), *tails], biases

    def log_probabilities(self, x: Tensor) -> Tensor:
        """(..., E) to the log-probabilities of all words (..., V), in float32 at least. Memory grows with V."""
        head, *tails = [_log_softmax(linear(x, w, b)) for w, b in zip(*self._parts(), strict=True)]
        n = head.shape[-1] - len(tails)
        return torch.cat([head[..., :n], *(head[..., n + i : n + i + 1] + tail for i, tail in enumerate(tails))], -1)

    def cross_entropy(self, x: Tensor, target: Tensor) -> Tensor:
        """Mean cross-entropy in nats per token; x (N, E), target (N,)."""
        (head, *tails), (head_bias, *biases) = self._parts()
        first, n, losses = head.shape[0] - len(tails), len(target), list[Tensor]()
        head_target, start = target, first
        for i, (weight, bias) in enumerate(zip(tails, biases, strict=True), first):
            here = (target >= start) & (target < start + weight.shape[0])
            rows = here.nonzero().squeeze(1)
            head_target = torch.where(here, i, head_target)
            if len(rows):
                losses.append(linear_cross_entropy(x[rows], weight, bias, target[rows] - start, n))
            start += weight.shape[0]
        return sum(losses, linear_cross_entropy(x, head, head_bias, head_target, n))

    def predictions(self, x: Tensor) -> Tensor:
        """The likeliest word of each row; x (N, E)."""
        return torch.cat([self._likeliest(x[rows]) for rows in _chunks(x.shape[0], self.weight.shape[0])])

    def _likeliest(self, x: Tensor) -> Tensor:
        (head, *tails), (head_bias, *biases) = self._parts()
        if not tails:
            return linear(x, head, head_bias).argmax(1)
        first = start = head.shape[0] - len(tails)
        scores = _log_softmax(linear(x, head, head_bias))
        best, word = scores[:, :first].max(1)
        for i, (weight, bias) in enumerate(zip(tails, biases, strict=True), first):
            rows = (scores[:, i] > best).nonzero().squeeze(1)  # elsewhere no word of the cluster can be likelier
            if len(rows):
                within, place = _log_softmax(linear(x[rows], weight, bias)).max(1)
                candidate = scores[rows, i] + within
                better = candidate > best[rows]
                best[rows[better]], word[rows[better]] = candidate[better], place[better] + start
            start += weight.shape[0]
        return word
