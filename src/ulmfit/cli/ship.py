"""Commands that turn a model into another: a language model of other texts, a classifier in another form."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ulmfit.cli.options import (
    Encoding,
    Json,
    LabelDelim,
    Model,
    NamedModel,
    Overwrite,
    Resume,
    Seed,
    TextColumn,
    matching,
    parse_duration,
)
from ulmfit.errors import ConfigError


def export(
    model: Model,
    out: Annotated[Path, typer.Option(help="The folder to write.")],
    format_: Annotated[str, typer.Option("--format", help="onnx.")] = "onnx",
    int8: Annotated[bool, typer.Option("--int8", help="Quantize: a quarter of the size, and faster.")] = False,
    data: Annotated[
        Path | None,
        typer.Option(help="Labelled data to compare both on; the bundled sample's texts if not given."),
    ] = None,
    text: TextColumn = None,
    label: Annotated[str | None, typer.Option(help="Name of the label column.")] = None,
    label_delim: LabelDelim = None,
    encoding: Encoding = "utf-8",
    force: Annotated[bool, typer.Option("--force", help="Write it even if it is slower or worse.")] = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Write a classifier in a form that needs no torch to predict; compare both first, and refuse one that is worse.

    Example: ulmfit export my-model --int8 --data test.csv --out my-model-int8
    """
    if format_ != "onnx":
        raise ConfigError(f"format {format_!r} is not known; the only one is onnx")
    from importlib.resources import as_file, files

    from ulmfit.data.labelling import Labelling
    from ulmfit.data.sources import load_examples
    from ulmfit.inference.bundle import CLASSIFIER, load_bundle
    from ulmfit.inference.comparison import Comparison, compare
    from ulmfit.inference.loading import load
    from ulmfit.inference.predictor import Predictor
    from ulmfit.integrations.onnx import export as write

    bundle = load_bundle(model, kind=CLASSIFIER)
    if data is not None:
        labelling = Labelling(task=bundle.task, label_delim=label_delim)
        examples = load_examples(data, text=text, label=label, encoding=encoding, labelling=labelling)
        texts, labels = examples.labelled()
    else:
        with as_file(files("ulmfit") / "samples" / "tickets.csv") as sample:
            texts, labels = load_examples(sample, need_labels=False).texts, None
    found: list[Comparison] = []

    def check(folder: Path) -> None:
        found.append(compare(Predictor(bundle), load(folder), texts, labels))
        problems = found[0].problems()
        if problems and not force:
            raise ConfigError(f"nothing was written, {' and '.join(problems)}; --force writes it all the same")

    write(bundle, out, int8=int8, overwrite=overwrite, check=check)
    if as_json:
        typer.echo(json.dumps({"output": str(out), **asdict(found[0])}))
    else:
        typer.echo(f"{found[0].to_text()}\nSaved in {out}")


def finetune(
    base: NamedModel,
    data: Annotated[
        list[Path], typer.Argument(help="CSV, TSV, JSONL, Parquet or text files, or folders of .txt files.")
    ],
    out: Annotated[Path, typer.Option(help="The model folder to write.")],
    text: TextColumn = None,
    lm_epochs: Annotated[
        float | None, typer.Option(help="Epochs; chosen from the number of tokens if not given.")
    ] = None,
    time_budget: Annotated[str | None, typer.Option(help="Time for the run, such as 20m.")] = None,
    valid_pct: Annotated[
        float, typer.Option(help="Share of the texts held out to choose the best epoch, at most a million characters.")
    ] = 0.1,
    seed: Seed = 0,
    precision: Annotated[str, typer.Option(help="auto, bf16 or fp32.")] = "auto",
    encoding: Encoding = "utf-8",
    resume: Resume = False,
    overwrite: Overwrite = False,
) -> None:
    """Fine-tune a language model on texts; classifiers start from it with `ulmfit train --base`.

    Example: ulmfit finetune en-small articles.csv --text body --out my-lm
    """
    seconds = None if time_budget is None else parse_duration(time_budget)
    from ulmfit.training.finetune import finetune as run
    from ulmfit.training.precision import check_precision
    from ulmfit.training.recipe import Recipe

    check_precision(precision)
    recipe = Recipe(lm_epochs=lm_epochs, time_budget=seconds, valid_pct=valid_pct, seed=seed, precision=precision)
    run(base, matching(data), out, recipe, Console(), text=text, encoding=encoding, overwrite=overwrite, resume=resume)
