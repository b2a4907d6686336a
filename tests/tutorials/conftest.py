"""What every program of the tutorials begins with: a folder in the shape of IMDb, and a pretrained language model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bundles import language_model
from invented import make_reviews

from ulmfit.inference.bundle import save_bundle
from ulmfit.models.config import AWDLSTMConfig
from ulmfit.pretrained import weights

N = 120


@pytest.fixture(scope="module")
def patched() -> Iterator[pytest.MonkeyPatch]:
    """What is changed for all tests of a module: the cells of a program follow each other."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def imdb(tmp_path_factory: pytest.TempPathFactory, patched: pytest.MonkeyPatch) -> Path:
    """A small folder in the shape of IMDb where `untar_data` finds it. The programs write into the current folder."""
    tmp_path = tmp_path_factory.mktemp("programs")
    texts, labels = make_reviews(N)
    folder = tmp_path / "mirror" / "imdb"
    for i, (text, label) in enumerate(zip(texts, labels, strict=True)):
        part = ("train", "test", "unsup")[i // 2 % 3]
        file = folder / part / ("" if part == "unsup" else label) / f"{i}_7.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n{texts[i - 2]}", encoding="utf-8")
    (folder / "README").write_text("Invented reviews.", encoding="utf-8")
    patched.setenv("ULMFIT_MIRROR", str(tmp_path / "mirror"))
    patched.setenv("ULMFIT_DATA", str(tmp_path / "home"))
    patched.setenv("ULMFIT_CACHE", str(tmp_path / "cache"))
    patched.chdir(tmp_path)
    return folder


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory, patched: pytest.MonkeyPatch) -> Path:
    """A pretrained language model so small that a program of twenty epochs takes seconds."""
    folder = tmp_path_factory.mktemp("pretrained")
    config = AWDLSTMConfig(emb_sz=24, n_hid=32, n_layers=3)
    save_bundle(language_model([*make_reviews(100)[0], "I liked this movie because"], config), folder / "small")
    patched.setattr(weights, "BUNDLED", folder)
    return folder
