from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ulmfit.errors import ConfigError, DataError, FormatError
from ulmfit.text import Tokenizer, TokenStore, default_cache_dir, make_vocab, progress_bar, store, tokenize_texts
from ulmfit.text.counting import Encoder, Types

TEXTS = [f"This is the text with the number {i % 7}, and a word{i}." for i in range(600)] + ["", "last one"]
WORD = Tokenizer()


def same(a: TokenStore, b: TokenStore) -> bool:
    return np.array_equal(a.ids, b.ids) and np.array_equal(a.offsets, b.offsets) and a.vocab == b.vocab


def test_a_store_holds_the_ids_of_the_tokens() -> None:
    built = TokenStore.build(TEXTS, WORD)
    assert len(built) == len(TEXTS)
    assert built.ids.dtype == np.uint16
    assert built.n_tokens == built.lengths.sum() == len(built.ids)
    for i in (0, 5, 600, 601, -1):
        assert built[i].tolist() == built.vocab.numericalize(WORD(TEXTS[i])).tolist()
    assert built.vocab.decode(built[600]) == ["xxbos"]
    with pytest.raises(IndexError, match="602"):
        _ = built[602]


def test_the_vocabulary_is_that_of_the_counts() -> None:
    count = {}
    for tokens in WORD.tokenize(TEXTS):
        for token in tokens:
            count[token] = count.get(token, 0) + 1
    assert TokenStore.build(TEXTS, WORD, min_freq=2, max_vocab=30).vocab == make_vocab(count, 2, 30)


def test_a_given_vocabulary_is_kept() -> None:
    vocab = TokenStore.build(TEXTS, WORD).vocab
    built = TokenStore.build(["The number 3, unheard of."], WORD, vocab=vocab)
    assert built.vocab is vocab
    assert built.vocab.decode(built[0]) == ["xxbos", "xxmaj", "the", "number", "3", ",", "xxunk", "xxunk", "."]


def test_a_large_vocabulary_takes_four_bytes() -> None:
    vocab = make_vocab({f"w{i}": 3 for i in range(70_000)}, max_vocab=80_000)
    built = TokenStore.build(["w65432"], WORD, vocab=vocab)
    assert built.ids.dtype == np.uint32
    assert vocab.decode(built[0]) == ["xxbos", "w65432"]


def test_no_texts() -> None:
    built = TokenStore.build([], WORD)
    assert len(built) == built.n_tokens == 0


@given(st.lists(st.text(max_size=30), max_size=20))
@settings(max_examples=30, deadline=None)
def test_round_trip_through_files(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    folder = tmp_path_factory.mktemp("store")
    built = TokenStore.build(texts, WORD, min_freq=1)
    built.save(folder)
    assert same(TokenStore.open(folder), built)


def test_a_finished_store_is_found(tmp_path: Path) -> None:
    first = TokenStore.build(TEXTS, WORD, cache_dir=tmp_path)
    before = (first.path / "ids.bin").stat().st_mtime_ns
    again = TokenStore.build(TEXTS, Tokenizer(), cache_dir=tmp_path)
    assert again.path == first.path
    assert (first.path / "ids.bin").stat().st_mtime_ns == before
    assert isinstance(again.ids, np.memmap)
    assert same(first, TokenStore.build(TEXTS, WORD))
    assert TokenStore.build(iter(TEXTS), WORD, cache_dir=tmp_path).path == first.path
    assert [p.name for p in tmp_path.iterdir()] == [first.path.name]


@pytest.mark.parametrize(
    "changed",
    [
        lambda d: TokenStore.build([*TEXTS[:-1], "last one!"], WORD, cache_dir=d),
        lambda d: TokenStore.build([*TEXTS, "added"], WORD, cache_dir=d),
        lambda d: TokenStore.build(TEXTS[::-1], WORD, cache_dir=d),
        lambda d: TokenStore.build(["".join(TEXTS[:2]), *TEXTS[2:]], WORD, cache_dir=d),
        lambda d: TokenStore.build(TEXTS, Tokenizer(rules=WORD.rules[1:]), cache_dir=d),
        lambda d: TokenStore.build(TEXTS, WORD, min_freq=2, cache_dir=d),
        lambda d: TokenStore.build(TEXTS, WORD, vocab=make_vocab({"a": 3}), cache_dir=d),
    ],
    ids=["edited", "added", "order", "joined", "rules", "min_freq", "vocab"],
)
def test_whatever_changes_gives_a_new_store(tmp_path: Path, changed: Callable[[Path], TokenStore]) -> None:
    first = TokenStore.build(TEXTS, WORD, cache_dir=tmp_path)
    assert changed(tmp_path).path != first.path


@pytest.mark.parametrize("name", ["ids.bin", "offsets.bin", "vocab.json", "store.json"])
@pytest.mark.parametrize("damage", ["truncated", "changed", "missing"])
def test_a_damaged_store_is_noticed_and_built_again(tmp_path: Path, name: str, damage: str) -> None:
    built = TokenStore.build(TEXTS, WORD, cache_dir=tmp_path)
    expected = TokenStore.build(TEXTS, WORD)
    file, content = built.path / name, (built.path / name).read_bytes()
    del built
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(content[:-1] if damage == "truncated" else b"\xff" + content[1:])
    with pytest.raises(FormatError):
        TokenStore.open(file.parent)
    assert same(TokenStore.build(TEXTS, WORD, cache_dir=tmp_path), expected)
    assert same(TokenStore.open(file.parent), expected)


def test_damage_between_the_samples_is_noticed_when_asked_for_and_when_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_SAMPLE", 2)
    built = TokenStore.build(TEXTS, WORD, cache_dir=tmp_path)
    file = built.path / "ids.bin"
    content = bytearray(file.read_bytes())
    content[50] ^= 1
    file.write_bytes(content)
    TokenStore.open(built.path)
    with pytest.raises(FormatError, match="changed: ids"):
        TokenStore.open(built.path, verify=True)
    assert same(TokenStore.build(TEXTS, WORD, cache_dir=tmp_path), TokenStore.build(TEXTS, WORD))


def test_a_newer_store_is_refused(tmp_path: Path) -> None:
    TokenStore.build(TEXTS, WORD).save(tmp_path)
    meta = json.loads((tmp_path / "store.json").read_text(encoding="utf-8"))
    (tmp_path / "store.json").write_text(json.dumps(meta | {"version": 99}), encoding="utf-8")
    with pytest.raises(FormatError, match="Upgrade"):
        TokenStore.open(tmp_path)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.warns(UserWarning, match="ULMFIT_CACHE"):
        built = TokenStore.build(TEXTS, WORD, cache_dir=tmp_path / "file" / "stores")
    assert same(built, TokenStore.build(TEXTS, WORD))


def test_some_documents_in_any_order(tmp_path: Path) -> None:
    store = TokenStore.build(TEXTS, WORD, cache_dir=tmp_path)
    some = store.take(np.array([2, 0, 2]))
    assert [some[i].tolist() for i in range(3)] == [store[i].tolist() for i in (2, 0, 2)]
    assert (some.n_tokens, some.vocab, some.path) == (2 * len(store[2]) + len(store[0]), store.vocab, None)
    assert len(store.take(np.array([], dtype=np.int64))) == 0
    with pytest.raises(IndexError, match=f"no document {len(TEXTS)}"):
        store.take(np.array([len(TEXTS)]))


def test_two_stores_after_one_another(tmp_path: Path) -> None:
    store = TokenStore.build(TEXTS, WORD, cache_dir=tmp_path)
    both = store.take(np.array([1, 2])).joined(store.take(np.array([0])))
    assert [both[i].tolist() for i in range(3)] == [store[i].tolist() for i in (1, 2, 0)]
    assert (len(both), both.vocab, both.path) == (3, store.vocab, None)
    assert same(store.take(np.arange(0)).joined(store), store)


def test_the_cache_folder_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ULMFIT_CACHE", str(tmp_path))
    assert default_cache_dir() == tmp_path / "stores"
    monkeypatch.delenv("ULMFIT_CACHE")
    assert default_cache_dir().parts[-2:] == ("ulmfit", "stores")


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("bad", [None, 3.5, float("nan"), b"x"])
def test_what_is_no_text_is_refused_with_its_position(tmp_path: Path, bad: object, cached: bool) -> None:
    with pytest.raises(DataError, match="Text 1 is"):
        TokenStore.build(["fine", bad], WORD, cache_dir=tmp_path if cached else None)  # type: ignore[list-item]
    assert not list(tmp_path.iterdir())


def test_an_interrupted_build_leaves_nothing(tmp_path: Path) -> None:
    def texts() -> Iterator[str]:
        yield from TEXTS
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        TokenStore.build(texts(), WORD, cache_dir=tmp_path)
    assert not list(tmp_path.iterdir())


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="workers"):
        TokenStore.build(TEXTS, WORD, workers=0)
    with pytest.raises(ConfigError, match="min_freq"):
        TokenStore.build(TEXTS, WORD, min_freq=0)
    with pytest.raises(DataError, match="offsets"):
        TokenStore(np.zeros(3, np.uint16), np.array([0, 2]), make_vocab({}))


def test_progress_is_told() -> None:
    calls: list[tuple[int, int | None]] = []
    many = TEXTS * 7
    TokenStore.build(many, WORD, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(4096, 4214), (4214, 4214)]
    calls.clear()
    TokenStore.build(iter(TEXTS), WORD, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (602, None)


def test_a_progress_bar_can_be_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar() as progress:
        TokenStore.build(TEXTS, WORD, progress=progress)
    assert "602/602" in capsys.readouterr().out


def test_odd_texts() -> None:
    texts = ["a\ud800b", "nul \0 bytes\0", "z" * 1_000_000, "ab" * 100_000, "\ud83d\ude00"]
    built = TokenStore.build(texts, WORD, min_freq=1)
    assert "\ufffd" in built.vocab.decode(built[0])
    assert built.vocab.decode(built[2]) == ["xxbos", "xxrep", "1000000", "z"]
    assert built.vocab.decode(built[4]) == ["xxbos", "\U0001f600"]


def test_counts_of_too_many_types_are_approximate_but_bounded() -> None:
    encoder = Encoder(WORD, types=Types(max_types=500), max_types=500)
    for start in range(0, 4_000, 100):
        encoder(["often seen"] * 10 + [f"w{start + i}q" for i in range(100)])
    assert len(encoder.types.ids) <= 600
    vocab, final = encoder.types.finish(3, 1_000)
    assert {"often", "seen", "xxbos"} <= set(vocab.itos)
    assert len(final) == encoder.types.n


def test_workers_give_the_same_store() -> None:
    many = [f"{text} {text}" for text in TEXTS * 2]
    built = TokenStore.build(many, WORD, workers=2)
    assert same(built, TokenStore.build(many, WORD))
    given = TokenStore.build(many, WORD, workers=2, vocab=built.vocab)
    assert same(given, built)


def test_a_script_without_the_line_that_workers_need_is_told_of_it(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from ulmfit.text import Tokenizer, TokenStore\n"
        "print(TokenStore.build(['some words'] * 9, Tokenizer(), workers=2))\n",
        encoding="utf-8",
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "__main__" in done.stderr.splitlines()[-1]
    assert "cannot be sent" not in done.stderr


def test_rules_that_cannot_be_sent_to_workers_are_named() -> None:
    with pytest.raises(ConfigError, match="workers=1"):
        TokenStore.build(TEXTS, Tokenizer(rules=[lambda text: text]), workers=2)


def _die(text: str) -> str:
    os._exit(3)


def test_a_worker_that_dies_is_told() -> None:
    with pytest.raises(Exception, match="exit code 3"):
        TokenStore.build(TEXTS, Tokenizer(rules=[_die]), workers=2)


def _build(folder: str) -> None:
    sys.modules["torch"] = None  # spaCy would import it, which takes a second
    TokenStore.build(TEXTS, Tokenizer(), cache_dir=Path(folder))


def test_two_processes_may_build_the_same(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_build, args=(str(tmp_path),)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert len(list(tmp_path.iterdir())) == 1
    assert same(TokenStore.build(TEXTS, WORD, cache_dir=tmp_path), TokenStore.build(TEXTS, WORD))


def test_who_comes_second_takes_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = TokenStore.build(TEXTS, WORD, cache_dir=tmp_path)
    real, calls = store._open_if_sound, []

    def blind_once(folder: Path) -> TokenStore | None:
        calls.append(folder)
        return None if len(calls) == 1 else real(folder)

    monkeypatch.setattr(store, "_open_if_sound", blind_once)
    assert same(TokenStore.build(TEXTS, WORD, cache_dir=tmp_path), first)


def test_one_text_is_not_taken_for_many() -> None:
    for call in (
        lambda: TokenStore.build("abc", Tokenizer()),
        lambda: list(Tokenizer().tokenize("abc")),
        lambda: tokenize_texts("abc"),
    ):
        with pytest.raises(DataError, match="'abc' is one text; expected a list"):
            call()
