"""From raw text to labels and probabilities, with a trained classifier.

N documents, C classes (for regression, numbers).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray

from ulmfit.data.loaders import ClassifierLoader
from ulmfit.errors import ConfigError, DataError
from ulmfit.inference.bundle import CLASSIFIER, MULTI_LABEL, REGRESSION, Bundle, load_bundle
from ulmfit.inference.calibrate import Calibration, probabilities
from ulmfit.inference.network import classifier_of
from ulmfit.text.store import TokenStore

_FEW = 8  # texts that one thread reads: a second one gains little on them, and waits for long where a core is busy
_LIKELY = 0.5


@dataclass(frozen=True)
class Prediction:
    """What the model says of one text.

    Args:
        label: the likeliest class; None if the model abstains, gives no class, or gives numbers.
        probability: that of the likeliest class; NaN for regression.
        probabilities: of every class, by label.
        labels: the classes that apply.
        values: the numbers, for regression.
    """

    label: str | None
    probability: float
    probabilities: dict[str, float]
    labels: tuple[str, ...] = ()
    values: tuple[float, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as for JSON, which has no NaN."""
        values = {"label": self.label, "probability": self.probability, "probabilities": self.probabilities}
        if not self.probabilities:
            return {"values": list(self.values)}
        return values | {"labels": list(self.labels)}


class Predictor:
    """Labels texts with a model read from its folder.

    The model computes in float32, in the caller's process, and a text's answer depends on that text alone. Several
    threads may use one predictor.

    Args:
        bundle: a classifier's model folder, as `load_bundle` reads it.
        threads: of the processor, for each call; by default one for a few texts, and as many as torch takes for more.
    """

    def __init__(self, bundle: Bundle, *, threads: int | None = None) -> None:
        if threads is not None and threads < 1:
            raise ConfigError(f"threads={threads} must be at least 1")
        self.bundle = bundle
        self.labels = bundle.labels
        self.task = bundle.task
        self.threads = threads
        self.calibration = Calibration.from_dict(bundle.calibration)
        self.model = classifier_of(bundle)
        self._tokenizing = threading.Lock()  # the tokenizer remembers what it has cut

    def __reduce__(self) -> tuple[Callable[[Bundle], Predictor], tuple[Bundle]]:
        return partial(type(self), threads=self.threads), (self.bundle,)

    @classmethod
    def load(cls, path: str | Path, *, threads: int | None = None) -> Predictor:
        """Read a model folder.

        Raises:
            FormatError: not a folder with a whole classifier in it.
        """
        return cls(load_bundle(Path(path), kind=CLASSIFIER), threads=threads)

    def outputs(self, texts: Iterable[str], *, batch_size: int = 32) -> NDArray[np.float32]:
        """The model's numbers (N, C) before anything is made of them: logits, or values for regression.

        Raises:
            DataError: a text is not a string, or has nothing in it; the message says which.
        """
        return self._outputs(check_texts(texts), batch_size)

    def _outputs(self, texts: list[str], batch_size: int) -> NDArray[np.float32]:
        result = np.empty((len(texts), self.model.n_classes), dtype=np.float32)
        if not texts:
            return result
        with self._tokenizing:
            store = TokenStore.build(texts, self.bundle.tokenizer, vocab=self.bundle.vocab)
        loader = ClassifierLoader(
            store, bs=batch_size, backwards=self.bundle.backwards, pad_idx=self.bundle.config.pad_token
        )
        with self.thread_limit(len(texts)), torch.inference_mode():
            for indices in loader.batch_indices():
                inputs, _ = loader.collate(indices)
                result[indices] = self.model(*inputs).logits.numpy()
        return result

    def predict_proba(self, texts: Iterable[str], *, batch_size: int = 32) -> NDArray[np.float32]:
        """Probabilities (N, C) of the classes, in the order of `labels`, for N texts.

        Raises:
            DataError: a text is not a string, or has nothing in it; the message says which.
            ConfigError: the model gives numbers, not classes.
        """
        if self.task == REGRESSION:
            raise ConfigError("the model gives numbers, not classes: predict gives them as `values`")
        outputs = self.outputs(texts, batch_size=batch_size)
        return probabilities(outputs, self.task, self.calibration.temperature).astype(np.float32)

    @overload
    def predict(self, texts: str, *, batch_size: int = ..., abstain_below: float | None = ...) -> Prediction: ...  # type: ignore[overload-overlap]

    @overload
    def predict(
        self, texts: Iterable[str], *, batch_size: int = ..., abstain_below: float | None = ...
    ) -> list[Prediction]: ...

    def predict(
        self, texts: str | Iterable[str], *, batch_size: int = 32, abstain_below: float | None = None
    ) -> Prediction | list[Prediction]:
        """What the model says of one text, or of each of several.

        Args:
            texts: a text, or any number of them.
            batch_size: texts that are read together; it changes the speed, not the answers.
            abstain_below: give no class (`label` None) where the probability is smaller.

        Raises:
            DataError: a text is not a string, or has nothing in it; the message says which.
            ConfigError: `abstain_below` is no probability.
        """
        _check_probability(abstain_below)
        if isinstance(texts, str):
            return self._predict(check_texts([texts]), batch_size, abstain_below)[0]
        return self._predict(check_texts(texts), batch_size, abstain_below)

    def stream(
        self, texts: Iterable[str], *, window: int = 1024, batch_size: int = 32, abstain_below: float | None = None
    ) -> Iterator[Prediction]:
        """Predict texts one after the other, holding `window` of them at a time; order kept.

        Args:
            texts: any number of texts, not looked at before they are needed.
            window: texts that are read together, those of similar length in a batch.
            batch_size: texts of a batch.
            abstain_below: as for `predict`.

        Raises:
            DataError: a text is not a string, or has nothing in it; the message says which, counted from 1.
        """
        _check_probability(abstain_below)
        if window < 1:
            raise ConfigError(f"window={window} must be at least 1")
        rest, done = iter(texts), 0
        while part := list(islice(rest, window)):
            yield from self._predict(check_texts(part, before=done), batch_size, abstain_below)
            done += len(part)

    @contextmanager
    def thread_limit(self, n_texts: int) -> Iterator[None]:
        """The threads of the processor for what this thread computes; torch keeps the number for each thread."""
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads or (1 if n_texts <= _FEW else before))
        try:
            yield
        finally:
            torch.set_num_threads(before)

    def tokens(self, text: str) -> list[str]:
        """The tokens of a text, in reading order."""
        with self._tokenizing:
            return self.bundle.tokenizer(text)

    def _predict(self, texts: list[str], batch_size: int, abstain_below: float | None) -> list[Prediction]:
        rows = self._outputs(texts, batch_size)
        if self.task == REGRESSION:
            return [Prediction(None, float("nan"), {}, values=tuple(row)) for row in rows.tolist()]
        rows = probabilities(rows, self.task, self.calibration.temperature)
        return [self._prediction(row, abstain_below or 0.0) for row in rows]

    def _prediction(self, row: NDArray[np.floating], least: float) -> Prediction:
        values = [float(p) for p in row]
        best = int(row.argmax())
        by_label = dict(zip(self.labels, values, strict=True))
        if self.task == MULTI_LABEL:
            thresholds = self.calibration.thresholds
            applies = tuple(k for k, p in by_label.items() if p >= max(least, thresholds.get(k, _LIKELY)))
            label = self.labels[best] if self.labels[best] in applies else None
        else:
            label = self.labels[best] if values[best] >= least else None
            applies = () if label is None else (label,)
        return Prediction(label, values[best], by_label, applies)


def load(path: str | Path, *, threads: int | None = None) -> Predictor:
    """The predictor of a model folder; see `Predictor`."""
    return Predictor.load(path, threads=threads)


def _check_probability(abstain_below: float | None) -> None:
    if abstain_below is not None and not 0 <= abstain_below <= 1:
        raise ConfigError(f"abstain_below={abstain_below} must be between 0 and 1")


def check_texts(texts: Iterable[object], before: int = 0) -> list[str]:
    """A list of the texts.

    Args:
        texts: any number of texts.
        before: how many came before them, so that a message counts right.

    Raises:
        DataError: no texts, or some that are not strings or have nothing in them; the message says which.
    """
    if isinstance(texts, str):
        raise DataError("expected a list of texts, got a single string; put it into a list")
    try:
        items = list(texts)
    except TypeError as error:
        raise DataError(f"expected a text or a list of texts, got {type(texts).__name__}") from error
    good: list[str] = []
    wrong: list[str] = []
    for i, text in enumerate(items, start=before + 1):
        if not isinstance(text, str):
            wrong.append(f"text {i} is {type(text).__name__}")
        elif not text.strip():
            wrong.append(f"text {i} is empty")
        else:
            good.append(text)
    if wrong:
        raise DataError("; ".join(wrong[:8]) + (f" and {len(wrong) - 8} more" if len(wrong) > 8 else ""))
    return good
