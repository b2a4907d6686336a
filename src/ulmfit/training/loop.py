"""The training loop: batches through the model, steps of the optimizer, the validation pass."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from ulmfit.arguments import checked
from ulmfit.data.loaders import Batch
from ulmfit.errors import ConfigError, DataError
from ulmfit.training.aliases import Aliases
from ulmfit.training.batch_norm import share_batch_norm
from ulmfit.training.callbacks import (
    EVENTS,
    Callback,
    Cancel,
    CancelBatchException,
    CancelEpochException,
    CancelFitException,
    CancelStepException,
    CancelTrainException,
    CancelValidException,
    TerminateOnNaN,
    hook_of,
)
from ulmfit.training.distributed import Processes
from ulmfit.training.loaders import AnyLoaders
from ulmfit.training.losses import LossFunction, described
from ulmfit.training.memory import enough_memory
from ulmfit.training.metrics import Metric, Output, check_task, logits_of, make_metrics
from ulmfit.training.optimizer import Adam, OptimizerFactory, begin_anew, make_optimizer, set_hyper
from ulmfit.training.precision import autocast, resolve_precision
from ulmfit.training.recorder import Recorder
from ulmfit.training.schedules import Schedule
from ulmfit.training.validation import evaluate


class Model(Protocol):
    """What the loop needs of a model beside being a module."""

    def __call__(self, *inputs: Tensor) -> Output:
        """Run a batch."""

    def parameter_groups(self) -> list[list[nn.Parameter]]:
        """Parameters, lowest group first."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a fit shall do.

    Args:
        rates: maximum learning rate of each group.
        schedule: of learning rate and momentum.
        total_steps: batches in all.
        first_step: batches that are left out at the start.
        seconds: limit of the time, if any.
        callbacks: of this fit, in the order of their calls.
    """

    rates: list[float]
    schedule: Schedule
    total_steps: int
    first_step: int = 0
    seconds: float | None
    callbacks: Sequence[Callback]


class Loop(Aliases):
    """The state of a training, and the loop over it. `Learner` is what users call; its arguments are described there.

    Attributes:
        step: batches of the running fit, of `total_steps`. batch: of the running epoch. n_steps: of all fits.
        epoch: epochs of the running fit that are done. passes: begun over the training part, in all fits.
        validating: the epoch's training part is done, its validation is not. resumable: a checkpoint was loaded.
        seconds: that the running fit has taken. progress: of the running fit, in [0, 1].
        rate_factor: on all learning rates of the running fit, for callbacks to change.
        loss: of the last batch. smooth_loss: its moving average. rows: of the last batch, in all processes.
        n_targets: labels or tokens learnt from in all fits.
        active: the callbacks of the running fit. event: at which they are called, or were last.
        callback_states: what a checkpoint says of them, until they take it.
        history: a row for each epoch of all fits.
    """

    def __init__(
        self,
        dls: AnyLoaders,
        model: nn.Module,
        loss_func: LossFunction | None = None,
        opt_func: OptimizerFactory = Adam,
        *,
        splitter: Callable[[nn.Module], list[list[nn.Parameter]]] | None = None,
        cbs: Sequence[Callback] = (),
        metrics: object = None,
        wd: float = 0.01,
        wd_bn_bias: bool = False,
        alpha: float = 2.0,
        beta: float = 1.0,
        clip: float | None = None,
        precision: str = "auto",
        device: torch.device | str | None = None,
        seed: int = 0,
    ) -> None:
        if clip is not None and not clip > 0:
            raise ConfigError(f"clip={clip} must be a positive norm of the gradient, or None for no limit")
        self.dls, self.processes = dls, Processes(device)
        self.device = self.processes.device
        self.model = share_batch_norm(model.to(self.device), self.processes)
        self.loss_func, self.opt_func = loss_func, opt_func
        self.wd, self.wd_bn_bias, self.alpha, self.beta, self.clip = wd, wd_bn_bias, alpha, beta, clip
        self.task: str = getattr(dls, "task", "single_label")
        self.metrics = metrics
        self.recorder = Recorder()
        self.cbs: list[Callback] = [TerminateOnNaN(), self.recorder, *cbs]
        self.history: list[dict[str, Any]] = []
        self.active: Sequence[Callback] = ()
        self.callback_states: list[tuple[str, dict[str, Any]]] = []
        self.groups = splitter(model) if splitter is not None else cast("Model", model).parameter_groups()
        self.optimizer = make_optimizer(self.groups, wd=wd, opt_func=opt_func, wd_bn_bias=wd_bn_bias)
        self.set_precision(precision)
        self.epoch = self.step = self.batch = self.passes = self.n_steps = self.n_targets = 0
        self.total_steps = self.rows = 0
        self.loss = self.smooth_loss = float("nan")
        self.validating = self.resumable = False
        self.progress = self.seconds = 0.0
        self.rate_factor = 1.0
        self.loss_grad: Tensor
        self.event = ""
        self._hooks: dict[str, list[Callable[[Any], object]]] = {event: [] for event in EVENTS}
        self.seed = int(seed)  # one of numpy is none to torch
        self._rng = torch.Generator().manual_seed(self.seed + 1_000_003 * self.processes.rank).get_state()
        self._drawing = False

    @property
    def metrics(self) -> list[Metric]:
        """Of the validation pass; what is assigned may be anything that the argument may be."""
        return self._metrics

    @metrics.setter
    def metrics(self, metrics: object) -> None:
        self._metrics = make_metrics(metrics, self.task)
        labels = getattr(self.dls, "labels", ())
        check_task(self._metrics, getattr(self.dls, "task", None), 0 if labels is None else len(labels))

    def reset(self) -> None:
        """Forget the hidden state, of models that keep one between batches."""
        reset = getattr(self.model, "reset", None)
        if reset is not None:
            reset()

    @checked
    def set_precision(self, precision: str) -> None:
        """Compute in "bf16", "fp16" or "fp32" from now on; "auto": in bf16 where that is faster, else fp32.

        Raises:
            ConfigError: the device does not have it.
        """
        self.asked_precision = precision
        self.precision = self.processes.from_main(resolve_precision(precision, self.device))
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.precision == "fp16")

    @contextmanager
    def private_randomness(self) -> Iterator[None]:
        """Dropout draws from this learner's own stream; the caller's generators are left as they were."""
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.set_rng_state(self._rng)
            if self.device.type == "cuda":
                torch.cuda.manual_seed(int(torch.randint(2**31, ())))
            self._drawing = True
            try:
                yield
            finally:
                self._drawing = False
                self._rng = torch.get_rng_state()

    def random_state(self) -> Tensor:
        """The state of the stream that dropout draws from."""
        return torch.get_rng_state() if self._drawing else self._rng

    def set_random_state(self, state: Tensor) -> None:
        """Go on with a stream; not while a fit is running."""
        self._rng = state

    def run(self, plan: Plan, *, resume: bool) -> None:
        """Carry out a fit, from its start or from where the state says that it was interrupted."""
        if resume and not self.resumable:
            raise ConfigError(
                "resume=True, but no checkpoint was loaded: call learn.checkpoint(resume=True) before the fits"
            )
        self.resumable = False
        if not resume:
            self.passes, self.validating = self.passes + (self.batch > 0), False
            self.progress, self.seconds, self.smooth_loss, self.rate_factor = 0.0, 0.0, float("nan"), 1.0
            self.step, self.epoch, self.batch = plan.first_step, plan.first_step // len(self.dls.train), 0
            begin_anew(self.optimizer)
        self.total_steps = plan.total_steps
        self._hook(plan.callbacks)
        started = time.perf_counter() - self.seconds
        self.processes.same_weights(self.model)
        try:
            self._begin()
            if resume:
                self.take_states(plan.callbacks)
            with self.private_randomness(), enough_memory():
                while self.validating or (self.step < plan.total_steps and self.progress < 1):
                    self._one_epoch(plan, started)
                    if plan.seconds is not None and self._elapsed(started) >= plan.seconds:
                        break  # also when the time ran out in the validation pass
        except CancelFitException:
            pass
        except Cancel as error:
            raise ConfigError(
                f"{type(error).__name__} was raised where nothing is left out by it. {type(error).__doc__}"
            ) from error
        finally:
            self.optimizer.zero_grad(set_to_none=True)  # what was accumulated and led to no step
            self._call("after_fit")
            self._hook(())
            self.forget_batch()

    def forget_batch(self) -> None:
        """Let go of the last batch and its graph, which fill the memory and cannot be copied."""
        for name in ("inputs", "target", "output", "loss_grad"):
            vars(self).pop(name, None)

    def _hook(self, callbacks: Sequence[Callback]) -> None:
        """Find out once which callbacks want which events."""
        self.active = callbacks
        self._hooks = {event: [hook for cb in callbacks if (hook := hook_of(cb, event))] for event in EVENTS}

    def take_states(self, callbacks: Sequence[Callback]) -> None:
        """Give callbacks what a checkpoint says of those of their class, in its order."""
        for cb in callbacks:
            state = next((s for s in self.callback_states if s[0] == type(cb).__name__), None)
            if state is not None:
                self.callback_states.remove(state)
                cb.load_state(state[1])
        self.callback_states = []

    def _begin(self) -> None:
        """Call before_fit; those that it does not reach have nothing to put back after the fit."""
        for i, cb in enumerate(self.active):
            try:
                (hook_of(cb, "before_fit") or id)(self)
            except BaseException:
                self._hook(self.active[:i])
                raise

    def _call(self, event: str) -> None:
        self.event = event
        for hook in self._hooks[event]:
            hook(self)

    def _elapsed(self, started: float) -> float:
        """Seconds since the start, the same in all processes."""
        return float(self.processes.from_main(time.perf_counter() - started))

    def _one_epoch(self, plan: Plan, started: float) -> None:
        epoch_started = time.perf_counter()
        try:
            if not self.validating:
                self._call("before_epoch")
                try:
                    self._call("before_train")
                    self._train_epoch(plan, started)
                except CancelTrainException:
                    self._leave_epoch(plan)
                self.passes, self.batch, self.validating = self.passes + 1, 0, True
                if self.step >= plan.total_steps:
                    self.progress = 1.0
                self._call("after_train")
            number = max(self.epoch, self.history[-1]["epoch"] + 1 if self.history else 0)
            row: dict[str, Any] = {"epoch": number, "steps": self.step, "train_loss": self.smooth_loss}
            try:
                self._call("before_validate")
                row |= evaluate(self, self.dls.valid)
                self._call("after_validate")
            except CancelValidException:
                row |= dict.fromkeys(["valid_loss", *(m.name for m in self.metrics)], float("nan"))
        except CancelEpochException:
            self._leave_epoch(plan)
            self.passes, self.batch, self.validating = self.passes + (self.batch > 0), 0, False
            self.epoch += 1
            return
        row["time"] = round(time.perf_counter() - epoch_started, 2)
        self.history.append(row)
        self.epoch, self.validating = self.epoch + 1, False
        self._call("after_epoch")

    def _leave_epoch(self, plan: Plan) -> None:
        """Go on where the next epoch begins, as does the schedule."""
        self.step = min(plan.total_steps, (self.epoch + 1) * len(self.dls.train))

    def _train_epoch(self, plan: Plan, started: float) -> None:
        self.dls.train.set_epoch(self.passes, self.batch)
        self.model.train()
        if self.batch == 0:
            self.reset()
        for batch in self.dls.train:
            if plan.seconds is None:
                self.seconds = time.perf_counter() - started
                self.progress = min(1.0, self.step / plan.total_steps)
            else:
                self.seconds = self._elapsed(started)
                self.progress = min(1.0, max(self.step / plan.total_steps, self.seconds / plan.seconds))
            if self.progress >= 1 and self.step > 0:
                break
            hyper = plan.schedule(self.progress)
            set_hyper(self.optimizer, plan.rates, hyper._replace(lr=hyper.lr * self.rate_factor))
            step, n_steps = self.step, self.n_steps
            try:
                self._call("before_batch")
                self.train_batch(batch)
            except CancelBatchException:
                if self.n_steps > n_steps:  # it has added its gradients to those that are accumulated
                    self.optimizer.zero_grad(set_to_none=True)
            self.step, self.batch = step + 1, self.batch + 1
            self._call("after_batch")

    def train_batch(self, batch: Batch) -> None:
        """One batch forward and backward, and a step of the optimizer."""
        mine = self.processes.shard(batch)
        n_targets = _n_targets(batch)
        self.rows = len(batch.inputs[0])
        share = 1.0 if mine is batch else 0.0 if mine is None else _n_targets(mine) / n_targets
        loss = torch.zeros(())
        if mine is not None:
            self.inputs, self.target = self.to_device(mine)
            with autocast(self.precision, self.device):
                self.output = cast("Output", self.model(*self.inputs))
                self._call("after_pred")
                loss = self.loss_of(self.output, self.target)
            self.loss_grad = loss + self.alpha * self.output.ar + self.beta * self.output.tar
            self.loss = loss.item()
            self._call("after_loss")
            scaled = self.scaler.scale(self.loss_grad)
            (scaled if share == 1.0 else scaled * share).backward()  # type: ignore[no-untyped-call]
        if self.processes.n > 1:
            self.processes.same_buffers(self.model)
        self.step += 1
        self.n_steps += 1
        self.n_targets += n_targets
        mean = (loss.detach() * share).reshape(1).to(self.device)
        try:
            self._call("after_backward")
        except CancelStepException:
            if self.processes.n > 1:
                self.loss = float(self.processes.sum(mean))
        else:
            self._step(mean)
        weight = 0.98 if self.step > 50 else 1 - 1 / self.step  # a plain mean until the start counts for little
        started = not math.isnan(self.smooth_loss)
        self.smooth_loss = weight * self.smooth_loss + (1 - weight) * self.loss if started else self.loss

    def _step(self, loss: Tensor) -> None:
        parameters = [p for g in self.groups for p in g]
        if self.processes.n > 1:
            self.loss = float(self.processes.sum_gradients(parameters, loss))
        self.scaler.unscale_(self.optimizer)
        if self.clip is not None:
            nn.utils.clip_grad_norm_(parameters, self.clip)
        try:
            self._call("before_step")
            self.scaler.step(self.optimizer)
            self._call("after_step")
        except CancelStepException:
            pass  # the gradients are those of all processes now: they cannot be added to
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)

    def loss_of(self, output: Output, target: Tensor) -> Tensor:
        """Mean loss of a batch."""
        if self.loss_func is None:
            return output.cross_entropy(target)
        loss: object = self.loss_func(logits_of(output), target)
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            raise ConfigError(f"the loss function must give one number for a batch; it gave {described(loss)}")
        return loss.reshape(())

    def to_device(self, batch: Batch) -> tuple[tuple[Tensor, ...], Tensor]:
        """Inputs and target of a batch, where the model is."""
        if batch.target is None:
            raise DataError("the batch has no target to learn from or to compare with")
        return (
            tuple(x.to(self.device, non_blocking=True) for x in batch.inputs),
            batch.target.to(self.device, non_blocking=True),
        )


def _n_targets(batch: Batch) -> int:
    if batch.target is None:
        raise DataError("the batch has no target to learn from or to compare with")
    return batch.target.numel()
