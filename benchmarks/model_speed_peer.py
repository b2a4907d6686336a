"""The peer's side of model_speed.py; runs in an environment with fastai 2.8.12, and is not imported."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from fastai.text.all import (  # type: ignore[import-not-found]
    AWD_LSTM,
    Adam,
    awd_lstm_clas_split,
    awd_lstm_lm_split,
    get_language_model,
    get_text_classifier,
)
from model_inputs import Ids, answer, documents, stream

BS, SEQ_LEN, PAD = 64, 72, 1


def lm_train(vocab_sz: int, bs: int, seq_len: int) -> Callable[[int], int]:
    """A training step with both regularisers, as its learner does it."""
    model = get_language_model(AWD_LSTM, vocab_sz).train()
    optimizer = Adam(awd_lstm_lm_split(model), lr=1e-3, wd=0.01)

    def step(n: int) -> int:
        ids = torch.from_numpy(stream(vocab_sz, bs, seq_len, n))
        logits, raw, dropped = model(ids[:, :-1])
        loss = F.cross_entropy(logits.view(-1, vocab_sz), ids[:, 1:].reshape(-1))
        loss = loss + 2 * dropped.float().pow(2).mean() + (raw[:, 1:] - raw[:, :-1]).float().pow(2).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return bs * seq_len

    return step


def lm_eval(vocab_sz: int) -> Callable[[int], int]:
    """A batch of validation: the loss."""
    model = get_language_model(AWD_LSTM, vocab_sz).eval()

    @torch.no_grad()
    def step(n: int) -> int:
        ids = torch.from_numpy(stream(vocab_sz, BS, SEQ_LEN, n))
        F.cross_entropy(model(ids[:, :-1])[0].view(-1, vocab_sz), ids[:, 1:].reshape(-1))
        return BS * SEQ_LEN

    return step


def padded(texts: list[Ids]) -> torch.Tensor:
    """Whole chunks of padding in front, the rest behind, as its loader does it."""
    longest = max(len(t) for t in texts)
    rows = []
    for text in texts:
        missing = longest - len(text)
        front = missing // SEQ_LEN * SEQ_LEN
        rows.append(F.pad(torch.from_numpy(text), (front, missing - front), value=PAD))
    return torch.stack(rows)


def classifier(vocab_sz: int, first: int | None) -> Callable[[int], int]:
    """A training step of the parameter groups from `first` on, or a forward pass if that is None."""
    model = get_text_classifier(AWD_LSTM, vocab_sz, 2, drop_mult=0.5).train(first is not None)
    groups = awd_lstm_clas_split(model)
    for p in (p for g in groups[: first or 0] for p in g):
        p.requires_grad_(False)
    optimizer = Adam([[p for p in g if p.requires_grad] for g in groups], lr=1e-3, wd=0.01)

    def step(n: int) -> int:
        texts = documents(vocab_sz, 32, n)
        ids = padded(texts)
        with torch.set_grad_enabled(first is not None):
            logits, raw, dropped = model(ids)
        if first is not None:
            loss = F.cross_entropy(logits, torch.arange(len(texts)) % 2)
            loss = loss + 2 * dropped.float().pow(2).mean() + (raw[:, 1:] - raw[:, :-1]).float().pow(2).mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        return len(texts)

    return step


def one_text(vocab_sz: int, n_tokens: int) -> Callable[[int], int]:
    """A classifier's answers to texts one at a time, the model's part."""
    model = get_text_classifier(AWD_LSTM, vocab_sz, 2).eval()

    @torch.no_grad()
    def step(n: int) -> int:
        for i in range(20):
            model(torch.from_numpy(stream(vocab_sz, 1, n_tokens - 1, 20 * n + i)))[0].softmax(1)
        return 20

    return step


def next_word(vocab_sz: int, n_words: int) -> Callable[[int], int]:
    """Words drawn one after the other, the model's part: the whole text so far is read for each."""
    model = get_language_model(AWD_LSTM, vocab_sz).eval()

    @torch.no_grad()
    def step(n: int) -> int:
        ids = torch.from_numpy(stream(vocab_sz, 1, 4, n))
        for _ in range(n_words):
            model.reset()
            probabilities = model(ids)[0].softmax(-1)[0, -1]
            ids = torch.cat([ids, torch.multinomial(probabilities, 1)[None]], 1)
        return n_words

    return step


MAKERS: dict[str, Callable[..., Callable[[int], int]]] = {
    "lm_train": lm_train,
    "lm_eval": lm_eval,
    "classifier": classifier,
    "one_text": one_text,
    "next_word": next_word,
}


if __name__ == "__main__":
    torch.set_num_threads(2)
    answer(MAKERS)
