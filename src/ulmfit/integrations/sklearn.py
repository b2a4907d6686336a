"""The whole recipe as scikit-learn estimators on raw strings: one class for each text, several, or a value.

N documents, C classes.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from numbers import Integral
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ulmfit.data.cells import label_name
from ulmfit.data.labelling import MULTI_LABEL, REGRESSION, SINGLE_LABEL, Labelling
from ulmfit.data.sources import Examples
from ulmfit.errors import ConfigError, DataError
from ulmfit.inference.answers import check_texts
from ulmfit.inference.predictor import Predictor
from ulmfit.models import DEFAULT_ARCH
from ulmfit.training.bases import AUTO, find_bases
from ulmfit.training.clock import Clock
from ulmfit.training.job import save, train_and_measure
from ulmfit.training.parts import prepare_texts
from ulmfit.training.recipe import Recipe


class TextEstimator(BaseEstimator):
    """What the estimators have in common; use the one of your task.

    Args:
        base: the language model to start from: a model folder, the name of a bundled model, "none", or "auto" for a
            bundled one that knows the words.
        arch: of a model without base: "awd_lstm" or "awd_qrnn".
        size: of such a model: "small" or "base".
        epochs: of the classifier once all layers are unfrozen; None chooses them from the number of texts.
        lm_epochs: of the language model; None chooses them from the number of tokens.
        time_budget: seconds for `fit`; epochs are then upper limits.
        valid_pct: share of the texts that is held out to choose the best epoch and to calibrate on.
        bs: documents of a batch.
        lr: largest learning rate of the classifier's head; None for what suits what it starts from.
        precision: of training: "auto", "bf16" or "fp32".
        random_state: seed of the split, the weights, the order of texts and dropout; a RandomState that it is drawn
            from, or None for one that is another each time.
        bidirectional: train a second pair of models that reads texts from their end; answers are averaged.
        ngrams: a linear model of words and word pairs answers beside the network.
        pseudo_labels: the network learns from texts without labels, too, of whose class that model is sure.
        verbose: show the course of training.
    """

    _task: str

    def __init__(
        self,
        *,
        base: str = AUTO,
        arch: str = DEFAULT_ARCH,
        size: str = "small",
        epochs: int | None = None,
        lm_epochs: float | None = None,
        time_budget: float | None = None,
        valid_pct: float = 0.1,
        bs: int = 16,
        lr: float | None = None,
        precision: str = "auto",
        random_state: int | np.random.RandomState | None = 0,
        bidirectional: bool = False,
        ngrams: bool = True,
        pseudo_labels: bool = True,
        verbose: bool = False,
    ) -> None:
        self.base = base
        self.arch = arch
        self.size = size
        self.epochs = epochs
        self.lm_epochs = lm_epochs
        self.time_budget = time_budget
        self.valid_pct = valid_pct
        self.bs = bs
        self.lr = lr
        self.precision = precision
        self.random_state = random_state
        self.bidirectional = bidirectional
        self.ngrams = ngrams
        self.pseudo_labels = pseudo_labels
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array, tags.input_tags.two_d_array = True, False
        tags.target_tags.one_d_labels = True
        tags.non_deterministic = self.time_budget is not None
        return tags

    @abstractmethod
    def _labels(self, y: Any, n_texts: int) -> list[Any]:
        """The labels of the texts as `Labelling.read` gives them; sets what is known of the classes."""

    def fit(self, X: Iterable[str], y: Any, unlabelled: Iterable[str] | None = None) -> Self:
        """Train.

        Args:
            X: N texts.
            y: N labels, as the estimator's description says.
            unlabelled: further texts, for the language model and the n-grams, and as `pseudo_labels` says.

        Raises:
            DataError: texts or labels that cannot be used; the message says which.
            ConfigError: a setting out of its range.
        """
        seed = _seed(self.random_state)
        recipe = Recipe(
            arch=self.arch,
            size=self.size,
            epochs=self.epochs,
            lm_epochs=self.lm_epochs,
            time_budget=self.time_budget,
            valid_pct=self.valid_pct,
            bs=self.bs,
            lr=self.lr,
            precision=self.precision,
            seed=seed,
            bidirectional=self.bidirectional,
            ngrams=self.ngrams,
            pseudo_labels=self.pseudo_labels,
        )
        clock, console = Clock(self.time_budget), Console(quiet=not self.verbose)
        if y is None:
            raise DataError("y is None: requires y to be passed, a label for each text")
        texts = check_texts(X)
        data = Examples(texts=texts, labels=self._labels(y, len(texts)), source="X")
        more = (
            [Examples(texts=check_texts(unlabelled), labels=None, source="unlabelled")]
            if unlabelled is not None
            else []
        )
        parts = prepare_texts(data, None, more, valid_pct=self.valid_pct, seed=seed, task=self._task)
        bases = find_bases(parts.train[0], console, self.base, bidirectional=self.bidirectional)
        self._trained, self.metrics_ = train_and_measure(parts, recipe, console, bases, clock=clock)
        self.predictor_ = Predictor(self._trained.classifier)
        return self

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write a model folder, as `ulmfit train` does; `ulmfit.load` reads it.

        Raises:
            DataError: the place is taken.
        """
        check_is_fitted(self)
        save(self._trained, self.metrics_, Path(path), overwrite=overwrite)


def _seed(random_state: Any) -> int:
    """The seed that scikit-learn's conventions for `random_state` give.

    Raises:
        ConfigError: it is none of them.
    """
    if isinstance(random_state, Integral) and int(random_state) >= 0:
        return int(random_state)
    try:
        return int(check_random_state(random_state).randint(2**31 - 1))
    except ValueError as error:
        raise ConfigError(
            f"random_state={random_state!r} must be a whole number of at least 0, a RandomState or None"
        ) from error


class TextClassifier(ClassifierMixin, TextEstimator):
    """A classifier of texts that begins with a language model: one class for each text.

    It takes part in `clone`, `Pipeline`, `cross_val_score` and `GridSearchCV`. `y` is N classes: strings, numbers or
    anything else that is sorted and written differently.

    The arguments are those of `TextEstimator`.

    Attributes:
        classes_: (C,) classes, sorted.
        predictor_: the trained model.
        metrics_: what was measured on the texts held out, and the facts of the run.
    """

    _task = SINGLE_LABEL

    def _labels(self, y: Any, n_texts: int) -> list[str]:
        self.classes_, names = _classes(list(y), n_texts)
        return names

    def predict_proba(self, X: Iterable[str]) -> NDArray[np.float32]:
        """Probabilities (N, C) of the classes, in the order of `classes_`.

        Raises:
            DataError: a text is not a string, or has nothing in it; the message says which.
        """
        check_is_fitted(self)
        order = [self.predictor_.labels.index(str(label_name(c))) for c in self.classes_]
        return self.predictor_.predict_proba(X)[:, order]

    def predict(self, X: Iterable[str]) -> NDArray[Any]:
        """The likeliest class of each text (N,); raises as `predict_proba` does."""
        rows = self.predict_proba(X)
        classes: NDArray[Any] = self.classes_[rows.argmax(1)]
        return classes


class TextMultilabelClassifier(ClassifierMixin, TextEstimator):
    """A classifier of texts that begins with a language model: any number of classes for each text.

    `y` is an array of 0 and 1 (N, C), as `MultiLabelBinarizer` gives it, a data frame of such columns, or N lists of
    classes. (scikit-learn's own splitters and searches take arrays only.)

    The arguments are those of `TextEstimator`.

    Attributes:
        classes_: (C,) the numbers of the columns or their names, or the classes of the lists, sorted.
        predictor_: the trained model, with a threshold for each class that was tuned on the texts held out.
        metrics_: what was measured on the texts held out, and the facts of the run.
    """

    _task = MULTI_LABEL

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        tags.target_tags.two_d_labels, tags.target_tags.one_d_labels = True, False
        return tags

    def _labels(self, y: Any, n_texts: int) -> list[list[str]]:
        if _is_matrix(y):
            matrix = _indicator(y)
            _check_number(len(matrix), n_texts)
            self.classes_ = np.asarray(y.columns if hasattr(y, "columns") else np.arange(matrix.shape[1]))
            unused = self.classes_[matrix.sum(0) == 0].tolist()
            if unused:
                raise DataError(f"no text has the classes {', '.join(map(str, unused))}; leave their columns out")
            return [[str(c) for c in self.classes_[row > 0]] for row in matrix]
        sets = Labelling(task=MULTI_LABEL).read(list(y), "y")
        _check_number(len(sets), n_texts)
        missing = [i for i, names in enumerate(sets, start=1) if names is None]
        if missing:
            raise DataError(
                f"{len(missing)} of {n_texts} texts have no list of classes, the first is text {missing[0]}"
            )
        self.classes_ = np.array(sorted({name for names in sets for name in names}))
        return sets

    def predict_proba(self, X: Iterable[str]) -> NDArray[np.float32]:
        """Probabilities (N, C) that the classes apply, in the order of `classes_`.

        Raises:
            DataError: a text is not a string, or has nothing in it; the message says which.
        """
        check_is_fitted(self)
        return self.predictor_.predict_proba(X)[:, self._order()]

    def predict(self, X: Iterable[str]) -> NDArray[np.int64]:
        """1 where a class applies, else 0 (N, C), in the order of `classes_`; raises as `predict_proba` does."""
        rows = self.predict_proba(X)
        return (rows >= self.predictor_.thresholds[self._order()]).astype(np.int64)

    def score(self, X: Iterable[str], y: Any, sample_weight: Any = None) -> float:
        """The share of texts with exactly the right classes; `y` as for `fit`."""
        if _is_matrix(y):
            truth = _indicator(y)
        else:
            truth = np.array([[c in set(map(label_name, names)) for c in self.classes_] for names in y], dtype=np.int64)
        return float(accuracy_score(truth, self.predict(X), sample_weight=sample_weight))

    def _order(self) -> list[int]:
        return [self.predictor_.labels.index(str(c)) for c in self.classes_]


class TextRegressor(RegressorMixin, TextEstimator):
    """A regression on texts that begins with a language model: a value for each text.

    `y` is N finite numbers. Answers stay within the range of those to learn from, a tenth wider at either end.

    The arguments are those of `TextEstimator`.

    Attributes:
        predictor_: the trained model.
        metrics_: what was measured on the texts held out, and the facts of the run.
    """

    _task = REGRESSION

    def _labels(self, y: Any, n_texts: int) -> list[float]:
        values = Labelling(task=REGRESSION).read(list(y), "y")
        _check_number(len(values), n_texts)
        missing = [i for i, value in enumerate(values, start=1) if value is None]
        if missing:
            raise DataError(f"{len(missing)} of {n_texts} texts have no value, the first is text {missing[0]}")
        return values

    def predict(self, X: Iterable[str]) -> NDArray[np.float32]:
        """The value of each text (N,).

        Raises:
            DataError: a text is not a string, or has nothing in it; the message says which.
        """
        check_is_fitted(self)
        return self.predictor_.outputs(X)[:, 0]


def _is_matrix(y: Any) -> bool:
    return hasattr(y, "toarray") or getattr(y, "ndim", 1) == 2


def _indicator(y: Any) -> NDArray[np.int64]:
    """An array, a sparse array or a data frame as 0 and 1 (N, C)."""
    matrix = np.asarray(y.toarray() if hasattr(y, "toarray") else y)
    if not np.isin(matrix, (0, 1)).all():
        raise DataError("y has numbers other than 0 and 1; give 1 for a class that applies, else 0")
    return matrix.astype(np.int64)


def _check_number(n_labels: int, n_texts: int) -> None:
    if n_labels != n_texts:
        raise DataError(f"X has {n_texts} texts and y {n_labels} labels; give one for each text")


def _classes(target: list[Any], n_texts: int) -> tuple[NDArray[Any], list[str]]:
    """The classes, sorted, and the name of each text's."""
    _check_number(len(target), n_texts)
    names = [label_name(value) for value in target]
    missing = [i for i, name in enumerate(names, start=1) if name is None]
    if missing:
        raise DataError(f"{len(missing)} of {n_texts} texts have no class, the first is text {missing[0]}")
    classes = np.unique(np.asarray(target))
    if len({label_name(c) for c in classes}) != len(classes):
        raise DataError("some of the classes in y differ but are written alike, such as 1 and '1'; rename them")
    return classes, [str(name) for name in names]
