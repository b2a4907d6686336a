"""No text is both learned from and checked with, no label is made up, and links stay inside."""

from __future__ import annotations

import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tars import add

from ulmfit.data.archives import unpack
from ulmfit.data.block import DataBlock
from ulmfit.data.dataloaders import TextDataLoaders
from ulmfit.data.external import untar_data
from ulmfit.data.getters import ColReader, get_text_files
from ulmfit.data.splitters import FileSplitter, GrandparentSplitter, IndexSplitter
from ulmfit.data.targets import CategoryBlock
from ulmfit.data.text_block import TextBlock
from ulmfit.errors import ConfigError, DataError

links = pytest.mark.skipif(sys.platform == "win32", reason="making links needs a right there")
TEXTS = [f"text number {i} of some" for i in range(20)]


def folders(root: Path, *names: str) -> Path:
    for name in names:
        for i in range(6):
            path = root / name / f"{i}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{name} is what text {i} of this folder says", encoding="utf-8")
    return root


@pytest.mark.parametrize("is_lm", [True, False])
def test_a_folder_within_the_other(tmp_path: Path, is_lm: bool):
    root = folders(tmp_path, "train/a", "train/b", "train/valid/a", "train/valid/b")
    with pytest.raises(DataError, match="stand one within the other"):
        TextDataLoaders.from_folder(root, train="train", valid="train/valid", is_lm=is_lm, cache=False)
    with pytest.raises(DataError, match="stand one within the other"):
        TextDataLoaders.from_folder(root / "train", train=".", valid="valid", is_lm=is_lm, cache=False)


@links
def test_a_link_from_one_part_to_the_other(tmp_path: Path):
    root = folders(tmp_path, "train/a", "valid/a", "valid/b")
    (root / "train" / "b").symlink_to(root / "valid" / "b")
    with pytest.raises(DataError, match=r"are one folder.*Remove the link"):
        TextDataLoaders.from_folder(root, cache=False)


def test_one_file_for_both_parts(tmp_path: Path):
    for name in ("a.csv", "b.csv"):
        pd.DataFrame({"text": TEXTS, "label": ["x", "y"] * 10}).to_csv(tmp_path / name, index=False)
    for files in ("a.csv", ["b.csv", "a.csv"], "."):
        with pytest.raises(DataError, match=r"a\.csv.*both to learn from and to check with"):
            TextDataLoaders.from_csv(tmp_path, files, valid_fname="a.csv", cache=False)
    dls = TextDataLoaders.from_csv(tmp_path, "a.csv", valid_fname="b.csv", cache=False, bs=4)
    assert (len(dls.train_ds), len(dls.valid_ds)) == (20, 20)


def test_what_to_check_with_is_said_once(tmp_path: Path):
    frame = pd.DataFrame({"text": TEXTS, "label": ["x", "y"] * 10, "is_valid": [False, True] * 10})
    with pytest.raises(ConfigError, match="valid_col"):
        TextDataLoaders.from_df(frame, valid_col="is_valid", valid_df=frame, cache=False)
    root = folders(tmp_path, "a", "b")
    with pytest.raises(ConfigError, match="valid_pct and splitter"):
        TextDataLoaders.from_folder(root, valid_pct=0.2, splitter=IndexSplitter([0, 7]), cache=False)


def test_files_beside_the_class_folders_are_no_class(tmp_path: Path):
    root = folders(tmp_path, "a", "b")
    (root / "LICENSE.txt").write_text("all rights", encoding="utf-8")
    with pytest.raises(DataError, match=r"LICENSE\.txt.*skip="):
        TextDataLoaders.from_folder(root, valid_pct=0.2, cache=False)
    dls = TextDataLoaders.from_folder(root, valid_pct=0.2, skip=["LICENSE.txt"], cache=False, bs=2)
    assert dls.labels == ("a", "b")
    lm = TextDataLoaders.from_folder(root, valid_pct=0.2, is_lm=True, cache=False, bs=2, seq_len=4)
    assert len(lm.train_ds) + len(lm.valid_ds) == 13


@pytest.mark.parametrize("as_file", [False, True])
def test_a_column_of_yes_and_no_for_each_class(tmp_path: Path, as_file: bool):
    names = ["cat" if i % 3 else "dog" for i in range(20)]
    frame = pd.concat([pd.DataFrame({"text": TEXTS}), pd.get_dummies(pd.Series(names))], axis=1)
    if as_file:
        frame.to_csv(tmp_path / "d.csv", index=False)
        dls = TextDataLoaders.from_csv(tmp_path, "d.csv", label_col=["cat", "dog"], cache=False, bs=4)
    else:
        dls = TextDataLoaders.from_df(frame, label_col=["cat", "dog"], cache=False, bs=4)
    assert dls.labels == ("cat", "dog")
    assert dls.train_ds.targets is not None
    np.testing.assert_array_equal(dls.train_ds.targets.sum(1), 1)
    frame = frame.astype({"cat": float, "dog": float})
    frame.loc[3, "cat"] = np.nan
    with pytest.raises(DataError, match="0 or 1"):
        TextDataLoaders.from_df(frame, label_col=["cat", "dog"], cache=False)


def test_a_missing_label_stays_missing():
    assert ColReader("l", pref="x_")({"l": None}) is None
    assert ColReader("l", pref="x_")({"l": "a"}) == "x_a"


def test_lists_of_files_to_check_with(tmp_path: Path):
    listed = tmp_path / "valid.txt"
    items = [Path("a/0.txt"), Path("a/1.txt"), Path("b/2.txt")]
    listed.write_bytes("\ufeff0.txt\r\n2.txt\r\n".encode())
    train, valid = FileSplitter(listed)(items)
    assert (train.tolist(), valid.tolist()) == ([1], [0, 2])
    listed.write_text("0.txt\n9.txt\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"1 of its 2 lines name no item: 9\.txt"):
        FileSplitter(listed)(items)
    listed.write_bytes(b"gr\xfcn.txt\n")
    with pytest.raises(DataError, match="not utf-8"):
        FileSplitter(listed)(items)
    for splitter in (FileSplitter(listed), GrandparentSplitter()):
        listed.write_text("0.txt\n", encoding="utf-8")
        with pytest.raises(DataError, match="paths of files"):
            splitter([("a", 1), ("b", 2)])


@pytest.mark.parametrize("wrong", [[True, False], [1.7], ["a"]])
def test_indices_are_whole_numbers(wrong: list[object]):
    with pytest.raises(ConfigError, match="valid_idx"):
        IndexSplitter(wrong)


def test_classes_that_were_given_are_written_as_labels_are():
    frame = pd.DataFrame({"text": TEXTS, "label": [0.0, 1.0] * 10})
    dls = TextDataLoaders.from_df(frame, y_block=CategoryBlock(vocab=[0.0, 1.0]), cache=False, bs=4)
    assert dls.labels == ("0", "1")
    with pytest.raises(ConfigError, match="two classes"):
        TextDataLoaders.from_df(frame, y_block=CategoryBlock(vocab=["pos"]), cache=False)


def test_weights_for_each_item_or_for_those_to_learn_from():
    items = list(zip(TEXTS, ["x", "y"] * 10, strict=True))
    block = DataBlock((TextBlock(cache=False), CategoryBlock()), splitter=IndexSplitter([0, 19]))
    weights = [float(i == 7) for i in range(20)]
    for given in (weights, weights[1:19]):
        dls = block.weighted_dataloaders(items, given, bs=4)
        assert {int(i) for batch in dls.train.batch_indices() for i in batch} == {6}


def test_a_summary_of_what_comes_once():
    block = DataBlock((TextBlock(cache=False), CategoryBlock()))
    shown = block.summary((pair for pair in zip(TEXTS, ["x", "y"] * 10, strict=True)), bs=2)
    assert "20 from list" in str(shown)


@links
def test_links_to_themselves(tmp_path: Path):
    folders(tmp_path, "a")
    (tmp_path / "a" / "self.txt").symlink_to(tmp_path / "a" / "self.txt")
    with pytest.raises(DataError, match=r"self\.txt is a link to itself"):
        get_text_files(tmp_path)


@links
@pytest.mark.parametrize("target", ["../other/secret.txt", ".."])
def test_links_that_lead_out_of_the_folder_that_is_kept(tmp_path: Path, target: str):
    with tarfile.open(tmp_path / "x.tgz", "w:gz") as tar:
        add(tar, "x/a.txt")
        add(tar, "x/l", type=tarfile.SYMTYPE, linkname=target)
    with pytest.raises(DataError, match="link out"):
        unpack(tmp_path / "x.tgz", tmp_path / "data" / "x", 10**6)
    assert not (tmp_path / "data" / "x").exists()


@links
def test_links_within_are_kept(tmp_path: Path):
    with tarfile.open(tmp_path / "x.tgz", "w:gz") as tar:
        add(tar, "x/a.txt")
        add(tar, "x/inner/l", type=tarfile.SYMTYPE, linkname="../a.txt")
    unpack(tmp_path / "x.tgz", tmp_path / "data" / "x", 10**6)
    assert (tmp_path / "data" / "x" / "inner" / "l").read_text(encoding="utf-8") == "hello"


def test_an_encrypted_archive_is_called_so(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as packed:
        packed.writestr("x/a.txt", "hello")
    whole = bytearray((tmp_path / "x.zip").read_bytes())
    whole[whole.index(b"PK\x01\x02") + 8] |= 1  # the flag in the directory
    (tmp_path / "x.zip").write_bytes(bytes(whole))
    with pytest.raises(DataError, match="encrypted"):
        unpack(tmp_path / "x.zip", tmp_path / "data" / "x", 10**6)


def test_a_folder_for_data_sets_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("ULMFIT_DATA", str(tmp_path / "file" / "inside"))
    with tarfile.open(tmp_path / "x.tgz", "w:gz") as tar:
        add(tar, "x/a.txt")
    with pytest.raises(DataError, match=r"cannot hold data sets.*ULMFIT_DATA"):
        untar_data(tmp_path / "x.tgz")


def test_one_archive_by_path_and_by_address(tmp_path: Path):
    with tarfile.open(tmp_path / "x.tgz", "w:gz") as tar:
        add(tar, "x/a.txt")
    by_path = untar_data(tmp_path / "x.tgz", base=tmp_path / "base")
    assert untar_data((tmp_path / "x.tgz").as_uri(), base=tmp_path / "base") == by_path
    with pytest.raises(DataError, match="addresses begin with"):
        untar_data("s3://bucket/x.tgz", base=tmp_path / "base")


def test_any_seed_splits():
    frame = pd.DataFrame({"text": TEXTS, "label": ["x", "y"] * 10})
    dls = TextDataLoaders.from_df(frame, seed=2**40, cache=False, bs=4)
    assert len(dls.valid_ds) == 4
