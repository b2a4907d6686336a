"""The first stage of the recipe: a language model of all texts, from random weights or from a base."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from rich.console import Console

from ulmfit.data.loaders import LMDataLoader
from ulmfit.inference.bundle import Bundle
from ulmfit.models.config import EncoderConfig
from ulmfit.models.encoder import n_parameters
from ulmfit.models.language_model import LanguageModel
from ulmfit.pretrained.transfer import coverage, match_vocab, occurrences
from ulmfit.training.clock import Clock
from ulmfit.training.learner import DataLoaders, Learner
from ulmfit.training.manifest import fingerprint_weights
from ulmfit.training.parts import Stores
from ulmfit.training.progress import ProgressTable, say
from ulmfit.training.tracking import SaveBest

if TYPE_CHECKING:
    from ulmfit.training.recipes import Recipe

LM_CLIP = 1.0  # an LSTM from random weights at this learning rate diverges now and then without it
_LM_TOKENS = 15_000_000  # a language model sees about so many tokens, if no epochs are given
_LM_EPOCHS = (2, 20)  # and at least and at most so many epochs
_LM_EPOCHS_FROM_BASE = (1, 5)  # a base has learned the language already, and a small corpus by heart soon
_LR, _LR_FROM_BASE = 5e-3, 1e-2  # chosen by perplexity on held-out texts, see docs/training.md
_FROZEN = 0.25  # of the time, for the embeddings alone
_LM_MIN_STEPS = 30  # steps of an epoch that a small corpus is cut into, by smaller batches


def default_lm_epochs(n_tokens: int, *, from_base: bool = False) -> int:
    """Epochs for a language model of a corpus of so many tokens."""
    low, high = _LM_EPOCHS_FROM_BASE if from_base else _LM_EPOCHS
    return min(high, max(low, round(_LM_TOKENS / n_tokens)))


def language_model_rate(recipe: Recipe, *, from_base: bool) -> float:
    """The recipe's learning rate, or what suits the weights: a base that has learned for long has larger ones."""
    if recipe.lm_lr is not None:
        return recipe.lm_lr
    return _LR_FROM_BASE if from_base else _LR


def _rows(n_tokens: int, recipe: Recipe) -> int:
    """Rows of a language-model batch: fewer for a small corpus, so that an epoch still has some tens of steps."""
    return min(recipe.lm_bs, max(1, n_tokens // (_LM_MIN_STEPS * recipe.bptt)))


def train_language_model(
    stores: Stores,
    config: EncoderConfig,
    recipe: Recipe,
    clock: Clock,
    console: Console,
    base: Bundle | None,
    *,
    keep: float = 0.0,
    backwards: bool = False,
    frozen: float = _FROZEN,
) -> tuple[LanguageModel, list[dict[str, Any]], dict[str, Any]]:
    """A language model of all texts, checked on the validation part's texts.

    Args:
        stores: the texts as ids.
        config: of the model.
        recipe: the settings.
        clock: of the run.
        console: for the epoch table.
        base: what to start from; None for random weights.
        keep: seconds that are set aside for what comes after, if there is a limit.
        backwards: texts are read from their end.
        frozen: share of the time in which the layers of a base are left as they are; without a limit, an epoch at most.

    Returns:
        the model of the best epoch, the history, and the figures of that epoch.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(recipe.seed)
        model = LanguageModel(len(stores.vocab), config)
    if base is not None:
        weights, match = match_vocab(base.weights, base.vocab, stores.vocab, config.cutoffs)
        model.load_state_dict(weights)
        covered = coverage(occurrences(stores.lm.ids, stores.lm.vocab), base.vocab)
        say(
            console,
            f"base: {match.shared:,} words of the vocabulary are known to it ({covered:.1%} of the running text), "
            f"{match.new:,} are new",
        )
    bs = _rows(stores.lm.n_tokens, recipe)
    valid_bs = _rows(stores.valid.n_tokens, recipe)
    dls = DataLoaders(
        LMDataLoader(stores.lm, bs=bs, seq_len=recipe.bptt, shuffle=True, seed=recipe.seed, backwards=backwards),
        LMDataLoader(stores.valid, bs=valid_bs, seq_len=recipe.bptt, backwards=backwards),
    )
    learn = Learner(
        dls, model, metrics=["perplexity", "accuracy"], precision=recipe.precision, seed=recipe.seed, clip=LM_CLIP
    )
    say(
        console,
        f"\nLanguage model: {n_parameters(model):,} parameters, {learn.precision} on {learn.device.type}",
    )
    fingerprint = None if base is None else fingerprint_weights(base.weights)
    clock.keep(learn, "language_model", start=fingerprint, backwards=backwards)
    started, lr = clock.mark(), language_model_rate(recipe, from_base=base is not None)
    if recipe.lm_epochs == 0:
        row: dict[str, Any] = {"epoch": 0, **learn.validate()}
        say(console, f"It is left as it is: perplexity {row['perplexity']:.1f} on the texts to check with")
    else:
        row = _train(learn, stores, recipe, clock, keep, console, lr=lr, frozen=frozen if base is not None else None)
    report = {
        "epoch": row["epoch"],
        "lr": lr if recipe.lm_epochs != 0 else None,
        "perplexity": row["perplexity"],
        "accuracy": row["accuracy"],
        "tokens": stores.lm.n_tokens,
        "tokens_seen": learn.n_targets,
        "seconds": round(clock.mark() - started, 1),
        "base": None if base is None else _facts_of(base, fingerprint),
    }
    return model, [{"stage": "language_model", **row} for row in learn.history], report


def _facts_of(base: Bundle, fingerprint: str | None) -> dict[str, Any]:
    """What metrics.json says of a base: its licence goes with it."""
    facts = {"name": base.name, "words": len(base.vocab), "weights": fingerprint}
    return facts | ({"licence": base.metrics["licence"]} if base.metrics.get("licence") else {})


def _train(
    learn: Learner,
    stores: Stores,
    recipe: Recipe,
    clock: Clock,
    keep: float,
    console: Console,
    *,
    lr: float,
    frozen: float | None,
) -> dict[str, Any]:
    """Train, first without the layers if they come from a base; the history's row of the best epoch."""
    epochs = recipe.lm_epochs or default_lm_epochs(stores.lm.n_tokens, from_base=frozen is not None)
    cbs = [ProgressTable(console), best := SaveBest("valid_loss")]
    if frozen is not None:
        learn.freeze()
        learn.fit_one_cycle(min(1.0, epochs), lr, seconds=clock.share(frozen, keep=keep), cbs=cbs)
        learn.unfreeze()
    learn.fit_one_cycle(epochs, lr, seconds=clock.share(1.0, keep=keep), cbs=cbs)
    best.restore(learn)
    return best.row
