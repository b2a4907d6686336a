"""Perplexity of language models on held-out Wikipedia articles and on WikiText-2.

    python benchmarks/lm_perplexity.py MODEL... --data ../shared/data [--untrained]

MODEL is a model folder or the name of a bundled model. The held-out articles are those that `ulmfit pretrain` holds out
with its default seed and share. WikiText-2's test text is undone from its own tokens (@-@, @,@ and @.@ become the
character, <unk> becomes xxunk) and cut anew by the model's tokenizer; as its tokens are others, the perplexity for each
of WikiText's own words is given too (the same sum of losses, divided by their number).
"""

from __future__ import annotations

import argparse
import json
import math
import re
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ulmfit.data.corpus import Corpus
from ulmfit.inference.bundle import Bundle
from ulmfit.inference.perplexity import measure
from ulmfit.models.language_model import LanguageModel
from ulmfit.training.bases import load_base
from ulmfit.training.manifest import machine


def wikitext(data: Path) -> tuple[list[str], int]:
    """The articles of the test part, and the number of WikiText's own tokens."""
    with tarfile.open(data / "wikitext-2.tgz") as archive:
        file = archive.extractfile("wikitext-2/wiki.test.tokens")
        if file is None:
            raise SystemExit("the archive has no test part")
        text = file.read().decode()
    n_words = len(text.split()) + text.count("\n")  # each line ends with <eos>
    articles = re.split(r"(?m)^(?= = [^=])", text)
    plain = [re.sub(r" @([-,.])@ ", r"\1", a).replace("<unk>", "xxunk") for a in articles if a.strip()]
    return plain, n_words


def untrained(bundle: Bundle) -> Bundle:
    """The same model with random weights."""
    torch.manual_seed(0)
    return replace(bundle, weights=LanguageModel(len(bundle.vocab), bundle.config).state_dict())


def rows(name: str, bundle: Bundle, data: Path) -> list[dict[str, Any]]:
    """Figures of one model on each text."""
    held_out = Corpus(paths=tuple(sorted(data.glob("enwiki-*.parquet"))), held_out=0.01, part="held_out", seed=0)
    articles, n_words = wikitext(data)
    found = []
    for part, texts in (("Wikipedia, held out", held_out), ("WikiText-2 test", articles)):
        figures = measure(bundle, texts)
        row = {"model": name, "text": part, **{k: round(v, 4) for k, v in figures.items()}}
        if part.startswith("WikiText"):
            row["perplexity per word of WikiText"] = round(math.exp(figures["nats"] / n_words), 2)
        found.append(row)
    return found


def main() -> None:
    """Parse, measure, print JSON lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--untrained", action="store_true", help="also the first model with random weights")
    arguments = parser.parse_args()
    bundles = {name: load_base(name) for name in arguments.models}
    named = {name: bundle for name, bundle in bundles.items() if bundle is not None}
    if arguments.untrained:
        first = next(iter(named))
        named[f"{first}, untrained"] = untrained(named[first])
    for name, bundle in named.items():
        for row in rows(name, bundle, arguments.data):
            print(json.dumps(row))
    print(json.dumps(machine()))


if __name__ == "__main__":
    main()
