"""What a model folder holds, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ulmfit.errors import counted
from ulmfit.inference.bundle import BACKWARD, CLASSIFIER, Bundle, load_bundle, without_ties
from ulmfit.inference.calibrate import Calibration
from ulmfit.inference.folder import CONFIG, check_manifest, folder_size, read_config, read_json
from ulmfit.inference.onnx_predictor import ONNX_CLASSIFIER


def describe_bundle(path: Path, bundle: Bundle) -> list[tuple[str, str]]:
    """Names and values, in the order in which they are shown."""
    config = bundle.config
    rows = [
        ("folder", str(path)),
        ("kind", bundle.kind.replace("_", " ")),
        ("format", f"version {read_json(path / CONFIG)['format_version']}, written by ulmfit {bundle.ulmfit_version}"),
        ("size on disk", f"{folder_size(path) / 1e6:.1f} MB"),
        (
            "architecture",
            f"{config.arch}, {counted(config.n_layers, 'layer')}, embedding {config.emb_sz}, hidden {config.n_hid}",
        ),
        ("weights", f"{sum(t.numel() for t in without_ties(bundle).values()):,}"),
        ("vocabulary", f"{len(bundle.vocab):,} entries"),
    ]
    if bundle.backward is not None:
        rows.append(("directions", "both, answers averaged"))
    elif bundle.backwards:
        rows.append(("direction", "from the end"))
    if bundle.labels:
        rows.append((f"{len(bundle.labels)} classes", ", ".join(bundle.labels)))
    if bundle.kind == CLASSIFIER:
        rows.append(("task", bundle.task.replace("_", " ")))
    if bundle.ngrams is not None:
        network, ngrams = bundle.ngrams.shares
        later = "; after `valid` they learned from its texts, too" if bundle.metrics.get("ngrams_know_valid") else ""
        factors = f"factors: network {network:.2f}, n-grams {ngrams:.2f}"
        rows.append(("n-grams", f"{len(bundle.ngrams.keys):,}; {factors}{later}"))
    language_model = bundle.metrics.get("language_model")
    base = (language_model if isinstance(language_model, dict) else bundle.metrics).get("base")
    if isinstance(base, dict) and base.get("name"):
        rows.append(("began with", str(base["name"])))
    if bundle.metrics.get("pseudo_labelled"):
        rows.append(("pseudo-labels", f"{bundle.metrics['pseudo_labelled']:,} texts that the n-grams were sure of"))
    c = Calibration.from_dict(bundle.calibration)
    if c.n:
        change = f"{c.ece_before or 0:.4f} before, {c.ece_after or 0:.4f} after, on the same {c.n} texts"
        rows.append(("calibration", f"temperature {c.temperature:.2f}; expected error {change}"))
    for part in ("valid", "test"):
        figures = bundle.metrics.get(part)
        if isinstance(figures, dict):
            rows.append(
                (part, ", ".join(f"{k} {v:.4f}" if isinstance(v, float) else f"{k} {v}" for k, v in figures.items()))
            )
    if "perplexity" in bundle.metrics:
        rows.append(("perplexity", f"{bundle.metrics['perplexity']:.1f}"))
    if "seconds" in bundle.metrics:
        rows.append(("trained in", f"{bundle.metrics['seconds']:.0f} s"))
    return rows


def _describe_exported(path: Path, config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values of a folder that `ulmfit export` wrote; nothing of it is run."""
    check_manifest(path)
    rows = [
        ("folder", str(path)),
        ("kind", "classifier, exported as ONNX" + (", int8" if config["int8"] else "")),
        ("format", f"version {config['format_version']}, written by ulmfit {config['ulmfit_version']}"),
        ("size on disk", f"{folder_size(path) / 1e6:.1f} MB"),
    ]
    if config.get(BACKWARD):
        rows.append(("directions", "both, answers averaged"))
    if config["labels"]:
        rows.append((f"{len(config['labels'])} classes", ", ".join(config["labels"])))
    rows.append(("task", config["task"].replace("_", " ")))
    rows.append(("n-grams", "beside the network" if config.get("ngrams") else "none"))
    return rows


def print_info(path: Path, console: Console) -> None:
    """Print what a model folder holds, after checking that it is whole.

    Raises:
        FormatError: it is not a whole model folder.
    """
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    config = read_config(path)
    exported = config.get("kind") == ONNX_CLASSIFIER
    for name, value in _describe_exported(path, config) if exported else describe_bundle(path, load_bundle(path)):
        table.add_row(name, Text(value))
    console.print(table)
