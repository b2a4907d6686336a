"""The page for those who come from fastai says what is so, and leaves out no name."""

from __future__ import annotations

import inspect
import json
import re
from importlib import import_module
from pathlib import Path

import pytest
from snippets import text_of

import ulmfit.text.all as names
from ulmfit.elsewhere import ELSEWHERE

PAGE = "docs/coming-from-fastai.md"
PARAMETERS = "\n## Parameters that are not taken\n"
STORED = json.loads((Path(__file__).parent / "fastai_names.json").read_text(encoding="utf-8"))  # see fastai_names.py

# Public names of fastai 2.8.12 for texts, and of the parts of it that its programs for texts use.
NAMES = """
UNK PAD BOS EOS FLD TK_REP TK_WREP TK_UP TK_MAJ fn_counter_pkl fn_lengths_pkl eu_langs defaults fix_html replace_rep
replace_wrep spec_add_spaces rm_useless_spaces replace_all_caps replace_maj lowercase replace_space BaseTokenizer
SpacyTokenizer WordTokenizer SentencePieceTokenizer SubwordTokenizer TokenizeWithRules tokenize1 parallel_tokenize
tokenize_folder tokenize_files tokenize_texts tokenize_df tokenize_csv load_tokenized_csv Tokenizer reverse_text
make_vocab TensorText LMTensorText Numericalize LMDataLoader Pad_Input pad_input pad_chunk pad_input_chunk Pad_Chunk
SortedDL TextBlock TextDataLoaders DataBlock CategoryBlock MultiCategoryBlock RegressionBlock get_text_files get_files
ColReader parent_label RegexLabeller ItemGetter AttrGetter RandomSplitter TrainTestSplitter GrandparentSplitter
ColSplitter IndexSplitter EndSplitter FuncSplitter MaskSplitter FileSplitter RandomSubsetSplitter DataLoaders Datasets
TfmdLists WeightedDL weighted_dataloaders PartialDL partial_dataloaders untar_data URLs L first get_language_model
get_text_classifier LinearDecoder SequentialRNN SentenceEncoder masked_concat_pool PoolingLinearClassifier AWD_LSTM
dropout_mask RNNDropout WeightDropout EmbeddingDropout awd_lstm_lm_split awd_lstm_clas_split awd_lstm_lm_config
awd_lstm_clas_config language_model_learner text_classifier_learner TextLearner LMLearner match_embeds
load_ignore_keys clean_raw_keys load_model_text decode_spec_tokens Learner load_learner save_model get_model
rank_distrib distrib_barrier Learner.fit Learner.fit_one_cycle Learner.fit_flat_cos Learner.fit_sgdr Learner.fine_tune
Learner.lr_find Learner.freeze Learner.freeze_to Learner.unfreeze Learner.create_opt Learner.validate
Learner.get_preds TextLearner.predict TextLearner.show_results Learner.tta Learner.save Learner.load
TextLearner.export TextLearner.save_encoder TextLearner.load_encoder TextLearner.load_pretrained LMLearner.predict
Learner.to_fp16 Learner.to_bf16 Learner.to_fp32 Learner.to_non_native_fp16 Learner.no_bar Learner.no_logging
Learner.no_mbar Learner.added_cbs Learner.removed_cbs Learner.add_cbs Learner.remove_cbs Learner.loss_not_reduced
Learner.show_training_loop Learner.ordered_cbs Learner.summary valley slide minimum steep Callback TrainEvalCallback
GatherPredsCallback FetchPredsCallback CastToTensor SkipToEpoch TerminateOnNaNCallback TrackerCallback
EarlyStoppingCallback SaveModelCallback ReduceLROnPlateau ParamScheduler SchedLin SchedCos SchedNo SchedExp SchedPoly
combine_scheds combined_cos LRFinder ProgressCallback ShowGraphCallback CSVLogger ShortEpochCallback
GradientAccumulation GradientClip BnFreeze MCDropoutCallback MixUp CutMix MixedPrecision CollectDataCallback
ModelResetter RNNCallback RNNRegularizer rnn_cbs Recorder CancelBatchException CancelBackwardException
CancelStepException CancelTrainException CancelValidException CancelEpochException CancelFitException accuracy
error_rate top_k_accuracy accuracy_multi mse mae rmse msle exp_rmspe foreground_acc Perplexity AccumMetric AvgMetric
AvgLoss AvgSmoothLoss ValueMetric LossMetric LossMetrics CorpusBLEUMetric Dice DiceMulti JaccardCoeff
JaccardCoeffMulti APScoreBinary BalancedAccuracy BrierScore CohenKappa F1Score FBeta HammingLoss Jaccard Precision
Recall RocAuc RocAucBinary MatthewsCorrCoef F1ScoreMulti PrecisionMulti RecallMulti RocAucMulti APScoreMulti
HammingLossMulti ExplainedVariance R2Score PearsonCorrCoef SpearmanCorrCoef skm_to_fastai optim_metric
CrossEntropyLossFlat BCEWithLogitsLossFlat BCELossFlat MSELossFlat L1LossFlat FocalLoss FocalLossFlat
LabelSmoothingCrossEntropy LabelSmoothingCrossEntropyFlat DiceLoss Adam SGD RMSProp RAdam QHAdam Larc Lamb Lookahead
ranger OptimWrapper Interpretation ClassificationInterpretation
"""
FASTAI = NAMES.split()


def rows() -> list[tuple[list[str], str, str]]:
    """Names, what they are here, and the difference, of every row but those of the first table."""
    body = text_of(PAGE).partition("\n## Text\n")[2].partition(PARAMETERS)[0]
    cells = [line.split("|")[1:-1] for line in body.splitlines() if line.startswith("| `")]
    return [(re.findall(r"`([^`]+)`", first), here.strip(), rest.strip()) for first, here, rest in cells]


def test_every_name_is_listed_once() -> None:
    listed = [name for found, _, _ in rows() for name in found]
    assert sorted(name for name in set(listed) if listed.count(name) > 1) == []
    assert sorted({*FASTAI, *STORED["text"]} - set(listed)) == []
    assert sorted(set(ELSEWHERE) - set(listed)) == []


@pytest.mark.parametrize(("found", "here", "difference"), rows(), ids=lambda value: str(value)[:40])
def test_what_it_says_is_so(found: list[str], here: str, difference: str) -> None:
    for name in found:
        owner, _, method = name.rpartition(".")
        there = hasattr(getattr(names, owner), method) if owner else name in names.__all__ and name not in ELSEWHERE
        assert there == (here == "the same"), f"{name}: the page says {here!r}"
        assert (name in ELSEWHERE) == (here != "the same"), f"{name}: what is said where it is used"
        if here not in ("the same", "no"):
            assert here.strip("`") in ELSEWHERE[name]
    if here == "no":
        assert difference, "say why, or what to do instead"
    elif here != "the same":
        module, _, name = here.strip("`").rpartition(".")
        assert hasattr(import_module(module), name)


def not_taken() -> dict[str, list[str]]:
    """For each name that is the same here, the parameters that fastai has and this library has not."""
    events = set(STORED["names"]["Callback"])  # which any callback takes as keywords, here too
    found = {}
    for listed, here, _ in rows():
        for name in listed:
            theirs = STORED["names"].get(name)
            owner, _, method = name.rpartition(".")
            thing = getattr(getattr(names, owner) if owner else names, method, None)
            if here != "the same" or not theirs or not callable(thing) or thing is names.TensorText:
                continue
            ours = set(inspect.signature(thing).parameters)
            if "settings" in ours:  # of the factories of learners
                ours |= set(inspect.signature(names.Learner).parameters)
            if missing := [one for one in theirs if one not in ours | events]:
                found[name] = missing
    return found


def test_every_parameter_that_is_missing_is_told() -> None:
    told = {}
    for line in text_of(PAGE).partition(PARAMETERS)[2].splitlines():
        if line.startswith("| `"):
            first, second = line.split("|")[1:3]
            for name in re.findall(r"`([^`]+)`", first):
                assert name not in told
                told[name] = re.findall(r"`([^`]+)`", second)
    assert told == not_taken()
