"""Which words an answer rests on, by one backward pass.

T tokens, E embedding, C classes.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ulmfit.errors import ConfigError, DataError
from ulmfit.inference.answers import Prediction, TextPredictor
from ulmfit.inference.bundle import Bundle
from ulmfit.inference.predictor import Predictor
from ulmfit.models.classifier import TextClassifier
from ulmfit.models.pooling import Pool

_LONGEST = 5_000  # tokens; the whole text is held to differentiate through it
_COLOURS = {True: "34, 139, 34", False: "200, 50, 50"}  # for and against, red, green, blue


@dataclass(frozen=True)
class Explanation:
    """The contribution of every token to one class.

    A contribution is the change of the class's logit (of the value, for regression) that the token makes to first
    order, in comparison with a vector of zeros in its place: the inner product of its embedding with the gradient; of
    a model of two directions, the mean of both; of a model with n-grams, in its shares, with the weights of those that
    the token stands in. It is a linear view of a model that is not linear: it tells where to
    look, not what would happen without the word.

    Args:
        label: the class that is explained; of regression, the number of the value.
        prediction: what the model says of the text.
        tokens: T tokens as the model reads them.
        contributions: T numbers; above 0 speaks for the class, below 0 against it.

    Source: Kindermans et al. 2016, "Investigating the influence of noise and distractors on the interpretation of
    neural networks", and Denil et al. 2014, "Extraction of Salient Sentences from Labelled Documents" (gradient times
    input).
    """

    label: str
    prediction: Prediction
    tokens: tuple[str, ...]
    contributions: tuple[float, ...]

    def top(self, n: int = 10) -> list[tuple[str, float]]:
        """The tokens with the largest contributions, for or against, largest first."""
        pairs = zip(self.tokens, self.contributions, strict=True)
        return sorted(pairs, key=lambda pair: -abs(pair[1]))[:n]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as for JSON."""
        return {
            "label": self.label,
            "prediction": self.prediction.to_dict(),
            "tokens": [{"token": t, "contribution": c} for t, c in zip(self.tokens, self.contributions, strict=True)],
        }

    def to_html(self) -> str:
        """The tokens, the more strongly coloured the more they count: green for the class, red against it."""
        largest = max(map(abs, self.contributions)) or 1.0
        spans = "\n".join(
            f'<span title="{c:+.4f}" style="background: rgba({_COLOURS[c > 0]}, {abs(c) / largest:.2f})">'
            f"{html.escape(t)}</span>"
            for t, c in zip(self.tokens, self.contributions, strict=True)
        )
        return f'<p class="ulmfit-explanation"><strong>{html.escape(self.label)}</strong>: {spans}</p>'

    def to_text(self, n: int = 10) -> str:
        """The n tokens that count most, one a line."""
        return "\n".join(f"{c:+9.4f}  {t}" for t, c in self.top(n))

    _repr_html_ = to_html
    __str__ = to_text


def explain(predictor: TextPredictor, text: str, *, label: str | None = None) -> Explanation:
    """The contribution of every token of a text to a class; see `Explanation` for the method.

    Args:
        predictor: the model.
        text: the text, of at most 5,000 tokens.
        label: the class; by default the one that is predicted, or else the likeliest. For regression the number of the
            value, "0" by default.

    Raises:
        DataError: it is no text, or too long.
        ConfigError: the model has no such class, or was exported: ONNX has no gradients.
    """
    if not isinstance(predictor, Predictor):
        raise ConfigError("an exported model cannot be explained, it has no gradients; use the folder it was made from")
    if not isinstance(text, str):
        raise DataError(f"expected a text, got {type(text).__name__}")
    prediction = predictor.predict(text)
    labels = predictor.labels or tuple(str(i) for i in range(predictor.n_outputs))
    if label is None:
        likeliest = max(prediction.probabilities, key=prediction.probabilities.__getitem__, default=labels[0])
        label = prediction.label or likeliest
    if label not in labels:
        raise ConfigError(f"the model has no class {label!r}; it has {', '.join(labels)}")
    tokens = predictor.tokens(text)
    if len(tokens) > _LONGEST:
        raise DataError(f"the text has {len(tokens):,} tokens; at most {_LONGEST:,} can be explained")
    with predictor.thread_limit(1):
        of_each = [_contributions(*direction, tokens, labels.index(label)) for direction in predictor.directions]
    contributions = np.mean(of_each, axis=0)
    if predictor.ngrams is not None:
        vocab, (network, ngrams) = predictor.bundle.vocab, predictor.ngrams.shares
        of_ngrams = predictor.ngrams.contributions(tokens, vocab, labels.index(label))
        contributions = network * contributions + ngrams * of_ngrams
    return Explanation(label, prediction, tuple(tokens), tuple(contributions.tolist()))


def _contributions(bundle: Bundle, model: TextClassifier, tokens: list[str], output: int) -> list[float]:
    """The contribution of each token (T,) in one direction's model."""
    ids = bundle.vocab.numericalize(tokens)
    values = _gradient_times_input(model, torch.from_numpy(ids[::-1].copy() if bundle.backwards else ids), output)
    return values[::-1] if bundle.backwards else values


def _gradient_times_input(model: TextClassifier, ids: torch.Tensor, output: int) -> list[float]:
    """The inner products (T,) of the embedded words and the gradient of an output at them.

    The network is read in one piece: between pieces of `bptt` steps training cuts the gradient, but the answer depends
    on all of them.
    """
    encoder, document_encoder = model.encoder, model.document_encoder
    with torch.enable_grad():
        words = encoder.embed(ids.unsqueeze(0)).detach().requires_grad_()
        states, _ = encoder.run(words)
        pool = Pool(torch.tensor([len(ids)]), document_encoder.max_len)
        pool.add(torch.cat([states, words], 2) if document_encoder.pool_words else states, 0)
        logit = model.head(pool.result(torch.zeros(1, dtype=torch.long))).logits[0, output]
        (gradient,) = torch.autograd.grad(logit, words)
    products: list[float] = (gradient * words.detach()).sum(2)[0].tolist()
    return products
