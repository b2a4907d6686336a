"""The way from a folder of reviews to answers, by the same programs with fastai and with this library, in turns.

    python benchmarks/speed_whole.py --data FOLDER --peer-python PEER/bin/python [--turns 3] [--rows FILE]

FOLDER holds `imdb.tar.xz`. `speed_program.py` and `speed_texts.py` are the programs. Every turn is a new process with
an empty cache and a new copy of the files, as fastai keeps its tokens beside them. The program starts three seconds
later: the times of younger files do not prove to this library that they are as they were (`ulmfit.data.stores`).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import defaultdict
from itertools import product
from pathlib import Path

from rows import add_speed

PROGRAMS = [Path(__file__).parent / name for name in ("speed_texts.py", "speed_program.py")]
AGE = 3.0  # seconds


def unpack(archive: Path, folder: Path, n: int) -> None:
    """The first n reviews of each class of each part."""
    left: dict[str, int] = defaultdict(lambda: n)
    with tarfile.open(archive) as tar:
        for member in tar:
            name = Path(member.name)
            kind = "/".join(name.parts[1:3])
            file = tar.extractfile(member) if member.isfile() else None
            if file is None or kind not in {"train/pos", "train/neg", "test/pos", "test/neg"} or not left[kind]:
                continue
            left[kind] -= 1
            (folder / kind).mkdir(parents=True, exist_ok=True)
            (folder / kind / name.name).write_bytes(file.read())


def main() -> None:
    """Take turns, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--peer-python", required=True)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--reviews", type=int, default=500, help="of each class of each part")
    parser.add_argument("--rows", type=Path, help="keep the figures there, too")
    given = parser.parse_args()
    found: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for program, _, (package, python) in product(
        PROGRAMS, range(given.turns), (("ulmfit", sys.executable), ("fastai", given.peer_python))
    ):
        with tempfile.TemporaryDirectory() as folder:
            reviews, work, cache = (Path(folder) / name for name in ("reviews", "work", "cache"))
            work.mkdir()
            unpack(given.data / "imdb.tar.xz", reviews, given.reviews)
            time.sleep(AGE)
            command = [python, str(program), package, str(reviews), str(work)]
            environment = os.environ | {"ULMFIT_CACHE": str(cache)}
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
        for name, unit, value in json.loads(done.stdout.splitlines()[-1]):
            found[name, unit][package].append(value)
    for (name, unit), values in found.items():
        medians = {package: round(statistics.median(column), 3) for package, column in values.items()}
        print(json.dumps({"measure": name, "unit": unit, **medians}))
        add_speed(given.rows, name, unit, values["ulmfit"], values["fastai"])


if __name__ == "__main__":
    main()
