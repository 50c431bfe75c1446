"""`python -m compress inspect`: which kernels ONNX files run as, in which precision, and what stands between them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from compress.commands.session_options import (
    check_threads,
    given_inputs,
    inputs_option,
    provider_named,
    provider_option,
    shape_option,
)

SCHEMA = 1  # of what --json writes

app = typer.Typer()


@app.command(rich_help_panel="Finished bundles")
def inspect(
    models: Annotated[list[Path], typer.Argument(help="ONNX files or bundles.", metavar="MODEL")],
    provider: Annotated[str, provider_option()] = "cpu",
    threads: Annotated[int, typer.Option(help="Threads that a model runs on.", metavar="N")] = 1,
    shape: Annotated[list[str], shape_option()] = [],  # noqa: B006
    inputs: Annotated[Path | None, inputs_option()] = None,
    json: Annotated[Path | None, typer.Option(help="Write all that was found as JSON.", metavar="FILE")] = None,
) -> None:
    """Tell what runs as int8 once the runtime has optimized a model, and which conversions and transposes it left."""
    from compress.latency.bench.sweep import named
    from compress.latency.host import conditions
    from compress.latency.inputs import describe
    from compress.latency.inspection import inspect_files
    from compress.latency.model_files import digest
    from compress.latency.report_files import to_json, write_report
    from compress.report.kernel_tables import NOTE, UNKNOWN, kernel_table, left_table, other_products_line
    from compress.report.kernels import kernels_of, summary
    from compress.terminal import terminal

    full, given = provider_named(provider), given_inputs(shape, inputs)
    check_threads([threads])
    console, host = terminal(), conditions()
    with console.status("running each model a few times"):
        found = inspect_files(named(models), full, threads, given)
    kernels = {model.name: kernels_of(model.inspection) for model in found}
    for model in found:
        of_model = kernels[model.name]
        for table in (kernel_table(of_model, model.name), left_table(of_model)):
            if table:
                console.print(table, "")
        if line := other_products_line(of_model):
            console.print(line, "", highlight=False, soft_wrap=True)
    fed = [f"{model.name} was fed {describe(model.fed)}" for model in found]
    unknown = [f"{name}: {UNKNOWN}" for name, of_model in kernels.items() if of_model.left is None]
    told = [f"{name}: {summary(of_model)}" for name, of_model in kernels.items()]
    for line in (NOTE, *fed, *unknown, *told):
        console.print(line, highlight=False, soft_wrap=True)
    if json:
        as_json = [
            {
                "name": model.name,
                "file": str(model.file),
                "sha256": digest(model.file),
                "fed": model.fed,
                "kernels": kernels[model.name].model_dump(mode="json"),
            }
            for model in found
        ]
        settings = {"provider": full, "threads": threads}
        write_report("--json", json, to_json({"schema": SCHEMA, "host": host, "settings": settings, "models": as_json}))
