"""What a classifier gets right and wrong, all of it from one pass over labelled texts.

N documents, C classes.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from ulmfit.data.show import Shown
from ulmfit.errors import ConfigError, DataError, MissingExtraError
from ulmfit.inference.answers import TextPredictor, check_texts
from ulmfit.inference.calibrate import Bin, Coverage, coverage_curve, reliability
from ulmfit.inference.evaluate import class_ids, figures

_SHOWN = 5
_TINY = 1e-38  # float32 has nothing much smaller
_TITLE = 100  # characters of a text that are shown


@dataclass(frozen=True)
class Case:
    """A labelled text and what the model says of it.

    Args:
        index: its place among the texts, from 0.
        text: the text.
        label: what it was labelled.
        predicted: what the model says.
        probability: of the label it has.
        loss: negative logarithm of that.
    """

    index: int
    text: str
    label: str
    predicted: str
    probability: float
    loss: float


@dataclass(frozen=True)
class Interpretation:
    """Labelled texts beside the model's probabilities; every question is answered from these.

    Args:
        labels: C class names.
        texts: N texts.
        target: class ids (N,).
        probabilities: (N, C).
    """

    labels: tuple[str, ...]
    texts: tuple[str, ...]
    target: NDArray[np.int64]
    probabilities: NDArray[np.floating[Any]]

    @classmethod
    def of(cls, predictor: TextPredictor, texts: Sequence[str], labels: Sequence[object]) -> Self:
        """Read the texts once.

        Raises:
            DataError: there are no texts, one is empty, there are more or fewer labels, or the model does not know one.
            ConfigError: the model does not give one class for each text.
        """
        target, texts = class_ids(predictor, list(labels)), check_texts(texts)
        if len(target) != len(texts):
            raise DataError(f"{len(texts)} texts need as many labels; got {len(target)}")
        return cls(predictor.labels, tuple(texts), target, predictor.predict_proba(texts))

    @classmethod
    def from_learner(cls, learn: Any, ds_idx: int = 1, dl: Any = None) -> Self:
        """Of a part of a learner's texts, read once.

        Args:
            learn: a `TextLearner` of a classifier of one class for each text.
            ds_idx: 0 for the training part, 1 for the validation part.
            dl: a loader of labelled texts instead.

        Raises:
            ConfigError: the learner's task is another one, or the texts have no labels.
        """
        if learn.task != "single_label":
            raise ConfigError(f"an Interpretation is of texts with one class each; this learner's task is {learn.task}")
        ids, probabilities, target = learn.get_preds(ds_idx, dl, with_input=True)
        if target is None:
            raise ConfigError("the texts have no labels to compare with; give labelled ones")
        step = -1 if learn.dls.backwards else 1
        detokenize, vocab = learn.dls.tokenizer.detokenize, learn.dls.text_vocab
        texts = tuple(detokenize([vocab[i] for i in row.tolist()[::step]]) for row in ids)
        return cls(tuple(map(str, learn.dls.labels)), texts, target.numpy(), probabilities.numpy())

    def figures(self) -> dict[str, Any]:
        """Accuracy, macro F1, log loss and expected calibration error."""
        return figures(self.probabilities, self.target)

    def confusion_matrix(self) -> NDArray[np.int64]:
        """How many texts of each class (rows) get which (columns), (C, C)."""
        from sklearn.metrics import confusion_matrix

        said = self.probabilities.argmax(1)
        matrix: NDArray[np.int64] = confusion_matrix(self.target, said, labels=range(len(self.labels)))
        return matrix

    def most_confused(self, min_val: int = 1) -> list[tuple[str, str, int]]:
        """Label, wrong answer and how often, most frequent first; those that occur at least `min_val` times."""
        matrix = self.confusion_matrix()
        np.fill_diagonal(matrix, 0)
        pairs = [(self.labels[i], self.labels[j], int(matrix[i, j])) for i, j in np.argwhere(matrix >= max(1, min_val))]
        return sorted(pairs, key=lambda pair: -pair[2])

    def classification_report(self) -> str:
        """Precision, recall and F1 of each class, as a table."""
        from sklearn.metrics import classification_report

        said = self.probabilities.argmax(1)
        numbers = range(len(self.labels))
        return str(
            classification_report(self.target, said, labels=numbers, target_names=self.labels, zero_division=0.0)
        )

    def print_classification_report(self) -> None:
        """Print `classification_report`."""
        sys.stdout.write(self.classification_report())

    def cases(self, k: int | None = 9, largest: bool = True) -> list[Case]:
        """The k texts whose own label the model finds least likely (or with `largest=False` likeliest); None for all.

        Raises:
            ConfigError: k is below 1.
        """
        if k is not None and k < 1:
            raise ConfigError(f"k={k} must be at least 1")
        of_label = self._of_label()
        return [self._case(int(i)) for i in np.argsort(of_label if largest else -of_label, kind="stable")[:k]]

    def top_losses(self, k: int | None = None, largest: bool = True, items: bool = False) -> tuple[Any, ...]:
        """Losses (k,) and numbers (k,) of the texts with the largest (or smallest) losses; `cases` says more of them.

        Args:
            k: how many; None for all.
            largest: the largest, else the smallest.
            items: give the texts too, as a list.

        Raises:
            ConfigError: k is below 1.
        """
        found = self.cases(k, largest)
        both = torch.tensor([case.loss for case in found]), torch.tensor([case.index for case in found])
        return (*both, [case.text for case in found]) if items else both

    def plot_top_losses(self, k: int = 9, largest: bool = True) -> None:
        """Show `cases` as a table in the notebook or the terminal."""
        found = self.cases(k, largest)
        rows = [[title(c.text), c.label, c.predicted, f"{c.probability:.3f}", f"{c.loss:.2f}"] for c in found]
        Shown(("text", "label", "predicted", "probability of the label", "loss"), rows).show()

    def suspected_label_errors(self) -> list[Case]:
        """Texts whose label may be wrong, most suspicious first.

        A text is suspected if another class is at least as probable for it as that class is, on average, for the texts
        that carry its label. Texts that the model learned from are suspected too seldom.

        Source: Northcutt et al. 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels", section 3.1.
        """
        p = self.probabilities
        means = np.full(len(self.labels), np.inf)
        for c in np.unique(self.target):
            means[c] = p[self.target == c, c].mean()
        confident = np.where(p >= means, p, -1.0)
        suspected = (confident.max(1) > 0) & (confident.argmax(1) != self.target) & (p.argmax(1) != self.target)
        margin = self._of_label() - p.max(1)
        return [self._case(int(i)) for i in np.argsort(margin, kind="stable") if suspected[i]]

    def coverage_curve(self) -> list[Coverage]:
        """What is left of coverage and accuracy if the model may abstain."""
        return coverage_curve(self.probabilities, self.target)

    def reliability(self) -> list[Bin]:
        """Confidence against accuracy."""
        return reliability(self.probabilities, self.target)

    def plot_confusion_matrix(
        self,
        normalize: bool = False,
        title: str | None = "Confusion matrix",
        cmap: str = "Blues",
        norm_dec: int = 2,
        plot_txt: bool = True,
        **figure: Any,
    ) -> Any:
        """The confusion matrix as a matplotlib figure; needs the extra `plot`.

        Args:
            normalize: shares of the texts of each label, in place of counts.
            title: above it.
            cmap: name of the colours.
            norm_dec: decimals of shares.
            plot_txt: write the numbers.
            figure: arguments of matplotlib's `Figure`, such as `figsize`.
        """
        drawn, axes = _figure(**figure)
        matrix = self.confusion_matrix()
        shown = matrix / np.maximum(matrix.sum(1, keepdims=True), 1) if normalize else matrix
        axes.imshow(shown, cmap=cmap)
        ticks = range(len(self.labels))
        axes.set_xticks(ticks, self.labels, rotation=90)
        axes.set_yticks(ticks, self.labels)
        axes.set(xlabel="predicted", ylabel="label", title=title or "")
        for (i, j), n in np.ndenumerate(shown) if plot_txt else ():
            colour = "white" if n > shown.max() / 2 else "black"
            axes.text(j, i, f"{n:.{norm_dec}f}" if normalize else str(n), ha="center", va="center", color=colour)
        return drawn

    def plot_reliability(self) -> Any:
        """Accuracy over confidence as a matplotlib figure; needs the extra `plot`."""
        figure, axes = _figure()
        table = self.reliability()
        axes.plot([0, 1], [0, 1], color="grey", linestyle="--")
        axes.bar([b.low for b in table], [b.accuracy for b in table], [b.high - b.low for b in table], align="edge")
        axes.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1))
        return figure

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as for JSON."""
        return {
            **self.figures(),
            "labels": list(self.labels),
            "confusion_matrix": self.confusion_matrix().tolist(),
            "coverage": [asdict(point) for point in self.coverage_curve()],
            "top_losses": [asdict(case) for case in self.cases()],
            "suspected_label_errors": [asdict(case) for case in self.suspected_label_errors()],
        }

    def to_text(self) -> str:
        """A report for people."""
        f = self.figures()
        lines = [
            f"{f['n']:,} texts: accuracy {f['accuracy']:.4f}, macro F1 {f['macro_f1']:.4f}, "
            f"log loss {f['log_loss']:.4f}, expected calibration error {f['ece']:.4f}",
            "",
            self.classification_report(),
        ]
        lines += [f"{n} x {said} instead of {label}" for label, said, n in self.most_confused()[:_SHOWN]]
        suspects = self.suspected_label_errors()
        if suspects:
            lines += ["", f"{len(suspects)} labels may be wrong; the most suspicious:"]
            lines += [f"  text {c.index + 1}, {c.label} or {c.predicted}? {title(c.text)}" for c in suspects[:_SHOWN]]
        return "\n".join(lines)

    def _of_label(self) -> NDArray[np.floating[Any]]:
        """The probability of each text's own label (N,)."""
        return self.probabilities[np.arange(len(self.target)), self.target]

    def _case(self, i: int) -> Case:
        p = float(self.probabilities[i, self.target[i]])
        said = self.labels[int(self.probabilities[i].argmax())]
        loss = -math.log(max(p, _TINY))
        return Case(i, self.texts[i], self.labels[self.target[i]], said, p, loss)


def title(text: str) -> str:
    """The beginning of a text, in one line."""
    line = " ".join(text.split())
    return line if len(line) <= _TITLE else line[:_TITLE] + "…"


def _figure(**settings: Any) -> tuple[Any, Any]:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib", "plot") from error
    figure = Figure(**({"layout": "constrained"} | settings))
    return figure, figure.add_subplot()
