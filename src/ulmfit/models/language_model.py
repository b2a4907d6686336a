"""The language model: encoder and decoder.

B batch, T time, E embedding, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ulmfit.models.awd_lstm import AWDLSTM, LayerState
from ulmfit.models.config import AWDLSTMConfig
from ulmfit.models.dropout import RNNDropout
from ulmfit.models.softmax import Decoder


@dataclass(frozen=True, kw_only=True)
class LMOutput:
    """What a language model says of a batch: enough for logits, which are made only when asked for.

    Args:
        hidden: (B, T, E), after the output dropout.
        decoder: from hidden to logits.
        state: the state of each layer after the last step.
        ar: mean square of `hidden` (activation regularisation), 0 in evaluation.
        tar: mean square of the step-to-step differences of the raw output (temporal AR), 0 in evaluation.

    Source: Merity et al. 2017, section 4.4 for AR and TAR.
    """

    hidden: Tensor
    decoder: Decoder
    state: list[LayerState]
    ar: Tensor
    tar: Tensor

    def log_probabilities(self) -> Tensor:
        """Of every word at every step, (B, T, V). Memory grows with B x T x V: use it for few steps."""
        result: Tensor = self.decoder(self.hidden)
        return result

    def cross_entropy(self, target: Tensor) -> Tensor:
        """Mean cross-entropy in nats per token; target (B, T)."""
        return self.decoder.cross_entropy(self.hidden.flatten(0, 1), target.flatten())

    def predictions(self) -> Tensor:
        """The likeliest next token of each position (B, T)."""
        return self.decoder.predictions(self.hidden.flatten(0, 1)).view(self.hidden.shape[:2])


class LanguageModel(nn.Module):
    """An AWD-LSTM encoder with a decoder to its vocabulary.

    The state is kept from batch to batch in `state` (cut from its graph), as consecutive batches of a stream need it;
    `reset` forgets it. A state given to `forward` takes precedence and leaves the kept one alone.
    """

    def __init__(self, vocab_sz: int, config: AWDLSTMConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = AWDLSTM(vocab_sz, config)
        self.output_dropout = RNNDropout(config.output_p)
        weight = self.encoder.embedding.weight
        if not config.tie_weights:
            weight = nn.Parameter(torch.empty_like(weight).uniform_(-0.1, 0.1))
        self.decoder = Decoder(weight, bias=config.out_bias, cutoffs=tuple(c for c in config.cutoffs if c < vocab_sz))
        self.state: list[LayerState] | None = None

    def reset(self) -> None:
        """Forget the state kept from the last batch."""
        self.state = None

    def forward(self, ids: Tensor, state: list[LayerState] | None = None) -> LMOutput:
        """Run over ids (B, T); the first step continues `state`, or the kept state, or zeros."""
        before = self.state if state is None else state
        if state is None and before is not None and before[0][0].shape[1] != ids.shape[0]:
            before = None  # another batch size is another stream
        raw, after = self.encoder(ids, before)
        hidden = self.output_dropout(raw)
        after = [(h.detach(), c.detach()) for h, c in after]
        if state is None:
            self.state = after
        zero = raw.new_zeros(())
        ar, tar = zero, zero
        if self.training:
            ar = hidden.float().pow(2).mean()
            if ids.shape[1] > 1:
                tar = (raw[:, 1:] - raw[:, :-1]).float().pow(2).mean()
        return LMOutput(hidden=hidden, decoder=self.decoder, state=after, ar=ar, tar=tar)

    def parameter_groups(self) -> list[list[nn.Parameter]]:
        """Parameters from the lowest to the highest group: each recurrent layer, then embedding and decoder."""
        groups = [list(layer.parameters()) for layer in self.encoder.layers]
        seen: dict[int, nn.Parameter] = {}
        for p in [*self.encoder.embedding.parameters(), *self.decoder.parameters()]:
            seen[id(p)] = p
        return [*groups, list(seen.values())]
