"""A progress bar with the rate, in terminals and notebooks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar(description: str = "Tokenizing", unit: str = "docs/s") -> Iterator[Callable[[int, int | None], None]]:
    """Show how far something is and how fast.

    Args:
        description: what is being done.
        unit: the unit of the rate.

    Yields:
        A function to call with the number done and, if known, of all: what `TokenStore.build` takes as `progress`.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as bar:
        task = bar.add_task(description, total=None, rate="")

        def update(done: int, total: int | None) -> None:
            elapsed = bar.tasks[0].elapsed
            bar.update(task, completed=done, total=total, rate=f"{done / elapsed:,.0f} {unit}" if elapsed else "")

        yield update
