"""A program for texts of which only the package's name differs: rules, words, ids. Run by `speed_whole.py`.

    PYTHON benchmarks/speed_texts.py PACKAGE FOLDER WORK

FOLDER holds text files. Prints one line of JSON: name, unit and value of each measure.
"""

from __future__ import annotations

import json
from collections import Counter
from importlib import import_module
from typing import Any

from speed_measures import arguments, seconds

WORKERS = 2


def main() -> None:
    """Take every measure once."""
    given = arguments(__doc__)
    library: Any = import_module(f"{given.package}.text.all")
    texts = [file.read_text(encoding="utf-8") for file in sorted(given.folder.rglob("*.txt"))]
    tokenizer = library.Tokenizer(library.WordTokenizer())
    tokens = [list(tokenizer(text)) for text in texts[:1]]  # what is loaded once is

    def by_rules() -> None:
        for text in texts:
            for rule in library.defaults.text_proc_rules:
                text = rule(text)

    def one_at_a_time() -> None:
        tokens[:] = [list(tokenizer(text)) for text in texts]

    def vocabulary() -> None:
        made.append(library.make_vocab(Counter(token for document in tokens for token in document)))

    made: list[Any] = []
    n = len(texts)
    rates = {
        "rules alone": n / seconds(by_rules),
        "Tokenizer, one text at a time": n / seconds(one_at_a_time),
        f"parallel_tokenize, {WORKERS} workers": n
        / seconds(lambda: library.parallel_tokenize(texts, library.WordTokenizer(), n_workers=WORKERS)),
        f"tokenize_folder, {WORKERS} workers": n
        / seconds(lambda: library.tokenize_folder(given.folder, n_workers=WORKERS)),
    }
    found = [(name, "documents/s", rate) for name, rate in rates.items()]
    found.append(("vocabulary of the tokens", "s", seconds(vocabulary)))
    numericalize = library.Numericalize(made[-1])
    found.append(("Numericalize", "documents/s", n / seconds(lambda: [numericalize(document) for document in tokens])))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
