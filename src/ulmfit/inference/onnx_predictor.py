"""A trained classifier that labels texts with onnxruntime; torch is not imported.

N documents, B batch, T steps of a chunk, F features of a step, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ulmfit.data.documents import padded
from ulmfit.errors import FormatError, MissingExtraError
from ulmfit.inference.answers import TextPredictor, check_threads
from ulmfit.inference.calibrate import Calibration
from ulmfit.inference.folder import VOCAB, check_manifest, read_config
from ulmfit.inference.ngrams import from_config
from ulmfit.inference.reading import Reading
from ulmfit.text.store import TokenStore
from ulmfit.text.tokenizers import Tokenizer
from ulmfit.text.vocab import Vocab

ONNX_CLASSIFIER = "onnx_classifier"
ENCODER, HEAD = "encoder.onnx", "head.onnx"
_TOKENS = 16_384  # of a batch's chunk: what the layers make of it is held at once, some 10 kB a token
_CHUNK = 1_024  # steps, at most

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Direction:
    """What reads the texts in one direction.

    Args:
        vocab: from tokens to ids.
        encoder: a session of `encoder.onnx`.
        head: a session of `head.onnx`.
        backwards: texts are read from their end.
        max_len: positions from the end of a text that are pooled.
        pad_token: id of the padding.
    """

    vocab: Vocab
    encoder: Any
    head: Any
    backwards: bool
    max_len: int
    pad_token: int

    def logits(self, store: TokenStore, batch_size: int) -> Floats:
        """The numbers (N, C) of the documents of a store; those of similar length are read together."""
        lengths = np.diff(store.offsets)
        order = np.argsort(-lengths, kind="stable")
        parts = []
        start = 0
        while start < len(order):
            steps = min(int(lengths[order[start]]), _CHUNK)
            rows = order[start : start + min(batch_size, max(1, _TOKENS // steps))]
            ids, inside = padded(store, rows, pad_idx=self.pad_token, backwards=self.backwards)
            falling = np.argsort(-inside, kind="stable")  # padding at a text's own end does not count
            order[start : start + len(rows)] = rows[falling]
            parts.append(self._batch(ids[falling], inside[falling]))
            start += len(rows)
        result = np.empty((len(order), parts[0].shape[1]), dtype=np.float32)
        result[order] = np.concatenate(parts)
        return result

    def _batch(self, ids: NDArray[np.int64], lengths: NDArray[np.int64]) -> Floats:
        """The numbers (B, C) of a batch, ids (B, T) with falling lengths."""
        first = np.maximum(lengths - self.max_len, 0)
        shapes = [(each.name, each.shape[2]) for each in self.encoder.get_inputs()[3:]]
        states = {name: np.zeros((1, len(ids), size), np.float32) for name, size in shapes}
        last = maximum = total = np.empty(0, np.float32)
        for start in range(0, ids.shape[1], _CHUNK):
            n = int((lengths > start).sum())  # those that go on stand in front
            inside = np.minimum(lengths[:n] - start, _CHUNK)
            chunk = ids[:n, start : start + _CHUNK]
            states = {name: np.ascontiguousarray(state[:, :n]) for name, state in states.items()}
            inputs = {"ids": chunk, "lengths": inside, "skip": np.maximum(first[:n] - start, 0), **states}
            now, most, some, *after = self.encoder.run(None, inputs)
            states = dict(zip(states, after, strict=True))
            if start == 0:
                last, maximum, total = now, most, some
            else:
                last[:n], maximum[:n] = now, np.maximum(maximum[:n], most)
                total[:n] += some
        features = np.concatenate([last, maximum, total / (lengths - first)[:, None].astype(np.float32)], 1)
        logits: Floats = self.head.run(None, {"features": features})[0]
        return logits


class OnnxPredictor(TextPredictor):
    """Labels texts with a folder that `ulmfit export` wrote; it answers as `Predictor` does, and imports no torch.

    Args:
        path: the folder.
        threads: of the processor, one by default.

    Raises:
        FormatError: not a whole folder of this kind.
        MissingExtraError: onnxruntime is not installed.
    """

    def __init__(self, path: str | Path, *, threads: int | None = None) -> None:
        check_threads(threads)
        self.path, self.threads = Path(path), threads
        config = read_config(self.path)
        if config.get("kind") != ONNX_CLASSIFIER:
            raise FormatError(f"{path} holds a {config.get('kind')}; an {ONNX_CLASSIFIER} is needed here")
        folders = [self.path, self.path / "backward"] if config.get("backward") else [self.path]
        self.directions = [_direction(folder, threads or 1) for folder in folders]
        calibration = Calibration.from_dict(config["calibration"])
        ngrams = from_config(self.path, config, len(self.directions[0].vocab))
        super().__init__(tuple(config["labels"]), str(config["task"]), calibration, ngrams)
        self.tokenizer = Tokenizer.load(self.path)

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), threads=self.threads), (self.path,)

    @property
    def n_outputs(self) -> int:
        """Numbers that the model gives for a text."""
        return int(self.directions[0].head.get_outputs()[0].shape[1])

    def tokens(self, text: str) -> list[str]:
        """The tokens of a text, in reading order."""
        with self._tokenizing:
            return self.tokenizer(text)

    def _read(self, texts: list[str], batch_size: int) -> tuple[list[Floats], Reading]:
        stores, reading = self._cut(texts, self.tokenizer, [one.vocab for one in self.directions])
        pairs = zip(stores, self.directions, strict=True)
        return [direction.logits(store, batch_size) for store, direction in pairs], reading


def _direction(folder: Path, threads: int) -> Direction:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError("onnxruntime", "onnx") from error
    config = read_config(folder)
    check_manifest(folder, ENCODER, HEAD)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    try:
        encoder, head = (
            onnxruntime.InferenceSession((folder / name).read_bytes(), options, providers=["CPUExecutionProvider"])
            for name in (ENCODER, HEAD)
        )
        return Direction(
            vocab=Vocab.load(folder / VOCAB),
            encoder=encoder,
            head=head,
            backwards=bool(config["backwards"]),
            max_len=int(config["max_len"]),
            pad_token=int(config["pad_token"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"{folder} is damaged: {type(error).__name__}: {error}") from error
