"""What the encoders share: embedding, variational dropout, stacked recurrent layers, and the state they carry.

What is unusual about them:
- the state is a value that can be passed in and out, so that generation and serving need no state in the module; a
  module also keeps one, for the batches of a stream;
- tensors are (B, T, features) by shape and time-major in memory, as the recurrent layers want them.

B batch, T time, E embedding, H hidden, V vocabulary.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import fields
from itertools import pairwise
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from ulmfit.arguments import checked
from ulmfit.errors import ConfigError, DataError
from ulmfit.models.config import EncoderConfig
from ulmfit.models.dropout import EmbeddingDropout, RNNDropout
from ulmfit.models.inputs import check_ids

LayerState = tuple[Tensor, Tensor]
"""What a layer carries from step to step, two tensors (directions, B, features): for an LSTM hidden and cell state."""

State = list[LayerState]
"""The state of each layer."""


class RecurrentLayer(nn.Module):
    """A layer of an encoder: (B, T, n_in) and a state or None to (B, T, n_out) and the new state."""

    state_sizes: tuple[int, int]
    """Features of the two tensors of its state."""

    def begin(self, weight: Tensor, n_rows: int) -> LayerState:
        """The state before a text, zeros of the dtype of a weight."""
        first, second = (weight.new_zeros(1, n_rows, size) for size in self.state_sizes)
        return first, second


class Encoder(nn.Module):
    """Embedding, variational dropout and recurrent layers; the classes of the architectures say which.

    Args:
        vocab_sz: number of words V.
        config: sizes and dropout probabilities.
    """

    config_class: ClassVar[type[EncoderConfig]]

    @checked
    def __init__(self, vocab_sz: int, config: EncoderConfig) -> None:
        super().__init__()
        if vocab_sz <= config.pad_token:
            raise ConfigError(f"vocab_sz={vocab_sz} must be greater than pad_token={config.pad_token}")
        self.config = config
        self.vocab_sz = vocab_sz
        self.embedding = EmbeddingDropout(vocab_sz, config.emb_sz, config.embed_p)
        self.input_dropout = RNNDropout(config.input_p)
        sizes = config.layer_sizes
        layers = [self._directions(n, i, o) for n, (i, o) in enumerate(pairwise(sizes))]
        self.layers = nn.ModuleList(layers)
        self._state_sizes = [layer.state_sizes for layer in layers]
        self.hidden_dropouts = nn.ModuleList(RNNDropout(config.hidden_p) for _ in self.layers)
        self.state: State | None = None

    @classmethod
    def from_config(cls, vocab_sz: int, config: EncoderConfig) -> Self:
        """The encoder of a configuration of this architecture."""
        return cls(vocab_sz, **encoder_arguments(config))

    @abstractmethod
    def make_layer(self, number: int, n_in: int, n_out: int) -> RecurrentLayer:
        """One recurrent layer."""

    def _directions(self, number: int, n_in: int, n_out: int) -> RecurrentLayer:
        if not self.config.bidir:
            return self.make_layer(number, n_in, n_out)
        return Bidirectional(lambda: self.make_layer(number, n_in, n_out // 2))

    def reset(self) -> None:
        """Forget the state kept from the last call."""
        self.state = None

    def forward(self, ids: Tensor, from_embeds: bool = False) -> Tensor:
        """Run over the sequence, continuing the kept state (cut from its graph) if it is of the same batch size.

        Args:
            ids: (B, T) token ids, or embedded words (B, T, E).
            from_embeds: whether `ids` are embedded words.

        Returns:
            output of the last layer (B, T, E), before any dropout on it.
        """
        x = self.input_dropout(self._checked_words(ids)) if from_embeds else self.embed(ids)
        kept = self.state
        if kept is not None and self._check_state(kept, x.device) != x.shape[0]:
            kept = None
        output, state = self.run(x, kept)
        self.state = detach_state(state)
        return output

    def encode(self, ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Run over the sequence from `state` on, leaving the kept state alone.

        Args:
            ids: (B, T) token ids.
            state: as returned by an earlier call, or None for zeros.

        Returns:
            output of the last layer (B, T, E), before any dropout on it, and the new state.

        Raises:
            DataError: ids that are not of the vocabulary, a state of another batch size or of other layers.
        """
        return self.run(self.embed(ids), state)

    def embed(self, ids: Tensor) -> Tensor:
        """The words as vectors, dropped out in training: ids (B, T) to (B, T, E).

        Raises:
            DataError: an id is not of the vocabulary, or there are none.
        """
        check_ids(ids, self.vocab_sz)
        embedded: Tensor = self.input_dropout(self.embedding(ids))
        return embedded

    def _checked_words(self, words: Any) -> Any:
        width = self.config.emb_sz
        if not isinstance(words, Tensor) or words.shape[2:] != (width,) or not words.is_floating_point():
            given = f"{words.dtype} {tuple(words.shape)}" if isinstance(words, Tensor) else type(words).__name__
            raise DataError(f"from_embeds=True: words must be floating point of shape (B, T, {width}); got {given}")
        return words

    def run(self, x: Tensor, state: State | None = None, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        """Run the recurrent layers over embedded words.

        Args:
            x: (B, T, E).
            state: as returned by an earlier call, or None for zeros.
            lengths: (B,) steps of each row before its padding, which layers that read backwards must not see; None if
                there is no padding.

        Raises:
            DataError: a state of another batch size, of other layers or on another device.
        """
        if state is not None:
            if (n_rows := self._check_state(state, x.device)) != x.shape[0]:
                raise DataError(
                    f"the state is of a batch of {n_rows} rows, the input has {x.shape[0]}; "
                    "pass the state of these rows, or None to begin anew"
                )
            if torch.is_grad_enabled():
                state = [(_savable(first), _savable(second)) for first, second in state]
        new_state: State = []
        for i, (layer, dropout) in enumerate(zip(self.layers, self.hidden_dropouts, strict=True)):
            before = state[i] if state else None
            x, after = layer(x, before, lengths) if self.config.bidir else layer(x, before)
            new_state.append(after)
            if i + 1 < len(self.layers):
                x = dropout(x)
        return x, new_state

    def _check_state(self, state: Any, device: torch.device) -> int:
        """Refuse what is no state of this encoder; the number of its rows.

        Precisions may differ: a state may be carried into autocast and out of it.
        """
        advice = "pass what it returned, or None to begin anew"
        if not isinstance(state, list | tuple) or len(state) != len(self.layers):
            given = f"of {len(state)} layers" if isinstance(state, list | tuple) else f"a {type(state).__name__}"
            raise DataError(f"the state is {given}; the encoder has {len(self.layers)} layers: {advice}")
        n_directions = 2 if self.config.bidir else 1
        n_rows: int | None = None
        for i, (layer, sizes) in enumerate(zip(state, self._state_sizes, strict=True)):
            if not isinstance(layer, list | tuple) or [isinstance(t, Tensor) for t in layer] != [True, True]:
                raise DataError(f"the state of layer {i} is a {type(layer).__name__}, not two tensors: {advice}")
            for tensor, size in zip(layer, sizes, strict=True):
                shape = tensor.shape
                n_rows = shape[1] if n_rows is None and len(shape) == 3 else n_rows
                if shape != (n_directions, n_rows, size) or not tensor.is_floating_point() or tensor.device != device:
                    rows = "B" if n_rows is None else n_rows
                    raise DataError(
                        f"the state of layer {i} has a tensor {tuple(shape)} of {tensor.dtype} on {tensor.device}; "
                        f"this {type(self).__name__} needs ({n_directions}, {rows}, {size}), floating point, "
                        f"on {device}: {advice}"
                    )
        return n_rows or 0


def _savable(tensor: Tensor) -> Tensor:
    """The same for autograd to keep: a tensor that was made in inference mode is copied."""
    return tensor.clone() if tensor.is_inference() else tensor


class Bidirectional(RecurrentLayer):
    """Two layers, one of which reads from the end; their outputs are joined.

    A carried state continues each direction, so that over chunks the backward layer sees its own chunk and what its
    state holds of earlier ones.

    Args:
        make: makes a layer of half of the size.
    """

    def __init__(self, make: Callable[[], RecurrentLayer]) -> None:
        super().__init__()
        self.ahead, self.back = make(), make()
        self.state_sizes = self.ahead.state_sizes

    def forward(self, x: Tensor, state: LayerState | None, lengths: Tensor | None) -> tuple[Tensor, LayerState]:
        """Run over the sequence: (B, T, features); `lengths` (B,) as in `Encoder.run`."""
        first = None if state is None else (state[0][:1], state[1][:1])
        second = None if state is None else (state[0][1:], state[1][1:])
        ahead, state_ahead = self.ahead(x, first)
        back, state_back = self.back(_reversed(x, lengths), second)
        joined = torch.cat([ahead, _reversed(back, lengths)], 2)
        return joined, (torch.cat([state_ahead[0], state_back[0]]), torch.cat([state_ahead[1], state_back[1]]))


def _reversed(x: Tensor, lengths: Tensor | None) -> Tensor:
    """The steps before the padding in reversed order, (B, T, features)."""
    if lengths is None:
        return x.flip(1)
    step = torch.arange(x.shape[1], device=x.device)
    place = torch.where(step < lengths[:, None], lengths[:, None] - 1 - step, step)
    return x.gather(1, place.unsqueeze(2).expand_as(x))


def encoder_arguments(config: EncoderConfig | Mapping[str, Any]) -> dict[str, Any]:
    """What of a configuration an encoder's constructor takes: all but what belongs to the decoder."""
    values = {f.name: getattr(config, f.name) for f in fields(config)} if isinstance(config, EncoderConfig) else config
    return {k: v for k, v in values.items() if k not in ("output_p", "tie_weights", "out_bias", "cutoffs")}


def detach_state(state: State) -> State:
    """The same state, cut from the graph that made it (truncated back-propagation through time)."""
    return [(h.detach(), c.detach()) for h, c in state]


def select_state(state: State, rows: Tensor | slice) -> State:
    """The state of some rows of the batch only."""
    return [(h[:, rows], c[:, rows]) for h, c in state]


def n_parameters(model: nn.Module) -> int:
    """Number of distinct parameters (shared ones counted once)."""
    return sum(p.numel() for p in model.parameters())
