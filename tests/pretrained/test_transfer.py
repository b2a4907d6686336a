from __future__ import annotations

import pytest
import torch

from ulmfit.models.config import AWDLSTMConfig
from ulmfit.models.language_model import LanguageModel
from ulmfit.pretrained.transfer import coverage, match_vocab, widen
from ulmfit.text.rules import SPECIAL_TOKENS
from ulmfit.text.vocab import Vocab, make_vocab


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


def vocab(n: int) -> Vocab:
    return Vocab([*SPECIAL_TOKENS, *(f"w{i}" for i in range(n - len(SPECIAL_TOKENS)))])


@pytest.mark.parametrize("old_size", [12, 25, 64])
@pytest.mark.parametrize("new_size", [12, 25, 64])
@pytest.mark.parametrize("out_bias", [True, False])
def test_a_vocabulary_on_the_other_side_of_a_cutoff(old_size: int, new_size: int, out_bias: bool):
    config = AWDLSTMConfig(emb_sz=4, n_hid=5, n_layers=2, cutoffs=(20, 40), out_bias=out_bias)
    old, new = LanguageModel(old_size, config), LanguageModel(new_size, config)
    for p in old.parameters():
        torch.nn.init.normal_(p)
    moved, _ = match_vocab(old.state_dict(), vocab(old_size), vocab(new_size), config.cutoffs)
    new.load_state_dict(moved)
    if old_size > 20 and new_size > 20:
        assert old.decoder.clusters is not None
        assert new.decoder.clusters is not None
        assert torch.equal(old.decoder.clusters[0], new.decoder.clusters[0])
    ids = torch.randint(new_size, (2, 5))
    assert torch.isfinite(new(ids).cross_entropy(ids))


def test_a_wider_vocabulary_keeps_the_base_and_adds_frequent_words():
    base = make_vocab({"the": 50, "cat": 30, "sat": 20, "mat": 10}, min_freq=1)
    counts = {"xxbos": 9, "xxunk": 2, "parcel": 5, "the": 4, "rare": 1, "sat": 1}
    wide = widen(counts, base, min_freq=2, max_vocab=100)
    words = [w for w in wide.itos if w not in SPECIAL_TOKENS and not w.startswith("xxfake")]
    assert words == ["parcel", "the", "sat", "cat", "mat"]
    assert list(wide.itos[:9]) == list(SPECIAL_TOKENS)
    assert len(wide) % 8 == 0
    narrow = widen(counts, base, min_freq=2, max_vocab=1)
    assert [w for w in narrow.itos if w in words] == ["parcel", "the", "cat", "sat", "mat"]


def test_coverage_counts_running_words_and_no_special_tokens():
    vocab = make_vocab({"the": 2, "cat": 1}, min_freq=1)
    assert coverage({"the": 6, "dog": 2, "xxbos": 100, "xxunk": 2}, vocab) == pytest.approx(0.6)
    assert coverage({"xxbos": 3}, vocab) == 0
