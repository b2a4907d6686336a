"""Arguments of a wrong type, and those of fastai: one message that names the argument."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from invented import make_reviews

from ulmfit.data.block import DataBlock
from ulmfit.data.dataloaders import TextDataLoaders
from ulmfit.data.external import untar_data
from ulmfit.data.getters import ColReader, ItemGetter, get_text_files
from ulmfit.data.loaders import ClassifierLoader, LMDataLoader
from ulmfit.data.splitters import ColSplitter, EndSplitter, FuncSplitter, IndexSplitter, RandomSplitter
from ulmfit.data.tables import read_files
from ulmfit.data.targets import CategoryBlock, RegressionBlock
from ulmfit.data.text_block import TextBlock
from ulmfit.errors import ConfigError, DataError
from ulmfit.text.rules import SPECIAL_TOKENS

TEXTS, LABELS = make_reviews(40)
FRAME = pd.DataFrame({"text": TEXTS, "label": LABELS})


def from_df(**options: object) -> TextDataLoaders:
    return TextDataLoaders.from_df(FRAME, **({"cache": False} | options))


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: TextDataLoaders.from_folder(None), "path"),
        (lambda: TextDataLoaders.from_csv(5), "path"),
        (lambda: TextDataLoaders.from_folder(".", vocab="pos"), "vocab"),
        (lambda: TextDataLoaders.from_folder(".", splitter=0.2), "splitter"),
        (lambda: TextDataLoaders.from_texts("one text"), "texts"),
        (lambda: TextDataLoaders.from_texts(TEXTS, "pos"), "labels"),
        (lambda: from_df(path=None), "path"),
        (lambda: from_df(bs=8.0), "bs"),
        (lambda: from_df(bs="8"), "bs"),
        (lambda: from_df(bs=True), "bs"),
        (lambda: from_df(seed="3"), "seed"),
        (lambda: from_df(seed=-1), "seed"),
        (lambda: from_df(valid_pct="0.2"), "valid_pct"),
        (lambda: from_df(text_col=1.5), "text_col"),
        (lambda: from_df(label_delim=5), "label_delim"),
        (lambda: from_df(is_lm="yes"), "is_lm"),
        (lambda: from_df(seq_len=0), "seq_len"),
        (lambda: from_df(text_vocab=60_000), "vocabulary"),
        (lambda: from_df(tok_tfm="spacy"), "tok_tfm"),
        (lambda: from_df(weights="heavy"), "weights"),
        (lambda: TextBlock(vocab=3), "vocabulary"),
        (lambda: TextBlock(special_toks="xxurl"), "special_toks"),
        (lambda: TextBlock(special_toks=["xxurl"]), "special_toks"),
        (lambda: DataBlock((TextBlock, "category")), "block"),
        (lambda: DataBlock((TextBlock, CategoryBlock), splitter=[1, 2]), "splitter"),
        (lambda: DataBlock((TextBlock, CategoryBlock), get_items="*.txt"), "get_items"),
        (lambda: DataBlock((TextBlock, CategoryBlock), getters=[None, 5]), "getters"),
        (lambda: DataBlock((TextBlock, CategoryBlock), getters=[None] * 3), "getters"),
        (lambda: DataBlock((TextBlock, CategoryBlock)).dataloaders(5), "int is no collection of items"),
        (lambda: CategoryBlock("pos"), "vocab"),
        (lambda: RegressionBlock("2"), "n_out"),
        (lambda: RandomSplitter("0.2"), "valid_pct"),
        (lambda: RandomSplitter(0.2, seed="a"), "seed"),
        (lambda: EndSplitter(None), "valid_pct"),
        (lambda: IndexSplitter(3), "valid_idx"),
        (lambda: FuncSplitter("is_valid"), "func"),
        (lambda: ColSplitter(None), "col"),
        (lambda: ColReader(None), "cols"),
        (lambda: get_text_files(None), "path"),
        (lambda: read_files(None), "paths"),
        (lambda: untar_data(None), "url"),
        (lambda: LMDataLoader([[1, 2, 3]], bs="1"), "bs"),
        (lambda: LMDataLoader([[1, 2, 3]], bs=1).set_epoch("1"), "epoch"),
        (lambda: ClassifierLoader([[1], [2]], shuffle=1), "shuffle"),
        (lambda: ClassifierLoader([[1], [2]], partial_n=3, shuffle=True), "partial_n"),
    ],
)
def test_a_wrong_type_is_one_error_that_names_the_argument(make: Callable[[], object], name: str):
    with pytest.raises((ConfigError, DataError), match=name):
        make()


def test_numbers_of_numpy_and_collections_of_any_kind_are_fine():
    dls = from_df(bs=np.int64(4), seed=np.int32(1), valid_pct=np.float64(0.2), weights=np.ones(32))
    assert dls.one_batch().target.shape == (4,)
    assert CategoryBlock(pd.Series(["b", "a"])).fit([], "").labels == ("a", "b")


def test_what_changes_nothing_is_taken():
    dls = from_df(bs=4, num_workers=4, pin_memory=True, verbose=False, after_item=None, drop_last=False)
    assert dls.n_inp == 1
    block = DataBlock(
        (TextBlock.from_df("text", sep=" "), CategoryBlock),
        dl_type=ClassifierLoader,
        n_inp=1,
        item_tfms=None,
        batch_tfms=[],
        get_y=ColReader("label"),
    )
    dls = block.dataloaders(FRAME, num_workers=0)
    assert len(dls.test_dl(TEXTS, rm_type_tfms=None, num_workers=0).batch_indices()) == 1
    assert dls.to("cpu") is dls.cpu()
    assert str(dls.device) == "cpu"


@pytest.mark.parametrize(
    ("make", "advice"),
    [
        (lambda: DataBlock(TextBlock(is_lm=True), item_tfms=[str.lower]), "DataBlock.* 'item_tfms': .*rules"),
        (lambda: DataBlock(TextBlock(is_lm=True), batch_tfms=[len]), "'batch_tfms': .*Callback"),
        (lambda: DataBlock(TextBlock(is_lm=True), n_inp=2), "'n_inp': the text is the only input"),
        (lambda: from_df(drop_last=True), "from_df.* 'drop_last': a last batch"),
        (lambda: from_df(verbose=True), "'verbose': .*summary"),
        (lambda: TextBlock.from_df("text", sep="_"), "'sep': tokens are shown"),
        (lambda: TextBlock.from_folder(".", extensions=[".md"]), "'extensions': get_items"),
        (lambda: TextBlock.from_folder(".", output_dir="x"), "'output_dir': .*cache=FOLDER"),
        (lambda: from_df().show_batch(unique=True), "'unique': .*again"),
    ],
)
def test_what_means_nothing_here_says_what_to_use_instead(make: Callable[[], object], advice: str):
    with pytest.raises(TypeError, match=advice):
        make()
    with pytest.raises(ConfigError, match="need a LMDataLoader"):
        DataBlock(TextBlock(is_lm=True), dl_type=ClassifierLoader)


def test_a_source_of_columns():
    block = DataBlock.from_columns((TextBlock(cache=False), CategoryBlock), get_items=lambda df: (df.text, df.label))
    assert block.dataloaders(FRAME).labels == ("neg", "pos")
    turned = DataBlock.from_columns((TextBlock(cache=False), CategoryBlock), getters=[ItemGetter(1), ItemGetter(0)])
    assert turned.dataloaders([LABELS, TEXTS]).labels == ("neg", "pos")
    with pytest.raises(DataError, match="different lengths: 40, 3"):
        turned.dataloaders([LABELS, TEXTS[:3]])


def test_some_texts_and_weighted_texts():
    block = DataBlock((TextBlock.from_df("text", cache=False), CategoryBlock), get_y=ColReader("label"))
    dls = block.partial_dataloaders(FRAME, 10, bs=4)
    drawn = [sorted(i for batch in (list(dls.train) and dls.train.batch_indices()) for i in batch) for _ in range(2)]
    assert [len(set(one)) for one in drawn] == [10, 10]
    assert drawn[0] != drawn[1]
    sets = block.datasets(FRAME)
    only = sets.train.targets == 1
    assert all(batch.target.all() for batch in sets.weighted_dataloaders(only.astype(float), bs=4).train)
    assert len(sets.partial_dataloaders(7, bs=7).train) == 1
    assert sets.dataloaders(bs=3).bs == 3
    with pytest.raises(ConfigError, match="partial_n is for texts with labels"):
        TextDataLoaders.from_df(FRAME, is_lm=True, bs=2, partial_n=3, cache=False)


def test_special_tokens_of_ones_own_come_first_and_stay_whole():
    texts = ["see xxurl now", "xxurl", "nothing there"] * 9
    special = [*SPECIAL_TOKENS, "xxurl", "xxmail"]
    block = TextBlock(is_lm=True, special_toks=special, min_freq=1, cache=False)
    dls = DataBlock(block).dataloaders(texts, bs=2)
    assert list(dls.text_vocab)[: len(special)] == special


def test_a_folder_may_be_a_string(tmp_path: Path):
    dls = from_df(cache=str(tmp_path))
    assert dls.train_ds.store.path.parent == tmp_path
