"""The measurements of `bench`, as tables and as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich import box
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from compress.artifacts import Skip
from compress.latency.bench.sweep import Measured, Settings
from compress.latency.inputs import describe
from compress.latency.model_files import digest, size_bytes
from compress.latency.statistics import SAMPLES_NEEDED, percentile_ms, throughput_per_s
from compress.onnx_tools.providers import short
from compress.plural import counted

SCHEMA = 1
NOTE = (
    "-: too few calls for that percentile. per second: items, batch times calls. cold start: session and first call in "
    "a new process. peak memory: of the host, above Python's own."
)
UNLIMITED = ("max", "-1")  # as written in cgroup versions 2 and 1


def latency_table(measured: Sequence[Measured]) -> Table:
    """Return a table with one row per model, runtime, number of threads and batch size."""
    table = _table("model", "on", "threads", "batch", *(f"p{p} ms" for p in SAMPLES_NEEDED), "per second", "calls")
    for model in measured:
        for row in model.latencies:
            percentiles = (percentile_ms(row.samples_ns, percent) for percent in SAMPLES_NEEDED)
            table.add_row(
                Text(model.name),
                short(row.provider),
                f"{row.threads}",
                f"{row.batch}",
                *("-" if value is None else f"{value:.3f}" for value in percentiles),
                f"{throughput_per_s(row.samples_ns, row.batch):,.0f}",
                f"{len(row.samples_ns):,}",
            )
    return table


def model_table(measured: Sequence[Measured]) -> Table:
    """Return a table with one row per model: size, cold start, memory and nodes by provider."""
    table = _table("model", "size", "cold start ms", "peak memory", "nodes")
    for model in measured:
        table.add_row(
            Text(model.name),
            decimal(size_bytes(model.file)),
            f"{statistics.median(start.first_run_ns for start in model.alone) / 1e6:.1f}",
            decimal(round(statistics.median(start.peak_bytes for start in model.alone))),
            ", ".join(f"{n} {short(provider)}" for provider, n in model.nodes.items()),
        )
    return table


def fed_lines(measured: Sequence[Measured]) -> list[str]:
    """Return one line per model: the shapes that it was fed."""
    return [
        f"{model.name} was fed {'; '.join(f'{describe(fed.shapes)} (batch {fed.batch})' for fed in model.fed)}"
        for model in measured
    ]


def difference_lines(measured: Sequence[Measured]) -> list[str]:
    """Return one line per model and peer: how far the peer's outputs are from onnxruntime's."""
    return [
        f"{model.name} on {peer}: outputs differ by at most {found.largest:.2g}, of {found.of:.2g}"
        for model in measured
        for peer, found in model.differences.items()
    ]


def skip_lines(skipped: Sequence[Skip]) -> list[str]:
    """Return one line per measurement that could not be made, with the reason."""
    return [f"skipped {skip.what}: {skip.why}" for skip in skipped]


def host_line(host: Mapping[str, Any]) -> str:
    """Return a line that describes the machine."""
    limit = host["cgroup_cpu"]
    facts = [
        host["processor"],
        counted(host["cores"], "core"),
        host["gpu"],
        f"cgroup limit {limit}" if limit and not limit.startswith(UNLIMITED) else "",
        f"governor {host['governor']}" if host["governor"] else "",
        f"load {host['load']:.2f} before",
        f"onnxruntime {host['onnxruntime']}",
    ]
    return ", ".join(fact for fact in facts if fact)


def as_json(
    measured: Sequence[Measured], skipped: Sequence[Skip], settings: Settings, host: Mapping[str, Any]
) -> dict[str, Any]:
    """Return everything that was measured, raw samples in nanoseconds included, as plain JSON values."""
    return {
        "schema": SCHEMA,
        "host": dict(host),
        "settings": asdict(settings),
        "models": [
            {
                **asdict(model),
                "file": str(model.file),
                "sha256": digest(model.file),
                "batches": model.batches,
            }
            for model in measured
        ],
        "skipped": [asdict(skip) for skip in skipped],
    }


def _table(*headings: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for heading in headings:
        table.add_column(heading, justify="left" if heading in ("model", "on", "nodes") else "right")
    return table
