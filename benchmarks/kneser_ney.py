"""Perplexity of an n-gram model with modified Kneser-Ney smoothing, of the data that a language model was made of.

    python benchmarks/environments.py kenlm
    python benchmarks/kneser_ney.py en-small --data ../shared/data [--order 5]

The same articles, cut by the same tokenizer into the same vocabulary as for MODEL (a rare word is xxunk for both), the
same held-out articles and the same test text of WikiText-2 as in `lm_perplexity.py`, and every token counts as there.
What differs is in favour of the n-grams: they have read all articles, and an article's first token costs them nothing.
The model is KenLM's (`lmplz`, `query`), which `environments.py` builds; it needs a C++ compiler, CMake, Boost and Eigen
(Debian: cmake g++ libboost-all-dev libeigen3-dev). Of 87 million tokens the
model is 4.9 GB as text, which is removed once the binary form is made.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from environments import FOLDER
from lm_perplexity import wikitext

from ulmfit.data.corpus import Corpus
from ulmfit.inference.bundle import Bundle
from ulmfit.text import TokenStore
from ulmfit.text.cache import default_cache_dir
from ulmfit.training.bases import load_base
from ulmfit.training.manifest import machine

_END = "</s>="
_LOG10 = re.compile(r"=\d+ \d+ (\S+)\t")


def lines(store: TokenStore) -> Iterator[bytes]:
    """Each text as the numbers of its tokens: no token can then be taken for a mark of the tool."""
    for i in range(len(store)):
        yield " ".join(map(str, store[i].tolist())).encode() + b"\n"


def fed(command: list[str], store: TokenStore, out: Path) -> None:
    """Run a tool on the texts of a store.

    Raises:
        SystemExit: it failed.
    """
    with out.open("wb") as file, subprocess.Popen(command, stdin=subprocess.PIPE, stdout=file) as process:
        if process.stdin is None:
            raise SystemExit("the tool cannot be written to")
        process.stdin.writelines(lines(store))
        process.stdin.close()
        if process.wait():
            raise SystemExit(f"{' '.join(command)} failed")


def estimate(store: TokenStore, order: int, memory: str, tools: Path, work: Path) -> Path:
    """The n-gram model of the texts, in the form that is quick to ask."""
    arpa, binary = work / f"{order}.arpa", work / f"{order}.binary"
    fed([str(tools / "lmplz"), "-o", str(order), "-S", memory, "-T", str(work), "--discount_fallback"], store, arpa)
    subprocess.run([str(tools / "build_binary"), "-T", str(work), "-S", memory, "trie", arpa, binary], check=True)
    arpa.unlink()
    return binary


def measure(model: Path, store: TokenStore, tools: Path, work: Path) -> dict[str, Any]:
    """Perplexity for each token, the ends of the texts not counted."""
    answer = work / "answer.txt"
    fed([str(tools / "query"), "-v", "word", "-v", "sentence", str(model)], store, answer)
    log10, n = 0.0, 0
    with answer.open(encoding="utf-8") as file:
        for line in file:
            of_words = line.split(_END)[0]
            values = [float(value) for value in _LOG10.findall(of_words)]
            log10, n = log10 + sum(values), n + len(values)
    if n != store.n_tokens:
        raise SystemExit(f"{n} answers for {store.n_tokens} tokens")
    answer.unlink()
    nats = -log10 * math.log(10)
    unknown = float(np.mean(store.ids[:] == store.vocab.unk_idx))
    return {"perplexity": round(math.exp(nats / n), 2), "tokens": n, "unknown": round(unknown, 4), "nats": nats}


def rows(bundle: Bundle, given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Figures on each text."""
    files = tuple(sorted(given.data.glob("enwiki-*.parquet")))
    train, held_out = (Corpus(paths=files, held_out=0.01, part=part, seed=0) for part in ("train", "held_out"))
    articles, n_words = wikitext(given.data)

    def stored(texts: Corpus | list[str]) -> TokenStore:
        return TokenStore.build(texts, bundle.tokenizer, vocab=bundle.vocab, cache_dir=default_cache_dir())

    given.work.mkdir(parents=True, exist_ok=True)
    read = stored(train)
    model = estimate(read, given.order, given.memory, given.tools, given.work)
    about = {"model": f"{given.order}-grams, modified Kneser-Ney", "read": read.n_tokens}
    yield {**about, "text": "Wikipedia, held out", **measure(model, stored(held_out), given.tools, given.work)}
    figures = measure(model, stored(articles), given.tools, given.work)
    per_word = round(math.exp(figures["nats"] / n_words), 2)
    yield {**about, "text": "WikiText-2 test", **figures, "perplexity per word of WikiText": per_word}
    model.unlink()


def main() -> None:
    """Estimate, measure, print JSON lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="whose tokens and vocabulary are taken: a model folder or a bundled model")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--order", type=int, default=5)
    parser.add_argument("--memory", default="4G", help="for sorting, as lmplz takes it")
    parser.add_argument("--tools", type=Path, default=FOLDER / "kenlm" / "bin", help="where lmplz and query lie")
    parser.add_argument("--work", type=Path, default=Path("runs/kneser-ney"), help="for files on the way")
    given = parser.parse_args()
    bundle = load_base(given.model)
    if bundle is None:
        raise SystemExit("the n-grams need the tokens and the vocabulary of a model")
    for row in rows(bundle, given):
        print(json.dumps(row), flush=True)
    print(json.dumps(machine()))


if __name__ == "__main__":
    main()
