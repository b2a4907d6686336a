"""The command line: parses, calls, prints. Everything heavy is imported inside the commands.

Exit codes: 0 done; 1 an unexpected error (a bug: please report it); 2 bad usage, data or model; 130 interrupted.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from ulmfit._version import __version__
from ulmfit.cli import ship, use
from ulmfit.cli.options import Base, Encoding, LabelDelim, Overwrite, Resume, Seed, TextColumn, matching, parse_duration
from ulmfit.errors import ConfigError, UlmfitError, counted
from ulmfit.models import DEFAULT_ARCH

INTERRUPTED = 130  # what typer makes of Ctrl-C

app = typer.Typer(
    name="ulmfit",
    help="Train a text classifier on few labels and use it: transfer learning with language models. "
    "Every command takes --debug, which shows the traceback of an error.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line: errors a user can mend are one message and exit code 2; --debug shows the traceback."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a character is no reason to stop
    errors = Console(stderr=True)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = partial(_warn, errors)
            app(args=[a for a in arguments if a != "--debug"], prog_name="ulmfit")
    except (UlmfitError, OSError, MemoryError, RuntimeError) as error:
        no_memory = isinstance(error, MemoryError) or "alloc" in str(error) or "out of memory" in str(error)
        if debug or (isinstance(error, RuntimeError) and not no_memory):
            raise
        message = "not enough memory; lower --bs or the size of the model" if no_memory else str(error)
        errors.print(f"ulmfit: {message}", style="red", highlight=False, markup=False, soft_wrap=True)
        raise SystemExit(2) from error
    except SystemExit as stop:
        if stop.code == INTERRUPTED:
            errors.print("ulmfit: interrupted; a folder being written is as it was, or new and whole", highlight=False)
        raise


def _warn(errors: Console, message: Warning | str, category: type[Warning], filename: str, line: int, *_: Any) -> None:
    """Of this package one line that says what; of others also where from."""
    said = f"ulmfit: {message}"
    if not Path(filename).is_relative_to(Path(__file__).parents[1]):
        said = f"{filename}:{line}: {category.__name__}: {message}"
    errors.print(said, highlight=False, markup=False, soft_wrap=True)


@app.callback(invoke_without_command=True)
def _options(version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False) -> None:
    """Train a text classifier on few labels and use it: transfer learning with language models.

    Every command takes --debug, which shows the traceback of an error.
    """
    if version:
        typer.echo(f"ulmfit {__version__}")
        raise typer.Exit


@app.command()
def demo(
    out: Annotated[Path | None, typer.Option(help="Where to save the model; demo-model if not given.")] = None,
    base: Base = "auto",
    seed: Seed = 0,
    overwrite: Overwrite = False,
) -> None:
    """Train on the bundled support messages, compare with simple baselines, and predict; a few minutes."""
    from ulmfit.demo import run_demo

    # The demonstration's own folder may be made again and again; any other is the user's.
    run_demo(out or Path("demo-model"), seed, Console(), base=base, overwrite=overwrite or out is None)


@app.command()
def train(
    data: Annotated[
        Path,
        typer.Argument(
            help="CSV, TSV, JSONL or Parquet file, or a folder with a sub-folder for each class.", show_default=False
        ),
    ],
    out: Annotated[Path, typer.Option(help="The model folder to write.")] = Path("model"),
    text: TextColumn = None,
    label: Annotated[str | None, typer.Option(help="Name of the label column.")] = None,
    task: Annotated[
        str | None,
        typer.Option(
            help="What the labels are: single_label (a class), multi_label (any number of classes; taken if "
            "--label-delim is given) or regression (a number)."
        ),
    ] = None,
    label_delim: LabelDelim = None,
    valid: Annotated[
        Path | None,
        typer.Option(help="Labelled data to choose the best epoch by; otherwise a part of DATA is held out."),
    ] = None,
    test: Annotated[Path | None, typer.Option(help="Labelled data to measure the finished model on.")] = None,
    lm_data: Annotated[
        list[Path] | None,
        typer.Option(help="More texts of the same kind, without labels, to learn from; may be given several times."),
    ] = None,
    base: Base = "auto",
    bidirectional: Annotated[
        bool, typer.Option("--bidirectional", help="Train a second model that reads from the end, and average both.")
    ] = False,
    ngrams: Annotated[
        bool, typer.Option(help="A linear model of words and word pairs answers beside the network.")
    ] = True,
    pseudo_labels: Annotated[
        bool, typer.Option(help="The network learns from texts without labels, too, of whose class that model is sure.")
    ] = True,
    backward_base: Annotated[str, typer.Option(help="The same as --base for the direction from the end.")] = "auto",
    arch: Annotated[
        str | None,
        typer.Option(help=f"Cells of a model without base: awd_lstm or awd_qrnn; {DEFAULT_ARCH} is the default."),
    ] = None,
    size: Annotated[str | None, typer.Option(help="Size of a model without base: small (the default) or base.")] = None,
    lang: Annotated[
        str | None, typer.Option(help="Language of a model without base, as spaCy names it; en is the default.")
    ] = None,
    tokenizer: Annotated[
        str | None,
        typer.Option(
            help="Tokens of a model without base: word, subword or char. If not given, word; or subword where spaces "
            "do not tell words (Chinese, Japanese, Thai ...)."
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(help="Epochs of the classifier once all layers are unfrozen, after two short stages.", min=1),
    ] = None,
    lm_epochs: Annotated[
        float | None,
        typer.Option(
            help="Epochs of the language model; chosen from the number of tokens if not given. 0 for a --base as it is."
        ),
    ] = None,
    time_budget: Annotated[
        str | None, typer.Option(help="Time for the whole run, such as 20m or 1h30m; epochs are then upper limits.")
    ] = None,
    valid_pct: Annotated[float, typer.Option(help="Share of DATA held out for validation.")] = 0.1,
    bs: Annotated[int, typer.Option(help="Documents of a classifier batch.", min=2)] = 16,
    seed: Seed = 0,
    precision: Annotated[str, typer.Option(help="auto, bf16, fp16 (on a GPU) or fp32, for training.")] = "auto",
    encoding: Encoding = "utf-8",
    resume: Resume = False,
    overwrite: Overwrite = False,
) -> None:
    """Train a classifier: language model on all texts, then the head, then gradual unfreezing.

    Interrupted, it goes on with --resume.

    Example: ulmfit train reviews.csv --text review --label sentiment --lm-data more-reviews.csv --out my-model
    """
    own = {"--arch": arch, "--size": size, "--lang": lang, "--tokenizer": tokenizer}
    given = [option for option, value in own.items() if value is not None]
    if given and base not in ("none", "auto"):
        raise ConfigError(
            f"{', '.join(given)}: for a model from random weights; a --base has its own. Give the one or the other"
        )
    seconds = None if time_budget is None else parse_duration(time_budget)
    from ulmfit.data.labelling import MULTI_LABEL, SINGLE_LABEL, Labelling
    from ulmfit.training.job import TrainJob, run
    from ulmfit.training.precision import check_precision
    from ulmfit.training.recipe import Recipe

    check_precision(precision)
    recipe = Recipe(
        arch=arch or DEFAULT_ARCH,
        size=size or "small",
        tokenizer=tokenizer or "auto",
        lang=lang or "en",
        lm_epochs=lm_epochs,
        epochs=epochs,
        time_budget=seconds,
        valid_pct=valid_pct,
        bs=bs,
        seed=seed,
        precision=precision,
        bidirectional=bidirectional,
        ngrams=ngrams,
        pseudo_labels=pseudo_labels,
    )
    default = SINGLE_LABEL if label_delim is None else MULTI_LABEL
    job = TrainJob(
        data=data,
        out=out,
        recipe=recipe,
        text=text,
        label=label,
        valid=valid,
        test=test,
        lm_data=tuple(matching(lm_data or ())),
        labelling=Labelling(task=task or default, label_delim=label_delim),
        base="none" if given else base,
        backward_base="none" if given and bidirectional else backward_base,
        encoding=encoding,
        overwrite=overwrite,
        resume=resume,
    )
    run(job, Console())


@app.command()
def pretrain(
    data: Annotated[
        list[Path],
        typer.Argument(help="Parquet, JSONL, CSV, TSV or text files, or folders of them.", show_default=False),
    ],
    out: Annotated[Path, typer.Option(help="The model folder to write.")],
    text: TextColumn = None,
    valid: Annotated[
        list[Path] | None, typer.Option(help="Texts to measure on; otherwise a part of DATA is held out.")
    ] = None,
    held_out: Annotated[float, typer.Option(help="That part, as a share of the texts.")] = 0.01,
    arch: Annotated[
        str | None, typer.Option(help=f"awd_lstm or awd_qrnn; without a base {DEFAULT_ARCH} is the default.")
    ] = None,
    size: Annotated[str | None, typer.Option(help="small or base; without a base small is the default.")] = None,
    tokenizer: Annotated[
        str | None,
        typer.Option(help="word, subword or char. If not given, word; or subword where spaces do not tell words."),
    ] = None,
    lang: Annotated[
        str | None, typer.Option(help="Language of the texts, as spaCy names it; without a base en is the default.")
    ] = None,
    vocab_size: Annotated[
        int | None,
        typer.Option(
            help="Entries of the vocabulary, at most; filled up to a multiple of 8. Without a base 30,000 is the "
            "default."
        ),
    ] = None,
    backwards: Annotated[bool, typer.Option("--backwards", help="Read every text from its end.")] = False,
    base: Annotated[
        str,
        typer.Option(
            help="none, or the model to start from, with its tokens and sizes: a bundled name or a model folder."
        ),
    ] = "none",
    epochs: Annotated[float, typer.Option(help="Passes over DATA; a fraction is a part of it.")] = 1.0,
    time_budget: Annotated[
        str | None,
        typer.Option(
            help="Time of the whole run, earlier parts included, such as 3h; --epochs is then an upper limit."
        ),
    ] = None,
    bs: Annotated[int, typer.Option(help="Rows of a batch.", min=1)] = 64,
    lr: Annotated[float, typer.Option(help="Largest learning rate.")] = 1e-2,
    drop_mult: Annotated[float, typer.Option(help="Factor on the dropouts; many epochs need more.")] = 0.2,
    workers: Annotated[int, typer.Option(help="Processes that tokenize.", min=1)] = 1,
    compact: Annotated[bool, typer.Option("--compact", help="Write the weights in a quarter of their size.")] = False,
    resume: Resume = False,
    licence: Annotated[str, typer.Option(help="Licence of the data, for the model card.")] = "not stated",
    seed: Seed = 0,
    precision: Annotated[str, typer.Option(help="auto, bf16, fp16 (on a GPU) or fp32.")] = "auto",
    encoding: Encoding = "utf-8",
    overwrite: Overwrite = False,
) -> None:
    """Pretrain a language model on a large corpus; interrupted, it goes on with --resume.

    Example: ulmfit pretrain wiki-*.parquet --out my-lm --time-budget 3h
    """
    seconds = None if time_budget is None else parse_duration(time_budget)
    from ulmfit.training.precision import check_precision
    from ulmfit.training.pretrain import pretrain as run_pretraining
    from ulmfit.training.pretrain_job import PretrainJob

    check_precision(precision)
    job = PretrainJob(
        data=tuple(matching(data)),
        out=out,
        text=text,
        encoding=encoding,
        valid=tuple(matching(valid or ())),
        held_out=held_out,
        licence=licence,
        arch=arch,
        size=size,
        tokenizer=tokenizer,
        lang=lang,
        vocab_size=vocab_size,
        backwards=backwards,
        base=base,
        epochs=epochs,
        time_budget=seconds,
        bs=bs,
        lr=lr,
        drop_mult=drop_mult,
        workers=workers,
        compact=compact,
        precision=precision,
        seed=seed,
        resume=resume,
        overwrite=overwrite,
    )
    run_pretraining(job, Console())


@app.command()
def convert(
    source: Annotated[str, typer.Argument(help="The library that wrote the files: fastai.", show_default=False)],
    files: Annotated[
        list[Path],
        typer.Argument(help="WEIGHTS.pth VOCAB.pkl OUT, or EXPORT.pkl OUT: the last is the folder to write."),
    ],
    backwards: Annotated[
        bool,
        typer.Option("--backwards", help="The model reads texts from their end; of EXPORT.pkl it is known without."),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the model that OUT already holds.")] = False,
) -> None:
    """Turn a language model of another library into a model folder; nothing in its files is run.

    Example: ulmfit convert fastai lstm_fwd.pth itos_wt103.pkl wt103
    """
    if source != "fastai":
        raise ConfigError(f"files of {source!r} cannot be converted; only those of fastai can")
    if len(files) not in (2, 3):
        raise ConfigError(f"give WEIGHTS.pth VOCAB.pkl OUT, or EXPORT.pkl OUT; got {counted(len(files), 'name')}")
    from ulmfit.pretrained.convert import convert_fastai

    bundle = convert_fastai(
        files[0], files[1] if len(files) == 3 else None, files[-1], backwards=backwards, overwrite=overwrite
    )
    typer.echo(f"{bundle.metrics['converted']}: saved in {files[-1]}")


for command in (use.predict, use.explain, use.evaluate, use.generate, use.serve, use.info, ship.export, ship.finetune):
    app.command()(command)
