"""A program for texts of which only the package's name differs: from a folder to answers. Run by `speed_whole.py`.

    PYTHON benchmarks/speed_program.py PACKAGE FOLDER WORK

FOLDER holds `train/{pos,neg}` and `test/{pos,neg}`, WORK is an empty folder. Models are of base size, with random
weights. Prints one line of JSON: name, unit and value of each measure.
"""

from __future__ import annotations

import json
import statistics
import sys
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from speed_measures import arguments, seconds

N_AGAIN = 5  # Python collects garbage in one of them
N_TEXTS = 64
N_WORDS = (40, 120)


def size_mb(path: Path) -> float:
    """Of a file, or of the files of a folder."""
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    return sum(file.stat().st_size for file in files) / 1e6


def main() -> None:
    """Take every measure once."""
    given = arguments(__doc__)
    package, folder, work = given.package, given.folder, given.work
    library: Any = import_module(f"{package}.text.all")
    resource: Any = import_module("resource")  # which Windows does not have
    found: list[tuple[str, str, float]] = []
    made: list[Any] = []

    def load(**options: Any) -> None:
        made.append(library.TextDataLoaders.from_folder(folder, valid="test", **options))

    n = sum(1 for _ in folder.rglob("*.txt"))
    found.append((f"TextDataLoaders.from_folder, {n:,} files", "s", seconds(load)))
    found.append(("the same again", "s", statistics.median(seconds(load) for _ in range(N_AGAIN))))
    learn = library.text_classifier_learner(made[-1], library.AWD_LSTM, drop_mult=0.5, pretrained=False, path=work)
    texts = [file.read_text(encoding="utf-8") for file in sorted((folder / "test").rglob("*.txt"))[:N_TEXTS]]
    with learn.no_bar(), learn.no_logging():
        learn.predict(texts[0])
        one = [seconds(partial(learn.predict, text)) for text in texts[:20]]
        found.append(("learn.predict, a review", "ms", 1000 * statistics.median(one)))
        loader = learn.dls.test_dl(texts)
        found.append(("learn.get_preds", "documents/s", len(texts) / seconds(lambda: learn.get_preds(dl=loader))))
    exported = work / "classifier"
    found.append(("learn.export", "s", seconds(lambda: learn.export(exported))))
    found.append(("load_learner", "s", seconds(lambda: library.load_learner(exported))))
    found.append(("what was exported", "MB", size_mb(exported)))
    load(is_lm=True)
    writer = library.language_model_learner(made[-1], library.AWD_LSTM, pretrained=False, path=work)
    with writer.no_bar(), writer.no_logging():
        prompt = "This movie is about"
        for words in N_WORDS:
            taken = [seconds(partial(writer.predict, prompt, words, temperature=0.75)) for _ in range(3)]
            found.append((f"learn.predict, {words} words", "words/s", words / statistics.median(taken)))
    unit = 1 if sys.platform == "darwin" else 1024
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    found.append(("largest memory of this program", "MB", memory))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
