from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ulmfit.errors import ConfigError, DataError
from ulmfit.models.awd_lstm import AWD_LSTM
from ulmfit.models.awd_qrnn import AWD_QRNN
from ulmfit.models.classifier import PoolingLinearClassifier, SentenceEncoder
from ulmfit.models.config import AWDLSTMConfig, AWDQRNNConfig
from ulmfit.models.core import (
    awd_lstm_clas_config,
    awd_lstm_lm_config,
    awd_qrnn_lm_config,
    get_language_model,
    get_text_classifier,
)
from ulmfit.models.dropout import EmbeddingDropout, RNNDropout
from ulmfit.models.encoder import Encoder, State
from ulmfit.models.language_model import LanguageModel, LinearDecoder
from ulmfit.models.sequential import SequentialRNN

V = 20
SIZES = {"emb_sz": 6, "n_hid": 10, "n_layers": 2}
ARCHS = pytest.mark.parametrize("arch", [AWD_LSTM, AWD_QRNN])


def small(arch: type[Encoder] = AWD_LSTM) -> LanguageModel:
    return get_language_model(arch, V, SIZES).eval()


@ARCHS
def test_steps_give_what_the_whole_sequence_gives(arch: type[Encoder]):
    model, ids, state, steps = small(arch), torch.randint(V, (3, 7)), None, []
    whole = model(ids).log_probabilities()
    for t in range(7):
        log_p, state = model.step(ids[:, t], state)
        steps.append(log_p)
    torch.testing.assert_close(torch.stack(steps, 1), whole, rtol=0, atol=1e-5)
    torch.testing.assert_close(steps[-1].exp().sum(1), torch.ones(3))


def test_a_step_leaves_the_kept_state_alone_and_wants_evaluation():
    model, ids = small(), torch.randint(V, (2, 4))
    model(ids)
    kept = model.state
    model.step(ids[:, 0])
    assert model.state is kept
    with pytest.raises(ConfigError, match=r"model\.eval\(\)"):
        model.train().step(ids[:, 0])


@pytest.mark.parametrize(
    ("token", "rows", "message"),
    [
        (torch.tensor([[1]]), 1, r"shape \(B,\)"),
        (torch.tensor([1, V]), 2, "token id 20 is not in the vocabulary of 20"),
        (torch.tensor([1, -1]), 2, "token id -1"),
        (torch.tensor([1, 2]), 3, "batch of 3 rows, the input has 2"),
        (torch.tensor([], dtype=torch.long), 1, "empty"),
        (torch.tensor([0.5]), 1, "integers"),
    ],
)
def test_steps_that_make_no_sense(token: torch.Tensor, rows: int, message: str):
    model = small()
    _, state = model.step(torch.ones(rows, dtype=torch.long))
    with pytest.raises(DataError, match=message):
        model.step(token, state)


def test_a_state_of_other_layers_is_refused():
    _, state = small().step(torch.tensor([1]))
    with pytest.raises(DataError, match="1 layers; the encoder has 2"):
        small().step(torch.tensor([1]), state[:1])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda state: state[0][0], "the state is a Tensor; the encoder has 2 layers"),
        (lambda state: [], "of 0 layers; the encoder has 2"),
        (lambda state: [h for h, _ in state], "state of layer 0 is a Tensor, not two tensors"),
        (lambda state: [state[0], (state[1][0], None)], "state of layer 1 is a tuple, not two tensors"),
        (lambda state: [(h, c[:, :1]) for h, c in state], r"\(1, 1, 10\).*needs \(1, 3, 10\)"),
        (lambda state: [state[0], tuple(t[:, :2] for t in state[1])], r"layer 1 .*\(1, 2, 6\).*needs \(1, 3, 6\)"),
        (lambda state: [(h[..., :4], c) for h, c in state], r"layer 0 .*\(1, 3, 4\).*needs \(1, 3, 10\)"),
        (lambda state: [(h[0], c) for h, c in state], r"\(3, 10\) of torch.float32.*needs \(1, B, 10\)"),
        (lambda state: [(h, c.long()) for h, c in state], "torch.int64 on cpu.*floating point"),
        (lambda state: [(h, c.to("meta")) for h, c in state], "on meta.*on cpu"),
        (lambda state: small(AWD_QRNN).step(torch.ones(3, dtype=torch.long))[1], r"AWD_LSTM needs \(1, 3, 10\)"),
    ],
)
def test_states_that_are_none_of_the_encoder_are_refused(spoil: Callable[[State], State], message: str):
    model, token = small(), torch.tensor([1, 2, 3])
    _, state = model.step(token)
    with pytest.raises(DataError, match=message):
        model.step(token, spoil(state))
    model.state = spoil(state)
    with pytest.raises(DataError, match=message):
        model(token.unsqueeze(1))


def test_a_state_of_an_lstm_is_none_of_a_qrnn():
    _, state = small().step(torch.tensor([1, 2, 3]))
    with pytest.raises(DataError, match=r"\(1, 3, 10\).*AWD_QRNN needs \(1, 3, 6\)"):
        small(AWD_QRNN).step(torch.tensor([1, 2, 3]), state)


@ARCHS
@pytest.mark.parametrize("learn", [True, False])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16, torch.float64])
def test_a_state_holds_the_memory_of_one_step_only(arch: type[Encoder], learn: bool, precision: torch.dtype):
    model = small(arch).to(precision)
    with torch.set_grad_enabled(learn):
        model(torch.randint(V, (3, 50)))
    assert model.state is not None
    for tensor in [t for layer in model.state for t in layer]:
        assert tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()


@ARCHS
def test_a_state_made_in_inference_mode_goes_on_in_training(arch: type[Encoder]):
    model, ids = small(arch), torch.randint(V, (3, 5))
    with torch.inference_mode():
        model(ids)
    model.train()(ids).cross_entropy(ids).backward()
    with torch.inference_mode():
        _, state = model.eval().step(ids[:, 0])
    model(ids, state).cross_entropy(ids).backward()


def test_targets_that_make_no_sense():
    output = small()(torch.randint(V, (2, 4)))
    with pytest.raises(DataError, match=r"\(2, 3\), the input \(2, 4\)"):
        output.cross_entropy(torch.ones(2, 3, dtype=torch.long))
    with pytest.raises(DataError, match="target: token id 20"):
        output.cross_entropy(torch.full((2, 4), V))
    with pytest.raises(DataError, match=r"target must be integers .*got torch.float32"):
        output.cross_entropy(torch.ones(2, 4))
    ids = torch.randint(V, (2, 4))
    assert output.cross_entropy(ids.int()) == output.cross_entropy(ids)
    classifier = get_text_classifier(AWD_LSTM, V, 3, config=SIZES).eval()
    answer = classifier(torch.randint(2, V, (2, 4)))
    with pytest.raises(DataError, match=r"label 3 is not one of the 3 classes"):
        answer.cross_entropy(torch.tensor([0, 3]))
    for wrong in (torch.ones(2), torch.ones(2, dtype=torch.bool), [0, 1], None):
        with pytest.raises(DataError, match=r"labels must be .*\(B,\); got"):
            answer.cross_entropy(wrong)  # type: ignore[arg-type]
    assert answer.cross_entropy(torch.tensor([0, 2]).int()) == answer.cross_entropy(torch.tensor([0, 2]))
    with pytest.raises(DataError, match="label -1"):
        answer.cross_entropy(torch.tensor([0, -1]))
    with pytest.raises(DataError, match=r"2 texts need labels of shape \(2,\); got \(3,\)"):
        answer.cross_entropy(torch.tensor([0, 1, 2]))


def test_texts_that_make_no_sense():
    classifier = get_text_classifier(AWD_LSTM, V, 3, config=SIZES)
    for lengths in (None, torch.tensor([2, 1, 2])):
        with pytest.raises(DataError, match=r"row 1 .*nothing but padding"):
            classifier(torch.tensor([[2, 3], [1, 1], [3, 2]]), lengths)
    with pytest.raises(DataError, match="not in the vocabulary of 20"):
        classifier(torch.tensor([[2, 20]]))
    with pytest.raises(DataError, match="batch norm"):
        classifier.train()(torch.tensor([[2, 3]]))


@pytest.mark.parametrize(
    "ids",
    [[[2, 3]], np.array([[2, 3]]), None, torch.tensor([[True]]), torch.ones(1, 2, dtype=torch.int16), torch.ones(1, 2),
     torch.ones(1, 2, dtype=torch.complex64), torch.tensor([2, 3]), torch.ones(1, 2, 3, dtype=torch.long)],
)  # fmt: skip
def test_ids_are_integers_in_rows(ids: object):
    for model in (small(), get_text_classifier(AWD_LSTM, V, 3, config=SIZES)):
        with pytest.raises(DataError, match=r"ids must be .*shape \(B, T\); got"):
            model(ids)
    with pytest.raises(DataError, match=r"token must be .*shape \(B,\); got"):
        small().step(ids if not isinstance(ids, torch.Tensor) else ids[None])  # type: ignore[arg-type]


def test_ids_of_32_bits_are_ids():
    ids = torch.randint(2, V, (2, 5))
    assert small()(ids.int()).predictions().shape == (2, 5)
    classifier = get_text_classifier(AWD_LSTM, V, 3, config=SIZES).eval()
    torch.testing.assert_close(classifier(ids.int()).logits, classifier(ids).logits)


def test_configurations_are_read_only_mappings_and_one_changed_is_taken():
    assert dict(awd_lstm_lm_config)["n_hid"] == 1152
    assert awd_lstm_clas_config["weight_p"] == 0.5
    with pytest.raises(TypeError):
        awd_lstm_lm_config["n_hid"] = 3  # type: ignore[index]
    config = awd_lstm_lm_config.copy() | SIZES  # type: ignore[attr-defined]
    model = get_language_model(AWD_LSTM, V, config, drop_mult=0.5)
    assert model.config == AWDLSTMConfig(**SIZES).scaled(0.5)
    assert model.encoder.config.weight_p == 0.1
    assert isinstance(get_language_model(AWD_QRNN, V, awd_qrnn_lm_config | SIZES).config, AWDQRNNConfig)
    assert get_language_model(AWD_LSTM, V, AWDLSTMConfig(**SIZES)).config.n_hid == 10


def test_models_that_make_no_sense():
    with pytest.raises(ConfigError, match="n_hidden"):
        get_language_model(AWD_LSTM, V, {"n_hidden": 3})
    with pytest.raises(ConfigError, match="AWD_LSTM, AWD_QRNN"):
        get_language_model(nn.LSTM, V)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="AWD_LSTM needs a AWDLSTMConfig"):
        get_language_model(AWD_LSTM, V, AWDQRNNConfig())
    with pytest.raises(ConfigError, match="drop_mult=-1"):
        get_language_model(AWD_LSTM, V, SIZES, drop_mult=-1)
    with pytest.raises(ConfigError, match=r"weight_p=0\.5 becomes 2\.5"):
        get_text_classifier(AWD_LSTM, V, 2, config=SIZES, drop_mult=5)
    with pytest.raises(ConfigError, match="vocab_sz=1 must be greater than pad_token=1"):
        get_language_model(AWD_LSTM, 1, SIZES)
    with pytest.raises(ConfigError, match="must be even with bidir"):
        AWDLSTMConfig(emb_sz=7, bidir=True)
    with pytest.raises(ConfigError, match="tie_weights='no'"):
        AWDLSTMConfig(tie_weights="no")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="seq_len=0 must be at least 1; max_len=-1 must be at least 1"):
        get_text_classifier(AWD_LSTM, V, 2, seq_len=0, max_len=-1, config=SIZES)
    with pytest.raises(ConfigError, match=r"2 layers need as many dropouts.*ps=\[1\.0\].*y_range"):
        PoolingLinearClassifier([6, 5, 2], [1.0], y_range=(2, 1))
    with pytest.raises(ConfigError, match=r"\(20, 6\); the decoder needs \(21, 6\)"):
        LinearDecoder(21, 6, tie_encoder=small().encoder.embedding)


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    "given",
    [{"vocab_sz": "100"}, {"vocab_sz": 2.5}, {"vocab_sz": True}, {"vocab_sz": None}, {"drop_mult": "1"},
     {"drop_mult": None}, {"drop_mult": NAN}, {"drop_mult": INF}, {"config": "small"}, {"config": [1, 2]}],
)  # fmt: skip
def test_wrong_settings_of_a_language_model_are_named(given: dict[str, Any]):
    with pytest.raises(ConfigError, match=f"{next(iter(given))}=.* must be"):
        get_language_model(**{"arch": AWD_LSTM, "vocab_sz": V, "config": SIZES} | given)


@pytest.mark.parametrize(
    "given",
    [{"n_class": 0}, {"n_class": 2.5}, {"n_class": "3"}, {"n_class": None}, {"seq_len": 0}, {"seq_len": 2.5},
     {"seq_len": None}, {"max_len": 0}, {"max_len": 10.5}, {"max_len": NAN}, {"max_len": INF}, {"max_len": "x"},
     {"lin_ftrs": 50}, {"lin_ftrs": [0]}, {"lin_ftrs": [2.5]}, {"ps": 0.1}, {"ps": [1.0]}, {"ps": [NAN]}, {"ps": ["a"]},
     {"y_range": (5, 1)}, {"y_range": (1,)}, {"y_range": 5}, {"y_range": (NAN, 1)}, {"y_range": (0, INF)},
     {"y_range": (1, 2, 3)}, {"y_range": "ab"}, {"pad_idx": -1}, {"pad_idx": 1.5}],
)  # fmt: skip
def test_wrong_settings_of_a_classifier_are_named(given: dict[str, Any]):
    with pytest.raises(ConfigError, match=f"{next(iter(given))}=.* must be"):
        get_text_classifier(**{"arch": AWD_LSTM, "vocab_sz": V, "n_class": 2, "config": SIZES} | given)


@pytest.mark.parametrize(
    "given",
    [{"cutoffs": None}, {"cutoffs": 10}, {"cutoffs": [[1]]}, {"cutoffs": (10, 5)}, {"cutoffs": (0,)}, {"emb_sz": 1.5},
     {"emb_sz": True}, {"hidden_p": "0.1"}, {"hidden_p": NAN}, {"hidden_p": 1.0}, {"bidir": 1}, {"pad_token": -1},
     {"window": 1.0}, {"window": True}, {"window": 3}, {"zoneout_p": None}],
)  # fmt: skip
def test_wrong_fields_of_a_configuration_are_named(given: dict[str, Any]):
    with pytest.raises(ConfigError, match=f"{next(iter(given))}=.* must be"):
        AWDQRNNConfig(**given)


def test_numbers_of_numpy_and_lists_are_taken():
    config = AWDLSTMConfig(
        emb_sz=np.int64(6),
        n_hid=np.int32(10),
        n_layers=2,
        hidden_p=np.float32(0.5),
        bidir=np.bool_(False),
        cutoffs=[5, np.int64(9)],
    )
    plain = AWDLSTMConfig(emb_sz=6, n_hid=10, n_layers=2, hidden_p=0.5, cutoffs=(5, 9))
    assert config == plain
    assert hash(config) == hash(plain)
    assert json.loads(json.dumps(config.to_dict()))["cutoffs"] == [5, 9]
    model = get_text_classifier(
        AWD_LSTM,
        np.int64(V),
        np.int64(2),
        np.int32(4),
        config,
        np.float64(0.5),
        [np.int64(5)],
        [np.float32(0.1)],
        max_len=np.int64(9),
        y_range=(np.float32(0), np.int64(5)),
    )
    assert model.eval()(torch.randint(2, V, (3, 12))).logits.shape == (3, 2)
    assert json.dumps([model.head.y_range, model.document_encoder.max_len, model.document_encoder.bptt])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RNNDropout(1.5), r"p=1.5 must be in \[0, 1\)"),
        (lambda: EmbeddingDropout(5, 3, -0.1), r"p=-0.1 must be in \[0, 1\)"),
        (lambda: EmbeddingDropout(nn.Embedding(5, 3), 3, 0.1), "vocab_sz=.* must be a whole number"),  # type: ignore[arg-type]
        (lambda: LinearDecoder(0, 4), "n_out=0 must be at least 1"),
        (lambda: LinearDecoder(5, 4, output_p=2.0), r"output_p=2.0 must be in \[0, 1\)"),
        (lambda: LinearDecoder(20, 4, cutoffs=(10, 5)), r"cutoffs=\(10, 5\) must be rising"),
        (lambda: SentenceEncoder(5, nn.LSTM(3, 3)), "module=.*must be an object of Encoder"),  # type: ignore[arg-type]
        (lambda: PoolingLinearClassifier([30], []), r"dims=\[30\] must be at least two sizes"),
    ],
)
def test_pieces_with_wrong_settings_are_refused(make: Callable[[], nn.Module], message: str):
    with pytest.raises(ConfigError, match=message):
        make()


def test_the_padding_of_configuration_and_classifier_are_one():
    ids = torch.tensor([[5, 6, 7, 0, 0]])
    for given in ({"config": SIZES | {"pad_token": 0}}, {"config": SIZES, "pad_idx": 0}):
        model = get_text_classifier(AWD_LSTM, V, 2, **given).eval()
        assert (model.config.pad_token, model.document_encoder.pad_idx) == (0, 0)
        torch.testing.assert_close(model(ids).logits, model(ids[:, :3]).logits)
    for config in (SIZES | {"pad_token": 0}, AWDLSTMConfig(**SIZES, pad_token=0)):
        with pytest.raises(ConfigError, match="pad_idx=1, but pad_token=0"):
            get_text_classifier(AWD_LSTM, V, 2, config=config, pad_idx=1)
    assert get_text_classifier(AWD_LSTM, V, 2, config=SIZES, pad_idx=1).config.pad_token == 1


def test_configurations_can_be_copied_and_pickled():
    for copied in (copy.deepcopy(awd_lstm_lm_config), pickle.loads(pickle.dumps(awd_lstm_lm_config))):  # noqa: S301 (written here)
        assert copied == awd_lstm_lm_config
        with pytest.raises(TypeError):
            copied["n_hid"] = 3


def test_head_sizes_dropouts_and_range():
    model = get_text_classifier(AWD_LSTM, V, 1, config=SIZES, lin_ftrs=[7, 5], ps=[0.2, 0.3], y_range=(1, 10))
    dropouts = [m.p for m in model.head.modules() if isinstance(m, nn.Dropout)]
    assert dropouts == [0.4, 0.2, 0.3]
    assert [m.out_features for m in model.head.modules() if isinstance(m, nn.Linear)] == [7, 5, 1]
    plain = get_text_classifier(AWD_LSTM, V, 1, config=SIZES, lin_ftrs=[7, 5], ps=[0.2, 0.3])
    plain.load_state_dict(model.state_dict())
    ids = torch.randint(2, V, (30, 6))
    torch.testing.assert_close(model.eval()(ids).logits, 1 + 9 * plain.eval()(ids).logits.sigmoid())


def test_pieces_put_together_by_hand():
    encoder = AWD_LSTM(V, 6, 10, 2)
    model = SequentialRNN(encoder, LinearDecoder(V, 6, tie_encoder=encoder.embedding)).eval()
    ids = torch.randint(V, (2, 5))
    first, carried = model(ids).logits, model(ids).logits
    model.reset()
    torch.testing.assert_close(model(ids).logits, first)
    assert not torch.allclose(first, carried)
    classifier = SequentialRNN(SentenceEncoder(4, encoder), PoolingLinearClassifier([18, 2], [0.1])).eval()
    assert classifier(ids + 2 * (ids == 1)).logits.shape == (2, 2)


@ARCHS
def test_embedded_words_may_be_given(arch: type[Encoder]):
    encoder, ids = arch(V, 6, 10, 2).eval(), torch.randint(V, (2, 5))
    expected = encoder(ids)
    encoder.reset()
    torch.testing.assert_close(encoder(encoder.embedding(ids), from_embeds=True), expected)
    for wrong in (ids, torch.randn(2, 5, 7), [[1.0]]):
        with pytest.raises(DataError, match=r"from_embeds=True.*\(B, T, 6\); got"):
            encoder(wrong, from_embeds=True)
    encoder(ids[:1])  # another batch size begins anew
    assert encoder.state is not None
    assert encoder.state[0][0].shape[1] == 1


@ARCHS
def test_a_model_stored_in_bfloat16_answers(arch: type[Encoder]):
    torch.manual_seed(3)
    ids = torch.randint(2, V, (4, 9))
    classifier = get_text_classifier(arch, V, 2, config=SIZES).eval()
    with torch.no_grad():
        exact = classifier(ids).logits
        torch.testing.assert_close(classifier.bfloat16()(ids).logits.float(), exact, rtol=0, atol=0.02)
        model = small(arch).bfloat16()
        log_p, state = model.step(ids[:, 0])
        log_p, _ = model.step(ids[:, 1], state)
    assert log_p.dtype == torch.float32


@ARCHS
@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16])
def test_a_model_learns_in_bfloat16_on_every_processor(arch: type[Encoder], stored: torch.dtype):
    model, ids = small(arch).to(stored).train(), torch.randint(V, (2, 7))
    for _ in range(2):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output = model(ids[:, :-1])
            loss = output.cross_entropy(ids[:, 1:]) + output.ar + output.tar
        loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.abs().sum() > 0 for p in model.parameters())


@ARCHS
@pytest.mark.parametrize("cutoffs", [(), (8,)])
def test_a_model_in_float64_is_exact(arch: type[Encoder], cutoffs: tuple[int, ...]):
    ids = torch.randint(2, V, (3, 7))
    for drop_mult in (0.0, 1.0):
        config = SIZES | {"cutoffs": cutoffs}
        output = get_language_model(arch, V, config, drop_mult).double().train()(ids)
        answer = get_text_classifier(arch, V, 2, config=SIZES, drop_mult=drop_mult).double().train()(ids)
        made = [output.logits, output.ar, output.tar, answer.logits, answer.ar, answer.tar]
        losses = [output.cross_entropy(ids), answer.cross_entropy(torch.tensor([0, 1, 1]))]
        assert {t.dtype for t in made + losses} == {torch.float64}
    whole = output.logits.flatten(0, 1)
    torch.testing.assert_close(losses[0], nn.functional.nll_loss(whole, ids.flatten()), rtol=1e-12, atol=0)
    model = small(arch).double()
    log_p, _ = model.step(ids[:, 0])
    torch.testing.assert_close(log_p.exp().sum(1), torch.ones(3, dtype=torch.float64), rtol=0, atol=1e-12)


def test_a_language_model_does_not_read_in_both_directions():
    with pytest.raises(ConfigError, match="sees the words it is to predict"):
        get_language_model(AWD_LSTM, 20, {"emb_sz": 4, "n_hid": 6, "bidir": True})


def test_a_drop_mult_that_is_too_large_is_named():
    with pytest.raises(ConfigError, match=r"drop_mult=5 is too large: input_p=0.25 becomes 1.25"):
        AWDLSTMConfig(hidden_p=0.0).scaled(5)
