"""The options through which commands receive a run's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

ConfigFile = Annotated[Path | None, typer.Option("--config", help="TOML file with settings.", metavar="FILE.toml")]
Preset = Annotated[str | None, typer.Option(help="Preset whose settings override those of --config.", metavar="NAME")]
Assignments = Annotated[
    list[str],
    typer.Option("--set", help="A setting that overrides all others: prune.sparsity=0.9", metavar="KEY=VALUE"),
]
SPEC = (
    "Images: a folder of class folders (or of train/, val/, test/ that hold such), a .npz, a folder of IDX files, a "
    ".csv, .tsv or .parquet with path and label, tfds:NAME, or digits, mnist, fashion_mnist, cifar10, cifar100."
)
DataSpec = Annotated[str | None, typer.Option("--data", help=SPEC, metavar="SPEC")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave out unreadable images, up to 1 %.")]


def load(file: Path | None, preset: str | None, data: str | None, skip_bad: bool, assignments: list[str]) -> Any:
    """Return the settings that these options state together."""
    from compress import config as settings

    options: dict[str, Any] = {}
    if data is not None:
        options[f"--data {data}"] = {"data": {"source": data}}
    if skip_bad:
        options["--skip-bad"] = {"data": {"skip_bad": True}}
    return settings.load(file, preset, assignments, options)
