"""Small archives for tests."""

from __future__ import annotations

import io
import tarfile


def add(tar: tarfile.TarFile, name: str, **changes: object) -> None:
    """Add a member: a file that says hello, or with changes to its entry an empty one."""
    member = tarfile.TarInfo(name)
    member.size = 0 if changes else 5
    for key, value in changes.items():
        setattr(member, key, value)
    tar.addfile(member, io.BytesIO(b"hello"))
