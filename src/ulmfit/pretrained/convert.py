"""From the files of fastai (versions 1 and 2) to a model folder."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

from torch import Tensor

from ulmfit.errors import FormatError, counted, named
from ulmfit.inference.bundle import LANGUAGE_MODEL, Bundle, save_bundle
from ulmfit.inference.folder import check_target, sha256_of
from ulmfit.models.config import AWDLSTMConfig
from ulmfit.models.language_model import LanguageModel
from ulmfit.pretrained.foreign import Record, read_foreign, walk
from ulmfit.text.tokenizers import Tokenizer
from ulmfit.text.vocab import FILLER, Vocab

_REVERSER = "fastai.text.data.reverse_text"  # named by an export whose texts are read from their end
_LAYER = re.compile(r"rnns\.(\d+)\.(?:module\.)?(weight_ih_l0|weight_hh_l0|bias_ih_l0|bias_hh_l0)(_raw)?")


def convert_fastai(
    weights: Path, vocab: Path | None, out: Path, *, backwards: bool = False, overwrite: bool = False
) -> Bundle:
    """Write a language model of fastai as a model folder.

    Nothing in the files is run: see `foreign`. An encoder alone (`save_encoder`) and the encoder of a classifier become
    a language model whose decoder shares the embedding and has no bias of its own: a start for `--base`.

    Args:
        weights: a file of `learn.save`, `learn.save_encoder` or `learn.export`, or the weights of a published model.
        vocab: the vocabulary belonging to it, a list of words; None for an exported learner, which holds its own.
        out: the model folder to write.
        backwards: the model reads texts from their end; of an exported learner it is known without.
        overwrite: replace a model that is there.

    Returns:
        what was written.

    Raises:
        FormatError: a file names something that could be run, is damaged, is no AWD-LSTM, holds a word twice, or the
            two do not fit.
        DataError: `out` is taken.
    """
    check_target(out, overwrite=overwrite)
    bundle = read_fastai(weights, vocab, backwards=backwards)
    save_bundle(bundle, out, overwrite=overwrite)
    return bundle


def read_fastai(weights: Path, vocab: Path | None, *, backwards: bool = False) -> Bundle:
    """Read a language model of fastai; see `convert_fastai`.

    Raises:
        FormatError: as there.
    """
    content = read_foreign(weights, inert=vocab is None)
    backwards = backwards or any(getattr(value, "name", "") == _REVERSER for value in walk(content))
    state = _state_of(content, weights)
    words = _words_of(content if vocab is None else read_foreign(vocab), vocab or weights, alone=vocab is not None)
    config, tensors = _as_ours(state, len(words), weights, vocab)
    source = sha256_of(weights)
    said = (
        f"{len(words):,} words, {counted(config.n_layers, 'layer')}, embedding {config.emb_sz}, hidden {config.n_hid}, "
        f"read {'from the end' if backwards else 'in reading order'}{_left_out(state)}"
    )
    return Bundle(
        kind=LANGUAGE_MODEL,
        config=config,
        weights=tensors,
        tokenizer=Tokenizer(),
        vocab=Vocab(words),
        backwards=backwards,
        metrics={"converted_from": weights.name, "sha256": source, "converted": said},
        card=f"# Language model\n\nConverted from {weights.name}, a file of fastai: {said}. "
        f"sha256 of the file: {source}\n",
    )


def _state_of(content: Any, path: Path) -> dict[str, Tensor]:
    """The weights by name, wherever they are in the file, without the prefix of the encoder in its model."""
    state = content
    if isinstance(content, Record):
        model = _attributes(content).get("model")
        state = dict(_parameters(model)) if isinstance(model, Record) else None
    elif isinstance(content, Mapping) and isinstance(content.get("model"), Mapping):
        state = content["model"]
    if not isinstance(state, Mapping) or not state or not all(isinstance(t, Tensor) for t in state.values()):
        raise FormatError(f"{path} holds no weights by name: expected a file of learn.save, save_encoder or export")
    # "0.encoder.weight" in a language model, "0.module.encoder.weight" in a classifier, "encoder.weight" alone
    return {re.sub(r"^0\.(?:module\.(?!weight|bias))?", "", name): t for name, t in state.items()}


def _left_out(state: Mapping[str, Tensor]) -> str:
    """What a file that is not a whole language model lacks or has beside it."""
    if any(name.startswith("1.decoder.") for name in state):
        return ""
    head = "; the head of its classifier is left out" if any(name.startswith("1.") for name in state) else ""
    return f"; an encoder, to which the embedding is the decoder{head}"


def _attributes(record: Record) -> dict[str, Any]:
    state = getattr(record, "state", None)
    return dict(state) if isinstance(state, Mapping) else {}


def _parameters(module: Record, prefix: str = "") -> list[tuple[str, Tensor]]:
    """Names and tensors of a module and those inside of it, as its state_dict had them."""
    own = _attributes(module)
    found = [
        (prefix + name, t)
        for part in ("_parameters", "_buffers")
        for name, t in dict(own.get(part) or {}).items()
        if isinstance(t, Tensor)
    ]
    for name, inner in dict(own.get("_modules") or {}).items():
        if isinstance(inner, Record):
            found += _parameters(inner, f"{prefix}{name}.")
    return found


def _words_of(content: Any, path: Path, *, alone: bool) -> list[str]:
    """The vocabulary, alone or beside weights: the first list of words with the unknown token in it."""
    for value in walk(content):
        if isinstance(value, list) and value and all(isinstance(w, str) for w in value) and "xxunk" in value:
            return _distinct(value, path)
    more = (
        "" if alone or isinstance(content, Record) else "; the one that belongs to these weights is given as VOCAB.pkl"
    )
    raise FormatError(f"{path} holds no vocabulary: expected a list of words with xxunk among them{more}")


def _distinct(words: list[str], path: Path) -> list[str]:
    """The entries that fastai pads a vocabulary with all have the same name; here each gets one of its own.

    Raises:
        FormatError: another entry is there twice.
    """
    twice = [word for word, n in Counter(words).items() if n > 1 and word != FILLER]
    if twice:
        shown = named([*map(repr, twice)])
        raise FormatError(f"{path} holds words twice, so that it is not clear whose weights count: {shown}")
    number = count()
    return [f"{word}{next(number)}" if word == FILLER else word for word in words]


def _as_ours(
    state: Mapping[str, Tensor], n_words: int, path: Path, vocab: Path | None
) -> tuple[AWDLSTMConfig, dict[str, Tensor]]:
    embedding = state.get("encoder.weight")
    if embedding is None or embedding.dim() != 2:
        raise FormatError(
            f"{path} is not the file of an AWD-LSTM: it has no encoder.weight. Names: {named(list(state))}"
        )
    needed = [n for n in state if n == "encoder.weight" or n.startswith("1.decoder.") or _LAYER.fullmatch(n)]
    if whole := [name for name in needed if not state[name].is_floating_point()]:
        raise FormatError(f"{path} holds whole numbers where weights are expected: {named(whole, 6)}")
    if len(embedding) != n_words:
        raise FormatError(
            f"{path} has {len(embedding):,} words, {vocab or 'its vocabulary'} has {n_words:,}: they do not belong "
            "together"
        )
    tensors = {"encoder.embedding.weight": embedding.float()}
    hidden: dict[int, int] = {}
    for name, t in state.items():
        match = _LAYER.fullmatch(name)
        if match is None:
            continue
        layer, part, raw = int(match[1]), match[2], match[3]
        ours = f"encoder.layers.{layer}.lstm.{part}"
        if raw or ours not in tensors:  # beside the weights there may be a copy with some of them dropped
            tensors[ours] = t.float()
        if part == "weight_hh_l0":
            hidden[layer] = t.shape[1]
    config = AWDLSTMConfig(
        emb_sz=embedding.shape[1],
        n_hid=hidden.get(0, 1),
        n_layers=max(1, len(hidden)),
        tie_weights="1.decoder.weight" not in state or bool((state["1.decoder.weight"] == embedding).all()),
    )
    tensors["decoder.weight"] = state.get("1.decoder.weight", embedding).float()
    bias = state.get("1.decoder.bias")
    tensors["decoder.bias"] = embedding.new_zeros(n_words).float() if bias is None else bias.float()
    _check(LanguageModel(n_words, config).state_dict(), tensors, path)
    return config, tensors


def _check(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], path: Path) -> None:
    problems = [f"{name} is missing" for name in expected if name not in found]
    problems += [
        f"{name} has shape {tuple(found[name].shape)} instead of {tuple(expected[name].shape)}"
        for name in expected
        if name in found and found[name].shape != expected[name].shape
    ]
    problems += [f"{name} has no place" for name in found if name not in expected]
    problems += [f"{name} holds numbers that are not finite" for name in found if not found[name].isfinite().all()]
    if problems:
        raise FormatError(f"{path} does not fit an AWD-LSTM: {named(problems, between='; ')}")
