"""The model folder: everything a prediction needs, as plain files that execute nothing.

    config.json         format version, kind, architecture and its configuration, labels
    model.safetensors   weights
    vocab.json          the meaning of the ids
    tokenizer.json      how texts are cut (and, for subwords, the model file it names)
    metrics.json        what was measured after training
    history.jsonl       one line for each epoch of training
    README.md           model card
    manifest.json       size and sha256 of all of these

A folder is written beside its final place and renamed into it, so that a model is never half there.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as deserialize
from safetensors.torch import save as serialize
from torch import Tensor

from ulmfit._version import __version__
from ulmfit.errors import ConfigError, DataError, FormatError
from ulmfit.inference.compact import compress, expand, is_compact
from ulmfit.models.config import CONFIGS, EncoderConfig
from ulmfit.text.tokenizers import Tokenizer
from ulmfit.text.vocab import Vocab

FORMAT_VERSION = 1
LANGUAGE_MODEL = "language_model"
CLASSIFIER = "classifier"
SINGLE_LABEL, MULTI_LABEL, REGRESSION = TASKS = ("single_label", "multi_label", "regression")
_CONFIG, _WEIGHTS, _VOCAB, _MANIFEST = "config.json", "model.safetensors", "vocab.json", "manifest.json"
_TIED = ("decoder.weight", "encoder.embedding.weight")
_METRICS, _HISTORY, _CARD = "metrics.json", "history.jsonl", "README.md"


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
        ulmfit_version: version that wrote the folder.
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
    ulmfit_version: str = __version__


def is_model_folder(path: Path) -> bool:
    """Whether the folder looks like one that `save_bundle` wrote."""
    try:
        manifest = _read_json(path / _MANIFEST)
    except FormatError:
        return False
    return isinstance(manifest.get("format_version"), int) and isinstance(manifest.get("files"), dict)


def check_target(path: Path, *, overwrite: bool) -> None:
    """Refuse a place where a model cannot or must not be written.

    Raises:
        DataError: a model is there and `overwrite` is off, something else is there, or nothing can be written there.
    """
    path = path.resolve()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent):
            pass
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error}") from error
    if not path.exists():
        return
    if not path.is_dir():
        raise DataError(f"{path} is a file; give a folder to save the model in")
    if path.is_mount():
        raise DataError(f"{path} is the root of a file system; give a folder inside it")
    if is_model_folder(path):
        if not overwrite:
            raise DataError(f"{path} already holds a model; give another folder, or --overwrite to replace it")
        own = {*_read_json(path / _MANIFEST)["files"], _MANIFEST}
        foreign = sorted(p.name for p in path.iterdir() if p.name not in own and not is_model_folder(p))
        if foreign:
            raise DataError(
                f"{path} holds files beside the model: {', '.join(foreign[:8])}; move them away, or give another folder"
            )
    elif any(path.iterdir()):
        raise DataError(f"{path} holds files that are not a model; give a new or empty folder")


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
    with _staging(path) as folder:
        _write(bundle, folder)
        for name, fill in (extra or {}).items():
            fill(folder / name)
        _publish(folder, path)


@contextmanager
def _staging(path: Path) -> Iterator[Path]:
    """A temporary folder on the same disk, removed whatever happens."""
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".writing", dir=path.parent))
    folder.chmod(0o777 & ~_umask())
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _publish(folder: Path, path: Path) -> None:
    """Put the finished folder in its place; the one before is moved aside first and moved back if that fails."""
    if not path.exists():
        folder.rename(path)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".previous", dir=path.parent))
    previous = aside / path.name
    try:
        path.rename(previous)
        folder.rename(path)
    except BaseException:
        if previous.exists() and not path.exists():
            previous.rename(path)
        raise
    finally:
        if path.exists():
            shutil.rmtree(aside, ignore_errors=True)


def _umask() -> int:
    """The permissions that this process does not give; it can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _write(bundle: Bundle, folder: Path) -> None:
    config = {
        "format_version": FORMAT_VERSION,
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
    weights = _without_ties(bundle)
    _write_weights(compress(weights) if bundle.compact else weights, folder / _WEIGHTS)
    _write_json(folder / _CONFIG, config)
    bundle.vocab.save(folder / _VOCAB)
    bundle.tokenizer.save(folder)
    _write_json(folder / _METRICS, dict(bundle.metrics))
    lines = "".join(json.dumps(_finite(row), ensure_ascii=False) + "\n" for row in bundle.history)
    (folder / _HISTORY).write_text(lines, encoding="utf-8")
    (folder / _CARD).write_text(bundle.card, encoding="utf-8")
    files = sorted(p for p in folder.iterdir() if p.is_file())
    manifest = {p.name: {"bytes": p.stat().st_size, "sha256": _sha256(p)} for p in files}
    _write_json(folder / _MANIFEST, {"format_version": FORMAT_VERSION, "files": manifest})
    for p in folder.iterdir():
        _to_disk(p)


def _without_ties(bundle: Bundle) -> dict[str, Tensor]:
    """A decoder that shares the embedding's weights is not written a second time."""
    weights = dict(bundle.weights)
    if bundle.config.tie_weights and _TIED[0] in weights and _TIED[1] in weights:
        del weights[_TIED[0]]
    return weights


def _write_weights(weights: Mapping[str, Tensor], path: Path) -> None:
    # As bytes: safetensors' own writer reports a full disk as an error of the format.
    path.write_bytes(serialize({name: t.detach().cpu().contiguous().clone() for name, t in weights.items()}))


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(_finite(value), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _finite(value: Any) -> Any:
    """The same value with None for infinities and NaN, which JSON does not have."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return value


def _to_disk(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load_bundle(path: Path, *, kind: str | None = None) -> Bundle:
    """Read a model folder, checking every file against the manifest. Nothing in the folder is executed.

    Args:
        path: the folder.
        kind: what it must hold, if only one kind will do.

    Raises:
        FormatError: no such folder, a file that is missing or damaged, a newer format, another kind.
    """
    config = _read_config(path)
    if kind is not None and config.get("kind") != kind:
        raise FormatError(f"{path} holds a {config.get('kind')}; a {kind} is needed here")
    _check_manifest(path)
    arch = config.get("arch")
    if arch not in CONFIGS:
        raise FormatError(f"{path / _CONFIG}: architecture {arch!r} is not known to ulmfit {__version__}")
    try:
        # As bytes: a memory map would keep the file open, and Windows replaces no open file.
        stored = deserialize((path / _WEIGHTS).read_bytes())
        weights = expand(stored)
        if config["kind"] == LANGUAGE_MODEL and config["config"]["tie_weights"]:
            weights[_TIED[0]] = weights[_TIED[1]]
        history = tuple(json.loads(line) for line in (path / _HISTORY).read_text(encoding="utf-8").splitlines())
        return Bundle(
            kind=config["kind"],
            config=CONFIGS[arch].from_dict(config["config"]),
            weights=weights,
            tokenizer=Tokenizer.load(path),
            vocab=Vocab.load(path / _VOCAB),
            labels=tuple(config["labels"]),
            task=_task(config),
            y_range=None if config.get("y_range") is None else (config["y_range"][0], config["y_range"][1]),
            calibration=config.get("calibration", {}),
            backwards=bool(config["backwards"]),
            bptt=int(config["bptt"]),
            max_len=int(config["max_len"]),
            pool_words=bool(config["pool_words"]),
            metrics=_read_json(path / _METRICS),
            history=history,
            card=(path / _CARD).read_text(encoding="utf-8"),
            compact=is_compact(stored),
            ulmfit_version=str(config["ulmfit_version"]),
        )
    except (SafetensorError, KeyError, TypeError, ValueError, ConfigError) as error:
        raise FormatError(f"{path} is damaged: {type(error).__name__}: {error}") from error


def _task(config: Mapping[str, Any]) -> str:
    """What a classifier's numbers mean; folders that do not say are older and know one task."""
    task = config.get("task", SINGLE_LABEL)
    if task not in TASKS:
        raise ValueError(f"task {task!r} is none of {', '.join(TASKS)}")
    return str(task)


def _read_config(path: Path) -> dict[str, Any]:
    if not path.is_dir():
        raise FormatError(f"{path} is not a model folder: there is no such folder")
    if not (path / _CONFIG).is_file():
        raise FormatError(f"{path} is not a model folder: it has no {_CONFIG}")
    config = _read_json(path / _CONFIG)
    version = config.get("format_version")
    if not isinstance(version, int):
        raise FormatError(f"{path / _CONFIG} is not a model's configuration: it has no format_version")
    if version > FORMAT_VERSION:
        raise FormatError(
            f"{path} has format version {version}; ulmfit {__version__} reads up to {FORMAT_VERSION}. "
            f"It was written by ulmfit {config.get('ulmfit_version', '(unknown)')}: install that version or a newer one"
        )
    return config


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise FormatError(f"{path.parent} is incomplete: {path.name} is missing") from error
    except (OSError, ValueError) as error:
        raise FormatError(f"{path} is damaged: {error}") from error
    if not isinstance(value, dict):
        raise FormatError(f"{path} is damaged: expected an object")
    return value


def _check_manifest(path: Path) -> None:
    """Compare every file with the manifest, and report all that is wrong in one message."""
    files = _read_json(path / _MANIFEST).get("files")
    if not isinstance(files, dict) or not files:
        raise FormatError(f"{path / _MANIFEST} is damaged: it lists no files")
    problems = []
    for name in sorted({*files, _CONFIG, _WEIGHTS, _VOCAB}):
        entry, file = files.get(name), path / name
        if Path(name).name != name or not isinstance(entry, dict):
            problems.append(f"{name} is not listed properly")
        elif not file.is_file():
            problems.append(f"{name} is missing")
        elif file.stat().st_size != entry.get("bytes"):
            problems.append(f"{name} has {file.stat().st_size} bytes instead of {entry.get('bytes')}")
        elif _sha256(file) != entry.get("sha256"):
            problems.append(f"{name} has another content than when it was written")
    if problems:
        raise FormatError(f"{path} is damaged: {'; '.join(problems)}")


def folder_size(path: Path) -> int:
    """Bytes of all files of a model folder."""
    return sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
