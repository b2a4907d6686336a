"""Every name that programs for texts use, for `from ulmfit.text.all import *`.

Beside the library's own names these are the few of Python, numpy, pandas and torch that such programs take for granted.
"""

from __future__ import annotations

import inspect
import itertools
import json
import math
import os
import random
import re
import shutil
import sys
import time
import warnings
from collections import Counter, defaultdict
from functools import partial
from importlib import import_module
from operator import attrgetter, itemgetter
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn, tensor

from ulmfit.arguments import likeliest
from ulmfit.data.block import DataBlock
from ulmfit.data.bunch import TextClasDataBunch, TextLMDataBunch
from ulmfit.data.collection import L, coll_repr, first
from ulmfit.data.dataloaders import TextDataLoaders
from ulmfit.data.external import URLs, untar_data
from ulmfit.data.getters import (
    AttrGetter,
    ColReader,
    ItemGetter,
    RegexLabeller,
    get_files,
    get_text_files,
    parent_label,
)
from ulmfit.data.loaders import ClassifierLoader, LMDataLoader
from ulmfit.data.splitters import (
    ColSplitter,
    EndSplitter,
    FileSplitter,
    FuncSplitter,
    GrandparentSplitter,
    IndexSplitter,
    MaskSplitter,
    RandomSplitter,
    RandomSubsetSplitter,
    TrainTestSplitter,
)
from ulmfit.data.tables import read_files
from ulmfit.data.targets import CategoryBlock, MultiCategoryBlock, RegressionBlock
from ulmfit.data.text_block import TextBlock
from ulmfit.elsewhere import ELSEWHERE, Absent, Misspelt
from ulmfit.errors import ConfigError, DataError, FormatError, UlmfitError
from ulmfit.inference.interpretation import Interpretation
from ulmfit.inference.loading import load
from ulmfit.models.config import size_config
from ulmfit.models.core import *
from ulmfit.models.dropout import EmbeddingDropout, RNNDropout
from ulmfit.text import *
from ulmfit.training.answering import LMLearner, TextLearner
from ulmfit.training.averaging import NTASGD, ExponentialMovingAverage, WeightAverage
from ulmfit.training.callbacks import (
    Callback,
    CancelBatchException,
    CancelEpochException,
    CancelFitException,
    CancelStepException,
    CancelTrainException,
    CancelValidException,
    GradientAccumulation,
    GradientClip,
    TerminateOnNaN,
)
from ulmfit.training.exporting import load_learner
from ulmfit.training.learner import DataLoaders, Learner
from ulmfit.training.lm_callbacks import FreshStarts, GrowingDropout
from ulmfit.training.losses import (
    BCEWithLogitsLossFlat,
    CrossEntropyLossFlat,
    FocalLossFlat,
    L1LossFlat,
    LabelSmoothingCrossEntropy,
    MSELossFlat,
    class_weights,
)
from ulmfit.training.lr_finder import minimum, slide, steep, valley
from ulmfit.training.metrics import (
    AvgMetric,
    Perplexity,
    accuracy,
    accuracy_multi,
    error_rate,
    mae,
    mse,
    msle,
    rmse,
    top_k_accuracy,
)
from ulmfit.training.mixup import MixUp
from ulmfit.training.more_callbacks import (
    BnFreeze,
    MixedPrecision,
    ModelResetter,
    RNNRegularizer,
    ShowGraphCallback,
    SkipToEpoch,
    rnn_cbs,
)
from ulmfit.training.names import (
    Metric,
    TensorText,
    default_device,
    distrib_barrier,
    get_model,
    load_model_text,
    rank_distrib,
    save_model,
    set_seed,
    to_device,
    to_np,
    total_params,
    trainable_params,
)
from ulmfit.training.optimizer import SGD, Adam, RAdam, RMSProp
from ulmfit.training.optimizers import Lamb, Larc, Lookahead, OptimWrapper, QHAdam, ranger
from ulmfit.training.param_scheduler import (
    ParamScheduler,
    SchedCos,
    SchedExp,
    SchedLin,
    SchedNo,
    SchedPoly,
    combine_scheds,
    combined_cos,
    sched_cos,
    sched_exp,
    sched_lin,
    sched_no,
)
from ulmfit.training.recorder import Recorder
from ulmfit.training.sklearn_metrics import (
    APScoreBinary,
    APScoreMulti,
    BalancedAccuracy,
    BrierScore,
    CohenKappa,
    ExplainedVariance,
    F1Score,
    F1ScoreMulti,
    FBeta,
    FBetaMulti,
    HammingLoss,
    HammingLossMulti,
    Jaccard,
    JaccardMulti,
    MatthewsCorrCoef,
    MatthewsCorrCoefMulti,
    PearsonCorrCoef,
    Precision,
    PrecisionMulti,
    R2Score,
    Recall,
    RecallMulti,
    RocAuc,
    RocAucBinary,
    RocAucMulti,
    SklearnMetric,
    SpearmanCorrCoef,
)
from ulmfit.training.text_learner import language_model_learner, text_classifier_learner
from ulmfit.training.trackers import LogTo
from ulmfit.training.tracking import (
    CSVLogger,
    EarlyStoppingCallback,
    JSONLLogger,
    ReduceLROnPlateau,
    SaveBest,
    SaveModelCallback,
    TrackerCallback,
)

TextDataLoader = Misspelt("TextDataLoader", TextDataLoaders)
perplexity = "perplexity"
TerminateOnNaNCallback = TerminateOnNaN
ClassificationInterpretation = Interpretation
FocalLoss = FocalLossFlat
LabelSmoothingCrossEntropyFlat = LabelSmoothingCrossEntropy
"""The names under which some programs have them."""

if TYPE_CHECKING:
    import pandas as pd
else:

    class _WhenUsed(ModuleType):
        """A module that is imported when something of it is first asked for: pandas takes half a second."""

        def __getattr__(self, name: str) -> Any:
            return getattr(import_module(self.__name__), name)

    pd = _WhenUsed("pandas")

_OWN = {"annotations", "Any", "TYPE_CHECKING", "ELSEWHERE", "Absent", "Misspelt", "likeliest"}
__all__ = [name for name in dir() if not name.startswith("_") and name not in _OWN]
__all__ += [name for name in ELSEWHERE if "." not in name]


def __getattr__(name: str) -> Any:
    if name in ELSEWHERE:
        return Absent(name)
    if name.startswith("__"):
        raise AttributeError(name)
    meant = likeliest(name, [n for n in __all__ if not isinstance(globals().get(n), Misspelt)])
    raise AttributeError(f"ulmfit.text.all has no {name!r}" + (f"; did you mean {meant!r}?" if meant else ""))
