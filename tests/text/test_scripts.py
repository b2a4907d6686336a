from __future__ import annotations

import warnings

import pandas as pd
import pytest

from ulmfit.data.dataloaders import TextDataLoaders
from ulmfit.text.scripts import different_words, finds_no_words, share_without_spaces
from ulmfit.text.tokenizers import CharTokenizer, SubwordTokenizer, WordTokenizer, tokenizer_by_kind

WITHOUT_SPACES = {
    "Chinese": "这家餐厅的菜非常好吃。服务员也很热情。",
    "Japanese": "この店の料理はとても美味しくて、店員も親切でした。",
    "Thai": "อาหารร้านนี้อร่อยมากและพนักงานใจดี",
    "Khmer": "ម្ហូបនៅហាងនេះឆ្ងាញ់ណាស់",
    "Lao": "ອາຫານຮ້ານນີ້ແຊບຫຼາຍ",
    "Burmese": "ဒီဆိုင်ကအစားအစာတွေအရမ်းကောင်းတယ်",
}
WITH_SPACES = {
    "English": "The food was very good and the staff were kind.",
    "Korean": "이 식당의 음식은 정말 맛있고 직원들도 친절했어요.",
    "Vietnamese": "Đồ ăn ở quán này rất ngon và nhân viên thân thiện.",
    "Hindi": "इस रेस्तरां का खाना बहुत अच्छा था।",
    "Arabic": "كان الطعام في هذا المطعم لذيذا جدا.",
    "Amharic": "የዚህ ምግብ ቤት ምግብ በጣም ጥሩ ነበር።",
    "Russian": "Еда в этом ресторане была очень вкусной.",
}


@pytest.mark.parametrize("language", WITHOUT_SPACES)
def test_texts_without_spaces_get_subwords(language):
    texts = [WITHOUT_SPACES[language]] * 3
    assert share_without_spaces(texts) > 0.9
    assert tokenizer_by_kind("auto", "en", texts=texts).tok.kind == "subword"
    assert tokenizer_by_kind("word", "en", texts=texts).tok.kind == "word"


@pytest.mark.parametrize("language", WITH_SPACES)
def test_texts_with_spaces_get_words(language):
    texts = [WITH_SPACES[language]] * 3
    assert share_without_spaces(texts) == 0
    assert tokenizer_by_kind("auto", "en", texts=texts).tok.kind == "word"


def test_a_good_part_is_enough_and_a_word_is_not():
    name = "Lu Xun (鲁迅) wrote the Diary of a Madman."
    assert not finds_no_words(WordTokenizer(), [name] * 9)
    assert finds_no_words(WordTokenizer(), [name, WITHOUT_SPACES["Chinese"] * 3])
    assert share_without_spaces([]) == share_without_spaces(["", "12 !?"]) == 0


def test_different_words_are_counted_by_pairs_where_spaces_do_not_tell_them():
    assert different_words(["so it is", "it is so"]) == 3
    assert different_words(["好菜好", "好菜 贵"]) == 3
    assert different_words([""]) == different_words(["  "]) == 0


def test_where_words_are_found_otherwise_all_is_well():
    texts = [WITHOUT_SPACES["Chinese"]]
    for tok in (WordTokenizer("zh"), CharTokenizer(), SubwordTokenizer()):
        assert not finds_no_words(tok, texts)
    assert tokenizer_by_kind("auto", "zh", texts=texts).tok.kind == "word"


def test_loaders_warn_of_phrases_taken_for_words():
    frame = pd.DataFrame(
        {"text": [WITHOUT_SPACES["Chinese"], WITHOUT_SPACES["Japanese"]] * 10, "label": ["a", "b"] * 10}
    )
    with pytest.warns(UserWarning, match=r"WordTokenizer\('en'\) takes whole phrases for words"):
        TextDataLoaders.from_df(frame, bs=4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        TextDataLoaders.from_df(frame, bs=4, tok_tfm=CharTokenizer())
