"""Commands that check, use and measure a finished bundle. They never load TensorFlow."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from compress.packaging import Format

app = typer.Typer()

PANEL = "Finished bundles"
BundleFolder = Annotated[Path, typer.Argument(help="A bundle's folder, such as exported/NAME.", metavar="BUNDLE")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@app.command(rich_help_panel=PANEL)
def verify(bundle: BundleFolder) -> None:
    """Check a bundle: hashes, manifest, models, labels, and that this machine gives the golden outputs."""
    from compress.bundle.verify import verify as checks

    for line in checks(bundle):
        print(line, flush=True)
    print(f"{bundle}: verified")


@app.command(rich_help_panel=PANEL)
def predict(
    bundle: BundleFolder,
    images: Annotated[
        list[str], typer.Argument(help="Image files, folders of them, or - for an image on standard input.")
    ],
    top: Annotated[int, typer.Option(help="How many labels, the most probable first.", min=1)] = 1,
    as_json: AsJson = False,
) -> None:
    """Print the label and probability of each image, one a line. What is no image is named, and the rest goes on."""
    from compress.bundle.classifier import BATCH, load
    from compress.errors import BadInputError

    classifier = load(bundle)
    waiting: list[tuple[str, Any]] = []
    bad = False

    def answer() -> None:
        for (name, _), said in zip(waiting, classifier.predict([pixels for _, pixels in waiting], top), strict=True):
            print(_as_json(name, said) if as_json else _as_text(name, said))
        waiting.clear()

    for name, image in _images(images):
        try:
            waiting.append((name, classifier.pixels(image)))
        except BadInputError as error:
            bad = True
            print(f"error: {error}", file=sys.stderr)
        if len(waiting) == BATCH:
            answer()
    if waiting:
        answer()
    raise typer.Exit(BadInputError.exit_code if bad else 0)


@app.command(rich_help_panel=PANEL)
def evaluate(
    bundle: BundleFolder,
    data: Annotated[str, typer.Option("--data", help="Labelled images, as for all.", metavar="SPEC")],
    as_json: AsJson = False,
) -> None:
    """Measure a bundle on other labelled images: on their test split where they have one, else on all."""
    from rich.console import Console

    from compress.bundle.classifier import load
    from compress.bundle.evaluate import evaluate as measure
    from compress.bundle.table import metrics_lines, metrics_table
    from compress.errors import BadInputError
    from compress.stages.data import source_of

    classifier = load(bundle)
    try:
        source = source_of(data)
    except ValueError as error:
        raise BadInputError(f"--data {data}: {error}") from error
    console = Console()
    with console.status("classifying the images"):
        metrics = measure(classifier, source.load(data, ""), data)
    if as_json:
        print(json.dumps(metrics, ensure_ascii=False))
        return
    console.print(metrics_table(metrics))
    for line in metrics_lines(metrics):
        console.print(line, highlight=False, soft_wrap=True)


@app.command(rich_help_panel=PANEL)
def package(
    bundle: BundleFolder,
    format: Annotated[Format, typer.Option("--format", help="For which server or hub.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="The folder to write; by default BUNDLE-FORMAT beside the bundle.", metavar="FOLDER"
        ),
    ] = None,
) -> None:
    """Write a bundle in another layout: a Triton repository, a Hugging Face one, an MLflow model, a Docker context."""
    from compress.packaging.package import package as write

    print(f"{format}: {write(bundle, format, out)}{os.sep}")


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
