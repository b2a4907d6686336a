"""Names that programs for fastai look at or call, in terms of this library. Nothing here is needed for new programs."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ulmfit.training.storage import MODEL, SUFFIX, load_tensors, model_tensors
from ulmfit.training.tensor_file import read_tensors, write_tensors

if TYPE_CHECKING:
    from torch.optim import Optimizer


class TensorText(Tensor):
    """A tensor of token ids, for programs that ask for this class. The library makes plain tensors and arrays."""


def rank_distrib() -> int:
    """The number of this process among those that `torchrun` or `accelerate launch` started; 0 if it is alone."""
    return int(os.environ.get("RANK", "0"))


def distrib_barrier() -> None:
    """Wait for the other processes, if there are any."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()


def get_model(model: nn.Module) -> nn.Module:
    """The model itself, without a wrapper for several processes or devices."""
    return model.module if isinstance(model, DistributedDataParallel | nn.DataParallel) else model


def save_model(file: Path | str, model: nn.Module, opt: Optimizer | None = None, with_opt: bool = True) -> None:
    """Write a model's weights, and its optimizer's state, without vocabulary and sizes; `Learner.save` has them.

    Args:
        file: path of the file, which ends in .safetensors.
        model: any module.
        opt: its optimizer.
        with_opt: write the optimizer's state, if there is one.

    Raises:
        OSError: the disk is full or not writable; a file that was there is still whole.
    """
    if rank_distrib() == 0:
        tensors, facts = model_tensors(get_model(model), opt if with_opt else None)
        write_tensors(_path(file), tensors, MODEL, {"format_version": 1} | facts)


def load_model_text(
    file: Path | str,
    model: nn.Module,
    opt: Optimizer | None = None,
    with_opt: bool | None = None,
    strict: bool = True,
) -> None:
    """Read what `save_model` or `Learner.save` wrote, without a look at vocabularies; `Learner.load` compares them.

    Args:
        file: path of the file.
        model: a module of the same sizes.
        opt: its optimizer.
        with_opt: True demands the optimizer's state, None takes it if it is there.
        strict: refuse weights of other names or shapes; otherwise those that fit are taken and the others left.

    Raises:
        FormatError: no such file, damaged, or of another model.
    """
    distrib_barrier()
    path = _path(file)
    facts, tensors = read_tensors(path, MODEL)
    load_tensors(path, facts, tensors, get_model(model), opt, with_opt=with_opt, strict=strict)


def _path(file: Path | str) -> Path:
    path = Path(file)
    return path if path.suffix == SUFFIX else path.with_name(path.name + SUFFIX)


def set_seed(s: int, reproducible: bool = False) -> None:
    """Seed the generators of Python, numpy and torch, which are the program's own: a `Learner` has its `seed`.

    Args:
        s: the seed.
        reproducible: have CUDA choose deterministic algorithms too.
    """
    random.seed(s)
    np.random.seed(s % 2**32)  # noqa: NPY002 - the generator that programs draw from
    torch.manual_seed(s)
    if reproducible:
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False


def default_device(use: object = None) -> torch.device:
    """Where a learner trains that is not told otherwise: the GPU if there is one, else the CPU.

    Args:
        use: False for the CPU. The choice is not remembered: give `device=` to a learner.
    """
    return torch.device("cuda" if use is not False and torch.cuda.is_available() else "cpu")


def to_device(b: Any, device: torch.device | str | None = None, non_blocking: bool = False) -> Any:
    """Tensors, in lists, tuples and dictionaries too, on a device; by default on `default_device()`."""
    return _apply(lambda t: t.to(device or default_device(), non_blocking=non_blocking), b)


def to_np(x: Any) -> Any:
    """Tensors, in lists, tuples and dictionaries too, as arrays of numpy."""
    return _apply(lambda t: t.detach().cpu().numpy(), x)


def _apply(function: Callable[[Tensor], Any], value: Any) -> Any:
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, dict):
        return {k: _apply(function, v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)([_apply(function, v) for v in value])
    return value


def trainable_params(m: nn.Module) -> list[nn.Parameter]:
    """The parameters that are trained."""
    return [p for p in m.parameters() if p.requires_grad]


def total_params(m: nn.Module) -> tuple[int, bool]:
    """How many numbers the parameters have, and whether the first of them is trained."""
    parameters = list(m.parameters())
    return sum(p.numel() for p in parameters), bool(parameters) and parameters[0].requires_grad


class Metric:
    """A metric of your own: derive from it, with `reset`, `accumulate(learn)`, a property `value`, and perhaps `name`.

    `learn` has `pred`, `y`, `yb` and the mean `loss` of each batch of the validation part.
    """

    @property
    def name(self) -> str:
        """Its column in the history: the name of the class in small letters."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(self).__name__.removesuffix("Metric")).lower()
