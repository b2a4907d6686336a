"""The pictures of the tutorial on the three stages, drawn by the page's own code.

    python benchmarks/page_plots.py

Runs the Python of docs/tutorials/three-stages.md with the bundled model, some minutes, until the three plots are there,
and writes them into docs/images. What the page prints on the way is printed.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
from pathlib import Path

import matplotlib as mpl

DOCS = Path(__file__).resolve().parents[1] / "docs"
PICTURES = ("lr-find", "schedule", "loss")


def main() -> None:
    """Run the blocks of the page, and save each figure that they leave."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "ulmfit", "svg.fonttype": "none"})  # the same file from the same curve
    from matplotlib import pyplot

    page = (DOCS / "tutorials" / "three-stages.md").read_text(encoding="utf-8")
    pictures = iter(PICTURES)
    names: dict[str, object] = {"__name__": "__main__"}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for code in re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
            exec(compile(code, "three-stages.md", "exec", dont_inherit=True), names)  # noqa: S102 - it is the page
            for number in pyplot.get_fignums():
                path = DOCS / "images" / f"three-stages-{(name := next(pictures))}.svg"
                pyplot.figure(number).savefig(path, metadata={"Date": None}, bbox_inches="tight")
                pyplot.close(number)
                print(path)
                if name == PICTURES[-1]:
                    return


if __name__ == "__main__":
    main()
