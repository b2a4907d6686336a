"""What the tutorials print, looked at in the same way by several of their tests."""

from __future__ import annotations

from typing import Any

import torch


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
