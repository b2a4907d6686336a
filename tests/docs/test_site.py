"""The documentation can be built, and a warning is an error."""

from __future__ import annotations

import subprocess
import sys

import pytest
from snippets import ROOT


@pytest.mark.slow
def test_the_site_builds_strictly(tmp_path):
    pytest.importorskip("mkdocs", reason="needs the extra docs")
    pytest.importorskip("mkdocs_jupyter", reason="needs the extra docs")
    pytest.importorskip("mkdocstrings_handlers.python", reason="needs the extra docs")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(tmp_path)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "coming-from-fastai" / "index.html").is_file()
    assert "text_classifier_learner" in (tmp_path / "api" / "training" / "index.html").read_text(encoding="utf-8")
