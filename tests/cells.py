"""What the tutorials print, looked at in the same way by several of their tests."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from invented import make_reviews

from ulmfit.models.dropout import EmbeddingDropout, RNNDropout, WeightDrop
from ulmfit.training.callbacks import Callback


def epoch_rows(said: str, *metrics: str) -> list[list[str]]:
    """The rows of the tables of epochs in what was printed, after a look at their headings."""
    lines = [line.split() for line in said.splitlines()]
    heading = ["epoch", "train_loss", "valid_loss", *metrics, "time"]
    assert heading in lines
    return [line for line in lines if len(line) == len(heading) and line[0].isdigit()]


def check_answer(answer: Any) -> None:
    """A label, its number, and the probability of every class: ('pos', tensor(1), tensor([0.01, 0.99]))."""
    label, index, probabilities = answer
    assert label == ["neg", "pos"][int(index)]
    assert isinstance(index, torch.Tensor)
    assert index.shape == ()
    assert probabilities.shape == (2,)
    assert int(probabilities.argmax()) == int(index)
    assert abs(float(probabilities.sum()) - 1) < 1e-5


def shown_tables(said: str) -> list[list[list[str]]]:
    """The tables that were drawn in what was printed: for each its headings, then its rows, cell by cell."""
    tables: list[list[list[str]]] = []
    for line in said.splitlines():
        if line.startswith("┏"):
            tables.append([[]])
        elif line[:1] in "┡├" and line:
            tables[-1].append([])
        elif line[:1] in "┃│" and line:
            cells = [cell.strip() for cell in line.replace("┃", "│").strip("│").split("│")]
            before = tables[-1][-1] or [""] * len(cells)
            tables[-1][-1] = [f"{one} {more}".strip() for one, more in zip(before, cells, strict=True)]
    return tables


def check_batch_of_texts(said: str, rows: int, *, labels: set[str] = frozenset({"neg", "pos"})) -> None:
    """One table of texts as tokens and what they are."""
    ((heading, *body),) = shown_tables(said)
    assert heading == ["text", "category"]
    assert len(body) == rows
    for text, label in body:
        assert text.startswith("xxbos xxmaj ")
        assert label in labels


def check_batch_of_a_stream(said: str, rows: int) -> None:
    """One table of pieces of the stream, and the same one word later."""
    ((heading, *body),) = shown_tables(said)
    assert heading == ["text", "text_"]
    assert len(body) == rows
    for text, later in body:
        assert text.split()[1:] == later.split()[:-1]
        assert len(text.split()) > 20


def check_results(said: str, rows: int, *, right: float) -> None:
    """One table of texts, what they are, and what a trained model says of them."""
    ((heading, *body),) = shown_tables(said)
    assert heading == ["text", "category", "category_"]
    assert len(body) == rows
    assert {label for _, _, label in body} == {"neg", "pos"}
    assert sum(label == said for _, label, said in body) >= right * rows


def check_words(learn: Any, text: str, n_words: int) -> None:
    """A text is gone on with by so many tokens, and a low temperature takes the likeliest.

    Low is far below the differences of the likeliest words, which a short training leaves close.
    """
    begun = learn.dls.tokenizer(text)
    words = learn.predict(text, n_words, decoder=list, temperature=0.75)
    assert len(words) == len(begun) + n_words
    assert words[: len(begun)] == begun
    likeliest = [learn.predict(text, n_words, temperature=t, seed=seed) for t, seed in ((0, 1), (1e-8, 2), (1e-8, 3))]
    assert likeliest[1:] == likeliest[:1] * 2
    assert learn.predict(text, n_words, temperature=1.0, seed=2) != likeliest[0]


def check_sentiment(learn: Any) -> None:
    """What was learned from the invented reviews is what is answered to others of the kind."""
    learn.unfreeze()
    learn.fit_one_cycle(40, 1e-2)  # ends with low rates: at a constant one so small a model is now and then thrown back
    texts, labels = make_reviews(20, seed=5)
    answers = [learn.predict(f"{text}\n{text}") for text in texts]
    for answer in answers:
        check_answer(answer)
    assert sum(answer[0] == label for answer, label in zip(answers, labels, strict=True)) >= 18
    assert sum(float(answer[2].max()) > 0.8 for answer in answers) >= 10


def trainable(learn: Any) -> list[bool]:
    """Whether each group of parameters is trained."""
    for group in learn.groups:
        assert len({p.requires_grad for p in group}) == 1
    return [group[0].requires_grad for group in learn.groups]


def dropouts(model: torch.nn.Module) -> list[float]:
    """The probabilities of a model's dropouts, those of the last layers of a classifier's head apart."""
    kinds = (EmbeddingDropout, RNNDropout, WeightDrop)
    return [module.p for module in model.modules() if isinstance(module, kinds)]


class Watch(Callback):
    """Notes what each epoch trained: which groups, and the rate of each in relation to the highest."""

    def __init__(self) -> None:
        self.trained: list[list[bool]] = []
        self.rates: list[list[float]] = []

    def after_batch(self, learn: Any) -> None:
        if learn.batch == 1:
            rates = {group["group"]: group["lr"] for group in learn.opt.param_groups}
            self.trained.append(trainable(learn))
            self.rates.append([rates[i] / max(rates.values()) for i in sorted(rates)])

    def check(self, *epochs: tuple[int, float]) -> None:
        """For each epoch: how many groups were trained, and by how much the lowest rate is lower than the highest."""
        n = len(self.rates[0])
        assert [sum(trained) for trained in self.trained] == [groups for groups, _ in epochs]
        assert [trained[-groups:] for trained, (groups, _) in zip(self.trained, epochs, strict=True)] == [
            [True] * groups for groups, _ in epochs
        ]
        for rates, (_, ratio) in zip(self.rates, epochs, strict=True):
            assert rates == pytest.approx([ratio ** (i / (n - 1) - 1) for i in range(n)])
        self.trained.clear()
        self.rates.clear()
