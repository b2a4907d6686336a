"""Checkpoints: everything a fit needs to go on where it was interrupted, in one file that is never half there."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialize

from ulmfit.errors import FormatError
from ulmfit.training.callbacks import Callback

if TYPE_CHECKING:
    from torch import Tensor

    from ulmfit.training.learner import Learner

FORMAT_VERSION = 1
_COUNTS = ("epoch", "step", "n_steps", "n_targets", "passes", "batch", "seconds", "progress", "loss", "smooth_loss")


def save_checkpoint(learn: Learner, path: Path, about: Mapping[str, Any] | None = None) -> None:
    """Write a learner's weights, optimizer, random state, carried hidden state, position and history.

    The file at `path` is the one before or the new one, whole, whatever happens while writing.

    Args:
        learn: between two steps of a fit, or outside one.
        path: the file.
        about: further JSON values to keep, such as the settings of the run.

    Raises:
        OSError: the disk is full or not writable; the checkpoint before is still there.
    """
    tensors: dict[str, Tensor] = {f"model.{name}": t for name, t in learn.model.state_dict().items()}
    optimizer = learn.optimizer.state_dict()
    for index, values in optimizer["state"].items():
        tensors |= {f"optimizer.{index}.{name}": t for name, t in values.items()}
    for layer, parts in enumerate(getattr(learn.model, "state", None) or ()):
        tensors |= {f"state.{layer}.{i}": t for i, t in enumerate(parts)}
    tensors["random"] = learn.random_state()
    facts = {
        "format_version": FORMAT_VERSION,
        "learner": {name: getattr(learn, name) for name in _COUNTS},
        "history": learn.history,
        "groups": [{k: v for k, v in g.items() if k != "params"} for g in optimizer["param_groups"]],
        "about": dict(about or {}),
    }
    # Tied weights share their storage, which the format does not allow: each is written as a tensor of its own.
    content = serialize(
        {k: t.detach().cpu().contiguous().clone() for k, t in tensors.items()}, {"checkpoint": json.dumps(facts)}
    )
    _replace(path, content)


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".writing")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


def read_about(path: Path) -> dict[str, Any]:
    """The further values that a checkpoint was saved with.

    Raises:
        FormatError: the file is not a checkpoint, or damaged.
    """
    return dict(_read(path)[0]["about"])


def load_checkpoint(learn: Learner, path: Path) -> dict[str, Any]:
    """Put a learner into the state that `save_checkpoint` wrote; then `fit(..., resume=True)` goes on.

    Args:
        learn: with the same data, model and settings as the one that was saved.
        path: the file.

    Returns:
        the further values it was saved with.

    Raises:
        FormatError: the file is not a checkpoint, is damaged, or belongs to another model.
    """
    facts, tensors = _read(path)
    own = learn.model.state_dict()
    saved = {name.removeprefix("model."): t for name, t in tensors.items() if name.startswith("model.")}
    problems = [f"{name} is missing" for name in own.keys() - saved.keys()]
    problems += [f"{name} is not in this model" for name in saved.keys() - own.keys()]
    problems += [
        f"{name} has shape {tuple(saved[name].shape)} there and {tuple(own[name].shape)} here"
        for name in own.keys() & saved.keys()
        if saved[name].shape != own[name].shape
    ]
    if problems:
        raise FormatError(f"{path} is a checkpoint of another model: {'; '.join(sorted(problems)[:8])}")
    learn.model.load_state_dict(saved)
    optimizer = learn.optimizer.state_dict()
    params = [g["params"] for g in optimizer["param_groups"]]
    if len(params) != len(facts["groups"]):
        raise FormatError(f"{path}: {len(facts['groups'])} groups of parameters there, {len(params)} here")
    groups = [_tuples(group) | {"params": ps} for group, ps in zip(facts["groups"], params, strict=True)]
    states: dict[int, dict[str, Tensor]] = {}
    for name, t in tensors.items():
        if name.startswith("optimizer."):
            _, index, value = name.split(".", 2)
            states.setdefault(int(index), {})[value] = t
    learn.optimizer.load_state_dict({"state": states, "param_groups": groups})
    if hasattr(learn.model, "state"):
        learn.model.state = _hidden_state(tensors, learn)
    learn.set_random_state(tensors["random"])
    for name in _COUNTS:
        setattr(learn, name, facts["learner"][name])
    learn.history = list(facts["history"])
    return dict(facts["about"])


def _tuples(group: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has no tuples."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in group.items()}


def _hidden_state(tensors: Mapping[str, Tensor], learn: Learner) -> Any:
    layers: dict[int, dict[int, Tensor]] = {}
    for name, t in tensors.items():
        if name.startswith("state."):
            _, layer, part = name.split(".")
            layers.setdefault(int(layer), {})[int(part)] = t.to(learn.device)
    return [tuple(parts[i] for i in sorted(parts)) for _, parts in sorted(layers.items())] or None


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})["checkpoint"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError as error:
        raise FormatError(f"{path} does not exist: there is no checkpoint to resume from") from error
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise FormatError(f"{path} is not a checkpoint, or is damaged: {error}") from error
    if facts.get("format_version") != FORMAT_VERSION:
        raise FormatError(
            f"{path} has format version {facts.get('format_version')}; this version reads {FORMAT_VERSION}"
        )
    return facts, tensors


class SaveCheckpoint(Callback):
    """Saves a checkpoint every so often.

    Args:
        path: the file.
        seconds: between two checkpoints.
        about: as for `save_checkpoint`.
    """

    def __init__(self, path: Path, *, seconds: float = 300.0, about: Mapping[str, Any] | None = None) -> None:
        self.path, self.seconds, self.about = path, seconds, about
        self._last = time.monotonic()

    def before_fit(self, learn: Learner) -> None:
        """Start the interval."""
        self._last = time.monotonic()

    def after_batch(self, learn: Learner) -> None:
        """Save if the interval is over."""
        if time.monotonic() - self._last >= self.seconds:
            save_checkpoint(learn, self.path, self.about)
            self._last = time.monotonic()
