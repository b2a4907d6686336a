"""The whole recipe as a scikit-learn estimator on raw strings.

N documents, C classes.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from ulmfit.data.sources import Examples, label_name
from ulmfit.errors import DataError
from ulmfit.inference.evaluate import evaluate
from ulmfit.inference.predictor import Predictor, check_texts
from ulmfit.training.clock import Clock
from ulmfit.training.job import AUTO, calibrated, choose_base, load_base, run_facts, save
from ulmfit.training.parts import prepare_texts
from ulmfit.training.recipes import Recipe, train_text_classifier


class TextClassifier(ClassifierMixin, BaseEstimator):
    """A classifier of texts that begins with a language model.

    It takes part in `clone`, `Pipeline`, `cross_val_score` and `GridSearchCV`. Only one class for each text is known.

    Args:
        base: the language model to start from: a model folder, the name of a bundled model, "none", or "auto" for a
            bundled one that knows the words.
        size: of a model without base: "small" or "base".
        epochs: of the classifier once all layers are unfrozen; None chooses them from the number of texts.
        lm_epochs: of the language model; None chooses them from the number of tokens.
        time_budget: seconds for `fit`; epochs are then upper limits.
        valid_pct: share of the texts that is held out to choose the best epoch and to calibrate on.
        bs: documents of a batch.
        lr: largest learning rate of the classifier's head.
        precision: of training: "auto", "bf16" or "fp32".
        random_state: seed of the split, the weights, the order of texts and dropout.
        verbose: show the course of training.

    Attributes:
        classes_: (C,) classes, sorted.
        predictor_: the trained model.
        metrics_: what was measured on the texts held out, and the facts of the run.
    """

    def __init__(
        self,
        *,
        base: str = AUTO,
        size: str = "small",
        epochs: int | None = None,
        lm_epochs: float | None = None,
        time_budget: float | None = None,
        valid_pct: float = 0.1,
        bs: int = 16,
        lr: float = 1e-2,
        precision: str = "auto",
        random_state: int = 0,
        verbose: bool = False,
    ) -> None:
        self.base = base
        self.size = size
        self.epochs = epochs
        self.lm_epochs = lm_epochs
        self.time_budget = time_budget
        self.valid_pct = valid_pct
        self.bs = bs
        self.lr = lr
        self.precision = precision
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array, tags.input_tags.two_d_array = True, False
        tags.target_tags.one_d_labels = True
        return tags

    def fit(self, X: Iterable[str], y: Iterable[Any], unlabelled: Iterable[str] | None = None) -> Self:
        """Train.

        Args:
            X: N texts.
            y: N classes: strings, numbers or anything else that is sorted and written differently.
            unlabelled: further texts, for the language model.

        Raises:
            DataError: texts or classes that cannot be used; the message says which.
            ConfigError: a setting out of its range.
        """
        recipe = Recipe(
            size=self.size,
            epochs=self.epochs,
            lm_epochs=self.lm_epochs,
            time_budget=self.time_budget,
            valid_pct=self.valid_pct,
            bs=self.bs,
            lr=self.lr,
            precision=self.precision,
            seed=self.random_state,
        )
        clock, console = Clock(self.time_budget), Console(quiet=not self.verbose)
        texts, target = check_texts(X), list(y)
        self.classes_, names = _classes(target, len(texts))
        data = Examples(texts=texts, labels=list(names), source="X")
        more = (
            [Examples(texts=check_texts(unlabelled), labels=None, source="unlabelled")]
            if unlabelled is not None
            else []
        )
        parts = prepare_texts(data, None, more, valid_pct=self.valid_pct, seed=self.random_state)
        base = choose_base(parts.train[0], console) if self.base == AUTO else load_base(self.base)
        n_evaluated = 2 * len(parts.valid[0])
        trained = train_text_classifier(parts, recipe, console, base=base, clock=clock, n_evaluated=n_evaluated)
        classifier = calibrated(trained.classifier, parts)
        self.predictor_ = Predictor(classifier)
        self.metrics_ = {
            **classifier.metrics,
            "valid": evaluate(self.predictor_, *parts.valid),
            **run_facts(parts, clock.used),
        }
        self._language_model = trained.language_model
        return self

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

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write a model folder, as `ulmfit train` does; `ulmfit.load` reads it.

        Raises:
            DataError: the place is taken.
        """
        check_is_fitted(self)
        save(self.predictor_.bundle, self._language_model, self.metrics_, Path(path), overwrite=overwrite)


def _classes(target: list[Any], n_texts: int) -> tuple[NDArray[Any], list[str]]:
    """The classes, sorted, and the name of each text's."""
    if len(target) != n_texts:
        raise DataError(f"X has {n_texts} texts and y {len(target)} classes; give one for each text")
    names = [label_name(value) for value in target]
    missing = [i for i, name in enumerate(names, start=1) if name is None]
    if missing:
        raise DataError(f"{len(missing)} of {n_texts} texts have no class, the first is text {missing[0]}")
    classes = np.unique(np.asarray(target))
    if len({label_name(c) for c in classes}) != len(classes):
        raise DataError("some of the classes in y differ but are written alike, such as 1 and '1'; rename them")
    return classes, [str(name) for name in names]
