"""The AWD-LSTM encoder: an LSTM language model regularised by dropout on weights, words and features.

What is unusual about it:
- recurrent weights are dropped (DropConnect) by substitution at the call, never by changing the layer's own tensors;
- dropout masks are constant over time;
- new layers begin with a forget gate that is open, so that the cell remembers from the first step.

B batch, T time, E embedding, H hidden, V vocabulary.
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn

from ulmfit.models.config import AWDLSTMConfig
from ulmfit.models.dropout import WeightDrop
from ulmfit.models.encoder import Encoder, LayerState, RecurrentLayer
from ulmfit.models.lstm_function import LayerProducts, infer_lstm, learn_lstm, pays
from ulmfit.models.products import KeptProducts, compute_dtype, learns

FORGET_BIAS = 1.0  # with 0 some new models never leave the perplexity of single words (docs/training.md)


class WeightDropLSTM(RecurrentLayer):
    """One LSTM layer whose hidden-to-hidden weights are dropped in training.

    Args:
        n_in: input size.
        n_out: output size.
        weight_p: probability to zero a recurrent weight; one mask for all steps of a call.

    Source: Merity et al. 2017, section 2; Jozefowicz et al. 2015, "An Empirical Exploration of Recurrent Network
    Architectures" (the bias that a forget gate begins with).
    """

    def __init__(self, n_in: int, n_out: int, weight_p: float) -> None:
        super().__init__()
        self.weight_drop = WeightDrop(weight_p)
        self.lstm = nn.LSTM(n_in, n_out, batch_first=True)
        with torch.no_grad():
            self.lstm.get_parameter("bias_ih_l0")[n_out : 2 * n_out] += FORGET_BIAS  # input, forget, cell, output
        self.state_sizes = (n_out, n_out)
        self._kept = KeptProducts()

    def forward(self, x: Tensor, state: LayerState | None) -> tuple[Tensor, LayerState]:
        """Run over the sequence.

        Args:
            x: (B, T, n_in).
            state: hidden and cell state of the layer, or None for zeros.

        Returns:
            output (B, T, n_out) and the new state.
        """
        weights = self._weights(x)
        recurrent, learn = weights[1], learns(x, *weights)
        state = state or self.begin(recurrent, x.shape[0])
        if pays(x, learn=learn):
            return self._run(x, weights, state, learn=learn)
        before = (state[0].to(recurrent.dtype), state[1].to(recurrent.dtype))
        output, hidden, cell = torch.lstm(x, before, weights, True, 1, 0.0, self.training, False, True)
        # Under autocast the state comes back in bfloat16; the next call may be outside of autocast.
        return output, (hidden.to(recurrent.dtype), cell.to(recurrent.dtype))

    def _weights(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Of input and hidden state, and the biases of both; attributes, which need not be parameters.

        `torch.func.functional_call` puts other tensors there, `torch.nn.utils.prune` what is left of a weight: by a
        hook that runs before the layer, which is not called itself.
        """
        for hook in self.lstm._forward_pre_hooks.values():
            hook(self.lstm, (x,))
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        weight, recurrent, *biases = (getattr(self.lstm, name) for name in names)
        return weight, self.weight_drop(recurrent), biases[0], biases[1]

    def _run(
        self, x: Tensor, weights: tuple[Tensor, Tensor, Tensor, Tensor], state: LayerState, *, learn: bool
    ) -> tuple[Tensor, LayerState]:
        weight, recurrent, bias_ih, bias_hh = weights
        steps, bias, dtype = x.transpose(0, 1), bias_ih + bias_hh, compute_dtype(x)
        before = (state[0][0], state[1][0])
        if not learn and not self.training:
            by_input, by_hidden = self._kept.get([weight, recurrent], dtype)
            output, hidden, cell = infer_lstm(steps, *before, by_input, by_hidden, bias)
        else:
            made = self.weight_drop.keep(f"in {dtype}", lambda: LayerProducts(weight, recurrent, dtype))
            if learn:
                output, hidden, cell = learn_lstm(steps, *before, weight, recurrent, bias, made)
            else:
                output, hidden, cell = infer_lstm(steps, *before, *made.products, bias)
        return output.transpose(0, 1), (hidden.unsqueeze(0).to(recurrent.dtype), cell.unsqueeze(0))

    def train(self, mode: bool = True) -> Self:
        """Set the mode; what is kept for evaluation is forgotten."""
        self._kept.clear()
        return super().train(mode)


class AWD_LSTM(Encoder):
    """Embedding, variational dropout and stacked weight-dropped LSTM layers.

    Args:
        vocab_sz: number of words V.
        emb_sz: embedding size E, also the size of the output.
        n_hid: hidden size H of every layer but the last.
        n_layers: number of layers.
        pad_token: id of the padding token.
        hidden_p: variational dropout between layers.
        input_p: variational dropout on the embedded words.
        embed_p: dropout of whole words.
        weight_p: dropout on the hidden-to-hidden weights.
        bidir: each layer reads in both directions.

    Source: see `AWDLSTMConfig`.
    """

    config_class = AWDLSTMConfig
    config: AWDLSTMConfig

    def __init__(
        self,
        vocab_sz: int,
        emb_sz: int,
        n_hid: int,
        n_layers: int,
        pad_token: int = 1,
        hidden_p: float = 0.2,
        input_p: float = 0.6,
        embed_p: float = 0.1,
        weight_p: float = 0.5,
        bidir: bool = False,
    ) -> None:
        config = AWDLSTMConfig(
            emb_sz=emb_sz,
            n_hid=n_hid,
            n_layers=n_layers,
            pad_token=pad_token,
            hidden_p=hidden_p,
            input_p=input_p,
            embed_p=embed_p,
            weight_p=weight_p,
            bidir=bidir,
        )
        super().__init__(vocab_sz, config)

    def make_layer(self, number: int, n_in: int, n_out: int) -> RecurrentLayer:
        """One weight-dropped LSTM layer."""
        return WeightDropLSTM(n_in, n_out, self.config.weight_p)
