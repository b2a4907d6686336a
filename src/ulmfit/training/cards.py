"""The model cards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ulmfit._version import __version__
from ulmfit.errors import counted
from ulmfit.inference.bundle import Bundle


def classifier_card(bundle: Bundle, metrics: Mapping[str, Any]) -> str:
    """Of a classifier or a regression, by the figures of its run."""
    parts = [part for part in ("valid", "test") if part in metrics]
    names = [name for name in metrics[parts[0]] if name != "n"]
    rows = [["part", "texts", *names], ["---"] * (2 + len(names))]
    rows += [[part, str(metrics[part]["n"]), *(_figure(metrics[part][name]) for name in names)] for part in parts]
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    labels = ", ".join(f"`{label}`" for label in bundle.labels)
    what = f"# Text classifier\n\nClasses: {labels}." if bundle.labels else "# Text regression\n\nGives a value."
    directions = "" if bundle.backward is None else " in both reading directions, whose answers are averaged"
    beside = "" if bundle.ngrams is None else ", beside a linear model of n-grams"
    return (
        f"{what}\n\nAn {_architecture(bundle)} encoder with {metrics['pooling']} pooling{directions}{beside}, "
        f"trained by the ULMFiT recipe of ulmfit {bundle.ulmfit_version} on {metrics['train']['n']} labelled texts "
        f"and {metrics['train']['unlabelled']} further ones.\n\n{_origin(metrics)}{table}\n{_later(metrics)}"
        'Use it: `ulmfit predict FOLDER "some text"`. The folder `language_model` holds the language model '
        "that the encoder came from.\n"
    )


def language_model_card(bundle: Bundle) -> str:
    """Of the language model that a classifier's encoder came from."""
    return (
        f"# Language model\n\nAn {_architecture(bundle)} of {len(bundle.vocab):,} entries, "
        f"trained by ulmfit {bundle.ulmfit_version}; "
        f"perplexity {bundle.metrics['perplexity']:.1f} on held-out texts. "
        f"Start from it: `ulmfit train DATA --base FOLDER`.\n"
    )


def pretrained_card(bundle: Bundle) -> str:
    """Of a language model that was pretrained."""
    metrics, config = bundle.metrics, bundle.config
    base = metrics["base"]
    start = (
        f"It began from the weights of {base['name']!r}"
        + ("" if base["backwards"] == bundle.backwards else ", which reads the other way")
        + f", which had seen {base['tokens_seen']:,} tokens.\n\n"
        if base
        else ""
    )
    settings = "".join(f"| {k} | {_plain(v)} |\n" for k, v in metrics["settings"].items())
    return (
        f"# Language model\n\nAn {_architecture(bundle)} of {config.n_layers} layers, {config.emb_sz} and "
        f"{config.n_hid} wide, that reads texts {_direction(bundle.backwards)}, pretrained by ulmfit "
        f"{bundle.ulmfit_version} on {metrics['tokens']:,} tokens ({metrics['tokens_seen']:,} seen in "
        f"{metrics['seconds'] / 60:,.1f} minutes).\n\n{start}"
        f"Perplexity {metrics['perplexity']:.2f} on {metrics['held_out_tokens']:,} held-out tokens, of which "
        f"{metrics['unknown']:.1%} are not in the vocabulary (they are predicted as xxunk). The curve is in "
        f"history.jsonl.\n\nLicence of the data: {metrics['licence']}.\n\n{_made_by(metrics)}"
        f"| setting | value |\n|---|---|\n{settings}\n"
        "Start from it: `ulmfit train DATA --base FOLDER`.\n"
    )


def finetuned_card(bundle: Bundle, n_texts: int) -> str:
    """Of a language model that went on learning from other texts."""
    metrics = bundle.metrics
    base, run = metrics["base"], metrics["run"]
    licence = f"\n\nLicence of the data of its base: {base['licence']}." if "licence" in base else ""
    return (
        f"# Language model\n\nAn {_architecture(bundle)} that reads texts {_direction(bundle.backwards)}, "
        f"fine-tuned by ulmfit {bundle.ulmfit_version} from `{base['name']}` on {counted(n_texts, 'text')}; perplexity "
        f"{metrics['perplexity']:.1f} on {metrics['checked']:,} others.{licence}\n\n"
        f"{_made_by(run)}Start from it: `ulmfit train DATA --base FOLDER`.\n"
    )


def _direction(backwards: bool) -> str:
    return "from the end of a text to its beginning" if backwards else "in reading order"


def _made_by(run: Mapping[str, Any]) -> str:
    """Code and command of a run."""
    commit = run["machine"]["commit"]
    code = f"commit {commit}" if commit else f"ulmfit {__version__}"
    return f"Made with the code of {code} by\n\n    {run['command']}\n\n"


def _plain(value: object) -> str:
    """A setting as one writes it."""
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


def _origin(metrics: Mapping[str, Any]) -> str:
    """What the model began with, and learned from beside labelled texts."""
    base, n_pseudo = metrics["language_model"].get("base"), metrics.get("pseudo_labelled")
    said = ""
    if base is not None and base["name"]:
        licence = f" (licence of its data: {base['licence']})" if "licence" in base else ""
        said += f"Its language model began with `{base['name']}`{licence}.\n\n"
    if n_pseudo:
        proof = metrics["ngrams_sure"]
        said += (
            f"The network also learned from {n_pseudo} of the further texts as of the class that the n-grams were sure "
            f"of; of labelled texts that these did not know they were right on {proof['right']} of {proof['n']}.\n\n"
        )
    return said


def _later(metrics: Mapping[str, Any]) -> str:
    """What the model learned after the validation part had been used to measure it."""
    if not metrics.get("ngrams_know_valid"):
        return ""
    return (
        f"The n-grams then learned from the {metrics['valid']['n']} texts of `valid`, too: its figures and the "
        "calibration were fitted before.\n\n"
    )


def _architecture(bundle: Bundle) -> str:
    """AWD-LSTM or AWD-QRNN."""
    return bundle.config.arch.replace("_", "-").upper()


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
