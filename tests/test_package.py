from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import ulmfit

SAMPLE = Path(ulmfit.__file__).parent / "samples" / "tickets.csv"


def test_every_public_name_is_there():
    for name in ulmfit.__all__:
        assert getattr(ulmfit, name) is not None
    assert set(ulmfit.__all__) <= set(dir(ulmfit))
    with pytest.raises(AttributeError, match="it has ConfigError"):
        _ = ulmfit.classify


def test_the_sample_is_what_the_demonstration_promises():
    table = pd.read_csv(SAMPLE)
    assert list(table.columns) == ["text", "label"]
    assert len(table) >= 600
    assert table["label"].nunique() == 6
    assert table["label"].value_counts().min() >= 80
    plain = table["text"].str.lower().str.replace(r"\W+", " ", regex=True).str.strip()
    assert not plain.duplicated().any()
    assert plain.str.split().str.len().between(1, 200).all()


def test_the_sample_holds_no_contact_data():
    texts = "\n".join(pd.read_csv(SAMPLE)["text"])
    assert not re.findall(r"[\w.]+@[\w.]+\.\w+|https?://|\+?\d[\d ()/-]{9,}\d", texts)


@pytest.mark.slow
def test_import_and_help_are_quick():
    for arguments, limit in ((["-c", "import ulmfit"], 0.2), (["-m", "ulmfit", "--help"], 0.5)):
        bare = fastest([sys.executable, "-c", "pass"])
        assert fastest([sys.executable, *arguments]) - bare < limit


def fastest(command: list[str]) -> float:
    """Seconds of the quickest of five runs."""
    times = []
    for _ in range(5):
        started = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True)
        times.append(time.perf_counter() - started)
    return min(times)
