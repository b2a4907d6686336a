"""Small model folders for tests."""

from __future__ import annotations

from collections import Counter

import torch

from ulmfit.inference.bundle import CLASSIFIER, Bundle
from ulmfit.models.classifier import TextClassifier
from ulmfit.models.config import AWDLSTMConfig
from ulmfit.text.tokenizers import Tokenizer
from ulmfit.text.vocab import make_vocab


def classifier() -> Bundle:
    """A small untrained classifier of three classes."""
    config = AWDLSTMConfig(emb_sz=6, n_hid=8, n_layers=2, cutoffs=(20,))
    tokenizer = Tokenizer()
    texts = ["The parcel came late.", "Wonderful coffee, thank you!", "I was charged twice; why?"]
    vocab = make_vocab(Counter(t for text in texts for t in tokenizer(text)), min_freq=1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = TextClassifier(len(vocab), 3, config)
    return Bundle(
        kind=CLASSIFIER,
        config=config,
        weights=model.state_dict(),
        tokenizer=tokenizer,
        vocab=vocab,
        labels=("billing", "delivery", "praise"),
        metrics={"valid": {"accuracy": 0.5}},
        history=({"epoch": 0, "valid_loss": 1.0},),
        card="# Card",
    )
