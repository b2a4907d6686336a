"""What is noted of a run beside its figures: time, memory, sizes, machine."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from ulmfit._version import __version__
from ulmfit.training.parts import Texts


def run_facts(texts: Texts, seconds: float) -> dict[str, Any]:
    """What metrics.json says of a run beside its figures: time, memory, sizes of the parts, machine."""
    return {
        "seconds": round(seconds, 1),
        "peak_memory_mb": peak_memory_mb(),
        "train": {
            "n": len(texts.train[0]),
            "unlabelled": len(texts.unlabelled),
            **_of_labels(texts),
        },
        "machine": machine(),
    }


def _of_labels(texts: Texts) -> dict[str, Any]:
    """How often each class occurs; mean and standard deviation of values."""
    if texts.scale is not None:
        return {"mean": texts.scale.mean, "std": texts.scale.std}
    return {"classes": dict(sorted(texts.counts.items()))}


def peak_memory_mb() -> int | None:
    """Largest resident memory of this process so far, where the platform tells."""
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024 * 1024 if sys.platform == "darwin" else 1024))


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "ulmfit": __version__,
        "commit": _commit(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "threads": torch.get_num_threads(),
    }


def _commit() -> str | None:
    """The commit of the code, if it runs from a checkout."""
    git, root = shutil.which("git"), Path(__file__).parents[3]
    if git is None or not (root / ".git").exists():
        return None
    command = [git, "-C", str(root), "rev-parse", "--short", "HEAD"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (nothing of a user's)
    return found.stdout.strip() or None
