"""The report as tables and lines on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from compress.plural import counted
from compress.report.schema import Metrics, Report

RAREST = 3  # balanced classes shown
MAX_ROWS = 40  # classes
CONFUSED = 3  # most confused pairs of classes shown


def report_table(report: Report) -> Table:
    """Return a table of a report's models, in which the deployed model is marked."""
    title = f"{report.run.name}: {counted(report.run.n_test, 'test image')}, seed {report.run.seed}"
    table = Table(title=title, box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for heading in ("model", "accuracy", "95 %", "drop", "zeros", "size", "p50", "faster"):
        table.add_column(heading, justify="left" if heading == "model" else "right", no_wrap=True)
    for model in report.models:
        test, latency = model.test, model.p50_ms()
        deployed = model.id == report.deployed
        low, high = test.accuracy_ci95
        table.add_row(
            f"{model.id} *" if deployed else model.id,
            f"{test.accuracy:.4f}",
            f"{low:.3f}-{high:.3f}",
            f"{test.drop_vs_teacher:.2f}",
            f"{model.sparsity:.0%}",
            decimal(model.size_bytes),
            f"{latency:.3f} ms",
            f"{report.teacher.p50_ms() / latency:.1f}x",
            style="bold" if deployed else "",
        )
    table.caption = "* deployed. 95 %: of accuracy. drop: in points. p50: one image, one thread."
    return table


def balance_lines(report: Report) -> list[str]:
    """Return a line for each of the rarest classes: the teacher's recall without and with balancing."""
    rows = sorted(report.balance.recall, key=lambda row: row.train)[:RAREST]
    return [
        f"{report.balance.method}: {row.name} ({counted(row.train, 'training image')}): "
        f"the teacher's recall {row.unbalanced:.4f} -> {row.balanced:.4f} on {counted(row.n, 'test image')}"
        for row in rows
        if row.n
    ]


def comparison_lines(report: Report) -> list[str]:
    """Return a line on how the deployed model's test answers differ from the teacher's; none for the teacher itself."""
    test = report.deployed_model.test
    if test.vs_teacher is None:
        return []
    return [
        f"{report.deployed} against the teacher: {100 * test.flips_vs_teacher:.1f} % of answers changed, "
        f"{mcnemar_text(test.vs_teacher.mcnemar_p)}"
    ]


def prediction_lines(report: Report) -> list[str]:
    """Return a line for each model whose time was predicted when filters were chosen, with the measured one."""
    lines = []
    for model in report.models:
        network = model.id.removesuffix("-fp32")
        if model.precision == "fp32" and network in report.predicted_ms:
            told, took = report.predicted_ms[network], model.p50_ms()
            lines.append(f"{model.id}: predicted {told:.3g} ms, measured {took:.3g} ms, {took / told:.2f} times that")
    return lines


def mcnemar_text(p: float) -> str:
    """Return the p-value of McNemar's test in words."""
    return f"McNemar p {'< 0.001' if p < 0.001 else f'= {p:.2g}'}"


def metrics_table(metrics: Metrics) -> Table:
    """Return a table of metrics, one row per class."""
    title = f"accuracy {metrics.accuracy:.4f} {between(metrics.accuracy_ci95)} on {counted(metrics.n, 'image')}"
    table = Table(title=title, box=box.SIMPLE_HEAD, show_edge=False)
    for heading in ("class", "images", "precision", "recall", "95 %", "F1"):
        table.add_column(heading, justify="left" if heading == "class" else "right")
    for name, row in list(metrics.classes.items())[:MAX_ROWS]:
        scores = ["-"] * 4
        if row.recall_ci95 is not None:  # the class has images
            scores = [f"{row.precision:.4f}", f"{row.recall:.4f}", between(row.recall_ci95), f"{row.f1:.4f}"]
        table.add_row(Text(name), f"{row.n:,}", *scores)
    if len(metrics.classes) > MAX_ROWS:
        table.add_row(f"... {len(metrics.classes) - MAX_ROWS} more")
    return table


def metrics_lines(metrics: Metrics) -> list[str]:
    """Return lines on all classes together: macro F1, calibration, and the pairs that are confused most often."""
    lines = [
        f"macro F1 {metrics.f1:.4f} {between(metrics.f1_ci95)}, log loss {metrics.log_loss:.4f} nats, "
        f"expected calibration error {metrics.calibration_error:.4f}"
    ]
    names, confusion = list(metrics.classes), metrics.confusion or ()
    pairs = [(n, names[i], names[j]) for i, row in enumerate(confusion) for j, n in enumerate(row) if n and i != j]
    for n, true, predicted in sorted(pairs, key=lambda pair: -pair[0])[:CONFUSED]:
        lines.append(f"{n:,} of {true} taken for {predicted}")
    return lines


def between(bounds: Sequence[float]) -> str:
    """Return the two ends of an interval of fractions."""
    return f"{bounds[0]:.3f}-{bounds[1]:.3f}"
