"""The commands that check, evaluate and package a finished bundle. They never load TensorFlow."""

from __future__ import annotations

import json
import os
import sys
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
    Format = Literal[tuple(plugins.names("compress.packaging.formats"))]  # typer lists and checks the choices


@app.command(rich_help_panel=PANEL)
def verify(bundle: BundleFolder) -> None:
    """Check a bundle: hashes, manifest, models, labels, and that its models give the golden outputs on this machine."""
    from compress.bundle.verify import verify as checks

    for line in checks(bundle):
        print(line, flush=True)
    print(f"{bundle}: verified")


@app.command(rich_help_panel=PANEL)
def predict() -> None:
    """Print the label and probability of each image; starts in a fraction of a second."""
    # Only for the list of commands in --help: cli.main runs compress.commands.predict, without loading typer


@app.command(rich_help_panel=PANEL)
def evaluate(
    bundle: BundleFolder,
    data: Annotated[str, typer.Option("--data", help="Labelled images, given as for the command all.", metavar="SPEC")],
    as_json: AsJson = False,
) -> None:
    """Measure a bundle's accuracy on other labelled images: on their test split if they have one, otherwise on all."""
    from compress.bundle.classifier import load
    from compress.bundle.evaluate import counts_training_images
    from compress.bundle.evaluate import evaluate as measure
    from compress.data.spec import Source
    from compress.errors import BadInputError
    from compress.files import home_expanded
    from compress.report.table import metrics_lines, metrics_table
    from compress.stages.data import Config
    from compress.terminal import terminal

    classifier = load(bundle)
    try:
        data = home_expanded(data)
        source = Source.find(data)
    except ValueError as error:
        raise BadInputError(f"--data {data}: {error}") from error
    samples = source.load(data, "")

    def warn(line: str) -> None:
        print(f"warning: {line}", file=sys.stderr)

    if counts_training_images(bundle, samples, Config(source={"name": data}).name):
        warn(
            f"{data}: {classifier.name} was made from these data, and its training images are counted: "
            "the figures are too good; report.json has those on test images"
        )
    console = terminal()
    with console.status("classifying the images"):
        metrics = measure(classifier, samples, data, warn)
    if as_json:
        print(json.dumps(metrics.model_dump(mode="json"), ensure_ascii=False))
        return
    console.print(metrics_table(metrics))
    for line in metrics_lines(metrics):
        console.print(line, highlight=False, soft_wrap=True)


@app.command(rich_help_panel=PANEL)
def compare(
    bundles: Annotated[list[Path], typer.Argument(help="Two or more bundles' folders.", metavar="BUNDLE...")],
    html: Annotated[
        Path | None, typer.Option("--html", help="Also write the comparison as a page.", metavar="FILE")
    ] = None,
) -> None:
    """Show bundles side by side: accuracy, image by image where the test images are the same, cost, and settings."""
    from compress.bundle.compared import sides_of
    from compress.latency.report_files import write_report
    from compress.report.compare import notes, page, table, unlike
    from compress.terminal import terminal

    sides = sides_of(bundles)
    console = terminal()
    console.print(table(sides))
    for line in notes(sides):
        console.print(line, highlight=False, soft_wrap=True)
    for key, values in unlike(sides).items():
        console.print(
            f"{key}: {' | '.join('-' if value is None else value for value in values)}",
            highlight=False,
            soft_wrap=True,
        )
    if html:
        write_report("--html", html, page(sides).encode())
        print(html)


@app.command(rich_help_panel=PANEL)
def package(
    bundle: BundleFolder,
    format: Annotated[Format, typer.Option("--format", help="The server or hub to write for.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder to write; by default BUNDLE-FORMAT beside the bundle.", metavar="FOLDER"),
    ] = None,
) -> None:
    """Write a bundle in another layout: Triton or Hugging Face repository, MLflow model, Docker build context."""
    from compress.packaging.package import package as write

    print(f"{format}: {write(bundle, format, out)}{os.sep}")
