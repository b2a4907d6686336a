"""The peer's side of the tokenizing benchmarks. Run by the other scripts in the environment that holds fastai.

Reads texts (a JSON array), tokenizes them with fastai's rules and spaCy in one process, and writes what it found.
"""

from __future__ import annotations

import argparse
import json
import time
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any


def main() -> None:
    """Tokenize the texts of one file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("texts", type=Path, help="JSON array of strings")
    parser.add_argument("out", type=Path, help="where to write the answer, as JSON")
    parser.add_argument("--lang", default="en")
    parser.add_argument("--tokens", action="store_true", help="write the tokens, not only the time")
    arguments = parser.parse_args()

    fastai: Any = import_module("fastai.text.core")

    texts = json.loads(arguments.texts.read_text(encoding="utf-8"))
    tokenize = fastai.TokenizeWithRules(fastai.WordTokenizer(arguments.lang))
    start, busy = time.perf_counter(), time.process_time()
    tokens = [list(document) for document in tokenize(texts)]
    seconds, cpu = time.perf_counter() - start, time.process_time() - busy
    answer: dict[str, Any] = {"seconds": seconds, "cpu": cpu, "documents": len(texts)}
    answer["tokens"] = sum(map(len, tokens))
    if arguments.tokens:
        answer["vocab"] = sorted(set(chain.from_iterable(tokens)))
        number: dict[str, int] = {token: i for i, token in enumerate(answer["vocab"])}
        answer["ids"] = [[number[token] for token in document] for document in tokens]
    arguments.out.write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main()
