"""`python -m compress check`: tells whether models got slower than their baselines. It never loads TensorFlow."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compress.commands.session_options import (
    check_threads,
    given_inputs,
    inputs_option,
    provider_named,
    provider_option,
    shape_option,
)
from compress.errors import BadInputError

if TYPE_CHECKING:
    from compress.latency.gate.check import Checked, Settings
    from compress.latency.gate.limits import Kind, Limit
    from compress.latency.given import Given

EXIT_CODES = {"regression": 1, "inconclusive": 3, "pass": 0}  # the worst outcome first
LIMITS_SHARE = 0.25  # of the budget, at most, for memory, first run and accuracy
DURATION = re.compile(r"(\d+(?:\.\d+)?)(s|m|min)?")

app = typer.Typer()

Baseline = Annotated[
    Path,
    typer.Option(
        help="What to compare them with: an ONNX file, a bundle, or a folder that --update has made.",
        metavar="PATH",
    ),
]
Margin = Annotated[float, typer.Option(help="Slowdown allowed, as a fraction: 0.05 is 5 %.", metavar="FRACTION")]
Budget = Annotated[
    str, typer.Option(help="Time that all measurements may take, those of --also too: 120s, 2m.", metavar="TIME")
]
Also = Annotated[
    list[str],
    typer.Option(
        help="Check this too, and repeat it for more: size, memory and first-run, which may grow by --margin, and "
        "accuracy, on the golden images of --baseline, which then has to be a bundle.",
        metavar="LIMIT",
    ),
]
Update = Annotated[
    bool,
    typer.Option(
        "--update",
        help="Check nothing; keep the candidates in the folder --baseline for later checks to compare with.",
    ),
]


@app.command(rich_help_panel="Finished bundles")
def check(
    candidates: Annotated[list[Path], typer.Argument(help="ONNX files or bundles to check.", metavar="CANDIDATE")],
    baseline: Baseline,
    margin: Margin = 0.05,
    budget: Budget = "120s",
    threads: Annotated[int, typer.Option(help="Threads that a model runs on.", metavar="N")] = 1,
    provider: Annotated[str, provider_option()] = "cpu",
    max_p90_ms: Annotated[
        float | None, typer.Option(help="Milliseconds within which nine calls in ten have to end.", metavar="MS")
    ] = None,
    also: Also = [],  # noqa: B006
    shape: Annotated[list[str], shape_option()] = [],  # noqa: B006
    inputs: Annotated[Path | None, inputs_option()] = None,
    junit: Annotated[Path | None, typer.Option(help="Write the results as JUnit XML.", metavar="FILE")] = None,
    json: Annotated[Path | None, typer.Option(help="Write results and raw samples as JSON.", metavar="FILE")] = None,
    update: Update = False,
) -> None:
    """Tell whether a model got slower than its baseline. Both run now, side by side; no stored time is compared.

    Exit code 0: it is slower by less than twice the margin, if at all; that is shown.
    1: it is slower by more than the margin, or beyond another limit.
    3: neither can be shown on this machine, or in that time.
    """
    from compress.latency.gate import baselines, limits, reports
    from compress.latency.gate import check as gate
    from compress.latency.report_files import to_json, write_report

    if update:
        for name, file in baselines.named(candidates):
            print(f"{baseline}: baseline of {name}: {baselines.update(baseline, name, file)}")
        return
    settings = _settings(margin, budget, threads, provider, max_p90_ms is not None, given_inputs(shape, inputs))
    kinds = _kinds(also)
    models = gate.models_of(candidates, baseline, settings.given)
    golden = limits.golden_set(baseline)
    start, share = time.monotonic(), settings.budget_s * LIMITS_SHARE / len(models)
    limited = {model.name: limits.check_limits(model, kinds, settings, golden, share) for model in models}
    checked = gate.check(models, settings, time.monotonic() - start)
    if max_p90_ms is not None:
        for result in checked:
            name = result.model.name
            limited[name].append(limits.check_p90(name, result.first, max_p90_ms))
    _show(checked, limited)
    if json:
        write_report("--json", json, to_json(reports.as_json(checked, limited, settings)))
    if junit:
        write_report("--junit", junit, reports.as_junit(checked, limited))
    outcomes = {result.verdict.outcome for result in checked}
    outcomes |= {limit.outcome for found in limited.values() for limit in found}
    raise typer.Exit(next(code for outcome, code in EXIT_CODES.items() if outcome in outcomes))


def _settings(margin: float, budget: str, threads: int, provider: str, single_calls: bool, given: Given) -> Settings:
    """Return the settings that the options state; raises `BadInputError` if one is out of bounds."""
    from compress.latency.gate.check import Settings

    duration = DURATION.fullmatch(budget)
    seconds = float(duration[1]) * (60 if (duration[2] or "s") != "s" else 1) if duration else 0.0
    if not 0 < margin < 10:
        raise BadInputError(f"--margin {margin:g}: should be above 0 and below 10, such as 0.05 for 5 %")
    if not seconds:
        raise BadInputError(f"--budget {budget}: should be a time above 0, such as 120s or 2m")
    check_threads([threads])
    return Settings(margin, seconds, threads, provider_named(provider), single_calls, given)


def _kinds(also: Sequence[str]) -> list[Kind]:
    """Return the limits to check in addition, each once; raises `BadInputError` if one is unknown."""
    from compress.latency.gate.limits import KINDS

    for kind in also:
        if kind not in KINDS:
            raise BadInputError(f"--also {kind}: should be one of {', '.join(KINDS)}")
    return [kind for kind in KINDS if kind in also]


def _show(checked: Sequence[Checked], limited: Mapping[str, Sequence[Limit]]) -> None:
    """Print for each model a line per limit, what it was fed, and the verdict, with its reason before it."""
    from compress.latency.inputs import describe

    for result in checked:
        for limit in limited[result.model.name]:
            print(limit)
        if result.first and result.first[0].fed:
            print(f"{result.model.name}: fed {describe(result.first[0].fed)}")
        if result.verdict.why:
            print(f"{result.model.name}: {result.verdict.why}")
        print(result.verdict)
