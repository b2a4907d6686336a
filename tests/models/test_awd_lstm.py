from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn.utils import prune

from ulmfit.errors import ConfigError
from ulmfit.models.awd_lstm import AWD_LSTM, WeightDropLSTM
from ulmfit.models.config import AWDLSTMConfig, size_config
from ulmfit.models.dropout import EmbeddingDropout, RNNDropout, WeightDrop
from ulmfit.models.language_model import LanguageModel

CONFIG = AWDLSTMConfig(emb_sz=6, n_hid=10, n_layers=3, weight_p=0.5)


def test_weight_drop_drops_recurrent_weights_only_and_leaves_the_parameter_alone():
    layer = WeightDropLSTM(4, 5, 0.5)
    before = {k: v.clone() for k, v in layer.state_dict().items()}
    x = torch.randn(2, 7, 4)
    layer.train()
    output, _ = layer(x, None)
    output.sum().backward()
    gradient = layer.lstm.weight_hh_l0.grad
    assert gradient is not None
    dropped = (gradient == 0).float().mean().item()
    assert 0.3 < dropped < 0.7  # a weight that is not there gets no gradient
    assert all(torch.equal(before[k], v) for k, v in layer.state_dict().items())
    layer.eval()
    torch.testing.assert_close(layer(x, None)[0], layer.lstm(x)[0])
    layer.train()
    assert not torch.allclose(layer(x, None)[0], layer.lstm(x)[0])


@torch.no_grad()
def test_the_cells_of_a_new_layer_remember():
    layer = WeightDropLSTM(4, 200, 0.0).eval()
    high, low = (layer(torch.zeros(1, 6, 4), (torch.zeros(1, 1, 200), torch.full((1, 1, 200), c))) for c in (1.0, -1.0))
    kept = float((high[1][1] - low[1][1]).mean()) / 2
    assert 0.12 < kept < 0.18  # of 1, after six steps: 0.73 ** 6; without the bias 0.5 ** 6


def test_forget_gates_of_loaded_weights_are_as_they_were():
    layer, other = WeightDropLSTM(4, 5, 0.5), nn.LSTM(4, 5, batch_first=True)
    layer.lstm.load_state_dict(other.state_dict())
    torch.testing.assert_close(layer.eval()(x := torch.randn(2, 7, 4), None)[0], other(x)[0])


@pytest.mark.parametrize("train", [True, False])
def test_a_layer_may_be_called_with_other_weights(train: bool):
    layer, other = (WeightDropLSTM(4, 5, 0.0).train(train) for _ in range(2))
    x = torch.randn(2, 7, 4)
    weights = {name: p * 1 for name, p in other.named_parameters()}
    output, _ = functional_call(layer, weights, (x, None))
    torch.testing.assert_close(output, other(x, None)[0])
    with torch.no_grad():
        torch.testing.assert_close(functional_call(layer, weights, (x, None))[0], output)
    output.sum().backward()
    assert all(p.grad is None for p in layer.parameters())
    assert all(p.grad is not None for p in other.parameters())


@pytest.mark.parametrize("weight_p", [0.0, 0.5])
def test_a_pruned_layer_answers_and_learns_without_the_pruned_weights(weight_p: float):
    layer = WeightDropLSTM(4, 5, weight_p)
    prune.random_unstructured(layer.lstm, "weight_hh_l0", amount=0.5)
    pruned, x = layer.lstm.weight_hh_l0_mask == 0, torch.randn(2, 7, 4)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    for dtype in (torch.float32, torch.bfloat16):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
            layer(x, None)[0].sum().backward()
        gradient = layer.lstm.weight_hh_l0_orig.grad
        assert gradient is not None
        assert (gradient[pruned] == 0).all()
        dropped = (gradient[~pruned] == 0).float().mean().item()
        assert dropped == (0 if weight_p == 0 else pytest.approx(weight_p, abs=0.25))
        optimizer.step()
        optimizer.zero_grad()
    bare = nn.LSTM(4, 5, batch_first=True)
    bare.load_state_dict({name: getattr(layer.lstm, name) for name in bare.state_dict()})
    bare.weight_hh_l0.data.copy_(layer.lstm.weight_hh_l0_orig * ~pruned)
    with torch.no_grad():
        torch.testing.assert_close(layer.eval()(x, None)[0], bare(x)[0])


def test_weight_drop_keeps_the_rest_scaled_and_gives_their_gradients():
    weight = torch.randn(300, 40, requires_grad=True)
    drop, upstream = WeightDrop(0.25).train(), torch.randn(300, 40)
    dropped = drop(weight)
    kept = dropped != 0
    assert kept.float().mean().item() == pytest.approx(0.75, abs=0.02)
    torch.testing.assert_close(dropped, torch.where(kept, weight / 0.75, 0.0))
    (gradient,) = torch.autograd.grad((dropped * upstream).sum(), weight)
    torch.testing.assert_close(gradient, torch.where(kept, upstream / 0.75, 0.0))
    assert not torch.equal(drop(weight), dropped)
    assert drop.eval()(weight) is weight


def test_rnn_dropout_is_the_same_at_all_steps_and_keeps_the_mean():
    dropout = RNNDropout(0.5).train()
    y = dropout(torch.ones(400, 3, 50))
    assert torch.equal(y[:, 0], y[:, 1])
    assert set(y.unique().tolist()) == {0.0, 2.0}
    assert y.mean().item() == pytest.approx(1, abs=0.05)
    assert torch.equal(dropout.eval()(y), y)


def test_embedding_dropout_drops_whole_words_wherever_they_stand():
    embedding = EmbeddingDropout(50, 4, 0.5).train()
    ids = torch.arange(50).repeat(2, 2)
    y = embedding(ids)
    zero = (y == 0).all(2)
    assert 0.2 < zero.float().mean() < 0.8
    assert torch.equal(zero[0, :50], zero[1, 50:])
    kept = ~zero[0, :50]
    torch.testing.assert_close(y[0, :50][kept], 2 * embedding.weight[kept])
    assert torch.equal(embedding.eval()(ids)[0, :50], embedding.weight)
    assert torch.equal(embedding(torch.arange(50)), embedding.weight)
    assert torch.equal(embedding(ids[None])[0], embedding(ids))


def test_encoder_runs_in_pieces_as_in_one():
    encoder = AWD_LSTM.from_config(20, CONFIG).eval()
    ids = torch.randint(20, (2, 12))
    whole, _ = encoder.encode(ids)
    first, state = encoder.encode(ids[:, :5])
    second, _ = encoder.encode(ids[:, 5:], state)
    torch.testing.assert_close(torch.cat([first, second], 1), whole)
    assert whole.shape == (2, 12, CONFIG.emb_sz)


def test_language_model_carries_its_state_until_reset():
    model = LanguageModel(20, CONFIG).eval()
    ids = torch.randint(20, (2, 8))
    fresh = model(ids).log_probabilities()
    carried = model(ids).log_probabilities()
    assert not torch.allclose(fresh, carried)
    model.reset()
    torch.testing.assert_close(model(ids).log_probabilities(), fresh)


def test_a_given_state_leaves_the_kept_one_alone():
    model = LanguageModel(20, CONFIG).eval()
    ids = torch.randint(20, (1, 4))
    state = model(ids).state
    again = model(ids, state).log_probabilities()
    torch.testing.assert_close(model(ids).log_probabilities(), again)


def test_tied_weights_are_one_parameter():
    model = LanguageModel(20, CONFIG)
    assert model.decoder.weight is model.encoder.embedding.weight
    counted = [id(p) for group in model.parameter_groups() for p in group]
    assert sorted(counted) == sorted(id(p) for p in model.parameters())
    untied = LanguageModel(20, AWDLSTMConfig(emb_sz=6, n_hid=10, n_layers=3, tie_weights=False))
    assert untied.decoder.weight is not untied.encoder.embedding.weight
    assert {id(p) for g in untied.parameter_groups() for p in g} == {id(p) for p in untied.parameters()}


def test_activation_regularisation_follows_its_definition():
    config = AWDLSTMConfig(emb_sz=6, n_hid=10, n_layers=2, output_p=0.5, hidden_p=0, input_p=0, embed_p=0, weight_p=0)
    model = LanguageModel(20, config).train()
    ids = torch.randint(20, (2, 8))
    raw, _ = model.encoder.encode(ids)
    output = model(ids)
    torch.testing.assert_close(output.ar, output.hidden.pow(2).mean())  # of the dropped output
    assert not torch.allclose(output.ar, raw.pow(2).mean())
    torch.testing.assert_close(output.tar, (raw[:, 1:] - raw[:, :-1]).pow(2).mean())  # of the raw output


def test_autocast_state_can_be_carried_out_of_autocast():
    model = LanguageModel(20, CONFIG).eval()
    ids = torch.randint(20, (2, 8))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        model(ids)
    assert torch.isfinite(model(ids).log_probabilities()).all()


def test_configuration_round_trip_and_checks():
    config = AWDLSTMConfig(emb_sz=7, cutoffs=(5, 9))
    assert AWDLSTMConfig.from_dict(config.to_dict()) == config
    assert AWDLSTMConfig.from_dict({**config.to_dict(), "cutoffs": [5, 9]}) == config
    assert config.scaled(0.5).weight_p == config.weight_p / 2
    with pytest.raises(ConfigError, match=r"emb_sz=0.*weight_p=1\.5"):
        AWDLSTMConfig(emb_sz=0, weight_p=1.5)
    with pytest.raises(ConfigError, match="cutoffs"):
        AWDLSTMConfig(cutoffs=(9, 5))
    with pytest.raises(ConfigError, match="n_hidden"):
        AWDLSTMConfig.from_dict({"n_hidden": 3})
    with pytest.raises(ConfigError, match="small"):
        size_config("huge")


def test_all_parameters_of_the_encoder_learn():
    model = LanguageModel(20, CONFIG)
    ids = torch.randint(20, (4, 9))
    model(ids[:, :-1]).cross_entropy(ids[:, 1:]).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in nn.ModuleList([model]).parameters())
