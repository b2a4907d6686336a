"""The cells about data of the ULMFiT tutorials, as they stand there but for the name of the package."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from invented import make_reviews

import ulmfit.text.all
from ulmfit.text.all import *


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small folder in the shape of IMDb, by way of the mirror."""
    texts, labels = make_reviews(200)
    for i, (text, label) in enumerate(zip(texts, labels, strict=True)):
        part = ("train", "test", "unsup")[i % 3]
        file = tmp_path / "mirror" / "imdb" / part / ("" if part == "unsup" else label) / f"{i}_7.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + " " + texts[i - 1], encoding="utf-8")
    monkeypatch.setenv("ULMFIT_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setenv("ULMFIT_DATA", str(tmp_path / "home"))
    monkeypatch.setenv("ULMFIT_CACHE", str(tmp_path / "cache"))
    return untar_data(URLs.IMDB)


def test_the_tutorial_on_transfer_learning(path, capsys):
    assert repr(path.ls()).startswith("(#3) [Path('")
    assert repr((path / "train").ls()).startswith("(#2) [Path('")
    dls = TextDataLoaders.from_folder(untar_data(URLs.IMDB), valid="test")
    dls.show_batch()
    assert "category" in capsys.readouterr().out
    imdb = DataBlock(
        blocks=(TextBlock.from_folder(path), CategoryBlock),
        get_items=partial(get_text_files, folders=["train", "test"]),
        get_y=parent_label,
        splitter=GrandparentSplitter(valid_name="test"),
    )
    assert len(imdb.dataloaders(path).train_ds) == len(dls.train_ds)
    dls_lm = TextDataLoaders.from_folder(path, is_lm=True, valid_pct=0.1, bs=8)
    dls_lm.show_batch(max_n=5)
    assert "text_" in capsys.readouterr().out
    dls_clas = TextDataLoaders.from_folder(untar_data(URLs.IMDB), valid="test", text_vocab=dls_lm.vocab)
    assert dls_clas.vocab == [dls_lm.vocab, ["neg", "pos"]]


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # they leave files to be closed by themselves
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_notes_on_the_book(path):
    assert URLs.IMDB == "https://s3.amazonaws.com/fast-ai-nlp/imdb.tgz"
    files = get_text_files(path, folders=["train", "test", "unsup"])
    assert len(files) == 200
    txt = files[0].open().read()
    spacy = WordTokenizer()
    toks = first(spacy([txt]))
    assert coll_repr(toks, 3).startswith(f"(#{len(toks)}) ['")
    tkn = Tokenizer(spacy)
    txts = L(o.open().read() for o in files[:2000])
    toks200 = txts[:200].map(tkn)
    num = Numericalize()
    num.setup(toks200)
    assert coll_repr(num.vocab, 3) == f"(#{len(num.vocab)}) ['xxunk','xxpad','xxbos'...]"
    nums200 = toks200.map(num)
    dl = LMDataLoader(nums200)
    x, y = first(dl)
    assert x.shape == y.shape == (64, 72)
    assert " ".join(num.vocab[o] for o in x[0][1:20]) == " ".join(num.vocab[o] for o in y[0][:19])
    assert repr(nums200[:3].map(len)).startswith("(#3) [")
    dls_lm = DataBlock(
        blocks=TextBlock.from_folder(path, is_lm=True),
        get_items=partial(get_text_files, folders=["train", "test", "unsup"]),
        splitter=RandomSplitter(0.1),
    ).dataloaders(path, path=path, bs=16, seq_len=80)
    assert first(dls_lm.train)[0].shape == (16, 80)
    dls_clas = DataBlock(
        blocks=(TextBlock.from_folder(path, vocab=dls_lm.vocab), CategoryBlock),
        get_y=parent_label,
        get_items=partial(get_text_files, folders=["train", "test"]),
        splitter=GrandparentSplitter(valid_name="test"),
    ).dataloaders(path, path=path, bs=16, seq_len=72)
    assert dls_clas.text_vocab == dls_lm.vocab


def test_the_notes_with_other_names(path):
    dls = TextDataLoader.from_folder(path, valid="/test")
    lm = TextDataLoader.from_folder(path, is_lm=True, valid_pct=0.1, bs=8)
    assert TextDataLoader.from_folder(path, valid="test", text_vocab=lm.vocab).labels == dls.labels


def test_the_older_interface(tmp_path, monkeypatch):
    monkeypatch.setenv("ULMFIT_CACHE", str(tmp_path))
    texts, labels = make_reviews(60)
    df = pd.DataFrame({"label": labels, "text": texts})
    df_trn, df_val = df[:50], df[50:]
    data_lm = TextLMDataBunch.from_df("./", train_df=df_trn, valid_df=df_val, bs=4)
    assert (data_lm.task, data_lm.seq_len) == ("lm", 70)
    data_clas = TextClasDataBunch.from_df("./", train_df=df_trn, valid_df=df_val, vocab=data_lm.train_ds.vocab, bs=32)
    assert data_clas.text_vocab == data_lm.train_ds.vocab
    assert data_clas.labels == ("neg", "pos")
    df.to_csv(tmp_path / "texts.csv", index=False)
    assert TextClasDataBunch.from_csv(tmp_path, "texts.csv", seed=2).labels == ("neg", "pos")
    with pytest.raises(TypeError, match="text_columns"):
        TextClasDataBunch.from_df("./", df_trn, df_val, text_columns="text")


def test_the_star_import_is_quick_and_every_name_is_there():
    code = """
import json, sys
from ulmfit.text.all import *
heavy = {"accelerate", "matplotlib", "pandas", "pyarrow", "scipy", "sklearn", "spacy"} & set(sys.modules)
print(json.dumps([sorted(heavy), pd.DataFrame({"a": [1]}).shape]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[], [1, 1]]
    names = ulmfit.text.all.__all__
    assert {"TextDataLoaders", "AWD_LSTM", "Learner", "accuracy", "untar_data", "Path", "torch", "pd"} <= set(names)
    everything = [getattr(ulmfit.text.all, name) for name in names]
    own = [thing for thing in everything if getattr(thing, "__module__", "").startswith("ulmfit")]
    assert len(own) > 100
    assert all(thing.__doc__ for thing in own if inspect.isclass(thing) or inspect.isfunction(thing))


def test_names_of_callbacks_and_layers_are_there():
    wanted = {"class_weights", "SaveBest", "Recorder", "RNNDropout", "EmbeddingDropout", "TerminateOnNaNCallback"}
    assert wanted <= set(ulmfit.text.all.__all__)
