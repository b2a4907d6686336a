from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax

from ulmfit.errors import DataError, FormatError
from ulmfit.inference.bundle import Bundle
from ulmfit.inference.calibrate import (
    Calibration,
    coverage_curve,
    expected_calibration_error,
    fit_calibration,
    fit_temperature,
    reliability,
    tune_thresholds,
)
from ulmfit.inference.predictor import Predictor


def drawn(n: int = 4000, temperature: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and targets that are drawn from them at another temperature."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (n, 3))
    p = softmax(logits / temperature, 1)
    return logits, (p.cumsum(1) > rng.random((n, 1))).argmax(1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_is_found(temperature: float):
    logits, target = drawn(temperature=temperature)
    assert fit_temperature(logits, target) == pytest.approx(temperature, rel=0.1)


def test_a_few_texts_that_are_all_right_do_not_make_the_model_certain():
    logits = np.array([[2.0, 0.0], [0.0, 2.0]] * 5)
    assert 0.4 < fit_temperature(logits, np.array([0, 1] * 5)) < 1


def test_the_temperature_of_many_labels_is_found():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (4000, 3))
    target = (rng.random((4000, 3)) < 1 / (1 + np.exp(-logits / 2))).astype(float)
    assert fit_temperature(logits, target, "multi_label") == pytest.approx(2, rel=0.1)


def test_calibration_lowers_the_error_and_changes_no_class(example: Bundle):
    logits, target = drawn(temperature=3.0)
    fitted = fit_calibration(logits, target, "single_label", example.labels)
    assert fitted.ece_after < fitted.ece_before / 4
    assert Calibration.from_dict(fitted.to_dict()) == fitted
    texts = ["coffee", "twice", "late"]
    plain, cooled = Predictor(example), Predictor(replace(example, calibration=fitted.to_dict()))
    assert [p.label for p in plain.predict(texts)] == [p.label for p in cooled.predict(texts)]
    expected = softmax(plain.outputs(texts) / fitted.temperature, 1)
    np.testing.assert_allclose(cooled.predict_proba(texts), expected, atol=1e-6)


def test_the_calibration_error_of_known_cases():
    assert expected_calibration_error(np.array([[0.8, 0.2]] * 10), np.array([0] * 8 + [1] * 2)) == pytest.approx(0)
    assert expected_calibration_error(np.array([[0.8, 0.2]] * 10), np.array([1] * 10)) == pytest.approx(0.8)
    table = reliability(np.array([[1.0, 0.0], [0.55, 0.45]]), np.array([0, 1]))
    assert [(b.n, b.accuracy) for b in table] == [(1, 0.0), (1, 1.0)]


def test_thresholds_are_the_best_there_are():
    rng = np.random.default_rng(0)
    p = rng.random((60, 3)).round(1)
    target = (rng.random((60, 3)) < p * 0.5).astype(float)
    target[:, 2] = 0
    found = tune_thresholds(p, target)
    assert found[2] == 0.5

    def f1(c: int, threshold: float) -> float:
        said = p[:, c] >= threshold
        return 2 * (said * target[:, c]).sum() / (said.sum() + target[:, c].sum())

    for c in (0, 1):
        assert f1(c, found[c]) == pytest.approx(max(f1(c, t) for t in np.linspace(0, 1, 201)))


def test_who_abstains_more_is_right_more_often():
    logits, target = drawn()
    curve = coverage_curve(softmax(logits, 1), target)
    assert curve[0].coverage == 1
    assert curve[18].coverage < 0.5
    assert curve[18].accuracy > curve[0].accuracy
    assert coverage_curve(np.array([[0.5, 0.5]]), np.array([0]))[-1].accuracy is None


def test_what_is_no_calibration(example: Bundle):
    with pytest.raises(DataError, match="no texts to calibrate on"):
        fit_calibration(np.empty((0, 3)), np.empty(0), "single_label", example.labels)
    for wrong in ({"temperature": 0}, {"temprature": 2}, {"thresholds": {"a": 7}}, {"thresholds": 3}):
        with pytest.raises(FormatError, match="calibration of the model is damaged"):
            Predictor(replace(example, calibration=wrong))
