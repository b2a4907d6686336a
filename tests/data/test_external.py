"""Fetching and unpacking data sets, against a server of this machine."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tars import add

from ulmfit.data.archives import archive_stem, unpack
from ulmfit.data.external import DataPath, URLs, data_folder, untar_data
from ulmfit.errors import DataError, FormatError


def make_tar(path: Path, names: tuple[str, ...] = ("toy/a.txt", "toy/inner/b.txt"), mode: str = "w:gz") -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as tar:
        for name in names:
            add(tar, name)
    return path.read_bytes()


class Server(ThreadingHTTPServer):
    """Serves bytes by name; can break off in the middle."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.break_after: int | None = None
        self.requests: list[tuple[str, str | None]] = []

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        name, wanted = self.path.lstrip("/"), self.headers.get("Range")
        self.server.requests.append((name, wanted))
        content = self.server.files.get(name)
        if content is None:
            self.send_error(404)
            return
        tag = hashlib.sha256(content).hexdigest()
        start = 0
        if wanted and self.headers.get("If-Range") == tag:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.send_header("ETag", tag)
        self.end_headers()
        end = len(content) if self.server.break_after is None else start + self.server.break_after
        self.wfile.write(content[start:end])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ULMFIT_DATA", str(tmp_path / "home"))
    monkeypatch.delenv("ULMFIT_MIRROR", raising=False)
    monkeypatch.setattr("ulmfit.data.download.time.sleep", lambda _: None)


def leftovers(folder: Path) -> list[Path]:
    return [p for p in folder.rglob("*") if p.name.startswith(".unpacking") or p.suffix in (".part", ".tag")]


def test_an_archive_is_fetched_once_and_unpacked(server: Server, tmp_path: Path):
    server.files["toy.tgz"] = make_tar(tmp_path / "toy.tgz")
    path = untar_data(server.url("toy.tgz"))
    assert path == data_folder() / "data" / "toy"
    assert (path / "inner" / "b.txt").read_text(encoding="utf-8") == "hello"
    assert repr(path.ls()) == f"(#2) [Path('{path / 'a.txt'}'),Path('{path / 'inner'}')]"
    assert [p.name for p in (path / "inner").ls()] == ["b.txt"]
    assert untar_data(server.url("toy.tgz")) == path
    assert len(server.requests) == 1
    assert untar_data(server.url("toy.tgz"), force_download=True) == path
    assert len(server.requests) == 2
    assert not leftovers(tmp_path)


def test_another_folder_for_archives_and_data(server: Server, tmp_path: Path):
    server.files["toy.tgz"] = make_tar(tmp_path / "toy.tgz")
    path = untar_data(server.url("toy.tgz"), c_key="models", base=tmp_path / "home")
    assert path.parent == tmp_path / "home" / "models"
    assert (tmp_path / "home" / "archive" / "toy.tgz").is_file()


def test_a_broken_connection_is_taken_up_again_where_it_ended(server: Server, tmp_path: Path):
    content = server.files["toy.tgz"] = make_tar(tmp_path / "toy.tgz")
    server.break_after = len(content) // 5
    with pytest.raises(
        DataError, match=r"the connection ended after .*run again to go on.*ULMFIT_MIRROR.*pretrained=False"
    ):
        untar_data(server.url("toy.tgz"))
    server.break_after = None
    untar_data(server.url("toy.tgz"))
    starts = [wanted for _, wanted in server.requests]
    assert starts == [None, *(f"bytes={i * (len(content) // 5)}-" for i in (1, 2, 3))]


def test_a_part_of_another_version_is_not_gone_on_with(server: Server, tmp_path: Path):
    server.files["toy.tgz"] = make_tar(tmp_path / "old.tgz", ("toy/old.txt",))
    server.break_after = 20
    with pytest.raises(DataError):
        untar_data(server.url("toy.tgz"))
    server.files["toy.tgz"] = make_tar(tmp_path / "new.tgz", ("toy/new.txt",))
    server.break_after = None
    assert [p.name for p in untar_data(server.url("toy.tgz")).ls()] == ["new.txt"]


def test_no_such_file_and_no_network(server: Server):
    with pytest.raises(DataError, match=r"none\.tgz: the server answers 404 .*ULMFIT_MIRROR"):
        untar_data(server.url("none.tgz"))
    server.server_close()
    with pytest.raises(DataError, match=r"toy\.tgz cannot be fetched: .*ULMFIT_MIRROR=FOLDER .*pretrained=False"):
        untar_data(server.url("toy.tgz"))
    with pytest.raises(DataError, match=r"ending is not one of an archive"):
        untar_data(server.url("toy.exe"))
    with pytest.raises(DataError, match=r"gone\.tgz does not exist"):
        untar_data("gone.tgz")


def test_the_checksum_is_compared(server: Server, tmp_path: Path):
    content = server.files["toy.tgz"] = make_tar(tmp_path / "toy.tgz")
    with pytest.raises(DataError, match=r"has the checksum .* instead of 00"):
        untar_data(server.url("toy.tgz"), sha256="00")
    assert not leftovers(tmp_path)
    untar_data(server.url("toy.tgz"), sha256=hashlib.sha256(content).hexdigest().upper())


@pytest.mark.parametrize("mode", ["own name", "other ending", "folder", "address"])
def test_the_mirror_comes_first(mode: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    monkeypatch.setenv("ULMFIT_MIRROR", str(mirror) if mode != "address" else server.url("all/"))
    if mode == "own name":
        make_tar(mirror / "imdb.tgz", ("imdb/README",))
    elif mode == "other ending":
        make_tar(mirror / "imdb.tar.xz", ("imdb/README",), "w:xz")
    elif mode == "folder":
        (mirror / "imdb").mkdir()
        (mirror / "imdb" / "README").write_text("hello", encoding="utf-8")
    else:
        server.files["all/imdb.tar.xz"] = make_tar(tmp_path / "x" / "imdb.tar.xz", ("imdb/README",), "w:xz")
    path = untar_data(URLs.IMDB)
    assert isinstance(path, DataPath)
    assert [p.name for p in path.ls()] == ["README"]
    assert untar_data(URLs.IMDB) == path


def test_a_mirror_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("ULMFIT_MIRROR", str(tmp_path / "none"))
    with pytest.raises(DataError, match="is neither a folder nor an address"):
        untar_data(URLs.IMDB)


def test_paths_and_addresses_of_files(tmp_path: Path):
    archive = tmp_path / "some where" / "toy.tar"
    make_tar(archive, mode="w")
    for i, given in enumerate((archive, str(archive), archive.as_uri())):
        path = untar_data(given, data=tmp_path / str(i))
        assert [p.name for p in path.ls()] == ["a.txt", "inner"]
    assert archive.exists()
    assert untar_data(path) == path


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("/etc/toy", {}, "outside the folder"),
        ("toy/../../x", {}, "outside the folder"),
        ("C:\\x", {}, "outside the folder"),
        ("toy/link", {"type": tarfile.SYMTYPE, "linkname": "../../../x"}, "link"),
        ("toy/link", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}, "link"),
        ("toy/hard", {"type": tarfile.LNKTYPE, "linkname": "/etc/passwd"}, "link"),
        ("toy/device", {"type": tarfile.CHRTYPE}, "special file"),
        ("toy/pipe", {"type": tarfile.FIFOTYPE}, "special file"),
    ],
)
def test_members_that_reach_outside_are_refused(name: str, changes: dict[str, object], message: str, tmp_path: Path):
    archive = tmp_path / "toy.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        add(tar, "toy/good.txt")
        add(tar, name, **changes)
    with pytest.raises(DataError, match=rf"(?s)toy\.tgz: .*{message}.*not unpacked"):
        untar_data(archive)
    assert not (data_folder() / "data" / "toy").exists()
    assert not leftovers(tmp_path)


def test_zip_files(tmp_path: Path):
    archive = tmp_path / "toy.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("toy/inner/a.txt", "hello")
        packed.writestr("toy/empty/", "")
    assert (untar_data(archive) / "inner" / "a.txt").read_text(encoding="utf-8") == "hello"

    def refused(write: Callable[[zipfile.ZipFile], None], message: str) -> None:
        bad = tmp_path / "bad.zip"
        with zipfile.ZipFile(bad, "w") as packed:
            write(packed)
        with pytest.raises(DataError, match=message):
            unpack(bad, tmp_path / "bad", 1000)

    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    refused(lambda packed: packed.writestr(link, "/etc/passwd"), "link or a device")
    refused(lambda packed: packed.writestr("../x", ""), "outside the folder")
    refused(lambda packed: packed.writestr("big", "x" * 1001), "more than 1,000 bytes")


def test_an_archive_bomb_is_refused(tmp_path: Path):
    archive = tmp_path / "toy.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        member = tarfile.TarInfo("toy/zeros")
        member.size = 5_000_000
        tar.addfile(member, io.BytesIO(bytes(member.size)))
    assert archive.stat().st_size < 10_000
    with pytest.raises(DataError, match=r"unpacks to more than 1,000,000 bytes.*max_bytes"):
        untar_data(archive, max_bytes=1_000_000)
    assert not leftovers(tmp_path)
    assert untar_data(archive).is_dir()


@pytest.mark.parametrize("mode", ["w:gz", "w:xz", "w:bz2", "w"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.9])
def test_an_archive_cut_short_is_noticed_and_fetched_anew(mode: str, share: float, server: Server, tmp_path: Path):
    name = "toy.tar" + {"w:gz": ".gz", "w:xz": ".xz", "w:bz2": ".bz2", "w": ""}[mode]
    names = tuple(f"toy/{i}.txt" for i in range(3))
    content = make_tar(tmp_path / name, names, mode)
    if mode == "w":  # cut within the members, which end before the zeros that fill the last block
        content_end = 6 * 512
        server.files[name] = content[: int(share * content_end)]
    else:
        server.files[name] = content[: int(share * len(content))]
    with pytest.raises(FormatError, match="is damaged or cut short"):
        untar_data(server.url(name))
    assert not leftovers(tmp_path)
    server.files[name] = content
    assert len(untar_data(server.url(name)).ls()) == 3


def test_an_archive_without_a_folder_of_its_own(tmp_path: Path):
    make_tar(tmp_path / "flat.tgz", ("a.txt", "b.txt"))
    assert [p.name for p in untar_data(tmp_path / "flat.tgz").ls()] == ["a.txt", "b.txt"]


def test_names_of_archives():
    assert archive_stem("imdb.tar.xz") == "imdb"
    assert archive_stem("wikitext-2.TGZ") == "wikitext-2"
    with pytest.raises(DataError, match=r"notes\.txt"):
        archive_stem("notes.txt")


def test_where_data_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("ULMFIT_DATA")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    if os.name == "posix":
        assert data_folder().name == "ulmfit"


@pytest.mark.slow
def test_imdb_from_the_mirror(data_folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ULMFIT_MIRROR", str(data_folder))
    path = untar_data(URLs.IMDB)
    assert [p.name for p in path.ls()] == ["README", "test", "train", "unsup"]
    assert len(list((path / "unsup").iterdir())) == 50_000


def test_the_old_data_stay_until_the_new_are_whole(server: Server, tmp_path: Path):
    server.files["toy.tgz"] = make_tar(tmp_path / "toy.tgz", ("toy/old.txt",))
    path = untar_data(server.url("toy.tgz"))
    server.files["toy.tgz"] = b"no archive"
    with pytest.raises(FormatError):
        untar_data(server.url("toy.tgz"), force_download=True)
    assert [p.name for p in path.ls()] == ["old.txt"]
    server.files["toy.tgz"] = make_tar(tmp_path / "toy.tgz", ("toy/new.txt",))
    assert [p.name for p in untar_data(server.url("toy.tgz"), force_download=True).ls()] == ["new.txt"]


def test_data_of_another_address_are_not_taken_for_these(server: Server, tmp_path: Path):
    server.files["one/toy.tgz"] = make_tar(tmp_path / "1.tgz", ("toy/one.txt",))
    server.files["two/toy.tgz"] = make_tar(tmp_path / "2.tgz", ("toy/two.txt",))
    untar_data(server.url("one/toy.tgz"))
    with pytest.raises(DataError, match=r"was made from .*one/toy.tgz, not from .*two/toy.tgz"):
        untar_data(server.url("two/toy.tgz"))
    elsewhere = untar_data(server.url("two/toy.tgz"), data=tmp_path / "elsewhere")
    assert [p.name for p in elsewhere.ls()] == ["two.txt"]
