"""A model beside a smaller form of it: do they agree, and which is faster.

N documents, C classes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ulmfit.data.labelling import MULTI_LABEL, REGRESSION, SINGLE_LABEL
from ulmfit.errors import DataError
from ulmfit.inference.answers import TextPredictor
from ulmfit.inference.evaluate import evaluate

LOSS = 0.003  # of accuracy (of the answers, without labels) that a smaller form may cost
_SINGLE, _MANY, _ROUNDS = 20, 128, 3  # texts whose latency is taken, texts read together, how often
_FIGURE = {SINGLE_LABEL: "accuracy", MULTI_LABEL: "micro_f1", REGRESSION: "r2"}


@dataclass(frozen=True)
class Comparison:
    """What was measured on N texts; times were taken alternating.

    Args:
        n: texts.
        difference: the largest between any two probabilities (or values).
        agreement: share of the texts with the same answer; of values, of those within a hundredth of their spread.
        figure: what was compared on labelled texts: accuracy, micro_f1 or r2; None without labels.
        before: that of the original.
        after: that of the smaller form.
        latency: how many times as fast it answers a single text.
        throughput: how many times as many texts it reads in a second.
    """

    n: int
    difference: float
    agreement: float
    figure: str | None
    before: float | None
    after: float | None
    latency: float
    throughput: float

    def problems(self) -> list[str]:
        """Reasons not to use the smaller form."""
        found = []
        if self.before is not None and self.after is not None:
            if self.before - self.after > LOSS:
                found.append(f"its {self.figure} is {self.after:.4f} instead of {self.before:.4f}")
        elif 1 - self.agreement > LOSS:
            found.append(
                f"it gives {1 - self.agreement:.1%} of the texts another answer; whether a better or a worse one, only "
                "labelled texts can tell: give some of its own with --data"
            )
        if self.latency < 1 and self.throughput < 1:
            found.append(f"it is slower: {self.latency:.2f} times as fast for one text, {self.throughput:.2f} for many")
        return found

    def to_text(self) -> str:
        """One line for people."""
        quality = f"same answer for {self.agreement:.2%}, largest difference {self.difference:.2g}"
        if self.before is not None and self.after is not None:
            quality += f", {self.figure} {self.before:.4f} -> {self.after:.4f}"
        speed = f"{self.latency:.1f} times as fast for one text, {self.throughput:.1f} times for many"
        return f"{self.n:,} texts: {quality}; {speed}"


def compare(
    original: TextPredictor, smaller: TextPredictor, texts: Sequence[str], labels: Sequence[Any] | None = None
) -> Comparison:
    """Let both read the same texts.

    Args:
        original: the model.
        smaller: the other form of it.
        texts: N texts.
        labels: of the texts, to compare how good the answers are.

    Raises:
        DataError: there are no texts, or labels that the model does not know.
    """
    if not len(texts):
        raise DataError("there are no texts to compare on")
    one, other = _answers(original, texts), _answers(smaller, texts)
    figure = before = after = None
    if labels is not None:
        figure = _FIGURE[original.task]
        before, after = (evaluate(predictor, texts, labels)[figure] for predictor in (original, smaller))
    singles, many = list(texts[:_SINGLE]), list(texts[:_MANY])
    return Comparison(
        n=len(texts),
        difference=float(np.abs(one - other).max()),
        agreement=float(_same(original, one, other).mean()),
        figure=figure,
        before=before,
        after=after,
        latency=_times_as_fast(*(lambda p=p: [p.outputs([text]) for text in singles] for p in (original, smaller))),
        throughput=_times_as_fast(*(lambda p=p: p.outputs(many) for p in (original, smaller))),
    )


def _answers(predictor: TextPredictor, texts: Sequence[str]) -> NDArray[np.float32]:
    return predictor.outputs(texts) if predictor.task == REGRESSION else predictor.predict_proba(texts)


def _same(predictor: TextPredictor, one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whether both give each text the same answer (N,)."""
    same: NDArray[np.bool_]
    if predictor.task == SINGLE_LABEL:
        same = one.argmax(1) == other.argmax(1)
    elif predictor.task == MULTI_LABEL:
        same = ((one >= predictor.thresholds) == (other >= predictor.thresholds)).all(1)
    else:
        same = (np.abs(one - other) <= 0.01 * max(float(np.ptp(one)), 1e-12)).all(1)
    return same


def _times_as_fast(original: Callable[[], object], smaller: Callable[[], object]) -> float:
    """The time of the first over that of the second; the least of some rounds, in which they take turns."""
    seconds: list[list[float]] = [[], []]
    for _ in range(_ROUNDS):
        for run, taken in zip((original, smaller), seconds, strict=True):
            started = time.perf_counter()
            run()
            taken.append(time.perf_counter() - started)
    return min(seconds[0]) / min(seconds[1])
