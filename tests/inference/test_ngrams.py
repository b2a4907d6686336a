from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from bundles import as_read
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from ulmfit.errors import ConfigError, FormatError
from ulmfit.inference.bundle import Bundle, load_bundle, save_bundle
from ulmfit.inference.explain import explain
from ulmfit.inference.loading import load
from ulmfit.inference.ngrams import NGRAMS, NGrams, keys_by_document, lengths_of, longest_that_fits
from ulmfit.inference.predictor import Predictor
from ulmfit.inference.reading import Piece, Reading
from ulmfit.text.all import load_learner
from ulmfit.text.store import TokenStore
from ulmfit.training import ngram_features
from ulmfit.training import ngrams as learning
from ulmfit.training.joining import fit_shares
from ulmfit.training.ngrams import fit_ngrams

QUIET = Console(file=StringIO())
TEXTS = [
    "the coffee was good", "good tea and good service", "not bad, good value", "A good day",
    "the parcel was late", "late again and bad", "not good, bad and late", "Bad coffee",
]  # fmt: skip
LABELS = np.array([1, 1, 1, 1, 0, 0, 0, 0])


def chains(ids: list[int], longest: int) -> Counter[tuple[int, ...]]:
    return Counter(tuple(ids[i : i + n]) for n in range(1, longest + 1) for i in range(len(ids) - n + 1))


@given(st.lists(st.lists(st.integers(0, 6), max_size=8), min_size=1, max_size=5), st.integers(1, 4))
def test_every_document_has_its_chains_each_once_and_how_often(documents: list[list[int]], longest: int):
    ids = np.array([i for document in documents for i in document], np.int64)
    offsets = np.append(0, np.cumsum([len(document) for document in documents]))
    of, keys, times = keys_by_document(Piece(ids, ids, offsets), 7, longest, np.array([0]))
    seen: dict[int, tuple[int, ...]] = {}
    for number, document in enumerate(documents):
        wanted = chains([i for i in document if i != 0], longest)
        mine = dict(zip(keys[of == number].tolist(), times[of == number].tolist(), strict=True))
        assert len(mine) == (of == number).sum() == len(wanted)
        for chain, often in wanted.items():
            key = 0
            for i in chain:
                key = key * 8 + i + 1
            assert mine[key] == often
            assert seen.setdefault(key, chain) == chain


def test_chains_are_as_long_as_their_numbers_allow():
    assert longest_that_fits(60_000, 5) == 3
    assert longest_that_fits(60_000, 2) == 2
    assert longest_that_fits(300, 5) == 5


def fitted(bundle: Bundle, task: str = "single_label") -> NGrams:
    store = TokenStore.build(TEXTS, bundle.tokenizer, vocab=bundle.vocab)
    target = {
        "single_label": LABELS + 1,  # of three classes, the first without an example
        "multi_label": np.stack([LABELS, 1 - LABELS, np.ones(8)], 1),
        "regression": LABELS * 9.0,
    }[task]
    return fit_ngrams(as_read(store), target, task, 1 if task == "regression" else 3, "word", QUIET)


@pytest.fixture
def voiced(example: Bundle) -> Bundle:
    """The example with n-grams, in words that its vocabulary has."""
    words = [word for word in example.vocab.itos if word.isalpha() and not word.startswith("xx")]
    good, bad = words[:2]
    texts = [f"{good} {words[i]} {words[i + 1]}" for i in range(2, 8)] + [f"{bad} {words[i]}" for i in range(2, 8)]
    store = TokenStore.build(texts, example.tokenizer, vocab=example.vocab)
    ngrams = fit_ngrams(as_read(store), np.array([0] * 4 + [2] * 2 + [1] * 6), "single_label", 3, "word", QUIET)
    return replace(example, ngrams=replace(ngrams, shares=np.array([0.7, 1.5])))


@pytest.mark.parametrize("counted", [True, False])
def test_numbers_are_a_sum_over_the_different_chains(voiced: Bundle, counted: bool):
    assert voiced.ngrams is not None
    ngrams = replace(voiced.ngrams, counted=counted)
    words = [word for word in voiced.vocab.itos if word.isalpha() and not word.startswith("xx")]
    store = TokenStore.build([f"{words[0]} {words[2]} {words[0]}", "zzz"], voiced.tokenizer, vocab=voiced.vocab)
    found = ngrams.outputs(as_read(store))
    kept = [int(i) for i in store[0] if i not in ngrams.skipped]
    rows, often = [], []
    for chain, times in chains(kept, ngrams.longest).items():
        key = 0
        for i in chain:
            key = key * (len(voiced.vocab) + 1) + i + 1
        if key in ngrams.keys:
            rows.append(int(np.flatnonzero(ngrams.keys == key)[0]))
            often.append(times)
    assert max(often) == 2
    values = ngrams.scale[rows] * (1 + np.log(often) if counted else 1)
    wanted = (values[:, None] * ngrams.weights[rows]).sum(0) / np.linalg.norm(values) + ngrams.bias
    np.testing.assert_allclose(found[0], wanted, rtol=1e-4)
    np.testing.assert_allclose(found[1], ngrams.bias)  # nothing in it is known


def test_of_several_classes_it_matters_how_often_and_with_few_texts_chains_count_half(
    example: Bundle, monkeypatch: pytest.MonkeyPatch
):
    reading = as_read(TokenStore.build(TEXTS, example.tokenizer, vocab=example.vocab))
    two = fit_ngrams(reading, LABELS, "single_label", 2, "word", QUIET)
    several = fitted(example, "multi_label")
    three = fitted(example)
    assert [ngrams.counted for ngrams in (two, several, three)] == [False, False, True]
    np.testing.assert_array_equal(two.keys, three.keys)
    chained = three.keys > len(example.vocab)
    assert 0 < chained.sum() < len(chained)
    np.testing.assert_allclose(three.scale / two.scale, np.where(chained, 0.5, 1))
    monkeypatch.setattr(learning, "_FEW", 5)
    np.testing.assert_array_equal(fitted(example).scale, two.scale)
    assert fitted(example).counted


@pytest.mark.parametrize("task", ["single_label", "multi_label", "regression"])
@pytest.mark.parametrize("kind", ["subword", "char"])
def test_each_further_subword_of_a_chain_counts_half_but_for_values(example: Bundle, kind: str, task: str):
    reading = as_read(TokenStore.build(TEXTS, example.tokenizer, vocab=example.vocab))
    target = {"single_label": LABELS, "multi_label": np.stack([LABELS, 1 - LABELS], 1), "regression": LABELS * 9.0}
    ngrams = fit_ngrams(reading, target[task], task, 1 if task == "regression" else 2, kind, QUIET)
    length = lengths_of(ngrams.keys, len(example.vocab))
    assert set(length) == set(range(1, ngrams.longest + 1))
    whole = ngrams.scale / (0.5 ** (length - 1) if kind == "subword" and task != "regression" else 1)
    rarest = np.log(len(TEXTS) + 1) - np.log(2) + 1
    for n in range(1, ngrams.longest + 1):
        assert whole[length == n].max() == pytest.approx(rarest)


def test_answers_are_those_of_both_halves_in_their_shares(voiced: Bundle):
    network, ngrams = Predictor(voiced).halves(TEXTS)
    assert ngrams is not None
    np.testing.assert_allclose(network, Predictor(replace(voiced, ngrams=None)).outputs(TEXTS), atol=1e-6)
    np.testing.assert_allclose(Predictor(voiced).outputs(TEXTS), 0.7 * network + 1.5 * ngrams, atol=1e-5)
    alone = [Predictor(voiced).outputs([text])[0] for text in TEXTS]
    np.testing.assert_allclose(Predictor(voiced).outputs(TEXTS), alone, atol=1e-5)


def test_a_folder_keeps_them_and_says_so(voiced: Bundle, example: Bundle, tmp_path: Path):
    save_bundle(voiced, tmp_path / "m")
    assert json.loads((tmp_path / "m" / "config.json").read_text(encoding="utf-8"))["format_version"] == 5
    np.testing.assert_array_equal(load(tmp_path / "m").outputs(TEXTS), Predictor(voiced).outputs(TEXTS))
    assert voiced.ngrams is not None
    once = replace(voiced, ngrams=replace(voiced.ngrams, counted=False))
    save_bundle(once, tmp_path / "once")
    assert json.loads((tmp_path / "once" / "config.json").read_text(encoding="utf-8"))["format_version"] == 4
    np.testing.assert_array_equal(load(tmp_path / "once").outputs(TEXTS), Predictor(once).outputs(TEXTS))
    save_bundle(example, tmp_path / "without")
    assert not (tmp_path / "without" / NGRAMS).exists()
    assert json.loads((tmp_path / "without" / "config.json").read_text(encoding="utf-8"))["format_version"] == 1


@pytest.mark.parametrize("change", ["vocabulary", "order", "shapes", "bytes"])
def test_damaged_ones_are_refused(voiced: Bundle, tmp_path: Path, change: str):
    ngrams = voiced.ngrams
    assert ngrams is not None
    wrong = {
        "vocabulary": replace(ngrams, keys=ngrams.keys + 10**9),
        "order": replace(ngrams, keys=ngrams.keys[::-1].copy()),
        "shapes": replace(ngrams, bias=ngrams.bias[:1]),
    }
    wrong.get(change, ngrams).save(tmp_path)
    if change == "bytes":
        (tmp_path / NGRAMS).write_bytes((tmp_path / NGRAMS).read_bytes()[:-5])
    with pytest.raises(FormatError, match=r"ngrams\.safetensors is damaged"):
        NGrams.load(tmp_path, len(voiced.vocab))


@pytest.mark.parametrize("counted", [True, False])
def test_contributions_add_up_and_are_explained(voiced: Bundle, counted: bool):
    assert voiced.ngrams is not None
    ngrams = replace(voiced.ngrams, counted=counted)
    voiced = replace(voiced, ngrams=ngrams)
    predictor = Predictor(voiced)
    words = [word for word in voiced.vocab.itos if word.isalpha() and not word.startswith("xx")]
    text = f"{words[0]} {words[2]} {words[3]} {words[0]}"
    of_ngrams = ngrams.contributions(predictor.tokens(text), voiced.vocab, 1)
    _, numbers = predictor.halves([text])
    assert numbers is not None
    assert of_ngrams.sum() + ngrams.bias[1] == pytest.approx(numbers[0, 1], rel=1e-4)
    assert of_ngrams[0] == 0  # the mark of the beginning
    with_them = np.array(explain(predictor, text, label=voiced.labels[1]).contributions)
    without = np.array(explain(Predictor(replace(voiced, ngrams=None)), text, label=voiced.labels[1]).contributions)
    np.testing.assert_allclose(with_them, 0.7 * without + 1.5 * of_ngrams, atol=1e-5)


SPELT = ["teachers", "teachable", "sailors", "sailing"], [0, 0, 2, 2]


def test_words_that_no_text_had_are_known_by_their_letters(spelt: Bundle):
    outputs = Predictor(spelt).halves(SPELT[0])[1]
    assert outputs is not None
    assert not any(word in spelt.vocab for word in SPELT[0])
    assert outputs[:, [0, 2]].argmax(1).tolist() == [0, 0, 1, 1]
    assert spelt.ngrams is not None
    without = replace(spelt, ngrams=replace(spelt.ngrams, spelling=None))
    alike = Predictor(without).halves(SPELT[0])[1]
    np.testing.assert_allclose(alike, np.tile(spelt.ngrams.bias, (4, 1)), atol=1e-6)  # no n-gram is of unknown words


@pytest.fixture
def spelt(example: Bundle) -> Bundle:
    """The example with n-grams whose words its vocabulary lacks, but for a few."""
    texts = ["teacher teaches", "teach teaching", "sailor sails", "sail sailed", "parcel late"] * 3
    reading = Reading.of_texts(texts, example.tokenizer, example.vocab)
    ngrams = fit_ngrams(reading, np.array([0, 0, 2, 2, 1] * 3), "single_label", 3, "word", QUIET)
    return replace(example, ngrams=replace(ngrams, shares=np.array([0.7, 1.5])))


def test_a_word_without_an_entry_counts_like_one_with(spelt: Bundle):
    ngrams, predictor = spelt.ngrams, Predictor(spelt)
    assert ngrams is not None
    assert ngrams.spelling is not None
    text = "late sailors teach late sailors; parcel"
    tokens = predictor.tokens(text)
    assert "sailors" not in spelt.vocab
    assert "parcel" in spelt.vocab
    for output in range(3):
        contributions = ngrams.contributions(tokens, spelt.vocab, output)
        numbers = predictor.halves([text])[1]
        assert numbers is not None
        assert contributions.sum() + ngrams.bias[output] == pytest.approx(numbers[0, output], abs=1e-5)
    assert explain(predictor, "sailors", label=spelt.labels[2]).contributions[-1] != 0


def test_words_are_known_alone_as_among_many_others(spelt: Bundle, monkeypatch: pytest.MonkeyPatch):
    texts = ["late sailors teach teachable sailing", "teachers; parcel sailing sailors", *SPELT[0]]
    predictor = Predictor(spelt)
    alone = [np.concatenate([half[0] for half in predictor.halves([text])]) for text in texts]
    monkeypatch.setattr("ulmfit.inference.reading._PIECE", 20)
    monkeypatch.setattr("ulmfit.text.counting.MAX_TYPES", 10)
    monkeypatch.setattr("ulmfit.text.counting.Types.__init__.__defaults__", (10,))
    many = [" ".join(f"w{i}x{j}" for j in range(20)) for i in range(40)]
    found = np.concatenate(predictor.halves([*many, *texts, *many]), 1)[len(many) : len(many) + len(texts)]
    np.testing.assert_allclose(found, alone, atol=1e-5)


@pytest.mark.parametrize("task", ["single_label", "multi_label", "regression"])
def test_new_words_are_known_in_every_task(example: Bundle, task: str):
    texts = ["teacher teaches", "teach teaching", "sailor sails", "sail sailed"] * 3
    sea = np.array([0, 0, 1, 1] * 3)
    target = {"single_label": sea, "multi_label": np.stack([1 - sea, sea], 1), "regression": sea * 2.0 - 1}[task]
    n = 1 if task == "regression" else 2
    ngrams = fit_ngrams(Reading.of_texts(texts, example.tokenizer, example.vocab), target, task, n, "word", QUIET)
    outputs = ngrams.outputs(Reading.of_texts(SPELT[0], example.tokenizer, example.vocab))
    score = outputs[:, 0] if n == 1 else outputs[:, 1] - outputs[:, 0]
    assert score[:2].max() < score[2:].min()


def test_without_letters_the_folder_is_one_that_earlier_programs_read(spelt: Bundle, tmp_path: Path):
    reading = Reading.of_texts(TEXTS, spelt.tokenizer, spelt.vocab)
    ngrams = replace(fit_ngrams(reading, LABELS + 1, "single_label", 3, "char", QUIET), counted=False)
    assert ngrams.spelling is None
    save_bundle(replace(spelt, ngrams=ngrams), tmp_path / "m")
    assert json.loads((tmp_path / "m" / "config.json").read_text(encoding="utf-8"))["format_version"] == 3
    np.testing.assert_array_equal(
        load(tmp_path / "m").outputs(TEXTS), Predictor(replace(spelt, ngrams=ngrams)).outputs(TEXTS)
    )


def test_what_is_spelt_is_kept_in_the_folder(spelt: Bundle, tmp_path: Path):
    save_bundle(spelt, tmp_path / "m")
    np.testing.assert_array_equal(load(tmp_path / "m").outputs(SPELT[0]), Predictor(spelt).outputs(SPELT[0]))


@pytest.mark.parametrize(
    "change",
    [
        *("missing", "parts", "names", "twice", "deep", "shapes", "classes"),
        *("not finite", "kind", "scale", "rarity", "longest"),
    ],
)
def test_damaged_spellings_are_refused(spelt: Bundle, tmp_path: Path, change: str):
    from safetensors.numpy import load_file, save_file

    assert spelt.ngrams is not None
    spelt.ngrams.save(tmp_path)
    arrays = load_file(tmp_path / NGRAMS)
    if change == "missing":
        del arrays["rarity"]
    elif change == "parts":
        arrays["parts"] = arrays["parts"][:-3].copy()
    elif change == "names":
        arrays["parts"] = np.frombuffer(json.dumps([1] * len(arrays["rarity"])).encode(), np.uint8)
    elif change == "twice":
        arrays["parts"] = np.frombuffer(json.dumps(["abc"] * len(arrays["rarity"])).encode(), np.uint8)
    elif change == "deep":
        arrays["parts"] = np.frombuffer(b"[" * 200_000, np.uint8)
    elif change == "not finite":
        arrays["part_weights"] = np.full_like(arrays["part_weights"], np.nan)
    elif change == "kind":
        arrays["keys"] = arrays["keys"].astype(np.float64)
    elif change == "scale":
        arrays["unknown_scale"] = np.zeros(1, np.float32)
    elif change == "rarity":
        arrays["rarity"] = -arrays["rarity"]
    elif change == "longest":
        arrays["longest"] = np.array([10**9])
    elif change == "shapes":
        arrays["part_weights"] = arrays["part_weights"][:-1].copy()
    else:
        arrays["part_weights"] = arrays["part_weights"][:, :1].copy()
    save_file(arrays, tmp_path / NGRAMS)
    with pytest.raises(FormatError, match=r"ngrams\.safetensors is damaged"):
        NGrams.load(tmp_path, len(spelt.vocab))


def test_marks_and_words_with_an_ngram_are_not_strange(example: Bundle):
    store = TokenStore.of_every_word(["late PARCEL tram", "late late boat"], example.tokenizer)
    known = np.zeros(len(example.vocab), bool)
    known[example.vocab.stoi["late"]] = True
    strange = Reading(store, example.vocab).strange(known)
    assert sorted(strange.words) == ["boat", "parcel", "tram"]  # no xxup, and not the beginning
    assert (strange.number >= 0).sum() == 3
    assert [store.vocab[i] for i in np.argsort(strange.number)[-3:]] == [*strange.words]
    part = next(Reading(store, example.vocab).pieces())
    wanted = [example.vocab.stoi.get(store.vocab[i], example.vocab.unk_idx) for i in part.entries.tolist()]
    assert part.ids.tolist() == wanted


def test_documents_come_in_pieces_of_whole_ones(example: Bundle, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ulmfit.inference.reading._PIECE", 7)
    reading = Reading.of_texts(TEXTS, example.tokenizer, example.vocab)
    parts = list(reading.pieces())
    assert len(parts) > 2
    assert sum(len(part.offsets) - 1 for part in parts) == len(TEXTS)
    assert np.concatenate([part.entries for part in parts]).tolist() == reading.store.ids.tolist()


@pytest.mark.parametrize("task", ["single_label", "multi_label", "regression"])
def test_they_learn_what_words_tell(task: str):
    from ulmfit.text import Tokenizer

    store = TokenStore.build(TEXTS, Tokenizer(), min_freq=1)
    target = {"single_label": LABELS, "multi_label": np.stack([LABELS, 1 - LABELS], 1), "regression": LABELS * 9.0}[
        task
    ]
    ngrams = fit_ngrams(as_read(store), target, task, 1 if task == "regression" else 2, "word", QUIET)
    found = ngrams.outputs(as_read(store))
    if task == "regression":
        assert np.corrcoef(found[:, 0], target)[0, 1] > 0.9
        assert found.mean() == pytest.approx(4.5, abs=1)
    elif task == "single_label":
        assert found.shape == (8, 2)
        assert (found.argmax(1) == LABELS).all()
    else:
        assert ((found > 0) == (target > 0)).all()


def test_a_class_that_all_texts_or_none_have(example: Bundle):
    reading = as_read(TokenStore.build(TEXTS, example.tokenizer, vocab=example.vocab))
    three = fitted(example).outputs(reading)
    assert three.shape == (8, 3)
    assert (three.argmax(1) != 0).all()
    several = fitted(example, "multi_label").outputs(reading)
    assert (several[:, 2] > 0).all()


def test_texts_without_a_frequent_word_leave_the_bias(example: Bundle, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ngram_features, "_MANY_TOKENS", 1)
    store = TokenStore(np.array([20, 21], np.uint16), np.array([0, 1, 2]), example.vocab)
    for task, target in (("single_label", np.array([0, 1])), ("regression", np.array([1.0, 3.0]))):
        ngrams = fit_ngrams(as_read(store), target, task, 2 if task == "single_label" else 1, "word", QUIET)
        assert len(ngrams.keys) == 0
        assert np.isfinite(ngrams.outputs(as_read(store))).all()
        assert np.isfinite(ngrams.contributions(["of", "of"], example.vocab, 0)).all()


def test_more_than_fits_is_a_sample_and_said(monkeypatch: pytest.MonkeyPatch):
    from ulmfit.text import Tokenizer

    store = TokenStore.build(TEXTS * 20, Tokenizer(), min_freq=1)
    monkeypatch.setattr(learning, "_MAX_TOKENS", store.n_tokens // 4)
    monkeypatch.setattr(ngram_features, "_MAX_WEIGHTS", 14)
    out = StringIO()
    ngrams = fit_ngrams(as_read(store), np.tile(LABELS, 20), "single_label", 2, "word", Console(file=out, width=200))
    assert "a sample of 40 of the 160 texts" in out.getvalue()
    assert len(ngrams.keys) == 7
    assert ngrams.keys.max() <= len(store.vocab)  # single words first


def test_a_short_time_takes_a_sample_of_200_texts_at_least():
    from ulmfit.text import Tokenizer

    store = TokenStore.build(TEXTS * 100, Tokenizer(), min_freq=1)
    for seconds, learned in ((1e-9, 200), (1.0, 800)):
        out = StringIO()
        console = Console(file=out, width=200)
        fit_ngrams(as_read(store), np.tile(LABELS, 100), "single_label", 2, "word", console, seconds=seconds)
        assert ("a sample of 200 of the 800 texts" in out.getvalue()) == (learned == 200)
        assert f"of {learned} texts" in out.getvalue()
    out = StringIO()
    console = Console(file=out, width=200)
    labels = np.tile(LABELS, 100)
    fit_ngrams(
        as_read(store),
        labels,
        "single_label",
        2,
        "word",
        console,
        unlabelled=as_read(store),
        seconds=store.n_tokens * 5e-6,
    )
    assert "of 800 texts" in out.getvalue()
    assert "of 1,600" not in out.getvalue()


def test_the_shares_follow_the_evidence():
    rng = np.random.default_rng(0)
    target = rng.integers(0, 2, 400)
    right = np.stack([-2.0 * target + 1, 2.0 * target - 1], 1).astype(np.float32)
    noise = rng.normal(size=(400, 2)).astype(np.float32)
    network, ngrams = fit_shares(right, noise, target, "single_label", 5_000)
    assert network > 5 * ngrams > 0
    assert tuple(fit_shares(noise, right, target, "single_label", 5_000)) == pytest.approx((ngrams, network), rel=1e-2)
    few = fit_shares(right[:2], noise[:2], target[:2], "single_label", 5_000)
    assert 0.3 < few[1] / few[0] < 3  # two texts prove little


def test_a_network_that_learned_from_few_texts_is_believed_less_until_it_is_proved_right():
    rng = np.random.default_rng(0)
    target = rng.integers(0, 2, 400)
    right = np.stack([-2.0 * target + 1, 2.0 * target - 1], 1).astype(np.float32)
    noise = rng.normal(size=(400, 2)).astype(np.float32)
    network, ngrams = fit_shares(noise[:10], noise[:10], target[:10], "single_label", 100)
    assert 0.02 < network / ngrams < 0.3
    network, ngrams = fit_shares(right, noise, target, "single_label", 100)
    assert network > 3 * ngrams
    values = target[:, None].astype(float)
    far = (values + rng.normal(size=values.shape)).astype(np.float32)
    near = values.astype(np.float32)
    assert (
        fit_shares(near[:1], far[:1], values[:1], "regression", 100)[0]
        < fit_shares(near[:1], far[:1], values[:1], "regression", 1_000)[0]
    )
    assert fit_shares(near, far, values, "regression", 100)[0] > 0.9


def test_shares_of_values_sum_to_one_and_of_several_labels_follow_too():
    rng = np.random.default_rng(0)
    target = rng.normal(size=(300, 1))
    close, far = target + 0.1 * rng.normal(size=(300, 1)), target + rng.normal(size=(300, 1))
    shares = fit_shares(close.astype(np.float32), far.astype(np.float32), target, "regression", 5_000)
    assert shares.sum() == pytest.approx(1)
    assert shares[0] > 0.9
    same = fit_shares(close.astype(np.float32), close.astype(np.float32), target, "regression", 5_000)
    assert tuple(same) == (0.5, 0.5)
    several = (rng.random((300, 3)) < 0.3).astype(float)
    right = (4 * several - 2).astype(np.float32)
    network, ngrams = fit_shares(rng.normal(size=(300, 3)).astype(np.float32), right, several, "multi_label", 5_000)
    assert ngrams > 5 * network


def test_a_learner_says_that_it_has_none(voiced: Bundle, tmp_path: Path):
    save_bundle(voiced, tmp_path / "m")
    with pytest.raises(ConfigError, match="ngrams=False"):
        load_learner(tmp_path / "m")
    learn = load_learner(tmp_path / "m", ngrams=False)
    wanted = Predictor(replace(load_bundle(tmp_path / "m"), ngrams=None)).predict("late coffee")
    assert learn.predict("late coffee")[0] == wanted.label
