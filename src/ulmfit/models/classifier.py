"""The document classifier: an encoder over texts of any length, concat pooling, and a small head.

What is unusual about it:
- texts are padded behind and carry their lengths, and rows that have ended leave the batch, so that a text's answer
  depends on that text alone and padding costs nothing;
- pooling is accumulated chunk by chunk: the outputs of a long text are never held together in evaluation.

B batch, T time, E size of the encoder's output, C classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ulmfit.errors import DataError
from ulmfit.models.awd_lstm import AWDLSTM, LayerState, detach_state, select_state
from ulmfit.models.config import AWDLSTMConfig


@dataclass(frozen=True, kw_only=True)
class Pooled:
    """Documents as vectors.

    Args:
        features: (B, 3E): last output, maximum over time, mean over time; (B, 6E) if the words are pooled too.
        ar: mean square of the outputs over real positions, 0 in evaluation.
        tar: mean square of their step-to-step differences, 0 in evaluation.
    """

    features: Tensor
    ar: Tensor
    tar: Tensor


class DocumentEncoder(nn.Module):
    """Runs an encoder over documents in chunks of `bptt` steps and pools its outputs.

    The state is carried from chunk to chunk; gradients stay within a chunk. Outputs of the last `max_len` positions of
    a text are pooled; what stands before them only builds up the state, and is not differentiated.

    Args:
        encoder: the language model's encoder.
        bptt: steps of a chunk.
        max_len: positions from the end of a text that are pooled.
        pool_words: pool the embedded words too, beside the outputs.

    Source: Howard and Ruder 2018, "Universal Language Model Fine-tuning for Text Classification", section 3.3
    (concat pooling, BPT3C).
    """

    def __init__(self, encoder: AWDLSTM, *, bptt: int = 72, max_len: int = 1440, pool_words: bool = False) -> None:
        super().__init__()
        self.pool_words = pool_words
        self.encoder = encoder
        self.bptt = bptt
        self.max_len = max_len

    def forward(self, ids: Tensor, lengths: Tensor) -> Pooled:
        """Pool documents.

        Args:
            ids: (B, T) token ids, padded behind.
            lengths: (B,) number of tokens of each text, at least 1.

        Raises:
            DataError: the lengths disagree with the ids.
        """
        _check_lengths(ids, lengths)
        lengths, order = lengths.to(ids.device).sort(descending=True, stable=True)
        ids = ids[order]
        pool = _Pool(lengths, self.max_len)
        state: list[LayerState] | None = None
        n_steps = int(lengths[0])
        sorted_lengths = lengths.tolist()
        for start in range(0, n_steps, self.bptt):
            stop = min(start + self.bptt, n_steps)
            rows = sum(length > start for length in sorted_lengths)  # sorted: those that go on stand in front
            learns = stop > sorted_lengths[rows - 1] - self.max_len  # some row has pooled positions in this chunk
            with torch.set_grad_enabled(torch.is_grad_enabled() and learns):
                if state is not None:
                    state = select_state(detach_state(state), slice(rows))
                words = self.encoder.embed(ids[:rows, start:stop])
                output, state = self.encoder.run(words, state)
            if self.training:
                pool.regularise(output, start)
            pool.add(torch.cat([output.float(), words.float()], 2) if self.pool_words else output.float(), start)
        return pool.result(order.argsort())


def _check_lengths(ids: Tensor, lengths: Tensor) -> None:
    if ids.dim() != 2 or lengths.shape != ids.shape[:1]:
        raise DataError(f"ids must be (B, T) and lengths (B,); got {tuple(ids.shape)} and {tuple(lengths.shape)}")
    if ids.shape[0] == 0:
        raise DataError("the batch is empty")
    if int(lengths.min()) < 1 or int(lengths.max()) > ids.shape[1]:
        raise DataError(
            f"every length must be between 1 and the {ids.shape[1]} steps of the batch; "
            f"got {int(lengths.min())} to {int(lengths.max())}"
        )


class _Pool:
    """Last, maximum and mean of outputs that arrive chunk by chunk, for rows sorted by falling length."""

    def __init__(self, lengths: Tensor, max_len: int) -> None:
        self.lengths = lengths
        self.first = (lengths - max_len).clamp_min(0)
        self.maximum: Tensor | None = None
        self.total: Tensor | None = None
        self.last: Tensor | None = None
        self.squares = torch.zeros((), device=lengths.device)
        self.differences = torch.zeros((), device=lengths.device)

    def _counted(self, rows: int, start: int, steps: int) -> Tensor:
        """Which positions are pooled, (rows, steps, 1)."""
        position = torch.arange(start, start + steps, device=self.lengths.device)
        return ((position >= self.first[:rows, None]) & (position < self.lengths[:rows, None])).unsqueeze(2)

    def add(self, output: Tensor, start: int) -> None:
        """Take the vectors (rows, steps, features) of the rows that go on, from position `start`."""
        rows, steps, _ = output.shape
        counted = self._counted(rows, start, steps)
        present = output.masked_fill(~counted, 0.0)
        at_end = (self.lengths[:rows] - 1 - start).clamp(max=steps - 1)
        self.maximum = _update(self.maximum, output.masked_fill(~counted, -torch.inf).amax(1), torch.maximum)
        self.total = _update(self.total, present.sum(1), torch.add)
        self.last = _update(self.last, output[torch.arange(rows, device=output.device), at_end], _newer)

    def regularise(self, output: Tensor, start: int) -> None:
        """Add the outputs (rows, steps, E) to the terms of activation regularisation."""
        output = output.float()
        counted = self._counted(output.shape[0], start, output.shape[1])
        both = counted[:, 1:] & counted[:, :-1]
        self.squares = self.squares + output.masked_fill(~counted, 0.0).pow(2).mean(2).sum()
        changes = (output[:, 1:] - output[:, :-1]).masked_fill(~both, 0.0)
        self.differences = self.differences + changes.pow(2).mean(2).sum()

    def result(self, order: Tensor) -> Pooled:
        """The pooled rows, in the order given."""
        if self.maximum is None or self.total is None or self.last is None:
            raise DataError("no outputs were pooled")
        n = self.lengths - self.first
        features = torch.cat([self.last, self.maximum, self.total / n.unsqueeze(1)], dim=1)[order]
        return Pooled(features=features, ar=self.squares / n.sum(), tar=self.differences / n.sum())


def _newer(_: Tensor, new: Tensor) -> Tensor:
    return new


def _update(kept: Tensor | None, new: Tensor, combine: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Combine the first rows of what is kept with the new ones; the rows behind them have ended and stay."""
    if kept is None:
        return new
    rows = new.shape[0]
    return torch.cat([combine(kept[:rows], new), kept[rows:]])


@dataclass(frozen=True, kw_only=True)
class ClassifierOutput:
    """What a classifier says of a batch.

    Args:
        logits: (B, C).
        ar: activation regularisation of the encoder's outputs, 0 in evaluation.
        tar: temporal activation regularisation, 0 in evaluation.
    """

    logits: Tensor
    ar: Tensor
    tar: Tensor

    def cross_entropy(self, target: Tensor) -> Tensor:
        """Mean cross-entropy in nats; target (B,) class ids."""
        return F.cross_entropy(self.logits.float(), target)

    def predictions(self) -> Tensor:
        """The likeliest class of each row (B,)."""
        return self.logits.argmax(1)


class PoolingClassifier(nn.Module):
    """The head: blocks of batch norm, dropout and a linear layer, ReLU between them.

    Args:
        n_features: size of the pooled vector, 3E.
        n_classes: number of classes C.
        hidden: sizes of the layers between.
        dropouts: one probability for each linear layer, `len(hidden) + 1` in all.

    Source: Howard and Ruder 2018, section 3.3.
    """

    def __init__(
        self, n_features: int, n_classes: int, *, hidden: tuple[int, ...] = (50,), dropouts: tuple[float, ...]
    ) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        for i, ((n_in, n_out), p) in enumerate(zip(pairwise((n_features, *hidden, n_classes)), dropouts, strict=True)):
            if i:
                blocks.append(nn.ReLU())
            blocks += [nn.BatchNorm1d(n_in), nn.Dropout(p), nn.Linear(n_in, n_out, bias=False)]
        self.layers = nn.Sequential(*blocks)

    def forward(self, features: Tensor) -> Tensor:
        """(B, 3E) to logits (B, C)."""
        logits: Tensor = self.layers(features)
        return logits


class TextClassifier(nn.Module):
    """A document encoder and a head.

    Args:
        vocab_sz: number of words V.
        n_classes: number of classes C.
        config: sizes and dropout probabilities; `output_p` is the first dropout of the head.
        bptt: steps of a chunk.
        max_len: positions from the end of a text that are pooled.
        head_p: dropout before the last linear layer.
        pool_words: pool the embedded words too, beside the outputs.
    """

    def __init__(
        self,
        vocab_sz: int,
        n_classes: int,
        config: AWDLSTMConfig,
        *,
        bptt: int = 72,
        max_len: int = 1440,
        head_p: float = 0.1,
        pool_words: bool = False,
    ) -> None:
        super().__init__()
        self.config = config
        self.n_classes = n_classes
        self.document_encoder = DocumentEncoder(
            AWDLSTM(vocab_sz, config), bptt=bptt, max_len=max_len, pool_words=pool_words
        )
        self.head = PoolingClassifier(
            (6 if pool_words else 3) * config.emb_sz, n_classes, dropouts=(config.output_p, head_p)
        )

    @property
    def encoder(self) -> AWDLSTM:
        """The part that is shared with the language model."""
        return self.document_encoder.encoder

    def forward(self, ids: Tensor, lengths: Tensor) -> ClassifierOutput:
        """Classify documents: ids (B, T) padded behind, lengths (B,)."""
        pooled = self.document_encoder(ids, lengths)
        return ClassifierOutput(logits=self.head(pooled.features), ar=pooled.ar, tar=pooled.tar)

    def parameter_groups(self) -> list[list[nn.Parameter]]:
        """Parameters from the lowest to the highest group: embedding, each recurrent layer, head."""
        layers = [list(layer.parameters()) for layer in self.encoder.layers]
        return [list(self.encoder.embedding.parameters()), *layers, list(self.head.parameters())]
