from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

from ulmfit.models import products
from ulmfit.models.awd_lstm import WeightDropLSTM
from ulmfit.models.lstm_function import learn_lstm, pays

T, B, N_IN, H = 37, 3, 4, 5  # more steps than the backward pass takes at once


def both(dtype: torch.dtype) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Outputs, last states and gradients of our layer in `dtype`, and of torch's in float64."""
    torch.manual_seed(1)
    lstm = nn.LSTM(N_IN, H).double()
    x = torch.randn(T, B, N_IN, dtype=torch.float64, requires_grad=True)
    hidden, cell = (torch.randn(B, H, dtype=torch.float64, requires_grad=True) for _ in range(2))
    weights = [torch.randn(T, B, H, dtype=torch.float64), *(torch.randn(B, H, dtype=torch.float64) for _ in range(2))]
    output, (last, last_cell) = lstm(x, (hidden.unsqueeze(0), cell.unsqueeze(0)))
    expected = [output, last[0], last_cell[0]]
    sources = [x, hidden, cell, lstm.weight_ih_l0, lstm.weight_hh_l0, lstm.bias_ih_l0]
    expected += torch.autograd.grad(sum((e * w).sum() for e, w in zip(expected, weights, strict=True)), sources)
    mine = [s.detach().to(dtype if i == 0 else torch.float32).requires_grad_() for i, s in enumerate(sources)]
    got = list(learn_lstm(*mine[:5], mine[5] + lstm.bias_hh_l0.float()))
    got += torch.autograd.grad(sum((g.double() * w).sum() for g, w in zip(got, weights, strict=True)), mine)
    return [g.double() for g in got], expected


def test_outputs_and_gradients_are_those_of_torch():
    for mine, reference in zip(*both(torch.float32), strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("packed", [True, False])
def test_in_bfloat16_they_are_close(monkeypatch: pytest.MonkeyPatch, packed: bool):
    monkeypatch.setattr(products, "_HAS_ONEDNN", packed and products._HAS_ONEDNN)
    for mine, reference in zip(*both(torch.bfloat16), strict=True):
        assert (mine - reference).norm() / reference.norm() < 0.02


def test_the_layer_takes_it_when_it_learns_in_bfloat16_only():
    layer = WeightDropLSTM(N_IN, H, 0.0)
    x = torch.randn(B, T, N_IN)
    exact, (hidden, cell) = layer(x, None)
    assert not pays(x, learn=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert pays(x, learn=True)
        output, (hidden_16, cell_16) = layer(x, None)
        again, _ = layer(x, (hidden_16, cell_16))
    assert hidden_16.dtype == cell_16.dtype == torch.float32
    assert hidden_16.shape == hidden.shape
    torch.testing.assert_close(output.float(), exact, rtol=0, atol=0.02)
    torch.testing.assert_close(cell_16, cell, rtol=0, atol=0.02)
    torch.testing.assert_close(again.float(), layer(x, (hidden, cell))[0], rtol=0, atol=0.02)


@pytest.mark.parametrize("onednn", [True, False])
@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16])
def test_answers_are_those_of_torch_and_follow_the_weights(
    monkeypatch: pytest.MonkeyPatch, onednn: bool, stored: torch.dtype
):
    monkeypatch.setattr(products, "_HAS_ONEDNN", onednn and products._HAS_ONEDNN)
    layer = WeightDropLSTM(N_IN, H, 0.5).to(stored).eval()
    x = torch.randn(B, T, N_IN, dtype=stored)
    bound = 1e-5 if stored == torch.float32 else 0.02
    copied = copy.deepcopy(layer)
    with torch.no_grad():
        for _ in range(2):
            expected, (hidden, cell) = copy.deepcopy(layer.lstm).float()(x.float())  # an old torch lacks the other
            output, state = layer(x, None)
            for mine, reference in zip((output, *state), (expected, hidden, cell), strict=True):
                torch.testing.assert_close(mine.float(), reference.float(), rtol=0, atol=bound)
            layer.lstm.weight_hh_l0.mul_(2)  # the weights that are kept for it must not be the old ones
        layer.lstm.weight_hh_l0.copy_(copied.lstm.weight_hh_l0)
        torch.testing.assert_close(layer(x, None)[0], copy.deepcopy(layer)(x, None)[0])
        torch.testing.assert_close(layer(x, None)[0], copied(x, None)[0])
        with torch.inference_mode():
            torch.testing.assert_close(layer(x, None)[0], copied(x, None)[0])


@torch.no_grad()
def test_answers_follow_weights_that_are_written_through_data():
    layer, other = (WeightDropLSTM(N_IN, H, 0.5).eval() for _ in range(2))
    x = torch.randn(B, T, N_IN)
    layer(x, None)
    for mine, new in zip(layer.lstm.parameters(), other.lstm.parameters(), strict=True):
        mine.data.copy_(new)  # averaged weights, for one
    torch.testing.assert_close(layer(x, None)[0], other(x, None)[0])
    for p in layer.lstm.parameters():
        p.data.zero_()
    assert layer(x, None)[0].abs().max() == 0


def test_the_memory_of_a_kept_weight_is_held_so_that_no_other_comes_to_lie_there():
    kept, weight = products.KeptProducts(), torch.randn(40, 10)
    kept.get([weight], torch.float32)
    place = weight.data_ptr()
    weight.data = torch.empty(0)  # as `bfloat16()` does before `float()` takes new memory
    assert kept._kept is not None
    assert kept._kept[1][0]._now.untyped_storage().data_ptr() == place


@torch.no_grad()
def test_what_is_kept_of_a_weight_is_no_part_of_copies():
    kept, weights = products.KeptProducts(), [torch.randn(2000, 100)]
    made = kept.get(weights, torch.float32)
    assert kept.get(weights, torch.float32) is made
    for copied in (copy.deepcopy(kept), pickle.loads(pickle.dumps(kept))):  # noqa: S301 (written here)
        assert copied.__dict__ == products.KeptProducts().__dict__
    weights[0].data[1000:1500] += 1
    assert kept.get(weights, torch.float32) is not made


def test_a_layer_without_graph_drops_its_weights_in_training():
    layer = WeightDropLSTM(N_IN, H, 0.9).train()
    x = torch.randn(B, T, N_IN)
    with torch.no_grad():
        first, second = layer(x, None)[0], layer(x, None)[0]
        assert not torch.allclose(first, second)
        assert not torch.allclose(first, layer.eval()(x, None)[0])
