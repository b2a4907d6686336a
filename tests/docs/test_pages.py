"""Every block of Python in README and docs runs, and every command there exists."""

from __future__ import annotations

import re
import shlex
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
QUICK = {
    "README.md",
    *(f"docs/{name}.md" for name in ("text", "data", "models", "inference")),
    "docs/design/tokenizer.md",
}
WITH_PYTHON = [
    pytest.param(page, marks=[] if page in QUICK else pytest.mark.slow) for page in pages() if python_blocks(page)
]
# What a page does for minutes with the bundled model is done for seconds with a small one.
SMALLER = {"time_budget=120": "time_budget=8", "time_budget=180": "time_budget=8", "time_budget=600": "time_budget=8"}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What pages take for granted: a pretrained model, the current folder with some files, and names of data."""
    import matplotlib as mpl

    mpl.use("Agg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ULMFIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(ENCODERS, "gru", None)  # pages that add an entry leave none behind
    monkeypatch.setitem(CONFIGS, "gru", None)
    texts, labels = make_reviews(90)
    words = [*pd.read_csv(SAMPLE)["text"], *texts]
    config = AWDLSTMConfig(emb_sz=12, n_hid=16, n_layers=3)
    monkeypatch.setattr(weights, "BUNDLED", tmp_path / "bundled")
    save_bundle(language_model(words, config), tmp_path / "bundled" / "small")
    save_bundle(classifier(), tmp_path / "my-model")
    (tmp_path / "articles").mkdir()
    imdb = tmp_path / "mirror" / "imdb"
    monkeypatch.setenv("ULMFIT_MIRROR", str(imdb.parent))
    for i, (text, label) in enumerate(zip(texts, labels, strict=True)):
        (tmp_path / "articles" / f"{i}.txt").write_text(" ".join(texts[i : i + 3]), encoding="utf-8")
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
