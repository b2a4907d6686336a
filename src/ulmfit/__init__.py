"""Transfer learning for text: fine-tune a language model on your texts, train a classifier on few labels, predict.

The names below are imported when they are first used, so that `import ulmfit` stays quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ulmfit._version import __version__

if TYPE_CHECKING:
    from ulmfit.errors import ConfigError, DataError, FormatError, UlmfitError
    from ulmfit.inference.answers import Prediction
    from ulmfit.inference.loading import load
    from ulmfit.inference.predictor import Predictor
    from ulmfit.integrations.sklearn import TextClassifier, TextMultilabelClassifier, TextRegressor
    from ulmfit.text import Tokenizer, TokenStore, Vocab
    from ulmfit.training.job import TrainJob, run
    from ulmfit.training.recipe import Recipe

_WHERE = {
    "ConfigError": "errors",
    "DataError": "errors",
    "FormatError": "errors",
    "Prediction": "inference.answers",
    "Predictor": "inference.predictor",
    "Recipe": "training.recipe",
    "TextClassifier": "integrations.sklearn",
    "TextMultilabelClassifier": "integrations.sklearn",
    "TextRegressor": "integrations.sklearn",
    "TokenStore": "text",
    "Tokenizer": "text",
    "TrainJob": "training.job",
    "UlmfitError": "errors",
    "Vocab": "text",
    "load": "inference.loading",
    "run": "training.job",
}

__all__ = [
    "ConfigError",
    "DataError",
    "FormatError",
    "Prediction",
    "Predictor",
    "Recipe",
    "TextClassifier",
    "TextMultilabelClassifier",
    "TextRegressor",
    "TokenStore",
    "Tokenizer",
    "TrainJob",
    "UlmfitError",
    "Vocab",
    "__version__",
    "load",
    "run",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'ulmfit' has no attribute {name!r}; it has {', '.join(sorted(_WHERE))}")
    return getattr(import_module(f"ulmfit.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
