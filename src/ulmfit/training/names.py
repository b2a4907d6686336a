"""Names that programs for fastai look at or call, in terms of this library. Nothing here is needed for new programs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

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
