from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from rich.console import Console

from ulmfit.errors import ConfigError, DataError
from ulmfit.inference.bundle import Bundle, save_bundle
from ulmfit.inference.evaluate import evaluate
from ulmfit.inference.files import predict_file, print_predictions
from ulmfit.inference.info import print_info
from ulmfit.inference.predictor import Predictor

TEXTS = ["coffee", "The parcel came late. " * 40, "why?", "I was charged twice", "unheard-of words only"]


def test_probabilities_are_those_of_each_text_alone(example: Bundle):
    predictor = Predictor(example)
    together = predictor.predict_proba(TEXTS)
    assert together.shape == (5, 3)
    assert together.dtype == np.float32
    np.testing.assert_allclose(together.sum(1), 1, atol=1e-6)
    np.testing.assert_allclose(together, np.concatenate([predictor.predict_proba([t]) for t in TEXTS]), atol=1e-6)
    np.testing.assert_allclose(together, predictor.predict_proba(TEXTS, batch_size=2), atol=1e-6)


def test_a_text_may_end_in_a_word_that_is_spelt_like_the_padding(example: Bundle):
    predictor = Predictor(example)
    spelt = predictor.predict_proba(["coffee xxpad", "The parcel xxpad came xxpad xxpad", "xxpad"])
    np.testing.assert_allclose(spelt[0], predictor.predict_proba(["coffee"])[0], atol=1e-6)
    assert np.isfinite(spelt).all()


def test_predictions_name_the_likeliest_label(example: Bundle):
    predictor = Predictor(example)
    for p, row in zip(predictor.predict(TEXTS), predictor.predict_proba(TEXTS), strict=True):
        assert p.label == example.labels[row.argmax()]
        assert p.probability == pytest.approx(row.max())
        assert list(p.probabilities) == list(example.labels)


def test_a_stream_is_answered_in_order(example: Bundle):
    predictor = Predictor(example)
    streamed = list(predictor.stream(iter(TEXTS), window=2))
    whole = predictor.predict(TEXTS)
    assert [p.label for p in streamed] == [p.label for p in whole]
    assert [p.probability for p in streamed] == pytest.approx([p.probability for p in whole], abs=1e-6)


def test_no_texts_no_answers(example: Bundle):
    assert Predictor(example).predict_proba([]).shape == (0, 3)
    assert Predictor(example).predict([]) == []


def test_bad_texts_are_named(example: Bundle):
    predictor = Predictor(example)
    with pytest.raises(DataError, match="text 2 is NoneType; text 3 is empty; text 4 is float"):
        predictor.predict(["a", None, " ", 0.5])  # type: ignore[list-item]
    with pytest.raises(DataError, match="put it into a list"):
        predictor.predict_proba("a text")
    with pytest.raises(DataError, match="text 4 is int"):
        list(predictor.stream(["a", "b", "c", 7], window=2))  # type: ignore[list-item]
    for nothing in (None, 3):
        with pytest.raises(DataError, match="expected a text or a list of texts"):
            predictor.predict(nothing)  # type: ignore[call-overload]
    with pytest.raises(DataError, match="text 1 is empty"):
        predictor.predict("")
    with pytest.raises(ConfigError, match="abstain_below=2"):
        predictor.predict("a", abstain_below=2)
    with pytest.raises(ConfigError, match="threads=0"):
        Predictor(example, threads=0)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (pd.DataFrame({"text": ["a", "b"]}), r"DataFrame; give its column of texts, as table\['text'\]"),
        ({"text": ["a", "b"]}, "a dict; give its column"),
        ({"a", "b"}, "a set, which has no order"),
        (np.array("a"), "got ndarray"),
    ],
)
def test_tables_and_sets_are_no_lists_of_texts(example: Bundle, texts: object, message: str):
    predictor = Predictor(example)
    for ask in (predictor.predict, predictor.predict_proba, lambda given: list(predictor.stream(given))):
        with pytest.raises(DataError, match=message):
            ask(texts)


def test_settings_without_sense_are_refused_before_anything_is_read(example: Bundle):
    predictor = Predictor(example)
    for size in (0, -1, 1.5, "a"):
        with pytest.raises(ConfigError, match=f"batch_size={size!r} must be a whole number"):
            predictor.predict("a", batch_size=size)
    for window in (0, 1.5):
        with pytest.raises(ConfigError, match=f"window={window} must be"):
            predictor.stream(["a"], window=window)
    with pytest.raises(ConfigError, match=r"abstain_below='0\.8' must be"):
        predictor.predict("a", abstain_below="0.8")
    with pytest.raises(DataError, match="put it into a list"):
        predictor.stream("letters")
    for threads in (1.5, "a", 10**9):
        with pytest.raises(ConfigError, match="from 1 to 1,024"):
            Predictor(example, threads=threads)


def test_of_several_classes_the_likeliest_that_applies_is_the_label(example: Bundle):
    several = replace(example, task="multi_label")
    p = Predictor(several).predict("coffee").probabilities
    first, second, third = sorted(p, key=p.__getitem__, reverse=True)
    limits = {first: p[first] + 0.001, second: p[second] - 0.001, third: p[third] - 0.001}
    answer = Predictor(replace(several, calibration={"thresholds": limits})).predict("coffee")
    assert set(answer.labels) == {second, third}
    assert (answer.label, answer.probability) == (second, p[second])
    none = Predictor(replace(several, calibration={"thresholds": dict.fromkeys(p, 0.9999)})).predict("coffee")
    assert (none.label, none.labels, none.probability) == (None, (), p[first])


def test_one_text_one_answer(example: Bundle):
    predictor = Predictor(example)
    assert predictor.predict("coffee") == predictor.predict(["coffee"])[0]
    for odd in ("😀🎉😀", "\ud83d", "zzz qqq", "\x00"):
        assert predictor.predict(odd).label in example.labels


def test_the_model_abstains_where_it_is_not_sure(example: Bundle):
    predictor = Predictor(example)
    sure = predictor.predict(TEXTS)
    middle = sorted(p.probability for p in sure)[2]
    for p, q in zip(sure, predictor.predict(TEXTS, abstain_below=middle), strict=True):
        assert q.label == (p.label if p.probability >= middle else None)
        assert q.probabilities == p.probabilities


def test_several_threads_get_the_same_answers(example: Bundle):
    predictor = Predictor(example)
    alone = predictor.predict_proba(TEXTS)
    before = torch.get_num_threads()
    with ThreadPoolExecutor(4) as pool:
        for rows in pool.map(lambda _: predictor.predict_proba(TEXTS), range(24)):
            np.testing.assert_allclose(rows, alone, atol=1e-6)
    assert torch.get_num_threads() == before


def test_a_stream_holds_a_window_only(example: Bundle):
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield "coffee"

    answers = Predictor(example).stream(endless(), window=8)
    for _ in range(12):
        next(answers)
    assert taken == 16


@pytest.mark.parametrize("task", ["multi_label", "regression"])
def test_other_tasks_are_answered_in_their_own_way(tmp_path: Path, example: Bundle, task: str):
    labels = () if task == "regression" else example.labels
    save_bundle(replace(example, task=task, labels=labels, y_range=(0.0, 5.0) if not labels else None), tmp_path / "m")
    predictor = Predictor.load(tmp_path / "m")
    answer = predictor.predict("coffee")
    (tmp_path / "in.csv").write_text("text,n\ncoffee,1\nlate,2\n", encoding="utf-8")
    predict_file(predictor, tmp_path / "in.csv", tmp_path / "out.csv", text="text")
    written = pd.read_csv(tmp_path / "out.csv", keep_default_na=False)
    if task == "regression":
        assert len(answer.values) == 3
        assert all(0 < v < 5 for v in answer.values)
        assert answer.label is None
        with pytest.raises(ConfigError, match="abstain_below is for classes"):
            predictor.predict("coffee", abstain_below=0.5)
        assert list(written) == ["text", "n", "prediction"]
        with pytest.raises(ConfigError, match="numbers, not classes"):
            predictor.predict_proba(["coffee"])
    else:
        assert answer.labels == tuple(k for k, p in answer.probabilities.items() if p >= 0.5)
        assert written["prediction"][0] == ";".join(answer.labels)
        row = predictor.predict_proba(["coffee"])[0]
        assert row == pytest.approx(1 / (1 + np.exp(-predictor.outputs(["coffee"])[0])), abs=1e-6)
        thresholds = dict(zip(labels, [0.0, 0.0, 1.0], strict=True))
        tuned = Predictor(replace(example, task=task, calibration={"thresholds": thresholds}))
        assert tuned.predict("coffee").labels == labels[:2]


def test_evaluation(example: Bundle):
    predictor = Predictor(example)
    said = [p.label for p in predictor.predict(TEXTS)]
    figures = evaluate(predictor, TEXTS, said)
    assert figures["accuracy"] == figures["macro_f1"] == 1.0  # a class that no text has, or is said to have, is no loss
    assert figures["n"] == 5
    assert figures["log_loss"] > 0
    with pytest.raises(DataError, match="does not know: fraud"):
        evaluate(predictor, ["a"], ["fraud"])
    with pytest.raises(DataError, match="no texts"):
        evaluate(predictor, [], [])


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl"])
def test_a_file_keeps_its_rows_and_columns(tmp_path: Path, example: Bundle, suffix: str):
    predictor = Predictor(example)
    table = pd.DataFrame(
        {"id": ["7", "3", "5"], "text": ["coffee, please", "twice", 'a "quoted"\nline'], "label": ["", "x", "y"]}
    )
    table.to_csv(tmp_path / "in.csv", index=False)
    target = tmp_path / f"out{suffix}"
    assert predict_file(predictor, tmp_path / "in.csv", target) == 3
    if suffix == ".jsonl":
        rows = [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]
    else:
        read = pd.read_csv(target, sep="\t" if suffix == ".tsv" else ",", dtype={"id": str}, keep_default_na=False)
        rows = read.to_dict("records")
    assert list(rows[0]) == ["id", "text", "label", "prediction", "probability", "p_billing", "p_delivery", "p_praise"]
    assert [r["id"] for r in rows] == ["7", "3", "5"]
    assert [r["text"] for r in rows] == table["text"].tolist()
    for row, p in zip(rows, predictor.predict(table["text"].tolist()), strict=True):
        assert row["prediction"] == p.label
        assert [row[f"p_{k}"] for k in p.probabilities] == pytest.approx(list(p.probabilities.values()), abs=1e-5)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["in.csv", target.name])


def test_numbers_of_the_input_are_not_rounded(tmp_path: Path, example: Bundle):
    pd.DataFrame({"text": ["a", "b"], "price": [3.14159265358979, None]}).to_parquet(tmp_path / "in.parquet")
    for name in ("out.csv", "out.jsonl"):
        said: list[str] = []
        predict_file(Predictor(example), tmp_path / "in.parquet", tmp_path / name, say=said.append)
        assert said == ["column 'text' is taken as the text"]
        assert "3.14159265358979" in (tmp_path / name).read_text(encoding="utf-8")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert rows[1]["price"] is None


def test_several_files_become_one_and_parquet_keeps_its_types(tmp_path: Path, example: Bundle):
    predictor = Predictor(example)
    folder = tmp_path / "in"
    folder.mkdir()
    when = pd.Timestamp("2024-05-06 07:08:09")
    table = pd.DataFrame(
        {
            "n": pd.array([1, None, 3], dtype="Int64"),
            "text": TEXTS[:3],
            "when": [when] * 3,
            "tags": [["a", "b"], [], None],
        }
    )
    table.iloc[:1].to_parquet(folder / "a.parquet", index=False)
    table.iloc[1:].to_parquet(folder / "b.parquet", index=False)
    assert predict_file(predictor, folder, tmp_path / "out.parquet", text="text") == 3
    written = pq.read_table(tmp_path / "out.parquet")
    source = pq.read_schema(folder / "a.parquet")
    assert written.schema.types[:4] == source.types
    assert written.column("n").to_pylist() == [1, None, 3]
    assert written.column("prediction").to_pylist() == [answer.label for answer in predictor.predict(TEXTS[:3])]
    assert predict_file(predictor, folder, tmp_path / "out.csv", text="text") == 3
    lines = (tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[0] for line in lines] == ["n", "1", "", "3"]
    assert (
        predict_file(predictor, [folder / "b.parquet", folder / "a.parquet"], tmp_path / "out.jsonl", text="text") == 3
    )
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["n"] for row in rows] == [None, 3, 1]
    assert rows[2]["tags"] == ["a", "b"]


def test_a_file_larger_than_what_is_held_at_once(tmp_path: Path, example: Bundle, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ulmfit.inference.files._WINDOW", 4)
    texts = [f"{TEXTS[i % 5]} {i}" for i in range(11)]
    pd.DataFrame({"text": texts}).to_csv(tmp_path / "in.csv", index=False)
    predictor = Predictor(example)
    for name in ("out.csv", "out.jsonl", "out.parquet"):
        assert predict_file(predictor, tmp_path / "in.csv", tmp_path / name) == 11
    one = pd.read_csv(tmp_path / "out.csv")
    assert one["text"].tolist() == texts
    assert one["prediction"].tolist() == [answer.label for answer in predictor.predict(texts)]
    for other in (pd.read_json(tmp_path / "out.jsonl", lines=True), pd.read_parquet(tmp_path / "out.parquet")):
        pd.testing.assert_frame_equal(other, one)


def test_rows_that_parquet_cannot_hold(tmp_path: Path, example: Bundle):
    (tmp_path / "in.jsonl").write_text('{"text": "a", "n": 1}\n{"text": "b", "n": "x"}\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"do not fit into Parquet .* end in \.jsonl"):
        predict_file(Predictor(example), tmp_path / "in.jsonl", tmp_path / "out.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_files_that_cannot_be_labelled(tmp_path: Path, example: Bundle):
    predictor = Predictor(example)
    (tmp_path / "in.csv").write_text("text,p_praise\na,b\n", encoding="utf-8")
    with pytest.raises(DataError, match="already has columns named p_praise"):
        predict_file(predictor, tmp_path / "in.csv", tmp_path / "out.csv", text="text")
    with pytest.raises(DataError, match=r"must end in \.csv"):
        predict_file(predictor, tmp_path / "in.csv", tmp_path / "out.xlsx")
    with pytest.raises(DataError, match="holds no file ending in"):
        (tmp_path / "folder").mkdir()
        predict_file(predictor, tmp_path / "folder", tmp_path / "out.csv")
    with pytest.raises(DataError, match="has no rows"):
        pd.DataFrame({"text": []}).to_parquet(tmp_path / "no.parquet")
        predict_file(predictor, tmp_path / "no.parquet", tmp_path / "out.csv")
    with pytest.raises(DataError, match=r"out\.csv cannot be written: it is a folder"):
        (tmp_path / "folder" / "out.csv").mkdir()
        predict_file(predictor, tmp_path / "in.csv", tmp_path / "folder" / "out.csv")
    (tmp_path / "empty.csv").write_text("text,x\n,b\n", encoding="utf-8")
    with pytest.raises(DataError, match="1 row has no text"):
        predict_file(predictor, tmp_path / "empty.csv", tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_texts_that_no_encoding_can_write(tmp_path: Path, example: Bundle):
    (tmp_path / "in.jsonl").write_text('{"text": "bad \\ud83d"}\n', encoding="utf-8")
    for name in ("out.csv", "out.jsonl"):
        assert predict_file(Predictor(example), tmp_path / "in.jsonl", tmp_path / name) == 1
    assert json.loads((tmp_path / "out.jsonl").read_text(encoding="utf-8"))["text"] == "bad \ud83d"


def test_a_place_that_cannot_be_written_is_refused_before_predicting(tmp_path: Path, example: Bundle):
    with pytest.raises(DataError, match="no such folder"):
        predict_file(Predictor(example), tmp_path / "none.csv", tmp_path / "results" / "out.csv")


@pytest.mark.slow
def test_a_text_of_five_megabytes_is_read_like_any_other(example: Bundle):
    predictor = Predictor(example)
    long, short = f"{'parcel' * 30} came late. " * 26_000, "coffee"
    answers = predictor.predict_proba([short, long])
    assert np.isfinite(answers).all()
    assert answers[0] == pytest.approx(predictor.predict_proba([short])[0], abs=1e-5)


def test_a_column_of_a_table_is_taken_as_it_is(example: Bundle):
    assert len(Predictor(example).predict(pd.Series(["a", "b"]))) == 2


def test_the_table_shows_texts_as_they_are(example: Bundle):
    out = io.StringIO()
    print_predictions(Predictor(example), ["[bold]coffee[/bold] :smile:"], Console(file=out, width=200))
    assert "[bold]coffee[/bold] :smile:" in out.getvalue()


def test_info_says_what_a_folder_holds(tmp_path: Path, example: Bundle):
    save_bundle(example, tmp_path / "m")
    out = io.StringIO()
    print_info(tmp_path / "m", Console(file=out, width=200))
    for said in ("classifier", "billing, delivery, praise", "2 layers, embedding 6, hidden 8", "accuracy 0.5000"):
        assert said in out.getvalue()


def test_bytes_are_not_taken_for_a_list_of_numbers(example: Bundle):
    with pytest.raises(DataError, match=r"got bytes; decode them"):
        Predictor(example).predict(b"a text")
