"""Tables of every kind: frames, data sets, files that are read piece by piece."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from ulmfit.data import rows, tables
from ulmfit.data.dataloaders import TextDataLoaders
from ulmfit.data.tables import as_table, is_frame, read_files
from ulmfit.data.texts import TableTexts
from ulmfit.errors import ConfigError, DataError


class DataSet:
    """Looks like a Hugging Face dataset."""

    def __init__(self, columns: dict[str, list[Any]], names: dict[str, list[str]] | None = None) -> None:
        self._columns = columns
        self.column_names = list(columns)
        self.features = {name: SimpleNamespace(int2str=of.__getitem__) for name, of in (names or {}).items()} | {
            "other": SimpleNamespace()
        }

    def __len__(self) -> int:
        return len(next(iter(self._columns.values())))

    def __getitem__(self, rows: slice) -> dict[str, list[Any]]:
        return {name: cells[rows] for name, cells in self._columns.items()}


class PolarsFrame:
    """Looks like a data frame of polars."""

    def __init__(self, columns: dict[str, list[Any]]) -> None:
        self._columns, self.columns = columns, list(columns)

    def __len__(self) -> int:
        return len(self._columns["text"])

    def __getitem__(self, name: str) -> None:
        raise AssertionError

    def get_column(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(to_list=lambda: self._columns[name])


TEXTS = [f"text {i}" for i in range(25)]


def test_frames_and_data_sets(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tables, "_CHUNK", 4)
    columns = {"text": TEXTS, "label": [i % 2 for i in range(25)]}
    for source in (pd.DataFrame(columns), PolarsFrame(columns), DataSet(columns)):
        assert is_frame(source)
        table = as_table(source)
        assert (table.names, len(table)) == (("text", "label"), 25)
        assert list(table.rows("label", "text")) == list(zip(columns["label"], TEXTS, strict=True))
        assert list(table.dicts())[3] == {"text": "text 3", "label": 1}
        assert TextDataLoaders.from_df(source, cache=False).labels == ("0", "1")
    assert not is_frame(TEXTS)
    assert not is_frame(pd.DataFrame)
    with pytest.raises(DataError, match="dictionary of data sets: train, test"):
        as_table(SimpleNamespace(column_names={"train": 1, "test": 2}, __getitem__=0, __len__=0))


@pytest.mark.slow
def test_the_real_polars():
    polars = pytest.importorskip("polars")
    columns = {"text": TEXTS, "label": ["a", None, "b", *["a", "b"] * 11]}
    frame = polars.DataFrame(columns)
    assert list(as_table(frame).rows("label", "text")) == list(zip(columns["label"], TEXTS, strict=True))
    assert TextDataLoaders.from_df(frame.drop_nulls(), cache=False).labels == ("a", "b")
    with pytest.raises(DataError, match=r"LazyFrame is no table; .* collect\(\)"):
        as_table(frame.lazy())


@pytest.mark.slow
def test_the_real_hugging_face_datasets():
    datasets = pytest.importorskip("datasets")
    data = datasets.Dataset.from_dict({"text": TEXTS, "label": ["neg", "pos"] * 12 + ["neg"]})
    encoded = data.cast_column("label", datasets.ClassLabel(names=["neg", "pos"]))
    for source in (data, encoded):
        assert list(as_table(source).rows("label"))[:3] == [("neg",), ("pos",), ("neg",)]
        assert TextDataLoaders.from_df(source, cache=False).labels == ("neg", "pos")
    with pytest.raises(DataError, match="dictionary of data sets: train, test"):
        as_table(datasets.DatasetDict(train=data, test=data))
    with pytest.raises(DataError, match="IterableDataset is no table"):
        as_table(data.to_iterable_dataset())


def test_a_data_set_knows_the_names_of_its_classes():
    data = DataSet({"text": TEXTS, "label": [i % 2 for i in range(25)]}, {"label": ["neg", "pos"]})
    assert TextDataLoaders.from_df(data, cache=False).labels == ("neg", "pos")
    data = DataSet({"text": TEXTS, "label": [-1] * 25}, {"label": ["neg", "pos"]})
    with pytest.raises(DataError, match="have no label"):
        TextDataLoaders.from_df(data, cache=False)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.parquet"])
def test_files_are_read_piece_by_piece_and_again(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rows, "_PIECE", 4)
    frame = pd.DataFrame({"label": list("ab") * 12 + ["a"], "text": TEXTS, "more": ['x\n"y",\tz'] * 25})
    path = tmp_path / name
    if name.endswith("jsonl"):
        frame.to_json(path, orient="records", lines=True)
    elif name.endswith("parquet"):
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="\t" if name.endswith("tsv") else ",")
        with path.open("a", encoding="utf-8") as file:
            file.write("\n" * 9)  # blank lines at the end, over more than one piece
    table = read_files(path)
    assert (table.names, len(table)) == (("label", "text", "more"), 25)
    for _ in range(2):
        assert list(table.rows("text")) == [(text,) for text in TEXTS]
    assert list(table.rows("more", "label"))[1] == ('x\n"y",\tz', "b")
    assert (table.name(0), table.name(-1)) == ("label", "more")


def test_blank_lines_in_the_middle_keep_their_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rows, "_PIECE", 2)
    (tmp_path / "a.csv").write_text("text\na\n\n\n\nb\n\n", encoding="utf-8")
    assert [cell for (cell,) in read_files(tmp_path / "a.csv").rows("text")] == ["a", *[""] * 3, "b"]


def test_files_without_names_of_columns_and_with_other_delimiters(tmp_path: Path):
    (tmp_path / "SMSSpam").write_text('ham\tGo until "jurong point\nspam\tFree entry\n', encoding="utf-8")
    table = read_files(tmp_path / "SMSSpam", delimiter="\t", header=None, quoting=3)
    assert table.names == ("0", "1")
    assert next(iter(table.rows(table.name(1), table.name(0)))) == ('Go until "jurong point', "ham")


def test_files_that_do_not_fit(tmp_path: Path):
    def write(name: str, content: bytes) -> Path:
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    good = write("good.csv", b"text,label\na,x\n")
    for path, message in (
        (tmp_path / "none.csv", "does not exist"),
        (write("empty.csv", b""), "is empty"),
        (write("head.csv", b"text,label\n"), "a header but no rows"),
        (write("wide.csv", b"text,label\na,x\nb,y,2\n"), "Expected 2 fields in line 3, saw 3"),
        (write("a.csv", b"text\ncaf\xe9\n"), "offset 8 are not utf-8"),
        (write("a.docx", b"x"), "is not known"),
        (write("a.parquet", b"x"), "cannot be read as PARQUET"),
        (write("a.jsonl", b'{"a": 1}\n{'), "line 2: not JSON"),
        (write("b.jsonl", b"\n"), "no rows"),
        (write("c.jsonl", b'{"text": "caf\xe9"}\n'), r"c\.jsonl: the bytes at offset 13 are not utf-8"),
        (write("long.csv", b"text,label\na,x\n" + b"a,x\n" * 3_000 + b"b,y,2\n"), "in line 3003, saw 3"),
    ):
        with pytest.raises(DataError, match=message):
            read_files(path)
    other = write("other.csv", b"text,topic\na,x\n")
    with pytest.raises(DataError, match=r"other\.csv has the columns 'text', 'topic', but .*good\.csv 'text', 'label'"):
        read_files([good, other])
    with pytest.raises(DataError, match="'utf-9' is not known"):
        read_files(good, encoding="utf-9")
    with pytest.raises(DataError, match="no file was given"):
        read_files([])
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="holds no file ending in"):
        read_files(tmp_path / "folder")
    assert list(read_files(write("b.csv", b"text\ncaf\xe9\n"), encoding="latin-1").rows("text")) == [("café",)]


def test_a_large_file_is_not_held_in_memory(tmp_path: Path):
    import tracemalloc

    path = tmp_path / "a.csv"
    with path.open("w", encoding="utf-8") as file:
        file.write("text\n")
        for i in range(60_000):
            file.write(f"{i} {'word ' * 40}\n")
    table = read_files(path)
    tracemalloc.start()
    try:
        n = sum(len(text) for text in TableTexts(table, ["text"]))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert n > 12_000_000
    assert peak < n / 1.5


def test_the_header_may_stand_on_any_line(tmp_path: Path):
    file = tmp_path / "a.csv"
    file.write_text("made by a tool,\ntext,label\nfine,a\nbad,b\n", encoding="utf-8")
    table = read_files(file, header=1)
    assert (table.names, list(table.rows("text", "label"))) == (("text", "label"), [("fine", "a"), ("bad", "b")])
    assert read_files(file, header=None).n_rows == 4
    for wrong in ("first", -1, True, 1.5):
        with pytest.raises(ConfigError, match="header="):
            read_files(file, header=wrong)  # type: ignore[arg-type]
