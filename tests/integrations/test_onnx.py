from __future__ import annotations

import io
import json
import pickle
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from bundles import classifier
from rich.console import Console

from ulmfit.errors import ConfigError, DataError, FormatError
from ulmfit.inference.bundle import Bundle, load_bundle
from ulmfit.inference.comparison import Comparison, compare
from ulmfit.inference.explain import explain
from ulmfit.inference.info import print_info
from ulmfit.inference.loading import load
from ulmfit.inference.predictor import Predictor
from ulmfit.inference.reading import Reading
from ulmfit.models.classifier import TextClassifier
from ulmfit.models.config import AWDLSTMConfig, AWDQRNNConfig, EncoderConfig
from ulmfit.training.ngrams import fit_ngrams

pytest.importorskip("onnx", reason="the extra onnx is not installed")
pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")

from ulmfit.integrations.onnx import export

pytestmark = pytest.mark.slow


ENCODERS = [
    AWDLSTMConfig(emb_sz=6, n_hid=12, n_layers=2),
    AWDQRNNConfig(emb_sz=6, n_hid=12, n_layers=3, window=2, zoneout_p=0.2),
    AWDQRNNConfig(emb_sz=6, n_hid=12, n_layers=2, window=1),
]
BY_CELL = pytest.mark.parametrize("config", ENCODERS, ids=["lstm", "qrnn", "qrnn-window-1"])


def model(
    task: str = "single_label",
    *,
    config: EncoderConfig = ENCODERS[0],
    max_len: int = 1440,
    pool_words: bool = True,
) -> Bundle:
    """A model of random weights whose batch norm has seen something."""
    small = classifier()
    torch.manual_seed(1)
    y_range = (1.0, 10.0) if task == "regression" else None
    network = TextClassifier(len(small.vocab), 3, config, pool_words=pool_words, y_range=y_range)
    for layer in network.head.layers:
        if isinstance(layer, torch.nn.BatchNorm1d):
            layer.running_mean.normal_(0, 0.05)
            layer.running_var.uniform_(0.5, 2)
    labels = () if task == "regression" else small.labels
    return replace(
        small,
        config=config,
        weights=network.state_dict(),
        task=task,
        labels=labels,
        y_range=y_range,
        max_len=max_len,
        pool_words=pool_words,
    )


def texts_of(bundle: Bundle, lengths: list[int]) -> list[str]:
    rng = random.Random(0)
    words = [word for word in bundle.vocab.itos if word.isalpha()]
    return [" ".join(rng.choices(words, k=n)) for n in lengths]


@pytest.mark.parametrize("batch_size", [1, 2, 7, 32])
@pytest.mark.parametrize(("max_len", "pool_words"), [(1440, True), (50, True), (1440, False)])
@BY_CELL
def test_it_agrees_with_the_original(
    tmp_path: Path, config: EncoderConfig, batch_size: int, max_len: int, pool_words: bool
):
    bundle = model(config=config, max_len=max_len, pool_words=pool_words)
    export(bundle, tmp_path / "m")
    texts = texts_of(bundle, [1, 2, 3, 10, 49, 50, 51, 71, 72, 73, 144, 500, 1023, 1024, 1025, 1440, 2000] * 2)
    texts += [f"{text} xxpad" for text in texts[:17]]
    original, exported = Predictor(bundle).outputs(texts), load(tmp_path / "m").outputs(texts, batch_size=batch_size)
    np.testing.assert_allclose(exported, original, atol=1e-5)


@pytest.mark.parametrize("task", ["single_label", "multi_label", "regression"])
def test_tasks_directions_and_calibration(tmp_path: Path, task: str):
    bundle = model(task)
    calibration = {"temperature": 2.0, "thresholds": {"praise": 0.3} if task == "multi_label" else {}}
    twin = replace(bundle, backwards=True, weights={k: v * 1.1 for k, v in bundle.weights.items()})
    texts = ["The parcel came late.", "Wonderful coffee!"]
    texts += ["The parcels were late again.", "Coffees and chargers"]  # words that nothing was learned of
    reading = Reading.of_texts(texts[:2] * 2, bundle.tokenizer, bundle.vocab)
    n, several = (1, np.array([1.0, 2, 1, 2])) if task == "regression" else (3, np.array([[0, 1, 1], [1, 0, 0]] * 2))
    target = np.array([0, 1, 2, 1]) if task == "single_label" else several
    ngrams = fit_ngrams(reading, target, task, n, "word", Console(quiet=True))
    bundle = replace(bundle, backward=twin, calibration=calibration, ngrams=ngrams)
    export(bundle, tmp_path / "m")
    exported = load(tmp_path / "m")
    assert exported.ngrams is not None
    for one, other in zip(Predictor(bundle).predict(texts), exported.predict(texts), strict=True):
        assert (one.label, one.labels) == (other.label, other.labels)
        assert list(one.probabilities.values()) == pytest.approx(list(other.probabilities.values()), abs=1e-5)
        assert one.values == pytest.approx(other.values, abs=1e-4)
    copied = pickle.loads(pickle.dumps(exported))  # noqa: S301 (what other processes get)
    assert copied.outputs(texts).tolist() == exported.outputs(texts).tolist()
    with pytest.raises(ConfigError, match="cannot be explained"):
        explain(exported, "coffee")
    with pytest.raises(DataError, match="text 2 is empty"):
        exported.predict(["a", " "])


def test_it_needs_no_torch(tmp_path: Path):
    """spaCy imports torch where it is installed; here there is none."""
    export(model(), tmp_path / "m")
    code = f"""
import sys
sys.modules["torch"] = None
import ulmfit
print(ulmfit.load({str(tmp_path / "m")!r}).predict("The parcel came late.").label)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in classifier().labels


def test_info_describes_an_exported_folder(tmp_path: Path):
    export(model(), tmp_path / "m")
    out = io.StringIO()
    print_info(tmp_path / "m", Console(file=out, width=120))
    assert "exported as ONNX" in out.getvalue()
    assert "single label" in out.getvalue()
    (tmp_path / "m" / "head.onnx").write_bytes(b"x")
    with pytest.raises(FormatError, match=r"head\.onnx"):
        print_info(tmp_path / "m", Console(file=out))


@BY_CELL
def test_int8_is_smaller_and_near(tmp_path: Path, caplog: pytest.LogCaptureFixture, config: EncoderConfig):
    bundle = model(config=replace(config, emb_sz=64, n_hid=128))
    export(bundle, tmp_path / "float32")
    export(bundle, tmp_path / "int8", int8=True)
    assert not caplog.records  # onnxruntime advises steps that were taken
    sizes = [(tmp_path / name / "encoder.onnx").stat().st_size for name in ("int8", "float32")]
    assert sizes[0] < sizes[1] / 3
    texts = texts_of(bundle, [1, 20, 300] * 4)
    found = compare(Predictor(bundle), load(tmp_path / "int8"), texts)
    assert 0 < found.difference < 0.02


def test_what_has_no_such_form_is_refused(tmp_path: Path):
    bundle = model()
    with pytest.raises(ConfigError, match="the model has bidirectional layers"):
        export(replace(bundle, config=replace(bundle.config, bidir=True)), tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_damage_and_mistaken_folders(tmp_path: Path):
    export(model(), tmp_path / "m")
    with pytest.raises(FormatError, match="holds a onnx_classifier; a classifier is needed"):
        load_bundle(tmp_path / "m", kind="classifier")
    content = bytearray((tmp_path / "m" / "encoder.onnx").read_bytes())
    content[-1] ^= 1
    (tmp_path / "m" / "encoder.onnx").write_bytes(content)
    with pytest.raises(FormatError, match=r"encoder\.onnx has another content"):
        load(tmp_path / "m")


def test_a_form_that_is_worse_or_slower_is_not_written(tmp_path: Path):
    good = {"n": 9, "difference": 0.0, "agreement": 1.0, "figure": None, "before": None, "after": None}
    assert Comparison(**good, latency=0.5, throughput=2.0).problems() == []
    assert "slower" in Comparison(**good, latency=0.5, throughput=0.9).problems()[0]
    assert "another answer" in Comparison(**{**good, "agreement": 0.99}, latency=2, throughput=2).problems()[0]
    worse = {**good, "agreement": 0.99, "figure": "accuracy", "before": 0.9}
    assert Comparison(**{**worse, "after": 0.8971}, latency=2, throughput=2).problems() == []
    assert "instead of 0.9000" in Comparison(**{**worse, "after": 0.8969}, latency=2, throughput=2).problems()[0]

    def refuse(folder: Path) -> None:
        assert load(folder).predict("coffee").label
        raise ConfigError("no")

    with pytest.raises(ConfigError, match="no"):
        export(model(), tmp_path / "m", check=refuse)
    assert list(tmp_path.iterdir()) == []


def test_the_command(tmp_path: Path):
    from ulmfit.inference.bundle import save_bundle

    save_bundle(model(config=replace(ENCODERS[0], emb_sz=16, n_hid=32)), tmp_path / "m")
    run = [sys.executable, "-m", "ulmfit", "export", str(tmp_path / "m"), "--out", str(tmp_path / "o"), "--json"]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["agreement"] == 1.0
    again = subprocess.run(run, capture_output=True, text=True, check=False)
    assert (again.returncode, "already holds a model" in again.stderr) == (2, True)
