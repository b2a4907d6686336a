"""What a language model tells of texts before it learns anything from them, alone and beside n-grams.

    python benchmarks/base_features.py runs/tasks/imdb-20000-0/train.csv --base en-small --labels 200 1000 2500

FILE has columns text and label, of two classes. A text is described by the means of the outputs of each layer of the
language model, as it is; logistic regression learns from these, strength chosen by cross-validation on the labelled
texts. Beside it TF-IDF with logistic regression, and both, joined by a third that learns from what the two say of
labelled texts that they have not learned from. What is held out are the first texts of those of `few_labels.py`. One
line of JSON for each draw: accuracies on the held-out texts.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from few_labels import held_out_of, read
from results_linear import features as ngrams
from rows import circumstances
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ulmfit.inference.bundle import Bundle
from ulmfit.inference.network import language_model_of
from ulmfit.text import TokenStore
from ulmfit.training.bases import load_base

_ROWS, _STEPS, _FOLDS = 32, 72, 5
_STRENGTHS = [1e-4, 1e-3, 1e-2, 1e-1]
Table = npt.NDArray[np.float32]


@torch.inference_mode()
def means(bundle: Bundle, texts: list[str]) -> Table:
    """(N, sum of the layers' widths) mean outputs of each layer over each text."""
    encoder = language_model_of(bundle).encoder
    outputs: dict[int, torch.Tensor] = {}

    def keep(layer: int) -> Any:
        return lambda _, __, result: outputs.__setitem__(layer, result[0])

    for i, layer in enumerate(encoder.layers):
        layer.register_forward_hook(keep(i))
    store = TokenStore.build(texts, bundle.tokenizer, vocab=bundle.vocab)
    found: list[Table] = []
    order = np.argsort(store.lengths, kind="stable")
    for first in range(0, len(order), _ROWS):
        documents = [store[int(row)].astype(np.int64) for row in order[first : first + _ROWS]]
        documents = [ids[::-1].copy() if bundle.backwards else ids for ids in documents]
        ids = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(d) for d in documents], batch_first=True)
        lengths = torch.tensor([len(d) for d in documents])
        there = torch.arange(ids.shape[1]) < lengths[:, None]
        state, total = None, torch.zeros(())
        for start in range(0, ids.shape[1], _STEPS):
            part = slice(start, start + _STEPS)
            _, state = encoder.encode(ids[:, part], state)
            total = total + (torch.cat([*outputs.values()], 2) * there[:, part, None]).sum(1)
        found.append((total / lengths[:, None]).numpy())
    return np.concatenate(found)[np.argsort(order)]


def said(classifier: Any, known: Any, labels: npt.NDArray[Any], new: Any) -> tuple[Any, Any, Any]:
    """What a classifier says of labelled texts that it has not learned from and of new ones, and its answers."""
    held_out = cross_val_predict(classifier, known, labels, cv=_FOLDS, method="decision_function")
    classifier.fit(known, labels)
    return held_out, classifier.decision_function(new), classifier.predict(new)


def main() -> None:
    """Describe the texts once, then draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--base", default="en-small")
    parser.add_argument("--labels", type=int, nargs="+", default=[200, 1_000, 2_500])
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--held-out", type=int, default=1_500)
    given = parser.parse_args()
    bundle = load_base(given.base)
    if bundle is None:
        parser.error("--base names no language model")
    rows = read(given.file)
    labels = np.array([label for _, label in rows])
    if len(set(labels)) != 2:
        parser.error("the labels must be of two classes")
    pool, held_out = held_out_of(labels.tolist())
    held_out = held_out[: given.held_out]
    if max(given.labels) > len(pool):
        parser.error(f"--labels: there are {len(pool):,} texts to draw from")
    drawn = {
        (n, draw): np.random.default_rng(draw).permutation(pool)[:n]
        for n in given.labels
        for draw in range(given.draws)
    }
    for known in drawn.values():
        if min(np.unique(labels[known], return_counts=True)[1]) < _FOLDS:
            parser.error(f"a draw of {len(known)} texts has too few of a class")
    wanted = np.unique(np.concatenate([held_out, *drawn.values()]))
    described = dict(zip(wanted.tolist(), means(bundle, [rows[i][0] for i in wanted]), strict=True))
    for (n, draw), known in drawn.items():
        tables = [np.stack([described[int(i)] for i in part]) for part in (known, held_out)]
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1_000))
        search = GridSearchCV(model, {"logisticregression__C": _STRENGTHS}, cv=_FOLDS)
        base = said(search, tables[0], labels[known], tables[1])
        of_words = ngrams("tfidf")
        words = [
            of_words.fit_transform([rows[i][0] for i in known]),
            of_words.transform([rows[i][0] for i in held_out]),
        ]
        linear = said(LogisticRegression(C=100, max_iter=1_000), words[0], labels[known], words[1])
        join = LogisticRegression().fit(np.column_stack([base[0], linear[0]]), labels[known])
        answers = {"means": base[2], "tfidf": linear[2], "both": join.predict(np.column_stack([base[1], linear[1]]))}
        found = {name: round(float((answer == labels[held_out]).mean()), 4) for name, answer in answers.items()}
        print(json.dumps({"base": given.base, "labels": n, "draw": draw, **found} | circumstances()), flush=True)


if __name__ == "__main__":
    main()
