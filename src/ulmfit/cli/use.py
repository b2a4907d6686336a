"""Commands that use a trained model."""

from __future__ import annotations

import json
import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ulmfit.cli.options import Encoding, Json, LabelDelim, Model, NamedModel, TextColumn, matching
from ulmfit.errors import ConfigError, DataError

# oneDNN keeps what it has compiled for each shape of a batch, 1,024 of them unless told otherwise: some hundred MB in a
# server, whose batches have many shapes. Read once, when torch first computes.
_KEPT_SHAPES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "32")


class Engine(StrEnum):
    """What reads files and labels them."""

    local = "local"
    ray = "ray"


def predict(
    model: Model,
    texts: Annotated[list[str] | None, typer.Argument(help="Texts to label.", show_default=False)] = None,
    input_: Annotated[
        str | None,
        typer.Option(
            "--input", help="CSV, TSV, JSONL or Parquet file with a text column; a folder of them; or 'folder/*.csv'."
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("--output", help="CSV, TSV, JSONL or Parquet file to write: the input's columns and the answers."),
    ] = None,
    text: TextColumn = None,
    encoding: Encoding = "utf-8",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
    abstain_below: Annotated[float | None, typer.Option(help="Give no label where it is less probable.")] = None,
    engine: Annotated[
        Engine, typer.Option(help="'ray' for many machines: Parquet in, and a folder of Parquet files out.")
    ] = Engine.local,
    workers: Annotated[int | None, typer.Option(help="Of Ray; all processors if not given.", min=1)] = None,
    as_json: Json = False,
) -> None:
    """Label texts given as arguments, or files.

    Example: ulmfit predict my-model "where is my parcel?"
    Example: ulmfit predict my-model --input new.csv --output labelled.csv
    Example: ulmfit predict my-model --input 'parts/*.parquet' --output labelled --engine ray
    """
    if bool(texts) == (input_ is not None):
        raise ConfigError("give either texts or --input FILE")
    if (input_ is None) != (output is None):
        raise ConfigError("--input and --output go together")
    if engine is Engine.local and workers is not None:
        raise ConfigError("--workers are those of --engine ray")
    if engine is Engine.ray and (input_ is None or encoding != "utf-8"):
        raise ConfigError("--engine ray needs --input with Parquet files, which have no --encoding")
    if input_ is None or output is None:
        _predict_texts(model, texts or [], abstain_below, as_json=as_json)
        return
    if "://" not in output and Path(output).exists() and not overwrite:
        raise DataError(f"{output} exists; give another place, or --overwrite")

    def say(note: str) -> None:
        typer.echo(note, err=as_json)

    if engine is Engine.ray:
        from ulmfit.integrations.ray import predict_with_ray

        places = [input_] if "://" in input_ else [str(path) for path in matching([input_])]
        n = predict_with_ray(
            model, places, output, text=text, abstain_below=abstain_below, workers=workers, overwrite=overwrite, say=say
        )
    else:
        from ulmfit.inference.files import predict_file
        from ulmfit.inference.loading import load

        files = matching([input_])
        n = predict_file(
            load(model), files, Path(output), text=text, encoding=encoding, abstain_below=abstain_below, say=say
        )
    typer.echo(json.dumps({"n": n, "output": output}) if as_json else f"{n:,} texts labelled in {output}")


def _predict_texts(model: Path, texts: list[str], abstain_below: float | None, *, as_json: bool) -> None:
    from ulmfit.inference.files import print_predictions
    from ulmfit.inference.loading import load

    if as_json:
        for answer in load(model).predict(texts, abstain_below=abstain_below):
            typer.echo(json.dumps(answer.to_dict(), ensure_ascii=False))
    else:
        print_predictions(load(model), texts, Console(), abstain_below=abstain_below)


def generate(
    model: NamedModel,
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
    from ulmfit.training.bases import load_base

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


def explain(
    model: Model,
    text: Annotated[str, typer.Argument(help="The text.", show_default=False)],
    label: Annotated[str | None, typer.Option(help="The class to explain; the likeliest if not given.")] = None,
    top: Annotated[int, typer.Option(help="Tokens to show.", min=1)] = 10,
    html: Annotated[Path | None, typer.Option(help="An HTML file to write, with the text coloured.")] = None,
    as_json: Json = False,
) -> None:
    """Say which words of a text speak for the label, and which against it.

    Example: ulmfit explain my-model "I was charged twice this month."
    """
    from ulmfit.inference.explain import explain as explain_text
    from ulmfit.inference.loading import load

    if html is not None and html.exists():
        raise DataError(f"{html} exists; give another file")
    explanation = explain_text(load(model), text, label=label)
    if html is not None:
        page = f'<!doctype html>\n<meta charset="utf-8">\n<title>{model.name}</title>\n{explanation.to_html()}\n'
        html.write_text(page, encoding="utf-8", errors="replace")
    if as_json:
        typer.echo(json.dumps(explanation.to_dict(), ensure_ascii=False))
    else:
        typer.echo(f"{explanation.label}:\n{explanation.to_text(top)}")


def evaluate(
    model: Model,
    data: Annotated[Path, typer.Argument(help="Labelled data, as for `ulmfit train`.", show_default=False)],
    text: TextColumn = None,
    label: Annotated[str | None, typer.Option(help="Name of the label column.")] = None,
    label_delim: LabelDelim = None,
    encoding: Encoding = "utf-8",
    as_json: Json = False,
) -> None:
    """Measure a model on labelled texts: accuracy, F1, calibration, what it confuses, labels that may be wrong.

    For several labels F1 of each label, for values the error.

    Example: ulmfit evaluate my-model test.csv --text review --label sentiment
    """
    from ulmfit.data.labelling import Labelling
    from ulmfit.data.sources import load_examples
    from ulmfit.inference.loading import load
    from ulmfit.inference.reports import report

    predictor = load(model)
    labelling = Labelling(task=predictor.task, label_delim=label_delim)
    examples = load_examples(data, text=text, label=label, encoding=encoding, labelling=labelling)
    found = report(predictor, *examples.labelled())
    typer.echo(json.dumps(found.to_dict(), ensure_ascii=False) if as_json else found.to_text())


def serve(
    model: Model,
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 for any that is free.")] = 8000,
    threads: Annotated[int | None, typer.Option(help="Of the processor, for the model.", min=1)] = None,
    max_texts: Annotated[int, typer.Option(help="Texts of a request.", min=1)] = 256,
    max_characters: Annotated[int, typer.Option(help="Characters of a text.", min=1)] = 100_000,
    max_body: Annotated[int, typer.Option(help="Bytes of a request.", min=1)] = 4_000_000,
) -> None:
    """Answer over HTTP, with a page for people at /; anybody who reaches the address may ask.

    Example: ulmfit serve my-model --port 8000
    """
    os.environ.setdefault(*_KEPT_SHAPES)
    from ulmfit.inference.loading import load
    from ulmfit.integrations.serve import Limits, listen
    from ulmfit.integrations.serve import serve as run_server

    place = listen(host, port)
    with place:
        predictor = load(model, threads=threads)
        address = f"[{host}]" if ":" in host else host
        typer.echo(f"{model}: http://{address}:{place.getsockname()[1]} (Ctrl-C stops it)")
        limits = Limits(texts=max_texts, characters=max_characters, body=max_body)
        run_server(predictor, place, limits=limits, name=model.name)


def info(
    model: NamedModel,
) -> None:
    """Say what a model folder holds: classes, sizes, figures, version."""
    from ulmfit.inference.info import print_info
    from ulmfit.pretrained.weights import BUNDLED, names

    print_info(BUNDLED / model if model in names() else Path(model), Console())
