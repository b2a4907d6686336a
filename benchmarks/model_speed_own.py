"""This library's side of model_speed.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from model_inputs import answer, documents, stream

from ulmfit.models.classifier import TextClassifier
from ulmfit.models.config import CLASSIFIER_DROPOUTS, size_config
from ulmfit.models.language_model import LanguageModel
from ulmfit.training.optimizer import make_optimizer
from ulmfit.training.precision import autocast

BS, SEQ_LEN, PAD = 64, 72, 1
CPU = torch.device("cpu")


def lm_train(
    vocab_sz: int, bs: int, seq_len: int, arch: str, cutoffs: list[int], precision: str
) -> Callable[[int], int]:
    """A training step with both regularisers, as the learner does it."""
    model = LanguageModel(vocab_sz, replace(size_config("base", arch), cutoffs=tuple(cutoffs))).train()
    optimizer = make_optimizer(model.parameter_groups(), wd=0.01)
    for group in optimizer.param_groups:
        group["lr"] = 1e-3

    def step(n: int) -> int:
        ids = torch.from_numpy(stream(vocab_sz, bs, seq_len, n))
        with autocast(precision, CPU):
            output = model(ids[:, :-1])
            loss = output.cross_entropy(ids[:, 1:])
        (loss + 2 * output.ar + output.tar).backward()
        optimizer.step()
        optimizer.zero_grad()
        return bs * seq_len

    return step


def lm_eval(vocab_sz: int, precision: str) -> Callable[[int], int]:
    """A batch of validation: the loss."""
    model = LanguageModel(vocab_sz, size_config("base")).eval()

    @torch.no_grad()
    def step(n: int) -> int:
        ids = torch.from_numpy(stream(vocab_sz, BS, SEQ_LEN, n))
        with autocast(precision, CPU):
            model(ids[:, :-1]).cross_entropy(ids[:, 1:])
        return BS * SEQ_LEN

    return step


def classifier(vocab_sz: int, first: int | None, precision: str) -> Callable[[int], int]:
    """A training step of the parameter groups from `first` on, or a forward pass if that is None."""
    config = size_config("base").with_dropouts_of(CLASSIFIER_DROPOUTS.scaled(0.5))
    model = TextClassifier(vocab_sz, 2, config).train(first is not None)
    groups = model.parameter_groups()
    for p in (p for g in groups[: first or 0] for p in g):
        p.requires_grad_(False)
    optimizer = make_optimizer(groups, wd=0.01)
    for group in optimizer.param_groups:
        group["lr"] = 1e-3

    def step(n: int) -> int:
        texts = [torch.from_numpy(t) for t in documents(vocab_sz, 32, n)]
        lengths = torch.tensor([len(t) for t in texts])
        ids = torch.nn.utils.rnn.pad_sequence(texts, batch_first=True, padding_value=PAD)
        with torch.set_grad_enabled(first is not None), autocast(precision, CPU):
            output = model(ids, lengths)
            if first is None:
                return len(texts)
            loss = output.cross_entropy(torch.arange(len(texts)) % 2)
        (loss + 2 * output.ar + output.tar).backward()
        optimizer.step()
        optimizer.zero_grad()
        return len(texts)

    return step


def one_text(vocab_sz: int, n_tokens: int, precision: str) -> Callable[[int], int]:
    """A classifier's answers to texts one at a time, the model's part."""
    model = TextClassifier(vocab_sz, 2, size_config("base")).eval()
    if precision == "bf16":
        model.bfloat16()

    @torch.inference_mode()
    def step(n: int) -> int:
        for i in range(20):
            ids = torch.from_numpy(stream(vocab_sz, 1, n_tokens - 1, 20 * n + i))
            model(ids, torch.tensor([n_tokens])).logits.softmax(1)
        return 20

    return step


def next_word(vocab_sz: int, n_words: int, precision: str) -> Callable[[int], int]:
    """Words drawn one after the other, the state carried from step to step."""
    model = LanguageModel(vocab_sz, size_config("base")).eval()
    if precision == "bf16":
        model.bfloat16()

    @torch.inference_mode()
    def step(n: int) -> int:
        prompt = torch.from_numpy(stream(vocab_sz, 1, 4, n))
        state = None
        for token in prompt[0]:
            log_p, state = model.step(token[None], state)
        for _ in range(n_words):
            log_p, state = model.step(torch.multinomial(log_p.exp(), 1)[:, 0], state)
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
