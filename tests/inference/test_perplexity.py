from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import pytest
import torch

from ulmfit.errors import DataError
from ulmfit.inference.bundle import LANGUAGE_MODEL, Bundle
from ulmfit.inference.perplexity import measure
from ulmfit.models.config import AWDLSTMConfig
from ulmfit.models.language_model import LanguageModel
from ulmfit.text.tokenizers import Tokenizer
from ulmfit.text.vocab import make_vocab

TEXTS = ["the cat sat on the mat", "the dog sat on the log"]


@pytest.fixture
def bundle() -> Bundle:
    tokenizer = Tokenizer()
    vocab = make_vocab(Counter(t for text in TEXTS for t in tokenizer(text)), min_freq=1)
    config = AWDLSTMConfig(emb_sz=6, n_hid=8, n_layers=2)
    weights = LanguageModel(len(vocab), config).state_dict()
    return Bundle(kind=LANGUAGE_MODEL, config=config, weights=weights, tokenizer=tokenizer, vocab=vocab)


def test_a_model_that_knows_nothing_has_the_perplexity_of_its_vocabulary(bundle):
    blank = replace(bundle, weights={k: torch.zeros_like(v) for k, v in bundle.weights.items()})
    figures = measure(blank, TEXTS)
    assert figures["perplexity"] == pytest.approx(len(bundle.vocab), rel=1e-5)
    assert figures["loss"] == pytest.approx(math.log(len(bundle.vocab)), rel=1e-5)
    assert figures["unknown"] == 0
    assert measure(blank, ["zebra zebra, zebra"])["unknown"] > 0.4


def test_it_equals_the_loss_of_the_model(bundle, monkeypatch):
    monkeypatch.setattr("ulmfit.inference.perplexity._ROWS", 1)
    model = LanguageModel(len(bundle.vocab), bundle.config)
    model.load_state_dict(dict(bundle.weights))
    ids = torch.tensor([[i for text in TEXTS for i in bundle.vocab.numericalize(bundle.tokenizer(text))]])
    expected = model.eval()(ids[:, :-1]).cross_entropy(ids[:, 1:]).item()
    figures = measure(bundle, iter(TEXTS))
    assert figures["loss"] == pytest.approx(expected, rel=1e-5)
    assert figures["tokens"] == ids.shape[1] - 1


def test_a_backward_model_reads_from_the_end(bundle):
    assert measure(replace(bundle, backwards=True), TEXTS)["loss"] != measure(bundle, TEXTS)["loss"]


def test_nothing_to_predict_is_an_error(bundle):
    with pytest.raises(DataError, match="nothing to predict"):
        measure(bundle, [])
