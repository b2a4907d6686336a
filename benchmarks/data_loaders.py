"""Speed of the loaders without a model, beside the peer's, and what they waste in padding.

The token ids of the IMDb reviews are made once by this library and given to both sides. Each round runs in a process of
its own, the sides alternate, and medians and their ratio are printed.

    python benchmarks/data_loaders.py --data FOLDER --peer-python PEER/bin/python

FOLDER holds `imdb.tar.xz`.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rows import add_speed
from tokenize_corpora import tar_texts

PEER = """
import sys, time
import numpy as np
from fastai.text.all import *
kind, file, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
data = np.load(file)
ids, offsets = data["ids"], data["offsets"]
docs = [TensorText(torch.from_numpy(ids[a:b].astype(np.int64))) for a, b in zip(offsets[:n], offsets[1:n + 1])]
lens = [len(d) for d in docs]
if kind == "lm":
    items = [(d,) for d in docs]
    dl = LMDataLoader(items, lens=lens, bs=64, seq_len=72, shuffle=True, num_workers=0)
    start, tokens = time.perf_counter(), 0
    for x, y in dl:
        tokens += x.numel()
else:
    items = [(d, TensorCategory(0)) for d in docs]
    dl = SortedDL(items, sort_func=None, res=lens, bs=32, shuffle=True, before_batch=Pad_Chunk(), num_workers=0)
    start, tokens = time.perf_counter(), 0
    for x, y in dl:
        tokens += int((x != 1).sum())
print(tokens / (time.perf_counter() - start))
"""


def ours(kind: str, file: str, n: int) -> float:
    """Tokens per second of a pass over n documents."""
    from ulmfit.data.documents import FlatDocuments
    from ulmfit.data.loaders import ClassifierLoader, LMDataLoader

    data = np.load(file)
    docs = FlatDocuments(data["ids"][: data["offsets"][n]], data["offsets"][: n + 1])
    if kind == "lm":
        start = time.perf_counter()
        tokens = sum(
            b.target.numel() for b in LMDataLoader(docs, bs=64, seq_len=72, shuffle=True) if b.target is not None
        )
        return tokens / (time.perf_counter() - start)
    loader = ClassifierLoader(docs, np.zeros(n), bs=32, shuffle=True)
    start = time.perf_counter()
    tokens = sum(int(b.inputs[1].sum()) for b in loader)
    return tokens / (time.perf_counter() - start)


def peer(python: Path, kind: str, file: str, n: int) -> float:
    """The same, of the peer."""
    done = subprocess.run([str(python), "-c", PEER, kind, file, str(n)], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--peer-python", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=Path, help="keep the figures there, too")
    parser.add_argument("--worker", nargs=3, metavar=("KIND", "FILE", "N"))
    args = parser.parse_args()
    if args.worker:
        print(ours(args.worker[0], args.worker[1], int(args.worker[2])))
        return
    from ulmfit.data.loaders import ClassifierLoader
    from ulmfit.text import Tokenizer, TokenStore

    texts = list(tar_texts(args.data / "imdb.tar.xz", "imdb/unsup/"))
    store = TokenStore.build(texts, Tokenizer(), min_freq=3, max_vocab=60_000)
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "ids.npz")
        np.savez(file, ids=np.asarray(store.ids), offsets=store.offsets)
        for kind, n, n_peer in (("lm", 5_000, 2_000), ("lm", 50_000, 0), ("classifier", 25_000, 5_000)):
            mine, theirs = [], []
            for _ in range(args.rounds):
                command = [sys.executable, __file__, "--data", str(args.data), "--worker", kind, file, str(n)]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                mine.append(float(done.stdout))
                if args.peer_python and n_peer:
                    theirs.append(peer(args.peer_python, kind, file, n_peer))
            line = f"{kind}, {n:,} documents: {statistics.median(mine):,.0f} tokens/s"
            if theirs:
                other = statistics.median(theirs)
                what = "language model" if kind == "lm" else "classifier"
                add_speed(args.rows, f"loader of the {what}, without a model", "tokens/s", mine, theirs)
                line += f"; peer ({n_peer:,} documents) {other:,.0f}; ratio {statistics.median(mine) / other:.1f}"
            print(line)
    loader = ClassifierLoader(store, bs=32, shuffle=True)
    padded = sum(len(batch) * int(loader.lengths[batch].max()) for batch in loader.batch_indices())
    print(f"padding, {len(store):,} documents at batch 32, shuffled: {1 - store.n_tokens / padded:.2%}")


if __name__ == "__main__":
    main()
