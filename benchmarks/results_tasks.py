"""The tasks of the tables of results, each as a folder of CSV files that every system reads.

    python benchmarks/results_tasks.py --data FOLDER --tasks sms sst2 imdb-1000 [--out runs/tasks] [--seeds 3]

A folder holds train.csv and test.csv (columns text and label), dev.csv where the data set has such a part,
unlabelled.csv (column text) where there are further texts, and task.json. Which rows a part has depends on the data,
the seed and nothing else: parts that a data set does not come with are chosen by the hash of their names or numbers.
`imdb-N` has N labelled reviews, chosen by the seed, half of them positive, and all 100,000 texts but those of the test
part for the language model (`--unlabelled` takes fewer); `imdb-N-testM` is tested on M of the 25,000 test reviews, the
same ones whatever the seed. Data sets are taken as they are: texts of the test part that also stand elsewhere are
counted, not left out.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import re
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

Row = tuple[str, str]
Parts = dict[str, list[Row]]

SINGLE, MULTI, REGRESSION = "single_label", "multi_label", "regression"
_TEST_SHARE = 5  # one text of five, where a data set comes without a test part
csv.field_size_limit(2**31 - 1)  # of 20 Newsgroups some texts are longer than the module allows
_LABELLED_REVIEWS = re.compile(r"imdb-(\d+)(?:-test(\d+))?")


@dataclass(frozen=True, kw_only=True)
class Task:
    """What there is to learn.

    Args:
        name: with the number of labels, where that is chosen.
        kind: "single_label", "multi_label" (labels separated by spaces) or "regression".
        lang: language of the texts, as spaCy names it.
        seed: of the choice of labelled texts.
        unlabelled: the most texts for the language model that were asked for, where there are any.
        rows: how many each part has.
        sha256: of each file.
    """

    name: str
    kind: str
    lang: str
    seed: int = 0
    unlabelled: int | None = None
    rows: dict[str, int] = field(default_factory=dict)
    sha256: dict[str, str] = field(default_factory=dict)


def _rank(seed: int, name: object) -> str:
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()


def _table(path: Path, label: str = "label") -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["text"], row[label]) for row in csv.DictReader(file)]


def _tables(folder: Path, label: str = "label") -> Parts:
    return {part: _table(folder / f"{part}.csv", label) for part in ("train", "dev", "test") if _there(folder, part)}


def _there(folder: Path, part: str) -> bool:
    return (folder / f"{part}.csv").is_file()


def _members(archive: Path, encoding: str) -> Iterator[tuple[list[str], str]]:
    """Path within the archive, in parts, and text of each file."""
    with tarfile.open(archive) as members:
        for member in members:
            if member.isfile() and (file := members.extractfile(member)) is not None:
                yield member.name.removeprefix("./").split("/"), file.read().decode(encoding)


def _sms(data: Path, _: int, __: int) -> Parts:
    # The file cuts one message in the middle of a word: what has no label in front belongs to the line before.
    whole = re.sub(r"\n(?!(?:ham|spam)\t)", "", (data / "sms-spam" / "SMSSpamCollection").read_text(encoding="utf-8"))
    rows = [(text, label) for label, _, text in (line.partition("\t") for line in whole.split("\n"))]
    order = sorted(range(len(rows)), key=lambda i: _rank(0, i))
    n_test = len(rows) // _TEST_SHARE
    return {"train": [rows[i] for i in order[n_test:]], "test": [rows[i] for i in order[:n_test]]}


def _news(stripped: bool) -> Callable[[Path, int, int], Parts]:
    def read(data: Path, unlabelled: int, seed: int) -> Parts:
        parts: Parts = {"train": [], "test": []}
        for path, text in _members(data / "20news-bydate.tar.xz", "latin-1"):
            if len(path) != 4:
                continue
            part, group = path[1:3]
            body = re.split(r"\n\s*\n", text, maxsplit=1)[-1] if stripped else text
            parts[part].append((body.strip() or "(empty)", group))
        return parts

    return read


def _sign(sign: str, _: str) -> str:
    return sign


def _imdb(
    data: Path, n: int, unlabelled: int, seed: int, value: Callable[[str, str], str], n_test: int | None = None
) -> Parts:
    """N labelled reviews, the test part or some of it, and texts for the language model."""
    labelled: dict[str, list[tuple[str, Row]]] = {"pos": [], "neg": []}
    parts: Parts = {"test": [], "unlabelled": []}
    for path, text in _members(data / "imdb.tar.xz", "utf-8"):
        if len(path) == 4 and path[1] in ("train", "test"):
            _, part, sign, name = path
            row = (text, value(sign, name.partition("_")[2].removesuffix(".txt")))
            labelled[sign].append((f"{sign}/{name}", row)) if part == "train" else parts["test"].append(row)
        elif len(path) == 3 and path[1] == "unsup":
            parts["unlabelled"].append((text, ""))
    parts["train"] = []
    if n > sum(map(len, labelled.values())):
        raise SystemExit(f"{n:,} labelled reviews are asked for; there are {sum(map(len, labelled.values())):,}")
    if n_test is not None and n_test > len(parts["test"]):
        raise SystemExit(f"{n_test:,} reviews are to be tested on; there are {len(parts['test']):,}")
    for rows in labelled.values():
        rows.sort(key=lambda named: _rank(seed, named[0]))
        parts["train"] += [row for _, row in rows[: n // 2]]
        parts["unlabelled"] += [(text, "") for _, (text, _) in rows[n // 2 :]]
    parts["train"].sort(key=lambda row: _rank(seed, row[0]))
    parts["unlabelled"].sort(key=lambda row: _rank(seed, row[0]))
    parts["unlabelled"] = parts["unlabelled"][:unlabelled]
    if n_test is not None:
        parts["test"] = sorted(parts["test"], key=lambda row: _rank(0, row[0]))[:n_test]
    return parts


FIXED: dict[str, tuple[str, str, Callable[[Path, int, int], Parts]]] = {
    "sms": (SINGLE, "en", _sms),
    "sst2": (SINGLE, "en", lambda data, _, __: _tables(data / "sst2")),
    "banking77": (SINGLE, "en", lambda data, _, __: _tables(data / "banking77")),
    "goemotions": (MULTI, "en", lambda data, _, __: _tables(data / "goemotions", "labels")),
    "germeval2018": (SINGLE, "de", lambda data, _, __: _tables(data / "germeval2018", "coarse")),
    "20news": (SINGLE, "en", _news(stripped=False)),
    "20news-stripped": (SINGLE, "en", _news(stripped=True)),
    "imdb-ratings": (
        REGRESSION,
        "en",
        lambda data, unlabelled, seed: _imdb(data, 25_000, unlabelled, seed, lambda _, rating: rating),
    ),
}


def prepare(name: str, data: Path, out: Path, *, seed: int = 0, unlabelled: int = 100_000) -> Path:
    """Write a task's folder, if it is not there yet.

    Args:
        name: a key of `FIXED`, imdb-N or imdb-N-testM.
        data: the folder of the data sets.
        out: where the folders of tasks are.
        seed: of the choice of labelled texts, where that is chosen.
        unlabelled: the most texts for the language model.

    Returns:
        The folder.

    Raises:
        SystemExit: there is no such task, or it is there with another number of texts for the language model; the data
            are not there, or not enough of them.
    """
    if few := _LABELLED_REVIEWS.fullmatch(name):
        n, n_test = int(few[1]), None if few[2] is None else int(few[2])
        if n < 2 or n % 2 or (n_test is not None and n_test < 1):
            raise SystemExit(f"{name}: half of the labelled reviews are positive, and some are tested on")
        kind, lang, label = SINGLE, "en", f"-{seed}"
        parts: Callable[[], Parts] = lambda: _imdb(data, n, unlabelled, seed, _sign, n_test)  # noqa: E731
    elif name in FIXED:
        kind, lang, read = FIXED[name]
        parts, label = (lambda: read(data, unlabelled, seed)), ""
    else:
        raise SystemExit(f"there is no task {name!r}; there are imdb-N, imdb-N-testM and {', '.join(FIXED)}")
    folder = out / f"{name}{label}"
    if (folder / "task.json").is_file():
        if read_task(folder).unlabelled not in (None, unlabelled):
            raise SystemExit(
                f"{folder} was made with --unlabelled {read_task(folder).unlabelled}, and {unlabelled} are wanted now; "
                "remove it, or take another folder for the tasks"
            )
        return folder
    if not data.is_dir():
        raise SystemExit(f"there is no folder {data} to read data sets from")
    try:
        found = parts()
    except FileNotFoundError as error:
        raise SystemExit(f"{name}: {error.filename} is not there") from error
    if lacking := [part for part in ("train", "test") if not found.get(part)]:
        raise SystemExit(f"{name}: {data} has nothing for {' and '.join(lacking)}")
    folder.mkdir(parents=True, exist_ok=True)
    rows, sums = {}, {}
    for part, table in found.items():
        if table:
            rows[part], sums[part] = len(table), _write(folder / f"{part}.csv", table, part != "unlabelled")
    limit = unlabelled if "unlabelled" in rows else None
    task = Task(name=name, kind=kind, lang=lang, seed=seed, unlabelled=limit, rows=rows, sha256=sums)
    (folder / "task.json").write_text(json.dumps(asdict(task), indent=1) + "\n", encoding="utf-8")
    return folder


def _write(path: Path, rows: Iterable[Row], labelled: bool) -> str:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["text", "label"] if labelled else ["text"])
        writer.writerows(row if labelled else row[:1] for row in rows)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_task(folder: Path) -> Task:
    """What the task of a folder is."""
    return Task(**json.loads((folder / "task.json").read_text(encoding="utf-8")))


def read_part(folder: Path, part: str) -> tuple[list[str], list[str]]:
    """Texts and labels of a part."""
    rows = _table(folder / f"{part}.csv")
    return [text for text, _ in rows], [label for _, label in rows]


def read_known(folder: Path) -> tuple[list[str], list[str]]:
    """Texts and labels that a system may learn from: of the training part and, where there is one, the dev part."""
    parts = [read_part(folder, part) for part in ("train", "dev") if _there(folder, part)]
    return [text for texts, _ in parts for text in texts], [label for _, labels in parts for label in labels]


def read_unlabelled(folder: Path) -> list[str]:
    """Texts for the language model beside those of the training part; none, if the task has none."""
    if not _there(folder, "unlabelled"):
        return []
    with (folder / "unlabelled.csv").open(encoding="utf-8", newline="") as file:
        return [row["text"] for row in csv.DictReader(file)]


def repeated(folder: Path) -> dict[str, int]:
    """How many texts of the test part stand in another part, word for word, and how many in the test part twice."""
    test, _ = read_part(folder, "test")
    known, unlabelled = set(read_known(folder)[0]), set(read_unlabelled(folder))
    found = {"known": sum(text in known for text in test), "unlabelled": sum(text in unlabelled for text in test)}
    return found | {"test": len(test) - len(set(test))}


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the folders and print what they hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tasks", nargs="+", required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/tasks"))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--unlabelled", type=int, default=100_000)
    given = parser.parse_args(arguments)
    for name in given.tasks:
        for seed in range(given.seeds if _LABELLED_REVIEWS.fullmatch(name) else 1):
            folder = prepare(name, given.data, given.out, seed=seed, unlabelled=given.unlabelled)
            print(folder, json.dumps(read_task(folder).rows | {"test texts also in": repeated(folder)}), flush=True)


if __name__ == "__main__":
    main()
