"""The ULMFiT recipe: from texts and labels to a classifier, in three stages.

1. A language model is trained (or, from a base, fine-tuned) on all texts, labelled or not.
2. Its encoder gets a classifier's head, which is trained alone.
3. The layers are unfrozen from the top, lower layers learning more slowly.

Source: Howard and Ruder 2018, "Universal Language Model Fine-tuning for Text Classification".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console

from ulmfit.errors import ConfigError
from ulmfit.inference.bundle import CLASSIFIER, LANGUAGE_MODEL, Bundle
from ulmfit.inference.ngrams import NGrams
from ulmfit.models.config import size_config
from ulmfit.text.tokenizers import Tokenizer
from ulmfit.training.bases import own_tokenizer
from ulmfit.training.classifier_stages import (
    FORWARD_COST,
    classifier_learner,
    classifier_pooling,
    classifier_rate,
    classifier_tokens,
    seconds_per_token,
    stages_of,
    train_classifier,
)
from ulmfit.training.clock import Clock
from ulmfit.training.lm_stage import train_language_model
from ulmfit.training.ngram_stage import PseudoLabels, learn_ngrams, pseudo_label
from ulmfit.training.parts import FEW, Stores, Texts, Wide, sample
from ulmfit.training.progress import say
from ulmfit.training.recipe import MAX_VOCAB, Recipe
from ulmfit.training.word_vectors import WordVectors

_CHECKS = 0.2  # of the time left, at most, is for checking epochs
_FITS = 5  # of a direction: two of the language model, three of the classifier; each ends with a check


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a run of the recipe gives.

    Args:
        classifier: the classifier, with the one that reads from the end beside it if both directions were trained.
        language_model: the language model its encoder came from.
        backward_language_model: that of the other direction.
        ngrams: what takes the place of the classifier's once it is measured: they know the texts held out, too.
    """

    classifier: Bundle
    language_model: Bundle
    backward_language_model: Bundle | None = None
    ngrams: NGrams | None = None


def train_text_classifier(
    texts: Texts,
    recipe: Recipe,
    console: Console,
    *,
    base: Bundle | None = None,
    backward_base: Bundle | None = None,
    clock: Clock | None = None,
    n_evaluated: int = 0,
) -> Trained:
    """Run the three stages, for both directions one after the other if the recipe says so.

    Args:
        texts: the task.
        recipe: the settings.
        console: for the epoch tables.
        base: a language model to start from; without it one is trained from random weights.
        backward_base: the same for the direction from the end.
        clock: of the whole run, if that began earlier.
        n_evaluated: texts that the finished model will be measured on, for which time must be left.

    Raises:
        ConfigError: the language model is not to be trained, and there is no base.
    """
    clock = clock or Clock(recipe.time_budget)
    if recipe.lm_epochs == 0 and (base is None or (recipe.bidirectional and backward_base is None)):
        raise ConfigError("lm_epochs=0 takes a base as it is, and there is none; name one, or let the model learn")
    if not recipe.bidirectional:
        return _one_direction(texts, recipe, console, base, clock, n_evaluated)[0]
    half = Clock(clock.share(0.5), clock.files)
    say(console, "\nFirst direction: from the start of the texts")
    other = None if backward_base is None else backward_base.tokenizer
    forward, pseudo = _one_direction(texts, recipe, console, base, half, n_evaluated, tokenizer=other)
    say(console, "\nSecond direction: from their end")
    back, _ = _one_direction(
        *(texts, recipe, console, backward_base, clock, 2 * n_evaluated),
        backwards=True,
        pseudo=pseudo,
        tokenizer=forward.classifier.tokenizer,
    )
    return Trained(
        classifier=replace(forward.classifier, backward=back.classifier),
        language_model=forward.language_model,
        backward_language_model=back.language_model,
        ngrams=forward.ngrams,
    )


def _one_direction(
    texts: Texts,
    recipe: Recipe,
    console: Console,
    base: Bundle | None,
    clock: Clock,
    n_evaluated: int,
    *,
    backwards: bool = False,
    pseudo: PseudoLabels | None = None,
    tokenizer: Tokenizer | None = None,
) -> tuple[Trained, PseudoLabels | None]:
    """One of the two directions; without a base it cuts texts as `tokenizer` does, if there is one."""
    config = size_config(recipe.size, recipe.arch) if base is None else base.config
    if base is not None:
        tokenizer = base.tokenizer
    elif tokenizer is None:
        tokenizer = own_tokenizer(recipe.tokenizer, recipe.lang, texts.train[0], console)
    wide = Wide.build(
        texts.train[0],
        texts.valid[0],
        texts.unlabelled,
        tokenizer,
        min_freq=1 if tokenizer.tok.kind == "subword" else recipe.min_freq,  # whose pieces are all needed
        max_vocab=recipe.max_vocab or max(MAX_VOCAB[recipe.size], len(base.vocab) if base is not None else 0),
        console=console,
        base=None if base is None else base.vocab,
    )
    stores = wide.narrowed()
    per_token, per_text = 0.0, 0.0  # seconds of training, and of a forward pass
    if clock.budget is not None:
        per_token = seconds_per_token(classifier_learner(texts, stores, config, recipe, backwards=backwards))
        per_text = per_token * FORWARD_COST * stores.valid.n_tokens / len(stores.valid)
        clock.reserve += per_text * n_evaluated
    ngrams, final_ngrams, proof = None, None, None
    if recipe.ngrams and not backwards:  # before the network, which takes all the time that is left
        vectors = None if base is None else WordVectors.of(base)
        ngrams, proof, final_ngrams = learn_ngrams(texts, wide, tokenizer.tok.kind, console, clock, vectors)
        if recipe.pseudo_labels:
            pseudo = pseudo_label(ngrams, proof, texts, wide.unlabelled, console, clock)
    del wide  # for each token two bytes or four, and each word
    if pseudo is not None:
        texts, stores = pseudo.added(texts), stores.with_unlabelled(pseudo.rows)
    needed = 0.0
    if clock.budget is not None:
        texts, stores, needed = _planned(texts, stores, recipe, clock, per_token, per_text, n_evaluated, console)
    language_model, lm_history, lm_report = train_language_model(
        stores, config, recipe, clock, console, base, keep=needed, backwards=backwards
    )
    lr = classifier_rate(recipe, from_base=base is not None)
    classifier, history, report = train_classifier(
        texts, stores, language_model, recipe, clock, console, lr=lr, backwards=backwards
    )
    common: dict[str, Any] = {
        "tokenizer": tokenizer,
        "vocab": stores.vocab,
        "bptt": recipe.bptt,
        "pool_words": recipe.pool_words,
        "backwards": backwards,
    }
    trained = Trained(
        classifier=Bundle(
            kind=CLASSIFIER,
            config=classifier.config,
            weights=classifier.state_dict(),
            labels=tuple(texts.labels),
            task=texts.task,
            y_range=None if texts.scale is None else texts.scale.y_range,
            metrics={
                "language_model": lm_report,
                "lr": lr,
                "pooling": classifier_pooling(recipe, texts),
                "checked": len(stores.valid),
                "pseudo_labelled": texts.n_pseudo,
                "ngrams_sure": None if proof is None else {"n": proof.n_sure, "right": proof.n_right},
                "best": report,
                "seconds": round(clock.used, 1),
            },
            history=(*lm_history, *history),
            ngrams=ngrams,
            **common,
        ),
        language_model=Bundle(
            kind=LANGUAGE_MODEL,
            config=language_model.config,
            weights=language_model.state_dict(),
            metrics=lm_report,
            history=tuple(lm_history),
            **common,
        ),
        ngrams=final_ngrams,
    )
    return trained, pseudo


def _planned(
    texts: Texts,
    stores: Stores,
    recipe: Recipe,
    clock: Clock,
    per_token: float,
    per_text: float,
    n_evaluated: int,
    console: Console,
) -> tuple[Texts, Stores, float]:
    """How the rest of a budget is spent: what is reserved for measuring the finished model is not part of it.

    Epochs are checked on a sample of the texts that are held out if all of them would take too long.

    Args:
        texts: the task.
        stores: the same as ids.
        recipe: the settings.
        clock: of the run; gets what a check takes.
        per_token: seconds of training all layers of the classifier.
        per_text: seconds of a forward pass for a text that is held out.
        n_evaluated: texts that the finished model is measured on, counted for each direction.
        console: where to say what is cut short.

    Returns:
        the texts with those to check epochs by, and the seconds that are kept for the classifier.
    """
    n, left = len(stores.valid), max(0.0, clock.left or 0.0)
    if not left:
        say(
            console,
            "The time budget is used up; the network takes a step in each stage all the same, and measuring the model "
            f"about {per_text * n_evaluated:.0f} s: the run is longer than asked",
        )
    epochs = sum(stage.epochs for stage in stages_of(texts, recipe))
    checks = max(_FITS, min(epochs, left / (per_token * stores.train.n_tokens)))
    most = int(_CHECKS * left / checks / per_text)
    rows = sample(n, int(clock.recall(min(n, max(FEW, most))) or n))
    if len(rows) < n:
        say(console, f"The time is short: epochs are checked on {len(rows):,} of the {n:,} texts held out")
        texts, stores = texts.checked_by(rows), stores.checked_by(rows)
    clock.check = per_text * len(rows)
    whole = per_token * classifier_tokens(texts, stores, recipe)
    share, cut = (left, "It is") if recipe.lm_epochs == 0 else (left / 2, "Both models are")
    if whole > share:
        say(
            console,
            f"The time budget is short: the classifier alone would take about {whole:.0f} s, "
            f"{left:.0f} s are left. {cut} cut short",
        )
    return texts, stores, min(whole, share)
