"""Labels for tables of any size with Ray Data: a model for each worker, on one machine or many.

Source: Ray Data's "stateful transforms", https://docs.ray.io/en/latest/data/transforming-data.html
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset

from ulmfit.data.sources import text_column_of
from ulmfit.errors import ConfigError, DataError, MissingExtraError, UlmfitError
from ulmfit.inference.files import added_cells, added_columns, free_columns
from ulmfit.inference.loading import load

_ROWS = 512  # of a batch: a worker reads those of similar length together
_SPARE = 1  # processors that are left to what reads and writes: workers on all of them would wait for rows for ever


class Labeller:
    """Adds predictions to batches of a table: for `Dataset.map_batches`, which makes one for each worker.

        from ulmfit.integrations.ray import Labeller

        pool = ray.data.ActorPoolStrategy(size=8)
        dataset.map_batches(Labeller, fn_constructor_args=("my-model", "text"), batch_format="pyarrow", compute=pool)

    Args:
        model: the model folder, at the same path on every machine.
        text: name of the text column.
        abstain_below: give no class where the probability is smaller.
        threads: of the processor, for this worker.
    """

    def __init__(
        self, model: str | Path, text: str, abstain_below: float | None = None, *, threads: int | None = 1
    ) -> None:
        self.predictor, self.text, self.abstain_below = load(model, threads=threads), text, abstain_below

    def __call__(self, batch: pa.Table) -> pa.Table:
        """The batch with the columns `prediction`, `probability` and one for each class.

        Raises:
            DataError: a text is missing, empty or no text; the message says which of the batch.
        """
        try:
            answers = self.predictor.predict(batch.column(self.text).to_pylist(), abstain_below=self.abstain_below)
        except DataError as error:
            raise DataError(f"in a batch of {len(batch):,} rows: {error}") from error
        added = [list(column) for column in zip(*map(added_cells, answers), strict=True)]
        for i, name in enumerate(added_columns(self.predictor)):
            values = pa.array(added[i] if added else [], pa.float64() if i else pa.string())
            batch = batch.append_column(name, values)
        return batch


def predict_with_ray(
    model: str | Path,
    source: str | Sequence[str],
    target: str,
    *,
    text: str | None = None,
    abstain_below: float | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    say: Callable[[str], object] = lambda note: None,
) -> int:
    """Label every row of Parquet files, which keep their order and columns.

    Ray is started on this machine, unless it runs or `RAY_ADDRESS` names a cluster.

    Args:
        model: the model folder, at the same path on every machine.
        source: Parquet files or a folder of them, as paths or as addresses that Ray reads (s3://, gs://).
        target: a folder for Parquet files, likewise; in a file system it is there whole or not at all.
        text: name of the text column; guessed when only one column can be meant.
        abstain_below: give no class where the probability is smaller.
        workers: how many; None for one for each processor of the cluster.
        overwrite: replace a folder that is there.
        say: is called with what was guessed.

    Returns:
        number of rows.

    Raises:
        MissingExtraError: Ray is not installed.
        DataError: the source cannot be used, or the target is there already.
        ConfigError: a setting that makes no sense.
        FormatError: not a whole folder of a classifier.
    """
    if workers is not None and workers < 1:
        raise ConfigError(f"workers={workers} must be at least 1")
    places = [source] if isinstance(source, str) else list(source)
    if not places:
        raise DataError("no file was given")
    predictor = load(model)
    here = "://" not in target
    folder = Path(target).absolute()
    if here and folder.exists():
        if not overwrite:
            raise DataError(f"{target} exists; give another folder, or overwrite it")
        if not folder.is_dir() or any(path.suffix != ".parquet" for path in folder.iterdir()):
            raise DataError(f"{target} holds more than Parquet files, and is not replaced; give another folder")
    try:
        files = pyarrow.dataset.dataset(places[0] if len(places) == 1 else places, format="parquet")
        n = int(files.count_rows())
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{', '.join(places)} cannot be read as Parquet: {error}") from error
    notes: list[str] = []
    column = text_column_of(files.schema.names, text, places[0], notes)
    free_columns(predictor, files.schema.names, places[0])
    for note in notes:
        say(note)
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.writing")
    with _running(workers) as (ray, workers):
        labelled = ray.data.read_parquet(files.files, filesystem=files.filesystem).map_batches(
            Labeller,
            fn_constructor_args=(str(Path(model).absolute()), column, abstain_below),
            batch_format="pyarrow",
            batch_size=_ROWS,
            compute=ray.data.ActorPoolStrategy(size=workers),
        )
        try:
            labelled.write_parquet(str(partial) if here else target)
        except ray.exceptions.RayError as error:
            raise _reason(error) from error
        finally:
            if sys.exception() is not None:
                shutil.rmtree(partial, ignore_errors=True)
    if here:
        if folder.exists():
            shutil.rmtree(folder)
        partial.replace(folder)
    return n


def _reason(error: BaseException) -> BaseException:
    """What this library said of the data, if it did: Ray wraps it several times, or keeps only its traceback."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, UlmfitError) and type(inner) in (DataError, ConfigError):
            return inner
        inner = getattr(inner, "cause", None) or inner.__cause__
    said = re.findall(r"^ulmfit\.errors\.(DataError|ConfigError): (.*)$", str(error), re.MULTILINE)
    return {"DataError": DataError, "ConfigError": ConfigError}[said[-1][0]](said[-1][1]) if said else error


@contextmanager
def _running(workers: int | None) -> Iterator[tuple[Any, int]]:
    """Ray, started here if it was not, and the number of workers; rows keep their order."""
    ray = _ray()
    alone = not ray.is_initialized() and "RAY_ADDRESS" not in os.environ
    if alone:
        workers = workers or os.cpu_count() or 1
        ray.init(num_cpus=workers + _SPARE, logging_level=logging.ERROR, log_to_driver=False)
    log, context = logging.getLogger("ray.data"), ray.data.DataContext.get_current()
    before = context.execution_options.preserve_order, context.enable_progress_bars, log.level
    context.execution_options.preserve_order = True
    context.enable_progress_bars = before[1] and sys.stderr.isatty()
    log.setLevel(logging.ERROR)
    try:
        yield ray, workers or max(1, int(ray.cluster_resources().get("CPU", 1)) - _SPARE)
    finally:
        context.execution_options.preserve_order, context.enable_progress_bars = before[:2]
        log.setLevel(before[2])
        if alone:
            ray.shutdown()


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody is told what is labelled here
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingExtraError("ray", "ray") from error
    return ray
