"""Commands that measure and gate latency. For files they never load TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from compress.commands.settings import Assignments, ConfigFile, DataSpec, Preset, SkipBad, load
from compress.errors import BadInputError

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
        list[str],
        typer.Option(help="Also gate size, memory, first-run or accuracy (of a --baseline that is a bundle)."),
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


WITH_MODEL = "Options with MODEL"


@app.command(rich_help_panel="Stages, in order")
def bench(
    context: typer.Context,
    models: Annotated[list[Path], typer.Argument(help="ONNX files or bundles.", metavar="MODEL")] = [],  # noqa: B006
    batches: Annotated[
        str, typer.Option(help="Batch sizes, where a model leaves them free.", rich_help_panel=WITH_MODEL)
    ] = "1,8,32",
    threads: Annotated[
        str | None,
        typer.Option(help="Threads of a session; 1 and all, if not given.", metavar="1,2", rich_help_panel=WITH_MODEL),
    ] = None,
    provider: Annotated[
        str, typer.Option(help="ONNX Runtime's provider: cpu, cuda, ...", rich_help_panel=WITH_MODEL)
    ] = "cpu",
    seconds: Annotated[
        float,
        typer.Option(help="Time for each pair of threads and batch, all models together.", rich_help_panel=WITH_MODEL),
    ] = 5.0,
    compare: Annotated[
        str | None,
        typer.Option(help="Measure other runtimes beside it.", metavar="openvino,litert", rich_help_panel=WITH_MODEL),
    ] = None,
    json: Annotated[
        Path | None,
        typer.Option(help="Write all of it and raw samples as JSON.", metavar="FILE", rich_help_panel=WITH_MODEL),
    ] = None,
    data: DataSpec = None,
    config: ConfigFile = None,
    preset: Preset = None,
    assignments: Assignments = [],  # noqa: B006
    skip_bad: SkipBad = False,
) -> None:
    """Measure latency: of ONNX files, or, without one, of every model of a run, on all providers of this machine."""
    _check_options(context, bool(models))
    if models:
        from compress.latency import bench as benching

        benching.run(models, benching.settings_of(batches, threads, provider, seconds, compare), json)
    else:
        from compress.commands.run import run_up_to

        run_up_to("bench", load(config, preset, data, skip_bad, assignments))


def _check_options(context: typer.Context, with_model: bool) -> None:
    """Raise `BadInputError` for an option that is of no effect with MODEL, or without."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        of_models = getattr(parameter, "rich_help_panel", None) == WITH_MODEL
        if (
            source
            and source.name == "COMMANDLINE"
            and parameter.param_type_name == "option"
            and of_models != with_model
        ):
            raise BadInputError(f"{parameter.opts[0]}: bench takes it only {'without' if with_model else 'with'} MODEL")
