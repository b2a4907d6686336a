"""Build sdist and wheel, install the wheel into an empty environment, and use it there.

The wheel is built from the unpacked sdist, so that both are tried. pip installs it with the dependencies that its own
metadata name, in the versions of constraints.txt, and nothing else: one that is missing there is missing here.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHECK = """
import sys
from importlib.resources import files
import ulmfit
from ulmfit.pretrained.weights import names
from ulmfit.text.all import *
place = Path(ulmfit.__file__).resolve()
assert place.is_relative_to(Path(sys.prefix).resolve()), f"this is another copy: {place}"
assert names(), "the bundled language models are not in the wheel"
assert files("ulmfit").joinpath("py.typed").is_file(), "py.typed is not in the wheel"
tickets = pd.read_csv(files("ulmfit") / "samples" / "tickets.csv")[:120]
tickets.to_csv("tickets.csv", index=False)
print(ulmfit.__version__, place)
"""
COMMANDS = (
    ["--version"],
    ["train", "tickets.csv", "--lm-epochs", 0, "--base", "en-small", "--epochs", 1, "--out", "model"],
    ["predict", "model", "I was charged twice this month."],
    ["generate", "en-small", "The history of", "--words", 5],
)


def call(*command: object, **options: object) -> None:
    """Run a command; say which one failed."""
    line = [str(part) for part in command]
    print("+", *(part if "\n" not in part else "..." for part in line), flush=True)
    subprocess.run(line, check=True, **options)  # type: ignore[call-overload]


def main() -> None:
    """See the first lines."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        call(sys.executable, "-m", "build", "--outdir", folder / "dist", ROOT, stdout=subprocess.DEVNULL)
        (wheel,) = (folder / "dist").glob("*.whl")
        (sdist,) = (folder / "dist").glob("*.tar.gz")
        print(wheel.name, f"{wheel.stat().st_size / 1e6:.1f} MB,", sdist.name, f"{sdist.stat().st_size / 1e6:.1f} MB")
        venv.create(folder / "venv", with_pip=True)
        base = {"base": str(folder / "venv"), "platbase": str(folder / "venv")}
        scripts = Path(sysconfig.get_path("scripts", "venv", base))
        python = scripts / f"python{sysconfig.get_config_var('EXE') or ''}"
        install = ("-m", "pip", "install", "--disable-pip-version-check", "--quiet", "--no-compile")
        call(python, *install, "-c", ROOT / "constraints.txt", wheel)
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        call(python, "-c", CHECK, cwd=folder, env=clean)
        for command in COMMANDS:
            call(scripts / "ulmfit", *command, cwd=folder, env=clean)


if __name__ == "__main__":
    main()
