"""Rules, words and ids of IMDb reviews: how fast, next to the peer (fastai 2.8.12, rules and words only, one process).

    python benchmarks/tokenize_speed.py --data FOLDER --peer-python PEER/bin/python [--documents 5000] [--rounds 3]

Both take turns, each time in a new process, so that nothing is remembered ("cold") and both meet the same other load.
"Warm" is the same work once more in the same process; "cpu" is the cold one by the time that the processor worked for
it, which other work on the machine changes less. What is timed begins after imports and after one short text.
`--documents 100000` takes the whole set; `--peer-documents` then bounds what the peer is given, as its rate does not
depend on the number.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from rows import add_speed
from tokenize_corpora import tar_texts

from ulmfit.text import Tokenizer, TokenStore

PEER = Path(__file__).parent / "tokenize_peer.py"


def ours(source: Path, workers: int) -> dict[str, Any]:
    """Time one build in memory, cold and warm."""
    texts = json.loads(source.read_text(encoding="utf-8"))
    tokenizer = Tokenizer()
    tokenizer("Hello")
    start, cpu = time.perf_counter(), time.process_time()
    store = TokenStore.build(texts, tokenizer, workers=workers)
    seconds, busy = time.perf_counter() - start, time.process_time() - cpu
    TokenStore.build(texts, tokenizer, vocab=store.vocab)
    start = time.perf_counter()
    TokenStore.build(texts, tokenizer, vocab=store.vocab)
    return {"seconds": seconds, "cpu": busy, "warm": time.perf_counter() - start, "tokens": store.n_tokens}


def run(command: list[str | Path], answer: Path) -> dict[str, Any]:
    """Run one side in a new process."""
    subprocess.run(command, check=True)
    found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    return found


def main() -> None:
    """Take turns and print medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--peer-python", type=Path)
    parser.add_argument("--documents", type=int, default=5_000)
    parser.add_argument("--peer-documents", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--rows", type=Path, help="keep the figures there, too")
    parser.add_argument("--ours", type=Path, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.ours:
        source, answer = arguments.ours
        answer.write_text(json.dumps(ours(source, arguments.workers)), encoding="utf-8")
        return
    texts = list(tar_texts(arguments.data / "imdb.tar.xz", "imdb/"))
    texts = texts[:: max(1, len(texts) // arguments.documents)][: arguments.documents]
    rates: dict[str, list[float]] = {"cold": [], "warm": [], "cpu": [], "peer": [], "peer_cpu": []}
    with tempfile.TemporaryDirectory() as folder:
        all_of_it, part, answer = (Path(folder) / name for name in ("all.json", "part.json", "answer.json"))
        all_of_it.write_text(json.dumps(texts), encoding="utf-8")
        some = texts[:: max(1, len(texts) // arguments.peer_documents)][: arguments.peer_documents]
        part.write_text(json.dumps(some), encoding="utf-8")
        for _ in range(arguments.rounds):
            me: list[str | Path] = [
                sys.executable,
                Path(__file__),
                "--workers",
                str(arguments.workers),
                "--ours",
                all_of_it,
                answer,
            ]
            found = run(me, answer)
            rates["cold"].append(len(texts) / found["seconds"])
            rates["cpu"].append(len(texts) / found["cpu"])
            rates["warm"].append(len(texts) / found["warm"])
            found = run([arguments.peer_python, PEER, part, answer], answer)
            rates["peer"].append(len(some) / found["seconds"])
            rates["peer_cpu"].append(len(some) / found["cpu"])
            print({name: round(values[-1]) for name, values in rates.items()}, flush=True)
    processes = "one process" if arguments.workers == 1 else f"{arguments.workers} processes beside one"
    measure = f"text to ids, {len(texts):,} reviews, {processes}"
    add_speed(arguments.rows, measure, "documents/s", rates["cold"], rates["peer"])
    for name in ("cold", "warm", "cpu"):
        theirs = median(rates["peer_cpu" if name == "cpu" else "peer"])
        mine = median(rates[name])
        print(f"{name}: median {mine:,.0f} documents/s, {mine / theirs:.1f} times the peer's {theirs:,.0f}")


if __name__ == "__main__":
    main()
