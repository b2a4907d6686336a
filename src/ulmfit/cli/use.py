"""Commands that use a trained model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ulmfit.cli.options import Encoding, Json, Model, TextColumn
from ulmfit.errors import ConfigError, DataError


def predict(
    model: Model,
    texts: Annotated[list[str] | None, typer.Argument(help="Texts to label.", show_default=False)] = None,
    input_: Annotated[
        Path | None, typer.Option("--input", help="CSV, TSV, JSONL or Parquet file with a text column.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", help="CSV or JSONL file to write: the input's columns and the predictions."),
    ] = None,
    text: TextColumn = None,
    encoding: Encoding = "utf-8",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output file.")] = False,
) -> None:
    """Label texts given as arguments, or a file.

    Example: ulmfit predict my-model "where is my parcel?"
    Example: ulmfit predict my-model --input new.csv --output labelled.csv
    """
    if bool(texts) == (input_ is not None):
        raise ConfigError("give either texts or --input FILE")
    if (input_ is None) != (output is None):
        raise ConfigError("--input and --output go together")
    from ulmfit.inference.files import predict_file, print_predictions
    from ulmfit.inference.predictor import Predictor

    if input_ is not None and output is not None:
        if output.exists() and not overwrite:
            raise DataError(f"{output} exists; give another file, or --overwrite")
        n = predict_file(Predictor.load(model), input_, output, text=text, encoding=encoding, say=typer.echo)
        typer.echo(f"{n:,} texts labelled in {output}")
    else:
        print_predictions(Predictor.load(model), texts or [], Console())


def generate(
    model: Annotated[str, typer.Argument(help="A model folder, or the name of a bundled model.", show_default=False)],
    prompt: Annotated[str, typer.Argument(help="The beginning of the text.")] = "",
    words: Annotated[int, typer.Option(help="Tokens to add, at most.", min=1)] = 50,
    samples: Annotated[int, typer.Option(help="Number of texts.", min=1)] = 1,
    temperature: Annotated[float, typer.Option(help="Below 1 likely words become likelier.")] = 0.8,
    top_k: Annotated[int | None, typer.Option(help="Draw from so many of the likeliest words.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Draw from the words that together are so probable.")] = None,
    min_p: Annotated[float | None, typer.Option(help="Draw no word that is less probable than this.")] = None,
    repetition_penalty: Annotated[float, typer.Option(help="Above 1, words are repeated less.")] = 1.0,
    stop: Annotated[list[str] | None, typer.Option(help="End behind this word; may be given several times.")] = None,
    seed: Annotated[int | None, typer.Option(help="Equal seeds give equal texts.", min=0)] = None,
    as_json: Json = False,
) -> None:
    """Go on with a text, with a language model; a classifier's folder has its language model inside.

    Example: ulmfit generate my-model "The parcel" --words 30 --samples 3 --top-p 0.9
    """
    from ulmfit.inference.generate import Sampling, TextGenerator
    from ulmfit.training.job import load_base

    sampling = Sampling(
        temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p, repetition_penalty=repetition_penalty
    )
    bundle = load_base(model)
    if bundle is None:
        raise ConfigError("generating needs a language model; 'none' is no model")
    texts = TextGenerator(bundle).generate(
        prompt, words, n_samples=samples, sampling=sampling, stop=stop or (), seed=seed
    )
    if as_json:
        typer.echo(json.dumps({"prompt": prompt, "texts": texts}, ensure_ascii=False))
    else:
        typer.echo("\n---\n".join(texts))


def info(model: Model) -> None:
    """Say what a model folder holds: classes, sizes, figures, version."""
    from ulmfit.inference.info import print_info

    print_info(model, Console())
