"""`ulmfit train` and `ulmfit finetune` interrupted at any moment, and run again."""

from __future__ import annotations

import csv
import io
import random
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from bundles import language_model
from invented import make_reviews
from rich.console import Console

from ulmfit.errors import ConfigError, DataError, FormatError
from ulmfit.inference.bundle import Bundle, load_bundle, save_bundle
from ulmfit.training import run_files
from ulmfit.training.clock import Clock
from ulmfit.training.finetune import finetune
from ulmfit.training.job import TrainJob, run
from ulmfit.training.learner import Learner
from ulmfit.training.recipe import Recipe
from ulmfit.training.run_files import RunFiles, training_folder

QUIET = Console(quiet=True)


class PowerCut(Exception):
    pass


def write_reviews(path: Path, n: int = 40, seed: int = 0) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *zip(*make_reviews(n, seed), strict=True)])
    return path


@pytest.fixture
def job(tmp_path: Path, tiny_models: None, monkeypatch: pytest.MonkeyPatch) -> TrainJob:
    monkeypatch.setattr("ulmfit.training.classifier_stages._MIN_STEPS", 3)
    monkeypatch.setattr("ulmfit.training.lm_stage._LM_MIN_STEPS", 4)
    recipe = Recipe(lm_epochs=2, epochs=1, ngrams=False)
    return TrainJob(data=write_reviews(tmp_path / "reviews.csv"), out=tmp_path / "whole", recipe=recipe)


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many batches have been learned from."""
    count = [0]
    train_batch = Learner.train_batch

    def counted(learn: Learner, batch: object) -> None:
        train_batch(learn, batch)
        count[0] += 1

    monkeypatch.setattr(Learner, "train_batch", counted)
    return count


def interrupt(monkeypatch: pytest.MonkeyPatch, after: int, how: signal.Signals | None) -> None:
    """Let the power fail, or a signal come, once so many more batches have been learned from."""
    train_batch, left = Learner.train_batch, [after]

    def counted(learn: Learner, batch: object) -> None:
        if left[0] == 0 and how is None:
            raise PowerCut
        if left[0] == 0 and how is not None:
            signal.raise_signal(how)
        left[0] -= 1
        train_batch(learn, batch)

    monkeypatch.setattr(Learner, "train_batch", counted)


def weights(bundle: Bundle) -> dict[str, torch.Tensor]:
    backward = {} if bundle.backward is None else {f"backward.{k}": v for k, v in bundle.backward.weights.items()}
    return {**bundle.weights, **backward}


def equal(a: Path, b: Path) -> bool:
    return all(
        torch.equal(x, weights(load_bundle(b / inside))[name])
        for inside in [p.parent.relative_to(a) for p in a.rglob("config.json")]
        for name, x in weights(load_bundle(a / inside)).items()
    )


@pytest.mark.parametrize(
    ("how", "every", "bidirectional"),
    [(None, 0.0, False), (None, 300.0, False), (signal.SIGTERM, 300.0, False), (signal.SIGINT, 300.0, True)],
    ids=["power cut", "power cut, saved after fits only", "SIGTERM", "Ctrl-C"],
)
def test_a_run_that_is_interrupted_anywhere_ends_with_the_same_weights(
    job: TrainJob, batches: list[int], how, every: float, bidirectional: bool, monkeypatch, capsys
):
    job = replace(job, recipe=replace(job.recipe, bidirectional=bidirectional))
    run(job)
    n_batches, rng = batches[0], random.Random(f"{how} {every}")
    monkeypatch.setattr(run_files, "_EVERY", every)
    again = replace(job, out=job.out.with_name("again"), resume=True)
    for _ in range(3):
        with monkeypatch.context() as patch:
            interrupt(patch, rng.randrange(n_batches // 3), how)
            with pytest.raises((PowerCut, SystemExit, KeyboardInterrupt)):
                run(again)
        assert not again.out.exists()
        said = capsys.readouterr().err
        assert ("--resume" in said and str(training_folder(again.out)) in said) == (how is not None)
    batches[0] = 0
    console = Console(record=True, width=300, file=io.StringIO())
    run(again, console)
    assert equal(job.out, again.out)
    assert not training_folder(again.out).exists()
    assert batches[0] <= n_batches
    if how is not None or every == 0:
        assert batches[0] < n_batches, "nothing was left out"
        assert "again.training/language_model.safetensors: the epochs" in console.export_text().replace("\\", "/")


def test_the_time_that_fits_were_given_is_remembered_and_that_used_goes_on(tmp_path: Path, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    learn = Learner.__new__(Learner)

    def clock(*, resume: bool) -> Clock:
        return Clock(100.0, RunFiles(tmp_path / "model", {}, QUIET, resume=resume), started=now[0])

    before = clock(resume=False)
    now[0] += 10
    first = before.share(0.5)
    now[0] += 40
    second = before.share(1.0)
    assert (first, second) == (pytest.approx(0.5 * 86), pytest.approx(46))  # 4 s are for the end
    now[0] += 500  # the power fails, some time later the program is run again
    after = clock(resume=True)
    now[0] += 3
    assert after.share(0.5) == first
    assert after.used == 10
    now[0] += 1
    assert after.share(1.0) == second
    assert after.used == 50
    learn.seconds = 20.0  # the fit goes on where it was after so long
    after.files._count_earlier(learn)
    now[0] += 5
    assert after.used == 75
    assert after.mark() == 75
    half = Clock(after.share(0.5), after.files, started=now[0])
    assert half.budget == pytest.approx(0.5 * 21)
    now[0] += 2
    assert half.used == 2
    assert half.mark() == 2
    third = clock(resume=True)
    assert [third.share(0.5), third.share(1.0)] == [first, second]
    assert third.mark() == 75  # with the fit that is left out now
    again = Clock(third.share(0.5), third.files, started=now[0])
    assert (again.budget, again.mark(), third.used) == (half.budget, 2, 77)


def interrupted(job: TrainJob, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        interrupt(patch, 5, signal.SIGTERM)
        with pytest.raises(SystemExit):
            run(job)


def test_an_interrupted_run_is_not_forgotten(job: TrainJob, monkeypatch):
    interrupted(job, monkeypatch)
    kept = sorted(p.name for p in training_folder(job.out).iterdir())
    assert kept == ["language_model.safetensors", "run.safetensors"]
    with pytest.raises(ConfigError, match=r"whole\.training holds .* --resume to go on with it, or --overwrite"):
        run(job)
    other = replace(job, resume=True, label="label", recipe=replace(job.recipe, epochs=3))
    with pytest.raises(ConfigError, match=r"other settings: epochs was 1 and is 3; label was None and is 'label'"):
        run(other)
    data = write_reviews(job.data.with_name("other.csv"), seed=1)
    with pytest.raises(FormatError, match=r"language_model\.safetensors does not fit: .*data is "):
        run(replace(job, data=data, resume=True))
    assert kept == sorted(p.name for p in training_folder(job.out).iterdir())
    (training_folder(job.out) / "mine.txt").write_text("a note", encoding="utf-8")
    run(replace(job, data=data, overwrite=True))
    assert [p.name for p in training_folder(job.out).iterdir()] == ["mine.txt"]


def test_the_folder_stands_beside_the_model_wherever_that_is(tmp_path: Path, monkeypatch):
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    assert training_folder(Path("model")) == Path("model.training")
    assert training_folder(Path("../model")) == Path("../model.training")
    assert training_folder(Path()) == (tmp_path / "a" / "b.training").resolve()
    assert training_folder(Path("..")) == (tmp_path / "a.training").resolve()


def test_files_that_are_damaged_are_named(job: TrainJob, monkeypatch):
    interrupted(job, monkeypatch)
    file = training_folder(job.out) / "run.safetensors"
    file.write_bytes(file.read_bytes()[:20])
    with pytest.raises(FormatError, match=r"run\.safetensors is no run, or is damaged"):
        run(replace(job, resume=True))


def test_a_run_that_begins_anew_uses_nothing_of_the_one_before(job: TrainJob, batches: list[int], monkeypatch):
    def stage_of(model: Path) -> set[str]:
        return {p.stem for p in training_folder(model).iterdir()} - {"run"}

    run(replace(job, out=job.out.with_name("expected"), recipe=replace(job.recipe, lm_epochs=3)))
    n_batches = batches[0]
    with monkeypatch.context() as patch:
        interrupt(patch, n_batches - 3, signal.SIGTERM)
        with pytest.raises(SystemExit):
            run(replace(job, recipe=replace(job.recipe, epochs=5)))
    assert stage_of(job.out) == {"language_model", "classifier"}
    anew = replace(job, overwrite=True, recipe=replace(job.recipe, lm_epochs=3))
    with pytest.raises(DataError, match="nowhere"):
        run(replace(anew, data=job.data.with_name("nowhere.csv")))
    assert stage_of(job.out) == {"language_model", "classifier"}, "bad data cost the run before"
    with monkeypatch.context() as patch:
        interrupt(patch, 1, None)
        with pytest.raises(PowerCut):
            run(anew)
    assert stage_of(job.out) == set()
    run(replace(anew, resume=True))
    assert equal(job.out.with_name("expected"), job.out)


def test_another_base_of_the_same_name_is_refused(job: TrainJob, tmp_path: Path, monkeypatch):
    texts = make_reviews(40)[0]
    base = language_model(texts)
    save_bundle(base, tmp_path / "base")
    job = replace(job, base=str(tmp_path / "base"))
    interrupted(job, monkeypatch)
    other = {name: weight + 1 for name, weight in base.weights.items()}
    save_bundle(replace(base, weights=other), tmp_path / "base", overwrite=True)
    with pytest.raises(ConfigError, match=r"other settings: the start of language_model was '\w+' and is '\w+'"):
        run(replace(job, resume=True))


def test_the_place_of_the_checkpoints_is_taken(job: TrainJob):
    training_folder(job.out).write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"whole\.training is a file"):
        run(job)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_outside_the_fits_leaves_all_in_order_and_says_how_to_go_on(
    job: TrainJob, number: signal.Signals, monkeypatch, capsys
):
    def told(*_: object) -> None:
        signal.raise_signal(number)

    with monkeypatch.context() as patch:
        patch.setattr("ulmfit.inference.bundle._write_weights", told)
        with pytest.raises((SystemExit, KeyboardInterrupt)):
            run(job)
    assert "whole.training: --resume goes on" in capsys.readouterr().err.replace("\n", "")
    assert {p.name for p in job.out.parent.iterdir()} == {"reviews.csv", "whole.training"}
    before = signal.getsignal(signal.SIGTERM)
    run(replace(job, resume=True))
    assert signal.getsignal(signal.SIGTERM) == before
    assert job.out.is_dir()


def test_signals_that_the_caller_ignores_are_ignored(job: TrainJob, monkeypatch):
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with monkeypatch.context() as patch:
            interrupt(patch, 3, signal.SIGINT)
            run(job)
    finally:
        signal.signal(signal.SIGINT, handler)
    assert job.out.is_dir()


def test_where_nothing_was_interrupted_the_run_begins_and_says_so(job: TrainJob):
    console = Console(record=True, width=300, file=io.StringIO())
    run(replace(job, resume=True), console)
    assert "There is nothing to resume in" in console.export_text()


def test_fine_tuning_goes_on_as_well(tmp_path: Path, batches: list[int], monkeypatch):
    base = tmp_path / "base"
    save_bundle(language_model(make_reviews(40)[0]), base)
    data, recipe = [write_reviews(tmp_path / "reviews.csv")], Recipe(lm_epochs=3)
    finetune(str(base), data, tmp_path / "whole", recipe)
    n_batches = batches[0]
    monkeypatch.setattr(run_files, "_EVERY", 0.0)
    with monkeypatch.context() as patch:
        interrupt(patch, n_batches // 2, None)
        with pytest.raises(PowerCut):
            finetune(str(base), data, tmp_path / "again", recipe)
    with pytest.raises(ConfigError, match=r"base was .* and is 'en-small'"):
        finetune("en-small", data, tmp_path / "again", recipe, resume=True)
    batches[0] = 0
    finetune(str(base), data, tmp_path / "again", recipe, resume=True)
    assert 0 < batches[0] <= n_batches - n_batches // 2
    a, b = (load_bundle(tmp_path / name).weights for name in ("whole", "again"))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not training_folder(tmp_path / "again").exists()
