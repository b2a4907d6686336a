from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ulmfit.models import softmax
from ulmfit.models.softmax import Decoder, linear_cross_entropy

N, E, V = 37, 8, 50


@pytest.mark.parametrize(("chunk", "block"), [(1, 7), (5 * V, 16), (10_000_000, 4096)])
@pytest.mark.parametrize("shift", [0.0, 500.0, -500.0])
def test_chunked_loss_and_gradients_equal_those_of_the_whole_logits(
    monkeypatch: pytest.MonkeyPatch, chunk: int, block: int, shift: float
):
    monkeypatch.setattr(softmax, "_LOGITS_PER_CHUNK", chunk)
    monkeypatch.setattr(softmax, "_ROWS_PER_CHUNK", 1)
    monkeypatch.setattr(softmax, "_WORDS_PER_BLOCK", block)
    x, w, b = (torch.randn(s, dtype=torch.float64) for s in ((N, E), (V, E), (V,)))
    b[: V // 2] += shift  # logits whose exponentials leave the range
    x, w, b = (t.requires_grad_() for t in (x, w, b))
    target = torch.randint(V, (N,))
    loss = linear_cross_entropy(x, w, b, target)
    expected = F.cross_entropy(F.linear(x, w, b), target, reduction="sum")
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=0)
    # Twice, and multiplied by something else each time.
    for factor in (3.0, 1.0, 0.5):
        got = torch.autograd.grad(factor * loss, (x, w, b), retain_graph=True)
        reference = torch.autograd.grad(factor * expected, (x, w, b), retain_graph=True)
        torch.testing.assert_close(got, reference, rtol=1e-9, atol=1e-12)


def test_second_derivatives_are_refused():
    w = torch.randn(V, E, requires_grad=True)
    loss = linear_cross_entropy(torch.randn(N, E), w, None, torch.randint(V, (N,)))
    with pytest.raises(RuntimeError, match="first derivatives only"):
        torch.autograd.grad(loss, w, create_graph=True)


@pytest.mark.parametrize("learned", [{0}, {1}, {2}, {1, 2}])
def test_gradients_are_made_of_what_learns_only(learned: set[int]):
    inputs = [torch.randn(s).requires_grad_(i in learned) for i, s in enumerate(((N, E), (V, E), (V,)))]
    target, saved = torch.randint(V, (N,)), list[torch.Tensor]()
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        loss = linear_cross_entropy(*inputs, target)
    assert [t.shape for t in saved] == [inputs[i].shape for i in sorted(learned)]
    sources = [inputs[i] for i in sorted(learned)]
    expected = F.cross_entropy(F.linear(*inputs), target, reduction="sum")
    torch.testing.assert_close(torch.autograd.grad(loss, sources), torch.autograd.grad(expected, sources))


def test_nothing_is_differentiated_where_nothing_learns(monkeypatch: pytest.MonkeyPatch):
    x, w, b, target = torch.randn(N, E), torch.randn(V, E), torch.randn(V), torch.randint(V, (N,))
    monkeypatch.setattr(softmax._LinearCrossEntropy, "forward", None)
    loss = linear_cross_entropy(x, w, b, target)
    torch.testing.assert_close(loss, F.cross_entropy(F.linear(x, w, b), target, reduction="sum"))


def test_without_biases_there_is_none_of_clusters():
    made = Decoder(nn.Parameter(torch.randn(V, E)), bias=False, cutoffs=(10, 30))
    made.cross_entropy(torch.randn(N, E), torch.arange(N)).backward()
    assert [name for name, p in made.named_parameters() if p.grad is not None] == ["weight", "clusters"]
    assert [name for name, _ in made.named_parameters()] == ["weight", "clusters"]


@pytest.mark.parametrize("scale", [1.0, 60.0])
def test_bfloat16_gradients_are_close(scale: float):
    x, w, b = (torch.randn(s) for s in ((400, E), (V, E), (V,)))
    x, target = x * scale, torch.randint(V, (400,))
    x, w, b = (t.bfloat16().float().requires_grad_() for t in (x, w, b))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = linear_cross_entropy(x, w, b, target)
    expected = F.cross_entropy(F.linear(x, w, b), target, reduction="sum")
    assert loss.item() == pytest.approx(expected.item(), rel=0.01)
    got, reference = (torch.autograd.grad(value, (x, w, b)) for value in (loss, expected))
    for mine, exact in zip(got, reference, strict=True):
        assert (mine - exact).norm() / exact.norm() < 0.05


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
