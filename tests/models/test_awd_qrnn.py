from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ulmfit.errors import ConfigError
from ulmfit.models.awd_qrnn import AWD_QRNN, QRNNLayer
from ulmfit.models.config import AWDQRNNConfig, config_from_dict, size_config
from ulmfit.models.language_model import LanguageModel

CONFIG = AWDQRNNConfig(emb_sz=6, n_hid=10, n_layers=3)


def layer(window: int = 1, zoneout_p: float = 0.0) -> QRNNLayer:
    return QRNNLayer(4, 5, window=window, weight_p=0.0, zoneout_p=zoneout_p).double()


def by_definition(made: QRNNLayer, x: Tensor, cell: Tensor, last: Tensor, zoneout: float = 0.0) -> Tensor:
    outputs = []
    for t in range(x.shape[1]):
        seen = x[:, t] if made.window == 1 else torch.cat([last, x[:, t]], 1)
        z, f, o = made.gates(seen).chunk(3, 1)
        f = zoneout + (1 - zoneout) * f.sigmoid()
        cell = f * cell + (1 - f) * z.tanh()
        outputs.append(o.sigmoid() * cell)
        last = x[:, t]
    return torch.stack(outputs, 1)


@pytest.mark.parametrize("window", [1, 2])
@pytest.mark.parametrize("zoneout", [0.0, 0.3])
def test_outputs_and_gradients_follow_the_definition(window: int, zoneout: float):
    made = layer(window, zoneout).eval()
    x = torch.randn(3, 7, 4, dtype=torch.float64, requires_grad=True)
    cell = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    last = torch.randn(3, 4 * (window - 1), dtype=torch.float64)
    expected = by_definition(made, x, cell, last, zoneout)
    output, (cell_after, _) = made(x, (cell.unsqueeze(0), last.unsqueeze(0)))
    torch.testing.assert_close(output, expected)
    weights = torch.randn_like(expected)
    sources = [x, cell, *made.parameters()]
    got = torch.autograd.grad((output * weights).sum() + cell_after.sum(), sources)
    # The cell after the last step is the last output divided by its output gate.
    seen = x[:, -1] if window == 1 else torch.cat([x[:, -2], x[:, -1]], 1)
    gate = made.gates(seen).chunk(3, 1)[2].sigmoid()
    whole = (expected * weights).sum() + (expected[:, -1] / gate).sum()
    for mine, reference in zip(got, torch.autograd.grad(whole, sources), strict=True):
        torch.testing.assert_close(mine, reference)
    with torch.no_grad():
        torch.testing.assert_close(made(x, (cell.unsqueeze(0), last.unsqueeze(0)))[0], expected)


def test_zoneout_keeps_cells_in_training():
    made = layer(zoneout_p=0.5).train()
    x = torch.randn(20, 2, 4, dtype=torch.float64)
    cell = torch.randn(1, 20, 5, dtype=torch.float64)
    _, (after, _) = made(x[:, :1], (cell, x.new_zeros(1, 20, 0)))
    assert 0.3 < (after == cell).double().mean() < 0.7


@pytest.mark.parametrize("window", [1, 2])
def test_encoder_runs_in_pieces_as_in_one(window: int):
    encoder = AWD_QRNN(20, 6, 10, 3, window=window).eval()
    ids = torch.randint(20, (2, 12))
    whole, _ = encoder.encode(ids)
    first, state = encoder.encode(ids[:, :5])
    second, _ = encoder.encode(ids[:, 5:], state)
    torch.testing.assert_close(torch.cat([first, second], 1), whole)
    assert whole.shape == (2, 12, 6)


def test_the_language_model_takes_it_and_all_its_parameters_learn():
    model = LanguageModel(20, CONFIG)
    ids = torch.randint(20, (4, 9))
    output = model(ids[:, :-1])
    (output.cross_entropy(ids[:, 1:]) + output.ar + output.tar).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
    assert len(model.parameter_groups()) == CONFIG.n_layers + 1


def test_bfloat16_keeps_the_cell_in_float32():
    encoder = AWD_QRNN.from_config(20, CONFIG).eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output, state = encoder.encode(torch.randint(20, (2, 5)))
    assert output.dtype == torch.bfloat16
    assert all(cell.dtype == torch.float32 for cell, _ in state)


def test_base_size_has_as_many_parameters_as_the_lstm():
    def recurrent(arch: str) -> int:
        with torch.device("meta"):
            encoder = LanguageModel(10, size_config("base", arch)).encoder
        return sum(p.numel() for p in encoder.layers.parameters())

    assert recurrent("awd_qrnn") == pytest.approx(recurrent("awd_lstm"), rel=0.02)


def test_configuration_round_trip_and_checks():
    assert config_from_dict(CONFIG.to_dict()) == CONFIG
    with pytest.raises(ConfigError, match="window=3"):
        AWDQRNNConfig(window=3)
    with pytest.raises(ConfigError, match="awd_gru"):
        config_from_dict({"arch": "awd_gru"})
    with pytest.raises(ConfigError, match="awd_qrnn"):
        size_config("base", "awd_gru")
