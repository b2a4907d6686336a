"""The AWD-QRNN encoder: gates from the input alone, computed for all steps at once; only the cell runs over time.

What is unusual about it:
- all products and gates of a layer are computed for every step together; what is left over time is one interpolation
  of (B, H) numbers a step, forward and backward;
- the cell is kept in float32 whatever the precision: its steps are smaller than bfloat16 can add.

B batch, T time, E embedding, H hidden, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ulmfit.models.config import AWDQRNNConfig
from ulmfit.models.dropout import WeightDrop
from ulmfit.models.encoder import Encoder, LayerState, RecurrentLayer
from ulmfit.models.products import first_derivative, linear


class _Pooling(torch.autograd.Function):
    """The recurrence c[t] = f[t] c[t-1] + (1 - f[t]) z[t] and the output o[t] c[t] (fo-pooling)."""

    @staticmethod
    def forward(ctx: Any, gates: Tensor, before: Tensor, zoneout: Tensor | float) -> tuple[Tensor, Tensor]:
        """Time-major gates (T, B, 3H) before their nonlinearities, the cell (B, H), and zoneout as in `_activate`."""
        z, f, o = _activate(gates, zoneout)
        cells = _run(z, f, before)
        ctx.zoneout = zoneout if isinstance(zoneout, float) else 0.0
        ctx.save_for_backward(z.to(gates.dtype), f, o, cells)
        return o * cells[1:].to(o.dtype), cells[-1].clone()

    @staticmethod
    @first_derivative
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        z, f, o, cells = ctx.saved_tensors
        grad_out, grad_last = grad_outputs
        gates = torch.empty((*o.shape[:2], 3 * o.shape[2]), dtype=o.dtype, device=o.device)
        grad_z, grad_f, grad_o = gates.chunk(3, 2)
        grad_o.copy_(grad_out * cells[1:] * (o * (1 - o)))
        grad_cell = (grad_out * o).to(cells.dtype)
        grad_cell[-1] += grad_last
        for t in range(len(f) - 2, -1, -1):
            grad_cell[t].addcmul_(grad_cell[t + 1], f[t + 1])
        grad_before = grad_cell[0] * f[0]
        grad_z.copy_(grad_cell * (1 - f) * (1 - z.to(cells.dtype).square()))
        slope = (f - ctx.zoneout) * (1 - f) / (1 - ctx.zoneout)
        grad_f.copy_(grad_cell.mul_(cells[:-1] - z).mul_(slope))
        return gates, grad_before, None


def _activate(gates: Tensor, zoneout: Tensor | float) -> tuple[Tensor, Tensor, Tensor]:
    """Candidate, forget gate (both float32 at least) and output gate.

    Args:
        gates: (T, B, 3H) before their nonlinearities.
        zoneout: the places (T, B, H) where the cell keeps its value, or in evaluation their share, which gives the mean
            of what training does.
    """
    z, f, o = gates.chunk(3, 2)
    exact = torch.promote_types(gates.dtype, torch.float32)
    f = f.to(exact).sigmoid()
    if isinstance(zoneout, Tensor):
        f.masked_fill_(zoneout, 1.0)
    elif zoneout:
        f.mul_(1 - zoneout).add_(zoneout)
    return z.to(exact).tanh(), f, o.sigmoid()


def _run(z: Tensor, f: Tensor, before: Tensor) -> Tensor:
    """The cell before the first step and after each, (T + 1, B, H)."""
    cells = z.new_empty((z.shape[0] + 1, *z.shape[1:]))
    cells[0] = before
    for t in range(z.shape[0]):
        torch.lerp(z[t], cells[t], f[t], out=cells[t + 1])
    return cells


class QRNNLayer(RecurrentLayer):
    """One quasi-recurrent layer.

    Args:
        n_in: input size.
        n_out: output size H.
        window: steps that the gates see, 1 or 2.
        weight_p: probability to zero a weight of the gates in training; one mask for all steps of a call.
        zoneout_p: probability that a cell keeps its last value at a step.

    The state of a layer is its cell (1, B, H) and the last input (1, B, n_in), which has no features for window 1.

    Source: Bradbury et al. 2016, "Quasi-Recurrent Neural Networks"; Krueger et al. 2016, "Zoneout".
    """

    def __init__(self, n_in: int, n_out: int, *, window: int, weight_p: float, zoneout_p: float) -> None:
        super().__init__()
        self.window, self.zoneout_p = window, zoneout_p
        self.state_sizes = (n_out, n_in * (window - 1))
        self.weight_drop = WeightDrop(weight_p)
        self.gates = nn.Linear(window * n_in, 3 * n_out)

    def forward(self, x: Tensor, state: LayerState | None) -> tuple[Tensor, LayerState]:
        """Run over the sequence.

        Args:
            x: (B, T, n_in).
            state: of the layer, or None for zeros.

        Returns:
            output (B, T, n_out) and the new state.
        """
        steps = x.transpose(0, 1)
        weight = self.weight_drop(self.gates.weight)
        cell, last = state or self.begin(weight, x.shape[0])
        seen = steps
        if self.window == 2:
            shifted = torch.cat([last.to(steps.dtype), steps[:-1]])
            seen, last = torch.cat([shifted, steps], 2), steps[-1:].to(last.dtype, copy=True)
        gates = linear(seen, weight, self.gates.bias)
        output, cell_after = self._pool(gates, cell[0])
        return output.transpose(0, 1), (cell_after.unsqueeze(0).to(weight.dtype), last)

    def _pool(self, gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        zoneout: Tensor | float = self.zoneout_p
        if self.zoneout_p and self.training:
            zoneout = torch.rand(*gates.shape[:2], gates.shape[2] // 3, device=gates.device) < self.zoneout_p
        if torch.is_grad_enabled() and gates.requires_grad:
            result: tuple[Tensor, Tensor] = _Pooling.apply(gates, cell, zoneout)  # type: ignore[no-untyped-call]
            return result
        z, f, o = _activate(gates, zoneout)
        cells = _run(z, f, cell)
        return o * cells[1:].to(o.dtype), cells[-1].clone()


class AWD_QRNN(Encoder):
    """Embedding, variational dropout and stacked quasi-recurrent layers.

    Args:
        vocab_sz: number of words V.
        emb_sz: embedding size E, also the size of the output.
        n_hid: hidden size H of every layer but the last.
        n_layers: number of layers.
        pad_token: id of the padding token.
        hidden_p: variational dropout between layers.
        input_p: variational dropout on the embedded words.
        embed_p: dropout of whole words.
        weight_p: dropout on the weights of the gates.
        bidir: each layer reads in both directions.
        window: steps that the gates of the first layer see, 1 or 2.
        zoneout_p: probability that a cell keeps its last value.

    Source: see `AWDQRNNConfig`.
    """

    config_class = AWDQRNNConfig
    config: AWDQRNNConfig

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
        window: int = 2,
        zoneout_p: float = 0.0,
    ) -> None:
        config = AWDQRNNConfig(
            emb_sz=emb_sz,
            n_hid=n_hid,
            n_layers=n_layers,
            pad_token=pad_token,
            hidden_p=hidden_p,
            input_p=input_p,
            embed_p=embed_p,
            weight_p=weight_p,
            bidir=bidir,
            window=window,
            zoneout_p=zoneout_p,
        )
        super().__init__(vocab_sz, config)

    def make_layer(self, number: int, n_in: int, n_out: int) -> RecurrentLayer:
        """One quasi-recurrent layer."""
        c = self.config
        window = c.window if number == 0 else 1
        return QRNNLayer(n_in, n_out, window=window, weight_p=c.weight_p, zoneout_p=c.zoneout_p)
