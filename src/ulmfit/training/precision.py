"""Which number format training computes in."""

from __future__ import annotations

import functools
import time
from contextlib import AbstractContextManager, nullcontext

import torch

from ulmfit.arguments import one_of
from ulmfit.errors import ConfigError
from ulmfit.training.distributed import Processes

AUTO = "auto"
PRECISIONS = (AUTO, "bf16", "fp16", "fp32")
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
_SIDE, _TURNS = 512, 5  # of the matrices by which a CPU's speed is compared
_GAIN = 1.25  # by which products in bfloat16 are to be faster: less is lost again where numbers change their format


def supports_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 matrices in hardware."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu" and hasattr(torch.cpu, "get_capabilities"):
        capabilities = torch.cpu.get_capabilities()
        return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    return False


def _seconds_of_product(dtype: torch.dtype, device: torch.device) -> float:
    """What one product of two matrices takes."""
    x = torch.ones(_SIDE, _SIDE, dtype=dtype, device=device)
    started = time.perf_counter()
    x @ x
    return time.perf_counter() - started


@functools.cache
def gains_by_bf16(device: torch.device) -> bool:
    """Whether training is to be in bfloat16: a CPU that has it is measured, for some hundredths of a second.

    With AMX, and on an AMD EPYC with AVX-512, large products are twice as fast and more; an Intel Xeon that has AVX-512
    with bfloat16 but shows no AMX, as many virtual machines do, needs twice the time.
    """
    if not supports_bf16(device):
        return False
    if device.type != "cpu":
        return True
    dtypes = torch.float32, torch.bfloat16
    turns = [[_seconds_of_product(dtype, device) for dtype in dtypes] for _ in range(_TURNS + 1)][1:]  # one warms up
    full, half = (min(times) for times in zip(*turns, strict=True))
    return bool(full > _GAIN * half)


def _has(precision: str, device: torch.device) -> bool:
    """Whether the device trains in it."""
    return precision == "fp32" or (device.type == "cuda" if precision == "fp16" else supports_bf16(device))


def resolve_precision(precision: str, device: torch.device) -> str:
    """Turn "auto" into "bf16" where that is faster on the device, else "fp32".

    Raises:
        ConfigError: the name is not known, or the device does not have what is asked for.
    """
    if precision not in PRECISIONS:
        raise ConfigError(f"precision={precision!r} is not known; {one_of(precision, PRECISIONS)}")
    if precision == AUTO:
        return "bf16" if gains_by_bf16(device) else "fp32"
    if _has(precision, device):
        return precision
    if precision == "fp16":
        raise ConfigError(f"fp16 needs a CUDA device, and this is a {device.type}; use precision='auto'")
    raise ConfigError(f"this {device.type} has no bfloat16 arithmetic; use precision='fp32' (or 'auto')")


def same_precision(there: str, here: str, device: torch.device) -> str:
    """That of a fit that was interrupted, if the device has it, so that it ends as it would have; else that of here."""
    return there if _has(there, device) else here


def check_precision(precision: str) -> None:
    """Refuse a precision that training here will not have, before there is any work to lose.

    Raises:
        ConfigError: as of `resolve_precision`.
    """
    resolve_precision(precision, Processes().device)


def half_precision(device: torch.device) -> tuple[str, str]:
    """What to ask for in place of fp16 on a device, and a sentence that says so (empty where it is fp16 itself)."""
    if device.type == "cuda":
        return "fp16", ""
    precision = resolve_precision(AUTO, device)
    without = "as bf16 is no faster" if supports_bf16(device) else "as it has no bf16 either"
    why = "which is faster than fp32" if precision == "bf16" else without
    return AUTO, f"to_fp16: this {device.type} has no fp16 training; training in {precision}, {why}"


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """The context in which forward passes run."""
    return torch.autocast(device.type, dtype=_DTYPES[precision]) if precision in _DTYPES else nullcontext()
