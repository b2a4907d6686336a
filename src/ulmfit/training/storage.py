"""Models and encoders in files, each with its vocabulary and configuration, so that they are never mixed up.

One safetensors file each, under `path/model_dir`; the facts are JSON in its header.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.optim import Optimizer

from ulmfit.errors import ConfigError, FormatError, named
from ulmfit.training.progress import say
from ulmfit.training.tensor_file import compare_weights, load_optimizer, optimizer_state, read_tensors, write_tensors

if TYPE_CHECKING:
    from ulmfit.training.learner import Learner

SUFFIX = ".safetensors"
MODEL, ENCODER = "model", "encoder"


def model_file(learn: Learner, file: Path | str) -> Path:
    """Where a file of this name lies: in `path/model_dir`, unless it is an absolute path."""
    if not Path(file).name:
        raise ConfigError(f"file={str(file)!r} must be a name, such as 'model'")
    path = learn.path / learn.model_dir / Path(file)
    return path if path.suffix == SUFFIX else path.with_name(path.name + SUFFIX)


def save(learn: Learner, file: Path | str, *, with_opt: bool = True) -> Path:
    """Write the weights and, unless told not to, the optimizer's state.

    Raises:
        OSError: the disk is full or not writable; a file that was there is still whole.
    """
    path = model_file(learn, file)
    tensors, facts = model_tensors(learn.model, learn.optimizer if with_opt else None)
    _write(learn, path, tensors, MODEL, facts_of(learn) | facts)
    return path


def model_tensors(model: nn.Module, optimizer: Optimizer | None) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What a file of a model holds: its tensors, and the settings of the optimizer."""
    tensors = {f"model.{name}": t for name, t in model.state_dict().items()}
    if optimizer is None:
        return tensors, {}
    averages, groups = optimizer_state(optimizer)
    return tensors | averages, {"groups": groups, "optimizer": type(optimizer).__name__}


def load(learn: Learner, file: Path | str, *, with_opt: bool | None = None, strict: bool = True) -> None:
    """Read what `save` wrote.

    Args:
        learn: with the same architecture, vocabulary and task.
        file: name or path of the file.
        with_opt: read the optimizer's state: True demands it, None takes it if it is there.
        strict: refuse another model; otherwise weights of the same name and shape are taken and the others left.

    Raises:
        FormatError: no such file, damaged, or of another architecture, vocabulary or task.
    """
    path = _existing(learn, file, MODEL)
    facts, tensors = read_tensors(path, MODEL)
    if strict:
        compare_facts(path, facts, facts_of(learn))
    load_tensors(path, facts, tensors, learn.model, learn.optimizer, with_opt=with_opt, strict=strict)


def load_tensors(
    path: Path,
    facts: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    model: nn.Module,
    optimizer: Optimizer | None,
    *,
    with_opt: bool | None,
    strict: bool,
) -> None:
    """Give a model and its optimizer what a file holds; see `load` for the arguments.

    Raises:
        FormatError: weights of another model, or no state of such an optimizer where one is demanded.

    Warns:
        what of the file was not taken.
    """
    weights = {name.removeprefix("model."): t for name, t in tensors.items() if name.startswith("model.")}
    own = model.state_dict()
    if strict:
        compare_weights(path, weights, own)
    else:
        fit = {k: t for k, t in weights.items() if k in own and own[k].shape == t.shape}
        left = [f"{name} of the {where}" for where, there in (("file", weights), ("model", own)) for name in there]
        left = [name for name in left if name.partition(" ")[0] not in fit]
        if left:
            warnings.warn(f"{path}: {len(fit)} of {len(own)} tensors were taken; not {named(left)}", stacklevel=2)
        weights = fit
    model.load_state_dict(weights, strict=strict)
    if with_opt and "groups" not in facts:
        raise FormatError(f"{path} holds no optimizer state; save it with with_opt=True, or load with with_opt=False")
    if with_opt is False or not strict or "groups" not in facts or optimizer is None:
        return
    kind, own_kind = facts.get("optimizer", type(optimizer).__name__), type(optimizer).__name__
    if kind == own_kind:
        load_optimizer(optimizer, tensors, facts["groups"], path)
        return
    problem = f"{path} holds the state of {kind}, and this optimizer is {own_kind}"
    if with_opt:
        raise FormatError(f"{problem}; load with with_opt=False")
    warnings.warn(f"{problem}: its state was not taken", stacklevel=2)


def save_encoder(learn: Learner, file: Path | str) -> Path:
    """Write the encoder (the model without its decoder or head) with its vocabulary."""
    path = model_file(learn, file)
    _write(learn, path, dict(encoder_of(learn).state_dict()), ENCODER, facts_of(learn))
    return path


def load_encoder(learn: Learner, file: Path | str) -> None:
    """Read what `save_encoder` wrote, of a language model or a classifier.

    Raises:
        FormatError: no such file, damaged, or of another architecture, direction or vocabulary.
    """
    path = _existing(learn, file, ENCODER)
    facts, weights = read_tensors(path, ENCODER)
    compare_facts(path, {k: v for k, v in facts.items() if k not in ("task", "labels")}, facts_of(learn))
    compare_weights(path, weights, encoder_of(learn).state_dict(), "encoder")
    encoder_of(learn).load_state_dict(weights)


def encoder_of(learn: Learner) -> nn.Module:
    """The encoder of a learner's model.

    Raises:
        ConfigError: the model has none.
    """
    encoder = getattr(learn.model, "encoder", None)
    if not isinstance(encoder, nn.Module):
        raise ConfigError(f"the model, {type(learn.model).__name__}, has no encoder to save or load")
    return encoder


def _write(learn: Learner, path: Path, tensors: Mapping[str, Tensor], kind: str, facts: Mapping[str, Any]) -> None:
    if learn.checkpoints is not None and learn.checkpoints.replaying and path.exists():
        say(learn.console, f"{path}: left as it was written before the interruption")
    elif learn.processes.is_main:
        write_tensors(path, tensors, kind, facts)


def _existing(learn: Learner, file: Path | str, kind: str) -> Path:
    path = model_file(learn, file)
    learn.processes.wait()  # for the first one, which may be writing it
    if not path.is_file():
        there = sorted(p.stem for p in path.parent.glob(f"*{SUFFIX}")) if path.parent.is_dir() else []
        call = f"learn.{'save' if kind == MODEL else 'save_encoder'}({str(file)!r})"
        raise FormatError(
            f"{path} does not exist; {path.parent} has {', '.join(there) or 'no models'}. Save it first with {call}"
        )
    return path


def facts_of(learn: Learner) -> dict[str, Any]:
    """What a model must have in common with a file."""
    config = getattr(learn.model, "config", None)
    vocab = getattr(learn.dls, "text_vocab", None)
    return {
        "format_version": 1,
        "config": _sizes(config.to_dict()) if config is not None else None,
        "backwards": bool(getattr(learn.dls, "backwards", False)),
        "task": learn.task,
        "labels": [str(label) for label in getattr(learn.dls, "labels", ())],
        "vocab": None if vocab is None else list(vocab.itos),
    }


def _sizes(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration without its dropout probabilities and what only a decoder has."""
    return {k: v for k, v in config.items() if not k.endswith("_p") and k not in ("tie_weights", "out_bias", "cutoffs")}


def compare_facts(path: Path, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Refuse a file of another configuration, direction, vocabulary, task or data.

    Raises:
        FormatError: both sides of every difference are named.
    """
    if "task" in there and there["task"] != here.get("task"):
        raise FormatError(
            f"{path} holds a model for the task {there['task']}, and this learner's task is {here.get('task')}; "
            "call load on the learner that saved it, or load_encoder for what save_encoder wrote"
        )
    problems = []
    a, b = there.get("config"), here.get("config")
    if a and b:
        problems += [f"{k} is {a.get(k)!r} there and {b.get(k)!r} here" for k in {**a, **b} if a.get(k) != b.get(k)]
    problems += [
        f"{k} is {there[k]!r} there and {here[k]!r} here"
        for k in ("backwards", "labels", "data")
        if k in there and k in here and there[k] != here[k]
    ]
    old, new = there.get("vocab"), here.get("vocab")
    if old is not None and new is not None and old != new:
        at = next((i for i, (x, y) in enumerate(zip(old, new, strict=False)) if x != y), min(len(old), len(new)))
        x, y = (repr(v[at]) if at < len(v) else "nothing" for v in (old, new))
        problems.append(
            f"its vocabulary has {len(old)} words and that of the loaders {len(new)}; the first difference is word "
            f"{at}: {x} there, {y} here. Make the loaders with the same one (text_vocab=dls_lm.vocab)"
        )
    if problems:
        raise FormatError(f"{path} does not fit: {'; '.join(problems)}")
