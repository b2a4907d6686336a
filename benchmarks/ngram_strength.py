"""What the n-gram model is worth alone, by the strength of its regularization: on held-out parts of training sets.

    python benchmarks/ngram_strength.py runs/tasks/sst2/train.csv runs/tasks/germeval2018/train.csv=de [...]

Each file has columns text and label, and may be followed by the language of its texts; a quarter of it is held out. The
table shows accuracy and mean log loss there. `ulmfit.training.ngrams.STRENGTH` is chosen by it.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from few_labels import as_read
from rich.console import Console
from rich.table import Table
from scipy.special import log_softmax

from ulmfit.data.splitters import stratified_split
from ulmfit.text import Tokenizer, WordTokenizer
from ulmfit.training.ngrams import fit_ngrams

STRENGTHS = (0.1, 0.3, 1.0, 3.0, 10.0)


def figures(path: str, lang: str) -> list[str]:
    """Accuracy and loss for each strength."""
    with Path(path).open(encoding="utf-8", newline="") as file:
        rows = [(row["text"], row["label"]) for row in csv.DictReader(file)]
    classes = sorted({label for _, label in rows})
    learn, held_out = stratified_split([label for _, label in rows], 0.25, 0)
    target = np.array([classes.index(label) for _, label in rows])
    tokenizer = Tokenizer(WordTokenizer(lang))
    store, check = as_read([rows[i][0] for i in learn], [rows[i][0] for i in held_out], tokenizer)
    found = []
    for strength in STRENGTHS:
        ngrams = fit_ngrams(
            store, target[learn], "single_label", len(classes), "word", Console(quiet=True), strength=strength
        )
        outputs, true = ngrams.outputs(check), target[held_out]
        loss = -log_softmax(outputs, axis=1)[np.arange(len(true)), true].mean()
        found.append(f"{(outputs.argmax(1) == true).mean():.4f}, {loss:.3f}")
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", metavar="FILE.csv[=LANG]")
    table = Table("file", *(f"{strength:g}" for strength in STRENGTHS), box=None)
    for file in parser.parse_args().files:
        path, _, lang = file.partition("=")
        table.add_row(path, *figures(path, lang or "en"))
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
