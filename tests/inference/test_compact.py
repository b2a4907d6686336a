from __future__ import annotations

import pytest
import torch

from ulmfit.errors import FormatError
from ulmfit.inference.compact import compress, expand


def test_large_matrices_lose_little_and_the_rest_nothing():
    torch.manual_seed(0)
    weights = {
        "matrix": torch.randn(100, 64) * torch.logspace(-6, 3, 100)[:, None],
        "zero": torch.zeros(100, 64),
        "small": torch.randn(3, 5),
        "vector": torch.randn(9000),
        "count": torch.arange(10_000).view(100, 100),
    }
    compact = compress(weights)
    before = weights["matrix"].nbytes
    assert compact["matrix.int8"].nbytes + compact["matrix.scales"].nbytes < before / 3
    again = expand(compact)
    assert again.keys() == weights.keys()
    bound = weights["matrix"].abs().amax(1, keepdim=True) / 254 * 1.001
    assert ((again["matrix"] - weights["matrix"]).abs() <= bound).all()
    for name in ("zero", "small", "vector", "count"):
        assert torch.equal(again[name], weights[name]), name


def test_values_without_their_scales_are_refused():
    compact = compress({"matrix": torch.randn(100, 64)})
    with pytest.raises(FormatError, match="matrix: the int8 values have no scales"):
        expand({"matrix.int8": compact["matrix.int8"], "matrix.scales": compact["matrix.scales"][:50]})
