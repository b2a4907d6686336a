"""A trained classifier that labels texts, with torch.

N documents, C classes (for regression, numbers).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ulmfit.data.loaders import ClassifierLoader
from ulmfit.inference.answers import TextPredictor, check_threads
from ulmfit.inference.bundle import CLASSIFIER, Bundle, load_bundle
from ulmfit.inference.calibrate import Calibration
from ulmfit.inference.network import classifier_of
from ulmfit.inference.reading import Reading
from ulmfit.models.classifier import TextClassifier
from ulmfit.text.store import TokenStore

_FEW = 8  # texts that one thread reads: a second one gains little on them, and waits for long where a core is busy


class Predictor(TextPredictor):
    """Labels texts with a model read from its folder.

    The model computes in float32, in the caller's process, and a text's answer depends on that text alone. Several
    threads may use one predictor. A model of two directions gives the average of both.

    Args:
        bundle: a classifier's model folder, as `load_bundle` reads it.
        threads: of the processor, for each call; by default one for a few texts, and as many as torch takes for more.
    """

    def __init__(self, bundle: Bundle, *, threads: int | None = None) -> None:
        check_threads(threads)
        super().__init__(bundle.labels, bundle.task, Calibration.from_dict(bundle.calibration), bundle.ngrams)
        self.bundle = bundle
        self.threads = threads
        directions = [bundle] if bundle.backward is None else [bundle, bundle.backward]
        self.directions: list[tuple[Bundle, TextClassifier]] = [(one, classifier_of(one)) for one in directions]

    def __reduce__(self) -> tuple[Callable[[Bundle], Predictor], tuple[Bundle]]:
        return partial(type(self), threads=self.threads), (self.bundle,)

    @classmethod
    def load(cls, path: str | Path, *, threads: int | None = None) -> Predictor:
        """Read a model folder.

        Raises:
            FormatError: not a folder with a whole classifier in it.
        """
        return cls(load_bundle(Path(path), kind=CLASSIFIER), threads=threads)

    @property
    def n_outputs(self) -> int:
        """Numbers that the model gives for a text."""
        return self.directions[0][1].n_classes

    def _read(self, texts: list[str], batch_size: int) -> tuple[list[NDArray[np.float32]], Reading]:
        stores, reading = self._cut(texts, self.bundle.tokenizer, [one.vocab for one, _ in self.directions])
        pairs = zip(stores, self.directions, strict=True)
        return [self._direction(store, batch_size, *direction) for store, direction in pairs], reading

    def _direction(
        self, store: TokenStore, batch_size: int, bundle: Bundle, model: TextClassifier
    ) -> NDArray[np.float32]:
        """The numbers (N, C) of one direction's model."""
        result = np.empty((len(store), self.n_outputs), dtype=np.float32)
        loader = ClassifierLoader(store, bs=batch_size, backwards=bundle.backwards, pad_idx=bundle.config.pad_token)
        with self.thread_limit(len(store)), torch.inference_mode():
            for indices in loader.batch_indices():
                inputs, _ = loader.collate(indices)
                result[indices] = model(*inputs).logits.numpy()
        return result

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
