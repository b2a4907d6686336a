"""Which number format training computes in."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from ulmfit.arguments import one_of
from ulmfit.errors import ConfigError
from ulmfit.training.distributed import Processes

PRECISIONS = ("auto", "bf16", "fp16", "fp32")
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def supports_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 matrices in hardware."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu" and hasattr(torch.cpu, "get_capabilities"):
        capabilities = torch.cpu.get_capabilities()
        return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    return False


def resolve_precision(precision: str, device: torch.device) -> str:
    """Turn "auto" into "bf16" where the device has it, else "fp32".

    Raises:
        ConfigError: the name is not known, or the device does not have what is asked for.
    """
    if precision not in PRECISIONS:
        raise ConfigError(f"precision={precision!r} is not known; {one_of(precision, PRECISIONS)}")
    if precision == "auto":
        return "bf16" if supports_bf16(device) else "fp32"
    if precision == "bf16" and not supports_bf16(device):
        raise ConfigError(f"this {device.type} has no bfloat16 arithmetic; use precision='fp32' (or 'auto')")
    if precision == "fp16" and device.type != "cuda":
        raise ConfigError(f"fp16 needs a CUDA device, and this is a {device.type}; use precision='auto'")
    return precision


def check_precision(precision: str) -> None:
    """Refuse a precision that training here will not have, before there is any work to lose.

    Raises:
        ConfigError: as of `resolve_precision`.
    """
    resolve_precision(precision, Processes().device)


def half_precision(device: torch.device) -> tuple[str, str]:
    """What stands in for fp16 on a device, and a sentence that says so (empty where it is fp16 itself)."""
    if device.type == "cuda":
        return "fp16", ""
    precision = resolve_precision("auto", device)
    what = "bf16, which it has in hardware" if precision == "bf16" else "fp32, as it has no bf16 either"
    return precision, f"to_fp16: this {device.type} has no fp16 training; training in {what}"


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """The context in which forward passes run."""
    return torch.autocast(device.type, dtype=_DTYPES[precision]) if precision in _DTYPES else nullcontext()
