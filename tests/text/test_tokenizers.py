from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ulmfit.errors import ConfigError, DataError, FormatError, MissingExtraError
from ulmfit.text import (
    DEFAULT_RULES,
    BareTokenizer,
    CharTokenizer,
    HFTokenizer,
    SubwordTokenizer,
    Tokenizer,
    WordTokenizer,
    fix_html,
    lowercase,
    replace_rep,
    replace_space,
)
from ulmfit.text.affixes import Affixes
from ulmfit.text.engine import Memo
from ulmfit.text.plan import make_plan

GOLDEN = Path(__file__).parent / "golden"
INPUTS = json.loads((GOLDEN / "inputs.json").read_text(encoding="utf-8"))
PEER = json.loads((GOLDEN / "peer.json").read_text(encoding="utf-8"))

WORD = Tokenizer()
TRICKY = (  # noqa: SIM905
    ": ) ( - . ' s n't do a A b the The 3 33 333 aaa !!! 1000 8 / # \\ D o = a.m. a.m etc. <br /> &amp; ... gonna it's "
    "foo:) wed. d. xxrep xxwrep xxbos ß É Σ İ \u0301 '' \" \x00 \u200b 5km U.S. ,' ). .) :D ;-) *** (: <3"
).split(" ")
SPACES = [" ", " ", " ", "", "  ", "\n", "\n\n", "\t", " \n ", "\x85", "\xa0", "\u3000", "\x1c", "\u2028", "\x1c\x1c"]
tricky = st.lists(st.tuples(st.sampled_from(TRICKY), st.sampled_from(SPACES)), max_size=14).map(
    lambda parts: "".join(a + b for a, b in parts)
)
texts = st.one_of(st.text(max_size=60), tricky)


def on_the_whole(tokenizer: Tokenizer, text: str) -> list[str]:
    """Rules, spaCy and rules for tokens on the whole text: what must come out."""
    for rule in tokenizer.rules:
        text = rule(text)
    tokens = next(iter(WORD_ONLY([text])))
    for rule in tokenizer.post_rules:
        tokens = [rule(token) for token in tokens]
    return tokens


WORD_ONLY = WordTokenizer()


@pytest.mark.parametrize("lang", ["en", "de"])
def test_tokens_are_the_peers(lang: str) -> None:
    tokenizer = Tokenizer(WordTokenizer(lang))
    assert list(tokenizer.tokenize(INPUTS[lang])) == PEER[lang]
    assert [tokenizer(text) for text in INPUTS[lang]] == PEER[lang]  # and again from memory


@given(texts)
@settings(max_examples=400, deadline=None)
def test_remembered_tokens_are_those_of_the_whole_text(text: str) -> None:
    if not any("\ud800" <= c <= "\udfff" for c in text):
        assert WORD(text) == on_the_whole(WORD, text)


@given(st.text("ab'.,-:)(/&s5\u2019\xe9\u2026\xb0$%k", min_size=1, max_size=12))
@settings(max_examples=1_000, deadline=None)
@pytest.mark.parametrize("lang", ["en", "de"])
def test_words_are_cut_as_spacy_cuts_them(lang: str, word: str) -> None:
    spacy = RULES[lang]
    assert spacy._affixes.cut(word) in (None, tuple(spacy.cut(word)))


RULES = {lang: WordTokenizer(lang)._rules() for lang in ("en", "de")}


def test_hardly_a_word_needs_spacy() -> None:
    words = {word.lower() for text in INPUTS["en"] for word in text.split()}
    cut = [RULES["en"]._affixes.cut(word) for word in words]
    assert sum(tokens is None for tokens in cut) < 0.1 * len(words)


@given(texts)
@settings(max_examples=150, deadline=None)
@pytest.mark.parametrize(
    "rules",
    [
        [],
        [str.strip],
        [fix_html, replace_rep],
        DEFAULT_RULES[1:],
        [*DEFAULT_RULES[:-1], partial(lowercase, add_bos=False, add_eos=True)],
        [rule for rule in DEFAULT_RULES if rule is not replace_rep],
        [*DEFAULT_RULES, str.title],
    ],
    ids=["none", "own", "no lower case", "no html", "eos", "no rep", "own last"],
)
def test_the_same_under_other_rules(rules: list[object], text: str) -> None:
    tokenizer = Tokenizer(WORD.tok, rules)  # type: ignore[arg-type]
    if not any("\ud800" <= c <= "\udfff" for c in text):
        assert tokenizer(text) == on_the_whole(tokenizer, text)


@pytest.mark.parametrize("lang", ["de", "fr", "es", "ru", "hu", "tr"])
def test_the_same_in_other_languages(lang: str) -> None:
    text = (
        " ".join(INPUTS["en"] + INPUTS["de"])
        + " \u0434-\u0440 \u043c\u0435\u0434. \u043d\u0430\u0443\u043a EE. UU. 12a.m. l'homme aujourd'hui -t-il c. à d."
    )
    bare = WordTokenizer(lang)
    expected = next(iter(bare([text.replace("\n", " \n")])))
    assert Tokenizer(bare, [], [])(text.replace("\n", " \n")) == expected


def test_neighbours_that_keep_a_special_case_from_being_found() -> None:
    # spaCy takes ":) )" for a failed ":))" and leaves all three apart; ":)" alone it keeps whole.
    assert WORD("foo:)")[1:] == ["foo", ":)"]
    assert WORD("foo:) )")[1:] == ["foo", ":", ")", ")"]


def test_rules_by_chunk_are_used_where_they_can_be() -> None:
    assert make_plan(DEFAULT_RULES) is not None
    assert make_plan(DEFAULT_RULES[:-1]) is None
    assert make_plan([*DEFAULT_RULES, str.title]) is None
    assert make_plan([str.strip, *DEFAULT_RULES[2:]]) is not None


def test_words_of_letters_need_no_spacy() -> None:
    assert WordTokenizer("en")._rules()._affixes.usable
    assert WordTokenizer("de")._rules()._affixes.usable


def test_affixes_give_up_on_patterns_that_letters_can_match() -> None:
    spacy = WordTokenizer("en")._rules()._tokenizer
    spacy.suffix_search = __import__("re").compile("ing$").search
    assert not Affixes(spacy, {}, {}).usable


def test_empty_text_is_the_mark_of_its_beginning() -> None:
    assert WORD("") == WORD(" \n ") == ["xxbos"]
    assert list(WORD.tokenize([])) == []


@pytest.mark.parametrize("bad", [None, 3, 1.5, b"bytes", ["list"]])
def test_what_is_no_text_is_refused_with_its_position(bad: object) -> None:
    with pytest.raises(DataError, match="Text 1 is"):
        list(WORD.tokenize(["fine", bad]))  # type: ignore[list-item]


def test_halves_of_characters_are_mended() -> None:
    assert WORD("a \ud83d b \ud83d\ude00") == ["xxbos", "a", "\ufffd", "b", "\U0001f600"]


def test_order_is_kept_over_batches() -> None:
    many = [f"text number {i}" for i in range(1500)]
    assert [tokens[-1] for tokens in WORD.tokenize(many)] == [WORD(text)[-1] for text in many]


def test_memory_of_pieces_is_bounded() -> None:
    table = type("Any", (dict,), {"__missing__": lambda self, token: b"1234"})()
    memo = Memo(WORD.tok, WORD.rules, table, limit=100_000)
    for start in range(0, 20_000, 500):
        memo([f"q{start + i}z" for i in range(500)])
    held = len(memo._rows) + len(memo._units) + len(memo._careful)
    assert held < 6_000


@pytest.mark.slow
def test_fifty_megabytes_without_a_space_and_ten_of_one_character() -> None:
    assert len("".join(WORD("abcdefghij" * 5_000_000))) == 50_000_000 + len("xxbos")
    assert WORD("!" * 10_000_000) == ["xxbos", "xxrep", "10000000", "!"]


def test_a_word_without_end_is_cut() -> None:
    text = "".join(chr(97 + (i * 7919) % 26) for i in range(200_000))
    tokens = WORD(text)
    assert "".join(tokens[1:]) == text
    assert max(map(len, tokens)) <= 1_000


def test_save_and_load(tmp_path: Path) -> None:
    tokenizer = Tokenizer(
        WordTokenizer("de"), [fix_html, partial(lowercase, add_eos=True)], [replace_space, str.strip][:1]
    )
    tokenizer.save(tmp_path)
    loaded = Tokenizer.load(tmp_path)
    assert loaded == tokenizer
    assert loaded.fingerprint() == tokenizer.fingerprint() != WORD.fingerprint()
    assert loaded("Über &amp; UNTER") == tokenizer("Über &amp; UNTER")


def test_rules_of_ones_own_must_be_given_again(tmp_path: Path) -> None:
    tokenizer = Tokenizer(rules=[lambda text: text + "!"])
    tokenizer.save(tmp_path)
    with pytest.raises(ConfigError, match="rules"):
        Tokenizer.load(tmp_path)
    assert Tokenizer.load(tmp_path, rules=tokenizer.rules) == tokenizer
    assert Tokenizer(rules=[lambda text: text + "?"]).fingerprint() != tokenizer.fingerprint()


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"format": "ulmfit-tokenizer", "version": 99}'])
def test_damaged_files_are_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(FormatError):
        Tokenizer.load(tmp_path)
    (tmp_path / "tokenizer.json").write_text(content, encoding="utf-8")
    with pytest.raises(FormatError):
        Tokenizer.load(tmp_path)


def test_newer_version_and_unknown_kind_are_refused(tmp_path: Path) -> None:
    for change in ({"version": 99}, {"tok": {"kind": "other"}}, {"rules": [{"name": "other"}]}):
        WORD.save(tmp_path)
        file = tmp_path / "tokenizer.json"
        file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | change), encoding="utf-8")
        with pytest.raises(FormatError):
            Tokenizer.load(tmp_path)


def test_unknown_language_is_refused() -> None:
    with pytest.raises(ConfigError, match="'qq'"):
        Tokenizer(WordTokenizer("qq"))("text")


def test_a_tokenizer_can_be_sent_to_another_process() -> None:
    assert pickle.loads(pickle.dumps(WORD))("Hello") == WORD("Hello")  # noqa: S301


def test_characters() -> None:
    tokenizer = Tokenizer(CharTokenizer())
    assert tokenizer("Ab c") == ["xxbos", "xxmaj", "a", "b", "▁", "c"]
    assert tokenizer("") == ["xxbos"]


CORPUS = [f"the number {i} is followed by the number {i + 1} of small numbers" for i in range(200)]


@pytest.mark.parametrize("model_type", ["unigram", "bpe"])
def test_subwords(tmp_path: Path, model_type: str) -> None:
    tokenizer = Tokenizer(SubwordTokenizer(vocab_sz=60, model_type=model_type)).fit(CORPUS)
    tokens = tokenizer("The Number 12\tis the numbers")
    assert tokens[:2] == ["xxbos", "xxmaj"]
    assert tokenizer.detokenize(tokens) == "The Number 12 is the numbers"
    whole = tokenizer.rules
    text = "The Number 12\tis the numbers"
    for rule in whole:
        text = rule(text)
    assert [
        p.removeprefix("▁") if p.startswith("▁xx") else p for p in tokenizer.tok._ready().EncodeAsPieces(text)
    ] == tokens
    tokenizer.save(tmp_path)
    assert Tokenizer.load(tmp_path) == tokenizer
    assert Tokenizer.load(tmp_path)("unseen words") == tokenizer("unseen words")
    (tmp_path / "subword.model").write_bytes(b"damaged")
    with pytest.raises(FormatError):
        Tokenizer.load(tmp_path)


@pytest.mark.parametrize("model_type", ["unigram", "bpe"])
def test_the_largest_possible_number_of_subwords_is_told(model_type: str) -> None:
    tokenizer = Tokenizer(SubwordTokenizer(vocab_sz=100_000, model_type=model_type))
    with pytest.warns(
        UserWarning, match=r"Of 100,000 subword pieces asked for there are [\d,]+: these texts support at most so many"
    ) as caught:
        tokenizer.fit(CORPUS)
    assert f"there are {tokenizer.tok._ready().GetPieceSize()}: these texts" in str(caught[0].message)
    assert tokenizer("number")[-1]


@pytest.mark.parametrize("model_type", ["unigram", "bpe"])
def test_as_many_subwords_as_are_needed(model_type: str) -> None:
    tokenizer = Tokenizer(SubwordTokenizer(vocab_sz=3, model_type=model_type))
    with pytest.warns(
        UserWarning, match=r"Of 3 subword pieces .* and the special tokens need at least so many"
    ) as caught:
        tokenizer.fit(CORPUS)
    assert f"there are {tokenizer.tok._ready().GetPieceSize()}: these texts" in str(caught[0].message)
    assert tokenizer("number")[-1]


def test_subwords_are_learned_from_all_of_a_line_without_spaces() -> None:
    from ulmfit.text.subword import _MAX_SENTENCE, _lines

    text = "ab" * _MAX_SENTENCE
    lines = list(_lines([text, "", "one two"]))
    assert "".join(lines) == text + "one two"
    assert max(map(len, lines)) * 4 <= _MAX_SENTENCE


def test_subwords_of_many_texts_are_learned_from_lines_of_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"{word} {word}er {word}est" for word in ("quick", "small", "bold", "warm") for _ in range(100)]
    learned: list[int] = []
    train = SubwordTokenizer._train

    def counted(self: SubwordTokenizer, lines: list[str], size: int) -> bytes:
        learned.append(sum(map(len, lines)))
        return train(self, lines, size)

    monkeypatch.setattr(SubwordTokenizer, "_train", counted)
    whole = SubwordTokenizer(vocab_sz=36)
    whole.train_on(texts)
    monkeypatch.setattr("ulmfit.text.subword._MAX_LEARNED", 3_000)
    part = SubwordTokenizer(vocab_sz=36)
    part.train_on(iter(texts))
    assert learned[0] == sum(map(len, texts)) > 6_000
    assert 1_500 < learned[1] <= 3_000
    for word in ("quick", "small", "bold", "warm"):
        assert list(part([word])) == list(whole([word]))


def test_subwords_must_be_trained_on_texts() -> None:
    with pytest.raises(ConfigError, match="fit"):
        Tokenizer(SubwordTokenizer())("text")
    with pytest.raises(DataError, match="twice"):
        Tokenizer(SubwordTokenizer()).fit(iter(CORPUS))
    with pytest.raises(DataError, match="empty"):
        Tokenizer(SubwordTokenizer(), rules=[]).fit(["", " "])
    with pytest.raises(ConfigError, match="model_type"):
        SubwordTokenizer(model_type="other")


@pytest.fixture
def hf_file(tmp_path: Path) -> Path:
    tokenizers = pytest.importorskip("tokenizers")
    vocab = {word: i for i, word in enumerate(["[UNK]", "a", "small", "text", "xxbos"])}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocab, unk_token="[UNK]"))  # noqa: S106
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.save(str(tmp_path / "some.json"))
    return tmp_path / "some.json"


def test_hugging_face_files(hf_file: Path, tmp_path: Path) -> None:
    tokenizer = Tokenizer(HFTokenizer(hf_file), rules=[str.lower])
    assert tokenizer("A small,  text") == ["a", "small", "[UNK]", "text"]
    assert Tokenizer(HFTokenizer(hf_file))("a Text") == ["xxbos", "a", "[UNK]", "text"]  # xxmaj is not in the file
    assert list(HFTokenizer(hf_file)(["a", ""])) == [["a"], []]
    assert pickle.loads(pickle.dumps(tokenizer))("a text") == ["a", "text"]  # noqa: S301
    saved = tmp_path / "saved"
    Tokenizer(HFTokenizer(hf_file), rules=[lowercase]).save(saved)
    hf_file.unlink()
    loaded = Tokenizer.load(saved)
    assert loaded("A text") == ["xxbos", "a", "text"]
    (saved / "hf-tokenizer.json").write_text(
        (saved / "hf-tokenizer.json").read_text(encoding="utf-8").replace("small", "large"), encoding="utf-8"
    )
    with pytest.raises(FormatError, match="not the file that was saved"):
        Tokenizer.load(saved)


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff"])
def test_files_that_are_no_tokenizer_are_refused(hf_file: Path, content: bytes | None) -> None:
    hf_file.unlink() if content is None else hf_file.write_bytes(content)
    with pytest.raises(FormatError, match="tokenizer file"):
        HFTokenizer(hf_file)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingExtraError, match="hf"):
        HFTokenizer(content="{}")


class Halves(BareTokenizer):
    kind = "halves"

    def tokenize_units(self, units: Sequence[str]) -> Iterator[Sequence[str]]:
        for unit in units:
            yield [unit[: len(unit) // 2], unit[len(unit) // 2 :]]


def test_a_tokenizer_of_ones_own(tmp_path: Path) -> None:
    tokenizer = Tokenizer(Halves(), rules=[str.lower])
    assert tokenizer("Four") == ["fo", "ur"]
    assert list(Halves()(["Four", ""])) == [["Fo", "ur"], []]
    assert tokenizer.fingerprint() != Tokenizer(CharTokenizer(), rules=[str.lower]).fingerprint()
    tokenizer.save(tmp_path)
    with pytest.raises(FormatError, match="unknown kind 'halves'"):
        Tokenizer.load(tmp_path)


def test_importing_the_stage_loads_neither_torch_nor_spacy() -> None:
    code = "import sys, ulmfit.text; print(sorted({'torch', 'spacy', 'sentencepiece'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "text",
    [
        "The film, which isn't long, was made in 1990 (in Paris).",
        "He said: \"I can't go.\" They're gone!",
        "World War II cost 10,000 lives and $5.",
        "No no no! It is sooo good!!!!",
    ],
)
def test_detokenize(text: str) -> None:
    back = WORD.detokenize(WORD(text))
    assert "".join(back.split()) == "".join(text.split())
    if "sooo" not in text:
        assert back == text


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        ("xxrep 3 ! after that", "!!! after that"),
        ("xxmaj one two xxup three four", "One two THREE four"),
        ("xxwrep 3 ha and more", "ha ha ha and more"),
        ("xxmaj xxwrep 3 ha", "Ha ha ha"),
        ("xxbos xxfld 1 a title xxfld 2 a text xxeos xxpad", "A title\na text"),
        ("xxrep", ""),
        ("xxrep many x", "many x"),
        ("xxrep 99999999999 x", "x" * 10_000),
        ("xxup", ""),
    ],
)
def test_marks_reach_exactly_one_word(tokens: str, text: str) -> None:
    assert WORD.detokenize(tokens.split()) == text


@pytest.mark.slow
def test_detokenize_wikipedia(data_folder: Path) -> None:
    import pyarrow.parquet as pq

    articles = pq.read_table(data_folder / "enwiki-0.parquet", columns=["text"]).column(0).to_pylist()[:200]
    found = (
        s.strip() + "." for article in articles for s in article.replace("\n", " ").split(". ") if 20 < len(s) < 200
    )
    sentences = list(islice(found, 1_000))

    def squeeze(text: str) -> str:
        return "".join(text.split()).casefold()

    equal = [squeeze(WORD.detokenize(WORD(s))) == squeeze(s) for s in sentences]
    assert np.mean(equal) >= 0.97


def test_special_tokens_stay_whole_without_spaces_between_words() -> None:
    tokens = Tokenizer(WordTokenizer("zh"))("你好 THE xxrep xxupon")
    assert tokens[:6] == ["xxbos", "你", "好", "xxup", "t", "h"]
    assert "xxrep" in tokens
    assert "".join(tokens).endswith("xxupon")
    assert "xxup" not in tokens[5:]  # within another word it is no special token
    assert WordTokenizer("zh", special_toks=())(["xxbos"]).__next__() == list("xxbos")


def test_the_older_name_of_training_subwords() -> None:
    tok = SubwordTokenizer()
    tok.setup(["some words of some text and more words"] * 20)
    model = tok.identity()
    tok.setup(["other"])  # as the model is there
    assert tok.identity() == model
    with pytest.raises(DataError, match="is one text"):
        SubwordTokenizer().setup("some words")


def test_what_is_no_rule_and_no_tokenizer_is_refused() -> None:
    with pytest.raises(ConfigError, match="'x' is none"):
        Tokenizer(rules=["x"])  # type: ignore[list-item]
    with pytest.raises(ConfigError, match="derive it from BareTokenizer"):
        Tokenizer(str.split)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="made NoneType of a text"):
        Tokenizer(rules=[lambda text: None])("a")  # type: ignore[list-item, return-value]


@pytest.mark.parametrize("text", ["WASN'T it?", "I'M here", "IT'S on", "WE'VE seen"])
def test_capitals_reach_over_a_contraction(text: str) -> None:
    assert WORD.detokenize(WORD(text)) == text


def test_a_language_that_spacy_does_not_know_is_refused_at_once():
    with pytest.raises(ConfigError, match="no rules for the language 'xx1'"):
        WordTokenizer(lang="xx1")
    assert isinstance(Tokenizer(WordTokenizer).tok, WordTokenizer)
