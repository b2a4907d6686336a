"""Which number format training computes in."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from ulmfit.errors import ConfigError

PRECISIONS = ("auto", "bf16", "fp32")


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
        ConfigError: the name is not known, or bf16 is asked for on a device without it.
    """
    if precision == "auto":
        return "bf16" if supports_bf16(device) else "fp32"
    if precision not in PRECISIONS:
        raise ConfigError(f"precision={precision!r} is not known; choose 'auto', 'bf16' or 'fp32'")
    if precision == "bf16" and not supports_bf16(device):
        raise ConfigError(f"this {device.type} has no bfloat16 arithmetic; use precision='fp32' (or 'auto')")
    return precision


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """The context in which forward passes run."""
    return torch.autocast(device.type, dtype=torch.bfloat16) if precision == "bf16" else nullcontext()
