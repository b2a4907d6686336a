"""From a learner to a model folder and back, and what a folder says of the run that made it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ulmfit.arguments import checked
from ulmfit.data.loaders import Batch, ClassifierLoader
from ulmfit.errors import ConfigError, DataError
from ulmfit.inference.bundle import CLASSIFIER, LANGUAGE_MODEL, Bundle, load_bundle, save_bundle
from ulmfit.inference.calibrate import Calibration
from ulmfit.inference.folder import is_model_folder
from ulmfit.inference.network import classifier_of, language_model_of
from ulmfit.models.classifier import TextClassifier
from ulmfit.models.language_model import LanguageModel
from ulmfit.text.batching import refuse_one_text
from ulmfit.text.store import TokenStore
from ulmfit.text.tokenizers import Tokenizer
from ulmfit.text.vocab import Vocab
from ulmfit.training.losses import BCEWithLogitsLossFlat, CrossEntropyLossFlat, SingleLabel, default_loss
from ulmfit.training.manifest import fingerprint, fingerprint_texts, run_manifest
from ulmfit.training.optimizer import name_of
from ulmfit.training.progress import say

if TYPE_CHECKING:
    from ulmfit.training.answering import TextLearner
    from ulmfit.training.learner import Learner

_UNLIMITED = 1_000_000_000  # of a text's tokens


def export_folder(learn: Learner, fname: Path | str) -> Path:
    """Where a model folder of this name lies: under the learner's path; an ending .pkl is left out."""
    path = learn.path / Path(fname)
    return path.with_suffix("") if path.suffix in (".pkl", ".pth") else path


def export(learn: TextLearner, fname: Path | str = "export") -> Path:
    """Write a model folder: weights, tokenizer, vocabulary, labels, history and a manifest of the run.

    Args:
        learn: a learner of a language model or a classifier.
        fname: name of the folder under `path`; a model that is there is replaced.

    Returns:
        the folder.

    Raises:
        ConfigError: a model that such a folder cannot hold.
        DataError: something else is in its place.
    """
    model, dls = learn.model, learn.dls
    if not isinstance(model, LanguageModel | TextClassifier):
        raise ConfigError(f"a {type(model).__name__} cannot be exported; save() keeps its weights")
    details: dict[str, Any] = {}
    if isinstance(model, TextClassifier):
        encoder = model.document_encoder
        details = {"labels": dls.labels, "bptt": encoder.bptt, "pool_words": encoder.pool_words}
        details |= {"max_len": encoder.max_len or _UNLIMITED, "task": learn.task, "y_range": model.head.y_range}
        loss = learn.loss_func
        thresholds = loss.by_label(dls.labels) if isinstance(loss, BCEWithLogitsLossFlat) else {}
        temperature = getattr(loss, "temperature", 1.0)
        details["calibration"] = Calibration(temperature=temperature, thresholds=thresholds).to_dict()
    bundle = Bundle(
        kind=LANGUAGE_MODEL if isinstance(model, LanguageModel) else CLASSIFIER,
        config=model.config,
        weights=model.state_dict(),
        tokenizer=dls.tokenizer,
        vocab=dls.text_vocab,
        backwards=dls.backwards,
        metrics={**(learn.history[-1] if learn.history else {}), "run": manifest(learn)},
        history=tuple(learn.history),
        card=_card(learn),
        **details,
    )
    folder = export_folder(learn, fname)
    if learn.checkpoints is not None and learn.checkpoints.replaying and folder.exists():
        say(learn.console, f"{folder}: left as it was written before the interruption")
    elif learn.processes.is_main:
        save_bundle(bundle, folder, overwrite=is_model_folder(folder))
    return folder


def manifest(learn: Learner) -> dict[str, Any]:
    """What it takes to repeat a learner's training."""
    vocab = getattr(learn.dls, "text_vocab", None)
    settings = {
        "optimizer": name_of(learn.opt_func),
        "wd": learn.wd,
        "moms": list(learn.moms),
        "alpha": learn.alpha,
        "beta": learn.beta,
        "clip": learn.clip,
        "precision": learn.precision,
        "device": learn.device.type,
        "processes": learn.processes.n,
        "seed": learn.seed,
        "n_steps": learn.n_steps,
        "n_targets": learn.n_targets,
    }
    return run_manifest(
        settings,
        vocabulary=None if vocab is None else fingerprint_texts(vocab.itos),
        train=fingerprint(learn.dls.train),
        valid=fingerprint(learn.dls.valid),
    )


def _card(learn: TextLearner) -> str:
    what = "Language model" if learn.task == "lm" else "Text classifier"
    row = learn.history[-1] if learn.history else {}
    figures = "".join(f"| {k} | {v:.4g} |\n" for k, v in row.items() if isinstance(v, int | float))
    table = f"| last epoch | |\n|---|---|\n{figures}\n" if figures else ""
    return f"# {what}\n\nWritten by `learn.export`. metrics.json tells how it was trained.\n\n{table}"


class NoData:
    """The place of a part that a loaded learner does not have."""

    def __len__(self) -> int:
        return 0

    def __iter__(self) -> Iterator[Batch]:
        raise DataError("a loaded learner has no texts of its own; give some: dl=learn.dls.test_dl(texts)")

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """There is no order."""


@dataclass
class SavedLoaders:
    """What a loaded learner knows of its data: everything but the texts."""

    tokenizer: Tokenizer
    text_vocab: Vocab
    task: str
    labels: tuple[str, ...]
    n_out: int
    backwards: bool
    path: Path
    train: NoData
    valid: NoData

    @property
    def vocab(self) -> Vocab | list[Any]:
        """The text vocabulary; with classes, a list of the text vocabulary and the labels."""
        return [self.text_vocab, list(self.labels)] if self.labels else self.text_vocab

    def test_dl(self, items: Any) -> ClassifierLoader:
        """A loader of texts to predict.

        Raises:
            DataError: an item is not a text.
        """
        refuse_one_text(items)
        texts = list(items)
        wrong = [i for i, text in enumerate(texts) if not isinstance(text, str)]
        if wrong or not texts:
            raise DataError(f"texts must be strings, and at least one; item {wrong[0]} is not" if wrong else "no texts")
        store = TokenStore.build(texts, self.tokenizer, vocab=self.text_vocab)
        return ClassifierLoader(store, bs=64, backwards=self.backwards, pad_idx=self.text_vocab.pad_idx)


@checked
def load_learner(fname: Path | str, cpu: bool = True, *, ngrams: bool = True) -> TextLearner:
    """A learner for predictions from what `export` wrote; nothing in the folder is executed.

    Args:
        fname: the folder; an ending .pkl is left out.
        cpu: predict on the CPU; False for the GPU, if there is one.
        ngrams: False to take the network of a model that `ulmfit train` wrote without the n-grams beside it.

    Raises:
        FormatError: no such folder, or it is damaged.
        ConfigError: it holds two models, that of each direction, or n-grams beside the network.
    """
    from ulmfit.training.answering import LMLearner, TextLearner

    path = Path(fname)
    path = path.with_suffix("") if path.suffix in (".pkl", ".pth") and not path.is_dir() else path
    bundle = load_bundle(path)
    if bundle.backward is not None:
        raise ConfigError(f"{path} holds models of both directions, a learner has one: ulmfit.load reads both")
    if bundle.ngrams is not None and ngrams:
        raise ConfigError(
            f"{path} holds n-grams beside the network, which a learner has not: ulmfit.load reads both; "
            "load_learner(..., ngrams=False) gives the network alone"
        )
    is_lm = bundle.kind == LANGUAGE_MODEL
    network = language_model_of(bundle) if is_lm else classifier_of(bundle)
    n_out = network.n_classes if isinstance(network, TextClassifier) else len(bundle.vocab)
    dls = SavedLoaders(
        tokenizer=bundle.tokenizer,
        text_vocab=bundle.vocab,
        task="lm" if is_lm else bundle.task,
        labels=bundle.labels,
        n_out=n_out,
        backwards=bundle.backwards,
        path=path.parent,
        train=NoData(),
        valid=NoData(),
    )
    loss, calibration = None, Calibration.from_dict(bundle.calibration)
    if not is_lm:
        loss = default_loss(bundle.task) or CrossEntropyLossFlat()
    if isinstance(loss, BCEWithLogitsLossFlat):
        loss.thresh = [calibration.thresholds.get(label, 0.5) for label in bundle.labels]
    if isinstance(loss, BCEWithLogitsLossFlat | SingleLabel):
        loss.temperature = calibration.temperature
    device = "cpu" if cpu else None
    learn = (LMLearner if is_lm else TextLearner)(dls, network, loss, precision="fp32", device=device, verbose=1)
    learn.history = [dict(row) for row in bundle.history]
    return learn
