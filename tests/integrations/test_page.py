"""The page of `ulmfit serve`, in a real headless Chromium.

`ULMFIT_PICTURE=FILE.png` keeps a picture of it.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from bundles import classifier

from ulmfit.inference.explain import explain
from ulmfit.inference.predictor import Predictor
from ulmfit.integrations.serve import Limits, listen, server

CHROMIUM = next(filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "google-chrome"))), None)
TEXT = "Coffee was late, the parcel came twice"
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")]


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(classifier())


@pytest.fixture(scope="module")
def address(predictor: Predictor) -> Iterator[str]:
    place = listen("127.0.0.1", 0)
    running = server(predictor, limits=Limits(texts=3, body=2_000), name="my-model")
    thread = threading.Thread(target=running.run, kwargs={"sockets": [place]})
    thread.start()
    while not running.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{place.getsockname()[1]}"
    running.should_exit = True
    thread.join(20)


@pytest.fixture(scope="module")
def open_page(address: str) -> Iterator[Callable[[], Any]]:
    """Opens the page anew. At the end nothing may have been asked of any other address, nor any error been logged."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
    asked: list[str] = []
    wrong: list[str] = []
    with playwright.sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])

        def new() -> Any:
            page = browser.new_page(viewport={"width": 800, "height": 620})
            page.set_default_timeout(20_000)
            page.on("request", lambda request: asked.append(request.url))
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.goto(address)
            return page

        yield new
        browser.close()
    assert asked
    assert [url for url in asked if not url.startswith((address, "blob:"))] == []
    assert wrong == []


def test_a_text_gets_bars_and_coloured_words(open_page: Callable[[], Any], predictor: Predictor) -> None:
    page = open_page()
    page.wait_for_function("document.title === 'my-model'")
    page.fill("#text", TEXT)
    page.click("#go")
    page.wait_for_selector("#words span")
    answer = predictor.predict(TEXT)
    best_first = sorted(answer.probabilities.items(), key=lambda item: -item[1])
    rows = [row.inner_text().split() for row in page.query_selector_all("#bars .row")]
    assert rows == [[label, f"{p:.3f}"] for label, p in best_first]
    widths = page.eval_on_selector_all("#bars .bar", "bars => bars.map(bar => bar.getBoundingClientRect().width)")
    assert widths == sorted(widths, reverse=True)
    assert widths[0] / widths[1] == pytest.approx(best_first[0][1] / best_first[1][1], rel=0.02)
    found = explain(predictor, TEXT)
    assert [span.inner_text() for span in page.query_selector_all("#words span")] == list(found.tokens)
    titles = page.eval_on_selector_all("#words span", "all => all.map(span => Number(span.title))")
    assert titles == pytest.approx(list(found.contributions), abs=1e-3)
    if picture := os.environ.get("ULMFIT_PICTURE"):
        page.screenshot(path=picture)


def test_an_empty_text_is_told_and_what_was_there_is_gone(open_page: Callable[[], Any]) -> None:
    page = open_page()
    page.fill("#text", TEXT)
    page.click("#go")
    page.wait_for_selector("#bars .row")
    page.fill("#text", "  ")
    page.click("#go")
    page.wait_for_function("document.getElementById('error').textContent.includes('empty')")
    assert page.query_selector_all("#bars .row") == []


def test_a_text_is_shown_as_it_is(open_page: Callable[[], Any]) -> None:
    page = open_page()
    page.fill("#text", "<img src=x onerror=alert(1)> coffee")
    page.click("#go")
    page.wait_for_selector("#words span")
    assert page.query_selector("#words img") is None


def test_a_table_is_labelled_within_the_limits(
    open_page: Callable[[], Any], predictor: Predictor, tmp_path: Path
) -> None:
    texts = [
        "coffee",
        'he said "late", twice',
        "two\nlines",
        "é ü 咖啡 coffee",
        "parcel " * 150,
        "late " * 150,
        "coffee",
    ]
    source = pd.DataFrame({"id": [f"00{i}" for i in range(len(texts))], "text": texts})
    source.to_csv(tmp_path / "in.csv", index=False, encoding="utf-8-sig")
    page = open_page()
    page.set_input_files("#file", tmp_path / "in.csv")
    page.wait_for_selector("#state a")
    with page.expect_download() as downloading:
        page.click("#state a")
    downloading.value.save_as(tmp_path / "out.csv")
    assert downloading.value.suggested_filename == "labelled.csv"
    labelled = pd.read_csv(tmp_path / "out.csv", dtype={"id": str})
    pd.testing.assert_frame_equal(labelled[["id", "text"]], source)
    answers = predictor.predict(texts)
    assert labelled["prediction"].tolist() == [answer.label for answer in answers]
    assert labelled["probability"].tolist() == pytest.approx([answer.probability for answer in answers], abs=1e-5)


@pytest.mark.parametrize(
    ("content", "said"),
    [("body\nhello\n", "no column text; it has body"), ('text\nhello\n" "\n', "row 2 below the header has no text")],
)
def test_a_table_that_cannot_be_labelled(open_page: Callable[[], Any], tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "in.csv").write_text(content, encoding="utf-8")
    page = open_page()
    page.set_input_files("#file", tmp_path / "in.csv")
    page.wait_for_function(f"document.getElementById('error').textContent.includes({said!r})")
