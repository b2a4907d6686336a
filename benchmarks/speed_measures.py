"""What the programs of which only the package's name differs have in common. Runs in the environment of either."""

from __future__ import annotations

import argparse
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path


def arguments(description: str | None) -> argparse.Namespace:
    """The package, a folder of text files and an empty folder to work in."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", choices=["fastai", "ulmfit"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("work", type=Path)
    return parser.parse_args()


def seconds(work: Callable[[], object]) -> float:
    """How long something takes, with all that it gives one after the other."""
    started = time.perf_counter()
    found = work()
    if isinstance(found, Iterator):
        deque(found, maxlen=0)
    return time.perf_counter() - started
