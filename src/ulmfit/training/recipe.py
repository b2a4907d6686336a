"""The settings of the recipe."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real

from ulmfit.errors import ConfigError
from ulmfit.models import DEFAULT_ARCH
from ulmfit.models.config import CLASSIFIER_DROPOUTS, size_config
from ulmfit.text.tokenizers import AUTO, kind_problems
from ulmfit.training.precision import PRECISIONS

CONCAT, MEAN = "concat", "mean"
POOLINGS = (AUTO, CONCAT, MEAN)
MAX_VOCAB = {"small": 20_000, "base": 60_000}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The settings of a run.

    Args:
        arch: "awd_lstm" or "awd_qrnn": the architecture when there is no base.
        size: "small" or "base": its size, then.
        tokenizer: "word", "subword" or "char", when there is no base; "auto" for words, or for subwords where spaces do
            not tell words (Chinese, Japanese, Thai ...).
        lang: language of the texts, as spaCy names it, when there is no base.
        lm_epochs: epochs of the language model; None for what suits the size of the corpus, 0 for a base as it is.
        epochs: epochs of the classifier after all layers are unfrozen; None chooses them from the number of texts.
        time_budget: seconds for the whole run; epochs are then an upper limit.
        valid_pct: share of the labelled examples held out, if no validation part is given.
        seed: of the split, the weights, the order of texts and dropout.
        max_vocab: largest vocabulary; None for the size's own.
        min_freq: a word that is rarer gets no entry.
        lm_bs: most rows of a language-model batch, of which few texts have fewer; None for what suits what is started
            from.
        lm_lr: maximum learning rate of the language model; None for what suits what is started from.
        bs: documents of a classifier batch.
        lr: maximum learning rate of the classifier's head; None for what suits what is started from.
        rate_fall: by how much the learning rate falls from a parameter group to the next lower one. The paper's 2.6 is
            for an encoder that has read a hundred million words many times; smaller ones have more to learn
            (docs/training.md).
        bptt: steps of a batch of the language model, and of a chunk of the classifier.
        drop_mult: factor on the classifier's dropouts, but for that before its last layer.
        pool_words: the classifier pools the embedded words beside the encoder's outputs.
        pooling: what the classifier's head sees of a text: "concat" for the last output, maximum and mean (Howard and
            Ruder 2018), "mean" for the mean alone, "auto" for that where labelled texts are few (docs/training.md).
        ngrams: a linear model of words and word pairs answers beside the network; how much it counts is fitted on the
            validation part (docs/training.md).
        pseudo_labels: the network also learns from texts without labels of whose class the n-grams are sure, where they
            proved to be right; one class for each text (docs/training.md).
        bidirectional: train a second pair of models that reads texts from their end; answers are averaged.
        precision: "auto" for bf16 where that is faster, "bf16" or "fp32", for training and its history; predictions and
            their figures are float32.
    """

    arch: str = DEFAULT_ARCH
    size: str = "small"
    tokenizer: str = AUTO
    lang: str = "en"
    lm_epochs: float | None = None
    epochs: int | None = None
    time_budget: float | None = None
    valid_pct: float = 0.1
    seed: int = 0
    max_vocab: int | None = None
    min_freq: int = 2
    lm_bs: int | None = None
    lm_lr: float | None = None
    bs: int = 16
    lr: float | None = None
    rate_fall: float = 1.375
    bptt: int = 72
    drop_mult: float = 0.5
    pool_words: bool = True
    pooling: str = AUTO
    ngrams: bool = True
    pseudo_labels: bool = True
    bidirectional: bool = False
    precision: str = "auto"

    def __post_init__(self) -> None:
        size_config(self.size, self.arch)
        problems = []
        problems += kind_problems(self.tokenizer)
        if self.lm_epochs and not 0.05 <= self.lm_epochs < math.inf:
            problems.append(f"lm_epochs={self.lm_epochs} must be at least 0.05, or 0 for a base as it is")
        problems += [
            f"{n}={getattr(self, n)} must be at least 1"
            for n in ("epochs", "lm_bs", "bptt", "min_freq")
            if getattr(self, n) is not None and getattr(self, n) < 1
        ]
        if self.bs < 2:
            problems.append(f"bs={self.bs} must be at least 2: batch norm cannot learn from a single text")
        problems += [
            f"{n}={getattr(self, n)} must be a positive number"
            for n in ("lr", "lm_lr", "rate_fall")
            if getattr(self, n) is not None and not 0 < getattr(self, n) < math.inf
        ]
        if self.precision not in PRECISIONS:
            problems.append(f"precision={self.precision!r} must be one of {', '.join(PRECISIONS)}")
        if self.pooling not in POOLINGS:
            problems.append(f"pooling={self.pooling!r} must be one of {', '.join(POOLINGS)}")
        CLASSIFIER_DROPOUTS.scaled(self.drop_mult)
        budget = self.time_budget
        if budget is not None and not (isinstance(budget, Real) and 0 < budget < float("inf")):
            problems.append(f"time_budget={budget!r} must be a positive number of seconds")
        if not 0 < self.valid_pct < 1:
            problems.append(f"valid_pct={self.valid_pct} must be between 0 and 1")
        if problems:
            raise ConfigError("recipe: " + "; ".join(problems))
