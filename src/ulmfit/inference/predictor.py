"""From raw text to labels and probabilities, with a trained classifier.

N documents, C classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ulmfit.data.loaders import ClassifierLoader
from ulmfit.errors import DataError, FormatError
from ulmfit.inference.bundle import CLASSIFIER, Bundle, load_bundle
from ulmfit.models.classifier import TextClassifier
from ulmfit.text.store import TokenStore


@dataclass(frozen=True)
class Prediction:
    """What the model says of one text.

    Args:
        label: the likeliest class.
        probability: its probability.
        probabilities: of every class, by label.
    """

    label: str
    probability: float
    probabilities: dict[str, float]


class Predictor:
    """Labels texts with a model read from its folder.

    The model computes in float32, in the caller's process, and a text's answer depends on that text alone.

    Args:
        bundle: a classifier's model folder, as `load_bundle` reads it.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.labels = bundle.labels
        self.model = TextClassifier(
            len(bundle.vocab),
            len(bundle.labels),
            bundle.config,
            bptt=bundle.bptt,
            max_len=bundle.max_len,
            pool_words=bundle.pool_words,
        )
        try:
            self.model.load_state_dict(dict(bundle.weights))
        except RuntimeError as error:
            raise FormatError(f"the weights do not fit the configuration of the model: {error}") from error
        self.model.eval()

    @classmethod
    def load(cls, path: str | Path) -> Predictor:
        """Read a model folder.

        Raises:
            FormatError: not a folder with a whole classifier in it.
        """
        return cls(load_bundle(Path(path), kind=CLASSIFIER))

    def predict_proba(self, texts: Iterable[str], *, batch_size: int = 32) -> NDArray[np.float32]:
        """Probabilities (N, C) of the classes, in the order of `labels`, for N texts.

        Raises:
            DataError: a text is not a string, or has nothing in it; the message says which.
        """
        texts = _checked(texts)
        if not texts:
            return np.empty((0, len(self.labels)), dtype=np.float32)
        store = TokenStore.build(texts, self.bundle.tokenizer, vocab=self.bundle.vocab)
        loader = ClassifierLoader(
            store, bs=batch_size, backwards=self.bundle.backwards, pad_idx=self.bundle.config.pad_token
        )
        result = np.empty((len(texts), len(self.labels)), dtype=np.float32)
        with torch.inference_mode():
            for indices in loader.batch_indices():
                inputs, _ = loader.collate(indices)
                result[indices] = self.model(*inputs).logits.softmax(1).numpy()
        return result

    def predict(self, texts: Iterable[str], *, batch_size: int = 32) -> list[Prediction]:
        """The likeliest class of each text, with all probabilities; raises as `predict_proba` does."""
        return [self._prediction(row) for row in self.predict_proba(texts, batch_size=batch_size)]

    def stream(self, texts: Iterable[str], *, window: int = 1024, batch_size: int = 32) -> Iterator[Prediction]:
        """Predict texts one after the other, holding `window` of them at a time; order kept."""
        rest = iter(texts)
        while part := list(islice(rest, window)):
            yield from self.predict(part, batch_size=batch_size)

    def _prediction(self, row: NDArray[np.float32]) -> Prediction:
        values = [float(p) for p in row]
        best = int(row.argmax())
        return Prediction(self.labels[best], values[best], dict(zip(self.labels, values, strict=True)))


def load(path: str | Path) -> Predictor:
    """The predictor of a model folder; see `Predictor.load`."""
    return Predictor.load(path)


def _checked(texts: Iterable[object]) -> list[str]:
    if isinstance(texts, str):
        raise DataError("expected a list of texts, got a single string; put it into a list")
    good: list[str] = []
    wrong: list[str] = []
    for i, text in enumerate(texts, start=1):
        if not isinstance(text, str):
            wrong.append(f"text {i} is {type(text).__name__}")
        elif not text.strip():
            wrong.append(f"text {i} is empty")
        else:
            good.append(text)
    if wrong:
        raise DataError("; ".join(wrong[:8]) + (f" and {len(wrong) - 8} more" if len(wrong) > 8 else ""))
    return good
