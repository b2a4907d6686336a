"""From files, tables and texts to batches."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from invented import make_reviews

from ulmfit.data.block import DataBlock
from ulmfit.data.dataloaders import TextDataLoaders
from ulmfit.data.getters import ColReader, get_text_files, parent_label
from ulmfit.data.loaders import ClassifierLoader, LMDataLoader
from ulmfit.data.splitters import ColSplitter, GrandparentSplitter
from ulmfit.data.targets import CategoryBlock, MultiCategoryBlock, RegressionBlock
from ulmfit.data.text_block import TextBlock
from ulmfit.errors import ConfigError, DataError
from ulmfit.text.counting import Encoder
from ulmfit.text.tokenizers import Tokenizer, WordTokenizer
from ulmfit.text.vocab import Vocab

TEXTS, LABELS = make_reviews(40)


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ULMFIT_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame({"text": TEXTS, "label": LABELS})


def write_folder(root: Path, parts: tuple[str, ...] = ("train", "valid")) -> Path:
    for i, (text, label) in enumerate(zip(TEXTS, LABELS, strict=True)):
        file = root / parts[i % 4 == 3] / label / f"{i}.txt" if len(parts) > 1 else root / label / f"{i}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return root


def texts_of(dls: TextDataLoaders, part: str = "train") -> list[str]:
    data = dls.train_ds if part == "train" else dls.valid_ds
    return [" ".join(dls.text_vocab.decode(data.store[i])) for i in range(len(data))]


def test_a_folder_for_a_classifier(tmp_path: Path):
    dls = TextDataLoaders.from_folder(write_folder(tmp_path), bs=8)
    assert (dls.task, dls.labels, dls.n_out, dls.path) == ("single_label", ("neg", "pos"), 2, tmp_path)
    assert (len(dls.train_ds), len(dls.valid_ds)) == (30, 10)
    assert dls.vocab == [dls.text_vocab, ["neg", "pos"]]
    batch = dls.one_batch()
    assert batch.target.dtype == torch.int64
    for item, target in zip(dls.train_ds.items, dls.train_ds.targets, strict=True):
        assert item.parent.name == dls.labels[target]
    assert len(dls.train) == 4


def test_the_seed_decides_the_split_and_the_cached_ids_are_found(tmp_path: Path):
    write_folder(tmp_path, ("all",))
    first = TextDataLoaders.from_folder(tmp_path, valid_pct=0.2, seed=3)
    again = TextDataLoaders.from_folder(tmp_path, valid_pct=0.2, seed=3)
    other = TextDataLoaders.from_folder(tmp_path, valid_pct=0.2, seed=4)
    assert list(first.valid_ds.items) == list(again.valid_ds.items) != list(other.valid_ds.items)
    assert sorted(item.parent.name for item in first.valid_ds.items) == ["neg"] * 4 + ["pos"] * 4
    assert first.train_ds.store.path == again.train_ds.store.path is not None


def test_a_folder_for_a_language_model(tmp_path: Path):
    write_folder(tmp_path)
    dls = TextDataLoaders.from_folder(tmp_path, is_lm=True, valid_pct=0.25, bs=4, seq_len=7)
    assert (dls.task, dls.labels, dls.n_out) == ("lm", (), len(dls.text_vocab))
    assert isinstance(dls.vocab, Vocab)
    assert isinstance(dls.train, LMDataLoader)
    x, y = dls.one_batch()
    assert x.shape == y.shape == (4, 7)
    assert torch.equal(x[:, 1:], y[:, :-1])
    by_folders = TextDataLoaders.from_folder(tmp_path, is_lm=True, bs=4)
    assert {item.parts[-3] for item in by_folders.valid_ds.items} == {"valid"}


def test_the_vocabulary_is_that_of_all_rows_or_the_one_given(frame: pd.DataFrame, tmp_path: Path):
    frame.loc[len(frame)] = ["unheard is unheard of unheard", "pos"]
    frame["is_valid"] = frame.index == len(frame) - 1
    dls = TextDataLoaders.from_df(frame, valid_col="is_valid")
    assert "unheard" in dls.text_vocab
    assert TextDataLoaders.from_df(frame, valid_pct=0.3, seed=5).text_vocab == dls.text_vocab
    frame.to_csv(tmp_path / "a.csv", index=False)
    assert TextDataLoaders.from_csv(tmp_path, "a.csv", valid_col="is_valid").text_vocab == dls.text_vocab
    assert TextDataLoaders.from_texts(frame["text"], frame["label"]).text_vocab == dls.text_vocab
    lm = TextDataLoaders.from_df(frame[:30], is_lm=True, bs=2)
    assert lm.text_vocab != dls.text_vocab
    for given in (lm.vocab, list(lm.vocab), lm.train_ds.vocab, lm):
        assert TextDataLoaders.from_df(frame, text_vocab=given).text_vocab == lm.vocab


def test_what_a_block_counts(frame: pd.DataFrame):
    frame.loc[len(frame)] = ["unheard is unheard of unheard", "pos"]
    frame["is_valid"] = frame.index == len(frame) - 1

    def counted(text: TextBlock) -> bool:
        block = DataBlock(
            (text, CategoryBlock), get_x=ColReader("text"), get_y=ColReader("label"), splitter=ColSplitter()
        )
        return "unheard" in block.dataloaders(frame, bs=4).text_vocab

    assert counted(TextBlock.from_df("text"))
    assert counted(TextBlock(Tokenizer.from_df("text")))
    assert not counted(TextBlock())
    assert not counted(TextBlock(Tokenizer(WordTokenizer)))
    assert not counted(TextBlock(Tokenizer.from_df("text"), count="train"))


def test_all_text_files_of_a_folder_are_counted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ulmfit.data.stores._SETTLED_NS", 0)
    root = write_folder(tmp_path / "data", ("train", "test"))
    (root / "unsup").mkdir()
    (root / "unsup" / "0.txt").write_text("unheard is unheard of unheard", encoding="utf-8")
    (root / "unsup" / "1.txt").write_text("unheard and again", encoding="utf-8")
    (root / "train" / "urls_pos.txt").write_text("listed is listed of listed", encoding="utf-8")
    cut = list[str]()
    encode = Encoder.__call__
    monkeypatch.setattr(Encoder, "__call__", lambda self, texts: cut.extend(texts) or encode(self, texts))
    lm = TextDataLoaders.from_folder(root, is_lm=True, valid_pct=0.3, bs=2, skip=["urls_*"])
    assert "unheard" in lm.text_vocab
    assert "listed" not in lm.text_vocab
    assert len(cut) == len(TEXTS) + 2
    clas = TextDataLoaders.from_folder(root, valid="test", skip=["urls_*"])
    same = TextDataLoaders.from_folder(root, valid="test", skip=["urls_*"], text_vocab=lm.vocab)
    block = DataBlock(
        (TextBlock.from_folder(root), CategoryBlock),
        get_items=lambda path: get_text_files(Path(path) / "train" / ".." / "train", skip=["urls_*"]),
        get_y=parent_label,
    ).dataloaders(root)
    from_tokenizer = DataBlock(
        (TextBlock(Tokenizer.from_folder(root)), CategoryBlock),
        get_items=lambda path: get_text_files(path, folders=["test", "train"], skip=["urls_*"]),
        get_y=parent_label,
        splitter=GrandparentSplitter(valid_name="test"),
    ).dataloaders(root)
    assert len(cut) == len(TEXTS) + 2  # nothing was tokenized a second time
    for dls in (clas, same, block, from_tokenizer):
        assert dls.text_vocab == lm.text_vocab
    plain = TextDataLoaders.from_folder(root, valid="test", skip=["urls_*"], cache=False)
    for dls in (clas, same, from_tokenizer):
        assert texts_of(dls) == texts_of(plain)
        assert texts_of(dls, "valid") == texts_of(plain, "valid")
    for file, text in zip(lm.valid_ds.items, texts_of(lm, "valid"), strict=True):
        words = [word for word in text.split() if not word.startswith("xx")]
        assert set(words) <= set(Tokenizer(WordTokenizer)(file.read_text(encoding="utf-8")))


def test_items_outside_the_folder_that_is_counted(tmp_path: Path):
    root = write_folder(tmp_path / "data")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "0.txt").write_text("unheard is unheard of unheard", encoding="utf-8")
    dls = DataBlock(
        TextBlock.from_folder(tmp_path / "more", is_lm=True, cache=False), get_items=get_text_files
    ).dataloaders(root, bs=2)
    assert {"unheard", "film"} <= set(dls.text_vocab)
    assert len(dls.train_ds) + len(dls.valid_ds) == len(TEXTS)


def test_the_cached_ids_notice_an_edit_that_keeps_size_and_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import os

    monkeypatch.setattr("ulmfit.data.stores._SETTLED_NS", 0)
    write_folder(tmp_path)

    def load() -> TextDataLoaders:
        return TextDataLoaders.from_folder(tmp_path, min_freq=1)

    load()
    assert texts_of(load())[0].startswith("xxbos")
    file = load().train_ds.items[0]
    before, content = file.stat(), file.read_text(encoding="utf-8")
    file.write_text(content.swapcase(), encoding="utf-8")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    assert "xxup" in texts_of(load())[0]


def test_warm_ids_are_found_without_reading_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ulmfit.data.stores._SETTLED_NS", 0)
    write_folder(tmp_path)
    cold = TextDataLoaders.from_folder(tmp_path)

    def refuse(*_: object) -> str:
        raise AssertionError("read")

    monkeypatch.setattr("ulmfit.data.texts.read_text_file", refuse)
    assert texts_of(TextDataLoaders.from_folder(tmp_path)) == texts_of(cold)
    with pytest.raises(AssertionError):
        TextDataLoaders.from_folder(tmp_path, max_vocab=20)


def test_a_table_in_all_forms_gives_the_same_ids(frame: pd.DataFrame, tmp_path: Path):
    frame["is_valid"] = [i % 5 == 0 for i in range(len(frame))]
    expected = texts_of(TextDataLoaders.from_df(frame, valid_col="is_valid"))
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_csv(tmp_path / "a.tsv", index=False, sep="\t")
    frame.to_parquet(tmp_path / "a.parquet")
    frame.to_json(tmp_path / "a.jsonl", orient="records", lines=True)
    for name in ("a.csv", "a.tsv", "a.parquet", "a.jsonl"):
        dls = TextDataLoaders.from_csv(tmp_path, name, valid_col="is_valid", bs=4)
        assert texts_of(dls) == expected, name
        assert dls.labels == ("neg", "pos")
    frame.iloc[:21].to_parquet(tmp_path / "b-0.parquet")
    frame.iloc[21:].to_parquet(tmp_path / "b-1.parquet")
    shards = TextDataLoaders.from_csv(tmp_path, ["b-0.parquet", "b-1.parquet"], valid_col="is_valid")
    assert texts_of(shards) == expected


def test_a_part_to_check_with_of_its_own(frame: pd.DataFrame, tmp_path: Path):
    dls = TextDataLoaders.from_df(frame[:30], valid_df=frame[30:])
    assert (len(dls.train_ds), len(dls.valid_ds)) == (30, 10)
    assert dls.valid_ds.items["label"].tolist() == LABELS[30:]
    frame[:30].to_csv(tmp_path / "train.csv", index=False)
    frame[30:].to_csv(tmp_path / "dev.csv", index=False)
    files = TextDataLoaders.from_csv(tmp_path, "train.csv", valid_fname="dev.csv")
    assert texts_of(files, "valid") == texts_of(dls, "valid")
    with pytest.raises(DataError, match=r"columns 'text', 'label'.*to check with 'text'$"):
        TextDataLoaders.from_df(frame, valid_df=frame[["text"]])


def test_several_text_columns_are_marked(frame: pd.DataFrame):
    frame.insert(0, "title", "a title")
    dls = TextDataLoaders.from_df(frame, text_col=["title", "text"], label_col="label", min_freq=1)
    assert texts_of(dls)[0].startswith("xxbos xxfld 1 a title xxfld 2 xx")


def test_several_labels(frame: pd.DataFrame):
    frame["label"] = ["a b" if i % 2 else "b" if i % 3 else "" for i in range(len(frame))]
    dls = TextDataLoaders.from_df(frame, label_delim=" ", bs=8)
    assert (dls.task, dls.labels, dls.n_out) == ("multi_label", ("a", "b"), 2)
    assert dls.one_batch().target.dtype == torch.float32
    np.testing.assert_array_equal(
        dls.train_ds.targets[:, 0] == 1, [("a" in label) for label in dls.train_ds.items["label"]]
    )
    frame["label"] = "a b"
    with pytest.raises(DataError, match=r"'a b' is one value, not a list.*label_delim"):
        TextDataLoaders.from_df(frame, y_block=MultiCategoryBlock())


def test_a_column_for_each_label(frame: pd.DataFrame):
    frame["x"], frame["y"] = [i % 2 for i in range(len(frame))], 1
    dls = TextDataLoaders.from_df(frame, label_col=["x", "y"])
    assert dls.labels == ("x", "y")
    assert dls.train_ds.targets[:, 1].all()
    np.testing.assert_array_equal(dls.train_ds.targets[:, 0], dls.train_ds.items["x"])


def test_numbers_as_labels(frame: pd.DataFrame):
    frame["label"] = [len(text) / 10 for text in TEXTS]
    dls = TextDataLoaders.from_df(frame, y_block=RegressionBlock())
    assert (dls.task, dls.n_out, dls.labels, dls.vocab) == ("regression", 1, (), dls.text_vocab)
    assert dls.one_batch().target.dtype == torch.float32
    frame["label"] = [10 - i % 9 for i in range(len(frame))]
    assert TextDataLoaders.from_df(frame).labels == tuple(map(str, range(2, 11)))


def test_texts_from_anywhere():
    pairs = list(zip(TEXTS, LABELS, strict=True))
    expected = texts_of(TextDataLoaders.from_texts(pairs))
    assert texts_of(TextDataLoaders.from_texts(TEXTS, LABELS)) == expected
    assert texts_of(TextDataLoaders.from_texts((pair for pair in pairs), cache=False)) == expected
    assert TextDataLoaders.from_texts((text for text in TEXTS), is_lm=True, bs=2).task == "lm"
    with pytest.raises(DataError, match="40 texts but 3 labels"):
        TextDataLoaders.from_texts(TEXTS, LABELS[:3])


def test_the_data_block_of_the_tutorials(tmp_path: Path):
    write_folder(tmp_path, ("train", "test"))
    imdb = DataBlock(
        blocks=(TextBlock.from_folder(tmp_path), CategoryBlock),
        get_items=get_text_files,
        get_y=parent_label,
        splitter=GrandparentSplitter(valid_name="test"),
    )
    dls = imdb.dataloaders(tmp_path, path=tmp_path, bs=16, seq_len=80)
    assert texts_of(dls) == texts_of(TextDataLoaders.from_folder(tmp_path, valid="/test"))
    assert (dls.bs, dls.seq_len) == (16, 80)
    lm = DataBlock(blocks=TextBlock.from_folder(tmp_path, is_lm=True), get_items=get_text_files)
    assert lm.dataloaders(tmp_path, bs=4).task == "lm"


def test_the_data_block_of_a_frame(frame: pd.DataFrame):
    frame["is_valid"] = [i % 5 == 0 for i in range(len(frame))]
    expected = texts_of(TextDataLoaders.from_df(frame, valid_col="is_valid"))
    named = frame.rename(columns={"text": "review"})
    for get_x in (None, ColReader("text"), ColReader("review")):
        block = DataBlock(
            (TextBlock.from_df("review"), CategoryBlock()),
            get_x=get_x,
            get_y=ColReader("label"),
            splitter=ColSplitter(),
        )
        assert texts_of(block.dataloaders(named)) == expected
    by_rows = DataBlock(
        (TextBlock(count="all"), CategoryBlock),
        get_x=lambda row: row.review,
        get_y=lambda row: row["label"],
        splitter=ColSplitter(),
    )
    assert texts_of(by_rows.dataloaders(named)) == expected
    assert "40 from DataFrame" in repr(by_rows.summary(named))


def test_blocks_that_make_no_sense():
    with pytest.raises(ConfigError, match="begin with a TextBlock"):
        DataBlock((CategoryBlock, TextBlock))
    with pytest.raises(ConfigError, match="expected a TextBlock and one for the target"):
        DataBlock(TextBlock)
    with pytest.raises(ConfigError, match="no block but its TextBlock"):
        DataBlock((TextBlock(is_lm=True), CategoryBlock))
    with pytest.raises(ConfigError, match="get_y is missing"):
        DataBlock((TextBlock, CategoryBlock)).dataloaders(["a", "b", "c", "d", "e"])
    with pytest.raises(TypeError, match="batchsize"):
        TextDataLoaders.from_texts(TEXTS, LABELS, batchsize=3)


def test_further_texts(frame: pd.DataFrame, tmp_path: Path):
    dls = TextDataLoaders.from_df(frame, bs=4)
    loader = dls.test_dl(["a lovely film", "dull", "so very dull, this film"])
    assert isinstance(loader, ClassifierLoader)
    (order,) = loader.batch_indices()
    assert order.tolist() == [2, 0, 1]
    assert next(iter(loader)).target is None
    labelled = dls.test_dl(frame[:3], with_labels=True)
    back = np.concatenate(labelled.batch_indices())
    assert [dls.labels[i] for i in next(iter(labelled)).target] == [LABELS[i] for i in back]
    file = tmp_path / "a.txt"
    file.write_text("a lovely film", encoding="utf-8")
    for one in (["a lovely film"], file, [file]):
        ids, length = next(iter(dls.test_dl(one))).inputs
        assert ids[0].tolist() == next(iter(loader)).inputs[0][1, : length[0]].tolist()
    with pytest.raises(DataError, match=r"1 of 2 items are not text: items 2 \(missing\)"):
        dls.test_dl(["a", None])
    with pytest.raises(DataError, match=r"one text; expected a list of texts. Write \[text\]"):
        dls.test_dl("a lovely film")


def test_a_batch_to_look_at(frame: pd.DataFrame, capsys: pytest.CaptureFixture[str]):
    frame.loc[0, "text"] = "<b>bold</b> " + TEXTS[0]
    dls = TextDataLoaders.from_df(frame, min_freq=1, shuffle=False)
    table = dls.batch_table(max_n=3)
    assert table.columns == ("text", "category")
    assert len(table.rows) == 3
    assert all(text.startswith("xxbos") and label in LABELS for text, label in table.rows)
    html = dls.batch_table(max_n=99)._repr_html_()
    assert "xxpad" not in html
    assert "<b>" not in html
    lm = TextDataLoaders.from_df(frame, is_lm=True, bs=4, seq_len=5)
    assert lm.batch_table(max_n=1).rows[0][0].split()[1:] == lm.batch_table(max_n=1).rows[0][1].split()[:-1]
    lm.show_batch(max_n=2)
    assert "text_" in capsys.readouterr().out


def test_texts_that_are_missing_or_not_text(frame: pd.DataFrame, tmp_path: Path):
    frame["text"] = frame["text"].astype(object)
    frame.loc[3, "text"], frame.loc[5, "text"] = float("nan"), 5
    with pytest.raises(DataError, match=r"2 rows of column 'text' are not text: rows 4 \(missing\), 6 \(int\)"):
        TextDataLoaders.from_df(frame, is_lm=True, bs=2)
    rows = [{"text": text, "label": "ab"[i % 2]} for i, text in enumerate(TEXTS)]
    rows[7]["text"] = None
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    with pytest.raises(DataError, match=r"a\.jsonl: 1 rows of column 'text' are not text: rows 8 \(missing\)"):
        TextDataLoaders.from_csv(tmp_path, "a.jsonl")


def test_empty_texts_are_pointed_out(frame: pd.DataFrame):
    frame.loc[0, "text"] = ""
    with pytest.warns(UserWarning, match="1 of 36 train texts are empty: 1 "):
        TextDataLoaders.from_df(frame, valid_pct=0.1)


def test_labels_that_are_missing_or_unknown(frame: pd.DataFrame):
    frame.loc[[2, 9], "label"] = None
    with pytest.raises(DataError, match=r"of 32 items have no label: items .*is_lm"):
        TextDataLoaders.from_df(frame)
    frame["label"] = ["new" if i > 37 else label for i, label in enumerate(LABELS)]
    with pytest.raises(DataError, match=r"part to check with: labels that do not occur .*'new' \(2x\).*'neg', 'pos'"):
        TextDataLoaders.from_df(frame[:30], valid_df=frame[30:])
    frame["label"] = "same"
    with pytest.raises(DataError, match="all 40 examples have the label 'same'"):
        TextDataLoaders.from_df(frame)


def test_tables_that_do_not_fit(frame: pd.DataFrame, tmp_path: Path):
    with pytest.raises(DataError, match=r"no column 'body'. Columns: 'text', 'label'"):
        TextDataLoaders.from_df(frame, text_col="body")
    with pytest.raises(DataError, match="no column at position 7"):
        TextDataLoaders.from_df(frame, label_col=7)
    with pytest.raises(ConfigError, match="'text' is named both"):
        TextDataLoaders.from_df(frame, label_col="text")
    twice = frame.copy()
    twice.columns = ["text", "text"]
    with pytest.raises(DataError, match="columns stand twice: 'text'"):
        TextDataLoaders.from_df(twice)
    (tmp_path / "a.csv").write_text("text,text\na,b\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"a\.csv: columns stand twice: 'text'"):
        TextDataLoaders.from_csv(tmp_path, "a.csv")
    with pytest.raises(DataError, match="list is no table"):
        TextDataLoaders.from_df(TEXTS)
    with pytest.raises(DataError, match=r"labels\.csv does not exist"):
        TextDataLoaders.from_csv(tmp_path)


def test_parts_that_are_empty_or_too_small(frame: pd.DataFrame):
    with pytest.raises(ConfigError, match=r"valid_pct=1\.5 must be between 0 and 1"):
        TextDataLoaders.from_df(frame, valid_pct=1.5)
    with pytest.raises(DataError, match=r"valid_pct=0\.01 of 40 items leaves 0 to check with"):
        TextDataLoaders.from_df(frame, is_lm=True, valid_pct=0.01)
    with pytest.raises(DataError, match=r"part to check with: a corpus of \d+ tokens is too small.*val_bs=5000"):
        TextDataLoaders.from_df(frame, is_lm=True, bs=2, val_bs=5000)


def test_folders_that_do_not_fit(tmp_path: Path):
    with pytest.raises(DataError, match="does not exist"):
        TextDataLoaders.from_folder(tmp_path / "none")
    write_folder(tmp_path)
    with pytest.raises(DataError, match=r"no folder test. Its folders are: train, valid.*valid_pct=0\.1"):
        TextDataLoaders.from_folder(tmp_path, valid="test")
    (tmp_path / "train" / "notes.txt").write_text("notes", encoding="utf-8")
    with pytest.raises(DataError, match=r"beside the class folders.*notes\.txt.*skip=\['notes\.txt'\]"):
        TextDataLoaders.from_folder(tmp_path)
    assert len(TextDataLoaders.from_folder(tmp_path, skip=["notes.txt"]).train_ds) == 30
    (tmp_path / "train" / "notes.txt").rename(tmp_path / "train" / "urls_pos.txt")
    with pytest.raises(DataError, match=r"lists that came with the data set.*urls_pos\.txt"):
        TextDataLoaders.from_folder(tmp_path, is_lm=True, valid_pct=0.1)


def test_texts_without_labels_are_left_out_of_a_classifier(tmp_path: Path):
    write_folder(tmp_path)
    (tmp_path / "train" / "unsup").mkdir()
    (tmp_path / "train" / "unsup" / "1.txt").write_text("who knows", encoding="utf-8")
    with pytest.warns(UserWarning, match="1 files of folder unsup have no label"):
        assert TextDataLoaders.from_folder(tmp_path).labels == ("neg", "pos")


def test_other_encodings(tmp_path: Path):
    write_folder(tmp_path)
    (tmp_path / "train" / "pos" / "x.txt").write_bytes("café".encode("latin-1"))
    with pytest.raises(DataError, match=r"x\.txt: the bytes at offset 3 are not utf-8"):
        TextDataLoaders.from_folder(tmp_path)
    dls = TextDataLoaders.from_folder(tmp_path, encoding="latin-1", min_freq=1)
    assert "xxbos café" in texts_of(dls)


def test_backwards_and_shares(frame: pd.DataFrame):
    forwards = TextDataLoaders.from_df(frame, shuffle=False, bs=4)
    backwards = TextDataLoaders.from_df(frame, shuffle=False, bs=4, backwards=True)
    f, b = forwards.one_batch(), backwards.one_batch()
    n = int(f.inputs[1][0])
    assert torch.equal(f.inputs[0][0, :n].flip(0), b.inputs[0][0, :n])
    halves = [forwards.shard(rank, 2) for rank in (0, 1)]
    seen = [i for half in halves for indices in half.train.batch_indices() for i in indices]
    assert sorted(seen) == list(range(len(forwards.train_ds)))


def test_a_splitter_of_ones_own_may_give_lists_in_any_order(frame: pd.DataFrame):
    blocks = (TextBlock.from_df("text"), CategoryBlock())
    block = DataBlock(blocks, get_y=ColReader("label"), splitter=lambda _: ([5, 3, 1, 0], [9, 8]))
    dls = block.dataloaders(frame, bs=2)
    in_order = DataBlock(blocks, get_y=ColReader("label"), splitter=lambda _: (np.array([0, 1, 3, 5]), range(8, 10)))
    assert texts_of(dls) == texts_of(in_order.dataloaders(frame, bs=2))
    assert dls.train_ds.targets.tolist() == [dls.labels.index(LABELS[i]) for i in (0, 1, 3, 5)]
    overlapping = DataBlock(blocks, get_y=ColReader("label"), splitter=lambda _: ([0, 1], [1, 2]))
    with pytest.raises(DataError, match="in both parts: 1"):
        overlapping.dataloaders(frame)


def test_one_folder_cannot_be_both_parts(tmp_path: Path):
    with pytest.raises(DataError, match="one folder"):
        TextDataLoaders.from_folder(write_folder(tmp_path), valid="train")


def test_get_x_is_applied_although_the_block_names_columns(frame: pd.DataFrame):
    def dls(get_x: object, source: pd.DataFrame, col: str) -> TextDataLoaders:
        text = TextBlock.from_df(col, min_freq=1)
        return DataBlock((text, CategoryBlock()), get_x=get_x, get_y=ColReader("label")).dataloaders(source, bs=4)

    assert all(text.endswith("extra") for text in texts_of(dls(lambda row: row["text"] + " extra", frame, "text")))
    assert all(text.endswith("extra") for text in texts_of(dls(ColReader("text", suff=" extra"), frame, "text")))
    renamed = frame.rename(columns={"text": "review"})
    assert texts_of(dls(lambda row: row.text, renamed, "review")) == texts_of(dls(None, frame, "text"))


def test_messages_name_the_rows_of_the_source(frame: pd.DataFrame):
    with_gaps = frame.assign(label=[None if i in (4, 17) else label for i, label in enumerate(LABELS)])
    with pytest.raises(DataError, match=r"2 of \d+ items have no label: items 5, 18 "):
        DataBlock(
            (TextBlock.from_df("text"), CategoryBlock()),
            get_y=ColReader("label"),
            splitter=lambda _: (range(2, 40), [0, 1]),
        ).dataloaders(with_gaps)
    numbers = frame.assign(label=[float("inf") if i == 30 else 1.0 for i in range(40)])
    with pytest.raises(DataError, match="not so: items 31 "):
        DataBlock(
            (TextBlock.from_df("text"), RegressionBlock()),
            get_y=ColReader("label"),
            splitter=lambda _: (range(20, 40), [0, 1]),
        ).dataloaders(numbers)
    empty = frame.assign(text=["" if i == 25 else text for i, text in enumerate(TEXTS)])
    with pytest.warns(UserWarning, match=r"1 of 20 train texts are empty: 26 \(from 1\)"):
        DataBlock(TextBlock.from_df("text", is_lm=True), splitter=lambda _: (range(20, 40), range(20))).datasets(empty)


def test_several_labels_in_a_cell_are_not_taken_for_one(frame: pd.DataFrame, tmp_path: Path):
    frame["label"] = ["a;b", "a", "b;c", "c"] * 10
    message = r"column 'label': 2 of the labels look like several labels joined by ';': 'a;b', 'b;c'\..*label_delim=';'"
    with pytest.raises(DataError, match=message):
        TextDataLoaders.from_df(frame)
    frame.to_csv(tmp_path / "labels.csv", index=False)
    with pytest.raises(DataError, match="labels.csv, " + message):
        TextDataLoaders.from_csv(tmp_path)
    with pytest.raises(DataError, match=message):
        DataBlock((TextBlock.from_df("text"), CategoryBlock), get_y=ColReader("label")).dataloaders(frame)
    with pytest.raises(DataError, match=r"40 items: 2 of the labels.*CategoryBlock\(vocab="):
        TextDataLoaders.from_texts(TEXTS, frame["label"])
    assert TextDataLoaders.from_df(frame, label_delim=";").labels == ("a", "b", "c")
    whole = ("a", "a;b", "b;c", "c")
    assert TextDataLoaders.from_df(frame, label_delim="").labels == whole
    assert TextDataLoaders.from_df(frame, y_block=CategoryBlock()).labels == whole
    assert TextDataLoaders.from_texts(TEXTS, frame["label"], y_block=CategoryBlock()).labels == whole
    said = ((CategoryBlock, ColReader("label", label_delim="")), (CategoryBlock(whole), ColReader("label")))
    for target, get_y in said:
        block = DataBlock((TextBlock.from_df("text"), target), get_y=get_y)
        assert block.dataloaders(frame).labels == whole


def test_labels_are_one_plain_value_each():
    values = [np.int64(1), np.float32(0.0), torch.tensor(1), 0]
    assert CategoryBlock().fit(values, "source").labels == ("0", "1")
    for several in (["a", "b"], ("a",), np.array(["a", "b"]), torch.tensor([1, 0])):
        with pytest.raises(DataError, match="MultiCategoryBlock"):
            CategoryBlock().fit([several, "a"], "source")
    with pytest.raises(DataError, match="is a collection"):
        TextDataLoaders.from_texts(TEXTS, [[label] for label in LABELS])


def test_further_tables_are_read_by_the_names_of_the_columns(frame: pd.DataFrame):
    dls = TextDataLoaders.from_df(frame, bs=4)
    turned = frame[["label", "text"]]
    loader = dls.test_dl(turned, with_labels=True)
    expected = dls.test_dl(frame, with_labels=True)
    for one, other in zip(loader, expected, strict=True):
        assert torch.equal(one.inputs[0], other.inputs[0])
        assert torch.equal(one.target, other.target)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"is_lm": True, "balanced": True}, "balanced is for texts with labels"),
        ({"is_lm": True, "max_tokens": 500}, "max_tokens is for texts with labels"),
        ({"val_bs": 0}, "val_bs=0 must be at least 1"),
        ({"n_workers": -1}, "n_workers=-1 must be at least 0"),
        ({"device": "gpu"}, "device='gpu' is not known"),
    ],
)
def test_settings_that_would_be_passed_over_are_refused(frame: pd.DataFrame, options: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        TextDataLoaders.from_df(frame, bs=2, **options)


@pytest.mark.parametrize("name", ["from_df", "from_csv", "from_folder", "from_texts"])
def test_a_misspelt_keyword_names_the_function_that_was_called(name: str, tmp_path: Path):
    with pytest.raises(TypeError, match=rf"TextDataLoaders\.{name}\(\).*'vald_pct'.*Did you mean 'valid_pct'"):
        getattr(TextDataLoaders, name)(["a text"] if name == "from_texts" else tmp_path, vald_pct=0.1)
