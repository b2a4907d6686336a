from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ulmfit.errors import ConfigError, DataError, FormatError
from ulmfit.text import SPECIAL_TOKENS, Numericalize, Vocab, make_vocab


def test_special_tokens_come_first_then_the_frequent_then_fillers() -> None:
    vocab = make_vocab(Counter({"b": 5, "a": 5, "c": 7, "rare": 2, "xxmaj": 100}))
    assert vocab.itos == (*SPECIAL_TOKENS, "c", "a", "b", "xxfake0", "xxfake1", "xxfake2", "xxfake3")
    assert (vocab.unk_idx, vocab.pad_idx, vocab.bos_idx, vocab.eos_idx, vocab.fld_idx) == (0, 1, 2, 3, 4)
    assert (vocab.rep_idx, vocab.wrep_idx, vocab.up_idx, vocab.maj_idx) == (5, 6, 7, 8)


def test_no_fillers_when_the_size_is_a_multiple_of_eight() -> None:
    count = {f"w{i}": 9 for i in range(50_000)}
    assert len(make_vocab(count, max_vocab=16)) == 16
    assert len(make_vocab(count, max_vocab=17)) == 24
    assert len(make_vocab({})) == 16


def test_ties_do_not_depend_on_the_order_of_counting() -> None:
    count = {f"w{i}": 3 for i in range(100)}
    assert make_vocab(count, max_vocab=40) == make_vocab(dict(reversed(count.items())), max_vocab=40)


def test_other_special_tokens() -> None:
    assert make_vocab({"a": 3}, special_toks=["xxunk", "<s>"]).itos[:3] == ("xxunk", "<s>", "a")
    with pytest.raises(DataError, match="no 'xxpad'"):
        _ = make_vocab({"a": 3}, special_toks=["xxunk"]).pad_idx


def test_looking_up_never_grows_the_vocabulary() -> None:
    number = Numericalize(make_vocab({"a": 3}))
    size = len(number.vocab.stoi)
    ids = number([f"unknown{i}" for i in range(1000)])
    assert not ids.any()
    assert len(number.vocab.stoi) == size
    assert ids.dtype == np.int64


def test_numericalize_makes_its_vocabulary() -> None:
    number = Numericalize(min_freq=1).setup([["a", "b"], ["a"]])
    assert number.decode(number(["a", "b", "c"])) == ["a", "b", "xxunk"]
    with pytest.raises(ConfigError, match="setup"):
        Numericalize()(["a"])


@given(st.lists(st.text(), unique=True))
def test_ids_to_tokens_to_ids(words: list[str]) -> None:
    vocab = Vocab([*SPECIAL_TOKENS, *(w for w in words if w not in SPECIAL_TOKENS)])
    ids = list(range(len(vocab)))
    assert vocab.numericalize(vocab.decode(ids)).tolist() == ids


@given(st.lists(st.text()))
def test_save_and_load(tmp_path_factory: pytest.TempPathFactory, words: list[str]) -> None:
    path = tmp_path_factory.mktemp("vocab") / "vocab.json"
    vocab = Vocab(["xxunk", *words])
    vocab.save(path)
    assert Vocab.load(path) == vocab


@pytest.mark.parametrize("content", ["", "[]", '{"format": "ulmfit-vocab", "version": 1, "itos": ["a", 3]}'])
def test_damaged_files_are_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "vocab.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(FormatError, match=r"vocab\.json"):
        Vocab.load(path)


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="max_vocab"):
        make_vocab({}, max_vocab=3)
    with pytest.raises(ConfigError, match="min_freq"):
        make_vocab({}, min_freq=0)
    with pytest.raises(DataError, match="entry 1"):
        Vocab(["xxunk", 3])  # type: ignore[list-item]
    with pytest.raises(DataError, match="xxunk"):
        Vocab(["a"])
    with pytest.raises(DataError, match="no id 99"):
        Vocab(["xxunk"]).decode([99])


def test_ids_take_two_bytes_as_long_as_they_fit() -> None:
    assert Vocab(["xxunk"]).dtype == np.uint16
    assert Vocab(["xxunk", *map(str, range(65_535))]).dtype == np.uint32


def test_numericalize_tells_the_id_of_each_token() -> None:
    vocab = make_vocab(Counter({"a": 5}))
    assert Numericalize(vocab).o2i["a"] == vocab.itos.index("a") == 9
    with pytest.raises(ConfigError):
        _ = Numericalize().o2i
