"""Pretraining: from files to a model folder, resumed and extended."""

from __future__ import annotations

import errno
import io
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from bundles import language_model
from invented import make_reviews
from rich.console import Console

import ulmfit
from ulmfit.errors import ConfigError, DataError
from ulmfit.inference.bundle import LANGUAGE_MODEL, load_bundle, save_bundle
from ulmfit.models.config import SIZES, AWDLSTMConfig, AWDQRNNConfig
from ulmfit.training.callbacks import Callback
from ulmfit.training.checkpoint import read_counts
from ulmfit.training.learner import Learner
from ulmfit.training.pretrain import pretrain
from ulmfit.training.pretrain_job import PretrainJob
from ulmfit.training.progress import StatusLine


@pytest.fixture(autouse=True)
def tiny(monkeypatch, tmp_path):
    """A small size that trains within a second, and a cache of its own."""
    monkeypatch.setitem(SIZES["awd_lstm"], "small", AWDLSTMConfig(emb_sz=8, n_hid=12, n_layers=2, cutoffs=(20,)))
    monkeypatch.setenv("ULMFIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("ulmfit.training.pretrain._EVALUATED_EVERY", 4_000)


def job_of(folder, **settings) -> PretrainJob:
    pd.DataFrame({"text": make_reviews(800)[0]}).to_parquet(folder / "a.parquet")
    return PretrainJob(
        **{"data": (folder / "a.parquet",), "out": folder / "lm", "held_out": 0.1, "bs": 8, "bptt": 20, **settings}
    )


def test_it_writes_a_model_folder_with_curve_and_card(tmp_path):
    metrics = pretrain(job_of(tmp_path, epochs=2, licence="CC0"))
    bundle = load_bundle(tmp_path / "lm", kind=LANGUAGE_MODEL)
    assert metrics["perplexity"] < 40 < len(bundle.vocab)
    assert [row["valid_loss"] for row in bundle.history][-1] < bundle.history[0]["valid_loss"]
    assert len(bundle.history) > 2  # a pass is measured several times
    assert metrics["tokens_seen"] == pytest.approx(2 * metrics["tokens"], rel=0.1)
    assert bundle.config == SIZES["awd_lstm"]["small"]  # the size's own dropouts, not those of pretraining
    assert "CC0" in bundle.card
    assert f"{metrics['perplexity']:.2f}" in bundle.card


def test_a_finished_run_is_written_again_in_a_quarter_of_the_size(tmp_path, monkeypatch):
    monkeypatch.setattr("ulmfit.inference.compact._MIN_ELEMENTS", 1)
    job = job_of(tmp_path)
    pretrain(job)
    whole = load_bundle(job.out)
    again = pretrain(replace(job, resume=True, overwrite=True, compact=True))
    small = load_bundle(job.out)
    assert small.compact
    assert again["tokens_seen"] == whole.metrics["tokens_seen"]
    for name, weight in whole.weights.items():
        assert torch.allclose(small.weights[name], weight, atol=float(weight.abs().max()) / 250), name


def test_the_command_in_the_card_names_no_place_of_this_machine(tmp_path, monkeypatch):
    arguments = ["pretrain", str(tmp_path / "a.parquet"), "--out", str(tmp_path / "lm"), "--licence", "CC BY 4.0"]
    monkeypatch.setattr("sys.argv", ["/usr/bin/ulmfit", *arguments])
    metrics = pretrain(job_of(tmp_path))
    assert metrics["command"] == "ulmfit pretrain a.parquet --out lm --licence 'CC BY 4.0'"
    card = (job_of(tmp_path).out / "README.md").read_text(encoding="utf-8")
    assert f"\n    {metrics['command']}\n" in card
    commit = metrics["machine"]["commit"]  # none where the sources are not a checkout
    assert (f"the code of commit {commit} by" if commit else "the code of ulmfit ") in card
    assert " minutes)" in card


class _PowerCut(Exception):
    pass


def test_an_interrupted_run_resumes_to_the_same_weights(tmp_path, monkeypatch):
    (tmp_path / "whole").mkdir()
    (tmp_path / "cut").mkdir()
    pretrain(job_of(tmp_path / "whole", checkpoint_every=1e-9))
    job = job_of(tmp_path / "cut", checkpoint_every=1e-9)

    def cut(self: Callback, learn) -> None:
        if learn.n_steps == 30:
            raise _PowerCut

    with monkeypatch.context() as patch, pytest.raises(_PowerCut):
        patch.setattr("ulmfit.training.callbacks.TerminateOnNaN.after_batch", cut)
        pretrain(job)
    assert not job.out.exists()
    with pytest.raises(ConfigError, match="--resume"):
        pretrain(job)
    pretrain(replace(job, resume=True))
    one, other = (load_bundle(tmp_path / name / "lm").weights for name in ("whole", "cut"))
    assert all(torch.equal(one[name], other[name]) for name in one)


PROGRAM = """
import sys, time
from pathlib import Path
from ulmfit.models.config import SIZES, AWDLSTMConfig
from ulmfit.training.callbacks import TerminateOnNaN
from ulmfit.training.pretrain import pretrain
from ulmfit.training.pretrain_job import PretrainJob

SIZES["awd_lstm"]["small"] = AWDLSTMConfig(emb_sz=8, n_hid=12, n_layers=2, cutoffs=(20,))

def slowly(self, learn):
    Path("step").write_text(str(learn.n_steps))
    time.sleep(float(sys.argv[1]))

TerminateOnNaN.after_batch = slowly
job = dict(data=(Path("a.parquet"),), out=Path("lm"), held_out=0.1, bs=8, bptt=20, checkpoint_every=1e-9)
pretrain(PretrainJob(**job, resume=len(sys.argv) > 2))
"""


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_from_its_last_checkpoint(tmp_path):
    def program(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "PYTHONPATH": str(Path(ulmfit.__file__).parents[1])}
        return subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments], cwd=folder, env=environment)

    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
        job_of(tmp_path / name)
    assert program(tmp_path / "whole", "0").wait(120) == 0
    folder, steps = tmp_path / "killed", 0
    for arguments in (("0.05",), ("0.05", "resume")):
        cut = program(folder, *arguments)
        steps += 10
        until = time.monotonic() + 60
        while time.monotonic() < until and int(step_of(folder) or 0) < steps:
            time.sleep(0.01)
        cut.kill()
        cut.wait()
    assert not (folder / "lm").exists()
    assert program(folder, "0", "resume").wait(120) == 0
    one, other = (load_bundle(tmp_path / name / "lm").weights for name in ("whole", "killed"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def step_of(folder: Path) -> str:
    """The number of the last step, as the program wrote it."""
    return (folder / "step").read_text(encoding="utf-8") if (folder / "step").is_file() else ""


def test_a_line_tells_where_the_run_is(tmp_path, monkeypatch):
    monkeypatch.setattr("ulmfit.training.pretrain.StatusLine", partial(StatusLine, seconds=0.0))
    pretrain(job_of(tmp_path), Console(file=(said := io.StringIO()), width=200))
    line = r"(\d+\.\d)% +[\d,]+ tokens +[\d,]+ tokens/s +loss (\d\.\d+) +perplexity (\d+\.\d) +(?:\d+ min|just)"
    lines = [[float(number) for number in found] for found in re.findall(line, said.getvalue())]
    shares = [share for share, _, _ in lines]
    assert shares == sorted(shares)
    assert shares[-1] > 90
    assert all(math.exp(loss) == pytest.approx(perplexity, rel=0.01) for _, loss, perplexity in lines)


def test_the_first_line_comes_soon_and_the_others_each_minute(monkeypatch):
    learn = SimpleNamespace(n_targets=0, progress=0.0, smooth_loss=1.0)
    line = StatusLine(Console(file=(said := io.StringIO()), width=200))
    shown = []
    for second in range(131):
        monkeypatch.setattr("ulmfit.training.progress.time.monotonic", lambda now=second: now)
        learn.n_targets, learn.progress = 100 * second, second / 200
        (line.after_batch if second else line.before_fit)(learn)
        shown.append(said.getvalue().count("\n"))
    assert [shown.index(n) for n in (1, 2, 3)] == [6, 66, 126]
    assert "100 tokens/s" in said.getvalue()


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path, monkeypatch, capsys):
    (tmp_path / "whole").mkdir()
    (tmp_path / "cut").mkdir()
    pretrain(job_of(tmp_path / "whole"))
    job = job_of(tmp_path / "cut")

    def told(self: Callback, learn) -> None:
        if learn.n_steps == 30:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("ulmfit.training.callbacks.TerminateOnNaN.after_batch", told)
        pretrain(job)
    assert "last.safetensors. Run the same again with resume=True (--resume)" in capsys.readouterr().err.replace(
        "\n", " "
    )
    pretrain(replace(job, resume=True))
    one, other = (load_bundle(tmp_path / name / "lm").weights for name in ("whole", "cut"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_run_that_ends_where_the_rate_begins_to_fall_can_still_be_extended(tmp_path, monkeypatch):
    job = job_of(tmp_path, epochs=3)

    stop_at(monkeypatch, job, 0.7)
    assert {p.name for p in job.training_folder.iterdir()} == {"last.safetensors", "before-fall.safetensors"}


def test_a_finished_run_is_extended_from_before_the_fall(tmp_path):
    job = job_of(tmp_path)
    first = pretrain(job)
    longer = pretrain(replace(job, epochs=3, resume=True))  # its own model is replaced without being asked
    assert longer["tokens_seen"] == pytest.approx(3 * first["tokens_seen"], rel=0.05)
    assert longer["perplexity"] < first["perplexity"]
    stable = read_counts(job.training_folder / "before-fall.safetensors")
    assert stable["step"] == pytest.approx(0.7 * read_counts(job.training_folder / "last.safetensors")["step"], abs=2)
    console = Console(record=True, width=300, file=io.StringIO())
    longest = pretrain(replace(job, epochs=4, resume=True), console)
    assert f"after {stable['n_targets']:,} tokens" in console.export_text()
    assert pretrain(replace(job, epochs=4, resume=True))["tokens_seen"] == longest["tokens_seen"]
    with pytest.raises(ConfigError, match=r"from 2\.8\d epochs .* 9\d% of the length asked for"):
        pretrain(replace(job, epochs=3, resume=True))
    (job.training_folder / "before-fall.safetensors").unlink()
    with pytest.raises(ConfigError, match="cannot be made longer"):
        pretrain(replace(job, epochs=6, resume=True))


def test_a_time_budget_that_is_used_up_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("ulmfit.training.pretrain.seconds_per_token", lambda *_: 0.0)
    job = job_of(tmp_path, epochs=500, time_budget=1.5)
    pretrain(job)
    with pytest.raises(ConfigError, match=r"epochs and \d s, \d+% of the length asked for"):
        pretrain(replace(job, time_budget=1.2, resume=True))
    assert pretrain(replace(job, time_budget=4.0, resume=True))["seconds"] > 3


def test_an_interrupted_extension_is_extended_from_where_it_was(tmp_path, monkeypatch):
    job = job_of(tmp_path)
    pretrain(job)
    stop_at(monkeypatch, replace(job, epochs=4, resume=True), 0.5)
    with pytest.raises(ConfigError, match="of the length asked for"):  # there would be no place for its own fall
        pretrain(replace(job, epochs=2.5, resume=True))
    console = Console(record=True, width=300, file=io.StringIO())
    pretrain(replace(job, epochs=5, resume=True), console)
    assert f"Resumed from {job.training_folder / 'last.safetensors'}" in console.export_text()


def test_what_the_rows_carry_survives_that_the_measurement_is_timed(tmp_path, monkeypatch):
    job = job_of(tmp_path, epochs=4)
    stop_at(monkeypatch, job, 0.5)
    carried = []
    monkeypatch.setattr(Learner, "fit", lambda self, *_, **__: carried.append(self.model.state) or sys.exit())
    with pytest.raises(SystemExit):
        pretrain(replace(job, time_budget=100, resume=True))
    assert any(part.abs().max() > 0 for layer in carried[0] for part in layer)


def test_another_model_at_the_place_of_a_run_is_not_replaced_unasked(tmp_path, monkeypatch):
    job = job_of(tmp_path, epochs=2)
    stop_at(monkeypatch, job, 0.5)
    pretrain(replace(job, epochs=0.2, seed=1, out=tmp_path / "other"))
    (tmp_path / "other").rename(job.out)
    with pytest.raises(DataError, match="already holds a model"):
        pretrain(replace(job, resume=True))
    pretrain(replace(job, resume=True, overwrite=True))


def stop_at(monkeypatch, job: PretrainJob, share: float) -> None:
    """Begin a run that SIGTERM ends after so much of it."""

    def told(_: Callback, learn) -> None:
        if share <= learn.progress:
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr("ulmfit.training.callbacks.TerminateOnNaN.after_batch", told)
        pretrain(job)


def test_a_run_begins_where_its_base_ended(tmp_path):
    first = pretrain(job_of(tmp_path, epochs=2))
    further = job_of(tmp_path, base=str(tmp_path / "lm"), out=tmp_path / "more", epochs=0.1, lr=1e-4)
    metrics = pretrain(further)
    assert metrics["perplexity"] < 1.02 * first["perplexity"]
    assert metrics["base"] == {"name": "lm", "backwards": False, "tokens_seen": first["tokens_seen"]}
    assert metrics["settings"]["base"] == "lm"  # not where it lay
    more = load_bundle(tmp_path / "more")
    assert more.vocab.itos == load_bundle(tmp_path / "lm").vocab.itos
    assert f"{first['tokens_seen']:,}" in more.card


def test_a_run_from_a_base_brings_the_texts_in_another_order(tmp_path, monkeypatch):
    firsts = []
    train_batch = Learner.train_batch

    def told(self, batch) -> None:
        if self.n_steps == 0:
            firsts.append(batch.inputs[0])
        train_batch(self, batch)

    monkeypatch.setattr(Learner, "train_batch", told)
    pretrain(job_of(tmp_path, epochs=0.2))
    for out, epochs in (("again", 0.2), ("more", 0.1)):
        pretrain(job_of(tmp_path, base=str(tmp_path / "lm"), out=tmp_path / out, epochs=epochs))
    of_base, again, more = firsts
    assert not torch.equal(of_base, again)
    assert torch.equal(again, more)


def test_a_base_may_read_the_other_way(tmp_path):
    pretrain(job_of(tmp_path))
    job = job_of(tmp_path, base=str(tmp_path / "lm"), out=tmp_path / "bwd", backwards=True, epochs=0.2, lr=1e-6)
    assert pretrain(job)["base"]["backwards"] is False
    forward, backward = load_bundle(tmp_path / "lm"), load_bundle(tmp_path / "bwd")
    assert backward.backwards
    for name, weight in forward.weights.items():
        assert torch.allclose(weight, backward.weights[name], atol=1e-3), name
    assert "which reads the other way" in backward.card


def test_what_is_given_beside_a_base_must_agree_with_it(tmp_path, monkeypatch):
    pretrain(job_of(tmp_path, lang="de"))
    further = job_of(tmp_path, base=str(tmp_path / "lm"), out=tmp_path / "more", epochs=0.1)
    n_words = len(load_bundle(tmp_path / "lm").vocab)
    wrong = {"vocab_size": 30_000, "lang": "en", "tokenizer": "char", "arch": "awd_qrnn", "min_freq": 3}
    message = (
        f"arch='awd_qrnn', and it has 'awd_lstm'; tokenizer='char', and it has 'word'; lang='en', and it has 'de'; "
        f"vocab_size=30000, and it has {n_words}; min_freq"
    )
    with pytest.raises(ConfigError, match=message):
        pretrain(replace(further, **wrong))
    config = AWDLSTMConfig(emb_sz=8, n_hid=13, n_layers=2, cutoffs=(20,))
    with monkeypatch.context() as patch, pytest.raises(ConfigError, match="n_hid is 13, the weights have 12"):
        patch.setitem(SIZES["awd_lstm"], "small", config)
        pretrain(replace(further, size="small"))
    pretrain(replace(further, lang="de", tokenizer="word", arch="awd_lstm", size="small"))


def test_a_base_brings_its_cells_and_sizes(tmp_path):
    texts = make_reviews(80)[0]
    config = AWDQRNNConfig(emb_sz=10, n_hid=14, n_layers=2)
    base = replace(language_model(texts, config), metrics={"perplexity": 9.0, "tokens_seen": 1_000})
    save_bundle(base, tmp_path / "qrnn")
    pretrain(job_of(tmp_path, base=str(tmp_path / "qrnn"), epochs=0.1))
    more = load_bundle(tmp_path / "lm")
    assert more.config == base.config
    assert "AWD-QRNN of 2 layers, 10 and 14 wide" in more.card
    assert "had seen 1,000 tokens" in more.card


def test_a_small_part_of_a_pass_is_enough(tmp_path):
    assert pretrain(job_of(tmp_path, epochs=0.01))["tokens_seen"] > 0


def test_files_may_be_named_by_strings(tmp_path):
    job = job_of(tmp_path, epochs=0.1)
    pretrain(replace(job, data=str(job.data[0]), out=str(job.out)))
    assert load_bundle(job.out).metrics["settings"]["data"] == ["a.parquet"]
    with pytest.raises(ConfigError, match="data must be files or folders, not 3"):
        replace(job, data=3)


def test_a_large_text_file_is_several_texts(tmp_path, monkeypatch):
    monkeypatch.setattr("ulmfit.data.corpus.PIECE", 5_000)
    (tmp_path / "corpus.txt").write_text("\n".join(make_reviews(800)[0]), encoding="utf-8")
    console = Console(record=True, width=300, file=io.StringIO())
    metrics = pretrain(job_of(tmp_path, data=(tmp_path / "corpus.txt",), epochs=0.1), console)
    assert metrics["held_out_tokens"] > 0
    assert "1 of more than " in console.export_text()
    (tmp_path / "small.txt").write_text("\n".join(make_reviews(100)[0])[:4_000], encoding="utf-8")
    with pytest.raises(DataError, match=r"0 texts .* to measure on, and 1 text to learn from: give --valid"):
        pretrain(job_of(tmp_path, data=(tmp_path / "small.txt",), vocab_size=100, out=tmp_path / "other"))


def test_auto_is_no_base_to_pretrain_from(tmp_path):
    with pytest.raises(ConfigError, match="'auto' is for classifiers"):
        job_of(tmp_path, base="auto")
    with pytest.raises(ConfigError, match=r"'nosuch' is neither a bundled model .* nor a model folder"):
        pretrain(job_of(tmp_path, base="nosuch"))


def test_overwrite_begins_anew(tmp_path):
    job = job_of(tmp_path, epochs=0.5)
    pretrain(job)
    with pytest.raises(ConfigError, match="--resume to go on with it, or --overwrite to begin anew"):
        pretrain(job)
    again = pretrain(replace(job, overwrite=True, epochs=0.2))
    assert again["tokens_seen"] == read_counts(job.training_folder / "last.safetensors")["n_targets"]


def test_what_is_left_of_a_run_that_is_given_up_is_not_gone_on_with(tmp_path, monkeypatch):
    job = job_of(tmp_path, epochs=0.5)
    pretrain(job)
    assert (job.training_folder / "before-fall.safetensors").exists()

    def cut(self: Callback, learn) -> None:
        raise _PowerCut

    with monkeypatch.context() as patch, pytest.raises(_PowerCut):
        patch.setattr("ulmfit.training.callbacks.TerminateOnNaN.after_batch", cut)
        pretrain(replace(job, overwrite=True))
    assert not (job.training_folder / "before-fall.safetensors").exists()


def test_a_run_goes_on_from_the_newer_checkpoint(tmp_path, monkeypatch):
    job = job_of(tmp_path, checkpoint_every=1e9)

    def cut(self: Callback, learn) -> None:
        if learn.progress > 0.9:
            raise _PowerCut

    with monkeypatch.context() as patch, pytest.raises(_PowerCut):
        patch.setattr("ulmfit.training.callbacks.TerminateOnNaN.after_batch", cut)
        pretrain(job)
    assert read_counts(job.training_folder / "last.safetensors")["n_steps"] == 0
    console = Console(record=True, width=300, file=io.StringIO())
    pretrain(replace(job, resume=True), console)
    assert "before-fall.safetensors after " in console.export_text()


def test_the_model_is_written_though_there_is_no_room_for_the_last_checkpoint(tmp_path, monkeypatch):
    job = job_of(tmp_path, epochs=0.2, checkpoint_every=1e9)

    def full(learn, path, about=None, callbacks=None) -> None:
        if learn.n_steps:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("ulmfit.training.checkpoint.save_checkpoint", full)
    with pytest.raises(OSError, match="No space left"):
        pretrain(job)
    assert load_bundle(job.out).metrics["tokens_seen"] > 0


def test_a_full_cache_disk_is_named(tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("ulmfit.text.store._Job.in_files", full)
    with pytest.raises(DataError, match=r"stores has no room for the token ids .* set ULMFIT_CACHE"):
        pretrain(job_of(tmp_path))


def test_resuming_another_run_names_the_differences(tmp_path):
    job = job_of(tmp_path)
    pretrain(job)
    with pytest.raises(ConfigError, match=r"backwards was False and is True; lr was 0.01 and is 0.1"):
        pretrain(replace(job, lr=0.1, backwards=True, resume=True, overwrite=True))
    console = Console(record=True, width=300, file=io.StringIO())
    pretrain(replace(job, out=tmp_path / "other", resume=True), console)
    assert "There is nothing to resume in" in console.export_text()


def test_resuming_on_other_texts_is_refused(tmp_path):
    job = job_of(tmp_path)
    pretrain(job)
    pd.DataFrame({"text": make_reviews(790)[0]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(ConfigError, match=r"a run on other texts: 7\d\d texts then and 7\d\d now.*--base"):
        pretrain(replace(job, epochs=3, resume=True, overwrite=True))
    pd.DataFrame({"text": [text.upper() for text in make_reviews(800)[0]]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(ConfigError, match=r"words then and \d+ now"):
        pretrain(replace(job, epochs=3, resume=True, overwrite=True))


def test_what_is_measured_on_is_not_learned_from_and_enough(tmp_path):
    job = job_of(tmp_path)
    with pytest.raises(DataError, match=r"both learned from and measured on: .*a\.parquet"):
        pretrain(replace(job, valid=(tmp_path,)))
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "copy.parquet").write_bytes((tmp_path / "a.parquet").read_bytes())
    with pytest.raises(DataError, match=r"copy\.parquet, a copy of .*a\.parquet"):
        pretrain(replace(job, valid=(tmp_path / "b",)))
    (tmp_path / "texts").mkdir()
    (tmp_path / "a.parquet").rename(tmp_path / "texts" / "a.parquet")
    (tmp_path / "texts" / "notes.md").touch()
    console = Console(record=True, width=300, file=io.StringIO())
    pretrain(replace(job, data=(tmp_path / "texts",)), console)
    said = console.export_text()
    assert "without 1 of another kind: " in said
    assert "notes.md" in said
    assert "Texts to learn from: column 'text' of the tables" in said
    assert "tokens to measure on: the perplexity will be rough" in said


def test_texts_that_are_missing_or_empty_are_counted(tmp_path):
    job = job_of(tmp_path)
    texts = make_reviews(800)[0]
    pd.DataFrame({"text": [None, *texts, " ", ""]}).to_parquet(tmp_path / "a.parquet")
    pd.DataFrame({"text": [*make_reviews(100, seed=1)[0], None]}).to_parquet(tmp_path / "b.parquet")
    console = Console(record=True, width=300, file=io.StringIO())
    pretrain(job, console)
    assert "Texts to learn from: without 3 that are missing or empty" in console.export_text()
    pretrain(replace(job, out=tmp_path / "other", valid=(tmp_path / "b.parquet",)), console)
    assert "Texts to measure on: without 1 that are missing or empty" in console.export_text()


def test_the_measurement_at_the_end_counts_in_the_time_budget(tmp_path, monkeypatch):
    learned = []
    monkeypatch.setattr(Learner, "fit", lambda *_, seconds, **__: learned.append(seconds) or sys.exit())
    console = Console(record=True, width=300, file=io.StringIO())
    for i, per_token in enumerate((0.001, 0.1)):
        monkeypatch.setattr("ulmfit.training.pretrain.seconds_per_token", lambda *_, took=per_token: took)
        with pytest.raises(SystemExit):
            pretrain(replace(job_of(tmp_path), out=tmp_path / f"lm{i}", time_budget=20), console)
    tokens = int(
        re.search(r"held out: \d+ texts, ([\d,]+) tokens", console.export_text(clear=False))[1].replace(",", "")
    )
    assert learned == [pytest.approx(20 - 0.001 * tokens), 10]
    assert f"takes about {0.1 * tokens:.0f} s, more than half of the time budget" in console.export_text()


def test_a_corpus_too_small_for_its_vocabulary_is_refused(tmp_path):
    job = job_of(tmp_path)
    (tmp_path / "b.jsonl").write_text(
        "\n".join(json.dumps({"text": f"word{i}, word{i}; word{i}."}) for i in range(300)), encoding="utf-8"
    )
    with pytest.raises(DataError, match=r"too few for a vocabulary of .* lower --vocab-size$"):
        pretrain(replace(job, data=(tmp_path / "b.jsonl",)))
    (tmp_path / "c.jsonl").write_text('{"text": "hello"}\n{"text": "good bye"}', encoding="utf-8")
    with pytest.raises(DataError, match=r"too few for a vocabulary of .* add texts$"):  # no fewer words can be asked
        pretrain(replace(job, data=(tmp_path / "c.jsonl",), held_out=0.5))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs=0 must be a positive number"),
        ({"tokenizer": "words"}, "must be one of auto, word, subword, char"),
        ({"held_out": 0}, "held_out=0"),
        ({"size": "large"}, "'large' is not known"),
        ({"vocab_size": 5, "bs": 0}, "bs=0 must be at least 1; vocab_size=5"),
    ],
)
def test_settings_without_sense_are_refused(tmp_path, settings, message):
    with pytest.raises(ConfigError, match=message):
        job_of(tmp_path, **settings)


def test_a_corpus_without_spaces_gets_subwords(tmp_path):
    said = ["菜非常好吃", "服务员很热情", "下次还会再来", "菜太难吃了", "服务态度很差", "再也不会来了"]
    shown = io.StringIO()
    texts = [f"{a}。{b}。{c}。" for a in said for b in said for c in said]
    pd.DataFrame({"text": texts}).to_parquet(tmp_path / "zh.parquet")
    with pytest.warns(UserWarning, match="subword pieces asked for there are"):
        pretrain(job_of(tmp_path, data=(tmp_path / "zh.parquet",), vocab_size=100), Console(file=shown, width=200))
    bundle = load_bundle(tmp_path / "lm", kind=LANGUAGE_MODEL)
    assert bundle.tokenizer.tok.kind == "subword"
    assert len(bundle.vocab) <= 100
    assert "cut into subwords" in shown.getvalue()
