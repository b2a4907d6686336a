"""The language model: encoder, decoder tied to the embedding, and a loss that never holds all logits.

B batch, T time, E embedding, V vocabulary, N = B x T tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ulmfit.models.awd_lstm import AWDLSTM, LayerState
from ulmfit.models.config import AWDLSTMConfig
from ulmfit.models.dropout import RNNDropout

_LOGITS_PER_CHUNK = 16_000_000  # 64 MB of float32: bigger chunks are no faster on 2 cores, smaller ones repeat the V x E additions


def _compute_dtype(x: Tensor) -> torch.dtype:
    """The dtype that matrix products take here: autocast's where it is on, else the tensor's own."""
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


def _chunks(n_rows: int, vocab_sz: int) -> list[slice]:
    rows = max(1, min(n_rows, _LOGITS_PER_CHUNK // vocab_sz))
    return [slice(start, min(start + rows, n_rows)) for start in range(0, n_rows, rows)]


class _LinearCrossEntropy(torch.autograd.Function):
    """Mean cross-entropy of a linear layer's outputs, computed and differentiated chunk by chunk of rows."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor) -> Tensor:  # noqa: ANN401 - torch's context has no public type
        dtype = _compute_dtype(x)
        weight_c, x_c = weight.to(dtype), x.to(dtype)
        bias_c = None if bias is None else bias.to(dtype)
        needs_grad = any(ctx.needs_input_grad[:3])
        n = x.shape[0]
        total = x.new_zeros((), dtype=torch.float32)
        if not needs_grad:
            for rows in _chunks(n, weight.shape[0]):
                logits = F.linear(x_c[rows], weight_c, bias_c)
                total += F.nll_loss(F.log_softmax(logits, 1, dtype=torch.float32), target[rows], reduction="sum")
            return total / n
        grad_x = torch.empty_like(x)
        grad_weight = torch.zeros_like(weight)
        grad_bias = None if bias is None else torch.zeros_like(bias)
        for rows in _chunks(n, weight.shape[0]):
            # d loss / d logits = softmax - one-hot. The softmax part stays in the compute dtype, one pass over memory;
            # the one-hot part touches one row of the weights per token and is added exactly.
            p = F.softmax(F.linear(x_c[rows], weight_c, bias_c), 1)
            p_target = p.gather(1, target[rows].unsqueeze(1)).squeeze(1).float()
            total -= p_target.clamp_min_(torch.finfo(torch.float32).tiny).log_().sum()
            grad_x[rows] = p @ weight_c
            grad_weight += p.t() @ x_c[rows]
            if grad_bias is not None:
                grad_bias += p.sum(0)
        grad_x -= F.embedding(target, weight).to(x.dtype)
        grad_weight.index_add_(0, target, x.to(weight.dtype), alpha=-1)
        if grad_bias is not None:
            grad_bias -= torch.bincount(target, minlength=weight.shape[0])
        ctx.save_for_backward(grad_x, grad_weight, grad_bias)
        ctx.scale = 1 / n
        return total / n

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        grad_x, grad_weight, grad_bias = ctx.saved_tensors
        scale = grad_outputs[0] * ctx.scale
        return grad_x.mul_(scale), grad_weight.mul_(scale), None if grad_bias is None else grad_bias.mul_(scale), None


def linear_cross_entropy(x: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor) -> Tensor:
    """Mean cross-entropy of `softmax(x @ weight.T + bias)` against `target`, with exact gradients.

    The (N, V) logits exist one chunk of rows at a time, and are turned into their gradient in place; float32 sums, matrix
    products in autocast's dtype.

    Args:
        x: (N, E).
        weight: (V, E).
        bias: (V,) or None.
        target: (N,) ids in [0, V).

    Returns:
        a scalar, in nats per token.
    """
    loss: Tensor = _LinearCrossEntropy.apply(x, weight, bias, target)  # type: ignore[no-untyped-call]
    return loss


class LinearDecoder(nn.Module):
    """A linear layer from the encoder's output to the vocabulary, by default sharing the embedding's weights.

    Source: Inan et al. 2016, "Tying Word Vectors and Word Classifiers"; Press and Wolf 2016.
    """

    def __init__(self, weight: nn.Parameter, bias: bool = True) -> None:
        super().__init__()
        self.weight = weight
        self.bias = nn.Parameter(torch.zeros(weight.shape[0])) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(..., E) to logits (..., V)."""
        return F.linear(x, self.weight, self.bias)


@dataclass(frozen=True, kw_only=True)
class LMOutput:
    """What a language model says of a batch: enough for logits, which are made only when asked for.

    Args:
        hidden: (B, T, E), after the output dropout.
        decoder: from hidden to logits.
        state: the state of each layer after the last step.
        ar: mean square of `hidden` (activation regularisation), 0 in evaluation.
        tar: mean square of the step-to-step differences of the raw output (temporal AR), 0 in evaluation.

    Source: Merity et al. 2017, section 4.4 for AR and TAR.
    """

    hidden: Tensor
    decoder: LinearDecoder
    state: list[LayerState]
    ar: Tensor
    tar: Tensor

    def logits(self) -> Tensor:
        """All logits (B, T, V). Memory grows with B x T x V: use it for few steps."""
        logits: Tensor = self.decoder(self.hidden)
        return logits

    def cross_entropy(self, target: Tensor) -> Tensor:
        """Mean cross-entropy in nats per token; target (B, T)."""
        flat = self.hidden.reshape(-1, self.hidden.shape[-1])
        return linear_cross_entropy(flat, self.decoder.weight, self.decoder.bias, target.reshape(-1))

    def predictions(self) -> Tensor:
        """The likeliest next token of each position (B, T), computed chunk by chunk."""
        flat = self.hidden.reshape(-1, self.hidden.shape[-1])
        parts = [self.decoder(flat[rows]).argmax(1) for rows in _chunks(flat.shape[0], self.decoder.weight.shape[0])]
        return torch.cat(parts).view(self.hidden.shape[:2])


class LanguageModel(nn.Module):
    """An AWD-LSTM encoder with a decoder to its vocabulary.

    The state is kept from batch to batch (cut from its graph), as consecutive batches of a stream need it; `reset`
    forgets it. A state given to `forward` takes precedence and leaves the kept one alone.
    """

    def __init__(self, vocab_sz: int, config: AWDLSTMConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = AWDLSTM(vocab_sz, config)
        self.output_dropout = RNNDropout(config.output_p)
        weight = self.encoder.embedding.weight
        if not config.tie_weights:
            weight = nn.Parameter(torch.empty_like(weight).uniform_(-0.1, 0.1))
        self.decoder = LinearDecoder(weight, bias=config.out_bias)
        self._state: list[LayerState] | None = None

    def reset(self) -> None:
        """Forget the state kept from the last batch."""
        self._state = None

    def forward(self, ids: Tensor, state: list[LayerState] | None = None) -> LMOutput:
        """Run over ids (B, T); the first step continues `state`, or the kept state, or zeros."""
        before = self._state if state is None else state
        if state is None and before is not None and before[0][0].shape[1] != ids.shape[0]:
            before = None  # another batch size is another stream
        raw, after = self.encoder(ids, before)
        hidden = self.output_dropout(raw)
        after = [(h.detach(), c.detach()) for h, c in after]
        if state is None:
            self._state = after
        zero = raw.new_zeros(())
        ar, tar = zero, zero
        if self.training:
            ar = hidden.float().pow(2).mean()
            if ids.shape[1] > 1:
                tar = (raw[:, 1:] - raw[:, :-1]).float().pow(2).mean()
        return LMOutput(hidden=hidden, decoder=self.decoder, state=after, ar=ar, tar=tar)

    def parameter_groups(self) -> list[list[nn.Parameter]]:
        """Parameters from the lowest to the highest group: each recurrent layer, then embedding and decoder."""
        groups = [list(layer.parameters()) for layer in self.encoder.layers]
        seen: dict[int, nn.Parameter] = {}
        for p in [*self.encoder.embedding.parameters(), *self.decoder.parameters()]:
            seen[id(p)] = p
        return [*groups, list(seen.values())]
