"""Names of fastai that are not here, and what to use in their place; docs/coming-from-fastai.md has the same rows."""

from __future__ import annotations

import warnings
from typing import Any, NoReturn

from ulmfit.errors import ConfigError

_IDS = "TokenStore keeps ids, and finds them again; tokenize_csv and tokenize_folder give tokens"
_PADDED = "loaders pad behind the texts and give their lengths"
_LOOP = "it is part of the loop here, not a callback"
_METRIC = "any function of (logits, targets) is a metric, or ulmfit.training.sklearn_metrics.SklearnMetric(...)"
_RECORDED = "learn.recorder and learn.history have the losses; a class derived from Metric is a metric of your own"
_MOVED = "ulmfit.pretrained.transfer.match_vocab moves weights to another vocabulary"
_ORDER = "callbacks are called in the order of learn.cbs; the events are in ulmfit.training.callbacks.EVENTS"
_TYPES = "CategoryBlock, MultiCategoryBlock and RegressionBlock say what labels are"
_IMAGES = "it is for images, or without use for texts"
_POOL = "ulmfit.models.pooling.Pool pools the outputs of a document"
_DRAWN = "call the method: dls.show_batch(), learn.show_results(), interp.plot_top_losses(k)"
_FORMS = "what is done with items is said by a DataBlock, with functions: get_x, get_y, and rules of a Tokenizer"

ELSEWHERE = {
    "BaseTokenizer": "derive from ulmfit.text.base.BareTokenizer; to cut at spaces, str.split",
    "TokenizeWithRules": "ulmfit.text.tokenizers.Tokenizer has rules",
    "load_tokenized_csv": _IDS,
    "fn_counter_pkl": _IDS,
    "fn_lengths_pkl": _IDS,
    "eu_langs": "SubwordTokenizer(lang=...) knows them",
    "decode_spec_tokens": "ulmfit.text.detokenize.detokenize writes tokens as text",
    "LMTensorText": "ulmfit.training.names.TensorText",
    "SortedDL": "ulmfit.data.loaders.ClassifierLoader sorts by length; loader.batch_indices() tells the order",
    **dict.fromkeys(("Pad_Input", "pad_input", "Pad_Chunk", "pad_chunk", "pad_input_chunk"), _PADDED),
    "Datasets": "ulmfit.data.datasets.Datasets is what DataBlock.datasets(source) gives",
    "TfmdLists": "ulmfit.data.datasets.Datasets is what DataBlock.datasets(source) gives",
    "TfmdDL": "TextDataLoaders, DataBlock.dataloaders or dls.test_dl(texts) give loaders",
    "DataLoader": "ulmfit.data.loaders.ClassifierLoader takes ids and labels; torch's is torch.utils.data.DataLoader",
    "WeightedDL": "weights= of ulmfit.data.options.LoaderOptions, which all loaders take, or balanced=True",
    "PartialDL": "partial_n= of ulmfit.data.options.LoaderOptions, which all loaders take, or learn.fit(0.1)",
    "weighted_dataloaders": "the method of a DataBlock: block.weighted_dataloaders(source, wgts)",
    "partial_dataloaders": "the method of a DataBlock: block.partial_dataloaders(source, partial_n)",
    **dict.fromkeys(("TransformBlock", "Categorize", "MultiCategorize", "EncodedMultiCategorize"), _TYPES),
    "RegressionSetup": _TYPES,
    "Category": "a label is a plain string here; dls.labels has all of them",
    "MultiCategory": "the labels of a text are a plain list of strings",
    "CategoryMap": "dls.labels has the labels in the order of their ids",
    "Transform": _FORMS,
    "ItemTransform": _FORMS,
    "Pipeline": _FORMS,
    **dict.fromkeys(("show_batch", "show_results", "plot_top_losses"), _DRAWN),
    "WeightDropout": "ulmfit.models.dropout.WeightDrop gives the dropped weights to the call",
    "dropout_mask": _POOL,
    "masked_concat_pool": _POOL,
    **dict.fromkeys(("match_embeds", "load_ignore_keys", "clean_raw_keys"), _MOVED),
    "Learner.tta": "texts have no random transforms, it was n equal passes: learn.get_preds()",
    "Learner.destroy": "del learn; nothing else keeps it",
    "Learner.to_non_native_fp16": "learn.to_fp16()",
    "Learner.no_mbar": "learn.no_bar()",
    "Learner.loss_not_reduced": "learn.get_preds(with_loss=True) gives the loss of each text",
    **dict.fromkeys(("Learner.show_training_loop", "Learner.ordered_cbs"), _ORDER),
    "Learner.added_cbs": "give them to the fit: learn.fit(1, cbs=[...])",
    "Learner.removed_cbs": "learn.remove_cbs(...), and learn.add_cbs(...) after it",
    "RNNCallback": "learn.output is what the model gave, in after_pred",
    **dict.fromkeys(("TrainEvalCallback", "GatherPredsCallback", "FetchPredsCallback", "CastToTensor"), _LOOP),
    "ProgressCallback": f"{_LOOP}; verbose= of a learner, and learn.no_bar()",
    "LRFinder": f"{_LOOP}; learn.lr_find()",
    "ShortEpochCallback": "learn.fit(0.01) is a part of an epoch",
    "CutMix": _IMAGES,
    "CollectDataCallback": _IMAGES,
    "MCDropoutCallback": "probabilities are calibrated instead: see docs/inference.md",
    "CancelBackwardException": "CancelBatchException leaves out the batch, CancelStepException its step",
    **dict.fromkeys(("exp_rmspe", "foreground_acc", "Dice", "DiceMulti", "JaccardCoeff", "JaccardCoeffMulti"), _METRIC),
    "CorpusBLEUMetric": _METRIC,
    "BrierScoreMulti": f"{_METRIC}, as SklearnMetric('brier_score_loss', 'brier', kind='multi_probabilities')",
    "skm_to_fastai": "ulmfit.training.sklearn_metrics.SklearnMetric",
    **dict.fromkeys(("AccumMetric", "AvgLoss", "AvgSmoothLoss", "ValueMetric", "LossMetric"), _RECORDED),
    **dict.fromkeys(("LossMetrics", "optim_metric"), _RECORDED),
    "BCELossFlat": "BCEWithLogitsLossFlat, which takes logits",
    "plt": "import matplotlib.pyplot as plt, of the extra plot",
    "DiceLoss": "CrossEntropyLossFlat or FocalLossFlat",
}
"""What to use instead; a dotted path names the thing that is nearest."""


class Absent:
    """Stands where programs for fastai expect a name, and says what to use instead as soon as it is used.

    Args:
        name: one of `ELSEWHERE`.
    """

    def __init__(self, name: str) -> None:
        self.__name__ = name
        self.__doc__ = f"{name} of fastai is not here. Instead: {ELSEWHERE[name]}."

    def _refuse(self) -> NoReturn:
        raise ConfigError(str(self.__doc__))

    def __call__(self, *args: object, **kwargs: object) -> NoReturn:
        """Say what to use instead.

        Raises:
            ConfigError: always.
        """
        self._refuse()

    def __mro_entries__(self, bases: object) -> NoReturn:
        self._refuse()

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):
            raise AttributeError(name)
        self._refuse()

    def __repr__(self) -> str:
        return str(self.__doc__)


class Misspelt:
    """A name that stands for another one, and says so when it is used.

    Args:
        name: as some programs spell it.
        meant: what they mean.
    """

    def __init__(self, name: str, meant: Any) -> None:
        self.__name__, self._meant = name, meant

    def __call__(self, *args: object, **kwargs: object) -> Any:
        """Call what was meant."""
        self._warn()
        return self._meant(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        self._warn()
        return getattr(self._meant, name)

    def _warn(self) -> None:
        warnings.warn(f"{self.__name__} is taken for {self._meant.__name__}; write that", stacklevel=3)


def advice_for(owner: str, name: str) -> str | None:
    """What to use instead of a method that is not there, as "tta" of "Learner"; None if that is not known."""
    return ELSEWHERE.get(f"{owner}.{name}")
