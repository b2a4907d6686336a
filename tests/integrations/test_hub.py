"""Up to a hub and down again; the hub is a stand-in on this machine."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ulmfit.errors import DataError, FormatError
from ulmfit.inference.bundle import LANGUAGE_MODEL, Bundle, load_bundle, save_bundle
from ulmfit.integrations.hub import from_hub, push_to_hub
from ulmfit.models.config import AWDLSTMConfig
from ulmfit.models.language_model import LanguageModel
from ulmfit.text.tokenizers import Tokenizer
from ulmfit.text.vocab import make_vocab

NOBODY = "of nobody"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class _Hub(BaseHTTPRequestHandler):
    """What the client asks of a hub to make a repository, commit files and read them."""

    repos: dict[str, dict[str, bytes]]

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self, value: object, status: int = 200, **headers: str) -> None:
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = self.path.split("?")[0].strip("/").split("/")
        if self.path == "/api/repos/create":
            wanted = json.loads(body)
            name = f"{wanted.get('organization') or 'me'}/{wanted['name']}"
            self.repos.setdefault(name, {})
            self._answer({"url": f"http://{self.headers['Host']}/{name}", "name": name})
        elif parts[-2] == "preupload":
            files = [f["path"] for f in json.loads(body)["files"]]
            self._answer({"files": [{"path": p, "uploadMode": "regular", "shouldIgnore": False} for p in files]})
        elif parts[-2] == "commit":
            repo = "/".join(parts[2:4])
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    self.repos[repo][entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            url = f"http://{self.headers['Host']}/{repo}/commit/{COMMIT}"
            self._answer({"success": True, "commitOid": COMMIT, "commitUrl": url, "hookOutput": ""})
        else:  # the check of the card's header
            self._answer({"errors": [], "warnings": []})

    def do_GET(self) -> None:
        parts = self.path.split("?")[0].strip("/").split("/")
        api = parts[0] == "api"
        repo = "/".join(parts[2:4] if api else parts[:2])
        if repo not in self.repos:
            self._answer({"error": "Repository not found"}, 404, X_Error_Code="RepoNotFound")
        elif api and "tree" in parts:
            self._answer([{"type": "file", "path": p, "size": len(c), "oid": _oid(c)} for p, c in self._files(repo)])
        elif api:
            siblings = [{"rfilename": p} for p, _ in self._files(repo)]
            self._answer({"id": repo, "modelId": repo, "sha": COMMIT, "siblings": siblings, "private": False})
        else:
            content = self.repos[repo]["/".join(parts[4:])]
            self._answer(content, X_Repo_Commit=COMMIT, ETag=f'"{_oid(content)}"')

    do_HEAD = do_GET

    def _files(self, repo: str) -> list[tuple[str, bytes]]:
        return sorted(self.repos[repo].items())


def _oid(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:40]


@pytest.fixture
def hub() -> Iterator[tuple[str, dict[str, dict[str, bytes]]]]:
    handler = type("Hub", (_Hub,), {"repos": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", handler.repos
    server.shutdown()
    server.server_close()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    tokenizer = Tokenizer()
    vocab = make_vocab(Counter(tokenizer("the cat sat on the mat")), min_freq=1)
    config = AWDLSTMConfig(emb_sz=6, n_hid=8, n_layers=2)
    bundle = Bundle(
        kind=LANGUAGE_MODEL,
        config=config,
        weights=LanguageModel(len(vocab), config).state_dict(),
        tokenizer=tokenizer,
        vocab=vocab,
        card="# A model\n",
    )
    save_bundle(bundle, tmp_path / "m", extra={"inner": lambda folder: save_bundle(bundle, folder)})
    return tmp_path / "m"


def test_a_model_goes_up_and_comes_down_the_same(hub, model, tmp_path):
    address, repos = hub
    url = push_to_hub(model, "me/tiny", token=NOBODY, endpoint=address)
    assert url.endswith(COMMIT)
    assert repos["me/tiny"].keys() == {str(p.relative_to(model).as_posix()) for p in model.rglob("*") if p.is_file()}
    found = from_hub("me/tiny", endpoint=address, cache_dir=tmp_path / "cache", token=False)
    one, other = load_bundle(model), load_bundle(found)
    assert all((one.weights[k] == other.weights[k]).all() for k in one.weights)
    assert load_bundle(found / "inner").vocab == one.vocab


def test_what_is_not_a_model_is_not_sent_nor_accepted(hub, model, tmp_path):
    address, repos = hub
    (model / "vocab.json").write_text("[]", encoding="utf-8")
    with pytest.raises(FormatError, match=r"vocab\.json"):
        push_to_hub(model, "me/tiny", token=NOBODY, endpoint=address)
    assert repos == {}
    repos["me/other"] = {"README.md": b"# Something else"}
    with pytest.raises(FormatError, match="me/other does not hold a model of ulmfit"):
        from_hub("me/other", endpoint=address, cache_dir=tmp_path / "cache", token=False)


def test_failures_of_the_hub_are_one_message(hub, model, tmp_path):
    address, _ = hub
    with pytest.raises(DataError, match="me/nothing could not be downloaded"):
        from_hub("me/nothing", endpoint=address, cache_dir=tmp_path / "cache", token=False)
    with pytest.raises(DataError, match="could not be uploaded"):
        push_to_hub(model, "not a name!", token=NOBODY, endpoint=address)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]  # where nobody answers once it is closed
    nowhere = f"http://127.0.0.1:{port}"
    with pytest.raises(DataError, match="could not be uploaded"):
        push_to_hub(model, "me/model", token=NOBODY, endpoint=nowhere)
    with pytest.raises(DataError, match="could not be downloaded"):
        from_hub("me/model", token=False, endpoint=nowhere, cache_dir=tmp_path / "cache")
