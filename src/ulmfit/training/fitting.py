"""The ways to train: schedules over epochs or time, freezing, the search of a learning rate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self, cast

from rich.console import Console

from ulmfit.arguments import at_least, checked, positive
from ulmfit.errors import ConfigError
from ulmfit.training import lr_finder
from ulmfit.training.callbacks import Callback
from ulmfit.training.loop import Loop, Plan
from ulmfit.training.optimizer import forget_moments, make_optimizer, set_weight_decay
from ulmfit.training.precision import half_precision
from ulmfit.training.progress import ProgressTable, say
from ulmfit.training.resuming import Checkpoints
from ulmfit.training.schedules import Hyper, Schedule, constant, flat_cos, group_rates, one_cycle, warm_restarts

if TYPE_CHECKING:
    from ulmfit.training.learner import Learner

_HIGHEST_OF_ADAM = 10  # rate
LR = float | slice
Callbacks = Callback | type[Callback] | Sequence[Callback | type[Callback]] | None


class Fitting(Loop):
    """A loop with the ways to run it that users call."""

    lr: float
    moms: tuple[float, float, float]
    verbose: int
    bar: bool
    checkpoints: Checkpoints | None

    @property
    def console(self) -> Console:
        """Where to print; quiet with `verbose=0` and in all processes but the first."""
        return Console(quiet=not self.verbose or not self.processes.is_main)

    @checked
    def fit(
        self,
        n_epoch: float,
        lr: LR | None = None,
        wd: float | None = None,
        cbs: Callbacks = None,
        reset_opt: bool = False,
        start_epoch: int = 0,
        *,
        schedule: Schedule | None = None,
        seconds: float | None = None,
        resume: bool = False,
    ) -> None:
        """Train for some epochs, or for a time.

        Args:
            n_epoch: epochs; a fraction is a part of the training data.
            lr: maximum learning rate; `slice(low, high)` spreads rates over the groups, `slice(high)` gives the last
                group `high` and the others a tenth.
            wd: weight decay from now on.
            cbs: callbacks for this fit only.
            reset_opt: begin with a new optimizer.
            start_epoch: leave out so many epochs, with their part of the schedule.
            schedule: of learning rate and momentum; constant by default.
            seconds: if given, the fit ends after so much time or after `n_epoch` epochs, whichever comes first, with
                the schedule run through to its end.
            resume: go on where a fit was interrupted, whose checkpoint was loaded (`checkpoint.load_checkpoint`).

        Raises:
            ConfigError: a number of epochs, seconds or a rate that makes no sense.
        """
        _check_fit(n_epoch, lr, seconds, start_epoch, "fit", short=schedule is not None)
        if schedule is not None and not isinstance(cast("object", schedule(0.0)), Hyper):
            raise ConfigError(f"schedule must give a Hyper(lr, mom) at each progress in [0, 1], not {schedule(0.0)!r}")
        per_epoch = len(self.dls.train)
        if per_epoch < 1:
            raise ConfigError("the training part has no batch; give more texts or lower the batch size")
        lr = self.lr if lr is None else lr
        rates = group_rates(lr, len(self.groups))
        if "betas" in self.optimizer.param_groups[-1] and rates[-1] > _HIGHEST_OF_ADAM:
            raise ConfigError(
                f"lr={lr} is far above any rate with which {type(self.optimizer).__name__} trains (1e-4 to 1e-1); "
                "the number of epochs comes first, then the rate: fit(10, 1e-3)"
            )
        own = [*self.cbs, *listed(cbs)]
        if reset_opt:
            self.create_opt()
        if wd is not None:
            set_weight_decay(self.optimizer, wd)
        if self.verbose and self.processes.is_main and not any(isinstance(cb, ProgressTable) for cb in own):
            own.append(ProgressTable(self.console, bar=self.bar))
        total_steps = max(1, round(n_epoch * per_epoch))
        plan = Plan(
            rates=rates,
            schedule=schedule or constant(self.moms[0]),
            total_steps=total_steps,
            first_step=start_epoch * per_epoch,
            seconds=seconds,
            callbacks=own,
        )
        if self.checkpoints is None:
            self.run(plan, resume=resume)
        else:
            self.checkpoints.run(cast("Learner", self), plan)

    @checked
    def fit_one_cycle(
        self,
        n_epoch: float,
        lr_max: LR | None = None,
        div: float = 25.0,
        div_final: float = 1e5,
        pct_start: float = 0.25,
        wd: float | None = None,
        moms: tuple[float, float, float] | None = None,
        cbs: Callbacks = None,
        reset_opt: bool = False,
        start_epoch: int = 0,
        *,
        seconds: float | None = None,
        resume: bool = False,
    ) -> None:
        """Train with the one-cycle schedule; see `fit` and `schedules.one_cycle`."""
        _check_fit(n_epoch, lr_max, seconds, start_epoch, "fit_one_cycle")
        schedule = one_cycle(moms=moms or self.moms, div=div, div_final=div_final, pct_start=pct_start)
        self.fit(n_epoch, lr_max, wd, cbs, reset_opt, start_epoch, schedule=schedule, seconds=seconds, resume=resume)

    @checked
    def fit_flat_cos(
        self,
        n_epoch: float,
        lr: LR | None = None,
        div_final: float = 1e5,
        pct_start: float = 0.75,
        wd: float | None = None,
        cbs: Callbacks = None,
        reset_opt: bool = False,
        start_epoch: int = 0,
        *,
        seconds: float | None = None,
    ) -> None:
        """Train with a constant rate, then annealing; see `fit` and `schedules.flat_cos`."""
        _check_fit(n_epoch, lr, seconds, start_epoch, "fit_flat_cos")
        schedule = flat_cos(mom=self.moms[0], div_final=div_final, pct_start=pct_start)
        self.fit(n_epoch, lr, wd, cbs, reset_opt, start_epoch, schedule=schedule, seconds=seconds)

    @checked
    def fit_sgdr(
        self,
        n_cycles: float,
        cycle_len: int,
        lr_max: LR | None = None,
        cycle_mult: int = 2,
        cbs: Callbacks = None,
        reset_opt: bool = False,
        wd: float | None = None,
        start_epoch: int = 0,
    ) -> None:
        """Train in cycles of annealing; see `fit` and `schedules.warm_restarts`.

        Args:
            n_cycles: number of cycles.
            cycle_len: epochs of the first.
            lr_max: as for `fit`.
            cycle_mult: a cycle is so many times as long as the one before.
            cbs: as for `fit`.
            reset_opt: as for `fit`.
            wd: as for `fit`.
            start_epoch: as for `fit`.
        """
        _check_fit(n_cycles, lr_max, None, 0, "fit_sgdr", "n_cycles")
        at_least(1, n_cycles=n_cycles, cycle_len=cycle_len, cycle_mult=cycle_mult)
        if n_cycles != int(n_cycles):
            raise ConfigError(f"n_cycles={n_cycles} must be a whole number")
        n_cycles = int(n_cycles)
        n_epoch = cycle_len * sum(cycle_mult**i for i in range(n_cycles))
        schedule = warm_restarts(n_cycles, cycle_mult, mom=self.moms[0])
        self.fit(n_epoch, lr_max, wd, cbs, reset_opt, start_epoch, schedule=schedule)

    @checked
    def fine_tune(
        self,
        epochs: float,
        base_lr: float = 2e-3,
        freeze_epochs: float = 1,
        lr_mult: float = 100,
        pct_start: float = 0.3,
        div: float = 5.0,
        div_final: float = 1e5,
        wd: float | None = None,
        moms: tuple[float, float, float] | None = None,
        cbs: Callbacks = None,
        reset_opt: bool = False,
    ) -> None:
        """Train the last group alone, then all groups with half the rate, lower groups more slowly.

        Args:
            epochs: with all groups.
            base_lr: maximum rate of the last group while it is trained alone.
            freeze_epochs: with the last group alone; 0 leaves them out.
            lr_mult: by how much the rate of the lowest group is lower than that of the highest.
            pct_start: as for `fit_one_cycle`, for the second part.
            div: as for `fit_one_cycle`, for the second part.
            div_final: as for `fit_one_cycle`.
            wd: as for `fit`.
            moms: as for `fit_one_cycle`.
            cbs: as for `fit`.
            reset_opt: as for `fit`.
        """
        positive(base_lr=base_lr, lr_mult=lr_mult, epochs=epochs)
        at_least(0, freeze_epochs=freeze_epochs)
        _check_fit(epochs, base_lr, None, 0, "fine_tune")
        cbs = listed(cbs)
        one_cycle(moms=moms or self.moms, div=div, div_final=div_final, pct_start=pct_start)  # refuses now, not later
        self.freeze()
        if freeze_epochs:
            self.fit_one_cycle(
                freeze_epochs,
                slice(base_lr),
                pct_start=0.99,
                div_final=div_final,
                wd=wd,
                moms=moms,
                cbs=cbs,
                reset_opt=reset_opt,
            )
        self.unfreeze()
        rates = slice(base_lr / 2 / lr_mult, base_lr / 2)
        self.fit_one_cycle(epochs, rates, div, div_final, pct_start, wd, moms, cbs, reset_opt)

    @checked
    def lr_find(
        self,
        start_lr: float = 1e-7,
        end_lr: float = 10.0,
        num_it: int = 100,
        stop_div: bool = True,
        show_plot: bool | None = None,
        suggest_funcs: lr_finder.Suggestion | str | Sequence[lr_finder.Suggestion | str] = lr_finder.valley,
    ) -> tuple[float, ...]:
        """Suggest a learning rate; see `lr_finder.lr_find`. Model and optimizer are left as they were."""

        def search() -> tuple[float, ...]:
            return lr_finder.lr_find(
                self, start_lr, end_lr, num_it, stop_div=stop_div, show_plot=show_plot, suggest_funcs=suggest_funcs
            )

        return search() if self.checkpoints is None else self.checkpoints.remember(search)

    @checked
    def freeze_to(self, n: int) -> None:
        """Train only the groups from the n-th on; negative n counts from the last group.

        The optimizer begins anew, as its averages are of other gradients.

        Raises:
            ConfigError: there is no such group.
        """
        if not -len(self.groups) <= n < len(self.groups):
            raise ConfigError(f"freeze_to({n}): the model has {len(self.groups)} parameter groups")
        first = int(n) % len(self.groups)
        for i, group in enumerate(self.groups):
            for p in group:
                p.requires_grad_(i >= first)
                if i < first:
                    p.grad = None
        forget_moments(self.optimizer)

    def freeze(self) -> None:
        """Train the last group only."""
        self.freeze_to(-1)

    def unfreeze(self) -> None:
        """Train all groups."""
        self.freeze_to(0)

    def create_opt(self) -> None:
        """Begin with a new optimizer."""
        self.optimizer = make_optimizer(self.groups, wd=self.wd, opt_func=self.opt_func, wd_bn_bias=self.wd_bn_bias)

    def to_fp16(self) -> Self:
        """Train in half precision: fp16 on CUDA; elsewhere bf16 or fp32, whichever is faster, and say so."""
        precision, note = half_precision(self.device)
        self.set_precision(precision)
        if note:
            say(self.console, note)
        return self

    def to_bf16(self) -> Self:
        """Train in bfloat16.

        Raises:
            ConfigError: the device has no bfloat16 arithmetic.
        """
        self.set_precision("bf16")
        return self

    def to_fp32(self) -> Self:
        """Train in float32."""
        self.set_precision("fp32")
        return self


def listed(cbs: Callbacks) -> list[Callback]:
    """One or several callbacks as a list; of a class, an object that is made without arguments."""
    given = [] if cbs is None else [cbs] if isinstance(cbs, Callback | type) else cbs
    return [cb() if isinstance(cb, type) else cb for cb in given]


def _check_fit(
    n_epoch: float,
    lr: LR | None,
    seconds: float | None,
    start_epoch: int,
    call: str,
    field: str = "n_epoch",
    *,
    short: bool = False,
) -> None:
    """Refuse numbers that make no sense, all in one message; `short` allows any small part of an epoch."""
    problems, what = [], field.removeprefix("n_").removesuffix("s") + "s"
    epochs_as_rate = isinstance(lr, int) and 1 <= lr <= 20  # a likely number of epochs
    if not 0 < n_epoch < math.inf:
        problems.append(f"{field}={n_epoch!r} must be a positive number of {what}")
    elif n_epoch < (0.5 if epochs_as_rate else 0.05) and seconds is None and not short:
        first = f"{lr if epochs_as_rate else 1}" + (", 1" if call == "fit_sgdr" else "")
        meant = f"a learning rate of {n_epoch}, as in {call}({first}, {n_epoch}),"
        problems.append(f"{field}={n_epoch} is the number of {what} and comes first; was {meant} meant?")
        # The learning rate alone, as in fit_one_cycle(1e-2), is a known slip.
    if seconds is not None and not 0 < seconds < math.inf:
        problems.append(f"seconds={seconds} must be positive")
    if not 0 <= start_epoch < (n_epoch if not problems else math.inf):
        problems.append(f"start_epoch={start_epoch} must be at least 0 and below n_epoch={n_epoch}")
    if problems:
        raise ConfigError("; ".join(problems))
