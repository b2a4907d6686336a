"""The model cards of a run of the recipe."""

from __future__ import annotations

from dataclasses import replace

import pytest
from bundles import classifier, language_model

from ulmfit.models.config import AWDLSTMConfig, AWDQRNNConfig, EncoderConfig
from ulmfit.training.cards import classifier_card, language_model_card


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (AWDLSTMConfig(emb_sz=6, n_hid=8, n_layers=2), "AWD-LSTM"),
        (AWDQRNNConfig(emb_sz=6, n_hid=8, n_layers=2), "AWD-QRNN"),
    ],
    ids=["lstm", "qrnn"],
)
def test_cards_name_the_architecture_and_the_pooling_that_were_trained(config: EncoderConfig, name: str) -> None:
    metrics = {
        "pooling": "concat",
        "language_model": {},
        "train": {"n": 20, "unlabelled": 0},
        "valid": {"n": 5, "accuracy": 0.8},
    }
    card = classifier_card(replace(classifier(), config=config), metrics)
    assert f"An {name} encoder with concat pooling" in card
    assert "| valid | 5 | 0.8000 |" in card
    bundle = replace(language_model(["The parcel came late."], config), metrics={"perplexity": 81.25})
    assert f"An {name} of {len(bundle.vocab)} entries" in language_model_card(bundle)
    assert "perplexity 81.2 on held-out texts" in language_model_card(bundle)
