"""Training against what the peer did (training_goldens.json, written by make_training_goldens.py)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ulmfit.data.loaders import Batch
from ulmfit.pretrained.transfer import match_vocab
from ulmfit.text.vocab import Vocab
from ulmfit.training import lr_finder
from ulmfit.training.callbacks import Callback
from ulmfit.training.learner import DataLoaders, Learner
from ulmfit.training.optimizer import make_optimizer, set_hyper
from ulmfit.training.schedules import Hyper

GOLDENS = json.loads(Path(__file__).with_name("training_goldens.json").read_text(encoding="utf-8"))


@dataclass
class Said:
    logits: torch.Tensor
    ar = tar = torch.zeros(())

    def cross_entropy(self, target: torch.Tensor) -> torch.Tensor:
        return (self.logits - target).pow(2).mean()


class Layers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(nn.Linear(2, 2) for _ in range(4)))

    def forward(self, x: torch.Tensor) -> Said:
        return Said(self.layers(x))

    def parameter_groups(self) -> list[list[nn.Parameter]]:
        return [list(layer.parameters()) for layer in self.layers]


class Same:
    def __len__(self) -> int:
        return int(GOLDENS["n_batches"])

    def __iter__(self) -> Any:
        for _ in range(len(self)):
            yield Batch((torch.zeros(1, 2),), torch.zeros(1, 2))

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """There is no order."""


class Watch(Callback):
    def __init__(self) -> None:
        self.rows: list[Any] = []

    def before_batch(self, learn) -> None:
        rates = {group["group"]: group["lr"] for group in learn.optimizer.param_groups}
        self.rows.append([[rates[i] for i in sorted(rates)], learn.optimizer.param_groups[0]["betas"][0]])


RUNS = {
    "one_cycle": lambda learn: learn.fit_one_cycle(2, 1e-2),
    "one_cycle_slice": lambda learn: learn.fit_one_cycle(1, slice(1e-2 / 2.6**4, 1e-2), pct_start=0.3, div=5.0),
    "one_cycle_bare_slice": lambda learn: learn.fit_one_cycle(1, slice(1e-2)),
    "flat_cos": lambda learn: learn.fit_flat_cos(2, 1e-2),
    "sgdr": lambda learn: learn.fit_sgdr(2, 1, 1e-2),
    "fine_tune": lambda learn: learn.fine_tune(2, 2e-3),
}


def learner(*cbs: Callback) -> Learner:
    return Learner(DataLoaders(Same(), Same()), Layers(), cbs=list(cbs), precision="fp32", device="cpu")


@pytest.mark.parametrize("name", RUNS)
def test_rates_and_momentum_at_every_step(name):
    watch = Watch()
    RUNS[name](learner(watch))
    expected = GOLDENS["curves"][name]
    assert len(watch.rows) == len(expected)
    for (rates, mom), (peer_rates, peer_mom) in zip(watch.rows, expected, strict=True):
        assert rates == pytest.approx(peer_rates, rel=1e-5)  # the peer computes its place in the fit in float32
        if name not in (
            "flat_cos",
            "sgdr",
        ):  # there the peer takes the optimizer's 0.9, not the learner's first of moms
            assert mom == pytest.approx(peer_mom, rel=1e-6)


def test_the_same_groups_are_frozen():
    for n, expected in GOLDENS["frozen"].items():
        learn = learner()
        learn.freeze_to(int(n))
        assert [all(p.requires_grad for p in group) for group in learn.groups] == expected


def test_steps_of_adam():
    golden = GOLDENS["adam"]
    p = nn.Parameter(torch.tensor(golden["start"]))
    optimizer = make_optimizer([[p]], wd=golden["wd"])
    for gradient, (lr, mom), after in zip(golden["gradients"], golden["settings"], golden["after"], strict=True):
        set_hyper(optimizer, [lr], Hyper(1.0, mom))
        p.grad = torch.tensor(gradient)
        optimizer.step()
        assert p.detach().flatten().tolist() == pytest.approx(np.array(after).ravel().tolist(), abs=2e-6)


@pytest.mark.parametrize("golden", GOLDENS["suggestions"])
def test_suggestions_on_recorded_losses(golden):
    lrs, losses = np.array(golden["lrs"]), np.array(golden["losses"])
    for name, expected in golden["found"].items():
        assert getattr(lr_finder, name)(lrs, losses) == pytest.approx(expected, rel=1e-9), name


def test_vocabularies_are_matched_by_word():
    golden = GOLDENS["matching"]
    weights = {
        "encoder.embedding.weight": torch.tensor(golden["weights"]),
        "decoder.bias": torch.tensor(golden["bias"]),
    }
    moved, _ = match_vocab(weights, Vocab(golden["old"]), Vocab(golden["new"]))
    assert torch.allclose(moved["encoder.embedding.weight"], torch.tensor(golden["moved_weights"]))
    assert torch.allclose(moved["decoder.bias"], torch.tensor(golden["moved_bias"]))
