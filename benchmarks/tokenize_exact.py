"""Compares every token with the peer's (fastai 2.8.12, in an environment of its own) on public corpora.

python benchmarks/tokenize_exact.py --data FOLDER --peer-python PEER/bin/python [--corpus imdb-train]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tokenize_corpora import corpora

from ulmfit.text import Tokenizer, WordTokenizer

PEER = Path(__file__).parent / "tokenize_peer.py"


def peer_tokens(python: Path, texts: list[str], lang: str) -> list[list[str]]:
    """Tokenize texts with the peer."""
    with tempfile.TemporaryDirectory() as folder:
        source, answer = Path(folder) / "texts.json", Path(folder) / "answer.json"
        source.write_text(json.dumps(texts), encoding="utf-8")
        subprocess.run([python, PEER, source, answer, "--lang", lang, "--tokens"], check=True)
        found = json.loads(answer.read_text(encoding="utf-8"))
    return [[found["vocab"][i] for i in ids] for ids in found["ids"]]


def compare(name: str, lang: str, texts: list[str], python: Path) -> int:
    """Print how one corpus compares, and the first few differences; give the number of texts that differ."""
    start = time.perf_counter()
    ours = list(Tokenizer(WordTokenizer(lang)).tokenize(texts))
    seconds = time.perf_counter() - start
    theirs = peer_tokens(python, texts, lang)
    different = [i for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b]
    tokens = sum(map(len, theirs))
    print(f"{name}: {len(texts)} texts, {tokens} tokens, {len(different)} texts differ ({seconds:.1f} s)", flush=True)
    for i in different[:5]:
        a, b = ours[i], theirs[i]
        at = next((k for k, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
        print(f"  text {i}, token {at}: {a[max(0, at - 3) : at + 5]} and the peer's {b[max(0, at - 3) : at + 5]}")
    return len(different)


def main() -> int:
    """Compare the chosen corpora; give 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--peer-python", type=Path, required=True)
    parser.add_argument("--corpus", action="append", help="only this corpus; may be given several times")
    parser.add_argument("--part", type=int, default=5_000, help="texts in one run of the peer, to bound its memory")
    arguments = parser.parse_args()
    different = 0
    for name, (lang, read) in corpora(arguments.data).items():
        if arguments.corpus and name not in arguments.corpus:
            continue
        texts = read()
        for start in range(0, len(texts), arguments.part):
            part = f"{name}[{start}:]"
            different += compare(part, lang, texts[start : start + arguments.part], arguments.peer_python)
    print(f"{different} texts differ" if different else "no text differs")
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(main())
