"""Which small language model learns most in equal CPU time.

Each configuration is trained for the same CPU seconds (one thread) on the same token ids with the schedule run through,
then measured on held-out articles. One JSON line per configuration is appended to the output.

    python benchmarks/pretrain_configs.py STORES --seconds 600 --out runs/configs.jsonl emb_sz=300,n_hid=640 ...

STORES holds the folders `train` and `valid`, each as `TokenStore.build(Corpus(...), tokenizer, cache_dir=...).path`
names it; `Corpus(part=...)` tells the two parts apart.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ulmfit.data.loaders import LMDataLoader
from ulmfit.models.config import CONFIGS
from ulmfit.models.encoder import n_parameters
from ulmfit.models.language_model import LanguageModel
from ulmfit.text.store import TokenStore
from ulmfit.training.learner import DataLoaders, Learner
from ulmfit.training.optimizer import set_hyper
from ulmfit.training.schedules import one_cycle

DROPOUTS = {"output_p": 0.02, "hidden_p": 0.02, "input_p": 0.03, "embed_p": 0.0, "weight_p": 0.02}
OF_RUN = {"arch": "awd_lstm", "bs": 32, "lr": 5e-3, "vocab": 0, "alpha": 2.0, "beta": 1.0, "div": 10.0}


class Narrowed:
    """Documents whose rarer words are unknown: a smaller vocabulary on the same tokens."""

    def __init__(self, store: TokenStore, vocab_sz: int, n_tokens: int | None = None) -> None:
        last = len(store) if n_tokens is None else int(np.searchsorted(store.offsets, n_tokens))
        self.offsets = store.offsets[: last + 1]
        ids: Any = np.asarray(store.ids[: self.offsets[-1]])
        self.ids = np.where(ids < vocab_sz, ids, 0).astype(ids.dtype) if vocab_sz < len(store.vocab) else ids


def trial(settings: dict[str, Any], stores: Path, seconds: float) -> dict[str, Any]:
    """Train one configuration and measure it."""
    run: dict[str, Any] = {name: settings.get(name, default) for name, default in OF_RUN.items()}
    sizes = {k: v for k, v in settings.items() if k not in OF_RUN}
    train, valid = (TokenStore.open(stores / part) for part in ("train", "valid"))
    vocab_sz = run["vocab"] or len(train.vocab)
    config = CONFIGS[run["arch"]].from_dict(DROPOUTS | {"cutoffs": (2_000, 8_000)} | sizes)
    torch.manual_seed(0)
    model = LanguageModel(vocab_sz, config)
    loaders = DataLoaders(
        LMDataLoader(Narrowed(train, vocab_sz), bs=run["bs"], shuffle=True),
        LMDataLoader(Narrowed(valid, vocab_sz, 300_000), bs=32),
    )
    learn = Learner(loaders, model, metrics=["accuracy"], clip=1.0, alpha=run["alpha"], beta=run["beta"])
    schedule = one_cycle(div=run["div"], pct_start=0.1)
    model.train()
    started = time.process_time()
    for batch in loaders.train:
        progress = (time.process_time() - started) / seconds
        if progress >= 1:
            break
        set_hyper(learn.optimizer, [run["lr"]] * len(learn.groups), schedule(progress))
        learn.train_batch(batch)
    used = time.process_time() - started
    figures = learn.validate()
    return {
        "settings": settings,
        "parameters": n_parameters(model),
        "vocab": vocab_sz,
        "cpu_seconds": round(used),
        "tokens": learn.n_targets,
        "tokens_per_cpu_second": round(learn.n_targets / used),
        "train_loss": round(learn.smooth_loss, 4),
        "valid_loss": round(figures["valid_loss"], 4),
        "perplexity": round(math.exp(figures["valid_loss"]), 2),
        "accuracy": round(figures["accuracy"], 4),
        "precision": learn.precision,
    }


def _value(text: str) -> int | float | str:
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text


def main() -> None:
    """Parse, run, append."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stores", type=Path)
    parser.add_argument("configs", nargs="+", help="comma-separated name=value of the configuration or the run")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for text in arguments.configs:
        settings = {k: _value(v) for k, v in (p.split("=") for p in text.split(","))}
        row = trial(settings, arguments.stores, arguments.seconds)
        with arguments.out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
