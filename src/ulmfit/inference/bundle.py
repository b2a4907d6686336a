"""The model folder: everything a prediction needs, as plain files that execute nothing.

    config.json         format version, kind, architecture and its configuration, labels
    model.safetensors   weights
    vocab.json          the meaning of the ids
    tokenizer.json      how texts are cut (and, for subwords, the model file it names)
    metrics.json        what was measured after training
    history.jsonl       one line for each epoch of training
    README.md           model card
    manifest.json       size and sha256 of all of these
    backward/           format version 2: such a folder for the model that reads from the end, if there is one
    ngrams.safetensors  format version 3: the n-grams beside the network, if there are any; 4: what parts of words
                        tell; 5: how often texts hold them counts

A folder is written beside its final place and renamed into it, so that a model is never half there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as deserialize
from safetensors.torch import save as serialize
from torch import Tensor

from ulmfit._version import __version__
from ulmfit.data.labelling import SINGLE_LABEL, TASKS
from ulmfit.errors import ConfigError, FormatError
from ulmfit.inference.compact import compress, expand, is_compact
from ulmfit.inference.folder import (
    CARD,
    CONFIG,
    METRICS,
    VOCAB,
    check_manifest,
    check_target,
    finite,
    publish,
    read_config,
    read_json,
    staging,
    write_json,
    write_manifest,
)
from ulmfit.inference.ngrams import NGrams, from_config
from ulmfit.models.config import CONFIGS, EncoderConfig
from ulmfit.text.tokenizers import Tokenizer
from ulmfit.text.vocab import Vocab

LANGUAGE_MODEL = "language_model"
CLASSIFIER = "classifier"
BACKWARD = "backward"
_WEIGHTS, _HISTORY = "model.safetensors", "history.jsonl"
_TIED = ("decoder.weight", "encoder.embedding.weight")


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """What a model folder holds.

    Args:
        kind: LANGUAGE_MODEL or CLASSIFIER.
        config: of the architecture.
        weights: the model's state, by parameter name.
        tokenizer: from text to tokens.
        vocab: from tokens to ids.
        labels: class names by class id; empty for a language model, and for regression.
        task: "single_label", "multi_label" or "regression": what a classifier's numbers mean.
        y_range: lowest and highest value, for regression.
        calibration: see `calibrate.Calibration`; empty if there is none.
        backwards: texts are read from their end.
        bptt: steps of a chunk when documents are classified.
        max_len: positions from the end of a text that are pooled.
        pool_words: the classifier pools the embedded words too.
        metrics: what was measured.
        history: rows of the training history.
        card: the model card, Markdown.
        compact: the weights are written in a quarter of their size, see `compact`.
        backward: a classifier's twin that reads texts from their end; the answers of both are averaged, and then
            calibrated by `calibration`.
        ngrams: whose numbers are added to a classifier's (of both directions, to the average), if there are any.
        ulmfit_version: version that wrote the folder.
        name: of the folder that it was read from; not written.
    """

    kind: str
    config: EncoderConfig
    weights: Mapping[str, Tensor]
    tokenizer: Tokenizer
    vocab: Vocab
    labels: tuple[str, ...] = ()
    task: str = SINGLE_LABEL
    y_range: tuple[float, float] | None = None
    calibration: Mapping[str, Any] = field(default_factory=dict)
    backwards: bool = False
    bptt: int = 72
    max_len: int = 1440
    pool_words: bool = False
    metrics: Mapping[str, Any] = field(default_factory=dict)
    history: tuple[Mapping[str, Any], ...] = ()
    card: str = ""
    compact: bool = False
    backward: Bundle | None = None
    ngrams: NGrams | None = None
    ulmfit_version: str = __version__
    name: str = ""

    def __post_init__(self) -> None:
        if self.backward is not None and self.backward.tokenizer != self.tokenizer:
            raise ConfigError("the two directions of a model cut texts differently")


def save_bundle(
    bundle: Bundle, path: Path, *, overwrite: bool = False, extra: Mapping[str, Callable[[Path], None]] | None = None
) -> None:
    """Write a model folder; until it is whole, nothing at `path` changes.

    Args:
        bundle: what to write.
        path: the folder.
        overwrite: replace a model that is there.
        extra: sub-folders to write into the same folder before it is published: name to a function that fills it.

    Raises:
        DataError: the place is taken.
        OSError: the disk is full or not writable; a model that was there before is still whole.
    """
    check_target(path, overwrite=overwrite)
    path = path.resolve()
    with staging(path) as folder:
        _write(bundle, folder)
        if bundle.backward is not None:
            save_bundle(bundle.backward, folder / BACKWARD)
        for name, fill in (extra or {}).items():
            fill(folder / name)
        publish(folder, path)


def _write(bundle: Bundle, folder: Path) -> None:
    version = oldest_version(bundle)
    config: dict[str, Any] = {
        "format_version": version,
        "ulmfit_version": bundle.ulmfit_version,
        "kind": bundle.kind,
        "arch": bundle.config.arch,
        "config": bundle.config.to_dict(),
        "labels": list(bundle.labels),
        "task": bundle.task,
        "y_range": bundle.y_range,
        "calibration": dict(bundle.calibration),
        "backwards": bundle.backwards,
        "bptt": bundle.bptt,
        "max_len": bundle.max_len,
        "pool_words": bundle.pool_words,
    }
    if bundle.backward is not None:
        config[BACKWARD] = True
    if bundle.ngrams is not None:
        config["ngrams"] = True
        bundle.ngrams.save(folder)
    weights = without_ties(bundle)
    _write_weights(compress(weights) if bundle.compact else weights, folder / _WEIGHTS)
    write_json(folder / CONFIG, config)
    bundle.vocab.save(folder / VOCAB)
    bundle.tokenizer.save(folder)
    write_json(folder / METRICS, dict(bundle.metrics))
    lines = "".join(json.dumps(finite(row), ensure_ascii=False) + "\n" for row in bundle.history)
    (folder / _HISTORY).write_text(lines, encoding="utf-8")
    (folder / CARD).write_text(bundle.card, encoding="utf-8")
    write_manifest(folder, version)


def oldest_version(bundle: Bundle) -> int:
    """The first version of the format whose readers do not pass over a part of the model."""
    if bundle.ngrams is not None:
        return 5 if bundle.ngrams.counted else 3 if bundle.ngrams.spelling is None else 4
    return 1 if bundle.backward is None else 2


def without_ties(bundle: Bundle) -> dict[str, Tensor]:
    """A decoder that shares the embedding's weights is not written a second time."""
    weights = dict(bundle.weights)
    if bundle.config.tie_weights and _TIED[0] in weights and _TIED[1] in weights:
        del weights[_TIED[0]]
    return weights


def _write_weights(weights: Mapping[str, Tensor], path: Path) -> None:
    # As bytes: safetensors' own writer reports a full disk as an error of the format.
    path.write_bytes(serialize({name: t.detach().cpu().contiguous().clone() for name, t in weights.items()}))


def load_bundle(path: Path, *, kind: str | None = None) -> Bundle:
    """Read a model folder, checking every file against the manifest. Nothing in the folder is executed.

    Args:
        path: the folder.
        kind: what it must hold, if only one kind will do.

    Raises:
        FormatError: no such folder, a file that is missing or damaged, a newer format, another kind.
    """
    config = read_config(path)
    if kind is not None and config.get("kind") != kind:
        raise FormatError(f"{path} holds a {config.get('kind')}; a {kind} is needed here")
    check_manifest(path, _WEIGHTS)
    backward = load_bundle(path / BACKWARD, kind=config.get("kind")) if config.get(BACKWARD) else None
    labels = config.get("labels", [])
    if not isinstance(labels, list) or not all(isinstance(n, str) for n in labels) or len(set(labels)) < len(labels):
        raise FormatError(f"{path} is damaged: its labels must be a list of distinct strings")
    if backward is not None and (list(backward.labels) != labels or not backward.backwards):
        raise FormatError(f"{path / BACKWARD} is no model of the same labels that reads from the end")
    arch = config.get("arch")
    if arch not in CONFIGS:
        raise FormatError(f"{path / CONFIG}: architecture {arch!r} is not known to ulmfit {__version__}")
    try:
        # As bytes: a memory map would keep the file open, and Windows replaces no open file.
        stored = deserialize((path / _WEIGHTS).read_bytes())
        weights = expand(stored)
        if config["kind"] == LANGUAGE_MODEL and config["config"]["tie_weights"]:
            weights[_TIED[0]] = weights[_TIED[1]]
        history = tuple(json.loads(line) for line in (path / _HISTORY).read_text(encoding="utf-8").splitlines())
        vocab = Vocab.load(path / VOCAB)
        return Bundle(
            kind=config["kind"],
            config=CONFIGS[arch].from_dict(config["config"]),
            weights=weights,
            tokenizer=Tokenizer.load(path),
            vocab=vocab,
            labels=tuple(config["labels"]),
            task=_task(config),
            y_range=None if config.get("y_range") is None else (config["y_range"][0], config["y_range"][1]),
            calibration=config.get("calibration", {}),
            backwards=bool(config["backwards"]),
            bptt=int(config["bptt"]),
            max_len=int(config["max_len"]),
            pool_words=bool(config["pool_words"]),
            metrics=read_json(path / METRICS),
            history=history,
            card=(path / CARD).read_text(encoding="utf-8"),
            compact=is_compact(stored),
            backward=backward,
            ngrams=from_config(path, config, len(vocab)),
            ulmfit_version=str(config["ulmfit_version"]),
            name=path.resolve().name,
        )
    except (SafetensorError, KeyError, TypeError, ValueError, ConfigError) as error:
        raise FormatError(f"{path} is damaged: {type(error).__name__}: {error}") from error


def _task(config: Mapping[str, Any]) -> str:
    """What a classifier's numbers mean; folders that do not say are older and know one task."""
    task = config.get("task", SINGLE_LABEL)
    if task not in TASKS:
        raise ValueError(f"task {task!r} is none of {', '.join(TASKS)}")
    return str(task)
