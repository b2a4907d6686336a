"""The training loop."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ulmfit.data.loaders import Batch, ClassifierLoader
from ulmfit.errors import ConfigError, DataError
from ulmfit.training.callbacks import Callback, StopFit, TerminateOnNaN
from ulmfit.training.metrics import Metric, Output, make_metric
from ulmfit.training.optimizer import make_optimizer, set_hyper
from ulmfit.training.precision import autocast, resolve_precision
from ulmfit.training.schedules import Schedule, constant, group_rates, one_cycle


class Loader(Protocol):
    """Batches that can be passed over again and again."""

    def __len__(self) -> int:
        """Number of batches."""

    def __iter__(self) -> Iterator[Batch]:
        """The batches of the epoch."""

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """Choose the order of the next pass, and the batch at which it begins."""


class Model(Protocol):
    """What the loop needs of a model beside being a module."""

    def __call__(self, *inputs: Tensor) -> Output:
        """Run a batch."""

    def parameter_groups(self) -> list[list[nn.Parameter]]:
        """Parameters, lowest group first."""


@dataclass(frozen=True)
class DataLoaders:
    """A loader for training and one for validation."""

    train: Loader
    valid: Loader


class Learner:
    """Trains a model on data: schedules, freezing, validation, history.

    Args:
        dls: the loaders.
        model: a module with `parameter_groups`, whose output knows its loss.
        wd: decoupled weight decay.
        moms: momentum at the start, the middle and the end of a cycle.
        alpha: weight of activation regularisation.
        beta: weight of temporal activation regularisation.
        clip: largest norm of the gradient, None for no limit.
        metrics: names or metrics for the validation pass.
        cbs: callbacks for every fit.
        precision: "auto", "bf16" or "fp32".
        device: where to train; the GPU if there is one, else the CPU.
        seed: of dropout; on one CPU the same seed gives the same weights, unless a fit is limited by time.
    """

    def __init__(
        self,
        dls: DataLoaders,
        model: nn.Module,
        *,
        wd: float = 0.01,
        moms: tuple[float, float, float] = (0.8, 0.7, 0.8),
        alpha: float = 2.0,
        beta: float = 1.0,
        clip: float | None = None,
        metrics: Sequence[str | Metric] = (),
        cbs: Sequence[Callback] = (),
        precision: str = "auto",
        device: torch.device | str | None = None,
        seed: int = 0,
    ) -> None:
        self.dls = dls
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.model = model.to(self.device)
        self.precision = resolve_precision(precision, self.device)
        self.wd, self.moms, self.alpha, self.beta, self.clip = wd, moms, alpha, beta, clip
        self.metrics = [make_metric(m) for m in metrics]
        self.cbs: list[Callback] = [TerminateOnNaN(), *cbs]
        self.history: list[dict[str, Any]] = []
        self.groups = cast("Model", model).parameter_groups()
        self.optimizer = make_optimizer(self.groups, wd=wd, mom=moms[0])
        self.epoch = 0
        self.step = 0
        self.loss = float("nan")
        self.smooth_loss = float("nan")
        self.progress = 0.0
        self.n_steps = 0
        self.n_targets = 0
        self.passes = 0  # over the training part, finished or given up, in all fits
        self.batch = 0  # steps of the running pass
        self.seconds = 0.0  # of the running fit
        self._rng = torch.Generator().manual_seed(seed).get_state()
        self._drawing = False

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

    def freeze_to(self, n: int) -> None:
        """Train only the groups from the n-th on; negative n counts from the last group.

        Raises:
            ConfigError: there is no such group.
        """
        if not -len(self.groups) <= n < len(self.groups):
            raise ConfigError(f"freeze_to({n}): the model has {len(self.groups)} parameter groups")
        first = n % len(self.groups)
        for i, group in enumerate(self.groups):
            for p in group:
                p.requires_grad_(i >= first)
                if i < first:
                    p.grad = None

    def freeze(self) -> None:
        """Train the last group only."""
        self.freeze_to(-1)

    def unfreeze(self) -> None:
        """Train all groups."""
        self.freeze_to(0)

    def fit_one_cycle(
        self,
        n_epoch: float,
        lr_max: float | slice,
        *,
        div: float = 25.0,
        div_final: float = 1e5,
        pct_start: float = 0.25,
        seconds: float | None = None,
        cbs: Sequence[Callback] = (),
        resume: bool = False,
    ) -> None:
        """Train with the one-cycle schedule; see `fit` and `schedules.one_cycle`."""
        schedule = one_cycle(moms=self.moms, div=div, div_final=div_final, pct_start=pct_start)
        self.fit(n_epoch, lr_max, schedule=schedule, seconds=seconds, cbs=cbs, resume=resume)

    def fit(
        self,
        n_epoch: float,
        lr: float | slice,
        *,
        schedule: Schedule | None = None,
        seconds: float | None = None,
        cbs: Sequence[Callback] = (),
        resume: bool = False,
    ) -> None:
        """Train for some epochs, or for a time.

        Args:
            n_epoch: epochs; a fraction is a part of the training data.
            lr: maximum learning rate, or a slice for discriminative rates.
            schedule: of learning rate and momentum; constant by default.
            seconds: if given, the fit ends after so much time or after `n_epoch` epochs, whichever comes first, with
                the schedule run through to its end.
            cbs: callbacks for this fit only.
            resume: go on where a fit was interrupted, whose checkpoint was loaded (`checkpoint.load_checkpoint`).

        Raises:
            ConfigError: a number of epochs, seconds or a rate that makes no sense.
        """
        if not 0 < n_epoch < float("inf"):
            raise ConfigError(f"n_epoch={n_epoch} must be a positive number of epochs")
        if n_epoch < 0.05 and seconds is None:
            raise ConfigError(
                f"n_epoch={n_epoch} is the number of epochs and comes first; was it meant as the learning rate?"
            )
        if seconds is not None and seconds <= 0:
            raise ConfigError(f"seconds={seconds} must be positive")
        rates = group_rates(lr, len(self.groups))
        schedule = schedule or constant(self.moms[0])
        callbacks = [*self.cbs, *cbs]
        total_steps = max(1, round(n_epoch * len(self.dls.train)))
        if not resume:
            self.passes += self.batch > 0
            self.progress, self.step, self.epoch, self.batch, self.seconds = 0.0, 0, 0, 0, 0.0
        started = time.perf_counter() - self.seconds
        try:
            for cb in callbacks:
                cb.before_fit(self)
            with self.private_randomness():
                while self.step < total_steps and self.progress < 1:
                    self._one_epoch(rates, schedule, total_steps, started, seconds, callbacks)
                    self.epoch += 1
                    if seconds is not None and time.perf_counter() - started >= seconds:
                        break  # also when the time ran out in the validation pass
        except StopFit:
            pass
        finally:
            for cb in callbacks:
                cb.after_fit(self)

    def _one_epoch(
        self,
        rates: list[float],
        schedule: Schedule,
        total_steps: int,
        started: float,
        seconds: float | None,
        callbacks: list[Callback],
    ) -> None:
        for cb in callbacks:
            cb.before_epoch(self)
        epoch_started = time.perf_counter()
        self.dls.train.set_epoch(self.passes, self.batch)
        self.model.train()
        if self.batch == 0:
            _reset(self.model)
        for batch in self.dls.train:
            self.seconds = time.perf_counter() - started
            self.progress = min(1.0, max(self.step / total_steps, self.seconds / seconds if seconds else 0.0))
            if self.progress >= 1 and self.step > 0:
                break
            set_hyper(self.optimizer, rates, schedule(self.progress))
            self.train_batch(batch)
            self.batch += 1
            for cb in callbacks:
                cb.after_batch(self)
        self.passes, self.batch = self.passes + 1, 0
        if self.step >= total_steps:
            self.progress = 1.0
        row: dict[str, Any] = {"epoch": len(self.history), "steps": self.step, "train_loss": self.smooth_loss}
        row |= self.validate()
        row["time"] = round(time.perf_counter() - epoch_started, 2)
        self.history.append(row)
        for cb in callbacks:
            cb.after_epoch(self)

    def train_batch(self, batch: Batch) -> None:
        """One step of the optimizer."""
        inputs, target = self._to_device(batch)
        with autocast(self.precision, self.device):
            output = cast("Output", self.model(*inputs))
            loss = output.cross_entropy(target)
        total = loss + self.alpha * output.ar + self.beta * output.tar
        total.backward()  # type: ignore[no-untyped-call]
        if self.clip is not None:
            nn.utils.clip_grad_norm_([p for g in self.groups for p in g], self.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.loss = loss.item()
        self.step += 1
        self.n_steps += 1
        self.n_targets += target.numel()
        weight = (
            0.98 if self.step > 50 else 1 - 1 / self.step
        )  # a plain mean at first, so that the start does not count for long
        self.smooth_loss = self.loss if self.step == 1 else weight * self.smooth_loss + (1 - weight) * self.loss

    def _to_device(self, batch: Batch) -> tuple[tuple[Tensor, ...], Tensor]:
        if batch.target is None:
            raise DataError("the batch has no target to learn from or to compare with")
        return tuple(x.to(self.device) for x in batch.inputs), batch.target.to(self.device)

    @torch.no_grad()
    def validate(self, loader: Loader | None = None) -> dict[str, float]:
        """Mean loss per target and the metrics over a loader, by default the validation part."""
        self.model.eval()
        _reset(self.model)
        total, n = 0.0, 0
        for metric in self.metrics:
            metric.reset()
        for batch in self.dls.valid if loader is None else loader:
            inputs, target = self._to_device(batch)
            with autocast(self.precision, self.device):
                output = cast("Output", self.model(*inputs))
                loss = output.cross_entropy(target).item()
                for metric in self.metrics:
                    metric.update(output, target, loss)
            total, n = total + loss * target.numel(), n + target.numel()
        _reset(self.model)
        return {"valid_loss": total / n if n else float("nan")} | {m.name: m.value() for m in self.metrics}

    @torch.no_grad()
    def predict_probabilities(self, loader: ClassifierLoader) -> NDArray[np.float32]:
        """Class probabilities (N, C) of a loader's documents, in the order of the documents, in float32."""
        self.model.eval()
        rows: list[Tensor] = []
        order: list[NDArray[np.int64]] = []
        for indices in loader.batch_indices():
            inputs, _ = loader.collate(indices)
            rows.append(self.model(*(x.to(self.device) for x in inputs)).logits.float().softmax(1).cpu())
            order.append(indices)
        result = torch.cat(rows).numpy()
        back = np.empty_like(result)
        back[np.concatenate(order)] = result
        return back


def _reset(model: nn.Module) -> None:
    """Forget the hidden state, for models that keep one between batches."""
    reset = getattr(model, "reset", None)
    if reset is not None:
        reset()
