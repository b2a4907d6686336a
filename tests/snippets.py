"""The Python and the commands that stand in README and docs."""

from __future__ import annotations

import linecache
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
_FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


def pages() -> list[str]:
    """README and all pages of docs, from the root of the repository."""
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [path.relative_to(ROOT).as_posix() for path in found]


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def python_blocks(page: str) -> list[tuple[int, str]]:
    """Line number and code of every block of Python, in order."""
    text = text_of(page)
    return [(text.count("\n", 0, m.start()) + 2, _dedented(m)) for m in _FENCE.finditer(text) if m[2] == "python"]


def _dedented(block: re.Match[str]) -> str:
    return "\n".join(line.removeprefix(block[1]) for line in block[3].splitlines())


def commands(page: str) -> Iterator[str]:
    """Lines that begin with `ulmfit`, in indented blocks and fences of the shell; a trailing backslash goes on."""
    text = re.sub(r"\\\n\s*", "", text_of(page))
    for line in text.splitlines():
        found = re.match(r"(?: {4,}|\$ )?ulmfit (?=[a-z])(.*)", line)
        if found:
            yield found[1].split("  #")[0].strip()


def run_page(page: str, names: dict[str, Any], smaller: dict[str, str]) -> None:
    """Run the blocks of a page in order, in one namespace.

    Args:
        page: path from the root of the repository.
        names: what the page takes for granted.
        smaller: texts of the code and what to put in their place, so that it takes seconds.
    """
    for line, code in python_blocks(page):
        if "integrations.hub" in code:  # it needs the network and an account
            compile(code, page, "exec")
            continue
        for long, short in smaller.items():
            code = code.replace(long, short)
        name = f"{page}, line {line}"
        linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
        exec(compile(code, name, "exec", dont_inherit=True), names)  # noqa: S102 - it is the documentation
