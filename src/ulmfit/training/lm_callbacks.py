"""What language models need while they learn: dropout that grows, and rows that begin anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch

from ulmfit.arguments import at_least, between_0_and_1, checked
from ulmfit.errors import ConfigError
from ulmfit.models.dropout import EmbeddingDropout, RNNDropout, WeightDrop
from ulmfit.training.callbacks import Callback

if TYPE_CHECKING:
    from ulmfit.models.language_model import LanguageModel
    from ulmfit.training.learner import Learner


class GrowingDropout(Callback):
    """Little dropout in the first pass over the texts, which is too early to learn any by heart, and all of it then.

    Args:
        first: factor on the probabilities in the first pass.

    Raises:
        ConfigError: a negative factor.

    Source: Morerio et al. 2017, "Curriculum Dropout", for dropout that grows.
    """

    @checked
    def __init__(self, first: float = 0.2) -> None:
        at_least(0, first=first)
        self.first = first

    def before_fit(self, learn: Learner) -> None:
        """Note the probabilities."""
        dropouts = (RNNDropout, EmbeddingDropout, WeightDrop)
        self._full = [(module, module.p) for module in learn.model.modules() if isinstance(module, dropouts)]

    def before_epoch(self, learn: Learner) -> None:
        """Set those of the pass."""
        for module, p in self._full:
            module.p = p if learn.passes else p * self.first

    def after_fit(self, learn: Learner) -> None:
        """Put back those that were there."""
        for module, p in self._full:
            module.p = p


class FreshStarts(Callback):
    """Now and then a row forgets what it has read, so that the model learns to begin, as it must with every text.

    Rows are streams of tens of thousands of tokens. A new model may come to lean on what its cells have added up over
    them, and is at a loss where that is missing (docs/training.md).

    Args:
        p: probability for each row of a batch.

    Raises:
        ConfigError: no probability; of a fit: the model keeps no state.

    Source: `drop_state_probability` of Language Modelling Benchmarks, the program of Melis et al. 2017, "On the State
    of the Art of Evaluation in Neural Language Models".
    """

    @checked
    def __init__(self, p: float = 0.06) -> None:
        between_0_and_1(p=p)
        self.p = p

    def before_fit(self, learn: Learner) -> None:
        """Check that there is something to forget."""
        if not hasattr(learn.model, "state"):
            raise ConfigError(f"FreshStarts is for models that keep a state; {type(learn.model).__name__} keeps none")

    def before_batch(self, learn: Learner) -> None:
        """Draw the rows."""
        model = cast("LanguageModel", learn.model)
        if model.state is None:
            return
        first = model.state[0][0]
        kept = (torch.rand(first.shape[1]) >= self.p).view(1, -1, 1).to(first.device)
        model.state = [(a * kept, b * kept) for a, b in model.state]
