"""The same weights and inputs give the numbers of fastai 2.8.12 (golden.npz, made by make_golden.py)."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ulmfit.models.awd_lstm import AWD_LSTM
from ulmfit.models.core import get_language_model, get_text_classifier

V, C, BPTT = 40, 3, 6
SIZES = {"emb_sz": 8, "n_hid": 12, "n_layers": 3}
NO_DROPOUT = {"output_p": 0.0, "hidden_p": 0.0, "input_p": 0.0, "embed_p": 0.0, "weight_p": 0.0}


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor]:
    with np.load(Path(__file__).with_name("golden.npz"), allow_pickle=False) as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


def part(golden: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in golden.items() if k.startswith(prefix)}


def our_name(name: str) -> str | None:
    """Their name of a parameter to ours; None for the second name of one that has two."""
    if "encoder_dp" in name:
        return None
    name = re.sub(r"^0\.module\.", "document_encoder.0.", name)
    name = re.sub(r"\b0\.encoder\.", "encoder.embedding.", name)
    name = re.sub(r"\b0\.rnns\.(\d)\.(module\.)?", r"encoder.layers.\1.lstm.", name).removesuffix("_raw")
    name = re.sub(r"^1\.decoder\.", "decoder.", name)
    return re.sub(r"^1\.layers\.(\d)\.(\d)", lambda m: f"head.layers.{4 * int(m[1]) + int(m[2])}", name)


def ours(theirs: dict[str, Tensor]) -> dict[str, Tensor]:
    return {new: value for name, value in theirs.items() if (new := our_name(name)) is not None}


def close(mine: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(mine.detach(), theirs, rtol=1e-4, atol=2e-6)


def test_language_model_logits_loss_regularisers_state_and_every_gradient(golden: dict[str, Tensor]):
    model = get_language_model(AWD_LSTM, V, {**SIZES, **NO_DROPOUT}).train()
    model.load_state_dict(ours(part(golden, "lm.weights.")))
    ids = golden["lm.ids"]
    for n, (start, stop) in enumerate(((0, 10), (10, 20))):  # the second continues the first's state
        output = model(ids[:, start:stop])
        loss = output.cross_entropy(ids[:, start + 1 : stop + 1])
        close(output.logits, golden[f"lm.{n}.logits"].log_softmax(-1))
        close(loss, golden[f"lm.{n}.loss"])
        close(output.ar, golden[f"lm.{n}.ar"])
        close(output.tar, golden[f"lm.{n}.tar"])
    (loss + 2 * output.ar + output.tar).backward()
    gradients = ours(part(golden, "lm.gradients."))
    parameters = dict(model.named_parameters())
    assert set(parameters) == {n for n in gradients if n in parameters}
    for name, p in parameters.items():
        assert p.grad is not None
        close(p.grad, gradients[name])
    assert model.state is not None
    for i, (hidden, cell) in enumerate(model.state):
        close(hidden, golden[f"lm.state.{i}.hidden"])
        close(cell, golden[f"lm.state.{i}.cell"])


def test_classifier_pooled_vector_and_logits(golden: dict[str, Tensor]):
    model = get_text_classifier(AWD_LSTM, V, C, seq_len=BPTT, config=SIZES, max_len=12 * BPTT).eval()
    model.load_state_dict(ours(part(golden, "clas.weights.")))
    with torch.no_grad():
        close(model.document_encoder(golden["clas.ids"], golden["clas.lengths"]).features, golden["clas.pooled"])
        close(model(golden["clas.ids"], golden["clas.lengths"]).logits, golden["clas.logits"])
        close(model(golden["clas.ids"]).logits, golden["clas.logits"])


def test_parameter_groups(golden: dict[str, Tensor]):
    lm = get_language_model(AWD_LSTM, V, SIZES)
    classifier = get_text_classifier(AWD_LSTM, V, C, config=SIZES)
    for kind, model in (("lm", lm), ("clas", classifier)):
        theirs = part(golden, f"{kind}.groups.")
        mine = model.parameter_groups()
        assert len(mine) == len(theirs)
        for i, group in enumerate(mine):
            assert sorted(p.numel() for p in group) == theirs[str(i)].tolist()
