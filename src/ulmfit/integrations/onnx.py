"""A trained classifier as ONNX: a folder that predicts without torch.

The encoder's graph reads a chunk of each text and carries its state to the next, so that a text of any length is read
to its end in bounded memory; the head's graph makes the numbers of the classes from what was pooled.

    encoder.onnx   ids (B, T), lengths (B,), skip (B,), states (1, B, H) -> last, maximum, total (B, F), states
    head.onnx      features (B, 3F) -> logits (B, C)

States are h0, c0, h1, ... of an LSTM; of a QRNN c0, c1, ..., and x0, the last input, where a layer sees two steps.

B batch, T steps of a chunk, F features of a step, H hidden, V vocabulary, C classes. Needs the extra `onnx`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ulmfit._version import __version__
from ulmfit.errors import ConfigError, MissingExtraError
from ulmfit.inference.bundle import BACKWARD, CLASSIFIER, Bundle, oldest_version
from ulmfit.inference.folder import (
    CARD,
    CONFIG,
    METRICS,
    VOCAB,
    check_target,
    publish,
    staging,
    write_json,
    write_manifest,
)
from ulmfit.inference.network import classifier_of
from ulmfit.inference.onnx_predictor import ENCODER, HEAD, ONNX_CLASSIFIER
from ulmfit.models.classifier import PoolingLinearClassifier
from ulmfit.models.config import AWDLSTMConfig, AWDQRNNConfig

try:
    import onnx
    from onnx import TensorProto, helper, numpy_helper
except ImportError as missing:
    raise MissingExtraError("onnx", "onnx") from missing

_OPSET, _IR = 17, 8  # what onnxruntime 1.18 reads
_GATES = (0, 3, 1, 2)  # of ONNX (input, output, forget, cell) among those of torch (input, forget, cell, output)

Floats = NDArray[np.float32]


class Graph:
    """Collects the nodes and constants of a graph."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """A constant; its name."""
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(self, op: str, inputs: Sequence[str], output: str | Sequence[str], **attributes: Any) -> str:
        """A node; the name of its first output."""
        outputs = [output] if isinstance(output, str) else list(output)
        self.nodes.append(helper.make_node(op, list(inputs), outputs, name=outputs[0], **attributes))
        return outputs[0]

    def model(self, name: str, inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
        """The whole, checked."""
        graph = helper.make_graph(self.nodes, name, list(inputs), list(outputs), self.constants)
        made = helper.make_model(
            graph, producer_name="ulmfit", producer_version=__version__, opset_imports=[helper.make_opsetid("", _OPSET)]
        )
        made.ir_version = _IR
        onnx.checker.check_model(made, full_check=True)
        return made


def _floats(name: str, *shape: str | int) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))


def encoder_model(bundle: Bundle, *, int8: bool = False) -> Any:
    """The encoder of a classifier, with its pooling.

    Args:
        bundle: a classifier.
        int8: the embedding as int8 rows with a scale each.

    Raises:
        ConfigError: an architecture that has no ONNX form here.
    """
    config = bundle.config
    if config.bidir or not isinstance(config, AWDLSTMConfig | AWDQRNNConfig):
        what = "bidirectional layers" if config.bidir else config.arch
        raise ConfigError(f"encoders of one direction, AWD-LSTM or AWD-QRNN, become ONNX; the model has {what}")
    graph, prefix = Graph(), "document_encoder.encoder."
    weights = {name.removeprefix(prefix): w for name, w in bundle.weights.items() if name.startswith(prefix)}
    words = _embed(graph, _array(weights["embedding.weight"]), int8=int8)
    graph.constant("axis_0", np.array([0], np.int64))
    graph.constant("axis_1", np.array([1], np.int64))
    x = graph.add("Transpose", [words], "steps", perm=[1, 0, 2])
    if isinstance(config, AWDLSTMConfig):
        x, states = _lstm(graph, x, weights, config)
    else:
        x, states = _qrnn(graph, x, weights, config)
    features = config.emb_sz * (2 if bundle.pool_words else 1)
    if bundle.pool_words:
        x = graph.add("Concat", [x, "steps"], "joined", axis=2)
    _pool(graph, x)
    ids = [helper.make_tensor_value_info("ids", TensorProto.INT64, ["B", "T"])]
    ids += [helper.make_tensor_value_info(name, TensorProto.INT64, ["B"]) for name in ("lengths", "skip")]
    pooled = [_floats(name, "B", features) for name in ("last", "maximum", "total")]
    before = [_floats(name, 1, "B", size) for name, size in states.items()]
    after = [_floats(f"{name}_after", 1, "B", size) for name, size in states.items()]
    return graph.model("encoder", [*ids, *before], [*pooled, *after])


def _lstm(graph: Graph, x: str, weights: Mapping[str, Any], config: AWDLSTMConfig) -> tuple[str, dict[str, int]]:
    """The layers over the steps (T, B, E); the name of their output, and the sizes of the states they carry."""
    states: dict[str, int] = {}
    graph.add("Cast", ["lengths"], "lengths_32", to=TensorProto.INT32)
    for i, size in enumerate(config.layer_sizes[1:]):
        layer = f"layers.{i}.lstm."
        names = [f"{kind}_{i}" for kind in ("W", "R", "B")]
        matrices = [_array(weights[f"{layer}{n}_l0"]) for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        w, r, b_w, b_r = (np.concatenate([np.split(m, 4)[g] for g in _GATES]) for m in matrices)
        for name, value in zip(names, (w, r, np.concatenate([b_w, b_r])), strict=True):
            graph.constant(name, value[None])
        outputs = [f"outputs_{i}", f"h{i}_after", f"c{i}_after"]
        graph.add("LSTM", [x, *names, "lengths_32", f"h{i}", f"c{i}"], outputs, hidden_size=size)
        x = graph.add("Squeeze", [outputs[0], "axis_1"], f"layer_{i}")
        states |= {f"h{i}": size, f"c{i}": size}
    return x, states


def _qrnn(graph: Graph, x: str, weights: Mapping[str, Any], config: AWDQRNNConfig) -> tuple[str, dict[str, int]]:
    """The same; the state after a text's own end is not that of the text, but no text goes on from there."""
    states: dict[str, int] = {}
    graph.constant("whole", np.array(1, np.float32))
    n_in = config.emb_sz
    for i, size in enumerate(config.layer_sizes[1:]):
        weight, bias = (_array(weights[f"layers.{i}.gates.{kind}"]) for kind in ("weight", "bias"))
        seen = x
        if weight.shape[1] == 2 * n_in:
            states[f"x{i}"] = n_in
            known = graph.add("Concat", [f"x{i}", x], f"known_{i}", axis=0)
            for name, values in (("first", 0), ("last", -1), ("end", np.iinfo(np.int64).max)):
                graph.constant(f"{name}_{i}", np.array([values], np.int64))
            earlier = graph.add("Slice", [known, f"first_{i}", f"last_{i}", "axis_0"], f"earlier_{i}")
            graph.add("Slice", [known, f"last_{i}", f"end_{i}", "axis_0"], f"x{i}_after")
            seen = graph.add("Concat", [earlier, x], f"seen_{i}", axis=2)
        products = graph.add("MatMul", [seen, graph.constant(f"W_{i}", weight.T)], f"products_{i}")
        gates = graph.add("Add", [products, graph.constant(f"B_{i}", bias)], f"gates_{i}")
        graph.add("Split", [gates], [f"z_{i}", f"f_{i}", f"o_{i}"], axis=2)
        candidate = graph.add("Tanh", [f"z_{i}"], f"candidate_{i}")
        forget = graph.add("Sigmoid", [f"f_{i}"], f"forget_{i}")
        if config.zoneout_p:
            graph.constant(f"moved_{i}", np.array(1 - config.zoneout_p, np.float32))
            moved = graph.add("Mul", [graph.add("Sub", ["whole", forget], f"open_{i}"), f"moved_{i}"], f"input_{i}")
            forget = graph.add("Sub", ["whole", moved], f"kept_{i}")
        else:
            moved = graph.add("Sub", ["whole", forget], f"input_{i}")
        new = graph.add("Mul", [moved, candidate], f"new_{i}")
        before = graph.add("Squeeze", [f"c{i}", "axis_0"], f"cell_{i}")
        outputs = [f"cell_{i}_after", f"cells_{i}"]
        graph.add("Scan", [before, forget, new], outputs, num_scan_inputs=2, body=_pooling(size))
        graph.add("Unsqueeze", [outputs[0], "axis_0"], f"c{i}_after")
        x = graph.add("Mul", [graph.add("Sigmoid", [f"o_{i}"], f"output_{i}"), outputs[1]], f"layer_{i}")
        states[f"c{i}"] = n_in = size
    return x, states


def _pooling(size: int) -> Any:
    """One step of a QRNN's cell: what it keeps and what is new."""
    inputs = [_floats(name, "B", size) for name in ("cell", "forget", "new")]
    nodes = [
        helper.make_node("Mul", ["cell", "forget"], ["kept"]),
        helper.make_node("Add", ["kept", "new"], ["cell_after"]),
        helper.make_node("Identity", ["cell_after"], ["cell_out"]),
    ]
    return helper.make_graph(
        nodes, "pooling", inputs, [_floats(name, "B", size) for name in ("cell_after", "cell_out")]
    )


def _embed(graph: Graph, matrix: Floats, *, int8: bool) -> str:
    if not int8:
        return graph.add("Gather", [graph.constant("embedding", matrix), "ids"], "words")
    scales = np.maximum(np.abs(matrix).max(1, keepdims=True), np.finfo(np.float32).tiny) / 127
    rows = graph.add("Gather", [graph.constant("embedding", np.rint(matrix / scales).astype(np.int8)), "ids"], "rows")
    whole = graph.add("Cast", [rows], "rows_float", to=TensorProto.FLOAT)
    of_rows = graph.add("Gather", [graph.constant("scales", scales.astype(np.float32)), "ids"], "row_scales")
    return graph.add("Mul", [whole, of_rows], "words")


def _pool(graph: Graph, x: str) -> None:
    """Last, maximum and total over the steps (T, B, F) that count: from `skip` to before `lengths`."""
    graph.constant("zero", np.array(0, np.int64))
    graph.constant("one", np.array(1, np.int64))
    graph.constant("axis_2", np.array([2], np.int64))
    graph.constant("nothing", np.array(0, np.float32))
    graph.constant("lowest", np.array(-np.inf, np.float32))
    n_steps = graph.add("Gather", [graph.add("Shape", [x], "shape"), "zero"], "n_steps")
    place = graph.add("Unsqueeze", [graph.add("Range", ["zero", n_steps, "one"], "range"), "axis_1"], "place")
    before = graph.add("Less", [place, "lengths"], "before_end")
    behind = graph.add("GreaterOrEqual", [place, "skip"], "behind_skip")
    counted = graph.add("Unsqueeze", [graph.add("And", [before, behind], "both"), "axis_2"], "counted")
    graph.add("ReduceMax", [graph.add("Where", [counted, x, "lowest"], "for_maximum")], "maximum", axes=[0], keepdims=0)
    graph.add("ReduceSum", [graph.add("Where", [counted, x, "nothing"], "for_total"), "axis_0"], "total", keepdims=0)
    at_end = graph.add("Unsqueeze", [graph.add("Sub", ["lengths", "one"], "ends"), "axis_1"], "at_end")
    by_text = graph.add("Transpose", [x], "by_text", perm=[1, 0, 2])
    graph.add("GatherND", [by_text, at_end], "last", batch_dims=1)


def head_model(head: PoolingLinearClassifier) -> Any:
    """The head of a classifier; batch norm is part of its linear layers."""
    graph, x = Graph(), "features"
    blocks = list(_blocks(head))
    for i, (matrix, bias) in enumerate(blocks):
        names = [graph.constant(f"matrix_{i}", matrix), graph.constant(f"bias_{i}", bias)]
        last = i + 1 == len(blocks)
        x = graph.add("Gemm", [x, *names], "logits" if last and head.y_range is None else f"linear_{i}", transB=1)
        x = x if last else graph.add("Relu", [x], f"relu_{i}")
    if head.y_range is not None:
        low, high = head.y_range
        width = graph.constant("width", np.array(high - low, np.float32))
        scaled = graph.add("Mul", [graph.add("Sigmoid", [x], "share"), width], "above")
        graph.add("Add", [scaled, graph.constant("low", np.array(low, np.float32))], "logits")
    inputs, outputs = blocks[0][0].shape[1], blocks[-1][0].shape[0]
    return graph.model("head", [_floats("features", "B", inputs)], [_floats("logits", "B", outputs)])


def _blocks(head: PoolingLinearClassifier) -> Iterator[tuple[Floats, Floats]]:
    """Matrix and bias of each linear layer, with the batch norm before it."""
    from torch import nn

    norms = [layer for layer in head.layers if isinstance(layer, nn.BatchNorm1d)]
    linears = [layer for layer in head.layers if isinstance(layer, nn.Linear)]
    for norm, linear in zip(norms, linears, strict=True):
        mean, variance, weight, bias = (
            _array(t).astype(np.float64) for t in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
        )
        factor = weight / np.sqrt(variance + norm.eps)
        matrix = _array(linear.weight).astype(np.float64)
        yield (matrix * factor).astype(np.float32), (matrix @ (bias - mean * factor)).astype(np.float32)


def _array(tensor: Any) -> Floats:
    array: Floats = tensor.detach().float().cpu().numpy()
    return array


def export(
    bundle: Bundle,
    path: Path,
    *,
    int8: bool = False,
    overwrite: bool = False,
    check: Callable[[Path], None] | None = None,
) -> None:
    """Write a folder that `ulmfit.load` reads without torch.

    Args:
        bundle: a classifier, of one direction or of both.
        path: the folder.
        int8: weights of the recurrent layers and the embedding in a quarter of their size; activations are quantized
            while it computes.
        overwrite: replace a model that is there.
        check: is called with the finished folder before it takes its place; what it raises stops that.

    Raises:
        ConfigError: not a classifier, or of an architecture that has no ONNX form here.
        DataError: the place is taken.
    """
    if bundle.kind != CLASSIFIER:
        raise ConfigError(f"only classifiers become ONNX; the folder holds a {bundle.kind}")
    check_target(path, overwrite=overwrite)
    path = path.resolve()
    with staging(path) as folder:
        _write(bundle, folder, int8=int8)
        if bundle.backward is not None:
            (folder / BACKWARD).mkdir()
            _write(bundle.backward, folder / BACKWARD, int8=int8)
        if check is not None:
            check(folder)
        publish(folder, path)


def _write(bundle: Bundle, folder: Path, *, int8: bool) -> None:
    version = max(2, oldest_version(bundle))  # the first that knows folders of ONNX
    encoder = encoder_model(bundle, int8=int8)
    (folder / ENCODER).write_bytes((_quantized(encoder) if int8 else encoder).SerializeToString())
    (folder / HEAD).write_bytes(head_model(classifier_of(bundle).head).SerializeToString())
    config = {
        "format_version": version,
        "ulmfit_version": __version__,
        "kind": ONNX_CLASSIFIER,
        "labels": list(bundle.labels),
        "task": bundle.task,
        "calibration": dict(bundle.calibration),
        "backwards": bundle.backwards,
        "max_len": bundle.max_len,
        "pad_token": bundle.config.pad_token,
        "int8": int8,
        BACKWARD: bundle.backward is not None,
        "ngrams": bundle.ngrams is not None,
    }
    if bundle.ngrams is not None:
        bundle.ngrams.save(folder)
    write_json(folder / CONFIG, config)
    bundle.vocab.save(folder / VOCAB)
    bundle.tokenizer.save(folder)
    write_json(folder / METRICS, dict(bundle.metrics))
    (folder / CARD).write_text(bundle.card, encoding="utf-8")
    write_manifest(folder, version)


def _quantized(model: Any) -> Any:
    """The model with the matrices of its recurrent layers as int8."""
    import tempfile

    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as folder:
        ready, out = Path(folder) / "ready.onnx", Path(folder) / "quantized.onnx"
        quant_pre_process(model, ready, skip_optimization=True, skip_symbolic_shape=True)
        quantize_dynamic(
            ready, out, op_types_to_quantize=["LSTM", "MatMul"], per_channel=True, weight_type=QuantType.QInt8
        )
        return onnx.load(out)
