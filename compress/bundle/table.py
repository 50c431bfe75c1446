"""The report as a table on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from compress.bundle.choice import p50_ms


def report_table(report: Mapping[str, Any]) -> Table:
    """Return a report's models as a table; the deployed one is marked."""
    teacher = report["models"][0]
    table = Table(title=f"{report['run']['name']}: {report['run']['n_test']} test images, seed {report['run']['seed']}")
    for heading in (
        "model",
        "test accuracy",
        "95 % interval",
        "drop",
        "sparsity",
        "size",
        "p50 batch 1",
        "faster",
    ):
        table.add_column(heading, justify="left" if heading == "model" else "right")
    for row in report["models"]:
        test, latency = row["test"], p50_ms(row)
        deployed = row["id"] == report["deployed"]
        table.add_row(
            f"{row['id']} *" if deployed else row["id"],
            f"{test['accuracy']:.4f}",
            "{:.4f} to {:.4f}".format(*test["accuracy_ci95"]),
            f"{test['drop_vs_teacher']:.2f}",
            f"{row['sparsity']:.2f}",
            f"{row['size_bytes'] / 1000:,.0f} kB",
            f"{latency:.3f} ms",
            f"{p50_ms(teacher) / latency:.1f}x",
            style="bold" if deployed else "",
        )
    table.caption = "* deployed; drop in percentage points; p50 on the CPU with 1 thread"
    return table
