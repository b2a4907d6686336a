"""The largest memory of this process, for programs that must not import the library to measure themselves."""

from __future__ import annotations

import sys


def peak_memory() -> int:
    """Largest resident memory so far, in bytes; 0 on Windows, where the standard library does not tell."""
    if sys.platform == "win32":
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
