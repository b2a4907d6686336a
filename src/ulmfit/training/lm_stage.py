"""The first stage of the recipe: a language model of all texts, from random weights or from a base."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, cast

import torch
from rich.console import Console

from ulmfit.data.loaders import LMDataLoader
from ulmfit.inference.bundle import Bundle
from ulmfit.models.config import EncoderConfig
from ulmfit.models.encoder import n_parameters
from ulmfit.models.language_model import LanguageModel
from ulmfit.pretrained.transfer import coverage, match_vocab, occurrences
from ulmfit.text.store import TokenStore
from ulmfit.training.clock import Clock
from ulmfit.training.learner import DataLoaders, Learner
from ulmfit.training.lm_callbacks import FreshStarts, GrowingDropout
from ulmfit.training.manifest import fingerprint_weights
from ulmfit.training.parts import FEW, Stores, sample
from ulmfit.training.progress import ProgressTable, say
from ulmfit.training.recipe import Recipe
from ulmfit.training.schedules import trapezoid
from ulmfit.training.tracking import SaveBest
from ulmfit.training.validation import seconds_per_token

CLIP = 1.0  # an LSTM from random weights at this learning rate diverges now and then without it
_LM_TOKENS = 15_000_000  # a language model sees about so many tokens, if no epochs are given
_LM_EPOCHS = (2, 20)  # and at least and at most so many epochs
_LM_EPOCHS_FROM_BASE = (1, 3)  # a base has learned the language already, and a small corpus by heart soon
# What follows was chosen by perplexity on held-out texts of three corpora, see docs/training.md.
_LR, _LR_FROM_BASE = 1e-2, 2e-2  # the second for _ROWS_FROM_BASE rows, and less for fewer
_ROWS, _ROWS_FROM_BASE = 32, 64
_FALL = 0.7  # of the time, in which the learning rate falls
_LM_MIN_STEPS = 30  # steps of an epoch that a small corpus is cut into, by smaller batches
_CHECKED = 200_000  # tokens: more would hardly say more
_CHECK_SHARE = 0.05  # of the time, if there is a limit
_TIMED = 5_000  # tokens


def default_lm_epochs(n_tokens: int, *, from_base: bool = False) -> int:
    """Epochs for a language model of a corpus of so many tokens."""
    low, high = _LM_EPOCHS_FROM_BASE if from_base else _LM_EPOCHS
    return min(high, max(low, round(_LM_TOKENS / n_tokens)))


def language_model_rate(recipe: Recipe, *, from_base: bool, rows: int = _ROWS_FROM_BASE) -> float:
    """The recipe's learning rate, or what suits the weights.

    A base that has learned for long has larger ones than a new model, and learns a small corpus by heart if small
    batches take steps as large as those of large ones.
    """
    if recipe.lm_lr is not None:
        return recipe.lm_lr
    return _LR_FROM_BASE * math.sqrt(rows / _ROWS_FROM_BASE) if from_base else _LR


def _rows(n_tokens: int, recipe: Recipe, *, from_base: bool) -> int:
    """Rows of a language-model batch: fewer for a small corpus, so that an epoch still has some tens of steps."""
    most = recipe.lm_bs or (_ROWS_FROM_BASE if from_base else _ROWS)
    return min(most, max(1, n_tokens // (_LM_MIN_STEPS * recipe.bptt)))


def _to_check(store: TokenStore, n_tokens: float) -> TokenStore:
    """Some of the texts, drawn at random, with about so many tokens."""
    wanted = max(FEW, math.ceil(len(store) * n_tokens / max(1, store.n_tokens)))
    return store if wanted >= len(store) else store.take(sample(len(store), wanted))


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
) -> tuple[LanguageModel, list[dict[str, Any]], dict[str, Any]]:
    """A language model of all texts, checked on the validation part's texts, or on some of them if they are many.

    Args:
        stores: the texts as ids.
        config: of the model.
        recipe: the settings.
        clock: of the run.
        console: for the epoch table.
        base: what to start from; None for random weights.
        keep: seconds that are set aside for what comes after, if there is a limit.
        backwards: texts are read from their end.

    Returns:
        the model of the best epoch, the history, and the figures of that epoch.
    """
    model = begin(stores, config, recipe, console, base)
    from_base = base is not None
    valid, check = _to_check(stores.valid, _CHECKED), 0.0
    learner = partial(_learner, model, stores.lm, recipe=recipe, from_base=from_base, backwards=backwards)
    if clock.left is not None:
        timed = learner(_to_check(valid, _TIMED))
        per_token = seconds_per_token(timed, cast("LMDataLoader", timed.dls.valid))
        most = _CHECK_SHARE * max(0.0, clock.left - keep) / per_token
        valid = _to_check(valid, clock.recall(min(valid.n_tokens, most)) or 0.0)
        check = per_token * valid.n_tokens
    learn = learner(valid)
    say(
        console,
        f"\nLanguage model: {n_parameters(model):,} parameters, {learn.precision} on {learn.device.type}",
    )
    if len(valid) < len(stores.valid):
        say(console, f"It is checked on {len(valid):,} of the {len(stores.valid):,} texts held out")
    fingerprint = None if base is None else fingerprint_weights(base.weights)
    clock.keep(learn, "language_model", start=fingerprint, backwards=backwards)
    rows = cast("LMDataLoader", learn.dls.train).bs
    started, lr = clock.mark(), language_model_rate(recipe, from_base=from_base, rows=rows)
    if recipe.lm_epochs == 0:
        row: dict[str, Any] = {"epoch": 0, **learn.validate()}
        say(console, f"It is left as it is: perplexity {row['perplexity']:.1f} on {len(valid):,} texts to check with")
    else:
        epochs = recipe.lm_epochs or default_lm_epochs(stores.lm.n_tokens, from_base=from_base)
        best = SaveBest("valid_loss")
        learn.fit(
            epochs,
            lr,
            schedule=trapezoid(fall=_FALL, mom=learn.moms[1]),
            seconds=clock.share(1.0, keep=keep, check=check),
            cbs=[ProgressTable(console), GrowingDropout(), FreshStarts(), best],
        )
        best.restore(learn)
        row = best.row
    report = {
        "epoch": row["epoch"],
        "lr": lr if recipe.lm_epochs != 0 else None,
        "perplexity": row["perplexity"],
        "accuracy": row["accuracy"],
        "checked": len(valid),
        "tokens": stores.lm.n_tokens,
        "tokens_seen": learn.n_targets,
        "seconds": round(clock.mark() - started, 1),
        "base": None if base is None else _facts_of(base, fingerprint),
    }
    return model, [{"stage": "language_model", **row} for row in learn.history], report


def begin(
    stores: Stores, config: EncoderConfig, recipe: Recipe, console: Console, base: Bundle | None
) -> LanguageModel:
    """The model before it learns: the base, for the words of the texts, or random weights."""
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
    return model


def _learner(
    model: LanguageModel, lm: TokenStore, valid: TokenStore, recipe: Recipe, *, from_base: bool, backwards: bool
) -> Learner:
    bs, valid_bs = (_rows(store.n_tokens, recipe, from_base=from_base) for store in (lm, valid))
    dls = DataLoaders(
        LMDataLoader(lm, bs=bs, seq_len=recipe.bptt, shuffle=True, seed=recipe.seed, backwards=backwards),
        LMDataLoader(valid, bs=valid_bs, seq_len=recipe.bptt, backwards=backwards),
    )
    metrics = ["perplexity", "accuracy"]
    return Learner(dls, model, metrics=metrics, precision=recipe.precision, seed=recipe.seed, clip=CLIP)


def _facts_of(base: Bundle, fingerprint: str | None) -> dict[str, Any]:
    """What metrics.json says of a base: its licence goes with it."""
    facts = {"name": base.name, "words": len(base.vocab), "weights": fingerprint}
    return facts | ({"licence": base.metrics["licence"]} if base.metrics.get("licence") else {})
