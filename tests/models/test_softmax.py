from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ulmfit.models import softmax
from ulmfit.models.softmax import Decoder, linear_cross_entropy

N, E, V = 37, 8, 50


@pytest.mark.parametrize("chunk", [1, 5 * V, 10_000_000])
def test_chunked_loss_and_gradients_equal_those_of_the_whole_logits(monkeypatch: pytest.MonkeyPatch, chunk: int):
    monkeypatch.setattr(softmax, "_LOGITS_PER_CHUNK", chunk)
    x, w, b = (torch.randn(s, dtype=torch.float64, requires_grad=True) for s in ((N, E), (V, E), (V,)))
    target = torch.randint(V, (N,))
    loss = linear_cross_entropy(x, w, b, target)
    expected = F.cross_entropy(F.linear(x, w, b), target, reduction="sum")
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    got = torch.autograd.grad(3 * loss, (x, w, b))
    for mine, reference in zip(got, torch.autograd.grad(3 * expected, (x, w, b)), strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-9, atol=1e-12)


def test_loss_without_gradient_is_the_same():
    x, w, b = torch.randn(N, E), torch.randn(V, E), torch.randn(V)
    target = torch.randint(V, (N,))
    with torch.no_grad():
        assert linear_cross_entropy(x, w, b, target).item() == pytest.approx(
            F.cross_entropy(F.linear(x, w, b), target, reduction="sum").item(), rel=1e-5
        )


def decoder(cutoffs: tuple[int, ...]) -> Decoder:
    made = Decoder(nn.Parameter(torch.randn(V, E)), cutoffs=cutoffs)
    for p in made.parameters():
        nn.init.normal_(p)
    return made


@pytest.mark.parametrize("cutoffs", [(), (10,), (10, 30)])
def test_probabilities_of_all_words_sum_to_one(cutoffs: tuple[int, ...]):
    log_p = decoder(cutoffs).log_probabilities(torch.randn(3, 4, E))
    assert log_p.shape == (3, 4, V)
    torch.testing.assert_close(log_p.exp().sum(-1), torch.ones(3, 4))


@pytest.mark.parametrize("cutoffs", [(), (10,), (10, 30)])
def test_loss_is_that_of_the_probabilities(cutoffs: tuple[int, ...]):
    made, x, target = decoder(cutoffs), torch.randn(N, E, requires_grad=True), torch.randint(V, (N,))
    loss = made.cross_entropy(x, target)
    expected = F.nll_loss(made.log_probabilities(x), target)
    torch.testing.assert_close(loss, expected)
    parameters = [x, *made.parameters()]
    for mine, reference in zip(
        torch.autograd.grad(loss, parameters), torch.autograd.grad(expected, parameters), strict=True
    ):
        torch.testing.assert_close(mine, reference, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("cutoffs", [(), (10,), (10, 30)])
def test_prediction_is_the_likeliest_word(cutoffs: tuple[int, ...]):
    made, x = decoder(cutoffs), torch.randn(500, E)
    assert torch.equal(made.predictions(x), made.log_probabilities(x).argmax(1))


def test_no_target_in_a_cluster_is_fine():
    made, x = decoder((10, 30)), torch.randn(N, E)
    assert torch.isfinite(made.cross_entropy(x, torch.randint(10, (N,))))
