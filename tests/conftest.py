from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from ulmfit.models.config import AWDLSTMConfig
from ulmfit.pretrained import weights
from ulmfit.training.precision import supports_bf16

# The models of the tests are so small that a second thread only waits, for long on a busy machine.
torch.set_num_threads(1)

# Nor does a busy machine make a property false.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


@pytest.fixture
def bf16() -> None:
    """For tests that compute in bfloat16: not every processor can, and the library then says so or takes float32."""
    if not supports_bf16(torch.device("cpu")):
        pytest.skip("this processor has no bfloat16 arithmetic")


@pytest.fixture
def data_folder() -> Path:
    """The real data sets that slow tests use; they are not part of the project."""
    folder = Path(__file__).parents[1].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real data sets are not here (looked in ../shared/data)")
    return folder


@pytest.fixture(autouse=True)
def _seed() -> None:
    """Tests that draw from torch's global generator draw the same each time."""
    torch.manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> Iterator[None]:
    """Ctrl-C interrupts as in a terminal; a shell that starts the tests in the background lets it be ignored."""
    before = signal.getsignal(signal.SIGINT)
    if before == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session", autouse=True)
def _folders_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing is written where the user's own data sets and token ids are."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("ULMFIT_DATA", "ULMFIT_CACHE"):
            patch.setenv(name, str(tmp_path_factory.mktemp(name)))
        yield


@pytest.fixture(scope="session", autouse=True)
def without_bundled_models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Runs start from random weights unless a test says otherwise: a base of 30,000 words makes small runs long."""
    with pytest.MonkeyPatch.context() as patch:
        bundled = weights.BUNDLED
        patch.setattr(weights, "BUNDLED", tmp_path_factory.mktemp("nothing"))
        yield bundled


@pytest.fixture
def tiny_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs train very small models, for few steps."""
    config = AWDLSTMConfig(emb_sz=48, n_hid=64, n_layers=2)
    monkeypatch.setattr("ulmfit.training.recipes.size_config", lambda *_: config)
    monkeypatch.setattr("ulmfit.training.classifier_stages._MIN_STEPS", 15)
