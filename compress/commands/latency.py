"""Commands that gate latency. They never load TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command(rich_help_panel="Finished bundles")
def check(
    candidates: Annotated[
        list[Path], typer.Argument(help="ONNX files or bundles, as they are now.", metavar="CANDIDATE...")
    ],
    baseline: Annotated[
        Path,
        typer.Option(help="What they are compared with: an ONNX file, a bundle, or a folder of baselines."),
    ],
    margin: Annotated[float, typer.Option(help="Slowdown that is allowed, as a fraction.")] = 0.05,
    budget: Annotated[str, typer.Option(help="Time that all of it may take.")] = "120s",
    threads: Annotated[int, typer.Option(help="Threads of a session.")] = 1,
    provider: Annotated[str, typer.Option(help="ONNX Runtime's provider: cpu, cuda, ...")] = "cpu",
    max_p90_ms: Annotated[
        float | None, typer.Option(help="Most milliseconds of nine calls in ten.", metavar="X")
    ] = None,
    also: Annotated[
        list[str], typer.Option(help="Also gate size, memory, first-run or accuracy (on a bundle's golden images).")
    ] = [],  # noqa: B006
    junit: Annotated[Path | None, typer.Option(help="Write the result as JUnit XML.", metavar="FILE")] = None,
    json: Annotated[Path | None, typer.Option(help="Write result and raw samples as JSON.", metavar="FILE")] = None,
    update: Annotated[
        bool, typer.Option("--update", help="Make the candidates the baselines in the folder instead.")
    ] = False,
) -> None:
    """Compare a model's latency with its baseline's, both run now on this machine: 0 pass, 1 slower, 3 cannot tell."""
    from compress.latency import check as checking

    if update:
        checking.update(candidates, baseline)
        return
    settings = checking.settings_of(margin, budget, threads, provider, max_p90_ms is not None)
    files = checking.Reports(junit, json)
    raise typer.Exit(checking.run(candidates, baseline, settings, checking.kinds_of(also), max_p90_ms, files))
