"""Small learners for tests."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch

from ulmfit.data.loaders import ClassifierLoader, LMDataLoader
from ulmfit.models.classifier import TextClassifier
from ulmfit.models.config import AWDLSTMConfig
from ulmfit.models.language_model import LanguageModel
from ulmfit.training.learner import DataLoaders, Learner

V = 12
CONFIG = AWDLSTMConfig(emb_sz=8, n_hid=16, n_layers=2).scaled(0.2)


def documents(n: int = 60, length: int = 12) -> SimpleNamespace:
    """Documents that count upwards modulo V: the next token is certain."""
    ids = np.concatenate([(np.arange(length) + i) % V for i in range(n)])
    return SimpleNamespace(ids=ids, offsets=np.arange(n + 1, dtype=np.int64) * length)


def lm_learner(vocab_sz: int = V, **settings) -> Learner:
    torch.manual_seed(0)
    docs = documents()
    dls = DataLoaders(LMDataLoader(docs, bs=4, seq_len=10, shuffle=True), LMDataLoader(docs, bs=4, seq_len=10))
    return Learner(
        dls, LanguageModel(vocab_sz, CONFIG), **{"metrics": ["accuracy", "perplexity"], "precision": "fp32", **settings}
    )


def classifier_learner(**settings) -> Learner:
    torch.manual_seed(0)
    docs = documents()
    labels = [i % V // 6 for i in range(60)]  # the first token tells
    dls = DataLoaders(ClassifierLoader(docs, labels, bs=8, shuffle=True), ClassifierLoader(docs, labels, bs=16))
    return Learner(dls, TextClassifier(V, 2, CONFIG), **{"metrics": ["accuracy"], "precision": "fp32", **settings})
