"""The options through which commands receive a run's settings."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from inspect import Parameter, Signature, signature
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
Budget = Annotated[
    str | None,
    typer.Option(help="Time that the whole run may take, into which it plans itself: 30m, 2h, 1h30m.", metavar="TIME"),
]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave out unreadable images, up to 1 %.")]


OPTIONS: tuple[tuple[str, Any, Any], ...] = (
    ("data", DataSpec, None),
    ("config", ConfigFile, None),
    ("preset", Preset, None),
    ("assignments", Assignments, []),
    ("skip_bad", SkipBad, False),
    ("budget", Budget, None),
)


def takes_settings(command: Callable[..., None], without: str = "") -> Callable[..., None]:
    """Return a command that has the options of a run's settings, but for the one named `without`.

    The command's parameter `settings` receives a function that returns what the options state together; its keywords
    override them.
    """
    options = [option for option in OPTIONS if option[0] != without]

    @wraps(command)
    def with_options(**values: Any) -> None:
        stated = {name: values.pop(name) for name, _, _ in options}
        command(**values, settings=partial(load, **stated))

    own = [part for part in signature(command, eval_str=True).parameters.values() if part.name != "settings"]
    shared = [Parameter(name, Parameter.KEYWORD_ONLY, default=value, annotation=kind) for name, kind, value in options]
    with_options.__signature__ = Signature([*own, *shared])  # type: ignore[attr-defined]  # which typer looks at
    return with_options


def load(
    config: Path | None,
    preset: str | None,
    data: str | None,
    skip_bad: bool,
    budget: str | None,
    assignments: list[str],
) -> Any:
    """Return the settings that these options state together."""
    from compress.config import load as load_config

    options: dict[str, Any] = {}
    if data is not None:
        options[f"--data {data}"] = {"data": {"source": data}}
    if skip_bad:
        options["--skip-bad"] = {"data": {"skip_bad": True}}
    if budget is not None:
        options[f"--budget {budget}"] = {"budget": budget}
    return load_config(config, preset, assignments, options)
