from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ulmfit.errors import ConfigError, DataError
from ulmfit.text import (
    FileTexts,
    SubwordTokenizer,
    Tokenizer,
    TokenStore,
    join_fields,
    parallel_tokenize,
    reverse_text,
    text_files,
    tokenize1,
    tokenize_csv,
    tokenize_df,
    tokenize_files,
    tokenize_folder,
    tokenize_texts,
)

TEXTS = ["One text.", "Another TEXT!"]
TOKENS = [["xxbos", "xxmaj", "one", "text", "."], ["xxbos", "xxmaj", "another", "xxup", "text", "!"]]


def test_lists() -> None:
    assert tokenize_texts(TEXTS) == TOKENS
    assert list(parallel_tokenize(TEXTS)) == list(enumerate(TOKENS))
    assert tokenize1(TEXTS[0]) == tokenize1(TEXTS[0], Tokenizer()) == TOKENS[0]
    assert tokenize1("A b", rules=[]) == ["A", "b"]
    with pytest.raises(ConfigError, match="not both"):
        tokenize_texts(TEXTS, rules=[], tok=Tokenizer())


def test_workers() -> None:
    assert tokenize_texts(TEXTS * 400, n_workers=2) == TOKENS * 400


def test_several_fields_are_marked() -> None:
    assert join_fields([["a", "b"]]) == ["a", "b"]
    assert join_fields([["a", "b"], ["c", "d"]]) == ["xxfld 1 a xxfld 2 c", "xxfld 1 b xxfld 2 d"]
    assert join_fields([["a"], ["c"]], mark_fields=False) == ["a c"]
    assert join_fields([["a"]], mark_fields=True) == ["xxfld 1 a"]
    with pytest.raises(DataError, match="Field 2 of text 1 is float"):
        join_fields([["a", "b"], ["c", float("nan")]])


def test_data_frames() -> None:
    df = pd.DataFrame({"title": ["T", "U"], "body": TEXTS, "label": [0, 1]})
    out, count = tokenize_df(df, ["title", "body"])
    assert list(out.columns) == ["label", "text", "text_length"]
    assert out["text"][0] == ["xxbos", "xxfld", "1", "t", "xxfld", "2", *TOKENS[0][1:]]
    assert out["text_length"].tolist() == [len(tokens) for tokens in out["text"]]
    assert count["xxfld"] == 4
    assert tokenize_df(df, 1)[0]["text"].tolist() == TOKENS
    with pytest.raises(DataError, match="'other'"):
        tokenize_df(df, "other")


def test_csv_files(tmp_path: Path) -> None:
    pd.DataFrame({"text": TEXTS * 3, "label": range(6)}).to_csv(tmp_path / "a.csv", index=False)
    count = tokenize_csv(tmp_path / "a.csv", "text", chunksize=4)
    out = pd.read_csv(tmp_path / "a_tok.csv")
    assert [text.split(" ") for text in out["text"]] == TOKENS * 3
    assert out["label"].tolist() == list(range(6))
    assert count["xxmaj"] == 6


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {"b/2.txt": TEXTS[1], "a/1.txt": TEXTS[0], "a/note.md": "no"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_folders(folder: Path) -> None:
    expected = [(folder / "a/1.txt", TOKENS[0]), (folder / "b/2.txt", TOKENS[1])]
    assert list(tokenize_folder(folder)) == expected
    assert list(tokenize_folder(folder, folders=["b"])) == expected[1:]
    assert list(tokenize_files([folder / "b/2.txt"])) == expected[1:]
    assert text_files(folder, [".md"]) == [folder / "a/note.md"]
    with pytest.raises(DataError, match="no file"):
        text_files(folder, [".html"])
    with pytest.raises(DataError, match="cannot be read"):
        text_files(folder / "missing")


def test_files_that_go_away_or_are_not_text(folder: Path) -> None:
    files = text_files(folder)
    files[1].unlink()
    with pytest.raises(DataError, match=r"2\.txt cannot be read"):
        list(tokenize_files(files))
    files[0].write_bytes("é".encode("latin-1"))
    with pytest.raises(DataError, match="latin-1"):
        list(tokenize_files(files))


def test_an_edited_file_and_an_added_one_give_new_stores(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    cache, word = tmp_path_factory.mktemp("cache"), Tokenizer()
    first = TokenStore.build(FileTexts(text_files(folder)), word, cache_dir=cache, min_freq=1)
    assert TokenStore.build(FileTexts(text_files(folder)), word, cache_dir=cache, min_freq=1).path == first.path
    (folder / "a/1.txt").write_text("Edited text.", encoding="utf-8")
    edited = TokenStore.build(FileTexts(text_files(folder)), word, cache_dir=cache, min_freq=1)
    (folder / "c.txt").write_text("Added.", encoding="utf-8")
    added = TokenStore.build(FileTexts(text_files(folder)), word, cache_dir=cache, min_freq=1)
    assert "edited" in edited.vocab
    assert (len(first), len(edited), len(added)) == (2, 2, 3)


def test_subwords_are_trained_on_files(folder: Path) -> None:
    (folder / "a/1.txt").write_text("some words and more words and other words " * 20, encoding="utf-8")
    tokens = dict(tokenize_folder(folder, tok=SubwordTokenizer(vocab_sz=24)))
    assert all(found[0] == "xxbos" for found in tokens.values())


def test_backwards() -> None:
    assert reverse_text(np.array([2, 5, 6])).tolist() == [6, 5, 2]


def test_a_csv_file_may_be_replaced_by_its_tokens_and_has_empty_cells(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text(
        "a,l\n" + "".join(f"word{i} here,{i}\n" if i % 7 else f",{i}\n" for i in range(500)), encoding="utf-8"
    )
    tokenize_csv(file, "a", outname=file, chunksize=100)
    table = pd.read_csv(file)
    assert len(table) == 500
    assert table["text"][0] == "xxbos"
    assert table["text"][499].startswith("xxbos word499 here")
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


def test_a_csv_file_that_fails_leaves_nothing_half_done(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("a,b\n" + "x,1\n" * 300 + "x,1,2,3\n", encoding="utf-8")
    with pytest.raises(DataError, match="cannot be read as CSV"):
        tokenize_csv(file, "a", chunksize=100)
    with pytest.raises(DataError, match="cannot be read"):
        tokenize_csv(tmp_path / "none.csv", "a")
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


def test_a_column_is_not_replaced_silently() -> None:
    frame = pd.DataFrame({"a": ["x"], "text": ["kept"]})
    with pytest.raises(ConfigError, match="tok_text_col"):
        tokenize_df(frame, "a")
    assert tokenize_df(frame, "a", tok_text_col="tokens")[0]["text"].tolist() == ["kept"]


def test_fields_of_different_length_are_refused() -> None:
    with pytest.raises(DataError, match="1 and 2 texts"):
        join_fields([["a"], ["b", "c"]])
