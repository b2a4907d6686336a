"""The AWD-LSTM encoder: an LSTM language model regularised by dropout on weights, words and features.

What is unusual about it:
- recurrent weights are dropped (DropConnect) by substitution at the call, never by changing the layer's own tensors;
- dropout masks are constant over time;
- the state is a value that is passed in and out, so that generation and serving need no hidden state in the module.

B batch, T time, E embedding, H hidden, V vocabulary.
"""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from ulmfit.models.config import AWDLSTMConfig
from ulmfit.models.dropout import EmbeddingDropout, RNNDropout

LayerState = tuple[Tensor, Tensor]
"""Hidden and cell state of one layer, each (1, B, size of the layer)."""


class WeightDropLSTM(nn.Module):
    """One LSTM layer whose hidden-to-hidden weights are dropped in training.

    Args:
        n_in: input size.
        n_out: output size.
        weight_p: probability to zero a recurrent weight; one mask for all steps of a call.

    Source: Wan et al. 2013, "Regularization of Neural Networks using DropConnect"; Merity et al. 2017, section 2.
    """

    def __init__(self, n_in: int, n_out: int, weight_p: float) -> None:
        super().__init__()
        self.weight_p = weight_p
        self.lstm = nn.LSTM(n_in, n_out, batch_first=True)

    def forward(self, x: Tensor, state: LayerState | None) -> tuple[Tensor, LayerState]:
        """Run over the sequence.

        Args:
            x: (B, T, n_in).
            state: hidden and cell state of the layer, or None for zeros.

        Returns:
            output (B, T, n_out) and the new state.
        """
        recurrent = F.dropout(self.lstm.get_parameter("weight_hh_l0"), self.weight_p, self.training)
        output, (hidden, cell) = functional_call(self.lstm, {"weight_hh_l0": recurrent}, (x, state))
        # Under autocast the state comes back in bfloat16; the next call may be outside of autocast.
        return output, (hidden.to(recurrent.dtype), cell.to(recurrent.dtype))


class AWDLSTM(nn.Module):
    """Embedding, variational dropout and stacked weight-dropped LSTM layers.

    Args:
        vocab_sz: number of words V.
        config: sizes and dropout probabilities.

    Source: Merity et al. 2017.
    """

    def __init__(self, vocab_sz: int, config: AWDLSTMConfig) -> None:
        super().__init__()
        self.config = config
        self.vocab_sz = vocab_sz
        self.embedding = EmbeddingDropout(vocab_sz, config.emb_sz, config.embed_p)
        self.input_dropout = RNNDropout(config.input_p)
        sizes = [config.emb_sz, *[config.n_hid] * (config.n_layers - 1), config.emb_sz]
        self.layers = nn.ModuleList(WeightDropLSTM(i, o, config.weight_p) for i, o in pairwise(sizes))
        self.hidden_dropouts = nn.ModuleList(RNNDropout(config.hidden_p) for _ in self.layers)

    def forward(self, ids: Tensor, state: list[LayerState] | None = None) -> tuple[Tensor, list[LayerState]]:
        """Run over the sequence, from `state` on.

        Args:
            ids: (B, T) token ids.
            state: a layer's state each, as returned by an earlier call, or None for zeros.

        Returns:
            output of the last layer (B, T, E), before any dropout on it, and the new state of each layer.
        """
        return self.run(self.embed(ids), state)

    def embed(self, ids: Tensor) -> Tensor:
        """The words as vectors, dropped out in training: ids (B, T) to (B, T, E)."""
        embedded: Tensor = self.input_dropout(self.embedding(ids))
        return embedded

    def run(self, x: Tensor, state: list[LayerState] | None = None) -> tuple[Tensor, list[LayerState]]:
        """Run the recurrent layers over embedded words (B, T, E); else as `forward`."""
        new_state: list[LayerState] = []
        for i, (layer, dropout) in enumerate(zip(self.layers, self.hidden_dropouts, strict=True)):
            x, layer_state = layer(x, state[i] if state else None)
            new_state.append(layer_state)
            if i + 1 < len(self.layers):
                x = dropout(x)
        return x, new_state


def detach_state(state: list[LayerState]) -> list[LayerState]:
    """The same state, cut from the graph that made it (truncated back-propagation through time)."""
    return [(h.detach(), c.detach()) for h, c in state]


def select_state(state: list[LayerState], rows: Tensor | slice) -> list[LayerState]:
    """The state of some rows of the batch only."""
    return [(h[:, rows], c[:, rows]) for h, c in state]


def n_parameters(model: nn.Module) -> int:
    """Number of distinct parameters (shared ones counted once)."""
    return sum(p.numel() for p in model.parameters())
