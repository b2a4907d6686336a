from __future__ import annotations

import torch
from learners import documents

from ulmfit.data.loaders import LMDataLoader
from ulmfit.data.portions import Portions


def test_portions_make_up_the_pass_and_can_begin_anywhere():
    loader = LMDataLoader(documents(), bs=4, seq_len=10, shuffle=True)
    loader.set_epoch(1)
    whole = [batch.target for batch in loader]
    portions = Portions(LMDataLoader(documents(), bs=4, seq_len=10, shuffle=True), 4)
    found = []
    for portion in range(4, 8):
        portions.set_epoch(portion)
        found += [batch.target for batch in portions]
    assert len(found) == 16 == len(whole) // 4 * 4
    assert all(torch.equal(a, b) for a, b in zip(found, whole, strict=False))
    portions.set_epoch(5, 2)
    for i in (6, 8):  # the pass after it is the next portion
        assert torch.equal(portions.one_batch().target, whole[i // 4 * 4])
        for batch, expected in zip(portions, whole[i : i // 4 * 4 + 4], strict=True):
            assert torch.equal(batch.target, expected)
        portions.set_epoch(portions.epoch + 1)
