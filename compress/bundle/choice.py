"""Which model to deploy, from the rows of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from compress.onnx_tools.sessions import CPU


def choose(rows: Sequence[Mapping[str, Any]], max_drop: float) -> str:
    """Return the id of the fastest model among those within `max_drop` points of the first on validation.

    The fastest is that with the lowest p50 on the CPU at batch 1 with 1 thread. The test split has no say in it.
    """
    floor = rows[0]["validation"]["accuracy"] - max_drop / 100
    good = [row for row in rows if row["validation"]["accuracy"] >= floor - 1e-9]
    return min(good, key=p50_ms)["id"]


def p50_ms(row: Mapping[str, Any], threads: int = 1, batch: int = 1) -> float:
    """Return a model's median latency on the CPU from its row of the report, in milliseconds."""
    return next(
        entry["p50_ms"]
        for entry in row["latency"]
        if (entry["provider"], entry["threads"], entry["batch"]) == (CPU, threads, batch)
    )
