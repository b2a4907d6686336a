from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from ulmfit.errors import ConfigError, DataError
from ulmfit.inference.bundle import Bundle
from ulmfit.inference.interpretation import Interpretation
from ulmfit.inference.predictor import Predictor

P = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.2, 0.8], [0.95, 0.05]])
FOUND = Interpretation(("no", "yes"), ("a", "b", "c", "d", "e"), np.array([0, 0, 0, 1, 1]), P)


def test_errors_are_counted_and_named():
    assert FOUND.confusion_matrix().tolist() == [[2, 1], [1, 1]]
    assert sorted(FOUND.most_confused()) == [("no", "yes", 1), ("yes", "no", 1)]
    assert FOUND.most_confused(min_val=2) == []
    losses, indices = FOUND.top_losses(2)
    assert indices.tolist() == [4, 2]
    assert losses[0].item() == pytest.approx(-np.log(0.05))
    assert FOUND.top_losses(1, items=True)[2] == ["e"]
    assert len(FOUND.top_losses()[0]) == 5
    assert FOUND.top_losses(5, largest=False)[1].tolist()[-1] == 4
    worst = FOUND.cases(2)
    assert [(c.index, c.text, c.label, c.predicted) for c in worst] == [(4, "e", "yes", "no"), (2, "c", "no", "yes")]
    assert worst[0].loss == pytest.approx(-np.log(0.05))
    assert FOUND.figures()["accuracy"] == pytest.approx(0.6)
    assert "precision" in FOUND.classification_report()


def test_the_report_is_printed(capsys: pytest.CaptureFixture[str]):
    FOUND.print_classification_report()
    assert capsys.readouterr().out == FOUND.classification_report()


def test_labels_that_contradict_a_confident_answer_are_suspected():
    # Means of the own class: 0.667 of "no", 0.425 of "yes". Text e is "no" with 0.95, text c "yes" with 0.7.
    assert [c.index for c in FOUND.suspected_label_errors()] == [4, 2]
    clean = Interpretation(("no", "yes"), ("a", "b"), np.array([0, 1]), np.array([[0.6, 0.4], [0.3, 0.7]]))
    assert clean.suspected_label_errors() == []


def test_the_report_and_its_json():
    text = FOUND.to_text()
    assert "5 texts: accuracy 0.6000" in text
    assert "2 labels may be wrong" in text
    said = json.loads(json.dumps(FOUND.to_dict()))
    assert said["confusion_matrix"] == [[2, 1], [1, 1]]
    assert said["coverage"][0]["coverage"] == 1


def test_one_pass_over_texts(example: Bundle):
    predictor = Predictor(example)
    texts = ["coffee", "late", "twice"]
    found = Interpretation.of(predictor, texts, ["praise", "delivery", "billing"])
    np.testing.assert_allclose(found.probabilities, predictor.predict_proba(texts), atol=1e-6)
    assert found.target.tolist() == [2, 1, 0]
    with pytest.raises(DataError, match="does not know: fraud"):
        Interpretation.of(predictor, ["a"], ["fraud"])
    for labels in (["praise"], ["praise"] * 4):
        with pytest.raises(DataError, match=f"3 texts need as many labels; got {len(labels)}"):
            Interpretation.of(predictor, texts, labels)
    with pytest.raises(DataError, match="does not know: 0, None"):
        Interpretation.of(predictor, ["a", "b", "c"], ["praise", None, 0])
    with pytest.raises(ConfigError, match="k=-1"):
        found.top_losses(-1)
    numbered = Predictor(replace(example, labels=("0", "1", "2")))  # as an estimator keeps classes that are numbers
    assert Interpretation.of(numbered, texts, [2, 1, 0]).target.tolist() == [2, 1, 0]


def test_plots():
    pytest.importorskip("matplotlib")
    axes = FOUND.plot_confusion_matrix().axes[0]
    assert sorted(t.get_text() for t in axes.texts) == ["1", "1", "1", "2"]
    figure = FOUND.plot_confusion_matrix(normalize=True, title="shares", figsize=(3, 4), norm_dec=1)
    assert figure.get_size_inches().tolist() == [3, 4]
    assert sorted(t.get_text() for t in figure.axes[0].texts) == ["0.3", "0.5", "0.5", "0.7"]
    assert figure.axes[0].get_title() == "shares"
    assert not FOUND.plot_confusion_matrix(plot_txt=False).axes[0].texts
    assert FOUND.plot_reliability().axes[0].get_xlabel() == "confidence"
