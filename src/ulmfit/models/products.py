"""Matrix products as the processor likes them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

R = TypeVar("R")


def compute_dtype(x: Tensor) -> torch.dtype:
    """The dtype that matrix products take here: autocast's where it is on, else the tensor's own."""
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


def first_derivative(backward: Callable[..., R]) -> Callable[..., R]:
    """A backward pass of our own that refuses to be differentiated in turn: a part would be missing, unseen."""

    @functools.wraps(backward)
    def checked(*arguments: Any) -> R:
        if torch.is_grad_enabled():
            raise RuntimeError("create_graph=True: these models have first derivatives only, not those of gradients")
        return backward(*arguments)

    return checked


def widened(x: Tensor) -> Tensor:
    """In float32, or in the tensor's own dtype if that is wider."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def learns(*tensors: Tensor | None) -> bool:
    """Whether a graph is to be built for these."""
    return torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)


def _has_onednn() -> bool:
    return torch.backends.mkldnn.is_available() and all(  # type: ignore[no-untyped-call]
        hasattr(torch.ops.mkldnn, name) for name in ("_linear_pointwise", "_reorder_linear_weight")
    )


_HAS_ONEDNN = _has_onednn()


@functools.cache
def _of_onednn() -> frozenset[torch.dtype]:
    """What oneDNN multiplies on this processor; bfloat16 it refuses where there is no AVX-512."""
    with_bf16 = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return frozenset({torch.float32, torch.bfloat16} if with_bf16 else {torch.float32})


def own_loops(device: torch.device) -> bool:
    """Whether layers may be computed step by step here: on a CPU, and not while a program is recorded for export."""
    recording = torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None
    return device.type == "cpu" and not recording


def direct(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether oneDNN's products can be called directly.

    The operators are those that torch's compiler emits; a release without them, or a processor on which they do not
    take `dtype`, has torch's own products.
    """
    return _HAS_ONEDNN and own_loops(device) and dtype in _of_onednn()


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`F.linear`, by oneDNN where no graph is built: on an AMD EPYC 2.4 times as fast in float32 as torch's choice.

    Args:
        x: (..., n_in).
        weight: (n_out, n_in).
        bias: (n_out,) or None.

    Returns:
        (..., n_out) in autocast's dtype.
    """
    dtype = compute_dtype(x)
    if learns(x, weight, bias) or not direct(dtype, x.device):
        return F.linear(x, weight, bias)
    bias = None if bias is None else bias.to(dtype)
    result: Tensor = torch.ops.mkldnn._linear_pointwise(x.to(dtype), weight.to(dtype), bias, "none", [], "")
    return result


class RepeatedProduct:
    """`x @ weight.T` for many small `x` in turn; on a CPU the weight is laid out once as the product wants it.

    That is 1.15 times as fast for 64 rows in bfloat16, and 2.3 times for one.

    Args:
        weight: (n_out, n_in), without a graph.
    """

    # The layout chosen for so many rows is the best one for fewer too.
    _ROWS = 64

    def __init__(self, weight: Tensor) -> None:
        self.packed = direct(weight.dtype, weight.device)
        self.weight = (
            torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), self._ROWS) if self.packed else weight
        )

    def __call__(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """(..., n_in) to (..., n_out)."""
        if not self.packed:
            return F.linear(x, self.weight, bias)
        result: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.weight, bias, "none", [], "")
        return result


class _Seen:
    """A weight as it was, to tell whether it still is: where it lies, how often it was written to, some of its values.

    It holds on to the memory, so that no other tensor can come to lie there.
    """

    _ROWS, _COLUMNS = 16, 8  # of the sample; more would be noticed where each is read from memory

    def __init__(self, weight: Tensor) -> None:
        n_rows, n_columns = weight.shape
        self._place, self._version, self._shape = weight.data_ptr(), weight._version, weight.shape
        self._now = weight.detach()[:: n_rows // self._ROWS + 1, :: n_columns // self._COLUMNS + 1]
        self._before = self._now.clone()

    def still(self, weight: Tensor) -> bool:
        """Whether it is this weight, with the same values as far as can be told."""
        return (
            weight.data_ptr() == self._place
            and weight._version == self._version
            and weight.shape == self._shape
            and torch.equal(self._now, self._before)
        )


class KeptProducts:
    """Products with some weights, kept from call to call for as long as the weights stay what they are.

    Other tensors in place of the weights are seen, and what is written to them is, but for one case: through `.data`,
    which tells nobody, and so that 128 values, evenly strided over rows and columns, stay as they were. Then call
    `clear`, as a layer's `train` and `eval` do.

    Copies and pickles of it are empty: what it keeps is made again from the weights.
    """

    def __init__(self) -> None:
        # One value, so that of several threads each sees weights and products that belong together.
        self._kept: tuple[torch.dtype, list[_Seen], list[RepeatedProduct]] | None = None

    def get(self, weights: list[Tensor], dtype: torch.dtype) -> list[RepeatedProduct]:
        """A product with each of the weights, in `dtype`."""
        if any(w.is_inference() for w in weights):  # nothing tells whether such a tensor has changed
            return [RepeatedProduct(w.to(dtype)) for w in weights]
        kept = self._kept
        if kept is not None and kept[0] == dtype and all(s.still(w) for s, w in zip(kept[1], weights, strict=True)):
            return kept[2]
        products = [RepeatedProduct(w.detach().to(dtype)) for w in weights]
        self._kept = (dtype, [_Seen(w) for w in weights], products)
        return products

    def clear(self) -> None:
        """Forget what is kept."""
        self._kept = None

    def __deepcopy__(self, memo: dict[int, Any]) -> KeptProducts:
        return KeptProducts()

    def __getstate__(self) -> dict[str, Any]:
        return {"_kept": None}
