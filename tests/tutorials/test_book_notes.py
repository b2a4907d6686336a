"""The notes on the book's chapter about language models, cell by cell."""

from __future__ import annotations

import inspect
from importlib import import_module
from importlib.util import find_spec

import pytest
from cells import (
    Watch,
    check_batch_of_a_stream,
    check_batch_of_texts,
    check_sentiment,
    check_words,
    dropouts,
    epoch_rows,
)

from ulmfit.text.all import *

SPECIAL = ["xxunk", "xxpad", "xxbos", "xxeos", "xxfld", "xxrep", "xxwrep", "xxup", "xxmaj"]
# They leave files to be closed by themselves.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


# The cells follow each other: what one of them leaves in the folder, the next ones find there.


@pytest.fixture(scope="module")
def path(imdb):
    return untar_data(URLs.IMDB)


@pytest.fixture(scope="module")
def txts(path):
    files = get_text_files(path, folders=["train", "test", "unsup"])
    return L(o.open().read() for o in files[:2000])


def test_the_files(path):
    assert URLs.IMDB == "https://s3.amazonaws.com/fast-ai-nlp/imdb.tgz"
    assert repr(path) == f"Path('{path}')"
    files = get_text_files(path, folders=["train", "test", "unsup"])
    assert len(files) == 120
    txt = files[0].open().read()
    assert isinstance(txt[:75], str)


def test_words(txts, capsys):
    txt = txts[0]
    spacy = WordTokenizer()
    assert spacy.buf_sz == 5000
    assert list(first(spacy.pipe([txt]))) == first(spacy([txt]))
    assert list(spacy.special_toks) == SPECIAL
    toks = first(spacy([txt]))
    print(coll_repr(toks, 30))
    assert capsys.readouterr().out == f"(#{len(toks)}) [{','.join(map(repr, toks[:30]))}{'...' * (len(toks) > 30)}]\n"
    assert coll_repr(["a", "b", "c"], 2) == "(#3) ['a','b'...]"
    assert coll_repr(["a", "b", "c"], 3) == "(#3) ['a','b','c']"
    parts = first(spacy(["The U.S. dollar $1 is $1.00."]))
    assert coll_repr(parts) == "(#9) ['The','U.S.','dollar','$','1','is','$','1.00','.']"


def test_rules_and_special_tokens(txts):
    tkn = Tokenizer(WordTokenizer())
    assert (
        coll_repr(tkn("The film was GREAT!!!"), 31)
        == "(#10) ['xxbos','xxmaj','the','film','was','xxup','great','xxrep','3','!']"
    )
    assert [rule.__name__ for rule in defaults.text_proc_rules] == [
        "fix_html",
        "replace_rep",
        "replace_wrep",
        "spec_add_spaces",
        "rm_useless_spaces",
        "replace_all_caps",
        "replace_maj",
        "lowercase",
    ]
    assert [rule.__name__ for rule in defaults.text_postproc_rules] == ["replace_space"]
    assert (
        coll_repr(tkn("&copy;   Fast.ai www.fast.ai/INDEX"), 31)
        == "(#11) ['xxbos','©','xxmaj','fast.ai','xxrep','3','w','.fast.ai','/','xxup','index']"
    )


@pytest.mark.filterwarnings("ignore:Of .* subword pieces asked for there are:UserWarning")
def test_subwords(txts):
    def subword(sz):
        sp = SubwordTokenizer(vocab_sz=sz)
        sp.setup(txts)
        return " ".join(first(sp([txts[0]]))[:40])

    pieces = {sz: subword(sz).split() for sz in (1000, 200, 60, 10000)}
    assert {sz: len(found) for sz, found in pieces.items()} == dict.fromkeys(pieces, 40)
    assert all(found[0].startswith("▁") for found in pieces.values())
    lengths = [len("".join(pieces[sz])) for sz in (60, 200, 1000)]
    assert lengths == sorted(lengths)
    assert lengths[0] < lengths[1]  # fewer pieces are shorter ones
    words = "".join(pieces[10000]).replace("▁", " ").split()
    assert words[:-1] == txts[0].split()[: len(words) - 1]


def test_numbers_and_batches(txts):
    tkn = Tokenizer(WordTokenizer())
    toks200 = txts[:200].map(tkn)
    assert toks200[0][0] == "xxbos"
    num = Numericalize()
    num.setup(toks200)
    rest = ",".join(map(repr, num.vocab[9:20]))
    assert coll_repr(num.vocab, 20) == f"(#{len(num.vocab)}) [{','.join(map(repr, SPECIAL))},{rest}...]"
    toks = tkn(txts[0])
    nums = num(toks)[:20]
    assert nums.dtype == np.int64
    assert " ".join(num.vocab[o] for o in nums) == " ".join(toks[:20])
    nums200 = toks200.map(num)
    dl = LMDataLoader(nums200)
    x, y = first(dl)
    assert (x.shape, y.shape) == ((64, 72), (64, 72))
    assert " ".join(num.vocab[o] for o in x[0][1:20]) == " ".join(num.vocab[o] for o in y[0][:19])
    nums_samp = toks200[:10].map(num)
    assert repr(nums_samp.map(len)) == f"(#10) [{','.join(str(len(t)) for t in toks200[:10])}]"


def test_a_stream_cut_into_rows():
    stream = (
        "A language model reads one long row of words. Each document is written behind the one before it, and a batch "
        "takes the next few words of every row. We'll cut this very text into 6 rows of 15 words, so that the first "
        "word of a row follows the last word of the row above.\nThen a batch is 5 words wide: three batches show "
        "everything, and NO word is lost on the way from here to the end."
    )
    tokens = Tokenizer(WordTokenizer())(stream)
    assert coll_repr(tokens, 5) == f"(#{len(tokens)}) ['xxbos','a','language','model','reads'...]"
    bs, seq_len = 6, 15
    d_tokens = np.array([tokens[i * seq_len : (i + 1) * seq_len] for i in range(bs)])
    df = pd.DataFrame(d_tokens)
    shown = df.to_html(index=False, header=None)
    assert shown.count("<td>") == 90
    if find_spec("IPython") is not None:  # as a notebook has it
        display = import_module("IPython.display")
        display.display(display.HTML(shown))
    assert {"xxup", "\n", "'ll"} <= set(d_tokens.ravel().tolist())
    seq_len = 5
    for start in (0, 5, 10):
        piece = np.array([tokens[i * 15 + start : i * 15 + start + seq_len] for i in range(bs)])
        assert piece.tolist() == d_tokens[:, start : start + seq_len].tolist()


def test_the_whole_program(path, pretrained, capsys):
    get_imdb = partial(get_text_files, folders=["train", "test", "unsup"])
    dls_lm = DataBlock(
        blocks=TextBlock.from_folder(path, is_lm=True), get_items=get_imdb, splitter=RandomSplitter(0.1)
    ).dataloaders(path, path=path, bs=128, seq_len=80)
    dls_lm.show_batch(max_n=2)
    check_batch_of_a_stream(capsys.readouterr().out, 2)
    assert first(dls_lm.train)[0].shape[0] == 128
    learn = language_model_learner(dls_lm, AWD_LSTM, drop_mult=0.3, metrics=[accuracy, Perplexity()]).to_fp16()
    whole = language_model_learner(dls_lm, AWD_LSTM)
    assert dropouts(learn.model) == pytest.approx([0.3 * p for p in dropouts(whole.model)])
    assert max(dropouts(whole.model)) > 0.2
    capsys.readouterr()
    learn.fit_one_cycle(1, 2e-2)
    assert len(epoch_rows(capsys.readouterr().out, "accuracy", "perplexity")) == 1
    assert re.search(r"bound method (LM)?Learner\.save of", repr(learn.save))
    assert re.search(r"bound method (LM)?Learner\.load of", repr(learn.load))
    assert learn.save("1epoch") == path / "models" / "1epoch.safetensors"
    learn = learn.load("1epoch")
    learn.unfreeze()
    learn.fit_one_cycle(10, 2e-3)
    learn.save_encoder("finetuned")
    TEXT = "I liked this movie because"
    preds = [learn.predict(TEXT, 40, temperature=0.75) for _ in range(2)]
    capsys.readouterr()
    print("\n".join(preds))
    assert capsys.readouterr().out == f"{preds[0]}\n{preds[1]}\n"
    assert all(text.startswith(TEXT) for text in preds)
    check_words(learn, TEXT, 40)

    dls_clas = DataBlock(
        blocks=(TextBlock.from_folder(path, vocab=dls_lm.vocab), CategoryBlock),
        get_y=parent_label,
        get_items=partial(get_text_files, folders=["train", "test"]),
        splitter=GrandparentSplitter(valid_name="test"),
    ).dataloaders(path, path=path, bs=128, seq_len=72)
    dls_clas.show_batch(max_n=3)
    check_batch_of_texts(capsys.readouterr().out, 3)
    learn = text_classifier_learner(dls_clas, AWD_LSTM, drop_mult=0.5, metrics=accuracy).to_fp16()
    learn = learn.load_encoder("finetuned")
    watch = Watch()
    learn.add_cb(watch)
    learn.fit_one_cycle(1, 2e-2)
    learn.freeze_to(-2)
    learn.fit_one_cycle(1, slice(1e-2 / (2.6**4), 1e-2))
    learn.freeze_to(-3)
    learn.fit_one_cycle(1, slice(5e-3 / (2.6**4), 5e-3))
    learn.unfreeze()
    learn.fit_one_cycle(2, slice(1e-3 / (2.6**4), 1e-3))
    watch.check((1, 1), (2, 2.6**4), (3, 2.6**4), (5, 2.6**4), (5, 2.6**4))
    assert len(epoch_rows(capsys.readouterr().out, "accuracy")) == 5
    check_sentiment(learn)


def print_source(obj):
    for line in inspect.getsource(obj).split("\n"):
        print(line)


THINGS = [
    get_text_files,
    get_files,
    WordTokenizer,
    first,
    coll_repr,
    Tokenizer,
    SubwordTokenizer,
    Numericalize,
    TensorText,
    LMDataLoader,
    TextBlock,
    language_model_learner,
    Perplexity,
    LMLearner.save,
    save_model,
    rank_distrib,
    get_model,
    torch.save,
    LMLearner.load,
    load_model_text,
    distrib_barrier,
    LMLearner.save_encoder,
    GrandparentSplitter,
    *defaults.text_proc_rules,
    *defaults.text_postproc_rules,
]


@pytest.mark.parametrize("thing", THINGS, ids=lambda thing: thing.__name__)
def test_the_source_of_everything_they_look_at_is_shown(thing, capsys):
    print_source(thing)
    shown = capsys.readouterr().out
    assert "class " in shown or "def " in shown
    assert inspect.getdoc(thing)


def test_what_they_look_at_works(tmp_path):
    model = torch.nn.Linear(3, 2)
    opt = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.ones(1, 3)).sum().backward()
    opt.step()
    assert get_model(torch.nn.DataParallel(model)) is get_model(model) is model
    assert rank_distrib() == 0
    distrib_barrier()
    save_model(tmp_path / "m", model, opt)
    other = torch.nn.Linear(3, 2)
    other_opt = torch.optim.SGD(other.parameters(), lr=0.5, momentum=0.1)
    load_model_text(tmp_path / "m.safetensors", other, other_opt)
    assert torch.equal(other.weight, model.weight)
    assert other_opt.param_groups[0]["lr"] == 0.1
    save_model(tmp_path / "m", model, opt, with_opt=False)
    load_model_text(tmp_path / "m", other)
    with pytest.raises(FormatError, match="no optimizer state"):
        load_model_text(tmp_path / "m", other, other_opt, with_opt=True)
    with pytest.raises(FormatError, match=r"shape \(2, 3\) there and \(2, 4\) here"):
        load_model_text(tmp_path / "m", torch.nn.Linear(4, 2))
