from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import ulmfit
from ulmfit.data.loaders import Batch
from ulmfit.errors import ConfigError
from ulmfit.training.batch_norm import SharedBatchNorm
from ulmfit.training.distributed import Processes

PROGRAM = """
import json, sys, torch
torch.set_num_threads(1)
from pathlib import Path
from learners import CONFIG, classifier_learner, documents, lm_learner
import learners
from ulmfit.data.loaders import ClassifierLoader
from ulmfit.training.callbacks import Callback, GradientAccumulation
learners.CONFIG = CONFIG.scaled(0.0)  # dropout would draw other masks in each process

class Steps(Callback):
    n = 0
    def after_step(self, learn):
        self.n += 1

def classifier(**settings):
    learn = classifier_learner(**settings)
    labels = [i % 12 // 6 for i in range(59)]
    # Batches of 7 rows, which two processes cannot share evenly, and a last one of 3, which the first keeps for itself.
    object.__setattr__(learn.dls, "train", ClassifierLoader(documents(59), labels, bs=7, shuffle=True))
    for module in learn.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return learn

result = {}
for name, make, cbs in (
    ("lm", lm_learner, []), ("classifier", classifier, []), ("accumulated", classifier, [GradientAccumulation(20)])
):
    steps = Steps()
    metrics = ["accuracy", "perplexity"] if name == "lm" else ["accuracy", "f1"]
    learn = make(metrics=metrics, clip=0.5, cbs=[*cbs, steps])
    if learn.processes.rank:
        torch.nn.init.zeros_(next(learn.model.parameters()))  # the first process's weights count
    learn.freeze_to(-2)
    learn.fit_one_cycle(1, 1e-3)
    learn.unfreeze()
    learn.fit_one_cycle(2, 1e-3, seconds=1000)
    learn.path = Path(sys.argv[1])
    learn.save(name)  # the first process writes, the others wait for it
    learn.load(name)
    state = torch.cat([t.detach().double().flatten() for t in learn.model.state_dict().values()])
    rows = [{k: v for k, v in row.items() if k != "time"} for row in learn.history]
    result[name] = {"rows": rows, "state": state.tolist(), "n": learn.processes.n, "steps": steps.n}
Path(sys.argv[1], f"{learn.processes.rank}.json").write_text(json.dumps(result))
"""


def run(folder: Path, *launcher: str) -> dict:
    folder.mkdir()
    (folder / "program.py").write_text(PROGRAM, encoding="utf-8")
    path = os.pathsep.join([str(Path(ulmfit.__file__).parents[1]), str(Path(__file__).parents[1])])
    command = [sys.executable, *launcher, str(folder / "program.py"), str(folder)]
    env = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads((folder / "0.json").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_two_processes_train_as_one_with_the_same_total_batch(tmp_path):
    one = run(tmp_path / "one")
    # `accelerate launch --cpu` of accelerate 1.x starts a single process unless there is MPI; torchrun starts two.
    two = run(tmp_path / "two", "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    for name in ("lm", "classifier", "accumulated"):
        assert [two[name]["n"], one[name]["n"]] == [2, 1]
        assert two[name]["steps"] == one[name]["steps"]
        for row, other in zip(one[name]["rows"], two[name]["rows"], strict=True):
            assert other == pytest.approx(row, rel=1e-4)
        assert two[name]["state"] == pytest.approx(one[name]["state"], rel=1e-3, abs=1e-5)
    ranks = [json.loads((tmp_path / "two" / f"{i}.json").read_text(encoding="utf-8")) for i in (0, 1)]
    assert ranks[0] == ranks[1]  # weights and running statistics too


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_batch_norm_over_all_rows_in_any_precision(dtype: torch.dtype):
    """A process whose other one has the same rows sees the same statistics; the variance is that of twice the rows."""
    processes = Processes("cpu")
    processes.n, processes.sharing = 2, True
    processes.sum = lambda value: 2 * value  # type: ignore[method-assign]
    plain = torch.nn.BatchNorm1d(3, dtype=torch.promote_types(dtype, torch.float32))
    shared = SharedBatchNorm(copy.deepcopy(plain), processes)
    x = torch.randn(4, 3).to(dtype)
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        found, expected = shared(x), plain(torch.cat([x, x]).to(plain.weight.dtype))[:4]
    assert found.dtype == dtype
    torch.testing.assert_close(
        found.to(expected.dtype), expected, rtol=1e-2 if dtype == torch.bfloat16 else 1e-5, atol=1e-2
    )
    torch.testing.assert_close(shared.running_var, plain.running_var, rtol=1e-5, atol=1e-6)


def test_rows_are_shared_without_overlap():
    batch = Batch((torch.arange(14).view(7, 2), torch.arange(7)), torch.arange(7))
    seen = []
    for rank in range(3):
        processes = Processes("cpu")
        processes.rank, processes.n = rank, 3
        mine = processes.shard(batch)
        assert mine is not None
        assert mine.inputs[0][:, 0].tolist() == [2 * i for i in mine.target.tolist()]
        assert mine.inputs[1].tolist() == mine.target.tolist()
        seen += mine.target.tolist()
        few = Batch((batch.inputs[0][:5], batch.inputs[1][:5]), batch.target[:5])
        assert (processes.shard(few) is few) if rank == 0 else processes.shard(few) is None
    assert sorted(seen) == list(range(7))


def test_a_device_that_is_not_there():
    with pytest.raises(ConfigError, match="cannot be used here"):
        Processes("cuda:99")


def test_the_gpu_of_a_mac_is_used_only_where_it_is_asked_for(monkeypatch):
    from accelerate import PartialState

    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.mps, "is_built", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    PartialState._reset_state()  # it remembers the first device for the whole process
    try:
        assert Processes().device == torch.device("cpu")
        with pytest.raises(ConfigError, match="device='mps' cannot be used here"):
            Processes("mps")
    finally:
        PartialState._reset_state()
