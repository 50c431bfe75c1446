"""What a bench measured, as tables and as JSON."""

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
from compress.files import sha256_file
from compress.latency.bench.sweep import Measured, Settings
from compress.latency.statistics import SAMPLES_NEEDED, percentile_ms, throughput_per_s
from compress.onnx_tools.providers import short

SCHEMA = 1
NOTE = (
    "-: too few calls for that percentile. a second: items of a batch. cold start: session and first call in a new "
    "process. peak memory: the host's, above Python's own."
)
UNLIMITED = ("max", "-1")  # cgroup 2's word and 1's


def latency_table(measured: Sequence[Measured]) -> Table:
    """Return a row for each model, runtime, number of threads and batch size."""
    table = _table("model", "on", "threads", "batch", *(f"p{p} ms" for p in SAMPLES_NEEDED), "a second", "calls")
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
    """Return a row for each model: size, cold start, memory and nodes by provider."""
    table = _table("model", "size", "cold start ms", "peak memory", "nodes")
    for model in measured:
        table.add_row(
            Text(model.name),
            decimal(model.file.stat().st_size),
            f"{statistics.median(one.first_run_ns for one in model.alone) / 1e6:.1f}",
            decimal(round(statistics.median(one.peak_bytes for one in model.alone))),
            ", ".join(f"{n} {short(provider)}" for provider, n in model.nodes.items()),
        )
    return table


def difference_lines(measured: Sequence[Measured]) -> list[str]:
    """Return a line for each model and peer: how far its outputs are from onnxruntime's."""
    return [
        f"{model.name} on {peer}: outputs differ by at most {found.largest:.2g}, of {found.of:.2g}"
        for model in measured
        for peer, found in model.differences.items()
    ]


def skip_lines(skipped: Sequence[Skip]) -> list[str]:
    """Return a line for each thing that could not be measured."""
    return [f"skipped {skip.what}: {skip.why}" for skip in skipped]


def host_line(host: Mapping[str, Any]) -> str:
    """Return the machine in a line."""
    limit = host["cgroup_cpu"]
    facts = [
        host["processor"],
        f"{host['cores']} cores",
        host["gpu"],
        f"cgroup's limit {limit}" if limit and not limit.startswith(UNLIMITED) else "",
        f"governor {host['governor']}" if host["governor"] else "",
        f"load {host['load']:.2f} before",
        f"onnxruntime {host['onnxruntime']}",
    ]
    return ", ".join(fact for fact in facts if fact)


def as_json(
    measured: Sequence[Measured], skipped: Sequence[Skip], settings: Settings, host: Mapping[str, Any]
) -> dict[str, Any]:
    """Return all that is known, raw samples in nanoseconds included, as plain JSON values."""
    return {
        "schema": SCHEMA,
        "host": dict(host),
        "settings": asdict(settings),
        "models": [{**asdict(one), "file": str(one.file), "sha256": sha256_file(one.file)} for one in measured],
        "skipped": [asdict(skip) for skip in skipped],
    }


def _table(*headings: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for heading in headings:
        table.add_column(heading, justify="left" if heading in ("model", "on", "nodes") else "right")
    return table
