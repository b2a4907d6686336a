"""What gets items and labels, and what splits items."""

from __future__ import annotations

import sys
from collections import namedtuple
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ulmfit.data.collection import L, coll_repr, first
from ulmfit.data.getters import (
    AttrGetter,
    ColReader,
    ItemGetter,
    RegexLabeller,
    get_files,
    get_text_files,
    parent_label,
)
from ulmfit.data.splitters import (
    ColSplitter,
    EndSplitter,
    FileSplitter,
    FuncSplitter,
    GrandparentSplitter,
    IndexSplitter,
    MaskSplitter,
    RandomSplitter,
    RandomSubsetSplitter,
    Splitter,
    TrainTestSplitter,
    checked_split,
)
from ulmfit.errors import ConfigError, DataError


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x", encoding="utf-8")


def names(files: list[Path], root: Path) -> list[str]:
    return [file.relative_to(root).as_posix() for file in files]


def test_files_are_found_in_one_order_on_every_system(tmp_path: Path):
    touch(tmp_path, "b.txt", "a.TXT", "z/1.txt", "c/2.txt", "c/d/3.txt", "c/4.md", ".git/5.txt", "c/.6.txt")
    assert names(get_text_files(tmp_path), tmp_path) == ["a.TXT", "b.txt", "c/2.txt", "c/d/3.txt", "z/1.txt"]
    assert names(get_text_files(tmp_path, recurse=False), tmp_path) == ["a.TXT", "b.txt"]
    assert names(get_text_files(tmp_path, folders=["z", "c"]), tmp_path) == ["z/1.txt", "c/2.txt", "c/d/3.txt"]
    assert names(get_files(tmp_path, [".md", ".txt"], folders="c"), tmp_path) == ["c/2.txt", "c/4.md", "c/d/3.txt"]
    assert names(get_files(tmp_path, skip=["*.txt", "*.TXT"]), tmp_path) == ["c/4.md"]


def test_what_cannot_be_found(tmp_path: Path):
    touch(tmp_path, "c/4.md")
    with pytest.raises(DataError, match=r"no files ending in \.txt were found in .*"):
        get_text_files(tmp_path)
    with pytest.raises(DataError, match=r"no folder train, test\. Its folders are: c"):
        get_text_files(tmp_path, folders=["train", "test"])
    with pytest.raises(DataError, match="is not a folder"):
        get_files(tmp_path / "c" / "4.md")


@pytest.mark.skipif(sys.platform == "win32", reason="making links needs a right there")
def test_links_are_followed_but_not_in_circles(tmp_path: Path):
    touch(tmp_path, "a/1.txt", "elsewhere/2.txt")
    (tmp_path / "a" / "link").symlink_to(tmp_path / "elsewhere")
    assert names(get_text_files(tmp_path / "a"), tmp_path) == ["a/1.txt", "a/link/2.txt"]
    (tmp_path / "elsewhere" / "up").symlink_to(tmp_path)
    with pytest.raises(DataError, match=r"a.link.up.* a loop.*Remove the link"):
        get_text_files(tmp_path)
    assert names(get_files(tmp_path, ".txt", followlinks=False), tmp_path) == ["a/1.txt", "elsewhere/2.txt"]


def test_lists_that_come_with_a_data_set_are_no_documents(tmp_path: Path):
    touch(tmp_path, "train/urls_pos.txt", "train/pos/1.txt", "imdbEr.txt")
    with pytest.raises(
        DataError, match=r"2 of the \.txt files are lists.*urls_pos\.txt.*skip=\['imdbEr.txt', 'urls_pos.txt'\]"
    ):
        get_text_files(tmp_path)
    assert names(get_text_files(tmp_path, skip=["urls_*.txt", "imdbEr.txt"]), tmp_path) == ["train/pos/1.txt"]


def test_labels_of_paths():
    assert parent_label("data/train/pos/1.txt") == "pos"
    assert RegexLabeller(r"_(\d+)\.txt$")(Path("a/12_7.txt")) == "7"
    assert RegexLabeller(r"(\d+)_", match=True)("12_7.txt") == "12"
    with pytest.raises(DataError, match=r"'a/x\.txt' has no label"):
        RegexLabeller(r"_(\d+)\.txt$")("a/x.txt")
    with pytest.raises(ConfigError, match="no group"):
        RegexLabeller("abc")
    with pytest.raises(ConfigError, match="pattern"):
        RegexLabeller("(abc")


def test_parts_of_items():
    row = namedtuple("row", "text label")("a", "x y")
    assert ItemGetter(1)(row) == "x y"
    assert AttrGetter("text")(row) == "a"
    assert AttrGetter("none", 3)(row) == 3
    series = pd.Series({"text": "a", "label": "x y"})
    for item in (row, series, row._asdict()):
        assert ColReader("label", label_delim=" ")(item) == ["x", "y"]
        assert ColReader("text", pref="<", suff=">")(item) == "<a>"
        assert ColReader(["text", "label"])(item) == ["a", "x y"]
        with pytest.raises(DataError, match="no column 'body'; there are: text, label"):
            ColReader("body")(item)
    assert ColReader(1)(series) == ColReader(1)(row) == "x y"


FILES = [Path(f"data/{part}/{label}/{i}.txt") for part in ("train", "test") for label in "ab" for i in range(5)]
FRAME = pd.DataFrame({"text": list("abcdefghij"), "is_valid": [i % 4 == 0 for i in range(10)], "part": ["t", "v"] * 5})

SPLITTERS: list[tuple[Splitter, object, list[int]]] = [
    (GrandparentSplitter(valid_name="test"), FILES, list(range(10, 20))),
    (GrandparentSplitter("/train/", ("test", "dev")), FILES, list(range(10, 20))),
    (ColSplitter(), FRAME, [0, 4, 8]),
    (ColSplitter("part", on="v"), FRAME, [1, 3, 5, 7, 9]),
    (ColSplitter(2, on=["v"]), FRAME, [1, 3, 5, 7, 9]),
    (IndexSplitter([3, 1]), "abcdef", [1, 3]),
    (EndSplitter(0.3), FRAME, [7, 8, 9]),
    (EndSplitter(0.3, valid_last=False), FRAME, [0, 1, 2]),
    (FuncSplitter(lambda file: file.parent.name == "b"), FILES, [*range(5, 10), *range(15, 20)]),
    (FuncSplitter(lambda row: row["part"] == "v"), FRAME, [1, 3, 5, 7, 9]),
    (MaskSplitter([False, True, False]), "abc", [1]),
    (TrainTestSplitter(3, shuffle=False), FRAME, [7, 8, 9]),
]


@pytest.mark.parametrize(("splitter", "items", "expected"), SPLITTERS)
def test_splitters(splitter: Splitter, items: object, expected: list[int]):
    train, valid = splitter(items)
    assert valid.tolist() == expected
    assert sorted([*train, *valid]) == list(range(len(items)))


def test_the_names_in_a_file(tmp_path: Path):
    (tmp_path / "names").write_text("0.txt\n4.txt\n", encoding="utf-8")
    assert FileSplitter(tmp_path / "names")(FILES)[1].tolist() == [0, 4, 5, 9, 10, 14, 15, 19]
    with pytest.raises(DataError, match="cannot be read"):
        FileSplitter(tmp_path / "none")(FILES)


@given(st.integers(2, 200), st.floats(0.01, 0.99), st.integers(0, 5))
def test_random_splits_are_complete_and_depend_on_the_seed_only(n: int, share: float, seed: int):
    if not 0 < int(share * n) < n:
        with pytest.raises(DataError, match="leaves"):
            RandomSplitter(share, seed)(range(n))
        return
    np.random.seed(n)  # noqa: NPY002 - the global generator must not matter
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    train, valid = RandomSplitter(share, seed)(range(n))
    assert before == np.random.get_state()[1].tolist()  # noqa: NPY002
    assert sorted([*train, *valid]) == list(range(n))
    assert len(valid) == int(share * n)
    np.testing.assert_array_equal(valid, RandomSplitter(share, seed)(range(n))[1])


def test_random_splits_are_these_on_every_platform():
    assert RandomSplitter(0.3, 1)(range(10))[1].tolist() == [4, 7, 8]
    assert RandomSplitter(0.3)(range(10))[1].tolist() == RandomSplitter(0.3, 0)(range(10))[1].tolist()
    assert TrainTestSplitter(random_state=1)(range(10))[1].tolist() == [2, 9]


def test_stratified_and_partial_splits():
    labels = ["a"] * 80 + ["b"] * 20
    valid = TrainTestSplitter(stratify=labels)(labels)[1]
    assert [labels[i] for i in valid].count("b") == 4
    train, valid = RandomSubsetSplitter(0.5, 10, seed=3)(range(100))
    assert (len(train), len(valid)) == (50, 10)
    assert not set(train) & set(valid)
    with pytest.raises(DataError, match="90 and 20; each must be at least 1, and both together at most 100"):
        RandomSubsetSplitter(0.9, 0.2)(range(100))
    with pytest.raises(DataError, match="3 items cannot be split so"):
        TrainTestSplitter(5)(range(3))


def test_splits_that_leave_a_part_empty_or_make_no_sense():
    with pytest.raises(DataError, match=r"folder named valid; .*'train' \(10\), 'test' \(10\)"):
        GrandparentSplitter()(FILES)
    with pytest.raises(DataError, match="mask: 0 items to learn from and 2 to check with"):
        MaskSplitter([1, 1])("ab")
    with pytest.raises(DataError, match="2 entries, but there are 3 items"):
        MaskSplitter([1, 0])("abc")
    with pytest.raises(DataError, match=r"valid_idx \[7\]: there are 3 items"):
        IndexSplitter([7])("abc")
    with pytest.raises(DataError, match="func: 3 items to learn from and 0"):
        FuncSplitter(lambda _: False)("abc")
    with pytest.raises(DataError, match="row 1: 'a' is neither yes nor no"):
        ColSplitter("text")(FRAME)
    with pytest.raises(ConfigError, match="valid_pct=1"):
        EndSplitter(1)(FRAME)


def test_lists_that_show_themselves():
    assert repr(L(range(12))) == "(#12) [0,1,2,3,4,5,6,7,8,9...]"
    assert coll_repr("abc", 2) == "(#3) ['a','b'...]"
    assert L("abc") == ["abc"]
    assert L() == []
    items = L([3, 1, 3])
    assert items[[0, 1]] == [3, 1]
    assert items[[True, False, True]] == [3, 3]
    assert isinstance(items[1:], L)
    assert isinstance(items + items, L)
    assert items.unique() == [3, 1]
    assert items.map(str).filter(lambda one: one == "3") == ["3", "3"]
    assert L([(1, "a"), (2, "b")]).itemgot(1) == ["a", "b"]
    assert L([Path("a")]).attrgot("name") == ["a"]
    assert first(items, lambda one: one < 3) == 1
    assert first([]) is None


@pytest.mark.parametrize(
    ("train", "valid"),
    [([2, 0, 1], [4, 3]), (range(3), range(3, 5)), (L([1, 0, 2]), L([4, 3])), (np.array([2, 1, 0]), (3, 4))],
)
def test_parts_may_be_given_in_any_form_and_order(train: object, valid: object):
    parts = checked_split((train, valid), 5)
    assert [part.tolist() for part in parts] == [[0, 1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (([0, 1], [1, 2]), "in both parts: 1"),
        (([0, 1, 1], [2]), "twice in one part: 1"),
        (([-1, 0], [2, 7]), "there are no items: -1, 7"),
        (([0, 1, 2], []), "the part to check with is empty"),
        (([0.5], [1]), "expected two lists"),
        (([True, False], [False, True]), "expected two lists"),
        (([0], [1], [2]), "expected two lists"),
        (None, "expected two lists"),
    ],
)
def test_parts_that_are_none_are_refused(parts: object, message: str):
    with pytest.raises(DataError, match=message):
        checked_split(parts, 3)


@pytest.mark.parametrize("mask", [["yes", "no", "no"], [0.5, 1.0, 0.0], [2, 0, 1], [None, True, False]])
def test_a_mask_is_of_booleans(mask: list[object]):
    with pytest.raises(DataError, match="True or False"):
        MaskSplitter(mask)("abc")
