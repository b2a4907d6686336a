"""The first stage of the recipe alone: a language model that goes on learning from other texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from ulmfit.data.sources import load_texts
from ulmfit.data.splitters import RandomSplitter, Split
from ulmfit.errors import ConfigError
from ulmfit.inference.bundle import LANGUAGE_MODEL, Bundle, save_bundle
from ulmfit.inference.folder import check_target
from ulmfit.training.bases import load_base
from ulmfit.training.cards import finetuned_card
from ulmfit.training.clock import Clock
from ulmfit.training.facts import peak_memory_mb
from ulmfit.training.lm_stage import train_language_model
from ulmfit.training.manifest import fingerprint_texts, run_manifest
from ulmfit.training.parts import Wide
from ulmfit.training.progress import say
from ulmfit.training.recipe import MAX_VOCAB, Recipe
from ulmfit.training.run_files import RunFiles

_HELD_OUT = 1_000_000  # characters


def finetune(
    base: str,
    data: Sequence[Path],
    out: Path,
    recipe: Recipe,
    console: Console | None = None,
    *,
    text: str | None = None,
    encoding: str = "utf-8",
    overwrite: bool = False,
    resume: bool = False,
) -> dict[str, Any]:
    """Fine-tune a language model, in its own direction, and write its folder.

    Args:
        base: as for `load_base`, but not "none".
        data: tables, text files or folders of text files, as `load_texts` reads them.
        out: the folder to write; `ulmfit train --base` starts from it.
        recipe: the settings; those of the classifier do not matter.
        console: where to print; by default nothing is printed.
        text: name of the text column.
        encoding: of the files.
        overwrite: replace a model at `out`.
        resume: go on with a run that was interrupted.

    Returns:
        what metrics.json holds.

    Raises:
        UlmfitError: bad data or settings; nothing is written then.
    """
    console = console or Console(quiet=True)
    check_target(out, overwrite=overwrite)
    files = RunFiles(out, {**asdict(recipe), "base": base}, console, resume=resume, overwrite=overwrite)
    clock = Clock(recipe.time_budget, files)
    start = load_base(base)
    if start is None:
        raise ConfigError("fine-tuning needs a language model to start from; ulmfit pretrain begins with none")
    if recipe.lm_epochs == 0:
        raise ConfigError("lm_epochs=0: there is nothing to learn without an epoch")
    texts = [t for path in data for t in load_texts(path, text=text, encoding=encoding).texts]
    train, valid = _split(texts, recipe, console)
    stores = Wide.build(
        [],
        [texts[i] for i in valid],
        [texts[i] for i in train],
        start.tokenizer,
        min_freq=recipe.min_freq,
        max_vocab=recipe.max_vocab or max(MAX_VOCAB[recipe.size], len(start.vocab)),
        console=console,
        base=start.vocab,
    ).narrowed()
    with files.guard():
        model, history, report = train_language_model(
            stores, start.config, recipe, clock, console, start, backwards=start.backwards
        )
        metrics = {
            **report,
            "base": {"name": Path(base).name, **report["base"]},
            "texts": len(texts),
            "peak_memory_mb": peak_memory_mb(),
        }
        metrics["run"] = run_manifest(asdict(recipe), texts=fingerprint_texts(texts))
        bundle = Bundle(
            kind=LANGUAGE_MODEL,
            config=model.config,
            weights=model.state_dict(),
            tokenizer=start.tokenizer,
            vocab=stores.vocab,
            bptt=recipe.bptt,
            backwards=start.backwards,
            metrics=metrics,
            history=tuple(history),
        )
        save_bundle(replace(bundle, card=finetuned_card(bundle, len(train))), out, overwrite=overwrite)
    say(console, f"perplexity {report['perplexity']:.1f} on {report['checked']:,} texts held out. Model saved in {out}")
    return metrics


def _split(texts: Sequence[str], recipe: Recipe, console: Console) -> Split:
    """Texts to learn from, and as many of the recipe's share to check with as are of use; the others are learned."""
    train, valid = RandomSplitter(recipe.valid_pct, recipe.seed)(texts)
    order = np.random.default_rng(recipe.seed).permutation(valid)  # files may be sorted
    n = 1 + int(np.searchsorted(np.cumsum([len(texts[i]) for i in order]), _HELD_OUT))
    if n >= len(valid):
        return train, valid
    say(console, f"{n:,} of {len(valid):,} texts held out are enough to check with; the others are learned from, too")
    return np.sort(np.concatenate([train, order[n:]])), np.sort(order[:n])
