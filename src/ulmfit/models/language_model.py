"""The language model: encoder and decoder.

B batch, T time, E embedding, V vocabulary.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ulmfit.arguments import at_least, check_dropouts, checked
from ulmfit.errors import ConfigError, DataError
from ulmfit.models.architectures import make_encoder
from ulmfit.models.config import EncoderConfig, cutoff_problems
from ulmfit.models.dropout import RNNDropout
from ulmfit.models.encoder import Encoder, State, detach_state
from ulmfit.models.inputs import check_ids, check_integers
from ulmfit.models.products import widened
from ulmfit.models.sequential import SequentialRNN
from ulmfit.models.softmax import Decoder


@dataclass(frozen=True, kw_only=True)
class LMOutput:
    """What a language model says of a batch: enough for logits, which are made only when asked for.

    Args:
        hidden: (B, T, E), after the output dropout.
        decoder: from hidden to logits.
        state: the state of each layer after the last step; empty if the encoder keeps it.
        ar: mean square of `hidden` (activation regularisation), 0 in evaluation.
        tar: mean square of the step-to-step differences of the raw output (temporal AR), 0 in evaluation.

    Source: Merity et al. 2017, section 4.4 for AR and TAR.
    """

    hidden: Tensor
    decoder: Decoder
    state: State
    ar: Tensor
    tar: Tensor

    @property
    def logits(self) -> Tensor:
        """Log-probabilities of every word at every step, (B, T, V); they are logits that need no normalising."""
        return self.log_probabilities()

    def log_probabilities(self) -> Tensor:
        """Of every word at every step, (B, T, V). Memory grows with B x T x V: use it for few steps."""
        return self.decoder.log_probabilities(self.hidden)

    def cross_entropy(self, target: Tensor) -> Tensor:
        """Mean cross-entropy in nats per token; target (B, T).

        Raises:
            DataError: the target has another shape, or ids beyond the vocabulary.
        """
        check_ids(target, self.decoder.weight.shape[0], "target")
        if target.shape != self.hidden.shape[:2]:
            raise DataError(
                f"the target has the shape {tuple(target.shape)}, the input {tuple(self.hidden.shape[:2])}; "
                "they must be the same"
            )
        return self.decoder.cross_entropy(self.hidden.flatten(0, 1), target.flatten().long())

    def predictions(self) -> Tensor:
        """The likeliest next token of each position (B, T)."""
        return self.decoder.predictions(self.hidden.flatten(0, 1)).view(self.hidden.shape[:2])


class LinearDecoder(Decoder):
    """Output dropout, then word probabilities by a linear layer that may share the embedding's weights.

    Args:
        n_out: number of words V.
        n_hid: size E of the encoder's output.
        output_p: variational dropout on that output.
        tie_encoder: a module whose `weight` (V, E) is shared, or None for weights of its own.
        bias: add one for each word.
        cutoffs: of an adaptive softmax; see `Decoder`.

    Raises:
        ConfigError: a value makes no sense, or the shared weights have other sizes.
    """

    @checked
    def __init__(
        self,
        n_out: int,
        n_hid: int,
        output_p: float = 0.1,
        tie_encoder: nn.Module | None = None,
        bias: bool = True,
        cutoffs: tuple[int, ...] = (),
    ) -> None:
        at_least(1, n_out=n_out, n_hid=n_hid)
        check_dropouts(output_p=output_p)
        if problems := cutoff_problems(tuple(cutoffs)):
            raise ConfigError(problems[0])
        if tie_encoder is None:
            weight = nn.Parameter(torch.empty(n_out, n_hid).uniform_(-0.1, 0.1))
        else:
            weight = tie_encoder.get_parameter("weight")
            if weight.shape != (n_out, n_hid):
                raise ConfigError(f"the shared weights are {tuple(weight.shape)}; the decoder needs {(n_out, n_hid)}")
        super().__init__(weight, bias=bias, cutoffs=tuple(c for c in cutoffs if c < n_out))
        self.output_dropout = RNNDropout(output_p)

    def forward(self, raw: Tensor, state: State | None = None) -> LMOutput:
        """From the encoder's output (B, T, E) to what the model says; `state` is handed through."""
        hidden = self.output_dropout(raw)
        zero = raw.new_zeros(())
        ar, tar = zero, zero
        if self.training:
            ar = widened(hidden).pow(2).mean()
            if raw.shape[1] > 1:
                tar = widened(raw[:, 1:] - raw[:, :-1]).pow(2).mean()
        return LMOutput(hidden=hidden, decoder=self, state=state or [], ar=ar, tar=tar)


class LanguageModel(SequentialRNN):
    """An encoder with a decoder to its vocabulary.

    The state is kept from batch to batch in `state` (cut from its graph), as consecutive batches of a stream need it;
    `reset` forgets it. A state given to `forward` takes precedence and leaves the kept one alone.

    Args:
        vocab_sz: number of words V.
        config: of any architecture, that reads in one direction.

    Raises:
        ConfigError: the configuration reads in both directions.
    """

    encoder: Encoder
    decoder: LinearDecoder

    def __init__(self, vocab_sz: int, config: EncoderConfig) -> None:
        if config.bidir:
            raise ConfigError(
                "bidir=True: a language model that reads in both directions sees the words it is to predict; use "
                "bidir=False, and a second model with backwards=True. Only a classifier can read in both"
            )
        encoder = make_encoder(vocab_sz, config)
        decoder = LinearDecoder(
            vocab_sz,
            config.emb_sz,
            config.output_p,
            tie_encoder=encoder.embedding if config.tie_weights else None,
            bias=config.out_bias,
            cutoffs=config.cutoffs,
        )
        super().__init__(OrderedDict(encoder=encoder, decoder=decoder))
        self.config = config

    @property
    def state(self) -> State | None:
        """What the encoder keeps from the last batch."""
        return self.encoder.state

    @state.setter
    def state(self, state: State | None) -> None:
        self.encoder.state = state

    def forward(self, ids: Tensor, state: State | None = None) -> LMOutput:
        """Run over ids (B, T); the first step continues `state`, or the kept state, or zeros."""
        if state is None:
            raw = self.encoder(ids)
            after = self.encoder.state
        else:
            raw, after = self.encoder.encode(ids, state)
            after = detach_state(after)
        output: LMOutput = self.decoder(raw, after)
        return output

    @torch.no_grad()
    def step(self, token: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Read one token of each text and say what comes next; the kept state is left alone.

        Args:
            token: (B,) ids.
            state: as returned for the token before, or None at the start of the texts.

        Returns:
            log-probabilities of the next token (B, V), and the state to pass with it.

        Raises:
            ConfigError: the model is in training mode.
            DataError: a token that is not of the vocabulary, or a state of another batch size.
        """
        if self.training:
            raise ConfigError("step answers in evaluation mode only; call model.eval() first")
        check_integers("token", token, 1)
        raw, after = self.encoder.encode(token.unsqueeze(1), state)
        return self.decoder.log_probabilities(raw[:, 0]), after

    def parameter_groups(self) -> list[list[nn.Parameter]]:
        """Parameters from the lowest to the highest group: each recurrent layer, then embedding and decoder."""
        groups = [list(layer.parameters()) for layer in self.encoder.layers]
        seen: dict[int, nn.Parameter] = {}
        for p in [*self.encoder.embedding.parameters(), *self.decoder.parameters()]:
            seen[id(p)] = p
        return [*groups, list(seen.values())]
