r"""Which small language model learns most in equal CPU time.

    python benchmarks/pretrain_configs.py enwiki-2.parquet --seconds 360 --rows benchmarks/pretrain_configs.jsonl \
        emb_sz=300,n_hid=640,n_layers=2 emb_sz=300,n_hid=640,n_layers=2,vocab=15000 ...

Each configuration is trained for the same CPU seconds (one thread) on the same tokens with the schedule run through,
then measured on articles held out. Each gives a row of JSON, of which `results_render.py` makes the table of
docs/design/pretraining.md.

Perplexities of two vocabularies do not compare: a word that one of them lacks is easy to foretell, as it is any such
word. So each of these costs as much more as it takes to tell it from the others that the largest vocabulary knows, all
being as likely: `comparable`. Words that the largest vocabulary lacks cost nothing more.
"""

from __future__ import annotations

import argparse
import math
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rows import add_row, circumstances

from ulmfit.data.corpus import Corpus
from ulmfit.data.loaders import LMDataLoader
from ulmfit.models.config import CONFIGS, AWDQRNNConfig
from ulmfit.models.encoder import n_parameters
from ulmfit.models.language_model import LanguageModel
from ulmfit.text import Tokenizer, TokenStore, WordTokenizer
from ulmfit.text.cache import default_cache_dir
from ulmfit.training.learner import DataLoaders, Learner
from ulmfit.training.optimizer import set_hyper
from ulmfit.training.schedules import one_cycle

DROPOUTS = {"output_p": 0.02, "hidden_p": 0.02, "input_p": 0.03, "embed_p": 0.0, "weight_p": 0.02}
MAX_VOCAB = 30_000
OF_RUN = {"arch": "awd_lstm", "bs": 32, "lr": 1e-2, "vocab": 0, "alpha": 2.0, "beta": 1.0, "div": 10.0}


class Narrowed:
    """Documents whose rarer words are unknown: a smaller vocabulary on the same tokens.

    Args:
        store: the documents, whose words have ids by their frequency.
        vocab_sz: how many of these are known.
        n_tokens: about so many tokens, from the first document on; None for all.
    """

    def __init__(self, store: TokenStore, vocab_sz: int, n_tokens: int | None = None) -> None:
        last = len(store) if n_tokens is None else int(np.searchsorted(store.offsets, n_tokens))
        self.offsets = store.offsets[: last + 1]
        ids: Any = np.asarray(store.ids[: self.offsets[-1]])
        lacking = ids >= vocab_sz
        self.lacking = float(lacking.mean())
        self.ids = np.where(lacking, store.vocab.unk_idx, ids).astype(ids.dtype) if lacking.any() else ids


def trial(settings: dict[str, Any], train: TokenStore, valid: TokenStore, seconds: float) -> dict[str, Any]:
    """Train one configuration and measure it."""
    run: dict[str, Any] = {name: settings.get(name, default) for name, default in OF_RUN.items()}
    sizes = {k: v for k, v in settings.items() if k not in OF_RUN}
    vocab_sz = run["vocab"] or len(train.vocab)
    config = CONFIGS[run["arch"]].from_dict(DROPOUTS | {"cutoffs": (2_000, 8_000)} | sizes)
    torch.manual_seed(0)
    model = LanguageModel(vocab_sz, config)
    check = Narrowed(valid, vocab_sz, 300_000)
    loaders = DataLoaders(
        LMDataLoader(Narrowed(train, vocab_sz), bs=run["bs"], shuffle=True),
        LMDataLoader(check, bs=32),
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
    loss = learn.validate()["valid_loss"]
    further = len(train.vocab) - vocab_sz
    return {
        **{name: run[name] for name in ("arch", "bs", "lr", "alpha", "beta")},
        **{name: getattr(config, name) for name in ("n_layers", "emb_sz", "n_hid")},
        **({"window": config.window} if isinstance(config, AWDQRNNConfig) else {}),
        "parameters": n_parameters(model),
        "vocab": vocab_sz,
        "cpu_seconds": round(used),
        "tokens": learn.n_targets,
        "train_loss": round(learn.smooth_loss, 4),
        "valid_loss": round(loss, 4),
        "perplexity": round(math.exp(loss), 1),
        "comparable": round(math.exp(loss + (check.lacking * math.log(further) if further else 0.0)), 1),
        "precision": learn.precision,
    }


def _value(text: str) -> int | float | str:
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text


def main() -> None:
    """Cut the texts, run, keep the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("configs", nargs="+", help="comma-separated name=value of the configuration or the run")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--rows", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    parts = [Corpus(paths=(given.corpus,), held_out=0.01, part=part) for part in ("train", "held_out")]
    tokenizer = Tokenizer(WordTokenizer("en"))
    train = TokenStore.build(parts[0], tokenizer, max_vocab=MAX_VOCAB, cache_dir=default_cache_dir())
    valid = TokenStore.build(parts[1], tokenizer, vocab=train.vocab, cache_dir=default_cache_dir())
    where = circumstances()  # now: the commit may be another when a trial ends
    for text in given.configs:
        settings = {k: _value(v) for k, v in (p.split("=") for p in text.split(","))}
        row = trial(settings, train, valid, given.seconds)
        add_row(given.rows, {"corpus": given.corpus.name, **row, **where})


if __name__ == "__main__":
    main()
