"""`python -m compress bench`: the latency of ONNX files, measured without TensorFlow, or of all models of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compress.commands.session_options import (
    check_threads,
    given_inputs,
    inputs_option,
    provider_named,
    provider_option,
    shape_option,
)
from compress.commands.settings import takes_settings
from compress.errors import BadInputError
from compress.onnx_tools.providers import CPU

if TYPE_CHECKING:
    from compress.latency.bench.sweep import Settings
    from compress.latency.given import Given

WITH_MODEL = "Options with MODEL"
MAX_SECONDS = 3600
MAX_BATCH = 4096

app = typer.Typer()


@app.command(rich_help_panel="Stages, in order")
@takes_settings
def bench(
    context: typer.Context,
    settings: Callable[[], Any],
    models: Annotated[
        list[Path], typer.Argument(help="ONNX files or bundles; without any, the models of a run.", metavar="MODEL")
    ] = [],  # noqa: B006
    batches: Annotated[
        str,
        typer.Option(
            help="Batch sizes, for models whose batch dimension is free.", metavar="1,8,32", rich_help_panel=WITH_MODEL
        ),
    ] = "1,8,32",
    threads: Annotated[
        str | None,
        typer.Option(
            help="Numbers of threads that a model runs on; by default 1 and all.",
            metavar="1,2",
            rich_help_panel=WITH_MODEL,
        ),
    ] = None,
    provider: Annotated[str, provider_option(WITH_MODEL)] = "cpu",
    seconds: Annotated[
        float,
        typer.Option(
            help="Seconds for each number of threads at each batch size, all models together.",
            metavar="SECONDS",
            rich_help_panel=WITH_MODEL,
        ),
    ] = 5.0,
    compare: Annotated[
        str | None,
        typer.Option(
            help="Other runtimes to measure beside ONNX Runtime, from the extra peers.",
            metavar="openvino,litert",
            rich_help_panel=WITH_MODEL,
        ),
    ] = None,
    shape: Annotated[list[str], shape_option(WITH_MODEL)] = [],  # noqa: B006
    inputs: Annotated[Path | None, inputs_option(WITH_MODEL)] = None,
    json: Annotated[
        Path | None,
        typer.Option(help="Write all results and raw samples as JSON.", metavar="FILE", rich_help_panel=WITH_MODEL),
    ] = None,
) -> None:
    """Measure the latency of ONNX files or, without MODEL, of every model of a run on all providers of this machine.

    Without MODEL it trains what is not finished, and takes the settings of a run, in the first panel of options.
    """
    _check_options(context, bool(models))
    if models:
        _bench_files(models, _settings(batches, threads, provider, seconds, compare, given_inputs(shape, inputs)), json)
    else:
        from compress.commands.run import run_up_to

        run_up_to("bench", settings())


def _check_options(context: typer.Context, with_model: bool) -> None:
    """Raise `BadInputError` for an option that has no effect with MODEL, or without it."""
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


def _bench_files(models: Sequence[Path], settings: Settings, json: Path | None) -> None:
    """Measure models, print the results, and write them to the file `json` if it is given."""
    from rich.live import Live

    from compress.latency.bench import tables
    from compress.latency.bench.sweep import named, sweep
    from compress.latency.host import conditions
    from compress.latency.report_files import to_json, write_report
    from compress.terminal import terminal

    console, host = terminal(), conditions()  # before measuring, which adds to the load
    files = named(models)
    settings = replace(settings, spinning=len(files) == 1 and not settings.peers)
    # With automatic refresh, a thread would redraw the display in the middle of calls
    with Live(console=console, auto_refresh=False, transient=True) as live:
        measured, skipped = sweep(files, settings, lambda step: live.update(step, refresh=True))
    console.print(tables.latency_table(measured))
    console.print(tables.model_table(measured))
    for line in (
        tables.NOTE,
        *tables.fed_lines(measured),
        *tables.difference_lines(measured),
        *tables.skip_lines(skipped),
        tables.host_line(host),
    ):
        console.print(line, highlight=False, soft_wrap=True)
    if json:
        write_report("--json", json, to_json(tables.as_json(measured, skipped, settings, host)))


def _settings(
    batches: str, threads: str | None, provider: str, seconds: float, compare: str | None, given: Given
) -> Settings:
    """Return the settings that the options state; raises `BadInputError` if one is out of bounds."""
    from compress.latency.bench.sweep import Settings
    from compress.latency.host import thread_counts

    full = provider_named(provider)
    counts = _numbers("--threads", threads) if threads else thread_counts(full)
    check_threads(counts)
    sizes = _numbers("--batches", batches)
    if not 1 <= min(sizes) <= max(sizes) <= MAX_BATCH:
        raise BadInputError(f"--batches {batches}: should be 1 to {MAX_BATCH}, such as 1,8,32")
    if not 0 < seconds <= MAX_SECONDS:
        raise BadInputError(f"--seconds {seconds:g}: should be above 0 and at most {MAX_SECONDS}")
    return Settings(sizes, counts, full, seconds, _peers(compare, full) if compare else (), given=given)


def _peers(compare: str, provider: str) -> tuple[str, ...]:
    """Return the other runtimes to measure; raises `BadInputError` if one is unknown or `provider` is not the CPU."""
    from compress.latency.bench.peers import PEERS

    if provider != CPU:
        raise BadInputError(f"--compare {compare}: other runtimes run on the CPU; should be without --provider")
    unknown = [peer for peer in compare.split(",") if peer not in PEERS]
    if unknown:
        raise BadInputError(f"--compare {unknown[0]}: should be of {', '.join(PEERS)}")
    return tuple(dict.fromkeys(compare.split(",")))


def _numbers(option: str, text: str) -> tuple[int, ...]:
    """Return an option's distinct numbers in order; raises `BadInputError` if they are not whole numbers."""
    try:
        return tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError as error:
        raise BadInputError(f"{option} {text}: should be whole numbers, such as 1,2") from error
