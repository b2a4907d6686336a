"""Answers of a learner's model: for a whole part, in the order of its texts, and the table that describes the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ulmfit.errors import ConfigError, DataError, named
from ulmfit.text.rules import BOS
from ulmfit.training.losses import CrossEntropyLossFlat, meaning
from ulmfit.training.metrics import logits_of
from ulmfit.training.progress import say

if TYPE_CHECKING:
    from ulmfit.training.learner import Learner
    from ulmfit.training.loaders import Loader

_MOST_BYTES = 4_000_000_000  # of a language model's probabilities


@torch.no_grad()
def get_preds(
    learn: Learner,
    loader: Loader,
    *,
    with_input: bool = False,
    with_decoded: bool = False,
    with_loss: bool = False,
    act: Callable[[Tensor], Tensor] | None = None,
    reorder: bool = True,
) -> tuple[Any, ...]:
    """Answers for every text of a loader, computed in float32.

    Args:
        learn: the learner.
        loader: documents, or the stream of a language model.
        with_input: return the ids of the texts too.
        with_decoded: return the answers (classes, sets of classes, values) too.
        with_loss: return each text's loss (each token's, of a language model) too; None where there are no targets.
        act: from logits to what is returned; by default probabilities, or values in regression.
        reorder: in the order of the texts; else in that of the batches.

    Returns:
        (inputs,) probabilities (N, C), targets (N, ...) or None (, decoded) (, losses). Of a language model
        probabilities (B, T, V) of the stream that the loader cuts.

    Raises:
        ConfigError: a language model's probabilities would take more memory than is sensible.
        DataError: a text to be answered for is empty.
    """
    _refuse_empty_texts(learn, loader)
    says = meaning(learn.loss_func, learn.task)
    act = act or says.activation
    loader.set_epoch(0)
    learn.model.eval()
    learn.reset()
    logits: list[Tensor] = []
    inputs: list[Tensor] = []
    targets: list[Tensor] = []
    for batch in loader:
        output = learn.model(*(x.to(learn.device) for x in batch.inputs))
        rows = logits_of(output).float().cpu()
        if learn.task == "lm" and rows.numel() * 4 * len(loader) > _MOST_BYTES:
            raise ConfigError(
                f"the probabilities of {len(loader)} batches x {tuple(rows.shape)} would take more than "
                f"{_MOST_BYTES // 10**9} GB; ask for fewer texts (dl=), or for validate()"
            )
        logits.append(rows)
        if with_input:
            lengths = batch.inputs[1].tolist() if len(batch.inputs) > 1 else [rows.shape[1]] * len(rows)
            inputs += [ids[:n] for ids, n in zip(batch.inputs[0], lengths, strict=True)]
        if batch.target is not None:
            targets.append(batch.target)
    learn.reset()
    axis = 1 if learn.task == "lm" else 0
    scores = torch.cat(logits, axis)
    target = torch.cat(targets, axis) if targets else None
    indices = getattr(loader, "batch_indices", None)
    if reorder and axis == 0 and indices is not None:
        back = torch.from_numpy(np.argsort(np.concatenate(indices()), kind="stable"))
        scores, target = scores[back], None if target is None else target[back]
        inputs = [inputs[i] for i in back.tolist()] if inputs else inputs
    result: list[Any] = [inputs] if with_input else []
    result += [act(scores), target]
    if with_decoded:
        result.append(says.decodes(scores))
    if with_loss:
        result.append(None if target is None else losses_of(learn, scores, target))
    return tuple(result)


def tell_longer(learn: Learner, what: str, lengths: ArrayLike) -> None:
    """Say how many texts have more tokens than a classifier pools, if any have.

    Args:
        learn: the learner; nothing is said by one that is silent.
        what: they are.
        lengths: their tokens.
    """
    max_len = getattr(getattr(learn.model, "document_encoder", None), "max_len", None)
    given = np.asarray(lengths)
    if max_len is not None and (n := int((given > max_len).sum())):
        share = n / len(given)
        say(learn.console, f"{n:,} {what} ({share:.1%}) have more than max_len={max_len} tokens: their ends count")


def _refuse_empty_texts(learn: Learner, loader: Any) -> None:
    """As `predict` does; texts with labels, of which the loaders have warned, are left to their use."""
    documents, vocab = getattr(loader, "documents", None), getattr(learn.dls, "text_vocab", None)
    if learn.task == "lm" or documents is None or vocab is None or getattr(loader, "labels", None) is not None:
        return
    short = np.flatnonzero(np.diff(documents.offsets) <= 1).tolist()
    starts = documents.offsets
    empty = [i + 1 for i in short if all(vocab[int(t)] == BOS for t in documents.ids[starts[i] : starts[i + 1]])]
    if empty:
        raise DataError(f"{len(empty)} of the {len(starts) - 1} texts are empty: {named(empty)} (from 1)")


def losses_of(learn: Learner, scores: Tensor, target: Tensor) -> Tensor:
    """The loss of each text (of each token, of a language model)."""
    if learn.task == "lm":
        return -scores.log_softmax(-1).gather(-1, target.unsqueeze(-1)).squeeze(-1)
    loss = learn.loss_func or CrossEntropyLossFlat()
    return torch.stack([loss(scores[i : i + 1], target[i : i + 1]) for i in range(len(target))])


def summary(learn: Learner) -> str:
    """A table of the model's modules with parameters of their own: shape, number, group, whether they are trained."""
    group_of = {id(p): i for i, group in enumerate(learn.groups) for p in group}
    rows = [("parameter", "shape", "number", "group", "trained")]
    for name, p in learn.model.named_parameters():
        shape = " x ".join(map(str, p.shape))
        group = str(group_of.get(id(p), "-"))
        rows.append((name, shape, f"{p.numel():,}", group, "yes" if p.requires_grad else "no"))
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    total = sum(p.numel() for p in learn.model.parameters())
    trained = sum(p.numel() for p in learn.model.parameters() if p.requires_grad)
    loss = type(learn.loss_func).__name__ if learn.loss_func is not None else "cross-entropy"
    return "\n".join(
        [
            type(learn.model).__name__,
            *lines,
            f"{total:,} parameters, {trained:,} of them trained, in {len(learn.groups)} groups",
            f"{type(learn.optimizer).__name__}, {loss}, {learn.precision} on {learn.device.type}",
        ]
    )
