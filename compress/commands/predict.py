"""`predict`: from the start of the process to a label in a fraction of a second.

Its arguments are parsed by the standard library: typer, and pydantic, which typer parses with, take as long to load as
all that a label needs.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from compress.bundle.classifier import BATCH, load
from compress.errors import BadInputError

PROGRAM = "python -m compress predict"
SUMMARY = "Print the label and probability of each image, one a line. What is no image is named, and the rest goes on."


def predict(arguments: Sequence[str]) -> int:
    """Print a line for each image; return the exit code, 2 where one of them was no image."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # for file names that are not of the terminal's encoding
    asked = _parser().parse_intermixed_args(arguments)
    classifier = load(asked.bundle)
    waiting: list[tuple[str, Any]] = []
    bad = False

    def answer() -> None:
        said = classifier.predict([pixels for _, pixels in waiting], asked.top)
        for (name, _), prediction in zip(waiting, said, strict=True):
            print(_as_json(name, prediction) if asked.json else _as_text(name, prediction))
        waiting.clear()

    for name, image in _images(asked.images):
        try:
            waiting.append((name, classifier.pixels(image)))
        except BadInputError as error:
            bad = True
            print(f"error: {error}", file=sys.stderr)
        if len(waiting) == BATCH:
            answer()
    if waiting:
        answer()
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
        "--top", type=_positive, default=1, metavar="N", help="how many labels, the most probable first (default: 1)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, an object a line")
    return parser


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: should be a whole number from 1")
    return int(text)


def _images(named: list[str]) -> Iterator[tuple[str, Any]]:
    """Yield each image's name, and its path or its bytes; of a folder all files in it and below, but hidden ones."""
    for name in named:
        if name == "-":
            yield name, sys.stdin.buffer.read()
        elif Path(name).is_dir():
            for folder, folders, files in os.walk(name):
                folders[:] = sorted(inner for inner in folders if not inner.startswith("."))
                for file in sorted(files):
                    if not file.startswith("."):
                        yield str(Path(folder, file)), Path(folder, file)
        else:
            yield name, Path(name)


def _as_text(name: str, said: Any) -> str:
    return "\t".join([name, *(f"{label} {probability:.4f}" for label, probability in said.top)])


def _as_json(name: str, said: Any) -> str:
    top = [{"label": label, "probability": probability} for label, probability in said.top]
    return json.dumps({"image": name, **top[0], "top": top}, ensure_ascii=False)
