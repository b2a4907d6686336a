"""Building and opening a store of the whole IMDb set, several times over: seconds, and memory.

python benchmarks/tokenize_store.py --data FOLDER [--times 1] [--workers 1] [--documents 100000]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tokenize_corpora import tar_texts

from ulmfit.text import Tokenizer, TokenStore


def resident() -> float:
    """Memory of this process that is not mapped from files, in MB."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("RssAnon:")[1].split()[0]) / 1024


def main() -> None:
    """Build, open, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument(
        "--times", type=int, default=1, help="how often the set is repeated, each time with other words"
    )
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--documents", type=int, default=100_000)
    arguments = parser.parse_args()

    def texts() -> Iterator[str]:
        for turn in range(arguments.times):
            for i, text in enumerate(tar_texts(arguments.data / "imdb.tar.xz", "imdb/")):
                if i >= arguments.documents:
                    break
                # Every tenth word is made new each time, so that a larger corpus has more different words.
                yield (
                    text
                    if not turn
                    else " ".join(word + str(turn) if k % 10 == 0 else word for k, word in enumerate(text.split(" ")))
                )

    tokenizer = Tokenizer()
    tokenizer("Hello")
    before, peak, done = resident(), [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            peak[0] = max(peak[0], resident())

    thread = threading.Thread(target=watch)
    thread.start()
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        built = TokenStore.build(texts(), tokenizer, cache_dir=Path(folder), workers=arguments.workers)
        seconds = time.perf_counter() - start
        done.set()
        thread.join()
        print(f"{built}: {seconds:.1f} s, {len(built) / seconds:,.0f} documents/s with reading, pid {os.getpid()}")
        print(f"memory: {before:.0f} MB after the imports, at most {peak[0] - before:.0f} MB more")
        start = time.perf_counter()
        TokenStore.open(built.path or Path(folder))
        print(f"opening: {(time.perf_counter() - start) * 1000:.1f} ms")


if __name__ == "__main__":
    main()
