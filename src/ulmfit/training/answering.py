"""Learners whose loaders know their tokenizer and vocabulary: encoders, pretrained weights, answers in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, Self, cast

import numpy as np
import torch
from torch import Tensor

from ulmfit.arguments import checked
from ulmfit.data.documents import as_documents, padded
from ulmfit.data.loaders import Batch
from ulmfit.data.show import Shown
from ulmfit.errors import ConfigError, DataError
from ulmfit.inference.bundle import Bundle
from ulmfit.inference.generate import Sampling, Stops, continue_ids, joined, prompt_ids
from ulmfit.models.language_model import LanguageModel
from ulmfit.pretrained.convert import read_fastai
from ulmfit.pretrained.transfer import coverage, match_vocab, occurrences
from ulmfit.pretrained.weights import load_named
from ulmfit.text.tokenizers import Tokenizer
from ulmfit.text.vocab import Vocab
from ulmfit.training import exporting, storage
from ulmfit.training.learner import Learner, Loader
from ulmfit.training.losses import meaning
from ulmfit.training.predictions import tell_longer
from ulmfit.training.progress import say
from ulmfit.training.tensor_file import compare_weights

_SHOWN_TOKENS = 150


class TextLoaders(Protocol):
    """What the factories need of loaders; `data.dataloaders.TextDataLoaders` gives it."""

    train: Any
    valid: Any
    tokenizer: Tokenizer
    path: Path

    @property
    def text_vocab(self) -> Vocab:
        """What the ids mean."""

    @property
    def task(self) -> str:
        """One of "lm", "single_label", "multi_label", "regression"."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names by id."""

    @property
    def n_out(self) -> int:
        """Numbers that the model gives for each text."""

    @property
    def backwards(self) -> bool:
        """Whether texts are read from their end."""

    def test_dl(self, items: Any) -> Any:
        """A loader of further texts."""


class TextLearner(Learner):
    """A learner whose loaders know their tokenizer and vocabulary; see `Learner` for its arguments.

    `text_classifier_learner` and `language_model_learner` make one.
    """

    dls: TextLoaders

    @checked
    def save_encoder(self, file: Path | str) -> Path:
        """Write the model without its decoder or head, with its vocabulary, to `path/model_dir/file`.

        Returns:
            the file, which ends in .safetensors.
        """
        return storage.save_encoder(self, file)

    @checked
    def load_encoder(self, file: Path | str) -> Self:
        """Read what `save_encoder` wrote, and freeze the encoder.

        Raises:
            FormatError: no such file, damaged, or of another architecture, direction or vocabulary; both are named.
        """
        storage.load_encoder(self, file)
        self.freeze()
        return self

    @checked
    def load_pretrained(self, model: Bundle | Path | str, vocab: Path | str | None = None) -> Self:
        """Take over a language model's weights, matched by word, and freeze all but the last group.

        Args:
            model: a model folder, the name of a bundled model, or what `load_bundle` gives. A classifier takes its
                encoder.
            vocab: for a file of fastai's weights as `model`: the file of its vocabulary. Nothing in them is run.

        Raises:
            FormatError: no such folder or file, it holds no language model, or one of other sizes.
            ConfigError: it reads in the other direction.
        """
        if isinstance(model, Bundle):
            bundle = model
        elif vocab is not None:
            bundle = read_fastai(Path(model), Path(vocab), backwards=self.dls.backwards)
        else:
            bundle = load_named(model)
        if bundle.backwards != self.dls.backwards:
            names = {True: "backwards", False: "forwards"}
            raise ConfigError(
                f"the pretrained model reads {names[bundle.backwards]} and the loaders {names[self.dls.backwards]}; "
                f"make the loaders with backwards={bundle.backwards}"
            )
        cutoffs = bundle.config.cutoffs
        moved, match = match_vocab(bundle.weights, bundle.vocab, self.dls.text_vocab, cutoffs)
        if not isinstance(self.model, LanguageModel):
            moved = {k.removeprefix("encoder."): v for k, v in moved.items() if k.startswith("encoder.")}
        target = self.model if isinstance(self.model, LanguageModel) else storage.encoder_of(self)
        compare_weights(Path("the pretrained model"), moved, target.state_dict(), "configuration")
        target.load_state_dict(moved)
        self.freeze()
        name, known = f" ({bundle.name})" if bundle.name else "", self._share_known(bundle.vocab)
        say(
            self.console,
            f"Pretrained{name}: {match.shared:,} of the {len(self.dls.text_vocab):,} words of the vocabulary are known "
            f"to it{known}, {match.new:,} are new",
        )
        return self

    def _share_known(self, vocab: Vocab) -> str:
        """The share of the training part's running text that another vocabulary knows, if its loader shows the ids."""
        documents = getattr(self.dls.train, "documents", None)
        if documents is None:
            return ""
        share = coverage(occurrences(documents.ids, self.dls.text_vocab), vocab)
        return f" ({share:.1%} of the running text)"

    @checked
    def export(self, fname: Path | str = "export") -> Path:
        """Write a model folder that `load_learner` and `ulmfit.load` read; see `exporting.export`."""
        return exporting.export(self, fname)

    @staticmethod
    def _check_text(text: object) -> str:
        if not isinstance(text, str):
            raise DataError(
                f"predict takes one text as a string, not {type(text).__name__}; for several texts use "
                "get_preds(dl=learn.dls.test_dl(texts))"
            )
        if not text.strip():
            raise DataError("the text is empty")
        return text

    @torch.no_grad()
    @checked
    def predict(self, item: object, rm_type_tfms: None = None, with_input: bool = False) -> tuple[Any, ...]:
        """Classify one text, or give its values.

        Args:
            item: the text.
            rm_type_tfms: taken for the sake of programs that give it; there are no such transforms.
            with_input: give the text as the model reads it too, in front of the rest.

        Returns:
            the answer in words (a class, a list of classes, or values), the same as a tensor (a class id, whether each
            class applies, or values), and the probabilities of the classes (or the values).

        Raises:
            DataError: it is not a text, or empty.
        """
        text, vocab = self._check_text(item), self.dls.text_vocab
        document = as_documents([vocab.numericalize(self.dls.tokenizer(text))])
        ids, lengths = padded(document, np.array([0]), pad_idx=vocab.pad_idx, backwards=self.dls.backwards)
        tell_longer(self, "text", lengths)
        self.model.eval()
        logits = self.model(torch.from_numpy(ids).to(self.device), torch.from_numpy(lengths)).logits.float().cpu()
        says = meaning(self.loss_func, self.task)
        answer, probabilities = says.decodes(logits)[0], says.activation(logits)[0]
        result = self.in_words(answer), answer, probabilities
        return (self._words(ids[0], None), *result) if with_input else result

    def in_words(self, answer: Tensor) -> Any:
        """A class id as its name, a row of 0 and 1 as the names of the classes, values as numbers."""
        if self.task == "single_label":
            return self.dls.labels[int(answer)]
        if self.task == "multi_label":
            return [label for label, applies in zip(self.dls.labels, answer.tolist(), strict=True) if applies > 0.5]
        values = answer.flatten().tolist()
        return values[0] if len(values) == 1 else values

    @checked
    def show_results(self, ds_idx: int = 1, dl: Loader | None = None, max_n: int = 9, shuffle: bool = True) -> None:
        """Show texts, what they are and what the model says, as a table in the notebook or the terminal.

        Args:
            ds_idx: 0 for the training part, 1 for the validation part.
            dl: a loader to take the texts from instead.
            max_n: rows at most.
            shuffle: any batch; else the first.
        """
        self.results_table(ds_idx, dl, max_n, shuffle).show()

    @checked
    def results_table(self, ds_idx: int = 1, dl: Loader | None = None, max_n: int = 9, shuffle: bool = True) -> Shown:
        """What `show_results` shows."""
        if max_n < 1:
            raise ConfigError(f"max_n={max_n} must be at least 1 row")
        batch = self._some_batch(self.part(ds_idx) if dl is None else dl, max_n, shuffle)
        self.model.eval()
        self.reset()
        with torch.no_grad():
            output = self.model(*(x.to(self.device) for x in batch.inputs))
        self.reset()
        ids, target = batch.inputs[0], batch.target
        if self.task == "lm":
            said = output.predictions().cpu()
            rows = [[self._words(t) for t in (ids[i], target[i], said[i]) if t is not None] for i in range(len(ids))]  # type: ignore[index]
            return Shown(("text", "text_", "pred"), rows)
        answers = meaning(self.loss_func, self.task).decodes(output.logits.float().cpu())
        name = {"single_label": "category", "multi_label": "categories", "regression": "value"}[self.task]
        rows = []
        for i, length in enumerate(batch.inputs[1].tolist()):
            known = "" if target is None else _cell(self.in_words(target[i]))
            rows.append([self._words(ids[i, :length]), known, _cell(self.in_words(answers[i]))])
        return Shown(("text", name, f"{name}_"), rows)

    def _some_batch(self, loader: Any, max_n: int, shuffle: bool) -> Batch:
        if hasattr(loader, "batch_indices"):
            indices = np.concatenate(loader.batch_indices())
            if shuffle:
                # Not from the learner's stream: a look at the results must not change the training.
                indices = np.random.default_rng([self.seed, self.n_steps]).permutation(indices)
            batch: Batch = loader.collate(indices[:max_n])
            return batch
        first: Batch = next(iter(loader))
        return Batch(tuple(x[:max_n] for x in first.inputs), None if first.target is None else first.target[:max_n])

    def _words(self, ids: Tensor, most: int | None = _SHOWN_TOKENS) -> str:
        return " ".join(self.dls.text_vocab[i] for i in ids[:most].tolist())


class LMLearner(TextLearner):
    """A learner of a language model, which can go on with a text."""

    @torch.no_grad()
    @checked
    def predict(  # type: ignore[override]
        self,
        text: str,
        n_words: int = 1,
        no_unk: bool = True,
        temperature: float = 1.0,
        min_p: float | None = None,
        decoder: Callable[[Sequence[str]], str] | None = None,
        only_last_word: bool = False,
        *,
        no_bar: bool = False,
        seed: int | None = None,
    ) -> str:
        """Go on with a text, word by word.

        Args:
            text: the beginning.
            n_words: tokens to add.
            no_unk: never add the token for unknown words.
            temperature: below 1 likely words become likelier; 0 always takes the likeliest.
            min_p: words less probable than this are not drawn, if at least one is more probable.
            decoder: from tokens to text; by default the tokenizer's.
            only_last_word: nothing changes: the state is carried, and each word is read once in any case.
            no_bar: nothing changes: there is no bar.
            seed: of the draws; by default the learner's own stream goes on.

        Raises:
            ConfigError: a number that makes no sense.
            DataError: the text is not a string, or empty.
        """
        self._check_text(text)
        sampling = Sampling(temperature=temperature, min_p=min_p, no_unk=no_unk)
        stops = Stops(n_words=n_words)
        vocab, backwards = self.dls.text_vocab, self.dls.backwards
        if seed is None:
            with self.private_randomness():
                seed = int(torch.randint(2**62, ()))
        self.model.eval()
        words = self.dls.tokenizer(text)
        prompt = prompt_ids(vocab, words, backwards=backwards)
        drawn = continue_ids(cast("LanguageModel", self.model), vocab, prompt, sampling, stops, [seed])[0]
        return (decoder or self.dls.tokenizer.detokenize)(joined(vocab, words, drawn, backwards=backwards))


def _cell(answer: Any) -> str:
    return ";".join(answer) if isinstance(answer, list) and answer and isinstance(answer[0], str) else str(answer)
