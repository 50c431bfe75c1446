"""Commands that check, use and measure a finished bundle. They never load TensorFlow."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from compress import plugins

app = typer.Typer()

PANEL = "Finished bundles"
BundleFolder = Annotated[Path, typer.Argument(help="A bundle's folder, such as exported/NAME.", metavar="BUNDLE")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]

if TYPE_CHECKING:
    Format = str
else:
    Format = Literal[tuple(plugins.names("compress.packaging.formats"))]  # which typer lists and checks


@app.command(rich_help_panel=PANEL)
def verify(bundle: BundleFolder) -> None:
    """Check a bundle: hashes, manifest, models, labels, and that this machine gives the golden outputs."""
    from compress.bundle.verify import verify as checks

    for line in checks(bundle):
        print(line, flush=True)
    print(f"{bundle}: verified")


@app.command(rich_help_panel=PANEL)
def predict() -> None:
    """Print the label and probability of each image; starts in a fraction of a second."""
    # Stands here for the list of commands: cli.main runs compress.commands.predict, and typer is never loaded


@app.command(rich_help_panel=PANEL)
def evaluate(
    bundle: BundleFolder,
    data: Annotated[str, typer.Option("--data", help="Labelled images, as for all.", metavar="SPEC")],
    as_json: AsJson = False,
) -> None:
    """Measure a bundle on other labelled images: on their test split where they have one, else on all."""
    from compress.bundle.classifier import load
    from compress.bundle.evaluate import evaluate as measure
    from compress.errors import BadInputError
    from compress.report.table import metrics_lines, metrics_table
    from compress.stages.data import Source
    from compress.terminal import terminal

    classifier = load(bundle)
    try:
        source = Source.find(data)
    except ValueError as error:
        raise BadInputError(f"--data {data}: {error}") from error
    console = terminal()
    with console.status("classifying the images"):
        metrics = measure(classifier, source.load(data, ""), data)
    if as_json:
        print(json.dumps(metrics.model_dump(mode="json"), ensure_ascii=False))
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
