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
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import check_estimator

import ulmfit
from ulmfit.errors import ConfigError, DataError
from ulmfit.integrations.sklearn import TextClassifier, TextMultilabelClassifier, TextRegressor, _seed

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
    with pytest.raises(DataError, match="X has 2 texts and y 1 labels"):
        estimator.fit(["a", "b"], ["x"])
    with pytest.raises(DataError, match="1 of 2 texts have no class, the first is text 2"):
        estimator.fit(["a", "b"], ["x", None])
    with pytest.raises(DataError, match="put it into a list"):
        estimator.fit("a text", ["x"])
    with pytest.raises(ConfigError, match="bs=1 must be at least 2"):
        TextClassifier(bs=1).fit(["a", "b"], ["x", "y"])
    for budget in ("20s", float("nan"), 0):
        with pytest.raises(ConfigError, match="must be a positive number of seconds"):
            TextClassifier(time_budget=budget).fit(["a", "b"], ["x", "y"])
    for state in ("a", -1, 1.5):
        with pytest.raises(ConfigError, match=f"random_state={state!r} must be a whole number"):
            TextClassifier(random_state=state).fit(["a", "b"], ["x", "y"])


def test_seeds_as_scikit_learn_has_them():
    assert _seed(7) == _seed(np.int64(7)) == 7
    assert _seed(np.random.RandomState(3)) == _seed(np.random.RandomState(3))
    assert _seed(None) != _seed(None)


@pytest.mark.slow
def test_searches_and_pipelines(reviews: tuple[list[str], list[str]]):
    pipeline = make_pipeline(FunctionTransformer(lambda texts: [t.lower() for t in texts]), TextClassifier(**QUICK))
    assert cross_val_score(pipeline, *reviews, cv=2).mean() > 0.8
    search = GridSearchCV(TextClassifier(**QUICK), {"lr": [1e-2, 1e-6]}, cv=2).fit(*reviews)
    assert search.best_params_ == {"lr": 1e-2}


@pytest.fixture
def short(tiny_models: None) -> dict[str, object]:
    return {"lm_epochs": 1, "epochs": 12, "base": "none"}


def test_several_labels_as_columns_and_as_lists(short: dict[str, object]):
    texts, labels = make_reviews(80)
    lists = [[label, "long"] if len(t) > 150 else [label] for t, label in zip(texts, labels, strict=True)]
    y = pd.DataFrame([{c: int(c in names) for c in ("pos", "neg", "long")} for names in lists])
    model = TextMultilabelClassifier(**short).fit(texts, y)
    assert model.classes_.tolist() == ["pos", "neg", "long"]
    p = model.predict_proba(texts)
    assert p.shape == (80, 3)
    said = model.predict(texts)
    assert set(np.unique(said)) <= {0, 1}
    assert (said[:, :2] == y.to_numpy()[:, :2]).mean() > 0.8
    assert model.score(texts, y) == pytest.approx((said == y.to_numpy()).all(1).mean())
    assert model.score(texts, lists) == model.score(texts, y)
    assert set(model.metrics_["valid"]) >= {"micro_f1", "macro_f1", "subset_accuracy"}
    assert set(model.predictor_.calibration.thresholds) == {"pos", "neg", "long"}


def test_labels_of_several_that_cannot_be_used():
    model = TextMultilabelClassifier()
    with pytest.raises(DataError, match="no text has the classes 1"):
        model.fit(["a", "b"], np.array([[1, 0], [1, 0]]))
    with pytest.raises(DataError, match="other than 0 and 1"):
        model.fit(["a", "b"], np.array([[1, 2], [1, 0]]))
    with pytest.raises(DataError, match="are not a list of labels"):
        model.fit(["a", "b"], ["x", "y"])
    with pytest.raises(DataError, match="X has 2 texts and y 1 labels"):
        model.fit(["a", "b"], [["x"]])


def test_values(short: dict[str, object], tmp_path: Path):
    texts, labels = make_reviews(80)
    y = np.array([2.0 if label == "neg" else 9.0 for label in labels])
    model = TextRegressor(**short).fit(texts, y)
    said = model.predict(texts)
    assert said.shape == (80,)
    assert model.score(texts, y) > 0.3
    assert set(model.metrics_["valid"]) == {"n", "mae", "rmse", "r2"}
    model.save(tmp_path / "m")
    assert ulmfit.load(tmp_path / "m").predict(texts[0]).values == pytest.approx((said[0],), abs=1e-4)
    with pytest.raises(DataError, match=r"1 of 2 cells are not a finite number: rows 2 \('x'\)"):
        model.fit(["a", "b"], [1, "x"])


WITHOUT_DATA = (
    "check_estimator_cloneable",
    "check_estimator_get_tags_default_keys",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_set_params",
    "check_do_not_raise_errors_in_init_or_set_param",
    "check_valid_tag_types",
)


@pytest.mark.parametrize("estimator", [TextClassifier, TextMultilabelClassifier, TextRegressor])
def test_checks_of_scikit_learn(estimator: type):
    """`check_estimator` leaves out all that feed arrays of numbers, as the tags say that X is strings in one dimension.

    The checks below need no data; what they say of estimators that were fitted is tested above with texts.
    """
    with pytest.warns(UserWarning, match="Can't test estimator"):
        check_estimator(estimator(), on_skip=None)
    for name in WITHOUT_DATA:
        check = getattr(estimator_checks, name, None)
        if check is not None:  # releases have more or fewer of them
            check(estimator.__name__, estimator())
