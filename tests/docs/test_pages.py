"""Every block of Python in README and docs runs, and every command there exists."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import typer
from bundles import classifier, language_model
from invented import make_reviews
from snippets import ROOT, commands, pages, python_blocks, run_page, shell_lines, text_of

import ulmfit.text.all as everything
from ulmfit.cli import app, main
from ulmfit.elsewhere import Absent, Misspelt
from ulmfit.inference.bundle import save_bundle
from ulmfit.models.architectures import ENCODERS
from ulmfit.models.config import CONFIGS, AWDLSTMConfig
from ulmfit.pretrained import weights

SAMPLE = ROOT / "src" / "ulmfit" / "samples" / "tickets.csv"
# The other pages, or their commands, train for longer.
QUICK = {"docs/data.md", "docs/models.md", "docs/inference.md"}
QUICK |= {"docs/tutorials/your-language.md", *(page for page in pages() if page.startswith("docs/design/"))}
# Measurements of hours, on data that are not here: of their commands only the names and options are tested.
MEASUREMENTS = {"docs/benchmarks.md", "docs/design/pretraining.md"}
RUN = [page for page in pages() if page not in MEASUREMENTS and (python_blocks(page) or shell_lines(page))]
# What a page does for minutes with the bundled model is done for seconds with a small one.
SMALLER = {r"time_budget=\d+": "time_budget=3", r"--time-budget \w+": "--time-budget 3s"}
SMALLER |= {r"--vocab-size \d+": "--vocab-size 100"}
# Commands that are not run here, and why; what they begin with or hold.
NOT_RUN = {
    r"(\.venv/bin/)?pip |python3 -m venv|source |make ": "sets up an environment: .ci/run does",
    r"jupyter ": "waits for a browser; test_notebooks.py runs the notebooks",
    r"python benchmarks/": "takes minutes to days, and data that are not here",
    r"ulmfit train runs/": "is a benchmark",
    r"ulmfit demo": "takes minutes: tests/test_cli.py runs a shorter one",
    r"ulmfit serve": "waits for requests: tests/integrations/test_serve.py asks it",
    r"curl ": "asks that server",
    r"ulmfit predict .*--engine ray": "needs the extra ray: tests/integrations/test_ray.py",
    r"torchrun |accelerate ": "starts processes: tests/training/test_distributed.py",
    r"ulmfit convert": "needs files of fastai: tests/pretrained",
}
# Modules of extras, without which a command is passed over.
NEEDS = {"ulmfit export": ("onnx", "onnxruntime")}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a pretrained language model, so small that a page takes seconds."""
    folder = tmp_path_factory.mktemp("bundled")
    words = [*pd.read_csv(SAMPLE)["text"][::3], *make_reviews(90)[0]]
    save_bundle(language_model(words, AWDLSTMConfig(emb_sz=12, n_hid=16, n_layers=3)), folder / "en-small")
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
    for name in ("my-model", "demo-model"):
        save_bundle(classifier(), tmp_path / name)
        save_bundle(language_model(texts), tmp_path / name / "language_model")
    write_files(tmp_path, texts, [*classifier().labels] * 30)
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


def write_files(folder: Path, texts: list[str], labels: list[str]) -> None:
    """The files of their own that README and the guide speak of."""
    reviews = pd.DataFrame({"review": texts, "sentiment": labels})
    for name in ("reviews.csv", "test.csv"):
        reviews.to_csv(folder / name, index=False)
    reviews[["review"]].to_csv(folder / "more-reviews.csv", index=False)
    reviews[["review"]].rename(columns={"review": "text"}).to_csv(folder / "new.csv", index=False)
    reviews[["review"]].rename(columns={"review": "body"}).to_csv(folder / "notes.csv", index=False)
    topics = [f"{label};film" if i % 3 else label for i, label in enumerate(labels)]
    pd.DataFrame({"text": texts, "labels": topics}).to_csv(folder / "tickets.csv", index=False)
    long = pd.DataFrame({"text": [" ".join(texts[i % 60 : i % 60 + 30]) for i in range(200)]})
    pd.DataFrame({"text": texts, "label": labels}).to_csv(folder / "tweets.csv", index=False)
    for name in ("articles", "wiki", "parts"):
        (folder / name).mkdir()
        (long if name != "parts" else long[:5]).to_parquet(folder / name / "0.parquet")
    long.to_parquet(folder / "wiki-0.parquet")
    varied = pd.read_csv(SAMPLE)["text"]  # enough words for a hundred subwords
    pd.DataFrame({"text": [" ".join(varied[i : i + 5]) for i in range(200)]}).to_parquet(folder / "dewiki.parquet")


def run_command(line: str) -> None:
    """Run a line of the shell in this process, but for commands of NOT_RUN and those whose extra is missing."""
    needed = [module for begin, modules in NEEDS.items() if line.startswith(begin) for module in modules]
    if any(re.match(pattern, line) for pattern in NOT_RUN) or not all(map(find_spec, needed)):
        return
    program, *given = shlex.split(line)
    if program == "python":
        assert given[0] == "-c", line
        exec(given[1], {"__name__": "__main__"})  # noqa: S102 - it is the documentation
        return
    assert program == "ulmfit", line
    known = {option for parameter in command_of(given[0]).params for option in parameter.opts}
    # A page may show two ways to one folder; so small a model need not become faster when it is exported.
    given += [option for option in ("--overwrite", "--force") if option in known]
    with pytest.raises(SystemExit) as stopped:
        main(given)
    assert not stopped.value.code, line


def command_of(name: str) -> Any:
    command = typer.main.get_command(app).commands.get(name)  # type: ignore[attr-defined]
    assert command is not None, f"there is no command {name}"
    return command


@pytest.mark.parametrize("page", [pytest.param(p, marks=[] if p in QUICK else pytest.mark.slow) for p in RUN])
def test_the_python_and_the_commands_of_a_page_run(
    page: str, world: dict[str, object], monkeypatch: pytest.MonkeyPatch, tiny_models: None
) -> None:
    config = AWDLSTMConfig(emb_sz=12, n_hid=16, n_layers=2)
    monkeypatch.setattr("ulmfit.training.pretrain_job.size_config", lambda *_: config)
    monkeypatch.setattr("ulmfit.training.classifier_stages.default_epochs", lambda n: 1)
    monkeypatch.setattr("ulmfit.training.lm_stage.default_lm_epochs", lambda n, **_: 1)
    run_page(page, world, SMALLER, run_command)


def test_commands_that_are_not_run_are_there() -> None:
    lines = [line for page in pages() for _, line in shell_lines(page)]
    assert len(lines) > 60
    for pattern, reason in NOT_RUN.items():
        assert reason
        assert any(re.match(pattern, line) for line in lines), pattern


@pytest.mark.parametrize("page", pages())
def test_the_commands_of_a_page_exist(page: str) -> None:
    for line in commands(page):
        name, *given = shlex.split(line)
        known = {option for parameter in command_of(name).params for option in parameter.opts} | {"--help"}
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


def shown() -> list[str]:
    """The modules, classes and functions that the reference shows."""
    return [name for page in pages() for name in re.findall(r"^::: (\S+)$", text_of(page), re.MULTILINE)]


def test_what_the_reference_shows_exists() -> None:
    assert len(shown()) > 30
    for name in shown():
        module, _, thing = name.rpartition(".")
        assert hasattr(import_module(module), thing) or import_module(name)


def test_the_reference_shows_every_name_of_the_star_import() -> None:
    missing = []
    for name in everything.__all__:
        thing = getattr(everything, name)
        module = getattr(thing, "__module__", None) or ""
        if isinstance(thing, Absent | Misspelt):
            continue  # they only say what to use instead
        if callable(thing) and module.startswith("ulmfit.") and not {module, f"{module}.{thing.__name__}"} & {*shown()}:
            missing.append(f"{name} of {module}")
    assert missing == []


def test_tables_of_results_are_what_their_rows_give():
    script = ROOT / "benchmarks" / "results_render.py"
    done = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
