"""Whether a classifier learns as well as fastai's: the same reviews, the same weights at the start, the same schedule.

    python benchmarks/imdb_small.py --data FOLDER
    python benchmarks/learner_accuracy.py --split runs/imdb-2000 --peer-python PEER/bin/python --seeds 3

A language model is trained once on the unlabelled reviews. For each seed both systems put its encoder under a head of
the same random weights, and train by the schedule of the tutorials: the head, one group more, another one, all of them
twice. They read the same ids of the same 2,000 reviews, and are measured on the same 2,000 others.
One line of JSON for each seed: the accuracy of both.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from learner_learning import layers_of

from ulmfit.data.loaders import ClassifierLoader, LMDataLoader
from ulmfit.models.classifier import TextClassifier
from ulmfit.models.config import CLASSIFIER_DROPOUTS, AWDLSTMConfig
from ulmfit.models.language_model import LanguageModel
from ulmfit.text.store import TokenStore
from ulmfit.text.tokenizers import Tokenizer
from ulmfit.training.learner import DataLoaders, Learner

FALL = 2.6**4
SCHEDULE = [  # groups that are frozen to, epochs, lowest and highest rate
    (-1, 1, 2e-2, 2e-2),
    (-2, 1, 1e-2 / FALL, 1e-2),
    (-3, 1, 5e-3 / FALL, 5e-3),
    (0, 2, 1e-3 / FALL, 1e-3),
]
PEER = """
import json, sys, time
import numpy as np, torch
from fastai.text.all import *
folder, s = sys.argv[1], json.loads(sys.argv[2])
data, weights = np.load(f"{folder}/data.npz"), np.load(f"{folder}/weights.npz")
def loader(part, shuffle):
    ids, cuts, labels = (data[f"{part}_{name}"] for name in ("ids", "cuts", "labels"))
    items = [(TensorText(torch.tensor(ids[a:b].astype(np.int64))), TensorCategory(int(y)))
             for a, b, y in zip(cuts, cuts[1:], labels)]
    return SortedDL(items, bs=s["bs"], shuffle=shuffle, before_batch=Pad_Chunk(pad_idx=1, seq_len=72), num_workers=0)
torch.manual_seed(s["seed"]); np.random.seed(s["seed"])
config = awd_lstm_clas_config.copy()
config.update(emb_sz=s["emb_sz"], n_hid=s["n_hid"], n_layers=s["n_layers"])
model = get_text_classifier(AWD_LSTM, s["vocab"], 2, config=config, drop_mult=0.5)
state = model.state_dict()
with torch.no_grad():
    for i in range(s["n_layers"]):
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            raw = name == "weight_hh"
            key = f"0.module.rnns.{i}.weight_hh_l0_raw" if raw else f"0.module.rnns.{i}.module.{name}_l0"
            state[key].copy_(torch.tensor(weights[f"{i}.{name}"]))
    state["0.module.encoder.weight"].copy_(torch.tensor(weights["embedding"]))
    head = [key for key in state if key.startswith("1.")]
    for i, key in enumerate(head):
        state[key].copy_(torch.tensor(weights[f"head.{i}"]))
class SkipValidation(Callback):
    def before_validate(self): raise CancelValidException()
dls = DataLoaders(loader("train", True), loader("test", False))
learn = TextLearner(dls, model, loss_func=CrossEntropyLossFlat(), splitter=awd_lstm_clas_split, metrics=accuracy)
started = time.perf_counter()
with learn.no_bar(), learn.no_logging():
    for freeze, epochs, low, high in s["schedule"]:
        learn.freeze_to(freeze)
        learn.fit_one_cycle(epochs, slice(low, high) if low != high else high, cbs=SkipValidation())
    seconds = time.perf_counter() - started
    loss, measured = learn.validate()
print(json.dumps({"accuracy": float(measured), "loss": float(loss), "seconds": seconds}))
"""


class NoValidation:
    """A validation part without a batch: accuracy is measured once, at the end."""

    def __len__(self) -> int:
        return 0

    def __iter__(self) -> Any:
        return iter(())

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """There is no order."""


def tokenized(split: Path, lm_texts: int) -> tuple[TokenStore, dict[str, TokenStore], dict[str, list[int]]]:
    """The unlabelled texts, the two labelled parts with the vocabulary of the first, and the class ids."""
    tokenizer = Tokenizer()
    unlabelled = pd.read_csv(split / "unlabelled.csv")["text"][:lm_texts].tolist()
    frames = {part: pd.read_csv(split / f"{part}.csv") for part in ("train", "test")}
    lm = TokenStore.build([*unlabelled, *frames["train"]["text"]], tokenizer, min_freq=4, max_vocab=20_000)
    stores = {part: TokenStore.build(f["text"].tolist(), tokenizer, vocab=lm.vocab) for part, f in frames.items()}
    return lm, stores, {part: (f["label"] == "pos").astype(int).tolist() for part, f in frames.items()}


def language_model(store: TokenStore, config: AWDLSTMConfig, file: Path) -> LanguageModel:
    """A language model of the texts: that of `file`, or trained for one epoch and written there."""
    torch.manual_seed(0)
    model = LanguageModel(len(store.vocab), config)
    if file.exists():
        model.load_state_dict(torch.load(file, weights_only=True))
        return model
    loader = LMDataLoader(store, bs=32, seq_len=72, shuffle=True)
    learn = Learner(DataLoaders(loader, NoValidation()), model, precision="fp32", clip=1.0, device="cpu")
    learn.fit_one_cycle(1, 5e-3)
    torch.save(model.state_dict(), file)
    return model


def ours(
    model: TextClassifier, stores: dict[str, TokenStore], labels: dict[str, list[int]], seed: int, bs: int
) -> dict[str, float]:
    """Train by the schedule and measure."""
    train = ClassifierLoader(stores["train"], labels["train"], bs=bs, shuffle=True, seed=seed)
    test = ClassifierLoader(stores["test"], labels["test"], bs=bs)
    dls = DataLoaders(train, NoValidation())
    learn = Learner(dls, model, metrics="accuracy", precision="fp32", seed=seed, device="cpu")
    started = time.perf_counter()
    for freeze, epochs, low, high in SCHEDULE:
        learn.freeze_to(freeze)
        learn.fit_one_cycle(epochs, slice(low, high))
    seconds = time.perf_counter() - started
    return {**learn.validate(dl=test), "seconds": seconds}


def main() -> None:
    """Train both for each seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", type=Path, default=Path("runs/imdb-2000"), help="what imdb_small.py wrote")
    parser.add_argument("--peer-python", required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--bs", type=int, default=40)
    parser.add_argument("--lm-texts", type=int, default=10_000)
    parser.add_argument("--emb-sz", type=int, default=100)
    parser.add_argument("--n-hid", type=int, default=200)
    parser.add_argument("--n-layers", type=int, default=2)
    options = parser.parse_args()
    lm_store, stores, labels = tokenized(options.split, options.lm_texts)
    sizes = {"emb_sz": options.emb_sz, "n_hid": options.n_hid, "n_layers": options.n_layers}
    config = AWDLSTMConfig(**sizes, cutoffs=(2000, 6000))
    name = "-".join(map(str, [options.lm_texts, *sizes.values()]))
    lm = language_model(lm_store, config, options.split / f"lm-{name}.pt")
    for seed in range(options.seeds):
        torch.manual_seed(seed)
        scaled = config.with_dropouts_of(CLASSIFIER_DROPOUTS).scaled(0.5)
        model = TextClassifier(len(lm_store.vocab), 2, scaled, max_len=72 * 20)
        model.encoder.load_state_dict(lm.encoder.state_dict())
        with tempfile.TemporaryDirectory() as folder:
            head = {f"head.{i}": tensor.numpy() for i, tensor in enumerate(model.head.state_dict().values())}
            np.savez(f"{folder}/weights.npz", **layers_of(lm), **head)
            parts: dict[str, Any] = {}
            for part, store in stores.items():
                parts |= {f"{part}_ids": store.ids, f"{part}_cuts": store.offsets, f"{part}_labels": labels[part]}
            np.savez(f"{folder}/data.npz", **parts)
            own = ours(model, stores, labels, seed, options.bs)
            settings = {**sizes, "bs": options.bs, "seed": seed, "vocab": len(lm_store.vocab), "schedule": SCHEDULE}
            command = [options.peer_python, "-c", PEER, folder, json.dumps(settings)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(done.stderr[-3000:])
        peer = json.loads(done.stdout.splitlines()[-1])
        result = {"seed": seed, "texts": len(stores["train"]), "tested": len(stores["test"]), **sizes}
        result |= {"accuracy": round(own["accuracy"], 4), "peer_accuracy": round(peer["accuracy"], 4)}
        result |= {"loss": round(own["valid_loss"], 4), "peer_loss": round(peer["loss"], 4)}
        result |= {"seconds": round(own["seconds"], 1), "peer_seconds": round(peer["seconds"], 1)}
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
