"""What is noted of a run beside its figures: time, memory, sizes, how to repeat it."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any

from ulmfit.training.manifest import fingerprint_texts, run_manifest
from ulmfit.training.parts import Texts
from ulmfit.training.recipe import Recipe


def run_facts(texts: Texts, recipe: Recipe, seconds: float) -> dict[str, Any]:
    """What metrics.json says of a run beside its figures: time, memory, sizes of the parts, how to repeat it."""
    return {
        "seconds": round(seconds, 1),
        "peak_memory_mb": peak_memory_mb(),
        "train": {
            "n": len(texts.train[0]),
            "unlabelled": len(texts.unlabelled),
            **_of_labels(texts),
        },
        "run": run_manifest(
            asdict(recipe),
            train=fingerprint_texts(*texts.train),
            valid=fingerprint_texts(*texts.valid),
            unlabelled=fingerprint_texts(texts.unlabelled),
        ),
    }


def _of_labels(texts: Texts) -> dict[str, Any]:
    """How often each class occurs; mean and standard deviation of values."""
    if texts.scale is not None:
        return {"mean": texts.scale.mean, "std": texts.scale.std}
    return {"classes": dict(sorted(texts.counts.items()))}


def peak_memory_mb() -> int | None:
    """Largest resident memory of this process so far, where the platform tells."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024 * 1024 if sys.platform == "darwin" else 1024))
