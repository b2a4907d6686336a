"""The stage of the recipe that has no network: the n-gram model, from the training part and then from all labels."""

from __future__ import annotations

import time
from functools import partial

from rich.console import Console

from ulmfit.inference.ngrams import NGrams
from ulmfit.training.clock import Clock
from ulmfit.training.ngrams import fit_ngrams
from ulmfit.training.parts import Stores, Texts
from ulmfit.training.progress import say

_SHARE = 0.5  # of the time left, at most, for n-grams
_MORE = 1.2  # times as long takes the second time, which has more texts


def learn_ngrams(
    texts: Texts, stores: Stores, kind: str, console: Console, clock: Clock
) -> tuple[NGrams, NGrams | None]:
    """Learn from the training part; and, for the finished model, from the texts that were split off, too.

    By the first one everything is fitted and measured: the second has seen the texts that are held out. Nothing is
    learned from a validation part that was given as such, and nothing twice if the time is short.

    Args:
        texts: the task.
        stores: the same as ids.
        kind: of the tokenizer.
        console: where to say what has been learned.
        clock: of the run.

    Returns:
        the two models.
    """
    fit = partial(fit_ngrams, task=texts.task, n_classes=texts.target.n_out, kind=kind, unlabelled=stores.unlabelled)
    seconds = None if clock.budget is None else clock.share(_SHARE)
    started = time.perf_counter()
    target = texts.target.encode(texts.train[1], "the labels")
    first = fit(stores.train, target, console=console, seconds=seconds)
    if not texts.split_off:
        return first, None
    again = _MORE * (time.perf_counter() - started)
    left = None if seconds is None else clock.recall(max(0.0, seconds - again / _MORE))
    if left is not None and left < again:
        say(console, "The time is short: the n-grams learn from the training part alone, not from the texts held out")
        return first, None
    store = stores.train.joined(stores.valid)
    target = texts.target.encode([*texts.train[1], *texts.valid[1]], "the labels")
    second = fit(store, target, console=Console(quiet=True), seconds=left)
    say(console, f"For the finished model also from the {len(stores.valid):,} texts held out, once it is measured")
    return first, second
