"""The stage of the recipe that has no network: the n-gram model, and what it teaches the network."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from rich.console import Console

from ulmfit.data.labelling import MULTI_LABEL, SINGLE_LABEL
from ulmfit.inference.ngrams import NGrams
from ulmfit.inference.reading import Ints, Reading
from ulmfit.training.clock import Clock
from ulmfit.training.manifest import fingerprint_texts
from ulmfit.training.ngrams import Proof, fit_and_prove, sure_answers
from ulmfit.training.parts import Texts, Wide, sample
from ulmfit.training.progress import say
from ulmfit.training.word_vectors import WordVectors

_SHARE = 0.5  # of the time left, at most, for n-grams
_MARGIN = 1.1  # for how long the second time takes
_MOST_ASKED = 20  # texts without a label, for each with one of its own
_MOST_LABELLED = 3  # texts with a label of the n-grams, for each with one of its own


@dataclass(frozen=True, kw_only=True)
class PseudoLabels:
    """Further texts of whose class the n-grams are sure.

    Args:
        rows: their numbers (n,) among the texts without labels.
        classes: what the n-grams answer (n,).
    """

    rows: Ints
    classes: Ints

    def added(self, texts: Texts) -> Texts:
        """The task with these to learn from, too."""
        known, labels = texts.train
        further, said = [texts.unlabelled[i] for i in self.rows], [texts.labels[i] for i in self.classes]
        return replace(texts, train=([*known, *further], [*labels, *said]), n_pseudo=len(self.rows))


def pseudo_label(
    ngrams: NGrams, proof: Proof, texts: Texts, unlabelled: Reading, console: Console, clock: Clock
) -> PseudoLabels | None:
    """Texts without labels that the network may learn from, with the classes that the n-grams give them.

    The classes keep their shares: of each as many are taken, for each labelled text, as of the class of which the
    n-grams are most rarely sure, at most three; at random. None that is also among the texts to learn from or to choose
    by.

    Args:
        ngrams: of one class for each text.
        proof: that their sure answers are right.
        texts: the task.
        unlabelled: its texts without labels, as ids of every word.
        console: where to say how many.
        clock: of the run; one that goes on has the same texts and classes as before.

    Returns:
        None, if the n-grams are never sure of some class, or must not be believed.
    """
    if not len(unlabelled):
        return None
    of = fingerprint_texts([*texts.train[0], *texts.valid[0], *texts.unlabelled], texts.train[1])
    made = clock.once("pseudo_labels", of, partial(_sure_of, ngrams, proof, texts, unlabelled))
    pseudo = PseudoLabels(**{name: np.array(numbers, dtype=np.int64) for name, numbers in made.items()})
    if not len(pseudo.rows):
        if texts.task == SINGLE_LABEL:
            say(console, f"The network learns from labelled texts alone: {_why_none(proof)}")
        return None
    say(
        console,
        f"The network learns from {len(pseudo.rows):,} texts without labels, too, of which the n-grams are sure; of "
        f"labelled texts that they did not know they were sure {proof.n_sure:,} times, "
        f"and right {proof.n_right:,} times",
    )
    return pseudo


def _why_none(proof: Proof) -> str:
    """Why the n-grams teach the network nothing."""
    if proof.holds:
        return "of some class the n-grams are never sure"
    if not proof.n_sure:
        return "nothing proves what the n-grams are sure of"
    return (
        f"of those that the n-grams did not know they were sure {proof.n_sure:,} times, and right {proof.n_right:,} "
        "times, which is too little to believe them"
    )


def _sure_of(ngrams: NGrams, proof: Proof, texts: Texts, unlabelled: Reading) -> dict[str, list[int]]:
    """The fields of the pseudo-labels, which may be empty."""
    none: dict[str, list[int]] = {"rows": [], "classes": []}
    if not proof.holds:
        return none
    labels, known = texts.train[1], {*texts.train[0], *texts.valid[0]}
    asked = sample(len(unlabelled), min(len(unlabelled), _MOST_ASKED * len(labels)))
    asked = asked[[texts.unlabelled[i] not in known for i in asked]]
    if not len(asked):
        return none
    sure, classes = sure_answers(ngrams.outputs(unlabelled.take(asked)))
    labelled = np.bincount(texts.target.encode(labels, "the labels"), minlength=texts.target.n_out)
    found = np.bincount(classes, minlength=len(labelled))
    share = min(_MOST_LABELLED, float((found[labelled > 0] / labelled[labelled > 0]).min()))
    of_class = [np.flatnonzero(classes == c) for c in np.flatnonzero(labelled)]
    wanted = [int(share * n) for n in labelled[labelled > 0]]
    taken = np.sort(np.concatenate([rows[sample(len(rows), n)] for rows, n in zip(of_class, wanted, strict=True)]))
    return {"rows": asked[sure[taken]].tolist(), "classes": classes[taken].tolist()}


def learn_ngrams(
    texts: Texts, wide: Wide, kind: str, console: Console, clock: Clock, vectors: WordVectors | None = None
) -> tuple[NGrams, Proof, NGrams | None]:
    """Learn from the training part; and, for the finished model, from the texts that were split off, too.

    By the first one everything is fitted and measured: the second has seen the texts that are held out. There is none
    where it would not know more (the first learned from a sample), where thresholds hang on the very probabilities of
    the first (several labels), or where the time is short; and nothing is learned from a validation part that was given
    as such.

    Args:
        texts: the task.
        wide: the same as ids of every word.
        kind: of the tokenizer.
        console: where to say what has been learned.
        clock: of the run.
        vectors: what the base knows of words.

    Returns:
        the first one, whether its sure answers may be believed, and the second.
    """
    fit = partial(
        fit_and_prove,
        task=texts.task,
        n_classes=texts.target.n_out,
        kind=kind,
        unlabelled=wide.unlabelled,
        vectors=vectors,
        seconds=None if clock.budget is None else clock.share(_SHARE),
    )
    started = time.perf_counter()
    first = fit(wide.train, texts.target.encode(texts.train[1], "the labels"), console=console)
    used = time.perf_counter() - started
    if not texts.split_off or texts.task == MULTI_LABEL or first.n_learned < len(wide.train):
        return first.model, first.proof, None
    again = _MARGIN * used * (1 + wide.valid.n_tokens / max(1, wide.train.n_tokens))
    seconds: float | None = fit.keywords["seconds"]
    if not clock.recall(float(seconds is None or used + again <= seconds)):  # as before, in a run that goes on
        say(console, "The time is short: the n-grams learn from the training part alone, not from the texts held out")
        return first.model, first.proof, None
    target = texts.target.encode([*texts.train[1], *texts.valid[1]], "the labels")
    second = fit(wide.train.joined(wide.valid), target, console=Console(quiet=True))
    if second.n_learned < len(wide.train) + len(wide.valid):
        return first.model, first.proof, None
    say(console, f"For the finished model also from the {len(wide.valid):,} texts held out, once it is measured")
    return first.model, first.proof, second.model
