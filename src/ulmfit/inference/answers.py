"""What every predictor makes of the numbers of its model: labels, probabilities, streams. Nothing here needs torch.

N documents, C classes (for regression, numbers).
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from itertools import islice
from numbers import Integral, Real
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from ulmfit.data.labelling import MULTI_LABEL, REGRESSION, SINGLE_LABEL
from ulmfit.errors import ConfigError, DataError, named
from ulmfit.inference.calibrate import Calibration, probabilities
from ulmfit.inference.ngrams import NGrams
from ulmfit.inference.reading import Reading
from ulmfit.text.store import TokenStore
from ulmfit.text.tokenizers import Tokenizer
from ulmfit.text.vocab import Vocab

_LIKELY = 0.5
_MOST_THREADS = 1_024
_TINY = 1e-12  # of a probability, for a logarithm


@dataclass(frozen=True)
class Prediction:
    """What the model says of one text.

    Args:
        label: the likeliest class (where several may apply, of those that do); None if the model abstains, gives no
            class, or gives numbers.
        probability: that of `label`, or of the likeliest class if it is None; NaN for regression.
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


class TextPredictor(ABC):
    """Labels texts by the numbers that a model gives for them.

    Args:
        labels: C class names; none for regression.
        task: "single_label", "multi_label" or "regression".
        calibration: of the probabilities.
        ngrams: whose numbers are added to those of the network, if there are any.
    """

    def __init__(
        self, labels: tuple[str, ...], task: str, calibration: Calibration, ngrams: NGrams | None = None
    ) -> None:
        self.labels, self.task, self.calibration, self.ngrams = labels, task, calibration, ngrams
        self._tokenizing = threading.Lock()  # the tokenizer remembers what it has cut

    @property
    @abstractmethod
    def n_outputs(self) -> int:
        """Numbers that the model gives for a text."""

    @property
    def thresholds(self) -> NDArray[np.float64]:
        """From which probability on each class applies (C,), where a text may have several."""
        return np.array([self.calibration.thresholds.get(label, _LIKELY) for label in self.labels])

    @abstractmethod
    def tokens(self, text: str) -> list[str]:
        """The tokens of a text, in reading order."""

    @abstractmethod
    def _read(self, texts: list[str], batch_size: int) -> tuple[list[NDArray[np.float32]], Reading]:
        """The numbers (N, C) of each direction's network for texts that were checked, and the texts as read."""

    def _cut(self, texts: list[str], tokenizer: Tokenizer, vocabs: list[Vocab]) -> tuple[list[TokenStore], Reading]:
        """Texts as ids of each direction's vocabulary, and as the n-grams read them."""
        with self._tokenizing:
            if self.ngrams is None:
                stores = [TokenStore.build(texts, tokenizer, vocab=vocab) for vocab in vocabs]
                return stores, Reading(stores[0], vocabs[0])
            wide = TokenStore.of_every_word(texts, tokenizer)
        return [wide.with_vocab(vocab) for vocab in vocabs], Reading(wide, vocabs[0])

    def _halves(self, texts: list[str], batch_size: int) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        if not isinstance(batch_size, Integral) or batch_size < 1:
            raise ConfigError(f"batch_size={batch_size!r} must be a whole number of at least 1")
        if not texts:
            return np.empty((0, self.n_outputs), dtype=np.float32), None
        of_each, reading = self._read(texts, batch_size)
        return average(of_each, self.task), None if self.ngrams is None else self.ngrams.outputs(reading)

    def _outputs(self, texts: list[str], batch_size: int) -> NDArray[np.float32]:
        network, ngrams = self._halves(texts, batch_size)
        return network if ngrams is None or self.ngrams is None else self.ngrams.join(network, ngrams)

    def halves(
        self, texts: Iterable[str], *, batch_size: int = 32
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """The numbers (N, C) of the network alone, and of the n-grams alone if the model has any.

        Raises:
            DataError: a text is not a string, or has nothing in it; the message says which.
        """
        return self._halves(check_texts(texts), batch_size)

    def outputs(self, texts: Iterable[str], *, batch_size: int = 32) -> NDArray[np.float32]:
        """The model's numbers (N, C) before anything is made of them: logits, or values for regression.

        Of two directions they are the logarithms of the averaged probabilities, or the averaged values.

        Raises:
            DataError: a text is not a string, or has nothing in it; the message says which.
        """
        return self._outputs(check_texts(texts), batch_size)

    def predict_proba(self, texts: Iterable[str], *, batch_size: int = 32) -> NDArray[np.float32]:
        """Probabilities (N, C) of the classes, in the order of `labels`, for N texts.

        Raises:
            DataError: a text is not a string, or has nothing in it; the message says which.
            ConfigError: the model gives numbers, not classes.
        """
        self._check_classes()
        return self.probabilities(self.outputs(texts, batch_size=batch_size))

    def probabilities(self, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities (N, C) of the classes, from the model's numbers (N, C).

        Raises:
            ConfigError: the model gives numbers, not classes.
        """
        self._check_classes()
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
            ConfigError: `abstain_below` is no probability, or the model gives numbers and has none.
        """
        self._check_probability(abstain_below)
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
        self._check_probability(abstain_below)
        if not isinstance(window, Integral) or window < 1:
            raise ConfigError(f"window={window!r} must be a whole number of at least 1")
        check_kind(texts)
        return self._stream(iter(texts), window, batch_size, abstain_below)

    def _stream(
        self, rest: Iterator[str], window: int, batch_size: int, abstain_below: float | None
    ) -> Iterator[Prediction]:
        done = 0
        while part := list(islice(rest, window)):
            yield from self._predict(check_texts(part, before=done), batch_size, abstain_below)
            done += len(part)

    def _check_classes(self) -> None:
        if self.task == REGRESSION:
            raise ConfigError("the model gives numbers, not classes: predict gives them as `values`")

    def _check_probability(self, abstain_below: float | None) -> None:
        if abstain_below is None:
            return
        if self.task == REGRESSION:
            raise ConfigError("abstain_below is for classes; the model gives numbers, which have no probability")
        if not isinstance(abstain_below, Real) or not 0 <= abstain_below <= 1:
            raise ConfigError(f"abstain_below={abstain_below!r} must be between 0 and 1")

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
            limits = np.maximum(self.thresholds, least)
            applies = tuple(label for label, p, limit in zip(self.labels, values, limits, strict=True) if p >= limit)
            if applies:  # each has its own threshold: the likeliest class need not be among them
                best = max(map(self.labels.index, applies), key=values.__getitem__)
            label = self.labels[best] if applies else None
        else:
            label = self.labels[best] if values[best] >= least else None
            applies = () if label is None else (label,)
        return Prediction(label, values[best], by_label, applies)


def average(outputs: list[NDArray[np.float32]], task: str) -> NDArray[np.float32]:
    """The numbers (N, C) of several models as those of one.

    Args:
        outputs: each (N, C): logits, or values for regression.
        task: "single_label", "multi_label" or "regression".

    Returns:
        values averaged; or logits whose probabilities are the averaged ones.
    """
    if len(outputs) == 1:
        return outputs[0]
    if task == REGRESSION:
        mean: NDArray[np.float32] = np.mean(outputs, axis=0, dtype=np.float32)
        return mean
    p = np.mean([probabilities(one.astype(np.float64), task) for one in outputs], axis=0).clip(_TINY, 1 - _TINY)
    logits: NDArray[np.float32] = (np.log(p) - (0 if task == SINGLE_LABEL else np.log1p(-p))).astype(np.float32)
    return logits


def check_threads(threads: int | None) -> None:
    """Refuse a number of threads that no processor has.

    Raises:
        ConfigError: not a whole number from 1 to 1,024.
    """
    if threads is not None and (not isinstance(threads, Integral) or not 1 <= threads <= _MOST_THREADS):
        raise ConfigError(f"threads={threads!r} must be a whole number from 1 to {_MOST_THREADS:,}")


def check_kind(texts: object) -> None:
    """Refuse what is no number of texts in an order.

    Raises:
        DataError: a string, bytes, a table, a set, or nothing that can be gone through.
    """
    kind = type(texts).__name__
    if isinstance(texts, str):
        raise DataError("expected a list of texts, got a single string; put it into a list")
    if isinstance(texts, bytes | bytearray):
        raise DataError("expected a text or a list of texts, got bytes; decode them, as with .decode('utf-8')")
    if hasattr(texts, "columns") or isinstance(texts, Mapping):
        raise DataError(f"expected a list of texts, got a {kind}; give its column of texts, as table['text']")
    if isinstance(texts, Set):
        raise DataError(f"expected a list of texts, got a {kind}, which has no order; put them into a list")
    try:
        iter(texts)  # type: ignore[call-overload]
    except TypeError as error:
        raise DataError(f"expected a text or a list of texts, got {kind}") from error


def check_texts(texts: Iterable[object], before: int = 0) -> list[str]:
    """A list of the texts.

    Args:
        texts: any number of texts.
        before: how many came before them, so that a message counts right.

    Raises:
        DataError: no texts, or some that are not strings or have nothing in them; the message says which.
    """
    check_kind(texts)
    good: list[str] = []
    wrong: list[str] = []
    for i, text in enumerate(texts, start=before + 1):
        if not isinstance(text, str):
            wrong.append(f"text {i} is {type(text).__name__}")
        elif not text.strip():
            wrong.append(f"text {i} is empty")
        else:
            good.append(text)
    if wrong:
        raise DataError(named(wrong, between="; "))
    return good
