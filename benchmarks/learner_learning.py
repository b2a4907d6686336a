"""Whether a language model learns as well as fastai's: the same text, the same weights at the start, the same schedule.

    python benchmarks/learner_learning.py --data FOLDER --peer-python PEER/bin/python --tokens 300000 --seeds 3

`FOLDER` holds wikitext-2.tgz. Tokens are split at spaces; the vocabulary is made of the training piece. Both systems
train for `--epochs` one-cycle epochs from weights that this program makes for each seed, and measure the same
validation piece.
One line of JSON for each seed: the loss of both and their ratio.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tarfile
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from ulmfit.data.loaders import LMDataLoader
from ulmfit.models.config import AWDLSTMConfig
from ulmfit.models.language_model import LanguageModel
from ulmfit.text.vocab import make_vocab
from ulmfit.training.learner import DataLoaders, Learner

PEER = """
import json, sys, time
import numpy as np, torch
from fastai.text.all import *
folder, settings = sys.argv[1], json.loads(sys.argv[2])
data = np.load(f"{folder}/data.npz")
weights = np.load(f"{folder}/weights.npz")
texts = [[LMTensorText(torch.tensor(ids[a:b].astype(np.int64))) for a, b in zip(cuts, cuts[1:])]
         for ids, cuts in ((data["train"], data["train_cuts"]), (data["valid"], data["valid_cuts"]))]
dls = DataLoaders(LMDataLoader(texts[0], bs=settings["bs"], seq_len=72, shuffle=True),
                  LMDataLoader(texts[1], bs=settings["bs"], seq_len=72))
config = awd_lstm_lm_config.copy()
config.update(emb_sz=settings["emb_sz"], n_hid=settings["n_hid"], n_layers=settings["n_layers"])
torch.manual_seed(settings["seed"]); np.random.seed(settings["seed"])
model = get_language_model(AWD_LSTM, settings["vocab"], config=config)
state = model.state_dict()
with torch.no_grad():
    for i in range(settings["n_layers"]):
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            key = f"0.rnns.{i}.weight_hh_l0_raw" if name == "weight_hh" else f"0.rnns.{i}.module.{name}_l0"
            state[key].copy_(torch.tensor(weights[f"{i}.{name}"]))
    state["0.encoder.weight"].copy_(torch.tensor(weights["embedding"]))
    state["1.decoder.bias"].copy_(torch.tensor(weights["bias"]))
learn = LMLearner(dls, model, loss_func=CrossEntropyLossFlat(), splitter=awd_lstm_lm_split)
started = time.perf_counter()
with learn.no_bar(), learn.no_logging():
    learn.fit_one_cycle(settings["epochs"], settings["lr"])
print(json.dumps({"valid_loss": float(learn.recorder.values[-1][1]), "seconds": time.perf_counter() - started}))
"""


def read(data: Path, tokens: int) -> tuple[list[list[str]], list[list[str]]]:
    """Lines of the training piece and of a fifth as much for validation, as lists of words."""
    parts = []
    with tarfile.open(data / "wikitext-2.tgz") as archive:
        for part, most in (("train", tokens), ("valid", tokens // 5)):
            file = archive.extractfile(f"wikitext-2/wiki.{part}.tokens")
            if file is None:
                raise SystemExit(f"{data}/wikitext-2.tgz has no wiki.{part}.tokens")
            lines, n = [], 0
            for line in file.read().decode().splitlines():
                words = line.split()
                if words and n < most:
                    lines.append(["xxbos", *words])
                    n += len(words) + 1
            parts.append(lines)
    return parts[0], parts[1]


def layers_of(model: LanguageModel) -> dict[str, Any]:
    """The model's weights under plain names."""
    state = model.state_dict()
    found: dict[str, Any] = {
        "embedding": state["encoder.embedding.weight"].numpy(),
        "bias": state["decoder.bias"].numpy(),
    }
    for name, tensor in state.items():
        parts = name.split(".")
        if parts[:2] == ["encoder", "layers"]:
            kind = next(k for k in ("weight_ih", "weight_hh", "bias_ih", "bias_hh") if k in name)
            found[f"{parts[2]}.{kind}"] = tensor.numpy()
    return found


def main() -> None:
    """Train both for each seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--peer-python", required=True)
    parser.add_argument("--tokens", type=int, default=300_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--bs", type=int, default=32)
    parser.add_argument("--lr", type=float, default=5e-3)
    parser.add_argument("--emb-sz", type=int, default=400)
    parser.add_argument("--n-hid", type=int, default=1152)
    parser.add_argument("--n-layers", type=int, default=3)
    parser.add_argument("--precision", default="fp32")
    options = parser.parse_args()
    train, valid = read(options.data, options.tokens)
    counts: dict[str, int] = {}
    for line in train:
        for word in line:
            counts[word] = counts.get(word, 0) + 1
    itos = make_vocab(counts, min_freq=3, max_vocab=60_000).itos
    stoi = {word: i for i, word in enumerate(itos)}
    ids = [np.array([stoi.get(w, 0) for line in part for w in line], dtype=np.int32) for part in (train, valid)]
    cuts = [np.cumsum([0, *map(len, part)]) for part in (train, valid)]
    sizes = {"emb_sz": options.emb_sz, "n_hid": options.n_hid, "n_layers": options.n_layers}
    for seed in range(options.seeds):
        torch.manual_seed(seed)
        model = LanguageModel(len(itos), AWDLSTMConfig(**sizes))
        documents = [SimpleNamespace(ids=i, offsets=c) for i, c in zip(ids, cuts, strict=True)]
        dls = DataLoaders(
            LMDataLoader(documents[0], bs=options.bs, shuffle=True, seed=seed),
            LMDataLoader(documents[1], bs=options.bs),
        )
        with tempfile.TemporaryDirectory() as folder:
            np.savez(f"{folder}/data.npz", train=ids[0], valid=ids[1], train_cuts=cuts[0], valid_cuts=cuts[1])
            np.savez(f"{folder}/weights.npz", **layers_of(model))
            learn = Learner(dls, model, precision=options.precision, seed=seed, device="cpu")
            started = time.perf_counter()
            learn.fit_one_cycle(options.epochs, options.lr)
            seconds = time.perf_counter() - started
            settings = sizes | {"bs": options.bs, "seed": seed, "vocab": len(itos)}
            settings |= {"epochs": options.epochs, "lr": options.lr}
            command = [options.peer_python, "-c", PEER, folder, json.dumps(settings)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(done.stderr[-3000:])
        peer = json.loads(done.stdout.splitlines()[-1])
        loss = learn.history[-1]["valid_loss"]
        result = {"seed": seed, "tokens": int(cuts[0][-1]), "vocabulary": len(itos), **sizes}
        result |= {"precision": learn.precision, "loss": round(loss, 4), "peer_loss": round(peer["valid_loss"], 4)}
        result |= {"loss_over_peer": round(loss / peer["valid_loss"], 4)}
        result |= {"seconds": round(seconds, 1), "peer_seconds": round(peer["seconds"], 1)}
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
