"""What the recipe does not do, for `ablation.py` to try: adversarial consistency."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain, repeat

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ulmfit.data.loaders import Batch, ClassifierLoader
from ulmfit.models.classifier import TextClassifier
from ulmfit.training.callbacks import Callback
from ulmfit.training.learner import Learner


class VirtualAdversarial(Callback):
    """Answers shall not change when embedded words are moved where they would change the answers most.

    At every step, for the batch and for one of texts without labels.

    Args:
        further: texts without labels.
        size: length of the move of a whole text, in standard deviations of an embedded word's features times the square
            root of their number.
        weight: of the divergence in the loss.

    Source: Miyato, Dai and Goodfellow 2017, "Adversarial Training Methods for Semi-Supervised Text Classification";
    Sachan, Zaheer and Salakhutdinov 2019, "Revisiting LSTM Networks for Semi-Supervised Text Classification via Mixed
    Objective Function".
    """

    def __init__(self, further: ClassifierLoader, size: float = 1.0, weight: float = 1.0) -> None:
        self.size, self.weight = size, weight
        self._batches: Iterator[Batch] = chain.from_iterable(repeat(further))

    def after_loss(self, learn: Learner) -> None:
        """Add the divergence."""
        model = learn.model
        if not isinstance(model, TextClassifier):
            raise SystemExit("virtual adversarial training is for classifiers")
        further, _ = learn.to_device(replace(next(self._batches), target=torch.zeros(1)))
        loss = sum((self._divergence(model, inputs) for inputs in (learn.inputs, further)), torch.zeros(()))
        learn.loss_grad = learn.loss_grad + self.weight * loss

    def _divergence(self, model: TextClassifier, inputs: tuple[Tensor, ...]) -> Tensor:
        """Mean divergence between the answers and those to texts that were moved."""
        words: list[Tensor] = []
        with torch.no_grad(), _seen(model, words):
            answers = F.log_softmax(model(*inputs).logits, 1)
        moves = [torch.randn_like(chunk) for chunk in words]
        length = self.size * torch.cat([chunk.flatten() for chunk in words]).std() * words[0].shape[2] ** 0.5
        moves = _scaled(moves, 0.1 * length)
        for move in moves:
            move.requires_grad_()
        found = torch.autograd.grad(_divergence(model, inputs, answers, moves), moves, materialize_grads=True)
        return _divergence(model, inputs, answers, _scaled(list(found), length))


def _divergence(model: TextClassifier, inputs: tuple[Tensor, ...], answers: Tensor, moves: list[Tensor]) -> Tensor:
    with _moved(model, moves):
        moved = F.log_softmax(model(*inputs).logits, 1)
    return F.kl_div(moved, answers, log_target=True, reduction="batchmean")


def _scaled(moves: list[Tensor], length: Tensor) -> list[Tensor]:
    """Moves of one length for each text; the rows of a chunk are the first of those of the chunk before."""
    squares = torch.zeros(len(moves[0]))
    for move in moves:
        squares[: len(move)] += move.pow(2).sum((1, 2))
    factor = length / squares.sqrt().clamp_min(1e-12)
    return [(move * factor[: len(move), None, None]).detach() for move in moves]


@contextmanager
def _seen(model: TextClassifier, words: list[Tensor]) -> Iterator[None]:
    """Within this context, embedded words are collected, chunk by chunk."""
    handle = model.encoder.embedding.register_forward_hook(lambda _, __, output: words.append(output.detach()))
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _moved(model: TextClassifier, moves: list[Tensor]) -> Iterator[None]:
    """Within this context, embedded words are moved, chunk by chunk."""
    left = iter(moves)

    def move(_: nn.Module, __: object, output: Tensor) -> Tensor:
        return output + next(left)

    handle = model.encoder.embedding.register_forward_hook(move)
    try:
        yield
    finally:
        handle.remove()
