"""Figures of how good the models are: against what they cost, class by class, and how far they can be believed."""

from __future__ import annotations

from collections.abc import Callable

from matplotlib.ticker import FuncFormatter

from compress.report.charts.style import (
    CLASS_ROW,
    CLASSES,
    Absent,
    Chart,
    color,
    colors_of,
    drawing,
    finish,
    logarithmic,
    markers_of,
    rows,
    short,
)
from compress.report.schema import Model, Report

PERCENT = FuncFormatter(lambda value, _: f"{100 * value:g} %")


def latency_front(report: Report) -> Chart:
    """Draw accuracy against latency."""
    return _front(
        report,
        "front_latency",
        "median latency of one image on one thread, ms",
        "latency",
        lambda model: model.p50_ms(),
    )


def size_front(report: Report) -> Chart:
    """Draw accuracy against size."""
    return _front(report, "front_size", "size of the file, MB", "size", lambda model: model.size_bytes / 1e6)


def _front(report: Report, name: str, title: str, against: str, cost: Callable[[Model], float]) -> Chart:
    markers = markers_of(report.models)
    with drawing() as (figure, axes):
        for model in report.models:
            test = model.test
            low, high = test.accuracy_ci95
            axes.errorbar(
                cost(model),
                test.accuracy,
                yerr=[[max(0.0, test.accuracy - low)], [max(0.0, high - test.accuracy)]],
                **markers[model.id],
                linestyle="none",
                capsize=2.5,
                elinewidth=1.0,
                label=model.id,
            )
        best = report.deployed_model
        axes.plot(
            cost(best),
            best.test.accuracy,
            color=color("ink"),
            marker="o",
            markersize=13,
            markerfacecolor="none",
            linestyle="none",
            label="deployed",
        )
        axes.set_xscale("log")
        axes.margins(x=0.12)
        logarithmic(axes)
        axes.yaxis.set_major_formatter(PERCENT)
        finish(axes, title, "test accuracy")
    caption = (
        f"Accuracy on the test images, with its 95 % interval, against {against}: up and to the left is better. "
        "The model that is deployed has a ring."
    )
    return Chart(name, caption, figure)


def recalls(report: Report) -> Chart | Absent:
    """Draw the recall of each class with its interval, of the teacher and the deployed model: the lowest on top."""
    name, shown = "recall", [report.deployed_model]
    if report.deployed != report.teacher.id:
        shown.insert(0, report.teacher)
    known = {key: row for key, row in shown[-1].test.classes.items() if row.recall is not None}
    if not known:
        return Absent(name, "no class has test images")
    lowest = sorted(known, key=lambda key: known[key].recall or 0.0)[:CLASSES]
    colors, markers = colors_of(report.models), markers_of(report.models)
    with drawing(height=1.1 + CLASS_ROW * len(lowest)) as (figure, axes):
        for number, model in enumerate(shown):
            for place, key in enumerate(lowest):
                row = model.test.classes[key]
                low, high = row.recall_ci95 or (0.0, 1.0)
                y = place + (0.15 if number else -0.15) * (len(shown) > 1)
                axes.plot([low, high], [y, y], color=colors[model.id], linewidth=1.2)
                axes.plot(
                    row.recall or 0.0,
                    y,
                    **markers[model.id],
                    markersize=4,
                    linestyle="none",
                    label=model.id if place == 0 else None,
                )
        rows(axes, [short(key) for key in lowest])
        axes.xaxis.set_major_formatter(PERCENT)
        finish(axes, "recall on the test images", "")
    which = f"the {CLASSES} lowest of {len(known)} classes" if len(known) > len(lowest) else "each class"
    return Chart(name, f"Recall on the test images, with its 95 % interval, of {which}, the lowest on top.", figure)


def calibration(report: Report) -> Chart | Absent:
    """Draw how often answers are right against how probable the models call them."""
    name, shown = "calibration", list(dict.fromkeys([report.teacher.id, report.deployed]))
    models = [model for model in report.models if model.id in shown and model.test.calibration]
    if not models:
        return Absent(name, "the report has no calibration: it was made by an earlier version")
    colors, markers = colors_of(report.models), markers_of(report.models)
    with drawing() as (figure, axes):
        axes.plot([0, 1], [0, 1], color=color("muted"), linewidth=1.0, linestyle=":", label="as probable as called")
        for model in models:
            bins = model.test.calibration
            xs, ys = [each.confidence for each in bins], [each.accuracy for each in bins]
            axes.plot(xs, ys, color=colors[model.id], linewidth=1.2, label=model.id)
            share = [4 + 90 * each.n / model.test.n for each in bins]
            axes.scatter(xs, ys, s=share, color=colors[model.id], marker=markers[model.id]["marker"])
        axes.xaxis.set_major_formatter(PERCENT)
        axes.yaxis.set_major_formatter(PERCENT)
        finish(axes, "probability of the answer", "share of answers that are right")
    caption = (
        "How often answers on the test images are right, by how probable the model calls them. Below the diagonal it "
        "is too sure. The larger a mark, the more images."
    )
    return Chart(name, caption, figure)
