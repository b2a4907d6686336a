"""The learner: what users call to train, freeze, validate, save and load a model on their data."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from ulmfit.arguments import checked
from ulmfit.errors import ConfigError
from ulmfit.training import predictions, storage
from ulmfit.training.callbacks import Callback, hook_of
from ulmfit.training.figures import Figures
from ulmfit.training.fitting import Callbacks, Fitting, listed
from ulmfit.training.loaders import AnyLoaders, DataLoaders, Loader
from ulmfit.training.losses import LossFunction
from ulmfit.training.optimizer import Adam, OptimizerFactory
from ulmfit.training.resuming import Checkpoints
from ulmfit.training.validation import evaluate

__all__ = ["AnyLoaders", "DataLoaders", "Learner", "Loader"]


class Learner(Fitting):
    """Trains a model on data: schedules, freezing, validation, history.

    Args:
        dls: the loaders.
        model: a module with `parameter_groups`, whose output knows its loss.
        loss_func: loss of `(logits, target)`; by default the model's own, which for a language model never makes all
            logits at once.
        opt_func: makes the optimizer from torch's parameter groups.
        lr: learning rate where a fit is given none.
        splitter: gives the model's parameter groups, lowest first; by default the model does.
        cbs: callbacks for every fit.
        metrics: of the validation pass: names, functions of `(logits, target)`, metrics; one or a list.
        path: folder for what is saved; by default that of the loaders, or the current one.
        model_dir: folder in `path` for models.
        wd: decoupled weight decay of matrices; 0.01 by default.
        wd_bn_bias: decay biases and norms too.
        moms: momentum at the start, the middle and the end of a cycle.
        alpha: weight of activation regularisation.
        beta: weight of temporal activation regularisation.
        clip: largest norm of the gradient, None for no limit.
        precision: "auto" (bf16 where that is faster), "bf16", "fp16" (CUDA only) or "fp32".
        device: where to train; the GPU of CUDA if there is one, else the CPU; the GPU of a Mac where "mps" says so.
        seed: of dropout; on one CPU the same seed and precision give the same weights, unless a fit is limited by time.
        verbose: 1 prints a table of the epochs and in a terminal a bar, 0 nothing.

    Raises:
        ConfigError: an argument that is not known (the likely one is named), or makes no sense.
    """

    @checked
    def __init__(
        self,
        dls: AnyLoaders,
        model: nn.Module,
        loss_func: LossFunction | None = None,
        opt_func: OptimizerFactory = Adam,
        lr: float = 1e-3,
        splitter: Callable[[nn.Module], list[list[nn.Parameter]]] | None = None,
        cbs: Callbacks = None,
        metrics: object = None,
        path: Path | str | None = None,
        model_dir: Path | str = "models",
        wd: float | None = None,
        wd_bn_bias: bool = False,
        moms: tuple[float, float, float] = (0.8, 0.7, 0.8),
        *,
        alpha: float = 2.0,
        beta: float = 1.0,
        clip: float | None = None,
        precision: str = "auto",
        device: torch.device | str | None = None,
        seed: int = 0,
        verbose: int = 0,
    ) -> None:
        super().__init__(
            dls,
            model,
            loss_func,
            opt_func,
            splitter=splitter,
            cbs=listed(cbs),
            metrics=metrics,
            wd=0.01 if wd is None else wd,
            wd_bn_bias=wd_bn_bias,
            alpha=alpha,
            beta=beta,
            clip=clip,
            precision=precision,
            device=device,
            seed=seed,
        )
        self.lr, self.moms, self.verbose = lr, moms, verbose
        self.path = Path(path if path is not None else getattr(dls, "path", "."))
        self.model_dir = Path(model_dir)
        self.checkpoints: Checkpoints | None = None
        self.bar = True

    # Answers

    @checked
    def validate(self, ds_idx: int | Loader = 1, dl: Loader | None = None, cbs: Callbacks = None) -> Figures:
        """Mean loss per target and the metrics, in their order and under their names in the history.

        Args:
            ds_idx: 0 for the training part, 1 for the validation part; or a loader.
            dl: a loader to measure on instead.
            cbs: callbacks whose `before_validate` and `after_validate` are called.
        """
        loader = dl if dl is not None else self.part(ds_idx) if isinstance(ds_idx, int) else ds_idx
        loader.set_epoch(0)  # figures of the training part do not depend on the passes before
        given = listed(cbs)
        for hook in filter(None, (hook_of(cb, "before_validate") for cb in given)):
            hook(self)
        figures = Figures(evaluate(self, loader))
        for hook in filter(None, (hook_of(cb, "after_validate") for cb in given)):
            hook(self)
        return figures

    @checked
    def part(self, ds_idx: int) -> Loader:
        """The loader of the training part (0) or the validation part (1)."""
        if ds_idx not in (0, 1):
            raise ConfigError(f"ds_idx={ds_idx} must be 0 for the training part or 1 for the validation part")
        return (self.dls.train, self.dls.valid)[ds_idx]

    @checked
    def get_preds(
        self,
        ds_idx: int = 1,
        dl: Loader | None = None,
        with_input: bool = False,
        with_decoded: bool = False,
        with_loss: bool = False,
        act: Callable[[Tensor], Tensor] | None = None,
        reorder: bool = True,
    ) -> tuple[Any, ...]:
        """Answers for every text of a part, in its order; see `predictions.get_preds`."""
        if dl is not None:  # of the parts it was said when the learner was made
            predictions.tell_longer(self, "texts", getattr(dl, "lengths", ()))
        return predictions.get_preds(
            self,
            self.part(ds_idx) if dl is None else dl,
            with_input=with_input,
            with_decoded=with_decoded,
            with_loss=with_loss,
            act=act,
            reorder=reorder,
        )

    def summary(self) -> str:
        """A table of the model: layers, shapes, numbers of parameters, which of them are trained."""
        return predictions.summary(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        memo[id(self)] = other = object.__new__(type(self))
        vars(other).update(copy.deepcopy(vars(self), memo))
        return other

    def __reduce__(self) -> Any:
        raise ConfigError(
            "a learner cannot be pickled; export() writes a folder that load_learner reads, save() a file for load() "
            "of a learner with the same data"
        )

    # Files

    @checked
    def save(self, file: Path | str, with_opt: bool = True) -> Path:
        """Write weights, vocabulary and (unless told not to) the optimizer's state to `path/model_dir/file`.

        Returns:
            the file, which ends in .safetensors.
        """
        return storage.save(self, file, with_opt=with_opt)

    @checked
    def load(self, file: Path | str, with_opt: bool | None = None, strict: bool = True) -> Self:
        """Read what `save` wrote; see `storage.load`."""
        storage.load(self, file, with_opt=with_opt, strict=strict)
        return self

    @checked
    def checkpoint(
        self,
        file: Path | str = "checkpoint",
        *,
        seconds: float = 300.0,
        steps: int | None = None,
        resume: bool = False,
    ) -> Self:
        """Keep a checkpoint during all fits from now on, so that a program may be killed and simply run again.

        A program that is run again with `resume=True` leaves out the fits that were finished, and goes on with the one
        that was interrupted at the batch of its last checkpoint. On one CPU the weights are, bit for bit, those of an
        uninterrupted run. SIGTERM and Ctrl-C finish the running batch, save, and end the program.

        Args:
            file: name of the file in `path/model_dir`, replaced whole each time.
            seconds: between two checkpoints; one is also written after every epoch and every fit.
            steps: batches between two checkpoints, instead of `seconds`.
            resume: go on from the file, if it is there.

        Raises:
            ConfigError: an interval that is not positive.
            FormatError: the file is damaged, or of another model.
        """
        path = storage.model_file(self, file)
        self.checkpoints = Checkpoints(path, seconds=seconds, steps=steps)
        if resume:
            self.checkpoints.resume(self)
        return self

    # What is shown

    @contextmanager
    def no_bar(self) -> Iterator[Self]:
        """Within this context, fits show no bar."""
        before, self.bar = self.bar, False
        try:
            yield self
        finally:
            self.bar = before

    @contextmanager
    def no_logging(self) -> Iterator[Self]:
        """Within this context, nothing is printed."""
        before, self.verbose = self.verbose, 0
        try:
            yield self
        finally:
            self.verbose = before

    @checked
    def add_cbs(self, cbs: Callbacks) -> Self:
        """Use callbacks in every fit from now on."""
        self.cbs += listed(cbs)
        return self

    def add_cb(self, cb: Callback | type[Callback]) -> Self:
        """The same for one callback."""
        return self.add_cbs(cb)

    @checked
    def remove_cbs(self, cbs: Callbacks | type[Callback]) -> Self:
        """Use these callbacks, or all of a class, no more."""
        kind = cbs if isinstance(cbs, type) else ()
        gone = [] if isinstance(cbs, type) else listed(cbs)
        self.cbs = [cb for cb in self.cbs if cb not in gone and not isinstance(cb, kind)]
        return self

    def remove_cb(self, cb: Callback | type[Callback]) -> Self:
        """The same for one callback, or one class."""
        return self.remove_cbs(cb)
