from __future__ import annotations

import codecs
import json
from pathlib import Path

import pandas as pd
import pytest

from ulmfit.data.sources import check_classes, check_known_labels, load_examples, load_texts
from ulmfit.data.tables import read_files
from ulmfit.errors import DataError


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


def test_csv_with_plain_names_is_understood_and_says_what_it_took(tmp_path: Path):
    examples = load_examples(write(tmp_path / "a.csv", 'id,text,label\n1,"a, b",x\n2,c,y\n'))
    assert examples.texts == ["a, b", "c"]
    assert examples.labels == ["x", "y"]
    assert examples.notes == ["column 'text' is taken as the text", "column 'label' is taken as the label"]


def test_named_columns_are_used_without_a_note(tmp_path: Path):
    examples = load_examples(write(tmp_path / "a.csv", "t,l,text\na,x,1\nb,y,2\n"), text="t", label="l")
    assert (examples.texts, examples.labels, examples.notes) == (["a", "b"], ["x", "y"], [])


@pytest.mark.parametrize(
    "header", ["text,review,label", "a,b,label"], ids=["two text columns", "no column with a known name"]
)
def test_an_ambiguous_text_column_is_not_guessed(tmp_path: Path, header: str):
    with pytest.raises(DataError, match=r"name it with --text. Columns \(.*\): '(text|a)', '(review|b)', 'label'"):
        load_examples(write(tmp_path / "a.csv", header + "\nhello,there,x\n"))


def test_an_ambiguous_label_column_is_not_guessed(tmp_path: Path):
    with pytest.raises(DataError, match="name it with --label"):
        load_examples(write(tmp_path / "a.csv", "text,topic,sentiment\na,b,c\n"))
    with pytest.raises(DataError, match="name it with --label"):
        load_examples(write(tmp_path / "b.csv", "text,x1,x2\na,b,c\n"))


def test_the_only_other_column_is_the_label(tmp_path: Path):
    examples = load_examples(write(tmp_path / "a.csv", "text,mood\na,x\nb,y\n"))
    assert examples.labels == ["x", "y"]
    assert "it is the only one left" in examples.notes[1]


@pytest.mark.parametrize("name", ["a.tsv", "a.jsonl", "a.parquet"])
def test_other_formats(tmp_path: Path, name: str):
    path = tmp_path / name
    table = pd.DataFrame({"text": ["eins", "zwei"], "label": ["x", "y"]})
    if name.endswith("tsv"):
        table.to_csv(path, sep="\t", index=False)
    elif name.endswith("jsonl"):
        table.to_json(path, orient="records", lines=True)
    else:
        table.to_parquet(path)
    assert load_examples(path).labelled() == (["eins", "zwei"], ["x", "y"])


def test_a_row_with_more_cells_than_the_header_is_an_error_not_an_index(tmp_path: Path):
    with pytest.raises(DataError, match="Expected 2 fields in line 2, saw 3"):
        load_examples(write(tmp_path / "a.csv", "text,label\na,x,1\nb,y,2\n"))
    with pytest.raises(DataError, match="Expected 2 fields in line 3, saw 3"):
        load_examples(write(tmp_path / "b.csv", "text,label\na,x\nb,y,2\n"))


def test_blank_lines_keep_their_place(tmp_path: Path):
    with pytest.raises(DataError, match="1 row has no text: row 2 "):
        load_texts(write(tmp_path / "a.csv", "text\nhello\n\nworld\n"))
    assert load_texts(write(tmp_path / "b.csv", "text\nhello\nworld\n\n\n")).texts == ["hello", "world"]


def test_columns_that_stand_twice(tmp_path: Path):
    with pytest.raises(DataError, match="columns stand twice: 'text'"):
        load_examples(write(tmp_path / "a.csv", "text,text,label\na,b,x\n"))


def test_integer_labels_with_a_gap_stay_integers(tmp_path: Path):
    lines = '{"text": "a", "label": 1, "id": 12345678901234567}\n{"text": "b", "label": 0}\n{"text": "c"}\n'
    path = write(tmp_path / "a.jsonl", lines)
    assert load_examples(path).labels == ["1", "0", None]
    assert next(iter(read_files(path).rows("id"))) == (12345678901234567,)
    pd.DataFrame({"text": ["a", "b"], "label": [1, None]}).to_parquet(tmp_path / "b.parquet")
    assert load_examples(tmp_path / "b.parquet").labels == ["1", None]


def test_a_byte_order_mark_is_no_text(tmp_path: Path):
    assert load_examples(write(tmp_path / "a.csv", "text,label\na,x\n", "utf-8-sig")).texts == ["a"]
    assert load_examples(write(tmp_path / "b.jsonl", '{"text": "a", "label": "x"}\n', "utf-8-sig")).texts == ["a"]
    assert load_texts(write(tmp_path / "c.txt", "a", "utf-8-sig")).texts == ["a"]


def test_cells_that_look_like_missing_values_are_text(tmp_path: Path):
    examples = load_examples(write(tmp_path / "a.csv", "text,label\nNA,None\nnull,nan\n"))
    assert examples.labelled() == (["NA", "null"], ["None", "nan"])


def test_missing_empty_and_unknown_files(tmp_path: Path):
    with pytest.raises(DataError, match="does not exist"):
        load_examples(tmp_path / "none.csv")
    with pytest.raises(DataError, match="is empty"):
        load_examples(write(tmp_path / "a.csv", ""))
    with pytest.raises(DataError, match="no rows"):
        load_examples(write(tmp_path / "b.csv", "text,label\n"))
    with pytest.raises(DataError, match=r"\.docx is not known"):
        load_examples(write(tmp_path / "c.docx", "x"))
    for content, mend in (
        ("a,b\n1,2\n1,2,3,4,5\n", "more cells than the first line: put quotes around cells that hold ','"),
        ("text;label\nYes;a\nWell, yes, sir;b\n", "separated by ';': write the file with commas, or with tabs"),
        ('text,label\na,b\n"c,d\n', "a quote that is never closed"),
    ):
        with pytest.raises(DataError, match=f"cannot be read as CSV: .*{mend}"):
            read_files(write(tmp_path / "d.csv", content))
    with pytest.raises(DataError, match=r"d\.csv has no rows|cannot be read as CSV: No columns to parse from file$"):
        read_files(write(tmp_path / "d.csv", "\ufeff"))
    with pytest.raises(DataError, match="cannot be read as PARQUET"):
        read_files(write(tmp_path / "e.parquet", "no"))


def test_no_such_column_lists_those_there_are(tmp_path: Path):
    with pytest.raises(DataError, match=r"no column 'body'. Columns: 'text', 'label'"):
        load_examples(write(tmp_path / "a.csv", "text,label\na,b\n"), text="body")
    with pytest.raises(DataError, match="named both as text and as label"):
        load_examples(write(tmp_path / "a.csv", "text,label\na,b\n"), text="text", label="text")


def test_a_broken_json_line_is_named(tmp_path: Path):
    with pytest.raises(DataError, match="line 2: not JSON"):
        read_files(write(tmp_path / "a.jsonl", '{"text": "a"}\n{"text": \n'))
    with pytest.raises(DataError, match="line 1: expected an object"):
        read_files(write(tmp_path / "b.jsonl", "[1]\n"))


def test_texts_without_content_are_counted_and_named(tmp_path: Path):
    with pytest.raises(DataError, match="2 rows have no text: row 2, 3 "):
        load_examples(write(tmp_path / "a.csv", 'text,label\na,x\n,x\n"  ",y\nb,y\n'))
    rows = [{"text": "a", "label": "x"}, {"text": None, "label": "y"}]
    path = write(tmp_path / "b.jsonl", "\n".join(json.dumps(r) for r in rows))
    with pytest.raises(DataError, match="1 row has no text: row 2"):
        load_examples(path)
    pd.DataFrame({"text": ["a", None, float("nan")], "label": list("xyx")}).to_parquet(tmp_path / "c.parquet")
    with pytest.raises(DataError, match="2 rows have no text: row 2, 3"):
        load_examples(tmp_path / "c.parquet")


def test_many_empty_rows_are_not_all_listed(tmp_path: Path):
    with pytest.raises(DataError, match=r"100 rows have no text: row 1, .*8 and 92 more"):
        load_examples(write(tmp_path / "a.csv", "text,label\n" + ",x\n" * 100))


def test_texts_that_are_not_text(tmp_path: Path):
    path = write(tmp_path / "a.jsonl", '{"text": "a", "label": 1}\n{"text": 5, "label": 2}\n')
    with pytest.raises(DataError, match=r"1 rows of column 'text' are not text: rows 2 \(int\)"):
        load_examples(path)


def test_numeric_labels_become_names(tmp_path: Path):
    assert load_examples(write(tmp_path / "a.jsonl", '{"text": "a", "label": 1}\n')).labels == ["1"]


def test_rows_without_label_are_for_the_language_model(tmp_path: Path):
    examples = load_examples(write(tmp_path / "a.csv", "text,label\na,x\nb,\nc,y\n"))
    assert examples.labelled() == (["a", "c"], ["x", "y"])
    with pytest.raises(DataError, match="every cell of the label column"):
        load_examples(write(tmp_path / "b.csv", "text,label\na,\nb,\n"))


@pytest.mark.parametrize("before", [0, 7, (1 << 20) - 1, (1 << 20) + 5])
def test_bytes_that_are_not_utf8_are_named_by_file_and_offset(tmp_path: Path, before: int):
    path = tmp_path / "a.csv"
    head = b"text,label\n"
    path.write_bytes(head + "é".encode() + b"a" * before + b"\xe9 caf,x\n")
    with pytest.raises(DataError, match=rf"a\.csv: the bytes at offset {len(head) + 2 + before} are not utf-8.*--enc"):
        load_examples(path)
    path.write_bytes(head + b"caf\xe9,x\n")
    assert load_examples(path, encoding="latin-1").texts == ["café"]
    path.write_bytes(codecs.BOM_UTF16_LE + "text,label".encode("utf-16-le"))
    with pytest.raises(DataError, match="--encoding utf-16"):
        load_examples(path)
    path.write_bytes(head + b"caf,x\n")
    with pytest.raises(DataError, match="'utf-9' is not known"):
        load_examples(path, encoding="utf-9")


def test_class_folders(tmp_path: Path):
    for name in ("neg/1", "neg/2", "pos/1", "unsup/1"):
        write(tmp_path / f"{name}.txt", f"text of {name}")
    write(tmp_path / "urls_pos.txt", "http://...")
    examples = load_examples(tmp_path)
    assert examples.labels == ["neg", "neg", "pos", None]
    assert examples.texts[2] == "text of pos/1"
    assert examples.notes == ["folder 'unsup' is taken as texts without labels"]
    write(tmp_path / "pos" / "notes.md", "x")
    assert "1 files in folder 'pos' have another ending and are ignored" in load_examples(tmp_path).notes


def test_class_folders_without_endings(tmp_path: Path):
    write(tmp_path / "sci.space" / "60001", "to the moon")
    write(tmp_path / "rec.autos" / "101", "a car")
    assert load_examples(tmp_path).labelled() == (["a car", "to the moon"], ["rec.autos", "sci.space"])


def test_bad_class_folders(tmp_path: Path):
    with pytest.raises(DataError, match="no class folders"):
        load_examples(tmp_path)
    (tmp_path / "pos").mkdir()
    with pytest.raises(DataError, match="pos holds no text files"):
        load_examples(tmp_path)
    write(tmp_path / "pos" / "1.txt", "  \n")
    with pytest.raises(DataError, match=r"1 file has no text: file pos.1\.txt"):
        load_examples(tmp_path)
    (tmp_path / "pos" / "1.txt").write_bytes(b"caf\xe9")
    with pytest.raises(DataError, match=r"1\.txt: the bytes at offset 3"):
        load_examples(tmp_path)


def test_texts_for_the_language_model(tmp_path: Path):
    write(tmp_path / "a" / "x.txt", "one")
    write(tmp_path / "a" / "b" / "y.txt", "two")
    assert sorted(load_texts(tmp_path / "a").texts) == ["one", "two"]
    assert load_texts(tmp_path / "a" / "x.txt").texts == ["one"]
    assert load_texts(write(tmp_path / "t.csv", "text\nthree\n")).texts == ["three"]
    assert load_texts(write(tmp_path / "u.csv", "text,label\nthree,x\n")).labels is None
    with pytest.raises(DataError, match="does not exist"):
        load_texts(tmp_path / "none")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match=r"no \.txt files"):
        load_texts(empty)


def test_classes_that_cannot_be_learned():
    assert check_classes(["a", "b", "a", "b"], "d.csv") == {"a": 2, "b": 2}
    with pytest.raises(DataError, match="no labelled"):
        check_classes([], "d.csv")
    with pytest.raises(DataError, match="all 2 examples have the label 'a'"):
        check_classes(["a", "a"], "d.csv")
    with pytest.raises(DataError, match="1 of 3 classes have a single example: 'c'"):
        check_classes(["a", "a", "b", "b", "c"], "d.csv")


def test_labels_that_only_the_other_part_has():
    check_known_labels(["a"], ["a", "b"], "v.csv")
    with pytest.raises(DataError, match=r"v\.csv: .* training part: 'c' \(2x\).* has: 'a', 'b'"):
        check_known_labels(["a", "c", "c"], ["a", "b"], "v.csv")


def test_a_file_of_other_separators_is_not_one_column_of_texts(tmp_path: Path):
    file = tmp_path / "a.csv"
    file.write_text("text;id\na;1\nb;2\n", encoding="utf-8")
    with pytest.raises(
        DataError, match=r"its only column is called 'text;id', which seems not to be separated by commas"
    ):
        load_texts(file)
    assert load_texts(file, text="text;id").texts == ["a;1", "b;2"]
