"""Corpora larger than memory: streamed, repeatable, with a part held out."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pandas as pd
import pytest

from ulmfit.data.corpus import Corpus
from ulmfit.errors import DataError


def write_all(folder: Path) -> None:
    pd.DataFrame({"title": ["t"] * 3, "text": ["parquet one", "parquet two", None]}).to_parquet(folder / "a.parquet")
    lines = [{"text": "json one"}, {"text": "  "}, {"text": "json two"}]
    (folder / "b.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    (folder / "inner").mkdir()
    (folder / "inner" / "c.txt").write_text("a file", encoding="utf-8")
    pd.DataFrame({"text": ["csv one"]}).to_csv(folder / "inner" / "d.csv", index=False)
    (folder / "inner" / "e.bin").write_bytes(b"\x00")
    (folder / ".hidden.txt").write_text("hidden", encoding="utf-8")
    (folder / ".git").mkdir()
    (folder / ".git" / "HEAD.txt").write_text("hidden, too", encoding="utf-8")
    (folder / ".git" / "config").touch()


def test_all_kinds_of_files_are_read_in_order_and_again(tmp_path):
    write_all(tmp_path)
    corpus = Corpus(paths=(tmp_path,))
    expected = ["parquet one", "parquet two", "json one", "json two", "a file", "csv one"]
    assert list(corpus) == expected
    assert list(corpus) == expected
    assert [file.name for file in corpus.ignored()] == ["e.bin"]


def test_the_parts_are_disjoint_and_complete_and_depend_on_the_seed_only(tmp_path):
    pd.DataFrame({"text": [f"text {i}" for i in range(1000)]}).to_parquet(tmp_path / "a.parquet")

    def part(name: str, seed: int) -> list[str]:
        return list(Corpus(paths=(tmp_path,), held_out=0.2, part=name, seed=seed))

    train, held_out = part("train", 1), part("held_out", 1)
    assert sorted(train + held_out) == sorted(f"text {i}" for i in range(1000))
    assert 150 < len(held_out) < 250
    assert held_out == part("held_out", 1) != part("held_out", 2)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.parquet", b"not parquet", "cannot be read as PARQUET"),
        ("a.jsonl", b'{"text": "x"}\nno json', "line 2: not JSON"),
        ("a.jsonl", b'{"text": 3}', "row 1: column 'text' is not text but int"),
        ("a.jsonl", b'{"other": "x", "more": "y"}', "which column holds the text; .*'other', 'more'"),
        ("a.jsonl", b'{"text": "x"}\n{"text": "caf\xe9"}\n', r"a\.jsonl: the bytes at offset 27 are not utf-8"),
        ("a.csv", b"text\ncaf\xe9\n", r"a\.csv: the bytes at offset 8 are not utf-8"),
        ("a.csv", b"text,text\na,b\n", "columns stand twice: 'text'"),
        ("a.txt", b"\xff\xfe\xff", "not utf-8"),
    ],
)
def test_a_bad_file_is_named_with_its_fault(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        list(Corpus(paths=(tmp_path,)))


def test_a_bad_column_is_named(tmp_path):
    pd.DataFrame({"n": [1]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"no column 'text'\. Columns: 'n'"):
        list(Corpus(paths=(tmp_path,), text="text"))
    with pytest.raises(DataError, match="row 1: column 'n' is not text but int"):
        list(Corpus(paths=(tmp_path,)))


def test_the_column_of_the_texts_is_one(tmp_path):
    pd.DataFrame({"title": ["t"], "text": ["one"]}).to_parquet(tmp_path / "a.parquet")
    (tmp_path / "b.txt").write_text("two", encoding="utf-8")
    assert Corpus(paths=(tmp_path,)).column() == "text"
    assert Corpus(paths=(tmp_path / "b.txt",)).column() is None
    pd.DataFrame({"title": ["t"]}).to_parquet(tmp_path / "c.parquet")
    with pytest.raises(
        DataError, match=r"different columns: 'text' in .*a\.parquet, 'title' in .*c\.parquet. Name one"
    ):
        Corpus(paths=(tmp_path,)).column()
    assert Corpus(paths=(tmp_path,), text="title").column() == "title"


def test_paths_are_checked_at_once(tmp_path):
    with pytest.raises(DataError, match=r"nowhere.*no such file"):
        Corpus(paths=(tmp_path / "nowhere",))
    with pytest.raises(DataError, match="holds no"):
        Corpus(paths=(tmp_path,))
    with pytest.raises(DataError, match="at least one"):
        Corpus(paths=())
    (tmp_path / "a.txt").write_text("one", encoding="utf-8")
    for twice in ((tmp_path, tmp_path / "a.txt"), (tmp_path / "a.txt", tmp_path / "." / "a.txt")):
        with pytest.raises(DataError, match=r"a\.txt and .*a\.txt are the same file"):
            Corpus(paths=twice)


def test_texts_that_are_missing_or_empty_are_left_out(tmp_path):
    (tmp_path / "a.csv").write_text("label,text\nx,one\nx,\nx\nx,two\n", encoding="utf-8")
    (tmp_path / "b.jsonl").write_text('{"text": "three"}\n{"label": 1}\n{"text": null}\n', encoding="utf-8")
    corpus = Corpus(paths=(tmp_path,))
    assert list(corpus) == ["one", "two", "three"]
    assert corpus.n_empty == 4


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_large_table_is_not_held_in_memory(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    with path.open("w", encoding="utf-8") as file:
        file.write("text\n" if ending == "csv" else "")
        for i in range(8_000):
            text = f"{i} {'word ' * 80}"
            file.write(f"{text}\n" if ending == "csv" else json.dumps({"text": text}) + "\n")
    tracemalloc.start()
    try:
        n = sum(len(text) for text in Corpus(paths=(tmp_path,)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < n / 2
