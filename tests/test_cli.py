"""The command line, as a user meets it."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from bundles import language_model
from invented import make_reviews

from ulmfit import __version__
from ulmfit.cli import main
from ulmfit.cli.options import matching, parse_duration
from ulmfit.errors import ConfigError, DataError
from ulmfit.inference import bundle
from ulmfit.inference.bundle import load_bundle, save_bundle
from ulmfit.pretrained import weights
from ulmfit.training.manifest import fingerprint_weights


@dataclass
class Outcome:
    code: int
    out: str
    err: str


@pytest.fixture
def ulmfit(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Runs the command line in this process."""

    def run(*arguments: object) -> Outcome:
        with pytest.raises(SystemExit) as stopped:
            main([str(a) for a in arguments])
        said = capsys.readouterr()
        code = stopped.value.code
        return Outcome(code if isinstance(code, int) else 0, said.out, said.err)

    return run


def write_reviews(path: Path, n: int, seed: int = 0, *, labels: bool = True) -> Path:
    texts, classes = make_reviews(n, seed)
    table = pd.DataFrame({"text": texts, "label": classes} if labels else {"text": texts})
    table.to_csv(path, index=False)
    return path


QUICK = ("--lm-epochs", 1, "--epochs", 6)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the whole recipe on invented reviews, and the data it was made from."""
    folder = tmp_path_factory.mktemp("trained")
    write_reviews(folder / "train.csv", 120)
    write_reviews(folder / "test.csv", 40, seed=1)
    write_reviews(folder / "more.csv", 60, seed=2, labels=False)
    arguments = ["train", folder / "train.csv", "--test", folder / "test.csv", "--lm-data", folder / "more.csv"]
    with pytest.raises(SystemExit) as stopped:
        main([str(a) for a in (*arguments, "--out", folder / "model", *QUICK)])
    assert not stopped.value.code
    return folder


def test_training_writes_a_model_that_is_right_on_easy_texts(trained: Path):
    model = trained / "model"
    metrics = json.loads((model / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["test"]["accuracy"] > 0.85
    assert metrics["train"] == {"n": 108, "unlabelled": 60, "classes": {"neg": 54, "pos": 54}}
    history = [json.loads(line) for line in (model / "history.jsonl").read_text(encoding="utf-8").splitlines()]
    stages = [row["stage"] for row in history]
    assert stages == ["language_model"] + ["classifier"] * (len(stages) - 1)
    assert len(stages) >= 9
    assert load_bundle(model / "language_model").kind == "language_model"


def test_a_new_process_predicts_texts_and_files(trained: Path, tmp_path: Path):
    command = [sys.executable, "-m", "ulmfit", "predict", str(trained / "model")]
    said = subprocess.run([*command, "A lovely splendid film."], capture_output=True, text=True, check=True)
    assert "pos" in said.stdout
    files = ["--input", str(trained / "test.csv"), "--output", str(tmp_path / "out.jsonl")]
    subprocess.run([*command, *files], capture_output=True, check=True)
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    expected = pd.read_csv(trained / "test.csv")
    assert [r["text"] for r in rows] == expected["text"].tolist()
    right = [r["prediction"] == label for r, label in zip(rows, expected["label"], strict=True)]
    metrics = json.loads((trained / "model" / "metrics.json").read_text(encoding="utf-8"))
    assert sum(right) / len(right) == pytest.approx(metrics["test"]["accuracy"])
    assert all(r["p_neg"] + r["p_pos"] == pytest.approx(1, abs=1e-5) for r in rows)


def test_the_same_seed_gives_the_same_model(
    trained: Path, ulmfit: Callable[..., Outcome], tmp_path: Path, tiny_models: None
):
    for name in ("a", "b"):
        ulmfit("train", trained / "train.csv", "--out", tmp_path / name, "--lm-epochs", 1, "--epochs", 1, "--seed", 3)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("a", "b")]
    assert weights[0] == weights[1]


def test_a_base_is_taken_over_with_its_vocabulary(trained: Path, ulmfit: Callable[..., Outcome], tmp_path: Path):
    said = ulmfit("train", trained / "train.csv", "--base", trained / "model", "--out", tmp_path / "m", *QUICK)
    assert said.code == 0, said.err
    assert "words of the vocabulary are known to it" in said.out
    first = load_bundle(tmp_path / "m" / "language_model").history[0]
    scratch = load_bundle(trained / "model" / "language_model").history[0]
    assert first["steps"] <= scratch["steps"]
    assert first["valid_loss"] < scratch["valid_loss"]  # although only the last group was trained by then


def test_class_folders_with_their_parts(ulmfit: Callable[..., Outcome], tmp_path: Path, tiny_models: None):
    for part, seed in (("train", 0), ("test", 1)):
        for i, (text, label) in enumerate(zip(*make_reviews(40, seed), strict=True)):
            file = tmp_path / "d" / part / label / f"{i}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    said = ulmfit("train", tmp_path / "d", "--out", tmp_path / "m", "--lm-epochs", 1, "--epochs", 1)
    assert said.code == 0, said.err
    assert "using its folders train, test" in said.out
    assert "test: accuracy" in said.out


def test_training_says_what_it_guessed_and_counts_the_classes(
    ulmfit: Callable[..., Outcome], tmp_path: Path, tiny_models: None
):
    said = ulmfit(
        "train", write_reviews(tmp_path / "a.csv", 40), "--out", tmp_path / "m", "--lm-epochs", 1, "--epochs", 1
    )
    assert said.code == 0, said.err
    flat = " ".join(said.out.split())
    assert "column 'text' is taken as the text" in flat
    assert "column 'label' is taken as the label" in flat
    assert "neg 18+2, pos 18+2" in flat
    for column in ("epoch", "train_loss", "valid_loss", "accuracy", "time"):
        assert column in flat


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is fp16")
@pytest.mark.parametrize("command", [("train",), ("pretrain",), ("finetune", "en-small")])
def test_a_precision_that_is_not_there_is_refused_before_any_work(
    command: tuple[str, ...], ulmfit: Callable[..., Outcome], tmp_path: Path
):
    outcome = ulmfit(*command, tmp_path / "missing.csv", "--out", tmp_path / "m", "--precision", "fp16")
    assert outcome.code
    assert "fp16 needs a CUDA device" in " ".join(outcome.err.split())


def test_a_time_budget_is_kept(ulmfit: Callable[..., Outcome], tmp_path: Path):
    data = write_reviews(tmp_path / "a.csv", 400)
    said = ulmfit("train", data, "--out", tmp_path / "m", "--lm-epochs", 500, "--time-budget", "20s")
    assert said.code == 0, said.err
    seconds = json.loads((tmp_path / "m" / "metrics.json").read_text(encoding="utf-8"))["seconds"]
    assert 10 < seconds < 40


def test_the_demonstration(ulmfit: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ulmfit.training.classifier_stages.default_epochs", lambda n: 1)
    monkeypatch.setattr("ulmfit.training.lm_stage.default_lm_epochs", lambda n, **_: 1)
    monkeypatch.setattr("ulmfit.training.classifier_stages._MIN_STEPS", 5)
    said = ulmfit("demo", "--out", tmp_path / "m")
    assert said.code == 0, said.err
    for part in ("majority class", "TF-IDF + logistic regression", "ulmfit", "train_loss", "Try next"):
        assert part in said.out
    assert load_bundle(tmp_path / "m").labels == ("account", "billing", "delivery", "feedback", "returns", "technical")
    assert "--overwrite" in ulmfit("demo", "--out", tmp_path / "m").err
    assert "no-such-model" in ulmfit("demo", "--out", tmp_path / "n", "--base", "no-such-model").err


def test_a_classifiers_folder_generates_with_its_language_model(trained: Path, ulmfit: Callable[..., Outcome]):
    arguments = ("generate", trained / "model", "The film", "--words", 8, "--samples", 2, "--seed", 1)
    outcome = ulmfit(*arguments, "--json")
    assert outcome.code == 0, outcome.err
    said = json.loads(outcome.out)
    assert said["prompt"] == "The film"
    assert [text.startswith("The film") for text in said["texts"]] == [True, True]
    assert ulmfit(*arguments).out == "\n---\n".join(said["texts"]) + "\n"
    assert ulmfit("generate", trained / "model", "a", "--temperature", -1).code == 2
    assert "'none' is no model" in ulmfit("generate", "none", "a").err


def test_a_model_is_measured_and_explains_itself(trained: Path, ulmfit: Callable[..., Outcome], tmp_path: Path):
    model, test = trained / "model", trained / "test.csv"
    said = json.loads(ulmfit("evaluate", model, test, "--json").out)
    assert said["n"] == 40
    assert said["accuracy"] > 0.9
    assert "accuracy" in ulmfit("evaluate", model, test).out
    out = ulmfit("explain", model, "a lovely film", "--html", tmp_path / "e.html", "--label", "pos").out
    assert out.startswith("pos:")
    assert "lovely" in (tmp_path / "e.html").read_text(encoding="utf-8")
    assert ulmfit("explain", model, "a lovely film", "--label", "fraud").code == 2
    answer = json.loads(ulmfit("predict", model, "lovely dull", "--json", "--abstain-below", 1).out)
    assert answer["label"] is None
    assert set(answer["probabilities"]) == {"neg", "pos"}


def test_a_server_that_cannot_listen_says_so(trained: Path, ulmfit: Callable[..., Outcome]):
    outcome = ulmfit("serve", trained / "model", "--port", 70000)
    assert (outcome.code, "port=70000 must be" in outcome.err) == (2, True)


def test_a_server_bounds_what_is_kept_for_each_shape_of_a_batch(
    ulmfit: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
):
    name = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"
    monkeypatch.setenv(name, "7")
    ulmfit("serve", "nowhere", "--port", 70000)
    assert os.environ[name] == "7"
    monkeypatch.delenv(name)
    ulmfit("serve", "nowhere", "--port", 70000)
    assert os.environ[name] == "32"


def test_info(trained: Path, ulmfit: Callable[..., Outcome]):
    said = ulmfit("info", trained / "model")
    assert said.code == 0
    assert "neg, pos" in said.out
    said = ulmfit("info", trained / "model" / "language_model")
    assert "language model" in said.out
    assert "perplexity" in said.out


def test_info_of_a_bundled_model(trained: Path, ulmfit: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(weights, "BUNDLED", trained / "model")
    assert "perplexity" in ulmfit("info", "language_model").out
    assert "there is no such folder" in " ".join(ulmfit("info", "nothing").err.split())


@pytest.mark.filterwarnings("default")
def test_a_warning_is_one_line(ulmfit: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch):
    said = "it is late, " * 20
    for level, start in ((2, "ulmfit: "), (1, f"{__file__}:")):  # of the package's own line, and of another's
        monkeypatch.setattr("ulmfit.demo.run_demo", lambda *_, level=level, **__: warnings.warn(said, stacklevel=level))
        lines = ulmfit("demo").err.splitlines()
        assert len(lines) == 1
        assert lines[0].startswith(start)
        assert lines[0].endswith(said)


def test_lone_surrogates_are_seen_in_every_format(trained: Path, ulmfit: Callable[..., Outcome], tmp_path: Path):
    (tmp_path / "a.jsonl").write_text('{"text": "a good film \\ud83d"}\n', encoding="utf-8")
    for ending in ("csv", "jsonl"):
        files = ("--input", tmp_path / "a.jsonl", "--output", tmp_path / f"b.{ending}")
        assert ulmfit("predict", trained / "model", *files).code == 0
        assert "a good film \\ud83d" in (tmp_path / f"b.{ending}").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("labels", "options", "figure"),
    [
        (["pos;new", "neg", "new", ";"], ("--label-delim", ";"), "micro_f1"),
        (["4.5", "1", "2", "-3e0"], ("--task", "regression"), "mae"),
    ],
)
def test_several_labels_and_values(
    ulmfit: Callable[..., Outcome],
    tmp_path: Path,
    tiny_models: None,
    labels: list[str],
    options: tuple[str, ...],
    figure: str,
):
    table = pd.DataFrame({"text": make_reviews(40)[0], "label": [*(labels * 9), *([""] * 4)]})
    table.to_csv(tmp_path / "a.csv", index=False)
    said = ulmfit("train", tmp_path / "a.csv", "--out", tmp_path / "m", *options, "--epochs", 1, "--lm-epochs", 1)
    assert said.code == 0, said.err
    assert "4 of 40 texts have no label: used like those of --lm-data" in " ".join(said.out.split())
    delim = options if "--label-delim" in options else ()
    found = json.loads(ulmfit("evaluate", tmp_path / "m", tmp_path / "a.csv", *delim, "--json").out)
    assert (found["n"], figure in found) == (36, True)
    assert figure.replace("_f1", " F1") in ulmfit("evaluate", tmp_path / "m", tmp_path / "a.csv", *delim).out
    assert json.loads(ulmfit("predict", tmp_path / "m", "a film", "--json").out)
    assert ulmfit("explain", tmp_path / "m", "a film").code == 0
    card = (tmp_path / "m" / "README.md").read_text(encoding="utf-8")
    assert figure in card
    assert "encoder with mean pooling" in card  # as there are few labels


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--task", "regression"), "2 of 4 cells are not a finite number: rows 1 ('x'), 3 ('inf')"),
        (("--task", "multi_label"), "are not a list of labels; name what separates"),
        (("--task", "clustering"), "'clustering' is not known; choose one of single_label, multi_label, regression"),
        (("--task", "regression", "--label-delim", ";"), "label_delim=';' is for task='multi_label'"),
        (("--backward-base", "none"), "give --bidirectional too"),
    ],
)
def test_labels_that_are_not_of_the_task(
    ulmfit: Callable[..., Outcome], tmp_path: Path, options: tuple[str, ...], message: str
):
    data = tmp_path / "a.csv"
    data.write_text("text,label\na,x\nb,2\nc,inf\nd,\n", encoding="utf-8")
    said = ulmfit("train", data, "--out", tmp_path / "m", *options)
    assert (said.code, message in said.err) == (2, True), said.err


@pytest.mark.parametrize("backwards", [False, True])
def test_a_language_model_is_fine_tuned_in_its_own_direction(
    ulmfit: Callable[..., Outcome], tmp_path: Path, backwards: bool
):
    texts = make_reviews(60)[0]
    save_bundle(replace(language_model(texts), backwards=backwards), tmp_path / "base")
    data = write_reviews(tmp_path / "a.csv", 60, labels=False)
    run = ("finetune", tmp_path / "base", data, "--out", tmp_path / "lm", "--lm-epochs", 2)
    said = ulmfit(*run)
    assert said.code == 0, said.err
    found = load_bundle(tmp_path / "lm", kind="language_model")
    assert found.backwards == backwards
    assert found.metrics["texts"] == 60
    base = load_bundle(tmp_path / "base")
    began = {"name": "base", "words": len(base.vocab), "weights": fingerprint_weights(base.weights)}
    assert found.metrics["base"] == began
    assert began["weights"] != fingerprint_weights(found.weights)
    assert found.history[-1]["valid_loss"] < found.history[0]["valid_loss"]
    assert "already holds a model" in ulmfit(*run).err
    assert "begins with none" in ulmfit("finetune", "none", data, "--out", tmp_path / "x").err
    other = ("train", data, "--base", tmp_path / "lm", "--out", tmp_path / "x")
    assert ("reads texts from their end" in ulmfit(*other).err) == backwards
    assert (
        "nothing to learn" in ulmfit("finetune", tmp_path / "base", data, "--out", tmp_path / "y", "--lm-epochs", 0).err
    )


def test_a_base_can_be_left_as_it_is(ulmfit: Callable[..., Outcome], tmp_path: Path):
    base = language_model(make_reviews(60)[0])
    save_bundle(base, tmp_path / "base")
    data = write_reviews(tmp_path / "a.csv", 60)
    run = ("train", data, "--out", tmp_path / "m", "--lm-epochs", 0, "--epochs", 1)
    said = ulmfit(*run, "--base", tmp_path / "base")
    assert said.code == 0, said.err
    assert "It is left as it is: perplexity" in said.out
    kept = load_bundle(tmp_path / "m" / "language_model")
    assert kept.metrics["tokens_seen"] == 0
    assert kept.history == ()
    words = [word for word in base.vocab.itos if word in kept.vocab and not word.startswith("xx")]
    before, after = (b.weights["encoder.embedding.weight"][b.vocab.numericalize(words)] for b in (base, kept))
    assert torch.equal(before, after)
    assert "there is none; name one" in ulmfit(*run, "--base", "none", "--overwrite").err


def bad_csv(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "bad.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        (None, (), "does not exist"),
        ("", (), "is empty"),
        ("text,label\n", (), "no rows"),
        ("text,label\na,x\n", ("--text", "body"), "no column 'body'. Columns: 'text', 'label'"),
        ("text,label\na,x\nb,x\n", (), "at least two classes"),
        ("text,label\na,x\nb,x\nc,y\n", (), "single example: 'y'"),
        ("text,label\na,x\n,x\nc,y\n ,y\n", (), "2 rows have no text: row 2, 4"),
        (b"text,label\ncaf\xe9,x\n", (), "bad.csv: the bytes at offset 14 are not utf-8"),
        ("text,label\na,x\nb,x\nc,y\nd,y\n", ("--base", "gpt"), "is neither a bundled model"),
        ("text,label\na,x\nb,x\nc,y\nd,y\n", ("--size", "huge"), "choose one of base, small"),
        ("text,label\na,x\nb,x\nc,y\nd,y\n", ("--arch", "gru"), "choose one of awd_lstm, awd_qrnn"),
        ("text,label\na,x\nb,x\nc,y\nd,y\n", ("--arch", "awd_qrnn", "--base", "en-small"), "has its own"),
        ("text,label\na,x\nb,x\nc,y\nd,y\n", ("--time-budget", "soon"), "write it like 90s"),
        ("text,label\na,x\nb,x\nc,y\nd,y\n", ("--valid-pct", "1.5"), "valid_pct=1.5"),
        ("text,label\na,x\nb,x\nc,y\nd,y\n", ("--lm-data", "nowhere.csv"), "nowhere.csv does not exist"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_2(
    ulmfit: Callable[..., Outcome],
    tmp_path: Path,
    content: str | bytes | None,
    arguments: tuple[str, ...],
    message: str,
):
    data = tmp_path / "none.csv" if content is None else bad_csv(tmp_path, content)
    said = ulmfit("train", data, "--out", tmp_path / "m", *arguments)
    assert said.code == 2
    assert message in said.err
    assert "Traceback" not in said.err
    assert len(said.err.strip().splitlines()) == 1
    assert not (tmp_path / "m").exists()


def test_debug_shows_the_traceback(tmp_path: Path):
    run = [sys.executable, "-m", "ulmfit", "train", str(tmp_path / "none.csv")]
    plain = subprocess.run(run, capture_output=True, text=True, check=False)
    assert (plain.returncode, "Traceback" in plain.stderr) == (2, False)
    debug = subprocess.run([*run, "--debug"], capture_output=True, text=True, check=False)
    assert debug.returncode != 0
    assert "Traceback" in debug.stderr


def test_a_label_that_only_the_validation_part_has(ulmfit: Callable[..., Outcome], tmp_path: Path):
    data = write_reviews(tmp_path / "a.csv", 20)
    for part in ("--valid", "--test"):
        said = ulmfit("train", data, part, bad_csv(tmp_path, "text,label\na,meh\nb,pos\n"), "--out", tmp_path / "m")
        assert said.code == 2
        assert "'meh' (1x)" in said.err


def test_an_output_folder_with_a_model_is_refused_before_any_training(trained: Path, ulmfit: Callable[..., Outcome]):
    before = (trained / "model" / "manifest.json").read_bytes()
    said = ulmfit("train", trained / "train.csv", "--out", trained / "model")
    assert said.code == 2
    assert "--overwrite" in said.err
    assert "Classes" not in said.out
    assert (trained / "model" / "manifest.json").read_bytes() == before


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(errno.ENOSPC, "No space left on device"), 2, "No space left on device"),
    ],
)
def test_a_save_that_fails_leaves_the_model_before_it_whole(
    trained: Path,
    tiny_models: None,
    ulmfit: Callable[..., Outcome],
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    code: int,
    message: str,
):
    before = (trained / "model" / "manifest.json").read_bytes()

    def fail(*_: object) -> None:
        raise error

    command = (
        "train",
        trained / "train.csv",
        "--out",
        trained / "model",
        "--overwrite",
        "--lm-epochs",
        1,
        "--epochs",
        1,
    )
    with monkeypatch.context() as patch:
        patch.setattr(bundle, "_write_weights", fail)
        said = ulmfit(*command)
    assert said.code == code
    assert message in said.err
    assert "model.training: --resume goes on" in said.err.replace("\n", "")
    assert (trained / "model" / "manifest.json").read_bytes() == before
    assert load_bundle(trained / "model")
    assert sorted(p.name for p in trained.iterdir()) == ["model", "model.training", "more.csv", "test.csv", "train.csv"]

    monkeypatch.setattr("ulmfit.training.loop.Loop.run", None)  # nothing is trained again
    assert ulmfit(*command, "--resume").code == 0
    assert (trained / "model" / "manifest.json").read_bytes() != before
    assert sorted(p.name for p in trained.iterdir()) == ["model", "more.csv", "test.csv", "train.csv"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("MODEL",), "give either texts or --input"),
        (("MODEL", "a", "--input", "x.csv"), "give either texts or --input"),
        (("MODEL", "--input", "x.csv"), "go together"),
        (("MODEL", "--input", "x.csv", "--output", "y.csv"), "x.csv does not exist"),
        (("nowhere", "a text"), "no such folder"),
        (("MODEL", " "), "text 1 is empty"),
    ],
)
def test_bad_predictions(
    trained: Path,
    ulmfit: Callable[..., Outcome],
    arguments: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.chdir(tmp_path)
    said = ulmfit("predict", *(trained / "model" if a == "MODEL" else a for a in arguments))
    assert said.code == 2
    assert message in said.err


def test_an_output_file_is_not_replaced_unless_asked(trained: Path, ulmfit: Callable[..., Outcome], tmp_path: Path):
    (tmp_path / "out.csv").write_text("mine", encoding="utf-8")
    run = ("predict", trained / "model", "--input", trained / "test.csv", "--output", tmp_path / "out.csv")
    assert "--overwrite" in ulmfit(*run).err
    assert (tmp_path / "out.csv").read_text(encoding="utf-8") == "mine"
    assert ulmfit(*run, "--overwrite").code == 0
    assert len(pd.read_csv(tmp_path / "out.csv")) == 40


def test_version_and_help(ulmfit: Callable[..., Outcome]):
    assert ulmfit("--version").out.strip() == f"ulmfit {__version__}"
    assert "train" in ulmfit("--help").out
    assert "Example" in ulmfit("train", "--help").out
    assert ulmfit("trian").code == 2


def test_durations():
    assert [parse_duration(t) for t in ("90s", "20m", "1h30m", "2h", "1.5h")] == [90, 1200, 5400, 7200, 5400]
    for wrong in ("", "20", "0m", "m", "20 minutes", "-5m"):
        with pytest.raises(ConfigError, match="is not a time"):
            parse_duration(wrong)


def test_patterns_of_names_mean_files_in_their_order(tmp_path: Path):
    for name in ("b.csv", "a.csv", "c.txt", "d[1].csv"):
        (tmp_path / name).touch()
    assert matching([tmp_path / "[ab].csv", tmp_path / "c.txt", tmp_path / "d[1].csv", tmp_path / "none.csv"]) == [
        tmp_path / name for name in ("a.csv", "b.csv", "c.txt", "d[1].csv", "none.csv")
    ]
    with pytest.raises(DataError, match=r"no file is named .*x\*"):
        matching([tmp_path / "x*"])


@pytest.mark.parametrize("command", ["pretrain x*.csv", "finetune en-small x*.csv", "train t.csv --lm-data x*.csv"])
def test_commands_of_several_files_take_patterns(
    command: str, ulmfit: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    write_reviews(tmp_path / "t.csv", 40)
    assert "no file is named x*.csv" in ulmfit(*command.split(), "--out", "m").err
