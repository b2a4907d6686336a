"""Files of tensors and facts: safetensors with JSON in the header, replaced whole or not at all."""

from __future__ import annotations

import glob
import json
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ulmfit.errors import FormatError, named

_SUM = "crc32"  # of the tensors, in the header: the format itself has none
_MEND = "Take a copy that is whole, or remove the file and begin anew"


def write_tensors(path: Path, tensors: Mapping[str, Tensor], kind: str, facts: Mapping[str, Any]) -> None:
    """Write a file; at `path` is the one before or the new one, whole, whatever happens while writing.

    Args:
        path: the file; its folder is made.
        tensors: by name.
        kind: what the file is, as `read_tensors` will ask.
        facts: JSON values.

    Raises:
        OSError: the disk is full or not writable; the file before is still there.
    """
    before = ""
    try:
        before = "; the one before is still whole" if path.is_file() else ""
        path.parent.mkdir(parents=True, exist_ok=True)
        clear_leftovers(path, seconds=60)  # a younger one may be another program's
        with tempfile.TemporaryDirectory(
            ".writing", f".{path.name}.", path.parent, ignore_cleanup_errors=True
        ) as apart:
            new = Path(apart, "new")
            plain = _apart(tensors)
            save_file(plain, new, {kind: json.dumps(facts, ensure_ascii=False), _SUM: str(_sum_of(plain))})
            with new.open("rb+") as file:
                os.fsync(file.fileno())
            new.replace(path)
    except (SafetensorError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OSError(f"{path} cannot be written: {reason}{before}") from error


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tied weights share their storage, which the format does not allow: each is written as a tensor of its own."""
    plain: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        t = tensor.detach().cpu().contiguous()
        place = t.untyped_storage().data_ptr()
        plain[name] = t.clone() if place in seen else t
        seen.add(place)
    return plain


def _sum_of(tensors: Mapping[str, Tensor]) -> int:
    """Tells whether they are those that were written; not against someone who wants it not to."""
    total = 0
    for name, t in sorted(tensors.items()):
        total = zlib.crc32(t.reshape(-1).view(torch.uint8).numpy().data, zlib.crc32(name.encode(), total))
    return total


def clear_leftovers(path: Path, seconds: float = 0.0) -> None:
    """Remove what a program left that was killed while it wrote this file, so many seconds ago."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.writing"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime >= seconds:
                shutil.rmtree(left) if left.is_dir() else left.unlink()


def read_tensors(path: Path, kind: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Facts and tensors of a file.

    Raises:
        FormatError: the file is of another kind, or damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            if kind not in header:
                held = ", ".join(header.keys() - {_SUM})
                reader = {"encoder": "; learn.load_encoder reads it", "model": "; learn.load reads it"}.get(held, "")
                raise FormatError(f"{path} is no {kind} file" + (f": it holds: {held}{reader}" if held else ""))
            facts: dict[str, Any] = json.loads(header[kind])
            # Not what the file gives, which stays open as long as such a tensor lives: it may be replaced before.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        mend = "" if isinstance(error, FileNotFoundError) else f". {_MEND}"
        raise FormatError(f"{path} is no {kind}, or is damaged: {error}{mend}") from error
    if header.get(_SUM, written := str(_sum_of(tensors))) != written:
        raise FormatError(f"{path} is damaged: its numbers are not those that were written. {_MEND}")
    return facts, tensors


def optimizer_state(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    """An optimizer's averages as named tensors, and the settings of its groups."""
    state = optimizer.state_dict()
    tensors = {
        f"optimizer.{index}.{name}": t
        for index, values in state["state"].items()
        for name, t in values.items()
        if isinstance(t, Tensor)
    }
    return tensors, [{k: v for k, v in g.items() if k != "params"} for g in state["param_groups"]]


def load_optimizer(
    optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], groups: Sequence[Mapping[str, Any]], path: Path
) -> None:
    """Put an optimizer into the state that `optimizer_state` gave.

    Raises:
        FormatError: it has other groups of parameters.
    """
    own = optimizer.state_dict()["param_groups"]
    if len(own) != len(groups):
        raise FormatError(f"{path}: {len(groups)} groups of parameters there, {len(own)} here")
    states: dict[int, dict[str, Tensor]] = {}
    for name, t in tensors.items():
        if name.startswith("optimizer."):
            _, index, value = name.split(".", 2)
            states.setdefault(int(index), {})[value] = t
    settings = [
        group | {k: tuple(v) if isinstance(v, list) else v for k, v in saved.items()}
        for saved, group in zip(groups, own, strict=True)  # JSON has no tuples
    ]
    optimizer.load_state_dict({"state": states, "param_groups": settings})


def compare_weights(path: Path, there: Mapping[str, Tensor], here: Mapping[str, Tensor], what: str = "model") -> None:
    """Refuse weights of another model.

    Raises:
        FormatError: names or shapes differ; both sides are named.
    """
    problems = [f"{name} is missing" for name in here.keys() - there.keys()]
    problems += [f"{name} is not in this model" for name in there.keys() - here.keys()]
    problems += [
        f"{name} has shape {tuple(there[name].shape)} there and {tuple(here[name].shape)} here"
        for name in here.keys() & there.keys()
        if there[name].shape != here[name].shape
    ]
    if problems:
        raise FormatError(f"{path} is of another {what}: {named(sorted(problems), between='; ')}")
