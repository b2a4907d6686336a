"""What every program of the tutorials begins with: a folder in the shape of IMDb, and a pretrained language model."""

from __future__ import annotations

from pathlib import Path

import pytest
from bundles import language_model
from invented import make_reviews

from ulmfit.inference.bundle import save_bundle
from ulmfit.models.config import AWDLSTMConfig
from ulmfit.pretrained import weights

N = 120


@pytest.fixture
def imdb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small folder in the shape of IMDb where `untar_data` finds it. The programs write into the current folder."""
    texts, labels = make_reviews(N)
    folder = tmp_path / "mirror" / "imdb"
    for i, (text, label) in enumerate(zip(texts, labels, strict=True)):
        part = ("train", "test", "unsup")[i // 2 % 3]
        file = folder / part / ("" if part == "unsup" else label) / f"{i}_7.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n{texts[i - 2]}", encoding="utf-8")
    (folder / "README").write_text("Invented reviews.", encoding="utf-8")
    monkeypatch.setenv("ULMFIT_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setenv("ULMFIT_DATA", str(tmp_path / "home"))
    monkeypatch.setenv("ULMFIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def pretrained(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pretrained language model so small that a program of twenty epochs takes seconds."""
    folder = tmp_path_factory.mktemp("pretrained")
    config = AWDLSTMConfig(emb_sz=24, n_hid=32, n_layers=3)
    save_bundle(language_model([*make_reviews(100)[0], "I liked this movie because"], config), folder / "small")
    monkeypatch.setattr(weights, "BUNDLED", folder)
    return folder
