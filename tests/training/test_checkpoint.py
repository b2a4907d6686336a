"""Checkpoints: a resumed fit ends with the weights of one that was never interrupted."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from learners import V, lm_learner
from safetensors import safe_open
from safetensors.torch import save_file

from ulmfit.errors import FormatError
from ulmfit.training.callbacks import Callback
from ulmfit.training.checkpoint import SaveCheckpoint, load_checkpoint, read_about, save_checkpoint
from ulmfit.training.tensor_file import read_tensors, write_tensors


class _Stop(Exception):
    pass


class _Interrupt(Callback):
    """Saves and breaks off after so many steps, as a power cut after a checkpoint would."""

    def __init__(self, at: int, path: Path) -> None:
        self.at, self.path = at, path

    def after_batch(self, learn) -> None:
        if learn.step == self.at:
            save_checkpoint(learn, self.path, {"note": "ü"})
        if learn.step == self.at + 1:  # work after the checkpoint is lost
            raise _Stop


@pytest.mark.parametrize("at", [1, 7, 18, 25])  # 18 steps are an epoch: its validation pass is still to come
def test_a_resumed_fit_gives_the_same_weights_bit_for_bit(at, tmp_path):
    whole = lm_learner()
    whole.fit_one_cycle(2, 1e-2)
    assert len(whole.dls.train) == 18
    first = lm_learner()
    with pytest.raises(_Stop):
        first.fit_one_cycle(2, 1e-2, cbs=[_Interrupt(at, tmp_path / "c")])
    torch.rand(3)  # the caller's stream does not matter
    second = lm_learner()
    assert load_checkpoint(second, tmp_path / "c") == {"note": "ü"} == read_about(tmp_path / "c")
    second.fit_one_cycle(2, 1e-2, resume=True)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[name]), name
    columns = ["steps", "train_loss", "valid_loss"]
    assert [[r[c] for c in columns] for r in second.history] == [[r[c] for c in columns] for r in whole.history]
    assert second.n_targets == whole.n_targets


def test_a_failed_write_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    path = tmp_path / "c"
    save_checkpoint(lm_learner(), path, {"n": 1})

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match=r"c cannot be written: No space left on device; the one before is still whole"):
        save_checkpoint(lm_learner(), path, {"n": 2})
    assert read_about(path) == {"n": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["c"]
    with pytest.raises(OSError, match=r"c/d cannot be written: \w[\w ]+$"):  # says nothing of names of its own
        save_checkpoint(lm_learner(), path / "d")


def test_checkpoints_are_saved_at_intervals(tmp_path):
    lm_learner().fit_one_cycle(1, 1e-2, cbs=[SaveCheckpoint(tmp_path / "never", seconds=1e6)])
    assert not (tmp_path / "never").exists()
    lm_learner().fit_one_cycle(1, 1e-2, cbs=[SaveCheckpoint(tmp_path / "always", seconds=0)])
    learn = lm_learner()
    load_checkpoint(learn, tmp_path / "always")
    assert (learn.step, learn.epoch, learn.validating) == (len(learn.dls.train), 1, False)


def test_what_is_no_checkpoint_is_refused(tmp_path):
    with pytest.raises(FormatError, match="no checkpoint to resume from"):
        load_checkpoint(lm_learner(), tmp_path / "c")
    save_checkpoint(lm_learner(), tmp_path / "c")
    content = (tmp_path / "c").read_bytes()
    (tmp_path / "short").write_bytes(content[:-100])
    (tmp_path / "text").write_text("hello", encoding="utf-8")
    (tmp_path / "other").write_bytes(content[:-100] + bytes([content[-100] ^ 1]) + content[-99:])
    for name in ("short", "text", "other"):
        with pytest.raises(FormatError, match="damaged"):
            load_checkpoint(lm_learner(), tmp_path / name)


def test_a_file_without_a_sum_is_read_and_one_with_another_refused(tmp_path):
    write_tensors(tmp_path / "c", {"x": torch.ones(2)}, "thing", {"n": 1})
    with safe_open(tmp_path / "c", framework="pt") as file:
        header = file.metadata()
    for crc, whole in ((None, True), ("abc", False), ("1", False)):
        facts = {"thing": header["thing"]} | ({} if crc is None else {"crc32": crc})
        save_file({"x": torch.ones(2)}, tmp_path / "c", facts)
        if whole:
            assert read_tensors(tmp_path / "c", "thing")[0] == {"n": 1}
        else:
            with pytest.raises(FormatError, match=r"is damaged: its numbers are not those that were written\. Take"):
                read_tensors(tmp_path / "c", "thing")


def test_the_checkpoint_of_another_model_is_refused_with_both_shapes(tmp_path):
    save_checkpoint(lm_learner(), tmp_path / "c")
    with pytest.raises(FormatError, match=r"embedding.weight has shape \(12, 8\) there and \(13, 8\) here"):
        load_checkpoint(lm_learner(V + 1), tmp_path / "c")
