from __future__ import annotations

import torch

from ulmfit.models.config import AWDLSTMConfig
from ulmfit.models.language_model import LanguageModel
from ulmfit.pretrained.transfer import match_vocab
from ulmfit.text.rules import SPECIAL_TOKENS
from ulmfit.text.vocab import Vocab


def test_shared_words_keep_their_rows_and_new_ones_take_the_mean():
    old = Vocab([*SPECIAL_TOKENS, "a", "b", "c"])
    new = Vocab([*SPECIAL_TOKENS, "c", "new", "a"])
    model = LanguageModel(len(old), AWDLSTMConfig(emb_sz=4, n_hid=5, n_layers=2))
    torch.nn.init.normal_(model.decoder.bias)
    weights = model.state_dict()
    moved, match = match_vocab(weights, old, new)
    assert (match.shared, match.new) == (11, 1)
    for name in ("encoder.embedding.weight", "decoder.weight", "decoder.bias"):
        assert torch.equal(moved[name][9], weights[name][11])
        assert torch.equal(moved[name][11], weights[name][9])
        torch.testing.assert_close(moved[name][10], weights[name].mean(0))
        assert torch.equal(moved[name][:9], weights[name][:9])
    other = LanguageModel(len(new), AWDLSTMConfig(emb_sz=4, n_hid=5, n_layers=2))
    other.load_state_dict(moved)
    assert other.decoder.weight is other.encoder.embedding.weight
