"""How well a language model predicts texts."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch

from ulmfit.data.loaders import LMDataLoader
from ulmfit.errors import DataError
from ulmfit.inference.bundle import Bundle
from ulmfit.inference.network import language_model_of
from ulmfit.text.store import TokenStore

_ROWS = 32


def measure(bundle: Bundle, texts: Iterable[str]) -> dict[str, Any]:
    """Perplexity of a language model on texts, in float32, with its state carried from text to text.

    The texts are read as `_ROWS` parallel streams; of each only the first token is not predicted.

    Args:
        bundle: a language model.
        texts: any number of texts.

    Returns:
        `perplexity` (per token), `loss` (nats per token), `tokens` predicted, `unknown` (the share of them that are not
        in the vocabulary, predicted as xxunk), and `nats`, the sum of the loss.

    Raises:
        DataError: there is hardly anything to predict.
    """
    store = TokenStore.build(texts, bundle.tokenizer, vocab=bundle.vocab)
    if store.n_tokens < 2:
        raise DataError(f"the texts have {store.n_tokens} tokens: nothing to predict")
    model = language_model_of(bundle)
    loader = LMDataLoader(store, bs=min(_ROWS, store.n_tokens - 1), seq_len=bundle.bptt, backwards=bundle.backwards)
    nats, n, unknown = 0.0, 0, 0
    with torch.no_grad():
        for batch in loader:
            target = batch.target
            if target is None:
                raise DataError("the loader gave a batch without a target")
            nats += model(*batch.inputs).cross_entropy(target).item() * target.numel()
            n += target.numel()
            unknown += int((target == bundle.vocab.unk_idx).sum())
    return {"perplexity": math.exp(nats / n), "loss": nats / n, "tokens": n, "unknown": unknown / n, "nats": nats}
