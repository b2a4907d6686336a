"""Make the fixed small IMDb split: 2,000 training reviews, 2,000 test reviews and 10,000 unlabelled texts.

A review belongs to the split when the SHA-256 of the seed and its name in the archive is among the smallest of its
folder. The choice depends on the seed and on the names alone: not on the order of the archive or of a file system, and
not on a random generator of some library version. The rows stand in the order of those hashes, which mixes the classes.

Source: Maas et al. 2011, Learning Word Vectors for Sentiment Analysis (the Large Movie Review data set).
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import tarfile
from collections import defaultdict
from pathlib import Path

ARCHIVE = "imdb.tar.xz"
FOLDERS = ("train/neg", "train/pos", "test/neg", "test/pos", "unsup")
LABELLED_PER_CLASS = 1_000
UNLABELLED = 10_000


def rank(seed: int, name: str) -> str:
    """Return the sort key of a review: a hash of the seed and of its name, such as `train/pos/0_9.txt`."""
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()


def read_reviews(archive: Path) -> dict[str, dict[str, str]]:
    """Read every review of the archive.

    Args:
        archive: the path of `imdb.tar.xz`, whose members are named `imdb/FOLDER/ID_RATING.txt`.

    Returns:
        For each folder of `FOLDERS`: name -> text.

    Raises:
        SystemExit: if a folder has too few reviews for the split.
    """
    reviews: dict[str, dict[str, str]] = defaultdict(dict)
    with tarfile.open(archive, "r|xz") as members:
        for member in members:
            name = member.name.removeprefix("./").removeprefix("imdb/")
            folder = name.rpartition("/")[0]
            if folder in FOLDERS and name.endswith(".txt") and (file := members.extractfile(member)) is not None:
                reviews[folder][name] = file.read().decode("utf-8")
    for folder in FOLDERS:
        needed = UNLABELLED if folder == "unsup" else LABELLED_PER_CLASS
        if len(reviews[folder]) < needed:
            raise SystemExit(f"{archive}: {len(reviews[folder])} reviews in imdb/{folder}, {needed} are needed")
    return reviews


def write_csv(path: Path, header: list[str], rows: list[list[str]]) -> None:
    """Write rows with the same bytes on every system, and print their number and the SHA-256 of the file."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    print(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}  {len(rows):,} rows")


def make_split(archive: Path, out: Path, seed: int) -> None:
    """Write `train.csv`, `test.csv` (text, label) and `unlabelled.csv` (text) into the folder `out`."""
    reviews = read_reviews(archive)
    out.mkdir(parents=True, exist_ok=True)

    def chosen(folder: str, count: int) -> list[str]:
        return sorted(reviews[folder], key=lambda name: rank(seed, name))[:count]

    texts: dict[str, set[str]] = {}
    for part in ("train", "test"):
        names = [name for label in ("neg", "pos") for name in chosen(f"{part}/{label}", LABELLED_PER_CLASS)]
        names.sort(key=lambda name: rank(seed, name))
        rows = [[reviews[folder][name], folder.split("/")[1]] for name in names for folder in [name.rpartition("/")[0]]]
        texts[part] = {text for text, _ in rows}
        write_csv(out / f"{part}.csv", ["text", "label"], rows)
    unlabelled = [reviews["unsup"][name] for name in chosen("unsup", UNLABELLED)]
    write_csv(out / "unlabelled.csv", ["text"], [[text] for text in unlabelled])
    print(
        f"texts of test.csv that also stand in train.csv: {len(texts['test'] & texts['train'])}, "
        f"in unlabelled.csv: {len(texts['test'] & set(unlabelled))}"
    )


def main() -> None:
    """Parse the command line and make the split."""
    parser = argparse.ArgumentParser(description="Make the fixed small IMDb split.")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help=f"folder that holds {ARCHIVE}")
    parser.add_argument("--out", type=Path, default=Path("runs/imdb-2000"), help="folder for the three CSV files")
    parser.add_argument("--seed", type=int, default=0, help="another seed chooses other reviews")
    args = parser.parse_args()
    archive = args.data / ARCHIVE
    if not archive.is_file():
        parser.error(f"{archive} is not there; name the folder that holds it with --data")
    make_split(archive, args.out, args.seed)


if __name__ == "__main__":
    main()
