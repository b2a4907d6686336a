"""Every block of Python in README and docs runs, and every command there exists."""

from __future__ import annotations

import re
import shlex
from importlib import import_module
from pathlib import Path

import pandas as pd
import pytest
import typer
from bundles import classifier, language_model
from invented import make_reviews
from snippets import ROOT, commands, pages, python_blocks, run_page, text_of

from ulmfit.cli import app
from ulmfit.inference.bundle import save_bundle
from ulmfit.models.architectures import ENCODERS
from ulmfit.models.config import CONFIGS, AWDLSTMConfig
from ulmfit.pretrained import weights

SAMPLE = ROOT / "src" / "ulmfit" / "samples" / "tickets.csv"
# The other pages train for longer.
QUICK = {"README.md", "docs/data.md", "docs/models.md", "docs/inference.md", "docs/design/tokenizer.md"}
WITH_PYTHON = [
    pytest.param(page, marks=[] if page in QUICK else pytest.mark.slow) for page in pages() if python_blocks(page)
]
# What a page does for minutes with the bundled model is done for seconds with a small one.
SMALLER = {"time_budget=120": "time_budget=8", "time_budget=180": "time_budget=8", "time_budget=600": "time_budget=8"}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a pretrained language model, so small that a page takes seconds."""
    folder = tmp_path_factory.mktemp("bundled")
    words = [*pd.read_csv(SAMPLE)["text"][::3], *make_reviews(90)[0]]
    save_bundle(language_model(words, AWDLSTMConfig(emb_sz=12, n_hid=16, n_layers=3)), folder / "small")
    return folder


@pytest.fixture
def world(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What pages take for granted: a pretrained model, the current folder with some files, and names of data."""
    import matplotlib as mpl

    mpl.use("Agg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ULMFIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(ENCODERS, "gru", None)  # pages that add an entry leave none behind
    monkeypatch.setitem(CONFIGS, "gru", None)
    texts, labels = make_reviews(90)
    monkeypatch.setattr(weights, "BUNDLED", base)
    save_bundle(classifier(), tmp_path / "my-model")
    (tmp_path / "articles").mkdir()
    imdb = tmp_path / "mirror" / "imdb"
    monkeypatch.setenv("ULMFIT_MIRROR", str(imdb.parent))
    for i, (text, label) in enumerate(zip(texts, labels, strict=True)):
        if i < 40:
            (tmp_path / "articles" / f"{i}.txt").write_text(" ".join(texts[i : i + 12]), encoding="utf-8")
        file = imdb / ("train", "test")[i // 2 % 2] / label / f"{i}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    frame = pd.DataFrame({"review": texts, "text": texts, "title": labels, "body": texts, "stars": labels})
    frame["topics"] = ["praise;film", "film", "music"] * 30
    frame["is_valid"] = [i % 5 == 0 for i in range(90)]
    for name in ("train.csv", "dev.csv"):
        frame[["text", "stars"]].rename(columns={"stars": "label"}).to_csv(imdb / name, index=False)
    labels = [*classifier().labels] * 30
    more = {"more_texts": texts, "new_texts": texts[:3], "test_texts": texts[:9], "test_labels": labels[:9]}
    return {"__name__": "__main__", "path": imdb, "frame": frame, "texts": texts, "labels": labels} | more


@pytest.mark.parametrize("page", WITH_PYTHON)
def test_the_python_of_a_page_runs(page: str, world: dict[str, object]) -> None:
    run_page(page, world, SMALLER)


@pytest.mark.parametrize("page", pages())
def test_the_commands_of_a_page_exist(page: str) -> None:
    root = typer.main.get_command(app)
    for line in commands(page):
        name, *given = shlex.split(line.split(" | ")[0])
        command = root.commands.get(name)  # type: ignore[attr-defined]
        assert command is not None, f"{page}: ulmfit {line}"
        known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        wanted = {word.split("=")[0] for word in given if re.match(r"--\w", word)}
        assert wanted <= known, f"{page}: ulmfit {line}"


def test_a_worked_example_is_short() -> None:
    for name in ("architecture", "tokenizer", "task"):
        lines = [line for _, code in python_blocks(f"docs/design/{name}.md") for line in code.splitlines()]
        assert 10 < len(lines) < 60


def test_links_between_pages_lead_somewhere() -> None:
    for page in pages():
        for target in re.findall(r"\]\(([^)#\s]+\.(?:md|ipynb|py))(?:#[^)]*)?\)", text_of(page)):
            if "://" not in target:
                assert (ROOT / page).parent.joinpath(target).exists(), f"{page}: {target}"


def test_the_speeds_of_readme_are_those_of_the_page_on_models() -> None:
    table = text_of("README.md").partition("### Speed")[2].partition("## Documents")[0]
    lines = [line for line in table.splitlines() if line.startswith("| ")]
    rows = [[cell.strip() for cell in line.split("|")[2:-1]] for line in lines[1:]]
    there = [line for line in text_of("docs/models.md").splitlines() if line.startswith("| ")]
    assert len(rows) >= 4
    for row in rows:
        assert any(all(f" {figure} " in line for figure in row) for line in there), row


def test_what_the_reference_shows_exists() -> None:
    shown = [name for page in pages() for name in re.findall(r"^::: (\S+)$", text_of(page), re.MULTILINE)]
    assert len(shown) > 30
    for name in shown:
        module, _, thing = name.rpartition(".")
        assert hasattr(import_module(module), thing) or import_module(name)
