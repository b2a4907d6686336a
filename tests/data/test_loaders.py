from __future__ import annotations

from collections import Counter
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ulmfit.data.loaders import ClassifierLoader, LMDataLoader
from ulmfit.data.splitters import stratified_split
from ulmfit.data.weights import balanced_weights
from ulmfit.errors import ConfigError, DataError


def documents(lengths: list[int]) -> SimpleNamespace:
    """Documents whose tokens are all different, so that every token can be followed."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return SimpleNamespace(ids=np.arange(offsets[-1], dtype=np.uint16), offsets=offsets)


sizes = st.tuples(st.lists(st.integers(1, 30), min_size=1, max_size=30), st.integers(1, 6), st.integers(1, 9))


@given(sizes, st.booleans(), st.booleans(), st.integers(0, 3))
def test_a_pass_is_the_stream_of_all_documents(size, shuffle: bool, backwards: bool, epoch: int):
    lengths, bs, seq_len = size
    docs = documents(lengths)
    if (sum(lengths) - 1) // bs < 1:
        with pytest.raises(DataError, match="too small"):
            LMDataLoader(docs, bs=bs, seq_len=seq_len)
        return
    loader = LMDataLoader(docs, bs=bs, seq_len=seq_len, shuffle=shuffle, backwards=backwards)
    loader.set_epoch(epoch)
    batches = list(loader)
    assert len(batches) == len(loader)
    x = np.concatenate([b.inputs[0].numpy() for b in batches], 1)
    y = np.concatenate([b.target.numpy() for b in batches], 1)
    np.testing.assert_array_equal(x[:, 1:], y[:, :-1])  # shifted by one, across batches too
    np.testing.assert_array_equal(x[1:, 0], y[:-1, -1])  # the next row begins where this one ends
    seen = np.concatenate([x.ravel()[:1], y.ravel()])
    assert len(seen) > sum(lengths) - bs  # only a tail of fewer than bs tokens is left out
    assert len(set(seen.tolist())) == len(seen)
    place = {tuple(docs.ids[a:b]): i for i, (a, b) in enumerate(zip(docs.offsets[:-1], docs.offsets[1:], strict=True))}
    order = list(place.values())
    if shuffle:
        order = np.random.default_rng([0, epoch]).permutation(len(order)).tolist()
    step = -1 if backwards else 1
    stream = np.concatenate([docs.ids[docs.offsets[i] : docs.offsets[i + 1]][::step] for i in order])
    np.testing.assert_array_equal(seen, stream[: len(seen)])


def test_the_order_depends_on_seed_and_epoch_only():
    docs = documents([5] * 40)

    def first(seed: int, epoch: int) -> list[int]:
        loader = LMDataLoader(docs, bs=2, seq_len=10, shuffle=True, seed=seed)
        loader.set_epoch(epoch)
        np.random.seed(epoch)  # noqa: NPY002 - the global generator must not matter
        return next(iter(loader)).inputs[0].ravel().tolist()

    assert first(0, 0) == first(0, 0)
    assert first(0, 0) != first(0, 1)
    assert first(0, 0) != first(1, 0)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=120), st.integers(1, 9), st.booleans())
def test_every_document_is_in_one_batch_with_its_own_length_and_label(lengths: list[int], bs: int, shuffle: bool):
    docs = documents(lengths)
    loader = ClassifierLoader(docs, list(range(len(lengths))), bs=bs, shuffle=shuffle, pad_idx=9_999)
    batches = list(loader)
    assert len(batches) == len(loader)
    seen: Counter[int] = Counter()
    for ids, n, labels in ((b.inputs[0], b.inputs[1], b.target) for b in batches):
        assert ids.shape[1] == n.max()
        for row, length, label in zip(ids.tolist(), n.tolist(), labels.tolist(), strict=True):
            assert row[:length] == docs.ids[docs.offsets[label] : docs.offsets[label + 1]].tolist()
            assert row[length:] == [9_999] * (len(row) - length)
            seen[label] += 1
    assert seen == Counter(range(len(lengths)))
    assert batches[0].inputs[1].max() == max(lengths)  # the longest first
    if shuffle and bs > 1 and len(lengths) > 1:
        assert min(len(b.target) for b in batches) > 1


def test_the_longest_batch_comes_first_only_if_wanted():
    docs = documents(list(range(1, 401)))
    for longest_first in (True, False):
        loader = ClassifierLoader(docs, bs=10, shuffle=True, longest_first=longest_first)
        first = []
        for epoch in range(10):
            loader.set_epoch(epoch)
            batches = loader.batch_indices()
            assert sorted(np.concatenate(batches)) == list(range(400))
            first.append(int(batches[0].max()) == 399)
        assert all(first) if longest_first else sum(first) < 5


def test_shuffled_batches_waste_little_padding_and_differ_between_epochs():
    rng = np.random.default_rng(0)
    lengths = np.clip(rng.lognormal(5.4, 0.6, 4_000), 10, 2_000).astype(int).tolist()
    docs = documents([n % 60_000 for n in lengths])
    loader = ClassifierLoader(docs, bs=32, shuffle=True)
    compositions = []
    for epoch in (0, 1):
        loader.set_epoch(epoch)
        batches = loader.batch_indices()
        padded = sum(len(b) * loader.lengths[b].max() for b in batches)
        assert 1 - sum(lengths) / padded < 0.08
        compositions.append({tuple(sorted(b)) for b in batches})
    assert compositions[0] != compositions[1]


def test_backwards_documents_are_read_from_their_end():
    loader = ClassifierLoader(documents([3, 2]), bs=2, backwards=True, pad_idx=77)
    assert next(iter(loader)).inputs[0].tolist() == [[2, 1, 0], [4, 3, 77]]


@given(sizes, st.booleans(), st.integers(0, 3), st.data())
def test_a_pass_can_begin_at_any_batch(size, random_bptt: bool, epoch: int, data: st.DataObject):
    lengths, bs, seq_len = size
    docs = documents([n + 1 for n in lengths] * 3)
    if docs.offsets[-1] <= bs:
        return
    for make in (
        lambda: LMDataLoader(docs, bs=bs, seq_len=seq_len, shuffle=True, random_bptt=random_bptt),
        lambda: ClassifierLoader(docs, list(range(len(docs.offsets) - 1)), bs=bs, shuffle=True),
    ):
        loader = make()
        loader.set_epoch(epoch)
        whole = [batch.target.tolist() for batch in loader]
        assert len(whole) == len(loader)
        start = data.draw(st.integers(0, len(whole)))
        again = make()
        again.set_epoch(epoch, start)
        assert [batch.target.tolist() for batch in again] == whole[start:]
        assert len(again) == len(whole)
        with pytest.raises(ConfigError, match=f"start={len(whole) + 1}: epoch {epoch} has {len(whole)} batches"):
            again.set_epoch(epoch, len(whole) + 1)


@pytest.mark.parametrize("random_bptt", [None, False, True])
def test_each_pass_is_the_next_epoch(random_bptt: bool | None):
    docs = documents([7] * 40)

    def make() -> LMDataLoader | ClassifierLoader:
        if random_bptt is None:
            return ClassifierLoader(docs, range(40), bs=4, shuffle=True)
        return LMDataLoader(docs, bs=2, seq_len=10, shuffle=True, random_bptt=random_bptt)

    def passes(loader: LMDataLoader | ClassifierLoader, n: int) -> list[list[list[int]]]:
        return [[batch.target.ravel().tolist() for batch in loader] for _ in range(n)]

    chosen = []
    for epoch in range(4):
        loader = make()
        loader.set_epoch(epoch)
        chosen += passes(loader, 1)
    by_hand = make()
    assert passes(by_hand, 3) == chosen[:3]
    assert all(one != other for one, other in pairwise(chosen))
    assert by_hand.epoch == 2  # that of the pass that was last begun
    for _ in range(2):
        assert by_hand.one_batch().target.ravel().tolist() == chosen[2][0]  # a look is no pass
    for batch in by_hand:
        assert batch.target.ravel().tolist() == chosen[3][0]
        break
    by_hand.set_epoch(by_hand.epoch, 1)  # what was broken off goes on
    assert passes(by_hand, 1) == [chosen[3][1:]]
    first, second = iter(by_hand), make()
    second.set_epoch(4)
    by_hand.set_epoch(0)  # a pass that was begun keeps its order
    assert [batch.target.ravel().tolist() for batch in first] == passes(second, 1)[0]
    if random_bptt is None:
        order = [batch.target.tolist() for batch in by_hand]
        assert order == [indices.tolist() for indices in by_hand.batch_indices()]


def test_random_lengths_are_spread_and_lose_nothing():
    docs = documents([50] * 400)
    loader = LMDataLoader(docs, bs=4, seq_len=20, random_bptt=True)
    cuts = []
    for epoch in (0, 1):
        loader.set_epoch(epoch)
        batches = list(loader)
        steps = [batch.target.shape[1] for batch in batches]
        cuts.append(steps)
        assert np.concatenate([b.target.numpy() for b in batches], 1).ravel()[-1] == 4 * loader.row_len
        assert sum(steps) == loader.row_len
        assert 18 < np.mean(steps) < 22
        assert 2 < np.std(steps) < 8
    assert cuts[0] != cuts[1]


@given(st.lists(st.integers(1, 40), min_size=4, max_size=60), st.integers(1, 5), st.integers(2, 4), st.booleans())
def test_processes_share_an_epoch_without_overlap(lengths: list[int], bs: int, world_size: int, shuffle: bool):
    docs = documents(lengths)
    n = len(lengths)
    if n < 3 * world_size:
        return
    loaders = [
        ClassifierLoader(docs, range(n), bs=bs, shuffle=shuffle, rank=r, world_size=world_size)
        for r in range(world_size)
    ]
    seen = [i for loader in loaders for batch in loader for i in batch.target.tolist()]
    assert sorted(seen) == list(range(n))
    assert len({len(loader) for loader in loaders}) == 1
    if sum(lengths) <= bs * world_size:
        return
    streams = [
        LMDataLoader(docs, bs=bs, seq_len=7, shuffle=shuffle, rank=r, world_size=world_size) for r in range(world_size)
    ]
    assert len({len(stream) for stream in streams}) == 1
    tokens = [t for stream in streams for batch in stream for t in batch.target.ravel().tolist()]
    assert len(set(tokens)) == len(tokens) > sum(lengths) - bs * world_size - 1


@given(st.lists(st.integers(1, 60), min_size=2, max_size=150), st.integers(1, 300), st.booleans())
def test_a_budget_of_tokens_is_kept(lengths: list[int], max_tokens: int, shuffle: bool):
    docs = documents(lengths)
    docs.ids += 2  # none is the id of the padding
    loader = ClassifierLoader(docs, range(len(lengths)), max_tokens=max_tokens, shuffle=shuffle)
    batches = list(loader)
    assert sorted(i for batch in batches for i in batch.target.tolist()) == list(range(len(lengths)))
    least = 2 if shuffle else 1
    for batch in batches:
        within = batch.inputs[0].numel() <= max_tokens
        assert within or len(batch.target) <= (3 if shuffle else 1)
        assert len(batch.target) >= least
    assert batches[0].inputs[1].max() == max(lengths)


@given(st.lists(st.integers(1, 60), min_size=2, max_size=150), st.integers(2, 9), st.integers(50, 2_000), st.booleans())
def test_documents_and_tokens_of_a_batch_are_both_kept(lengths: list[int], bs: int, max_tokens: int, shuffle: bool):
    settings: dict[str, Any] = {"labels": range(len(lengths)), "bs": bs, "shuffle": shuffle, "seed": 3}
    batches = ClassifierLoader(documents(lengths), max_tokens=max_tokens, **settings).batch_indices()
    assert sorted(i for batch in batches for i in batch.tolist()) == list(range(len(lengths)))
    tokens = [len(batch) * max(lengths[i] for i in batch) for batch in batches]
    assert max(map(len, batches)) <= max(bs, 3)
    assert all(n <= max_tokens or len(batch) <= 3 for n, batch in zip(tokens, batches, strict=True))
    if bs * max(lengths) <= max_tokens:
        plain = ClassifierLoader(documents(lengths), **settings).batch_indices()
        assert [b.tolist() for b in batches] == [b.tolist() for b in plain]


def test_weights_and_balance():
    labels = np.array([0] * 90 + [1] * 10)
    docs = documents([5] * 100)
    loader = ClassifierLoader(docs, labels, bs=10, shuffle=True, weights=balanced_weights(labels))
    drawn = []
    for epoch in range(20):
        loader.set_epoch(epoch)
        drawn += [i for batch in loader for i in batch.target.tolist()]
    assert len(drawn) == 2000
    assert 0.45 < np.mean(drawn) < 0.55
    only = ClassifierLoader(docs, labels, bs=10, shuffle=True, weights=(labels == 1).astype(float))
    assert {i for batch in only for i in batch.target.tolist()} == {1}
    with pytest.raises(ConfigError, match="need shuffle=True"):
        ClassifierLoader(docs, labels, weights=np.ones(100))
    for bad in (np.ones(3), -np.ones(100), np.zeros(100), [float("nan")] * 100):
        with pytest.raises(ConfigError, match="expected 100 numbers"):
            ClassifierLoader(docs, labels, shuffle=True, weights=bad)


def test_targets_of_every_kind():
    docs = documents([2, 3])
    for labels, dtype, shape in (
        ([0, 1], torch.int64, (2,)),
        ([0.5, 1], torch.float32, (2,)),
        ([[0, 1], [1, 0]], torch.float32, (2, 2)),
    ):
        target = next(iter(ClassifierLoader(docs, labels, bs=2))).target
        assert (target.dtype, tuple(target.shape)) == (dtype, shape)
    with pytest.raises(DataError, match="expected numbers"):
        ClassifierLoader(docs, ["a", "b"])


def test_documents_in_any_form():
    lists = [[0, 1], [2, 3, 4]]
    expected = next(iter(LMDataLoader(documents([2, 3]), bs=2, seq_len=9)))
    for docs in (lists, [np.array(one) for one in lists], [torch.tensor(one) for one in lists]):
        x, y = next(iter(LMDataLoader(docs, bs=2, seq_len=9)))
        assert torch.equal(x, expected.inputs[0])
        assert torch.equal(y, expected[1])
    with pytest.raises(DataError, match=r"document 1 is str"):
        LMDataLoader([[1], "words"])


def test_bad_loaders():
    with pytest.raises(ConfigError, match="bs=0"):
        LMDataLoader(documents([5]), bs=0)
    with pytest.raises(ConfigError, match="bs=0"):
        ClassifierLoader(documents([5]), bs=0)
    with pytest.raises(ConfigError, match=r"rank=2 .* world_size=2"):
        LMDataLoader(documents([5]), bs=1, rank=2, world_size=2)
    with pytest.raises(DataError, match="2 documents are too few for 3 processes"):
        ClassifierLoader(documents([5, 5]), rank=0, world_size=3).batch_indices()
    with pytest.raises(ConfigError, match="max_tokens=0"):
        ClassifierLoader(documents([5]), max_tokens=0)
    with pytest.raises(DataError, match="no documents"):
        ClassifierLoader(documents([]))
    with pytest.raises(DataError, match="document 1 has no tokens"):
        ClassifierLoader(documents([2, 0]))
    with pytest.raises(DataError, match="2 documents but 1 labels"):
        ClassifierLoader(documents([2, 1]), [0])


def test_stratified_split_keeps_proportions_and_depends_on_the_seed_only():
    labels = ["a"] * 80 + ["b"] * 20
    train, valid = stratified_split(labels, 0.2, 0)
    assert sorted([*train, *valid]) == list(range(100))
    assert Counter(labels[i] for i in valid) == {"a": 16, "b": 4}
    np.testing.assert_array_equal(valid, stratified_split(labels, 0.2, 0)[1])
    assert not np.array_equal(valid, stratified_split(labels, 0.2, 1)[1])


def test_a_split_that_leaves_nothing_is_refused():
    with pytest.raises(ConfigError, match="valid_pct=1"):
        stratified_split(["a", "b"], 1, 0)
    with pytest.raises(DataError, match="too few"):
        stratified_split(["a", "a", "b", "b"], 0.9, 0)
