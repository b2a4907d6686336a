from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from ulmfit.errors import ConfigError, DataError, FormatError
from ulmfit.inference.bundle import LANGUAGE_MODEL, Bundle
from ulmfit.inference.generate import Sampling, Stops, TextGenerator, continue_ids
from ulmfit.models.config import AWDLSTMConfig, AWDQRNNConfig
from ulmfit.models.language_model import LanguageModel
from ulmfit.text.rules import SPECIAL_TOKENS
from ulmfit.text.tokenizers import Tokenizer
from ulmfit.text.vocab import Vocab

WORDS = ["the", "a", "film", "coffee", "was", "good", "bad", ".", "and", "of", "parcel", "late", "then", "we"]
VOCAB = Vocab([*SPECIAL_TOKENS, *WORDS, "xxfake0"])


def language_model(arch=AWDLSTMConfig, *, spread: float = 6.0) -> Bundle:
    """A language model with random weights, of which some words are much likelier than others."""
    config = arch(emb_sz=8, n_hid=12, n_layers=2, cutoffs=(12,))
    torch.manual_seed(0)
    model = LanguageModel(len(VOCAB), config)
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(spread)
        model.decoder.bias[3:9] = -40.0  # words, not marks
    return Bundle(kind=LANGUAGE_MODEL, config=config, weights=model.state_dict(), tokenizer=Tokenizer(), vocab=VOCAB)


@pytest.fixture(scope="module")
def generator() -> TextGenerator:
    return TextGenerator(language_model())


@pytest.mark.parametrize("arch", [AWDLSTMConfig, AWDQRNNConfig])
def test_the_likeliest_words_are_those_of_the_whole_text_at_once(arch):
    model = TextGenerator(language_model(arch)).model
    prompt = [2, *range(9, 14)]
    drawn = continue_ids(model, VOCAB, prompt, Sampling(temperature=0), Stops(n_words=20), [0])[0]
    with torch.no_grad():
        ids = torch.tensor([[*prompt, *drawn]])
        rows = model(ids, None).logits[0, len(prompt) - 1 : -1]
        model.reset()
    rows[:, [0, 1, 2, 3, len(VOCAB) - 1]] = -torch.inf
    assert drawn == rows.argmax(1).tolist()


def test_equal_seeds_equal_texts_and_samples_do_not_depend_on_each_other(generator: TextGenerator):
    texts = generator.generate("The film", 15, n_samples=4, seed=3)
    assert len(set(texts)) > 1
    assert texts == generator.generate("The film", 15, n_samples=4, seed=3)
    assert texts[1] == generator.generate("The film", 15, seed=4)[0]
    assert texts != generator.generate("The film", 15, n_samples=4, seed=9)
    assert all(text.startswith("The film") for text in texts)


def test_torchs_generator_is_left_alone(generator: TextGenerator):
    before = torch.random.get_rng_state()
    generator.generate("the", 5)
    assert torch.equal(before, torch.random.get_rng_state())


def test_what_must_never_be_said_is_not(generator: TextGenerator):
    text = " ".join(generator.generate("An unheard-of film", 400, n_samples=3, stop_at_end=False,
                                       sampling=Sampling(temperature=50.0), seed=0))  # fmt: skip
    assert "xx" not in text
    assert "unheard-of" in text


def test_a_sample_ends_where_a_text_ends(generator: TextGenerator):
    weights = dict(generator.bundle.weights)
    bias = weights["decoder.bias"].clone()
    bias[VOCAB.bos_idx] = 1000.0
    ending = TextGenerator(replace(generator.bundle, weights=weights | {"decoder.bias": bias}))
    assert ending.generate("the film", 10, seed=0) == ["the film"]
    assert ending.generate("the film", 10, seed=0, stop_at_end=False) != ["the film"]


def test_a_sample_ends_behind_a_stop(generator: TextGenerator):
    free = generator.generate("the film", 60, seed=5, stop_at_end=False)[0]
    assert "late" in free.removesuffix("late")
    assert (
        generator.generate("the film", 60, seed=5, stop=["late"], stop_at_end=False)[0]
        == free[: free.index("late") + 4]
    )
    with pytest.raises(ConfigError, match="the model has no word 'zebra'"):
        generator.generate("the", stop=["zebra"])
    with pytest.raises(ConfigError, match="stop=' ': is empty"):
        generator.generate("the", stop=[" "])


def drawn_words(generator: TextGenerator, **sampling: object) -> set[int]:
    """The words that 60 draws after one prompt give."""
    seeds = range(60)
    drawn = continue_ids(generator.model, VOCAB, [2, 9, 11], Sampling(**sampling), Stops(n_words=1), seeds)  # type: ignore[arg-type]
    return {ids[0] for ids in drawn}


def test_rules_narrow_what_is_drawn():
    generator = TextGenerator(language_model(spread=2.0))
    with torch.no_grad():
        scores = generator.model(torch.tensor([[2, 9, 11]]), generator.model.encoder.state).logits[0, -1].exp()
        generator.model.reset()
    scores[[0, 1, 2, 3, len(VOCAB) - 1]] = 0
    order = scores.argsort(descending=True).tolist()
    assert len(drawn_words(generator)) > 3
    assert drawn_words(generator, top_k=1) == {order[0]}
    assert drawn_words(generator, top_k=3) == set(order[:3])
    assert drawn_words(generator, top_p=1e-6) == {order[0]}
    kept = scores / scores.sum()
    assert drawn_words(generator, top_p=float(kept[order[0]]) + 1e-4) == set(order[:2])
    assert drawn_words(generator, min_p=float(scores[order[1]]) - 1e-6) == set(order[:2])
    assert len(drawn_words(generator, min_p=1.0)) > 3  # nothing is so probable: the rule is left out
    assert drawn_words(generator, temperature=1e-4) == {order[0]}


def test_a_penalty_ends_repetition(generator: TextGenerator):
    plain, varied = (
        continue_ids(generator.model, VOCAB, [2, 9], sampling, Stops(n_words=12), [0])[0]
        for sampling in (Sampling(temperature=0), Sampling(temperature=0, repetition_penalty=1e6))
    )
    words = [i for i in varied if i >= len(SPECIAL_TOKENS)]
    assert len(set(words)) == len(words)
    assert varied != plain


def test_a_backwards_model_writes_what_comes_before():
    generator = TextGenerator(replace(language_model(), backwards=True))
    text = generator.generate("was late.", 8, seed=1, stop_at_end=False)[0]
    assert text.endswith("was late.")
    assert len(text) > len("was late.")


def test_a_prompt_may_be_empty_or_long(generator: TextGenerator):
    assert generator.generate("", 5, seed=0, stop_at_end=False)[0]
    assert len(generator.generate("the film was good . " * 1000, 2, seed=0)[0]) > 10_000


def test_bad_arguments(generator: TextGenerator, example: Bundle):
    with pytest.raises(ConfigError, match=r"temperature=-1 must.*top_k=0.*top_p=2.*min_p=-1.*repetition_penalty=0"):
        Sampling(temperature=-1, top_k=0, top_p=2, min_p=-1, repetition_penalty=0)
    with pytest.raises(ConfigError, match="n_words=0"):
        generator.generate("the", 0)
    with pytest.raises(ConfigError, match="n_samples=0"):
        generator.generate("the", n_samples=0)
    with pytest.raises(ConfigError, match="seed=-1"):
        generator.generate("the", seed=-1)
    with pytest.raises(DataError, match="must be a string, not NoneType"):
        generator.generate(None)  # type: ignore[arg-type]
    with pytest.raises(FormatError, match="holds a classifier; a language_model is needed"):
        TextGenerator(example)
