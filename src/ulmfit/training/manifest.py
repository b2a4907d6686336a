"""What it takes to repeat a run: versions, command, settings, and fingerprints of the data."""

from __future__ import annotations

import hashlib
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ulmfit._version import __version__

_FULL = 50_000_000  # ids that are read in full for a fingerprint; of more, every so many-th


def run_manifest(settings: Mapping[str, Any], **data: str | None) -> dict[str, Any]:
    """All of it, for metrics.json.

    Args:
        settings: of the training, as JSON values.
        data: a fingerprint of each part.
    """
    return {"command": command(), "machine": machine(), "settings": dict(settings), "data": data}


def fingerprint(loader: object) -> str | None:
    """A hash of the ids, the ends of the texts and the targets of a loader; None where it does not show them."""
    documents = getattr(loader, "documents", None)
    return None if documents is None else fingerprint_ids(documents, getattr(loader, "labels", None))


def fingerprint_ids(documents: Any, labels: Any = None) -> str:
    """A hash of documents with `ids` and `offsets`, and of their targets."""
    digest = hashlib.sha256(np.ascontiguousarray(documents.offsets).data)
    digest.update(np.ascontiguousarray(documents.ids[:: 1 + len(documents.ids) // _FULL]).data)
    if labels is not None:
        digest.update(np.ascontiguousarray(labels).data)
    return digest.hexdigest()


def fingerprint_texts(texts: Sequence[str], labels: Sequence[str] = ()) -> str:
    """A hash of texts in their order, and of their labels."""
    digest = hashlib.sha256(str([len(texts), len(labels)]).encode())
    for text in (*texts, *labels):
        digest.update(str(text).encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()


def fingerprint_weights(weights: Mapping[str, torch.Tensor]) -> str:
    """A hash of a model's tensors and their names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        digest.update(name.encode() + b"\0")
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def command() -> str:
    """The command line, with the names of files only: where they lie on this machine is nobody's business."""
    program, *arguments = sys.argv
    module = Path(program).name == "__main__.py"  # of `python -m`
    started = ["python", "-m", Path(program).parent.name] if module else [Path(program).name]
    return shlex.join([*started, *(Path(a).name or a for a in arguments)])


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
