"""The documentation can be built, and a warning is an error."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from snippets import ROOT, text_of

BUILD = ["mkdocs", "build", "--strict"]


def build(to: Path, *more: object) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("mkdocs", reason="needs the extra docs")
    command = [sys.executable, "-m", *BUILD, "-d", str(to), *map(str, more)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=False)


def test_make_builds_as_these_tests_do() -> None:
    # --quiet would drop warnings before strict mode counts them
    assert [line.split("/")[-1] for line in text_of("Makefile").splitlines() if "mkdocs build" in line] == [
        " ".join(BUILD)
    ]


@pytest.mark.slow
def test_the_site_builds_strictly(tmp_path):
    pytest.importorskip("mkdocs_jupyter", reason="needs the extra docs")
    pytest.importorskip("mkdocstrings_handlers.python", reason="needs the extra docs")
    done = build(tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "coming-from-fastai" / "index.html").is_file()
    assert "text_classifier_learner" in (tmp_path / "api" / "training" / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("link", ["", "[a page](other.md)", "[a part](other.md#there)"])
def test_a_site_whose_links_lead_somewhere_builds(link: str, tmp_path: Path) -> None:
    done = build(tmp_path / "site", "-f", small_site(tmp_path, link))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("link", ["[a page](missing.md)", "[a part](other.md#missing)", "[a picture](missing.png)"])
def test_a_dead_link_stops_the_build(link: str, tmp_path: Path) -> None:
    done = build(tmp_path / "site", "-f", small_site(tmp_path, link))
    assert done.returncode != 0
    assert "missing" in done.stderr


def small_site(folder: Path, link: str) -> Path:
    """Settings like those of the site, of two pages of which the first holds the link."""
    docs = folder / "docs"
    docs.mkdir()
    (docs / "index.md").write_text(f"# Small\n\n{link}\n", encoding="utf-8")
    (docs / "other.md").write_text("# Other\n\n## There\n", encoding="utf-8")
    settings = folder / "mkdocs.yml"
    lines = (
        f"INHERIT: {(ROOT / 'mkdocs.yml').as_posix()}\ndocs_dir: docs\nnav: [index.md, other.md]\nplugins: [search]\n"
    )
    settings.write_text(lines, encoding="utf-8")
    return settings
