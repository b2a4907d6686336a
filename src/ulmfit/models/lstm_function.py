"""An LSTM layer over time on a CPU: inference, and training in bfloat16 with its own backward pass.

What is unusual about it:
- one product makes the input's part of all gates, and one product each makes the gradients of weights and input, for
  all steps; what is left for a step is the product with the hidden state, whose weight is laid out for it once;
- the backward loop has four elementwise operations a step: all that does not depend on later steps is computed
  before, for some steps at once;
- the cell is kept in float32.

torch's own LSTM trains faster in float32, but lays its weights out at every call, which takes 19 ms for a layer of base
size where a step of one text takes 0.2 ms.

B batch, T time, I input size, H hidden.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ulmfit.models.products import RepeatedProduct, compute_dtype, direct, first_derivative, own_loops

_STEPS = 16
"""Of which the backward pass makes the derivatives at once: fewer cost calls, more cost memory."""


def pays(x: Tensor, *, learn: bool) -> bool:
    """Whether the functions below are faster than torch's own layer (benchmarks/model_speed.py).

    In bfloat16 they are always taken: under autocast torch's layer is refused by oneDNN on a processor without AVX-512.
    """
    dtype = compute_dtype(x)
    if dtype == torch.bfloat16:
        return own_loops(x.device)
    return not learn and direct(dtype, x.device)


class LayerProducts:
    """The weights of a layer in one dtype, and the products with them; made once for all chunks of a document.

    Args:
        weight_ih: (4H, I).
        weight_hh: (4H, H).
        dtype: of the products.
    """

    def __init__(self, weight_ih: Tensor, weight_hh: Tensor, dtype: torch.dtype) -> None:
        self.weights = (weight_ih.detach().to(dtype), weight_hh.detach().to(dtype))
        self.products = (RepeatedProduct(self.weights[0]), RepeatedProduct(self.weights[1]))


def infer_lstm(
    x: Tensor, hidden: Tensor, cell: Tensor, from_input: RepeatedProduct, from_hidden: RepeatedProduct, bias: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """An LSTM layer without a graph; as `learn_lstm` but for its weights, which are given as products."""
    _, cells, outputs = _run(x.to(compute_dtype(x)), hidden, cell, from_input, from_hidden, bias)
    return outputs[1:], outputs[-1].clone(), cells[-1].clone()  # a state must not hold the memory of all steps


def learn_lstm(
    x: Tensor,
    hidden: Tensor,
    cell: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias: Tensor,
    made: LayerProducts | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """An LSTM layer, gates in the order input, forget, candidate, output as in torch.

    Args:
        x: (T, B, I), best contiguous.
        hidden: (B, H).
        cell: (B, H).
        weight_ih: (4H, I).
        weight_hh: (4H, H).
        bias: (4H,).
        made: of these weights, in autocast's dtype; None to make them.

    Returns:
        output (T, B, H) in autocast's dtype, last hidden state (B, H) and last cell (B, H) in float32.

    Source: Hochreiter and Schmidhuber 1997; Appleyard et al. 2016, "Optimizing Performance of Recurrent Neural Networks
    on GPUs", for the products over all steps.
    """
    dtype = compute_dtype(x)
    made = made or LayerProducts(weight_ih, weight_hh, dtype)
    output, last = _LSTM.apply(x.to(dtype), hidden, cell, weight_ih, weight_hh, bias, made)  # type: ignore[no-untyped-call]
    return output, output[-1].clone(), last


def _run(
    x: Tensor, hidden: Tensor, cell: Tensor, from_input: RepeatedProduct, from_hidden: RepeatedProduct, bias: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The forward pass.

    Returns:
        gates after their nonlinearities (T, B, 4H); cells before the first step and after each (T + 1, B, H); hidden
        states before the first step and after each (T + 1, B, H).
    """
    dtype, (n_steps, n_rows, _), n_hid = x.dtype, x.shape, hidden.shape[1]
    gates = from_input(x, bias.to(dtype))
    cells = torch.empty((n_steps + 1, n_rows, n_hid), dtype=torch.promote_types(dtype, torch.float32))
    squashed = torch.empty((n_rows, n_hid), dtype=dtype)
    outputs = torch.empty((n_steps + 1, n_rows, n_hid), dtype=dtype)
    cells[0], outputs[0] = cell, hidden
    # Views of all steps at once: taking them one by one costs as much as a step of one text computes.
    i, f, g, o = (part.unbind(0) for part in gates.chunk(4, 2))
    both = gates[..., : 2 * n_hid].unbind(0)
    steps, cell_at, hidden_at = gates.unbind(0), cells.unbind(0), outputs.unbind(0)
    for t in range(n_steps):
        steps[t].add_(from_hidden(hidden_at[t]))
        both[t].sigmoid_()
        g[t].tanh_()
        o[t].sigmoid_()
        after = torch.mul(cell_at[t], f[t], out=cell_at[t + 1])
        if dtype == after.dtype:
            after.addcmul_(i[t], g[t])
            torch.tanh(after, out=squashed)
        else:
            after.add_(i[t] * g[t])
            torch.tanh(after.to(dtype), out=squashed)
        torch.mul(o[t], squashed, out=hidden_at[t + 1])
    return gates, cells, outputs


class _LSTM(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        hidden: Tensor,
        cell: Tensor,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias: Tensor,
        made: LayerProducts,
    ) -> tuple[Tensor, Tensor]:
        gates, cells, outputs = _run(x, hidden, cell, *made.products, bias)
        ctx.save_for_backward(x, gates, cells, outputs, *made.weights)
        return outputs[1:], cells[-1].clone()

    @staticmethod
    @first_derivative
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        x, gates, cells, outputs, weight_ih, weight_hh = ctx.saved_tensors
        grad_out, grad_cell = grad_outputs
        grad_gates = torch.empty_like(gates)
        n_hid, dtype = weight_hh.shape[1], x.dtype
        to_hidden = RepeatedProduct(weight_hh.t())
        grad_cell = grad_cell.clone()
        grad_hidden = torch.zeros_like(outputs[0])
        for start in range((len(x) - 1) // _STEPS * _STEPS, -1, -_STEPS):
            block = slice(start, start + _STEPS)
            to_cell = _local_derivatives(gates[block], cells[start : start + _STEPS + 1], out=grad_gates[block])
            for t in range(start + len(to_cell) - 1, start - 1, -1):
                grad_hidden = grad_hidden + grad_out[t]
                grad_cell.addcmul_(grad_hidden.to(grad_cell.dtype), to_cell[t - start])
                step = grad_gates[t]
                step[:, 3 * n_hid :].mul_(grad_hidden)
                step[:, : 3 * n_hid].view(-1, 3, n_hid).mul_(grad_cell.to(dtype).unsqueeze(1))
                grad_hidden = to_hidden(step)
                grad_cell.mul_(gates[t, :, n_hid : 2 * n_hid])
        rows = grad_gates.flatten(0, 1)
        needs = ctx.needs_input_grad
        return (
            (rows @ weight_ih).view(x.shape) if needs[0] else None,
            grad_hidden if needs[1] else None,
            grad_cell if needs[2] else None,
            (rows.t() @ x.flatten(0, 1)).to(torch.float32) if needs[3] else None,
            (rows.t() @ outputs[:-1].flatten(0, 1)).to(torch.float32) if needs[4] else None,
            rows.sum(0, dtype=torch.float32) if needs[5] else None,
            None,
        )


def _local_derivatives(gates: Tensor, cells: Tensor, out: Tensor) -> Tensor:
    """What multiplies the gradients of cell and hidden state.

    Args:
        gates: (T, B, 4H) after their nonlinearities.
        cells: (T + 1, B, H) before the first step and after each.
        out: (T, B, 4H), for the derivatives of the cell by the first three gates before their nonlinearities, and of
            the output by the last.

    Returns:
        (T, B, H): the derivative of the output by the cell.
    """
    i, f, g, o = gates.chunk(4, 2)
    squashed = cells[1:].to(gates.dtype).tanh()
    by_i, by_f, by_g, by_o = out.chunk(4, 2)
    torch.mul(i * (1 - i), g, out=by_i)
    by_f.copy_((f * (1 - f)).mul_(cells[:-1].to(f.dtype)))
    torch.mul(1 - g * g, i, out=by_g)
    torch.mul(o * (1 - o), squashed, out=by_o)
    return (o * (1 - squashed * squashed)).to(cells.dtype)
