"""Ray Data, with a real Ray of two workers on this machine."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from invented import make_reviews

from ulmfit.cli import main
from ulmfit.errors import ConfigError, DataError
from ulmfit.inference.files import predict_file
from ulmfit.inference.loading import load
from ulmfit.integrations.ray import Labeller, predict_with_ray

MODEL = Path(__file__).parent.parent / "inference" / "golden" / "format-2"


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """Three files of 40 rows, with a key that says their order."""
    texts, _ = make_reviews(120)
    folder = tmp_path / "parts"
    folder.mkdir()
    table = pd.DataFrame({"key": pd.array([*range(119), None], dtype="Int64"), "text": texts})
    for i in range(3):
        table.iloc[i * 40 : (i + 1) * 40].to_parquet(folder / f"{i}.parquet", index=False)
    return folder


def test_a_labeller_adds_what_the_single_process_adds(parts: Path, tmp_path: Path):
    predict_file(load(MODEL), parts / "0.parquet", tmp_path / "out.parquet")
    expected = pq.read_table(tmp_path / "out.parquet")
    batch = pq.read_table(parts / "0.parquet")
    labelled = Labeller(MODEL, "text")(batch)
    assert labelled.to_pydict() == expected.to_pydict()
    assert labelled.schema.types == expected.schema.types
    assert Labeller(MODEL, "text")(batch.slice(0, 0)).schema.types == expected.schema.types
    empty = batch.set_column(1, "text", pa.array(["", *["a"] * 39]))
    with pytest.raises(DataError, match="in a batch of 40 rows: text 1 is empty"):
        Labeller(MODEL, "text")(empty)


def test_what_makes_no_sense_is_refused_before_ray_starts(parts: Path, tmp_path: Path):
    out = str(tmp_path / "out")
    with pytest.raises(ConfigError, match="workers=0"):
        predict_with_ray(MODEL, str(parts), out, workers=0)
    with pytest.raises(DataError, match="exists; give another folder"):
        predict_with_ray(MODEL, str(parts), str(parts))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.docx").touch()
    for place in ("mine", "mine/thesis.docx"):
        with pytest.raises(DataError, match="holds more than Parquet files, and is not replaced"):
            predict_with_ray(MODEL, str(parts), str(tmp_path / place), overwrite=True)
    assert (tmp_path / "mine" / "thesis.docx").is_file()
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        predict_with_ray(MODEL, str(tmp_path / "none"), out)
    with pytest.raises(DataError, match="there is no column 'body'"):
        predict_with_ray(MODEL, str(parts), out, text="body")
    with pytest.raises(DataError, match="no file was given"):
        predict_with_ray(MODEL, [], out)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::Warning:ray")  # it warns itself of what it does
def test_two_workers_give_what_one_process_gives(parts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("ray")
    one, many = tmp_path / "one.parquet", tmp_path / "many"
    predict_file(load(MODEL), parts, one)
    arguments = ["predict", str(MODEL), "--input", str(parts / "*.parquet"), "--output", str(many)]
    with pytest.raises(SystemExit) as stopped:
        main([*arguments, "--engine", "ray", "--workers", "2", "--json"])
    assert not stopped.value.code
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"n": 120, "output": str(many)}
    expected, found = pd.read_parquet(one), pd.concat(map(pd.read_parquet, sorted(many.iterdir())), ignore_index=True)
    assert found["key"].tolist()[:119] == list(range(119))
    pd.testing.assert_frame_equal(found, expected, atol=1e-5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["many", "one.parquet", "parts"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::Warning:ray")  # it warns itself of what it does
def test_a_row_without_a_text_ends_the_run_and_leaves_nothing(parts: Path, tmp_path: Path):
    pytest.importorskip("ray")
    pd.DataFrame({"key": [1], "text": [" "]}).astype({"key": "Int64"}).to_parquet(parts / "3.parquet", index=False)
    with pytest.raises(DataError, match=r"in a batch of \d+ rows: text \d+ is empty"):
        predict_with_ray(MODEL, str(parts), str(tmp_path / "many"), workers=2)
    assert [path.name for path in tmp_path.iterdir()] == ["parts"]
