"""Small model folders for tests."""

from __future__ import annotations

from collections import Counter

import torch

from ulmfit.inference.bundle import CLASSIFIER, LANGUAGE_MODEL, Bundle
from ulmfit.inference.reading import Reading
from ulmfit.models.classifier import TextClassifier
from ulmfit.models.config import AWDLSTMConfig
from ulmfit.models.language_model import LanguageModel
from ulmfit.text.store import TokenStore
from ulmfit.text.tokenizers import Tokenizer
from ulmfit.text.vocab import make_vocab


def classifier(seed: int = 0) -> Bundle:
    """A small untrained classifier of three classes."""
    config = AWDLSTMConfig(emb_sz=6, n_hid=8, n_layers=2, cutoffs=(20,))
    tokenizer = Tokenizer()
    texts = ["The parcel came late.", "Wonderful coffee, thank you!", "I was charged twice; why?"]
    vocab = make_vocab(Counter(t for text in texts for t in tokenizer(text)), min_freq=1)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
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


def language_model(texts: list[str], config: AWDLSTMConfig | None = None) -> Bundle:
    """A small untrained language model of the words of some texts."""
    config = config or AWDLSTMConfig(emb_sz=6, n_hid=8, n_layers=2)
    tokenizer = Tokenizer()
    vocab = make_vocab(Counter(t for text in texts for t in tokenizer(text)), min_freq=1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        weights = LanguageModel(len(vocab), config).state_dict()
    return Bundle(
        kind=LANGUAGE_MODEL,
        config=config,
        weights=weights,
        tokenizer=tokenizer,
        vocab=vocab,
        metrics={"perplexity": 50.0},
    )


def as_read(store: TokenStore) -> Reading:
    """Documents by a model whose vocabulary is that of the store."""
    return Reading(store, store.vocab)
