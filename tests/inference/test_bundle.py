from __future__ import annotations

import errno
import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ulmfit.errors import ConfigError, DataError, FormatError
from ulmfit.inference.bundle import CLASSIFIER, LANGUAGE_MODEL, Bundle, load_bundle, save_bundle
from ulmfit.inference.folder import FORMAT_VERSION, check_target
from ulmfit.inference.predictor import Predictor
from ulmfit.models.config import AWDLSTMConfig
from ulmfit.models.language_model import LanguageModel
from ulmfit.text.rules import SPECIAL_TOKENS
from ulmfit.text.tokenizers import Tokenizer
from ulmfit.text.vocab import Vocab
from ulmfit.text.words import WordTokenizer


def test_round_trip(tmp_path: Path, example: Bundle):
    save_bundle(example, tmp_path / "m")
    read = load_bundle(tmp_path / "m", kind=CLASSIFIER)
    for name in ("kind", "config", "tokenizer", "vocab", "labels", "backwards", "bptt", "max_len", "metrics", "card"):
        assert getattr(read, name) == getattr(example, name)
    assert [dict(row) for row in read.history] == [dict(row) for row in example.history]
    assert read.weights.keys() == example.weights.keys()
    assert all(torch.equal(read.weights[k], example.weights[k]) for k in read.weights)


def test_only_plain_files_are_written(tmp_path: Path, example: Bundle):
    save_bundle(example, tmp_path / "m")
    names = {p.name for p in (tmp_path / "m").iterdir()}
    assert names == {
        *("config.json", "model.safetensors", "vocab.json", "tokenizer.json"),
        *("metrics.json", "history.jsonl", "README.md", "manifest.json"),
    }
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_a_moved_folder_predicts_the_same(tmp_path: Path, example: Bundle):
    save_bundle(example, tmp_path / "m")
    texts = ["The coffee came late", "twice"]
    before = Predictor.load(tmp_path / "m").predict_proba(texts)
    (tmp_path / "m").rename(tmp_path / "elsewhere")
    assert (Predictor.load(tmp_path / "elsewhere").predict_proba(texts) == before).all()
    assert before == pytest.approx(Predictor(example).predict_proba(texts))


def test_a_model_is_not_replaced_unless_asked(tmp_path: Path, example: Bundle):
    save_bundle(example, tmp_path / "m")
    with pytest.raises(DataError, match=r"already holds a model.*--overwrite"):
        save_bundle(example, tmp_path / "m")
    save_bundle(replace(example, card="# New"), tmp_path / "m", overwrite=True)
    assert load_bundle(tmp_path / "m").card == "# New"
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_what_is_not_a_model_is_never_replaced(tmp_path: Path, example: Bundle):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(DataError, match="files that are not a model"):
        save_bundle(example, tmp_path / "notes", overwrite=True)
    with pytest.raises(DataError, match="is a file"):
        save_bundle(example, tmp_path / "notes" / "thesis.txt", overwrite=True)
    (tmp_path / "empty").mkdir()
    save_bundle(example, tmp_path / "empty")
    assert load_bundle(tmp_path / "empty").labels == example.labels


def test_files_beside_the_model_are_never_lost(tmp_path: Path, example: Bundle):
    save_bundle(example, tmp_path / "m", extra={"language_model": lambda folder: save_bundle(example, folder)})
    (tmp_path / "m" / "labelled.csv").write_text("results", encoding="utf-8")
    with pytest.raises(DataError, match=r"files beside the model: labelled\.csv"):
        save_bundle(example, tmp_path / "m", overwrite=True)
    (tmp_path / "m" / "labelled.csv").unlink()
    save_bundle(example, tmp_path / "m", overwrite=True)
    app = tmp_path / "app"
    app.mkdir()
    for name in ("config.json", "manifest.json"):
        (app / name).write_text('{"name": "an app"}', encoding="utf-8")
    with pytest.raises(DataError, match="not a model"):
        save_bundle(example, app, overwrite=True)


def test_a_place_that_cannot_be_written_is_refused_at_once(tmp_path: Path):
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(DataError, match="cannot be written"):
        check_target(tmp_path / "file" / "m", overwrite=False)
    with pytest.raises(DataError, match="root of a file system"):
        check_target(Path(tmp_path.anchor), overwrite=True)


def test_the_present_folder_can_be_the_target(tmp_path: Path, example: Bundle, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "m").mkdir()
    monkeypatch.chdir(tmp_path / "m")
    save_bundle(example, Path())
    assert load_bundle(tmp_path / "m").labels == example.labels


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of a file's size")
def test_a_disk_that_is_really_full(tmp_path: Path, example: Bundle):
    import resource

    save_bundle(example, tmp_path / "m")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            save_bundle(replace(example, card="# New"), tmp_path / "m", overwrite=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert load_bundle(tmp_path / "m").card == "# Card"
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("where", ["bundle._write_weights", "bundle.write_json", "folder.sha256_of", "folder._to_disk"])
def test_a_failed_save_leaves_the_model_before_it_whole(
    tmp_path: Path, example: Bundle, monkeypatch: pytest.MonkeyPatch, error: BaseException, where: str
):
    save_bundle(example, tmp_path / "m")

    def fail(*_: object, **__: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(f"ulmfit.inference.{where}", fail)
        with pytest.raises(type(error)):
            save_bundle(replace(example, card="# New"), tmp_path / "m", overwrite=True)
    assert load_bundle(tmp_path / "m").card == "# Card"
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_a_failure_while_changing_places_puts_the_model_back(
    tmp_path: Path, example: Bundle, monkeypatch: pytest.MonkeyPatch
):
    save_bundle(example, tmp_path / "m")
    rename = Path.rename

    def fail(self: Path, target: Path) -> Path:
        if self.suffix == ".writing":
            raise OSError(errno.EIO, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OSError, match="Input/output"):
        save_bundle(replace(example, card="# New"), tmp_path / "m", overwrite=True)
    assert load_bundle(tmp_path / "m").card == "# Card"
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_a_damaged_or_missing_file_is_found_by_name(tmp_path: Path, example: Bundle):
    for name in ("model.safetensors", "vocab.json", "tokenizer.json", "metrics.json", "history.jsonl", "README.md"):
        folder = tmp_path / name
        save_bundle(example, folder)
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:-1])
        with pytest.raises(FormatError, match=rf"damaged: {name} has \d+ bytes instead of \d+"):
            load_bundle(folder)
        (folder / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(FormatError, match=f"{name} has another content"):
            load_bundle(folder)
        (folder / name).unlink()
        with pytest.raises(FormatError, match=f"{name} is missing"):
            load_bundle(folder)


def test_all_damage_is_in_one_message(tmp_path: Path, example: Bundle):
    save_bundle(example, tmp_path / "m")
    (tmp_path / "m" / "vocab.json").unlink()
    (tmp_path / "m" / "model.safetensors").write_bytes(b"")
    with pytest.raises(FormatError, match=r"model\.safetensors has 0 bytes.*; vocab\.json is missing"):
        load_bundle(tmp_path / "m")


def test_folders_that_are_no_models(tmp_path: Path, example: Bundle):
    with pytest.raises(FormatError, match="no such folder"):
        load_bundle(tmp_path / "none")
    with pytest.raises(FormatError, match=r"no config\.json"):
        load_bundle(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
    with pytest.raises(FormatError, match="no format_version"):
        load_bundle(tmp_path)
    (tmp_path / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(FormatError, match="damaged"):
        load_bundle(tmp_path)
    save_bundle(example, tmp_path / "m")
    (tmp_path / "m" / "manifest.json").write_text('{"files": {}}', encoding="utf-8")
    with pytest.raises(FormatError, match="lists no files"):
        load_bundle(tmp_path / "m")
    (tmp_path / "m" / "manifest.json").unlink()
    with pytest.raises(FormatError, match=r"manifest\.json is missing"):
        load_bundle(tmp_path / "m")


def rewrite(folder: Path, name: str, change: dict[str, object]) -> None:
    """Change a JSON file of the folder, manifest included, as another program could have written it."""
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **change}), encoding="utf-8")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["files"][name] = {"bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 6, "ulmfit_version": "9.0"}, "format version 6.*reads up to 5.*ulmfit 9.0"),
        ({"arch": "transformer"}, "'transformer' is not known"),
        ({"config": {"emb_sz": -1}}, "emb_sz=-1"),
        ({"config": {"size": 3}}, "unknown fields"),
        ({"labels": None}, "damaged"),
        ({"labels": "abc"}, "list of distinct strings"),
        ({"labels": ["a", "a", "b"]}, "list of distinct strings"),
        ({"labels": [0, 1, 2]}, "list of distinct strings"),
    ],
)
def test_configurations_of_others(tmp_path: Path, example: Bundle, change: dict[str, object], message: str):
    save_bundle(example, tmp_path / "m")
    rewrite(tmp_path / "m", "config.json", change)
    with pytest.raises(FormatError, match=message):
        load_bundle(tmp_path / "m")


def test_a_second_direction_of_another_model_is_refused(tmp_path: Path, example: Bundle):
    for n, other in enumerate([replace(example, backwards=True, labels=("a", "b", "c")), example]):
        save_bundle(replace(example, backward=other), tmp_path / f"m{n}")
        with pytest.raises(FormatError, match="no model of the same labels that reads from the end"):
            load_bundle(tmp_path / f"m{n}")


def test_weights_that_do_not_fit_the_labels(tmp_path: Path, example: Bundle):
    save_bundle(replace(example, labels=("a", "b")), tmp_path / "m")
    with pytest.raises(FormatError, match="do not fit"):
        Predictor.load(tmp_path / "m")


def test_another_kind_is_refused(tmp_path: Path, example: Bundle):
    save_bundle(replace(example, kind=LANGUAGE_MODEL), tmp_path / "m")
    with pytest.raises(FormatError, match="holds a language_model; a classifier is needed"):
        Predictor.load(tmp_path / "m")


@pytest.mark.parametrize("compact", [False, True])
def test_a_language_model_is_stored_once_and_comes_back(tmp_path: Path, compact: bool, monkeypatch):
    monkeypatch.setattr("ulmfit.inference.compact._MIN_ELEMENTS", 100)
    config = AWDLSTMConfig(emb_sz=16, n_hid=24, n_layers=2)
    vocab = Vocab([*SPECIAL_TOKENS, *(f"word{i}" for i in range(200))])
    weights = LanguageModel(len(vocab), config).state_dict()
    bundle = Bundle(
        kind=LANGUAGE_MODEL, config=config, weights=weights, tokenizer=Tokenizer(), vocab=vocab, compact=compact
    )
    save_bundle(bundle, tmp_path / "m")
    embedding = weights["encoder.embedding.weight"]
    rest = sum(t.nbytes for n, t in weights.items() if n not in ("encoder.embedding.weight", "decoder.weight"))
    size = (tmp_path / "m" / "model.safetensors").stat().st_size
    assert size < (embedding.nbytes + rest) * (0.5 if compact else 1) + 3000
    read = load_bundle(tmp_path / "m")
    assert read.compact == compact
    assert read.weights.keys() == weights.keys()
    assert torch.equal(read.weights["decoder.weight"], read.weights["encoder.embedding.weight"])
    for name, weight in weights.items():
        assert torch.allclose(read.weights[name], weight, atol=float(weight.abs().max()) / 250 if compact else 0), name


GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("version", range(1, FORMAT_VERSION + 1))
def test_folders_of_every_format_are_read_forever(version: int):
    folder = GOLDEN / f"format-{version}"
    if not (folder / "model.safetensors").exists():
        pytest.skip("a source distribution has no weights")
    expected = json.loads((GOLDEN / f"format-{version}.json").read_text(encoding="utf-8"))
    answers = Predictor.load(folder).predict_proba(expected["texts"])
    assert answers.tolist() == [pytest.approx(row, abs=1e-5) for row in expected["probabilities"]]


def test_a_folder_without_a_task_is_of_one_class_for_each_text(tmp_path: Path, example: Bundle):
    save_bundle(example, tmp_path / "m")
    path = tmp_path / "m" / "config.json"
    older = json.loads(path.read_text(encoding="utf-8"))
    for name in ("task", "y_range", "calibration"):
        del older[name]
    path.write_text("{}", encoding="utf-8")
    rewrite(tmp_path / "m", "config.json", older)
    read = load_bundle(tmp_path / "m")
    assert (read.task, read.y_range, read.calibration) == ("single_label", None, {})
    rewrite(tmp_path / "m", "config.json", {"task": "parsing"})
    with pytest.raises(FormatError, match="task 'parsing' is none of single_label"):
        load_bundle(tmp_path / "m")


def test_directions_that_cut_texts_differently_are_refused(example: Bundle):
    twin = replace(example, backwards=True, tokenizer=Tokenizer(WordTokenizer("de")))
    with pytest.raises(ConfigError, match="the two directions of a model cut texts differently"):
        replace(example, backward=twin)


def test_both_directions_are_one_folder_that_earlier_programs_refuse(tmp_path: Path, example: Bundle):
    twin = replace(example, backwards=True, weights={k: v + 0.1 for k, v in example.weights.items()})
    both = replace(example, backward=twin)
    save_bundle(both, tmp_path / "m")
    save_bundle(both, tmp_path / "m", overwrite=True)
    read = load_bundle(tmp_path / "m")
    assert read.backward is not None
    assert read.backward.backwards
    texts = ["The parcel came late.", "coffee"]
    expected = Predictor(both).predict_proba(texts)
    assert Predictor(read).predict_proba(texts).tolist() == expected.tolist()
    assert json.loads((tmp_path / "m" / "config.json").read_text(encoding="utf-8"))["format_version"] == 2
    (tmp_path / "m" / "backward" / "vocab.json").write_text("[]", encoding="utf-8")
    with pytest.raises(FormatError, match=r"backward is damaged: vocab\.json has"):
        load_bundle(tmp_path / "m")
    save_bundle(example, tmp_path / "one")
    assert json.loads((tmp_path / "one" / "config.json").read_text(encoding="utf-8"))["format_version"] == 1
