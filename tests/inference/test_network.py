"""The network of a model folder."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from bundles import classifier, language_model
from torch import nn

from ulmfit.inference.bundle import Bundle
from ulmfit.inference.network import classifier_of, language_model_of
from ulmfit.models.config import AWDQRNNConfig

TEXTS = ["The parcel came late.", "Wonderful coffee, thank you!"]


def qrnn() -> Bundle:
    return language_model(TEXTS, AWDQRNNConfig(emb_sz=6, n_hid=8, n_layers=2))


@pytest.mark.parametrize(
    ("make", "network_of"),
    [(classifier, classifier_of), (lambda: language_model(TEXTS), language_model_of), (qrnn, language_model_of)],
)
def test_every_weight_is_the_folders_and_random_numbers_are_left_alone(
    make: Callable[[], Bundle], network_of: Callable[[Bundle], nn.Module]
) -> None:
    bundle = make()
    before = torch.get_rng_state()
    state = network_of(bundle).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    assert state.keys() == bundle.weights.keys()
    for name, weight in bundle.weights.items():
        assert torch.equal(state[name], weight), name


def test_layers_made_afterwards_are_random_again() -> None:
    classifier_of(classifier())
    weights = nn.Linear(20, 20).weight, nn.Embedding(20, 20).weight
    assert all(0 < float(weight.detach().std()) < 2 for weight in weights)
