"""Programs that are really killed, and run again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from learners import lm_learner

import ulmfit
from ulmfit.errors import ConfigError, FormatError
from ulmfit.training import precision
from ulmfit.training.averaging import ExponentialMovingAverage
from ulmfit.training.callbacks import Callback, GradientAccumulation
from ulmfit.training.optimizer import SGD
from ulmfit.training.tensor_file import read_tensors, write_tensors
from ulmfit.training.tracking import CSVLogger, JSONLLogger, ReduceLROnPlateau, SaveModelCallback, read_history

# Two fits with freezing between them, and a file written between them. Slow enough to be hit at any moment.
PROGRAM = """
import sys, time, torch
torch.set_num_threads(1)
from pathlib import Path
from learners import lm_learner
from ulmfit.training.averaging import ExponentialMovingAverage
from ulmfit.training.callbacks import Callback, GradientAccumulation
from ulmfit.training.tracking import SaveBest

class Slow(Callback):
    def after_batch(self, learn):
        Path("step").write_text(str(learn.n_steps))
        time.sleep(float(sys.argv[1]))

learn = lm_learner(path=".", cbs=[Slow(), GradientAccumulation(12)])
learn.checkpoint("run", steps=1 if len(sys.argv) < 3 else int(sys.argv[2]), resume=True)
learn.freeze()
learn.fit_one_cycle(1, 1e-2, cbs=[ExponentialMovingAverage(0.9)])
learn.save("between", with_opt=False)
learn.unfreeze()
best = SaveBest("valid_loss")
learn.fit_one_cycle(2, slice(1e-3, 1e-2), cbs=[best])
learn.save("end")
best.restore(learn)
learn.save("best", with_opt=False)
"""


def start(folder: Path, pause: float, *args: str) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    source = Path(ulmfit.__file__).parents[1]
    path = os.pathsep.join([str(source), str(Path(__file__).parents[1])])
    command = [sys.executable, "-c", PROGRAM, str(pause), *args]
    return subprocess.Popen(
        command, cwd=folder, env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.PIPE, text=True
    )


def finish(folder: Path) -> None:
    program = start(folder, 0)
    _, errors = program.communicate(timeout=120)
    assert program.returncode == 0, errors


def files(folder: Path) -> dict[str, dict[str, torch.Tensor]]:
    return {n: read_tensors(folder / "models" / f"{n}.safetensors", "model")[1] for n in ("between", "end", "best")}


def equal(a: dict[str, dict[str, torch.Tensor]], b: dict[str, dict[str, torch.Tensor]]) -> bool:
    return all(torch.equal(a[f][k], b[f][k]) for f in a for k in {*a[f], *b[f]})


def killed_and_run_again(folder: Path, rng: random.Random, n_kills: int) -> None:
    for _ in range(n_kills):
        program = start(folder, 0.01, str(rng.choice([1, 3])))
        begun = time.monotonic()
        (folder / "step").unlink(missing_ok=True)
        while not (folder / "step").exists() and program.poll() is None and time.monotonic() - begun < 60:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.5))  # in a batch, a save, a validation, between fits: wherever it is
        program.kill()
        program.communicate()
    finish(folder)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> dict[str, dict[str, torch.Tensor]]:
    folder = tmp_path_factory.mktemp("whole")
    finish(folder)
    return files(folder)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_program_killed_again_and_again_ends_with_the_same_weights_bit_for_bit(seed, whole, tmp_path):
    killed_and_run_again(tmp_path / "killed", random.Random(seed), 4)
    assert equal(files(tmp_path / "killed"), whole)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals for another process")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, -signal.SIGINT)])
def test_a_signal_saves_and_says_how_to_go_on(number, status, whole, tmp_path):
    folder = tmp_path / "told"
    program = start(folder, 0.05, "1000000")  # no checkpoint at intervals
    while not (folder / "step").exists():
        time.sleep(0.02)
    time.sleep(0.3)
    program.send_signal(number)
    _, errors = program.communicate(timeout=60)
    assert "resume=True" in errors
    assert program.returncode in (status, 130)
    finish(folder)
    assert equal(files(folder), whole)


def same_weights(learn, other) -> bool:
    here = learn.model.state_dict()
    return all(torch.equal(v, here[k]) for k, v in other.model.state_dict().items())


class Stop(Callback):
    def __init__(self, at: int) -> None:
        self.at = at

    def after_batch(self, learn) -> None:
        if learn.n_steps == self.at:
            raise InterruptedError


def program(folder: Path, stop: int = 0, lr: float = 1e-2, **settings):
    learn = lm_learner(path=folder, cbs=[Stop(stop)], **settings)
    learn.checkpoint("run", steps=1, resume=True)
    learn.fit_one_cycle(1, lr)
    learn.fit_one_cycle(2, lr)
    return learn


@pytest.mark.parametrize("stop", [5, 18, 19, 36, 54])
def test_fits_that_are_done_are_left_out_and_the_other_goes_on(stop, tmp_path):
    whole = program(tmp_path / "whole")
    with pytest.raises(InterruptedError):
        program(tmp_path / "cut", stop)
    again = program(tmp_path / "cut")
    assert same_weights(again, whole)
    assert [row["valid_loss"] for row in again.history] == [row["valid_loss"] for row in whole.history]
    assert list(again.recorder.losses) == list(whole.recorder.losses)
    finished = program(tmp_path / "cut")  # everything is left out
    assert finished.n_steps == whole.n_steps
    assert same_weights(finished, whole)


def test_a_fit_that_is_called_otherwise_is_refused(tmp_path):
    with pytest.raises(InterruptedError):
        program(tmp_path, 5)
    with pytest.raises(FormatError, match=r"fit 1 was interrupted.*learning_rates was"):
        program(tmp_path, lr=1e-3)


def test_intervals_that_make_no_sense(tmp_path):
    with pytest.raises(ConfigError, match="steps=0"):
        lm_learner(path=tmp_path).checkpoint(steps=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"wd": 0.3}, "wd was"),
        ({"opt_func": SGD}, "optimizer was AdamW and is SGD"),
        ({"seed": 5}, "seed was 0 and is 5"),
        ({"clip": 1.0}, "clip was None and is 1.0"),
    ],
)
def test_other_settings_are_refused_in_an_interrupted_fit(settings, message, tmp_path):
    with pytest.raises(InterruptedError):
        program(tmp_path, 5)
    with pytest.raises(FormatError, match=message):
        program(tmp_path, **settings)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("has_bf16", [True, False])
def test_a_run_goes_on_in_its_precision_where_another_is_the_faster_one(first, has_bf16, tmp_path, monkeypatch):
    monkeypatch.setattr(precision, "gains_by_bf16", lambda device: first)
    with pytest.raises(InterruptedError):
        program(tmp_path, 5, precision="auto")
    monkeypatch.setattr(precision, "gains_by_bf16", lambda device: not first and has_bf16)
    monkeypatch.setattr(precision, "supports_bf16", lambda device: has_bf16)
    assert program(tmp_path, precision="auto").precision == ("bf16" if first and has_bf16 else "fp32")
    with pytest.raises(FormatError, match="asked_precision was auto and is fp32"):
        program(tmp_path, precision="fp32")


def test_a_run_of_an_older_version_goes_on(tmp_path):
    with pytest.raises(InterruptedError):
        program(tmp_path, 5)
    file = tmp_path / "models" / "run.safetensors"
    facts, tensors = read_tensors(file, "checkpoint")
    del facts["precision"], facts["about"]["plan"]["asked_precision"]
    facts["about"]["plan"]["precision"] = "bf16"
    write_tensors(file, tensors, "checkpoint", facts)
    assert same_weights(program(tmp_path), program(tmp_path / "whole"))


def test_a_finished_fit_that_is_called_otherwise_is_refused(tmp_path):
    program(tmp_path)
    with pytest.raises(FormatError, match=r"fit 1 is finished.*learning_rates was .*0\.01.* and is .*0\.001"):
        program(tmp_path, lr=1e-3)


def test_other_data_is_refused(tmp_path):
    program(tmp_path)
    learn = lm_learner(path=tmp_path)
    learn.dls.train.documents.ids[5] += 1
    with pytest.raises(FormatError, match=r"data is .* there and .* here"):
        learn.checkpoint("run", resume=True)


def test_a_program_with_fewer_fits_ends_with_the_weights_of_the_file_and_saves_them(tmp_path):
    whole = program(tmp_path)
    learn = lm_learner(path=tmp_path)
    learn.checkpoint("run", resume=True)
    learn.fit_one_cycle(1, 1e-2)
    assert same_weights(learn, whole)
    assert learn.save("new").is_file()


def searching(folder: Path, stop: int = 0):
    learn = lm_learner(path=folder, cbs=[Stop(stop)])
    learn.checkpoint("run", steps=1, resume=True)
    for _ in range(3):
        learn.fit_one_cycle(1, learn.lr_find(show_plot=False).valley)
    return learn


def test_a_search_of_a_learning_rate_gives_again_what_it_found(tmp_path):
    whole = searching(tmp_path / "whole")
    with pytest.raises(InterruptedError):
        searching(tmp_path / "cut", 44)
    again = searching(tmp_path / "cut")
    assert same_weights(again, whole)


class Cut(Callback):
    """Breaks a fit off within a validation pass, or behind it; goes before the callbacks that it is to precede."""

    def __init__(self, event: str, epoch: int) -> None:
        self.event, self.epoch = event, epoch

    def _cut(self, event: str, learn) -> None:
        if (event, learn.epoch) == (self.event, self.epoch):
            raise InterruptedError

    def before_validate(self, learn) -> None:
        self._cut("before_validate", learn)

    def after_validate(self, learn) -> None:
        self._cut("after_validate", learn)

    def after_epoch(self, learn) -> None:
        self._cut("after_epoch", learn)


class Seen(Callback):
    """Notes which validations it saw; a checkpoint keeps them."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def before_validate(self, learn) -> None:
        self.seen.append(f"before {learn.epoch}")

    def after_validate(self, learn) -> None:
        self.seen.append(f"after {learn.epoch}")

    def state(self) -> dict:
        return {"seen": list(self.seen)}

    def load_state(self, state) -> None:
        self.seen = list(state["seen"])


def watched(folder: Path, event: str = "", epoch: int = 0):
    seen = Seen()
    learn = lm_learner(path=folder)
    learn.checkpoint("run", steps=1, resume=True)
    learn.fit_one_cycle(
        3,
        2e-2,
        cbs=[
            ExponentialMovingAverage(0.9),
            seen,
            SaveModelCallback(fname="best"),
            ReduceLROnPlateau(min_delta=10.0),
            GradientAccumulation(12),
            JSONLLogger(),
            CSVLogger(),
            Cut(event, epoch),
        ],
    )
    return learn, seen


@pytest.mark.parametrize("epoch", [0, 1, 2])
@pytest.mark.parametrize("event", ["before_validate", "after_validate", "after_epoch"])
def test_a_validation_that_was_interrupted_is_made_again(event, epoch, tmp_path):
    whole, seen = watched(tmp_path / "whole")
    with pytest.raises(InterruptedError):
        watched(tmp_path / "cut", event, epoch if event != "after_epoch" else epoch + 1)
    again, seen_again = watched(tmp_path / "cut")
    assert same_weights(again, whole)
    assert without_time(again.history) == without_time(whole.history)
    assert list(again.recorder.losses) == list(whole.recorder.losses)
    assert seen_again.seen == seen.seen
    assert without_time(read_history(tmp_path / "cut/history.jsonl")) == without_time(whole.history)
    assert len((tmp_path / "cut/history.csv").read_text(encoding="utf-8").splitlines()) == 4


def without_time(history: list[dict]) -> list[dict]:
    return [{k: v for k, v in row.items() if k != "time"} for row in history]


class Told(Callback):
    """Is told to end at some event of some epoch, once or several times."""

    def __init__(self, event: str, epoch: int, times: int) -> None:
        self.event, self.epoch, self.times = event, epoch, times

    def _tell(self, event: str, learn) -> None:
        while self.times and (event, len(learn.history)) == (self.event, self.epoch):
            self.times -= 1
            signal.raise_signal(signal.SIGTERM)

    def before_batch(self, learn) -> None:
        self._tell("before_batch", learn)

    def before_validate(self, learn) -> None:
        self._tell("before_validate", learn)

    def after_epoch(self, learn) -> None:
        self._tell("after_epoch", learn)


def told(folder: Path, *when, every_epoch: bool, times: int = 1):
    learn = lm_learner(path=folder, cbs=[Told(*when, times)] if when else [])
    learn.checkpoint("run", resume=True)
    learn.checkpoints.every_epoch = every_epoch
    learn.fit_one_cycle(1, 1e-2)
    learn.fit_one_cycle(2, 1e-2)
    return learn


@pytest.mark.parametrize("every_epoch", [True, False])
@pytest.mark.parametrize("event", ["before_batch", "before_validate", "after_epoch"])
@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_a_signal_is_heard_wherever_it_comes(event, epoch, every_epoch, tmp_path, capsys):
    whole = told(tmp_path / "whole", every_epoch=every_epoch)
    at = epoch + 1 if event == "after_epoch" else epoch
    with pytest.raises(SystemExit) as stop:
        told(tmp_path / "cut", event, at, every_epoch=every_epoch)
    assert stop.value.code == 143
    assert "Interrupted; saved in" in capsys.readouterr().err
    again = told(tmp_path / "cut", every_epoch=every_epoch)
    assert same_weights(again, whole)
    assert without_time(again.history) == without_time(whole.history)


def test_a_second_signal_does_not_wait_and_what_is_saved_is_said(tmp_path, capsys):
    with pytest.raises(SystemExit):
        told(tmp_path, "before_batch", 0, every_epoch=False, times=2)
    assert "Interrupted before the first checkpoint" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        told(tmp_path, "before_batch", 1, every_epoch=False, times=2)
    assert "Interrupted; the last checkpoint is" in capsys.readouterr().err


def test_an_older_checkpoint_between_training_and_validation_is_refused(tmp_path):
    with pytest.raises(InterruptedError):
        watched(tmp_path, "before_validate", 1)
    path = tmp_path / "models" / "run.safetensors"
    facts, tensors = read_tensors(path, "checkpoint")
    facts["format_version"] = 1
    del facts["learner"]["validating"]
    write_tensors(path, tensors, "checkpoint", facts)
    with pytest.raises(FormatError, match="written by an older version in a validation pass"):
        watched(tmp_path)
