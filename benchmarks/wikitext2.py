"""WikiText-2 from scratch with the hyperparameters of the AWD-LSTM paper; the number to reach is 68.6 / 65.8.

    python benchmarks/wikitext2.py --data FOLDER --out runs/wikitext-2 --epochs 750

`FOLDER` holds wikitext-2.tgz. The run may be killed and started again with the same command: it goes on from its
checkpoint. `OUT/history.jsonl` is the curve. `--tokens` and `--valid-tokens` cut the texts, to see that it runs.

As in the paper: three layers of 1,150 with 400-dimensional tied embeddings, weight drop 0.5, dropouts 0.65, 0.2, 0.4
and 0.1, batches of 80 rows, SGD at 30 with NT-ASGD (n = 5), gradients clipped at 0.25, weight decay 1.2e-6, alpha 2 and
beta 1. Not as there: sequences always have 70 tokens, and vectors (biases) are not decayed.

Source: Merity et al. 2017, "Regularizing and Optimizing LSTM Language Models", sections 4 and 5 and table 2
(validation and test perplexity of AWD-LSTM on WikiText-2).
"""

from __future__ import annotations

import argparse
import json
import tarfile
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from ulmfit.data.loaders import LMDataLoader
from ulmfit.models.config import AWDLSTMConfig
from ulmfit.models.language_model import LanguageModel
from ulmfit.training.averaging import NTASGD
from ulmfit.training.learner import DataLoaders, Learner
from ulmfit.training.optimizer import SGD
from ulmfit.training.tracking import JSONLLogger, SaveModelCallback

CONFIG = AWDLSTMConfig(
    emb_sz=400, n_hid=1150, n_layers=3, input_p=0.65, hidden_p=0.2, output_p=0.4, embed_p=0.1, weight_p=0.5
)


def read(file: Path) -> dict[str, list[str]]:
    """The words of the three parts, each line ended by <eos>."""
    parts = {}
    with tarfile.open(file) as archive:
        for part in ("train", "valid", "test"):
            member = archive.extractfile(f"wikitext-2/wiki.{part}.tokens")
            if member is None:
                raise SystemExit(f"{file} has no wiki.{part}.tokens")
            lines = member.read().decode().splitlines()
            parts[part] = [word for line in lines for word in [*line.split(), "<eos>"]]
    return parts


def main() -> None:
    """Train, and print the perplexities."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/wikitext-2"))
    parser.add_argument("--epochs", type=int, default=750)
    parser.add_argument("--tokens", type=int, help="of the training part; all by default")
    parser.add_argument("--valid-tokens", type=int, help="of the validation and the test part; all by default")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    words = read(options.data / "wikitext-2.tgz")
    itos = ["xxunk", "xxpad", *(word for word, _ in Counter(words["train"]).most_common())]
    stoi = {word: i for i, word in enumerate(itos)}
    loaders = {}
    for part, rows in (("train", 80), ("valid", 10), ("test", 1)):
        kept = words[part][: options.tokens if part == "train" else options.valid_tokens]
        ids = np.array([stoi[word] for word in kept], dtype=np.int32)
        documents = SimpleNamespace(ids=ids, offsets=np.array([0, len(ids)]))
        loaders[part] = LMDataLoader(documents, bs=rows, seq_len=70)
    torch.manual_seed(options.seed)
    model = LanguageModel(len(itos), CONFIG)
    learn = Learner(
        DataLoaders(loaders["train"], loaders["valid"]),
        model,
        opt_func=SGD,
        metrics="perplexity",
        cbs=[NTASGD(n=5), JSONLLogger(), SaveModelCallback(fname="best")],
        path=options.out,
        wd=1.2e-6,
        clip=0.25,
        seed=options.seed,
        verbose=1,
    )
    started = time.perf_counter()
    learn.checkpoint("run", resume=True)
    learn.fit(options.epochs, 30.0)
    valid, test = (learn.validate(dl=loaders[part])["perplexity"] for part in ("valid", "test"))
    result = {"epochs": len(learn.history), "valid": round(valid, 2), "test": round(test, 2), "paper": [68.6, 65.8]}
    result |= {"seconds": round(time.perf_counter() - started, 1), "device": learn.device.type}
    print(json.dumps({**result, "precision": learn.precision}))


if __name__ == "__main__":
    main()
