"""The Python and the commands that stand in README and docs."""

from __future__ import annotations

import linecache
import re
from collections.abc import Callable, Iterator
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


# Only compiled: what needs the network and an account, or an extra that starts processes.
_COMPILED = ("integrations.hub", "integrations.ray")
_PROGRAMS = r"ulmfit|pip|python3?|\.venv/bin/pip|source|curl|torchrun|accelerate|make|cd|git|jupyter"
_COMMAND = re.compile(rf" {{4,}}(?:\$ )?((?:{_PROGRAMS}) .*)")


def shell_lines(page: str) -> list[tuple[int, str]]:
    """Line number and text of every command in indented blocks; a trailing backslash goes on, comments are left out."""
    found = []
    lines = enumerate(text_of(page).splitlines(), 1)
    fenced = False
    for number, line in lines:
        fenced ^= line.lstrip().startswith("```")
        match = _COMMAND.match(line)
        if fenced or match is None:
            continue
        command = match[1].split("  #")[0].strip()
        while command.endswith("\\"):
            command = command.removesuffix("\\") + next(lines)[1].split("  #")[0].strip()
        found.append((number, command))
    return found


def commands(page: str) -> Iterator[str]:
    """What follows `ulmfit` in the lines of the shell."""
    for _, line in shell_lines(page):
        if line.startswith("ulmfit "):
            yield line.removeprefix("ulmfit ")


def run_page(
    page: str, names: dict[str, Any], smaller: dict[str, str], shell: Callable[[str], None] | None = None
) -> None:
    """Run the blocks of a page in order, in one namespace, and its commands between them.

    Args:
        page: path from the root of the repository.
        names: what the page takes for granted.
        smaller: patterns in the code and what to put in their place, so that it takes seconds.
        shell: runs a command; without it only the Python is run.
    """
    parts = [(line, code, False) for line, code in python_blocks(page)]
    if shell is not None:
        parts += [(line, command, True) for line, command in shell_lines(page)]
    for line, code, is_command in sorted(parts):
        for long, short in smaller.items():
            code = re.sub(long, short, code)
        if is_command and shell is not None:
            shell(code)
        elif any(module in code for module in _COMPILED):
            compile(code, page, "exec")
        else:
            name = f"{page}, line {line}"
            linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
            exec(compile(code, name, "exec", dont_inherit=True), names)  # noqa: S102 - it is the documentation
