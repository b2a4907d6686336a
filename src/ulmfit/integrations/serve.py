"""A model over HTTP: answers, explanations, figures for monitoring, and a page for people.

Needs the extra `serve`.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Any

from ulmfit._version import __version__
from ulmfit.errors import ConfigError, DataError, MissingExtraError, UlmfitError, named
from ulmfit.inference.answers import Prediction, TextPredictor, check_texts

try:
    import uvicorn
    from fastapi import FastAPI, HTTPException, Request
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
    from pydantic import BaseModel, ConfigDict
except ImportError as missing:
    raise MissingExtraError("fastapi", "serve") from missing

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_TOO_LARGE, _UNPROCESSABLE = 413, 422


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a request may ask for.

    Args:
        body: bytes.
        texts: of a request.
        characters: of a text.
        batch: texts that are read together, of one request or of several that wait.
    """

    body: int = 4_000_000
    texts: int = 256
    characters: int = 100_000
    batch: int = 32

    def __post_init__(self) -> None:
        wrong = [f"{name}={value}" for name, value in vars(self).items() if value < 1]
        if wrong:
            raise ConfigError(f"limits must be at least 1: {', '.join(wrong)}")


class PredictRequest(BaseModel):
    """One text, or several."""

    model_config = ConfigDict(extra="forbid", strict=True)
    text: str | None = None
    texts: list[str] | None = None


class ExplainRequest(BaseModel):
    """A text, and the class to explain (by default the likeliest)."""

    model_config = ConfigDict(extra="forbid", strict=True)
    text: str
    label: str | None = None


class Batcher:
    """Answers requests together that arrive while the model is busy; one that finds it idle does not wait.

    Args:
        predictor: the model.
        size: texts that are read together.
    """

    def __init__(self, predictor: TextPredictor, size: int) -> None:
        self.predictor = predictor
        self.size = size
        self.worker = ThreadPoolExecutor(1, thread_name_prefix="ulmfit")
        self._waiting: asyncio.Queue[tuple[list[str], asyncio.Future[list[Prediction]]]] = asyncio.Queue()

    async def predict(self, texts: list[str]) -> list[Prediction]:
        """Answers to texts that were checked."""
        answer: asyncio.Future[list[Prediction]] = asyncio.get_running_loop().create_future()
        await self._waiting.put((texts, answer))
        return await answer

    async def run(self) -> None:
        """Answer until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            batch = [await self._waiting.get()]
            while sum(len(texts) for texts, _ in batch) < self.size and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            together = [text for texts, _ in batch for text in texts]
            try:
                answers = await loop.run_in_executor(self.worker, self._read, together)
            except Exception as error:
                for _, answer in batch:
                    if not answer.done():
                        answer.set_exception(error)
                continue
            for texts, answer in batch:
                mine, answers = answers[: len(texts)], answers[len(texts) :]
                if not answer.done():  # its client may have gone
                    answer.set_result(mine)

    def _read(self, texts: list[str]) -> list[Prediction]:
        return self.predictor.predict(texts, batch_size=self.size)


class Monitor:
    """Counts requests for Prometheus."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()
        self.seconds: dict[str, float] = {}
        self.texts = 0

    def render(self) -> str:
        """The counts in Prometheus' text format."""
        lines = ["# TYPE ulmfit_requests_total counter"]
        lines += [
            f'ulmfit_requests_total{{path="{path}",status="{status}"}} {n}'
            for (path, status), n in sorted(self.requests.items())
        ]
        lines.append("# TYPE ulmfit_request_seconds_total counter")
        lines += [f'ulmfit_request_seconds_total{{path="{path}"}} {s:.6f}' for path, s in sorted(self.seconds.items())]
        return "\n".join([*lines, "# TYPE ulmfit_texts_total counter", f"ulmfit_texts_total {self.texts}", ""])


class BodyLimit:
    """Refuses bodies beyond a number of bytes, whether they tell their size or not.

    Args:
        app: what answers the others.
        most: bytes.
    """

    def __init__(self, app: Callable[..., Awaitable[None]], most: int) -> None:
        self.app, self.most = app, most

    async def __call__(self, scope: MutableMapping[str, Any], receive: _Receive, send: _Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body, more = bytearray(), True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self.most:
                refusal = _refuse(_TOO_LARGE, f"the body has more than {self.most:,} bytes")
                await refusal(scope, receive, send)
                return
        read = False

        async def replay() -> _Message:
            nonlocal read
            if read:
                return await receive()
            read = True
            return {"type": "http.request", "body": bytes(body), "more_body": False}

        await self.app(scope, replay, send)


def create_app(predictor: TextPredictor, *, limits: Limits | None = None, name: str = "model") -> FastAPI:
    """The application: /predict, /explain, /labels, /health, /metrics, /openapi.json, and a page at /.

    Args:
        predictor: the model.
        limits: what a request may ask for.
        name: of the model, for the page.
    """
    limits = limits or Limits()
    batcher, monitor = Batcher(predictor, limits.batch), Monitor()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(batcher.run())
        yield
        task.cancel()
        batcher.worker.shutdown()

    # The viewers that fastapi brings load their code from elsewhere; /openapi.json is all that they show.
    app = FastAPI(title=f"ulmfit: {name}", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.add_middleware(BodyLimit, most=limits.body)
    _add_errors(app)
    _add_monitor(app, monitor)
    _add_model(app, predictor, batcher, monitor, limits)
    page = files("ulmfit.integrations").joinpath("page.html").read_text(encoding="utf-8")

    @app.head("/", include_in_schema=False)
    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def index() -> str:
        return page

    @app.head("/health", include_in_schema=False)
    @app.get("/health")
    async def health() -> dict[str, Any]:
        return {"status": "ok", "model": name, "ulmfit": __version__, "limits": asdict(limits)}

    return app


def _add_model(app: FastAPI, predictor: TextPredictor, batcher: Batcher, monitor: Monitor, limits: Limits) -> None:
    @app.get("/labels")
    async def labels() -> dict[str, Any]:
        return {"task": predictor.task, "labels": list(predictor.labels)}

    @app.post("/predict")
    async def predict(request: PredictRequest) -> dict[str, Any]:
        if (request.text is None) == (request.texts is None):
            raise DataError("give either text, a string, or texts, a list of strings")
        texts = [request.text] if request.text is not None else request.texts or []
        _check(texts, limits)
        answers = await batcher.predict(texts) if texts else []
        monitor.texts += len(texts)
        if request.text is not None:
            return answers[0].to_dict()
        return {"predictions": [answer.to_dict() for answer in answers]}

    @app.post("/explain")
    async def explain_text(request: ExplainRequest) -> dict[str, Any]:
        from ulmfit.inference.explain import explain  # brings torch, which an exported model does without

        _check([request.text], limits)
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            batcher.worker, lambda: explain(predictor, request.text, label=request.label)
        )
        monitor.texts += 1
        return found.to_dict()


def _check(texts: list[str], limits: Limits) -> None:
    if len(texts) > limits.texts:
        raise HTTPException(_TOO_LARGE, f"{len(texts):,} texts; at most {limits.texts:,} may be in a request")
    longest = max(map(len, texts), default=0)
    if longest > limits.characters:
        raise HTTPException(_TOO_LARGE, f"a text has {longest:,} characters; at most {limits.characters:,} are read")
    check_texts(texts)


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(UlmfitError)
    async def refuse(_: Request, error: UlmfitError) -> JSONResponse:
        return _refuse(_UNPROCESSABLE, str(error))

    @app.exception_handler(RequestValidationError)
    async def refuse_shape(_: Request, error: RequestValidationError) -> JSONResponse:
        reasons = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        return _refuse(_UNPROCESSABLE, named(reasons, between="; "))


def _refuse(status: int, reason: str) -> JSONResponse:
    return JSONResponse({"detail": reason.encode("utf-8", "replace").decode()}, status)


def _add_monitor(app: FastAPI, monitor: Monitor) -> None:
    known = {"/", "/health", "/labels", "/predict", "/explain", "/metrics", app.openapi_url}

    @app.middleware("http")
    async def count(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        started, status = time.perf_counter(), 500
        try:
            response = await answer(request)
            status = response.status_code
            return response
        finally:
            asked = request.url.path  # counted by name only if it is one: anybody may ask for anything
            path = asked if asked in known else "other"
            monitor.requests[path, status] += 1
            monitor.seconds[path] = monitor.seconds.get(path, 0.0) + time.perf_counter() - started

    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> str:
        return monitor.render()


def listen(host: str, port: int) -> socket.socket:
    """A socket at an address.

    Raises:
        ConfigError: the port is in use, or there is no such address.
    """
    if not 0 <= port < 65536:
        raise ConfigError(f"port={port} must be from 0 (any that is free) to 65535")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With its protocol named, as asyncio sends small answers at once on such sockets only: 56 ms against 13 ms.
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
    except OSError as error:
        found.close()
        raise ConfigError(f"cannot listen at {host}, port {port}: {error.strerror}; give another --port") from error
    return found


def serve(predictor: TextPredictor, place: socket.socket, *, limits: Limits | None = None, name: str = "model") -> None:
    """Answer requests until interrupted; those that have begun are finished.

    Args:
        predictor: the model.
        place: where to listen, as `listen` gives it.
        limits: what a request may ask for.
        name: of the model.
    """
    server(predictor, limits=limits, name=name).run(sockets=[place])


def server(predictor: TextPredictor, *, limits: Limits | None = None, name: str = "model") -> uvicorn.Server:
    """The server that `serve` runs."""
    app = create_app(predictor, limits=limits, name=name)
    return uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=30))
