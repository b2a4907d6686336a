"""How a language model from random weights sets out: the loss after some steps, by the bias of new forget gates.

    python benchmarks/lm_start.py FILE [FILE ...] --steps 150 --warm-up 30 --seeds 0 1 2 --forget-bias 0 1

Each FILE has a column text. The model, the batches and the regularisation are those of `ulmfit pretrain` for the small
LSTM; the learning rate rises for `--warm-up` steps and stays. A model that has not learned to use its state is left
near the perplexity of single words (`words alone` in the output), which is where an unlucky start ends. One line of
JSON for each run: the running mean of the training loss, every tenth of the steps, and the perplexity on the last 300
texts, which are not learned from.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from ulmfit.data.corpus import Corpus
from ulmfit.data.loaders import LMDataLoader
from ulmfit.data.portions import Portions
from ulmfit.models.awd_lstm import FORGET_BIAS, WeightDropLSTM
from ulmfit.models.language_model import LanguageModel
from ulmfit.text.cache import default_cache_dir
from ulmfit.text.store import TokenStore
from ulmfit.training.bases import own_tokenizer
from ulmfit.training.callbacks import Callback
from ulmfit.training.learner import DataLoaders, Learner
from ulmfit.training.pretrain_job import PretrainJob
from ulmfit.training.schedules import trapezoid

HELD_OUT = 300  # texts, the last ones


class Losses(Callback):
    """The running mean of the training loss, every so many steps."""

    def __init__(self, every: int) -> None:
        self.every, self.n = every, 0
        self.values: list[float] = []

    def after_batch(self, learn: Learner) -> None:
        """Keep one in so many."""
        self.n += 1
        if self.n % self.every == 0:
            self.values.append(round(learn.smooth_loss, 3))


def learner(job: PretrainJob, store: TokenStore, seed: int, forget_bias: float, steps: int) -> Learner:
    """A new model whose forget gates begin with another bias than the library's; an epoch has about so many steps."""
    torch.manual_seed(seed)
    model = LanguageModel(len(store.vocab), job.config.scaled(job.drop_mult))
    for layer in model.modules():
        if isinstance(layer, WeightDropLSTM):
            size = layer.lstm.hidden_size
            layer.lstm.get_parameter("bias_ih_l0").data[size : 2 * size] += forget_bias - FORGET_BIAS
    learned, checked = store.cut(len(store) - HELD_OUT)
    train = LMDataLoader(learned, bs=job.bs, seq_len=job.bptt, shuffle=True, seed=seed)
    portions = Portions(train, max(1, round(len(train) / steps)))
    loaders = DataLoaders(portions, LMDataLoader(checked, bs=job.bs, seq_len=job.bptt))
    return Learner(loaders, model, metrics=["perplexity"], alpha=job.alpha, beta=job.beta, clip=1.0, seed=seed)


def main() -> None:
    """Train from each start and print the losses."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--warm-up", type=int, default=30)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--lr", type=float, default=PretrainJob.lr)
    parser.add_argument("--forget-bias", type=float, nargs="+", default=[0.0, 1.0])
    given = parser.parse_args()
    torch.set_num_threads(1)
    job = PretrainJob(data=tuple(given.files), out=Path("unused"), text="text", lr=given.lr)
    corpus, quiet = Corpus(paths=job.data, text=job.text), Console(quiet=True)
    own = job.own()
    tokenizer = own_tokenizer(own["tokenizer"], own["lang"], corpus, quiet, own["vocab_size"])
    store = TokenStore.build(
        corpus, tokenizer, min_freq=own["min_freq"], max_vocab=own["vocab_size"], cache_dir=default_cache_dir()
    )
    shares = np.bincount(store.ids, minlength=len(store.vocab)) / store.n_tokens
    alone = -float((shares[shares > 0] * np.log(shares[shares > 0])).sum())
    for seed in given.seeds:
        for bias in given.forget_bias:
            learn = learner(job, store, seed, bias, given.steps)
            losses = Losses(max(1, given.steps // 10))
            learn.fit(
                1,
                job.lr,
                schedule=trapezoid(warm_up=given.warm_up / given.steps, fall=0.0, mom=learn.moms[1]),
                cbs=[losses],
            )
            facts = {"seed": seed, "forget_bias": bias, "lr": job.lr, "words alone": round(alone, 3)}
            print(
                json.dumps({**facts, "loss": losses.values, "perplexity": round(learn.history[-1]["perplexity"], 1)}),
                flush=True,
            )


if __name__ == "__main__":
    main()
