from __future__ import annotations

from pathlib import Path

import pytest
import torch

# The models of the tests are so small that a second thread only waits, for long on a busy machine.
torch.set_num_threads(1)


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
