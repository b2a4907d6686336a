"""Writes training_goldens.json beside it, from fastai 2.8.12: run it with a Python that has that package.

    python tests/parity/make_training_goldens.py

Curves of learning rate and momentum, steps of Adam, suggestions of lr_find, and the matching of vocabularies.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from fastai.callback.core import Callback
from fastai.callback.schedule import minimum, slide, steep, valley  # adds the fits to Learner
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.optimizer import Adam
from fastai.text.learner import match_embeds
from fastai.torch_core import params
from torch import nn

N_BATCHES = 10


class Watch(Callback):
    """Notes what the optimizer is set to at each step."""

    order = 99

    def before_fit(self) -> None:
        self.rows = []

    def before_batch(self) -> None:
        if self.training:
            hypers = self.opt.hypers
            self.rows.append([[float(h["lr"]) for h in hypers], float(hypers[0]["mom"])])


def learner(watch: Watch) -> Learner:
    data = [(torch.zeros(1, 2), torch.zeros(1, 2)) for _ in range(N_BATCHES)]
    loader = torch.utils.data.DataLoader(data, batch_size=None)
    model = nn.Sequential(*(nn.Linear(2, 2) for _ in range(4)))
    return Learner(
        DataLoaders(loader, loader),
        model,
        loss_func=nn.MSELoss(),
        splitter=lambda m: [params(layer) for layer in m],
        moms=(0.8, 0.7, 0.8),
        cbs=[watch],
    )


def curves() -> dict[str, object]:
    result = {}
    runs = {
        "one_cycle": lambda learn: learn.fit_one_cycle(2, 1e-2),
        "one_cycle_slice": lambda learn: learn.fit_one_cycle(1, slice(1e-2 / 2.6**4, 1e-2), pct_start=0.3, div=5.0),
        "one_cycle_bare_slice": lambda learn: learn.fit_one_cycle(1, slice(1e-2)),
        "flat_cos": lambda learn: learn.fit_flat_cos(2, 1e-2),
        "sgdr": lambda learn: learn.fit_sgdr(2, 1, 1e-2),
        "fine_tune": lambda learn: learn.fine_tune(2, 2e-3),
    }
    for name, run in runs.items():
        rows: list[object] = []
        watch = Watch()
        learn = learner(watch)
        watch.after_fit = lambda watch=watch, rows=rows: rows.extend(watch.rows)
        with learn.no_bar(), learn.no_logging():
            run(learn)
        result[name] = rows
    return result


def frozen() -> dict[str, list[bool]]:
    result = {}
    for n in (-1, -2, 1, 0):
        learn = learner(Watch())
        learn.freeze_to(n)
        result[str(n)] = [all(p.requires_grad for p in layer.parameters()) for layer in learn.model]
    return result


def adam() -> dict[str, object]:
    """Steps on fixed gradients, with momentum and rate cycled, and weight decay on."""
    start = torch.tensor([[0.5, -1.0], [2.0, 0.1]])
    gradients = torch.tensor(np.random.default_rng(0).normal(size=(12, 2, 2)), dtype=torch.float32)
    p = nn.Parameter(start.clone())
    opt = Adam([p], lr=1e-2, wd=0.1)
    after, settings = [], []
    for i, gradient in enumerate(gradients):
        lr, mom = 1e-2 * (1 + i), 0.8 - 0.01 * i
        opt.set_hypers(lr=lr, mom=mom)
        p.grad = gradient.clone()
        opt.step()
        after.append(p.detach().tolist())
        settings.append([lr, mom])
    return {"start": start.tolist(), "gradients": gradients.tolist(), "settings": settings, "after": after, "wd": 0.1}


def suggestions() -> list[dict[str, object]]:
    result = []
    rng = np.random.default_rng(1)
    for seed in range(4):
        lrs = np.geomspace(1e-7, 10, 100)[10:-5]
        x = np.log10(lrs)
        losses = 4 - 1.5 / (1 + np.exp(-2 * (x + 3 - seed / 2))) + np.maximum(0, x + 0.5) ** 2 * 3
        losses += rng.normal(size=len(lrs)) * 0.01 * seed
        a, b = torch.tensor(lrs, dtype=torch.float64), torch.tensor(losses, dtype=torch.float64)
        found = {f.__name__: float(f(a, b, 100)[0]) for f in (valley, slide, minimum, steep)}
        result.append({"lrs": lrs.tolist(), "losses": losses.tolist(), "found": found})
    return result


def matching() -> dict[str, object]:
    old, new = ["xxunk", "xxpad", "the", "cat", "sat"], ["xxunk", "xxpad", "cat", "dog", "the", "zebra"]
    weights = np.random.default_rng(2).normal(size=(5, 3))
    bias = np.random.default_rng(3).normal(size=5)
    given = {"0.encoder.weight": torch.tensor(weights), "1.decoder.bias": torch.tensor(bias)}
    moved = match_embeds(dict(given), old, new)
    return {
        "old": old,
        "new": new,
        "weights": weights.tolist(),
        "bias": bias.tolist(),
        "moved_weights": moved["0.encoder.weight"].tolist(),
        "moved_bias": moved["1.decoder.bias"].tolist(),
    }


if __name__ == "__main__":
    goldens = {
        "n_batches": N_BATCHES,
        "curves": curves(),
        "frozen": frozen(),
        "adam": adam(),
        "suggestions": suggestions(),
        "matching": matching(),
    }
    Path(__file__).with_name("training_goldens.json").write_text(json.dumps(goldens), encoding="utf-8")
