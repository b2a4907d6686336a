"""How much the network and the n-grams beside it count.

N documents, C classes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ulmfit.data.labelling import REGRESSION, SINGLE_LABEL
from ulmfit.inference.spelling import Floats
from ulmfit.training.linear import Target

_ENOUGH = 1_000  # labelled texts: of fewer a network learns less than an n-gram model does (docs/design/ngrams.md)
_TEXTS_OF_DOUBT = 4  # for values: so many texts speak for the shares that are expected
_DOUBT = 0.5  # a prior of standard deviation 1 on the logarithm of the shares: few texts prove little


def fit_shares(network: Floats, ngrams: Floats, target: Target, task: str, n_learned: int) -> NDArray[np.float64]:
    """The factors of both halves (2,), above 0, that make held-out answers likeliest; of values they sum to 1.

    Until the answers prove otherwise, both are believed alike, the network less the fewer texts it has learned from.

    Args:
        network: (N, C).
        ngrams: (N, C).
        target: class ids (N,), 0 and 1 (N, C), or values (N,) or (N, 1).
        task: "single_label", "multi_label" or "regression".
        n_learned: labelled texts that both have learned from.
    """
    belief = min(1.0, max(1, n_learned) / _ENOUGH)  # in the network, as a share of that in the n-grams
    if task == REGRESSION:
        expected = 1 / (1 + belief)
        apart, missing = (ngrams - network).astype(np.float64), target.reshape(network.shape) - network
        worth = _TEXTS_OF_DOUBT * float((apart**2).mean())  # what a handful of texts would add to the squares
        if not worth:
            return np.array([1 - expected, expected])
        share = float(((apart * missing).sum() + worth * expected) / ((apart**2).sum() + worth))
        return np.array([1 - min(1.0, max(0.0, share)), min(1.0, max(0.0, share))])

    from scipy.optimize import minimize
    from scipy.special import log_softmax

    def loss(logs: NDArray[np.float64]) -> float:
        joined = 0.5 * (np.exp(logs[0]) * network + np.exp(logs[1]) * ngrams).astype(np.float64)
        if task == SINGLE_LABEL:
            unlikely = -log_softmax(joined, axis=1)[np.arange(len(target)), target].sum()
        else:
            unlikely = (np.logaddexp(0, joined) - target * joined).sum() / joined.shape[1]
        return float(unlikely + _DOUBT * ((logs - expected_logs) ** 2).sum()) / len(target)

    expected_logs = np.array([np.log(belief), 0.0])
    found = minimize(loss, expected_logs, method="L-BFGS-B", bounds=[(np.log(belief) - 5.0, 3.0), (-5.0, 3.0)])
    shares: NDArray[np.float64] = 0.5 * np.exp(found.x)
    return shares
