from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from invented import make_reviews
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import ulmfit
from ulmfit.errors import ConfigError, DataError
from ulmfit.integrations.sklearn import TextClassifier

QUICK = {"lm_epochs": 1, "epochs": 6, "base": "none"}


@pytest.fixture(scope="module")
def reviews() -> tuple[list[str], list[str]]:
    return make_reviews(120)


@pytest.fixture(scope="module")
def fitted(reviews: tuple[list[str], list[str]]) -> TextClassifier:
    """Trained with the classes 7 and 10, which are sorted otherwise as numbers than as names."""
    y = [7 if label == "neg" else 10 for label in reviews[1]]
    return TextClassifier(**QUICK).fit(pd.Series(reviews[0]), np.array(y), unlabelled=make_reviews(30, seed=2)[0])


def test_it_learns_and_keeps_the_type_and_order_of_the_classes(fitted: TextClassifier):
    texts, labels = make_reviews(40, seed=1)
    y = np.array([7 if label == "neg" else 10 for label in labels])
    assert fitted.classes_.tolist() == [7, 10]
    assert fitted.score(texts, y) > 0.9
    p = fitted.predict_proba(texts)
    np.testing.assert_array_equal(fitted.predict(texts), fitted.classes_[p.argmax(1)])
    np.testing.assert_allclose(p.sum(1), 1, atol=1e-5)
    assert fitted.metrics_["train"]["unlabelled"] == 30
    assert fitted.predictor_.calibration.n == fitted.metrics_["valid"]["n"]


def test_it_is_saved_as_a_model_folder_and_copied(fitted: TextClassifier, tmp_path: Path):
    fitted.save(tmp_path / "m")
    predictor = ulmfit.load(tmp_path / "m")
    texts = make_reviews(5, seed=1)[0]
    expected = [str(c) for c in fitted.predict(texts)]
    assert [p.label for p in predictor.predict(texts)] == expected
    copied = pickle.loads(pickle.dumps(fitted))  # noqa: S301 (what other processes get from joblib)
    np.testing.assert_allclose(copied.predict_proba(texts), fitted.predict_proba(texts), atol=1e-6)
    assert not hasattr(clone(fitted), "predictor_")


def test_parameters():
    estimator = ulmfit.TextClassifier(epochs=3, random_state=7)
    assert clone(estimator).get_params() == estimator.get_params()
    assert estimator.set_params(time_budget=60.0).time_budget == 60.0
    with pytest.raises(ValueError, match="Invalid parameter 'epoch'"):
        estimator.set_params(epoch=2)


def test_bad_input():
    estimator = TextClassifier()
    with pytest.raises(NotFittedError):
        estimator.predict(["a"])
    with pytest.raises(DataError, match="text 2 is NoneType"):
        estimator.fit(["a", None], ["x", "y"])
    with pytest.raises(DataError, match="X has 2 texts and y 1 classes"):
        estimator.fit(["a", "b"], ["x"])
    with pytest.raises(DataError, match="1 of 2 texts have no class, the first is text 2"):
        estimator.fit(["a", "b"], ["x", None])
    with pytest.raises(DataError, match="put it into a list"):
        estimator.fit("a text", ["x"])
    with pytest.raises(ConfigError, match="bs=1 must be at least 2"):
        TextClassifier(bs=1).fit(["a", "b"], ["x", "y"])


@pytest.mark.slow
def test_searches_and_pipelines(reviews: tuple[list[str], list[str]]):
    pipeline = make_pipeline(FunctionTransformer(lambda texts: [t.lower() for t in texts]), TextClassifier(**QUICK))
    assert cross_val_score(pipeline, *reviews, cv=2).mean() > 0.8
    search = GridSearchCV(TextClassifier(**QUICK), {"lr": [1e-2, 1e-6]}, cv=2).fit(*reviews)
    assert search.best_params_ == {"lr": 1e-2}
