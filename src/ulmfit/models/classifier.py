"""The document classifier: an encoder over texts of any length, concat pooling, and a small head.

What is unusual about it:
- texts are padded behind and carry their lengths, and rows that have ended leave the batch, so that a text's answer
  depends on that text alone and padding costs nothing;
- pooling is accumulated chunk by chunk: the outputs of a long text are held together only to learn from them.

B batch, T time, E size of the encoder's output, C classes.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ulmfit.arguments import at_least, checked
from ulmfit.errors import ConfigError, DataError
from ulmfit.models.architectures import make_encoder
from ulmfit.models.config import EncoderConfig
from ulmfit.models.dropout import WeightDrop
from ulmfit.models.encoder import Encoder, State, detach_state, select_state
from ulmfit.models.inputs import check_ids, check_integers, check_lengths
from ulmfit.models.pooling import Pool, Pooled
from ulmfit.models.products import widened
from ulmfit.models.sequential import SequentialRNN


class SentenceEncoder(nn.Module):
    """Runs an encoder over documents in chunks of `bptt` steps and pools its outputs.

    The state is carried from chunk to chunk; gradients stay within a chunk. Outputs of the last `max_len` positions of
    a text are pooled; what stands before them only builds up the state, and is not differentiated.

    Args:
        bptt: steps of a chunk.
        module: the language model's encoder.
        pad_idx: id of the padding.
        max_len: positions from the end of a text that are pooled; all of them if None.
        pool_words: pool the embedded words too, beside the outputs.

    Source: Howard and Ruder 2018, "Universal Language Model Fine-tuning for Text Classification", section 3.3
    (concat pooling, BPT3C).
    """

    @checked
    def __init__(
        self, bptt: int, module: Encoder, pad_idx: int = 1, max_len: int | None = None, *, pool_words: bool = False
    ) -> None:
        super().__init__()
        at_least(1, bptt=bptt, max_len=max_len)
        at_least(0, pad_idx=pad_idx)
        self.pool_words = pool_words
        self.encoder = module
        self.bptt = int(bptt)
        self.pad_idx = int(pad_idx)
        self.max_len = None if max_len is None else int(max_len)

    def reset(self) -> None:
        """Forget the encoder's kept state; documents begin with none."""
        self.encoder.reset()

    def forward(self, ids: Tensor, lengths: Tensor | None = None) -> Pooled:
        """Pool documents.

        Args:
            ids: (B, T) token ids, padded behind; without lengths the padding may stand anywhere.
            lengths: (B,) number of tokens of each text, at least 1, up to its last one that is not padding; if None,
                every token but `pad_idx` counts.

        Raises:
            DataError: the lengths disagree with the ids (where their padding ends is looked at on a CPU only), a text
                is nothing but padding, an id is not a word's.
        """
        check_ids(ids, self.encoder.vocab_sz)
        if lengths is None:
            ids, lengths = _without_padding(ids, self.pad_idx)
        check_lengths(ids, lengths, self.pad_idx)
        lengths, order = lengths.to(ids.device).sort(descending=True, stable=True)
        sorted_lengths: list[int] = lengths.tolist()
        max_len = sorted_lengths[0] if self.max_len is None else self.max_len
        ids = ids[order]
        pool = Pool(lengths, self.max_len)
        with WeightDrop.one_draw(self.encoder):
            self._pool_chunks(ids, lengths, sorted_lengths, max_len, pool)
        return pool.result(order.argsort())

    def _pool_chunks(self, ids: Tensor, lengths: Tensor, sorted_lengths: list[int], max_len: int, pool: Pool) -> None:
        """Run over the chunks of documents that are sorted by falling length, and pool the outputs."""
        state: State | None = None
        for start in range(0, sorted_lengths[0], self.bptt):
            stop = min(start + self.bptt, sorted_lengths[0])
            rows = sum(length > start for length in sorted_lengths)  # sorted: those that go on stand in front
            learns = stop > sorted_lengths[rows - 1] - max_len  # some row has pooled positions in this chunk
            with torch.set_grad_enabled(torch.is_grad_enabled() and learns):
                if state is not None:
                    state = select_state(detach_state(state), slice(rows))
                words = self.encoder.embed(ids[:rows, start:stop])
                inside = (lengths[:rows] - start).clamp_max(stop - start)
                output, state = self.encoder.run(words, state, inside)
            if self.training:
                pool.regularise(output, start)
            pool.add(torch.cat([widened(output), widened(words)], 2) if self.pool_words else widened(output), start)


def _without_padding(ids: Tensor, pad_idx: int) -> tuple[Tensor, Tensor]:
    """The rows with their padding moved behind, and their lengths."""
    real = ids != pad_idx
    return ids.gather(1, (~real).int().argsort(dim=1, stable=True)), real.sum(1)


@dataclass(frozen=True, kw_only=True)
class ClassifierOutput:
    """What a classifier says of a batch.

    Args:
        logits: (B, C); with a `y_range`, values within it.
        ar: activation regularisation of the encoder's outputs, 0 in evaluation.
        tar: temporal activation regularisation, 0 in evaluation.
    """

    logits: Tensor
    ar: Tensor
    tar: Tensor

    def cross_entropy(self, target: Tensor) -> Tensor:
        """Mean cross-entropy in nats; target (B,) class ids.

        Raises:
            DataError: another number of labels than texts, or a label that is not a class.
        """
        n_rows, n_classes = self.logits.shape
        check_integers("labels", target, 1)
        if target.shape != (n_rows,):
            raise DataError(f"{n_rows} texts need labels of shape ({n_rows},); got {tuple(target.shape)}")
        if int(target.min()) < 0 or int(target.max()) >= n_classes:
            wrong = int(target.min()) if int(target.min()) < 0 else int(target.max())
            raise DataError(f"label {wrong} is not one of the {n_classes} classes (0 to {n_classes - 1})")
        return F.cross_entropy(widened(self.logits), target.long())

    def predictions(self) -> Tensor:
        """The likeliest class of each row (B,)."""
        return self.logits.argmax(1)


class PoolingLinearClassifier(nn.Module):
    """The head: blocks of batch norm, dropout and a linear layer, ReLU between them.

    Args:
        dims: size of the pooled vector, sizes of the layers between, number of classes C.
        ps: dropout before each linear layer, one less than `dims`.
        bptt: taken for the sake of programs that give it; pooling does not depend on it.
        y_range: lowest and highest value of the answers (regression): they go through a sigmoid between these.

    Raises:
        ConfigError: the numbers of sizes and dropouts disagree, or a range that is none.

    Source: Howard and Ruder 2018, section 3.3.
    """

    @checked
    def __init__(
        self,
        dims: Sequence[int],
        ps: Sequence[float],
        bptt: int | None = None,
        y_range: tuple[float, float] | None = None,
    ) -> None:
        super().__init__()
        if len(dims) < 2:
            raise ConfigError(f"dims={list(dims)} must be at least two sizes")
        _check_head("dims", dims, ps, len(dims) - 1, y_range)
        blocks: list[nn.Module] = []
        for i, ((n_in, n_out), p) in enumerate(zip(pairwise(dims), ps, strict=True)):
            if i:
                blocks.append(nn.ReLU())
            blocks += [nn.BatchNorm1d(n_in), nn.Dropout(p), nn.Linear(n_in, n_out, bias=False)]
        self.layers = nn.Sequential(*blocks)
        self.y_range = None if y_range is None else (float(y_range[0]), float(y_range[1]))

    @torch.no_grad()
    def begin_at(self, answers: Tensor) -> None:
        """Let the answers of a new head begin around some (C,), and not around 0, or in the middle of its range.

        Where most labels are rare, or a few values far larger than the others, the middle is far from all. The last
        batch norm is shifted.

        Raises:
            ConfigError: an answer that the head can not give.

        Source: Lin et al. 2017, "Focal Loss for Dense Object Detection", section 3.3 (a prior for rare classes).
        """
        if self.y_range is None:
            logits = answers.double()
        else:
            low, high = self.y_range
            logits = ((answers.double() - low) / (high - low)).logit()
        if not logits.isfinite().all():
            shown = ", ".join(f"{answer:g}" for answer in answers.tolist())
            raise ConfigError(f"the answers can not begin at {shown}, the mean of the values: y_range={self.y_range}")
        *_, norm = (layer for layer in self.layers if isinstance(layer, nn.BatchNorm1d))
        *_, last = (layer for layer in self.layers if isinstance(layer, nn.Linear))
        norm.bias.copy_(torch.linalg.pinv(last.weight.double()) @ logits)

    @torch.no_grad()
    def keep_to_means(self) -> None:
        """Let a new head see the means alone of what is pooled, now and when it learns.

        The first batch norm scales last outputs and maxima by 0, and the scales get no gradient. So the model stays one
        of concat pooling, with the shapes of any other.
        """
        norm = next(layer for layer in self.layers if isinstance(layer, nn.BatchNorm1d))
        n = norm.num_features // 3 * 2
        norm.weight[:n] = 0
        norm.weight.register_hook(partial(_without_first, n))  # type: ignore[no-untyped-call]

    def forward(self, pooled: Pooled) -> ClassifierOutput:
        """Classify pooled documents (B, 3E).

        Raises:
            DataError: a single document in training, of which batch norm can make nothing.
        """
        if self.training and pooled.features.shape[0] == 1:
            raise DataError("a training batch of one text: batch norm needs at least 2; drop the last batch or join it")
        device = pooled.features.device.type
        # Half precision has too few values near a range's ends, and for metrics that rank the answers.
        whole = torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else nullcontext()
        with whole:
            logits: Tensor = self.layers(pooled.features.to(next(self.parameters()).dtype))
            if self.y_range is not None:
                low, high = self.y_range
                logits = logits.sigmoid() * (high - low) + low
        return ClassifierOutput(logits=logits, ar=pooled.ar, tar=pooled.tar)


def _without_first(n: int, gradient: Tensor) -> Tensor:
    """The gradient of a vector with zeros in its first n places."""
    return torch.cat([torch.zeros_like(gradient[:n]), gradient[n:]])


def _check_head(
    name: str, sizes: Sequence[int], ps: Sequence[float], n_layers: int, y_range: tuple[float, float] | None
) -> None:
    problems = []
    if any(size < 1 for size in sizes):
        problems.append(f"{name}={list(sizes)} must be sizes of 1 or more")
    if len(ps) != n_layers:
        problems.append(f"{n_layers} layers need as many dropouts; got ps={list(ps)}")
    if any(not 0 <= p < 1 for p in ps):
        problems.append(f"ps={list(ps)} must be in [0, 1)")
    if y_range is not None and not -math.inf < y_range[0] < y_range[1] < math.inf:
        problems.append(f"y_range={tuple(y_range)} must be the lowest and the highest value, both finite")
    if problems:
        raise ConfigError("head of the classifier: " + "; ".join(problems))


class TextClassifier(SequentialRNN):
    """A document encoder and a head.

    Args:
        vocab_sz: number of words V.
        n_classes: number of classes C (of values, for regression).
        config: of any architecture; `output_p` is the first dropout of the head.
        bptt: steps of a chunk.
        max_len: positions from the end of a text that are pooled; all of them if None.
        lin_ftrs: sizes of the head's layers between the pooled vector and the classes.
        ps: dropout behind each of them, 0.1 if not given.
        y_range: lowest and highest value of the answers, for regression.
        pool_words: pool the embedded words too, beside the outputs.

    `model(ids, lengths)` answers with a `ClassifierOutput`; see `SentenceEncoder.forward` for the inputs.

    Raises:
        ConfigError: a value makes no sense.
    """

    document_encoder: SentenceEncoder
    head: PoolingLinearClassifier

    @checked
    def __init__(
        self,
        vocab_sz: int,
        n_classes: int,
        config: EncoderConfig,
        *,
        bptt: int = 72,
        max_len: int | None = 1440,
        lin_ftrs: Sequence[int] = (50,),
        ps: Sequence[float] | None = None,
        y_range: tuple[float, float] | None = None,
        pool_words: bool = False,
    ) -> None:
        ps = [0.1] * len(lin_ftrs) if ps is None else ps
        at_least(1, n_classes=n_classes)
        _check_head("lin_ftrs", lin_ftrs, ps, len(lin_ftrs), y_range)
        encoder = make_encoder(vocab_sz, config)
        document_encoder = SentenceEncoder(bptt, encoder, config.pad_token, max_len, pool_words=pool_words)
        dims = [(6 if pool_words else 3) * config.emb_sz, *lin_ftrs, n_classes]
        head = PoolingLinearClassifier(dims, [config.output_p, *ps], y_range=y_range)
        super().__init__(OrderedDict(document_encoder=document_encoder, head=head))
        self.config = config
        self.n_classes = n_classes

    @property
    def encoder(self) -> Encoder:
        """The part that is shared with the language model."""
        return self.document_encoder.encoder

    def parameter_groups(self) -> list[list[nn.Parameter]]:
        """Parameters from the lowest to the highest group: embedding, each recurrent layer, head."""
        layers = [list(layer.parameters()) for layer in self.encoder.layers]
        return [list(self.encoder.embedding.parameters()), *layers, list(self.head.parameters())]
