from __future__ import annotations

import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from bundles import classifier

from ulmfit.errors import ConfigError
from ulmfit.inference.explain import explain
from ulmfit.inference.predictor import Predictor
from ulmfit.integrations.serve import Limits, listen, server

LIMITS = Limits(body=3000, texts=4, characters=500, batch=8)


@pytest.fixture(scope="module", params=["one direction", "two directions"])
def predictor(request: pytest.FixtureRequest) -> Predictor:
    one, other = classifier(), replace(classifier(seed=1), backwards=True)
    return Predictor(one if request.param == "one direction" else replace(one, backward=other))


@pytest.fixture(scope="module")
def ask(predictor: Predictor) -> Iterator[Callable[..., tuple[int, Any]]]:
    """Asks a running server, and gives status and answer."""
    place = listen("127.0.0.1", 0)
    running = server(predictor, limits=LIMITS, name="tests")
    thread = threading.Thread(target=running.run, kwargs={"sockets": [place]})
    thread.start()
    while not running.started:
        time.sleep(0.01)

    def ask(path: str, body: object = None, method: str | None = None) -> tuple[int, Any]:
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{place.getsockname()[1]}{path}",
            data,
            {"content-type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 (our own server)
                raw, status, kind = answer.read(), answer.status, answer.headers["content-type"]
        except urllib.error.HTTPError as error:
            with error:
                raw, status, kind = error.read(), error.code, error.headers["content-type"]
        return status, json.loads(raw) if raw and kind.startswith("application/json") else raw.decode()

    yield ask
    running.should_exit = True
    thread.join(20)
    assert not thread.is_alive()


def test_one_text_and_many(ask, predictor: Predictor):
    status, answer = ask("/predict", {"text": "late coffee"})
    assert status == 200
    assert answer["label"] == predictor.predict("late coffee").label
    assert answer["probabilities"] == pytest.approx(predictor.predict("late coffee").probabilities, abs=1e-6)
    texts = ["coffee", "the parcel came late", "twice"]
    status, answer = ask("/predict", {"texts": texts})
    assert [p["label"] for p in answer["predictions"]] == [p.label for p in predictor.predict(texts)]
    assert ask("/predict", {"texts": []}) == (200, {"predictions": []})


def test_many_clients_at_once_each_get_their_own_answer(ask, predictor: Predictor):
    texts = ["coffee " * (i % 7 + 1) + ("late" if i % 2 else "") for i in range(40)]
    expected = [p.probability for p in predictor.predict(texts)]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda text: ask("/predict", {"text": text}), texts))
    assert [status for status, _ in answers] == [200] * 40
    assert [answer["probability"] for _, answer in answers] == pytest.approx(expected, abs=1e-5)


def test_explanations(ask, predictor: Predictor):
    status, answer = ask("/explain", {"text": "late coffee", "label": "praise"})
    found = explain(predictor, "late coffee", label="praise")
    assert status == 200
    assert [t["contribution"] for t in answer["tokens"]] == pytest.approx(found.contributions, abs=1e-6)
    assert ask("/explain", {"text": "late", "label": "fraud"})[0] == 422


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ({}, 422, "either text, a string, or texts"),
        ({"text": "a", "texts": ["b"]}, 422, "either text, a string, or texts"),
        ({"text": ""}, 422, "text 1 is empty"),
        ({"text": None}, 422, "either text"),
        ({"text": 3}, 422, "body.text: Input should be a valid string"),
        ({"texts": ["a", " "]}, 422, "text 2 is empty"),
        ({"texts": ["a", 5]}, 422, "body.texts.1: Input should be a valid string"),
        ({"txt": "a"}, 422, "body.txt: Extra inputs"),
        (b"{", 422, "JSON"),
        (b'{"text": "\xff"}', 400, "error parsing the body"),
        ({"texts": ["a"] * 5}, 413, "5 texts; at most 4"),
        ({"text": "a" * 501}, 413, "501 characters; at most 500"),
        ({"text": "a" * 4000}, 413, "the body has more than 3,000 bytes"),
    ],
)
def test_bad_requests_say_why(ask, body: object, status: int, reason: str):
    got, answer = ask("/predict", body)
    assert (got, reason in answer["detail"]) == (status, True), answer


def test_odd_texts_are_answered(ask):
    for text in ("😀🎉", "\ud83d", "zzz qqq", "\x00"):
        assert ask("/predict", {"text": text})[0] == 200
        assert ask("/explain", {"text": text})[0] == 200


def test_what_the_server_says_of_itself(ask):
    assert ask("/labels") == (200, {"task": "single_label", "labels": ["billing", "delivery", "praise"]})
    assert ask("/health")[1]["status"] == "ok"
    assert ask("/health", method="HEAD") == ask("/", method="HEAD") == (200, "")
    ask("/predict", {"text": "late"})
    ask("/predict", {"text": "a" * 4000})
    status, figures = ask("/metrics")
    assert status == 200
    assert 'ulmfit_requests_total{path="/predict",status="413"}' in figures
    assert 'ulmfit_requests_total{path="/predict",status="200"}' in figures
    assert {"/predict", "/explain", "/labels", "/health", "/metrics"} <= ask("/openapi.json")[1]["paths"].keys()
    assert ask("/../../etc/passwd")[0] == 404
    assert 'path="/../../etc/passwd"' not in ask("/metrics")[1]


def test_the_page_needs_nothing_from_elsewhere(ask):
    status, page = ask("/")
    assert status == 200
    assert "<textarea" in page
    assert "http://" not in page
    assert "https://" not in page
    assert "src=" not in page


def test_a_port_in_use():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigError, match=r"cannot listen at 127\.0\.0\.1, port .*; give another --port"):
            listen("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(ConfigError, match="port=70000"):
        listen("127.0.0.1", 70000)
    with pytest.raises(ConfigError, match="texts=0"):
        Limits(texts=0)
