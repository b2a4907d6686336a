"""Writes the golden model folder of the present format; a folder that was released is never written again.

python tests/inference/make_golden.py
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from ulmfit.inference.bundle import CLASSIFIER, Bundle, save_bundle
from ulmfit.inference.folder import FORMAT_VERSION
from ulmfit.inference.predictor import Predictor
from ulmfit.inference.reading import Reading
from ulmfit.models.classifier import TextClassifier
from ulmfit.models.config import AWDLSTMConfig
from ulmfit.text.tokenizers import Tokenizer
from ulmfit.text.vocab import make_vocab
from ulmfit.training.ngrams import fit_ngrams

TEXTS = ["The parcel came late.", "Wonderful coffee, THANK you!!!", "I was charged twice; why? " * 20]


def main() -> None:
    folder = Path(__file__).parent / "golden" / f"format-{FORMAT_VERSION}"
    tokenizer = Tokenizer()
    vocab = make_vocab(Counter(t for text in TEXTS for t in tokenizer(text)), min_freq=1)
    config = AWDLSTMConfig(emb_sz=6, n_hid=8, n_layers=2)
    torch.manual_seed(0)
    forward, back = (TextClassifier(len(vocab), 3, config, pool_words=True) for _ in range(2))
    bundle = Bundle(
        kind=CLASSIFIER,
        config=config,
        weights=forward.state_dict(),
        tokenizer=tokenizer,
        vocab=vocab,
        labels=("billing", "delivery", "praise"),
        calibration={"temperature": 1.5, "n": 3, "ece_before": 0.2, "ece_after": 0.1},
        pool_words=True,
        metrics={"valid": {"accuracy": 0.5, "n": 3}},
        history=({"epoch": 0, "valid_loss": 1.0},),
        card="# Golden",
    )
    twin = replace(bundle, weights=back.state_dict(), backwards=True, ulmfit_version="0.0")
    reading = Reading.of_texts(TEXTS * 2, tokenizer, vocab)
    ngrams = fit_ngrams(reading, np.array([1, 2, 0] * 2), "single_label", 3, "word", Console(quiet=True))
    ngrams = replace(ngrams, shares=np.array([0.75, 1.25]))
    bundle = replace(bundle, backward=twin, ngrams=ngrams, ulmfit_version="0.0")
    save_bundle(bundle, folder)
    expected = {"texts": TEXTS, "probabilities": Predictor(bundle).predict_proba(TEXTS).tolist()}
    (folder.parent / f"format-{FORMAT_VERSION}.json").write_text(
        json.dumps(expected, indent=1) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
