"""`python -m compress predict`, which prints labels within a fraction of a second of its start.

It parses arguments with the standard library, because loading typer would take as long as all the rest.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from compress.bundle.classifier import BATCH, load
from compress.data.leftovers import is_left_behind, left_out, sidecar_suffix
from compress.errors import BadInputError

PROGRAM = "python -m compress predict"
SUMMARY = (
    "Print the label and probability of each image, one per line. Files that are not images are named and skipped."
)


def predict(arguments: Sequence[str]) -> int:
    """Print a line for each image; return the exit code, 2 if one of them was not an image."""
    options = _parser().parse_intermixed_args(arguments)
    classifier = load(options.bundle)
    batch: list[tuple[str, Any]] = []
    bad = False

    def classify() -> None:
        predictions = classifier.predict([pixels for _, pixels in batch], options.top)
        for (name, _), prediction in zip(batch, predictions, strict=True):
            print(_as_json(name, prediction) if options.json else _as_text(name, prediction))
        batch.clear()

    sidecars: Counter[str] = Counter()
    for name, image in _images(options.images, sidecars):
        try:
            batch.append((name, classifier.pixels(image)))
        except BadInputError as error:
            bad = True
            print(f"error: {error}", file=sys.stderr)
        if len(batch) == BATCH:
            classify()
    if batch:
        classify()
    for line in left_out(sidecars):
        print(line, file=sys.stderr)
    return BadInputError.exit_code if bad else 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BadInputError(f"{message}; see {PROGRAM} --help")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog=PROGRAM, description=SUMMARY, allow_abbrev=False)
    parser.add_argument("bundle", metavar="BUNDLE", type=Path, help="a bundle's folder, such as exported/NAME")
    parser.add_argument(
        "images", metavar="IMAGE", nargs="+", help="image files, folders of them, or - for an image on standard input"
    )
    parser.add_argument(
        "--top", type=_positive, default=1, metavar="N", help="print the N most probable labels (default: 1)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per line")
    return parser


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: should be a whole number, 1 or more")
    return int(text)


def _images(names: list[str], sidecars: Counter[str]) -> Iterator[tuple[str, Any]]:
    """Yield each image's name with its path or bytes; for a folder, those of all images in and below it.

    What systems leave behind is skipped, and files of notes and metadata are counted by their endings in `sidecars`.
    """
    for name in names:
        if name == "-":
            yield name, sys.stdin.buffer.read()
        elif Path(name).is_dir():
            for folder, folders, files in os.walk(name):
                folders[:] = sorted(inner for inner in folders if not is_left_behind(inner))
                for file in sorted(file for file in files if not is_left_behind(file)):
                    if suffix := sidecar_suffix(file):
                        sidecars[suffix] += 1
                    else:
                        yield str(Path(folder, file)), Path(folder, file)
        else:
            yield name, Path(name)


def _as_text(name: str, prediction: Any) -> str:
    return "\t".join([name, *(f"{label} {probability:.4f}" for label, probability in prediction.top)])


def _as_json(name: str, prediction: Any) -> str:
    top = [{"label": label, "probability": probability} for label, probability in prediction.top]
    return json.dumps({"image": name, **top[0], "top": top}, ensure_ascii=False)
