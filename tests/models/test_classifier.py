from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ulmfit.errors import ConfigError, DataError
from ulmfit.models.classifier import PoolingLinearClassifier, SentenceEncoder, TextClassifier
from ulmfit.models.config import AWDLSTMConfig, AWDQRNNConfig, EncoderConfig
from ulmfit.models.pooling import Pooled

CONFIG = AWDLSTMConfig(emb_sz=6, n_hid=10, n_layers=2)
CONFIGS = [
    CONFIG,
    AWDLSTMConfig(emb_sz=6, n_hid=10, n_layers=2, bidir=True),
    AWDQRNNConfig(emb_sz=6, n_hid=10, n_layers=2, window=2),
    AWDQRNNConfig(emb_sz=6, n_hid=10, n_layers=2, window=1, bidir=True),
]
V, C, PAD = 30, 3, 1


TWO_TEXTS = torch.tensor([[5, PAD, 4, 3, PAD], [2, 3, PAD, PAD, PAD]])  # one with a word that is spelt like padding


def model(bptt: int = 5, max_len: int = 12, config: EncoderConfig = CONFIG) -> TextClassifier:
    torch.manual_seed(1)
    return TextClassifier(V, C, config, bptt=bptt, max_len=max_len).eval()


def batch(lengths: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(sum(lengths))
    ids = torch.full((len(lengths), max(lengths)), PAD)
    for row, n in enumerate(lengths):
        ids[row, :n] = torch.randint(2, V, (n,), generator=generator)
    return ids, torch.tensor(lengths)


@pytest.mark.parametrize("config", CONFIGS, ids=["lstm", "lstm both ways", "qrnn", "qrnn both ways"])
@settings(deadline=None, max_examples=20)
@given(lengths=st.lists(st.integers(1, 40), min_size=1, max_size=8))
def test_a_text_is_answered_alike_alone_and_among_any_others(config: EncoderConfig, lengths: list[int]):
    classifier = model(config=config)
    ids, n = batch(lengths)
    with torch.no_grad():
        together = classifier(ids, n).logits
        alone = torch.cat([classifier(ids[i : i + 1, : n[i]], n[i : i + 1]).logits for i in range(len(lengths))])
        flipped = classifier(ids.flip(0), n.flip(0)).logits.flip(0)
        unsaid = classifier(ids).logits
        in_front = classifier(torch.stack([row.roll(len(row) - int(k)) for row, k in zip(ids, n, strict=True)])).logits
    for other in (alone, flipped, unsaid, in_front):
        torch.testing.assert_close(together, other, rtol=0, atol=1e-5)


@pytest.mark.parametrize("config", CONFIGS[::2], ids=["lstm", "qrnn"])
def test_bfloat16_answers_alike_alone_and_among_others(config: EncoderConfig):
    classifier = model(config=config)
    ids, n = batch([3, 40, 17, 8, 25])
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        together = classifier(ids, n).logits
        alone = torch.cat([classifier(ids[i : i + 1, : n[i]], n[i : i + 1]).logits for i in range(len(n))])
    torch.testing.assert_close(together.float(), alone.float(), rtol=0, atol=5e-3)


@pytest.mark.parametrize("length", [1, 4, 5, 6, 11, 12, 13, 30])
def test_pooling_is_last_maximum_and_mean_of_the_last_positions(length: int):
    encoder = SentenceEncoder(5, model().encoder, max_len=12).eval()
    ids, n = batch([length, 40])
    with torch.no_grad():
        features = encoder(ids, n).features[0]
        outputs = encoder.encoder.encode(ids[:1, :length])[0][0][-12:]
    expected = torch.cat([outputs[-1], outputs.amax(0), outputs.mean(0)])
    torch.testing.assert_close(features, expected)


def test_what_stands_before_the_pooled_positions_gets_no_gradient():
    classifier = model(bptt=5, max_len=5).train()
    ids = torch.arange(2, 22).unsqueeze(0).repeat(2, 1)
    pooled = classifier.document_encoder(ids, torch.tensor([20, 20]))
    pooled.features.sum().backward()
    gradient = classifier.encoder.embedding.weight.grad
    assert gradient is not None
    touched = gradient.abs().sum(1).nonzero().squeeze(1)
    assert set(touched.tolist()) <= set(range(17, 22))
    assert len(touched) > 0


def test_a_short_text_learns_from_all_of_its_pooled_positions_beside_a_long_one():
    classifier = model(bptt=5, max_len=10).train()
    ids = torch.full((2, 30), PAD)
    ids[0] = 2
    ids[1, :8] = torch.arange(10, 18)
    pooled = classifier.document_encoder(ids, torch.tensor([30, 8]))
    pooled.features[1].sum().backward()
    gradient = classifier.encoder.embedding.weight.grad
    assert gradient is not None
    assert (gradient[10:18].abs().sum(1) > 0).sum() >= 7  # one word may be dropped


@pytest.mark.parametrize(
    "config",
    [
        AWDLSTMConfig(emb_sz=6, n_hid=10, n_layers=2, weight_p=0.5, input_p=0, hidden_p=0, embed_p=0),
        AWDQRNNConfig(emb_sz=6, n_hid=10, n_layers=2, weight_p=0.5, input_p=0, hidden_p=0, embed_p=0, window=1),
    ],
    ids=["lstm", "qrnn"],
)
@pytest.mark.parametrize("learn", [True, False])
def test_weights_are_dropped_once_for_all_chunks_of_a_batch(config: EncoderConfig, learn: bool):
    in_pieces, whole = (model(bptt=bptt, config=config).document_encoder.train() for bptt in (5, 40))
    ids, n = batch([33, 20, 7])
    with torch.set_grad_enabled(learn):
        pooled = []
        for encoder in (in_pieces, whole):
            torch.manual_seed(2)
            pooled.append(encoder(ids, n).features)
        again = in_pieces(ids, n).features
    torch.testing.assert_close(*pooled, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(again, pooled[0], atol=1e-3)  # the next batch has others


def test_dropped_weights_learn_though_nothing_is_learned_of_the_first_chunk():
    classifier = model().train()
    classifier(*batch([40, 38])).logits.square().sum().backward()
    for name, parameter in classifier.encoder.layers.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_frozen_groups_build_no_graph_and_get_no_gradient():
    classifier = model().train()
    groups = classifier.parameter_groups()
    for group in groups[:-1]:
        for p in group:
            p.requires_grad_(False)
    ids, n = batch([7, 20, 3])
    assert not classifier.document_encoder(ids, n).features.requires_grad
    classifier(ids, n).cross_entropy(torch.tensor([0, 1, 2])).backward()
    assert all(p.grad is None for g in groups[:-1] for p in g)
    assert all(p.grad is not None for p in groups[-1])


@pytest.mark.parametrize("bptt", [1, 3, 8, 50])
@pytest.mark.parametrize("max_len", [5, None])
def test_regularisation_counts_real_positions_only(bptt: int, max_len: int | None):
    classifier = TextClassifier(V, C, CONFIG.scaled(0), bptt=bptt, max_len=max_len).train()
    ids, n = batch([4, 9, 1])
    output = classifier.document_encoder(ids, n)
    raw, _ = classifier.encoder.encode(ids)
    texts = [row[:length][-(max_len or length) :] for row, length in zip(raw, n.tolist(), strict=True)]
    torch.testing.assert_close(output.ar, torch.cat(texts).pow(2).mean())
    torch.testing.assert_close(output.tar, torch.cat([text[1:] - text[:-1] for text in texts]).pow(2).mean())


def test_temporal_regularisation_of_texts_without_padding_is_that_of_the_language_model():
    classifier = TextClassifier(V, C, CONFIG.scaled(0)).train()
    ids = torch.randint(2, V, (3, 6))
    classifier(ids).tar.backward()
    gradients = {name: p.grad.clone() for name, p in classifier.encoder.named_parameters() if p.grad is not None}
    classifier.zero_grad()
    raw, _ = classifier.encoder.encode(ids)
    (raw[:, 1:] - raw[:, :-1]).pow(2).mean().backward()
    for name, p in classifier.encoder.named_parameters():
        torch.testing.assert_close(gradients[name], p.grad)


def test_temporal_regularisation_of_texts_of_one_word_is_nothing():
    assert TextClassifier(V, C, CONFIG).train()(torch.tensor([[4], [5]])).tar == 0


@pytest.mark.parametrize(
    ("ids", "lengths", "message"),
    [
        (torch.ones(2, 5, dtype=torch.long), torch.tensor([5]), "lengths"),
        (torch.ones(2, 5, dtype=torch.long), torch.tensor([5, 6]), "between 1 and the 5"),
        (torch.ones(2, 5, dtype=torch.long), torch.tensor([0, 5]), "row 0 has 0"),
        (TWO_TEXTS, torch.tensor([3, 5]), "row 0 has the length 3, but 3 tokens .*the last at position 4"),
        (TWO_TEXTS, torch.tensor([4, 3]), "row 1 has the length 3, but 2 tokens .*the last at position 2"),
        (TWO_TEXTS.flip(1), torch.tensor([4, 2]), "row 0 has the length 4, but 3 tokens .*the last at position 5"),
        (TWO_TEXTS, torch.tensor([4.0, 2.0]), r"lengths must be integers .*\(B,\); got torch.float32"),
        (TWO_TEXTS, torch.tensor([[4], [2]]), "lengths must be integers"),
        (TWO_TEXTS, [4, 2], "lengths must be a tensor.*got list"),
        (torch.ones(0, 5, dtype=torch.long), torch.ones(0, dtype=torch.long), "empty"),
    ],
)
def test_lengths_that_disagree_with_the_ids_are_refused(ids: torch.Tensor, lengths: torch.Tensor, message: str):
    with pytest.raises(DataError, match=message):
        model()(ids, lengths)


def test_padding_within_a_text_is_one_of_its_words():
    lengths = torch.tensor([4, 2])
    together = model()(TWO_TEXTS, lengths).logits
    torch.testing.assert_close(model()(TWO_TEXTS[:1, :4], lengths[:1]).logits, together[:1])


def test_groups_hold_every_parameter_once():
    classifier = model()
    grouped = [id(p) for g in classifier.parameter_groups() for p in g]
    assert sorted(grouped) == sorted(id(p) for p in classifier.parameters())


def test_answers_are_float32_under_autocast():
    model = TextClassifier(20, 1, CONFIGS[0], y_range=(0.0, 1.0)).eval()
    ids = torch.randint(2, 20, (4, 6), generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert model(ids, torch.full((4,), 6)).logits.dtype == torch.float32


@pytest.mark.parametrize("values", [[0.5], [8.0, 1.0, 4.0]])
def test_answers_can_begin_anywhere_in_their_range(values: list[float]):
    torch.manual_seed(0)
    head = PoolingLinearClassifier([12, 50, len(values)], [0.1, 0.1], y_range=(0.0, 9.0))
    pooled = Pooled(features=torch.randn(500, 12), ar=torch.zeros(()), tar=torch.zeros(()))
    head.begin_at(torch.tensor(values))
    torch.testing.assert_close(head(pooled).logits.median(0).values, torch.tensor(values), atol=0.4, rtol=0)
    for wrong in (-1.0, 0.0, 9.0, float("nan")):
        with pytest.raises(ConfigError, match=r"begin at .*, the mean of the values: y_range=\(0\.0, 9\.0\)"):
            head.begin_at(torch.tensor([wrong] * len(values)))
    with pytest.raises(ConfigError, match="y_range=None"):
        PoolingLinearClassifier([12, 1], [0.1]).begin_at(torch.tensor([float("inf")]))


def test_logits_can_begin_anywhere():
    torch.manual_seed(0)
    head = PoolingLinearClassifier([12, 50, 28], [0.1, 0.1])
    rare = torch.linspace(-7, -1, 28)
    head.begin_at(rare)
    pooled = Pooled(features=torch.randn(500, 12), ar=torch.zeros(()), tar=torch.zeros(()))
    torch.testing.assert_close(head.eval()(pooled).logits.median(0).values, rare, atol=1.0, rtol=0)


def test_a_head_that_keeps_to_means_answers_and_learns_by_them_alone():
    torch.manual_seed(0)
    head = PoolingLinearClassifier([12, 5, C], [0.1, 0.1])
    head.keep_to_means()
    for frozen in (True, False):  # as a learner does
        for parameter in head.parameters():
            parameter.requires_grad_(not frozen)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.1)
    before = head.layers[0].weight.detach().clone()
    zero = torch.zeros(())
    for _ in range(3):
        features = Pooled(features=torch.randn(6, 12), ar=zero, tar=zero)
        optimizer.zero_grad()
        head(features).cross_entropy(torch.arange(6) % C).backward()
        optimizer.step()
    scales = head.layers[0].weight.detach()
    assert scales[:8].tolist() == [0.0] * 8
    assert (scales[8:] != before[8:]).all()
    head.eval()
    seen = torch.randn(4, 12)
    other = torch.cat([torch.randn(4, 8), seen[:, 8:]], 1)
    answers = [head(Pooled(features=f, ar=zero, tar=zero)).logits for f in (seen, other, seen + 1)]
    assert torch.equal(answers[0], answers[1])
    assert not torch.allclose(answers[0], answers[2])
