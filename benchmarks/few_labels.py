"""What the n-gram model is worth alone by the number of labels, with and without further texts: on texts held out.

    python benchmarks/few_labels.py TASK/train.csv --unlabelled TASK/unlabelled.csv
    python benchmarks/few_labels.py runs/tasks/germeval2018/train.csv --lang de --labels 100 500 --draws 3
    python benchmarks/few_labels.py runs/tasks/20news/train.csv --labels 8000 --draws 1 --hold-out last

FILE has columns text and label. A quarter of it, at most 3,000 texts, is held out, drawn at random, or the last ones of
each class: the newest, in a file that is in the order of time. Labelled texts are drawn from the rest. The columns of
the table are accuracies on the held-out texts, mean and standard deviation over the draws:

- linear: TF-IDF and logistic regression, of several classes each against the rest;
- words: the n-grams, which know of nothing but the labelled texts, and take each word for a thing of its own;
- labelled: the same, to which words that are spelt alike tell something about one another;
- all: the n-grams, which also see the other texts without their labels (and, not the held-out ones, those of
  `--unlabelled`), as `ulmfit train` shows them to them; with `--base` it is that which all of this starts from;
- no vectors: the same without what the base knows of words.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline

from ulmfit.data.splitters import stratified_split
from ulmfit.inference.bundle import Bundle
from ulmfit.inference.reading import Reading
from ulmfit.pretrained.transfer import occurrences, widen
from ulmfit.text import Tokenizer, TokenStore, WordTokenizer
from ulmfit.text.vocab import make_vocab
from ulmfit.training.bases import load_base
from ulmfit.training.ngrams import fit_ngrams
from ulmfit.training.recipe import MAX_VOCAB, Recipe
from ulmfit.training.word_vectors import WordVectors

MOST_HELD_OUT = 3_000
QUIET = Console(quiet=True)


def read(path: Path, limit: int | None = None) -> list[tuple[str, str]]:
    """Text and label of each row; without a label, ''."""
    csv.field_size_limit(2**31 - 1)
    with path.open(encoding="utf-8", newline="") as file:
        rows = [(row["text"], row.get("label", "")) for row in csv.DictReader(file)]
    return rows[:limit]


def held_out_of(labels: list[str], *, last: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """The rows that labelled texts are drawn from, and those to check with: drawn at random, or each class's last."""
    if last:
        of_class = [np.flatnonzero(np.array(labels) == label) for label in dict.fromkeys(labels)]
        held_out = np.sort(np.concatenate([rows[len(rows) - len(rows) // 4 :] for rows in of_class]))
        rest = np.setdiff1d(np.arange(len(labels)), held_out)
    else:
        rest, held_out = (np.array(part) for part in stratified_split(labels, 0.25, 0))
    return rest, np.random.default_rng(0).permutation(held_out)[:MOST_HELD_OUT]


def as_read(
    learned: list[str], others: list[str], tokenizer: Tokenizer, base: Bundle | None = None
) -> tuple[Reading, Reading]:
    """Texts to learn from and others as `ulmfit train` reads them, with a vocabulary of those to learn from."""
    tokenizer = tokenizer if base is None else base.tokenizer
    wide = TokenStore.of_every_word(learned, tokenizer)
    counts, min_freq = occurrences(wide.ids, wide.vocab), Recipe().min_freq
    if base is None:
        vocab = make_vocab(counts, min_freq, MAX_VOCAB["small"])
    else:
        vocab = widen(counts, base.vocab, min_freq=min_freq, max_vocab=max(MAX_VOCAB["small"], len(base.vocab)))
    return Reading(wide, vocab), Reading.of_texts(others, tokenizer, vocab)


def logistic(n_classes: int) -> LogisticRegression | OneVsRestClassifier:
    """Logistic regression; of several classes each against the rest."""
    if n_classes == 2:
        return LogisticRegression(C=100, max_iter=1_000)
    return OneVsRestClassifier(LogisticRegression(C=100, max_iter=1_000, solver="liblinear"))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--unlabelled", type=Path)
    parser.add_argument("--most-unlabelled", type=int, default=20_000)
    parser.add_argument("--lang", default="en")
    parser.add_argument("--labels", type=int, nargs="+", default=[100, 300, 1_000])
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--base", default="none", help="the language model to start from")
    parser.add_argument("--hold-out", choices=("random", "last"), default="random")
    given = parser.parse_args()
    rows = read(given.file)
    classes = sorted({label for _, label in rows})
    target = np.array([classes.index(label) for _, label in rows])
    rest, held_out = held_out_of([label for _, label in rows], last=given.hold_out == "last")
    further = read(given.unlabelled, given.most_unlabelled) if given.unlabelled else []
    base = load_base(given.base)
    vectors = None if base is None else WordVectors.of(base)
    kind = "word" if base is None else base.tokenizer.tok.kind
    texts = [*(rows[i][0] for i in rest), *(text for text, _ in further)]
    store, check = as_read(texts, [rows[i][0] for i in held_out], Tokenizer(WordTokenizer(given.lang)), base)
    systems = ["linear", "words", "labelled", "all", *(["no vectors"] if base is not None else [])]
    table = Table("labels", *systems, box=None)
    for n in given.labels:
        found: dict[str, list[float]] = {name: [] for name in systems}
        for draw in range(given.draws):
            chosen = np.random.default_rng(draw).permutation(len(rest))[:n]
            others = np.setdiff1d(np.arange(len(store)), chosen)
            learned, goal = store.take(chosen), target[rest[chosen]]
            linear = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), logistic(len(classes)))
            linear.fit([rows[i][0] for i in rest[chosen]], goal)
            found["linear"].append(linear.score([rows[i][0] for i in held_out], target[held_out]))
            unlabelled = store.take(others)
            settings: dict[str, dict[str, Any]] = {
                "words": {"letters": False},
                "labelled": {},
                "all": {"unlabelled": unlabelled, "vectors": vectors},
                "no vectors": {"unlabelled": unlabelled},
            }
            for name in systems[1:]:
                model = fit_ngrams(learned, goal, "single_label", len(classes), kind, QUIET, **settings[name])
                found[name].append(float((model.outputs(check).argmax(1) == target[held_out]).mean()))
        table.add_row(str(n), *(f"{np.mean(v):.4f} ± {np.std(v):.4f}" for v in found.values()))
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
