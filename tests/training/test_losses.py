from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from learners import classifier_learner
from torch import nn

from ulmfit.errors import ConfigError
from ulmfit.training import losses

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.1, 0.2, 0.3]])
TARGET = torch.tensor([0, 2])


def test_cross_entropy_with_weights_and_smoothing_is_that_of_torch():
    weight = torch.tensor([1.0, 2.0, 5.0])
    expected = nn.CrossEntropyLoss(weight=weight, label_smoothing=0.2)(LOGITS, TARGET)
    assert losses.CrossEntropyLossFlat(weight, 0.2)(LOGITS, TARGET) == pytest.approx(float(expected))
    smooth = nn.CrossEntropyLoss(label_smoothing=0.1)(LOGITS, TARGET)
    assert losses.LabelSmoothingCrossEntropy()(LOGITS, TARGET) == pytest.approx(float(smooth))


def test_focal_loss_counts_what_is_right_for_little():
    p = LOGITS.softmax(1)[torch.arange(2), TARGET]
    expected = ((1 - p) ** 2 * -p.log()).mean()
    assert losses.FocalLossFlat()(LOGITS, TARGET) == pytest.approx(float(expected))
    assert losses.FocalLossFlat(0)(LOGITS, TARGET) == pytest.approx(float(nn.CrossEntropyLoss()(LOGITS, TARGET)))


def test_flat_losses_take_the_steps_of_a_language_model():
    logits = torch.randn(2, 5, 7)
    target = torch.randint(7, (2, 5))
    assert losses.CrossEntropyLossFlat()(logits, target) == pytest.approx(
        float(nn.CrossEntropyLoss()(logits.flatten(0, 1), target.flatten()))
    )


def test_what_logits_mean():
    multi = losses.BCEWithLogitsLossFlat(thresh=0.6)
    assert multi.decodes(torch.tensor([[0.3, 0.5]])).tolist() == [[False, True]]  # sigmoid: 0.574, 0.622
    assert losses.CrossEntropyLossFlat().decodes(LOGITS).tolist() == [0, 2]
    assert losses.meaning(None, "single_label").activation(LOGITS).sum(1).tolist() == pytest.approx([1, 1])
    assert losses.meaning(nn.MSELoss(), "regression").activation(torch.tensor([[3.0]])).item() == 3
    assert losses.meaning(multi, "multi_label") is multi
    assert losses.default_loss("single_label") is None
    assert isinstance(losses.default_loss("multi_label"), losses.BCEWithLogitsLossFlat)


def test_regression_compares_as_many_values_as_targets():
    assert losses.MSELossFlat()(torch.tensor([[1.0], [3.0]]), torch.tensor([1.0, 1.0])) == pytest.approx(2.0)
    assert losses.L1LossFlat()(torch.tensor([[1.0], [3.0]]), torch.tensor([1.0, 1.0])) == pytest.approx(1.0)
    with pytest.raises(ConfigError, match="set n_out"):
        losses.MSELossFlat()(torch.zeros(2, 3), torch.zeros(2))


def test_class_weights_even_out_the_classes():
    dls = SimpleNamespace(train=SimpleNamespace(labels=np.array([0, 0, 0, 1])))
    assert losses.class_weights(dls).tolist() == pytest.approx([4 / 6, 2.0])
    assert losses.class_weights(dls, 3).tolist() == pytest.approx([4 / 6, 2.0, 1.0])
    with pytest.raises(ConfigError, match="one class each"):
        losses.class_weights(SimpleNamespace(train=SimpleNamespace(labels=np.zeros((2, 3)))))


@pytest.mark.parametrize("loss", [losses.FocalLossFlat(), losses.LabelSmoothingCrossEntropy(), nn.CrossEntropyLoss()])
def test_a_learner_trains_with_any_of_them(loss):
    learn = classifier_learner(loss_func=loss)
    learn.fit(0.5, 1e-2)
    logits, targets = learn.get_preds(act=lambda scores: scores)
    assert learn.history[0]["valid_loss"] == pytest.approx(float(loss(logits, targets)), rel=1e-5)
    each = learn.get_preds(with_loss=True)[-1]
    assert float(each.mean()) == pytest.approx(learn.history[0]["valid_loss"], rel=1e-5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: losses.BCEWithLogitsLossFlat(thresh=1.5),
        lambda: losses.CrossEntropyLossFlat(label_smoothing=1.0),
        lambda: losses.FocalLossFlat(gamma=-1),
        lambda: losses.CrossEntropyLossFlat(weight=torch.tensor([1.0, -1.0])),
    ],
)
def test_settings_that_make_no_sense(make):
    with pytest.raises(ConfigError):
        make()
