"""Options that describe the ONNX Runtime sessions in which models run, and what the models are fed."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from compress.errors import BadInputError

if TYPE_CHECKING:
    from compress.latency.given import Given

SHAPE = re.compile(r"(.+)=([1-9][0-9]{0,9}(?:x[1-9][0-9]{0,9})*)")


def provider_option(panel: str | None = None) -> Any:
    """Return the option --provider, listed in a panel of --help."""
    return typer.Option(help="ONNX Runtime execution provider: cpu, cuda, ...", metavar="NAME", rich_help_panel=panel)


def shape_option(panel: str | None = None) -> Any:
    """Return the option --shape, listed in a panel of --help."""
    help_ = "Shape of the input NAME, where the file leaves it open; repeat it for other inputs."
    return typer.Option(help=help_, metavar="NAME=1x3x224x224", rich_help_panel=panel)


def inputs_option(panel: str | None = None) -> Any:
    """Return the option --inputs, listed in a panel of --help."""
    help_ = "Values to feed: a .npz with an array for each input that should not be fed noise."
    return typer.Option(help=help_, metavar="FILE.npz", rich_help_panel=panel)


def check_threads(counts: Sequence[int]) -> None:
    """Raise `BadInputError` unless this process may use as many cores as each of the numbers of threads."""
    from compress import machine

    cores, quota = machine.available_cores(), machine.cpu_quota()
    if quota is not None and quota < 1:
        print(f"the CPU quota of this cgroup is {quota:g} of a core: one thread, stopped now and then", file=sys.stderr)
    for threads in counts:
        if 1 <= threads <= cores:
            continue
        raise BadInputError(f"--threads {threads}: should be 1 to {cores}, the cores that this process may use")


def provider_named(name: str) -> str:
    """Return the full name of an execution provider, given its full or short name (`cuda`) in any case.

    Raises `BadInputError` if onnxruntime does not know the provider.
    """
    from compress.onnx_tools.providers import by_short_name, short

    known = by_short_name()
    full = known.get(short(name).lower())
    if not full:
        raise BadInputError(f"--provider {name}: should be one of {', '.join(known)}")
    return full


def given_inputs(shapes: Sequence[str], file: Path | None) -> Given:
    """Return what `--shape NAME=1x3x224x224`, repeatable, and `--inputs FILE.npz` state.

    Raises `BadInputError` if a shape cannot be read or an input has two.
    """
    from compress.latency.given import Given

    stated: dict[str, tuple[int, ...]] = {}
    for text in shapes:
        found = SHAPE.fullmatch(text)
        if not found:
            raise BadInputError(f"--shape {text}: should be NAME=1x3x224x224, each number at least 1")
        if found[1] in stated:
            raise BadInputError(f"--shape {text}: {found[1]} is given twice; each input should have one shape")
        stated[found[1]] = tuple(map(int, found[2].split("x")))
    return Given(stated, "" if file is None else str(file))
