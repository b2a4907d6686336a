"""Build sdist and wheel, install the wheel into an empty environment, and use it there.

The wheel is built from the unpacked sdist, so that both are tried. The new environment finds the dependencies of the
one that runs this script through a path file; it holds no copy of them, and its own copy of the package comes first.
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
for file in ("samples/tickets.csv", "py.typed"):
    assert files("ulmfit").joinpath(file).is_file(), f"{file} is not in the wheel"
print(ulmfit.__version__, place)
"""


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
        call(python, "-m", "pip", "install", "--disable-pip-version-check", "--quiet", "--no-deps", "--no-index", wheel)
        inside = Path(sysconfig.get_path("purelib", "venv", base))
        (inside / "dependencies.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        call(python, "-c", CHECK, cwd=folder, env=clean)
        call(scripts / "ulmfit", "generate", "en-small", "The history of", "--words", 5, cwd=folder, env=clean)


if __name__ == "__main__":
    main()
