"""Figures of the data."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.ticker import FuncFormatter

from compress.report.charts.style import CLASS_ROW, CLASSES, Absent, Chart, color, drawing, finish, rows, short

SPLITS = {"train": "blue", "validation": "green", "test": "gold"}


def class_counts(counts: Mapping[str, Mapping[str, int]]) -> Chart | Absent:
    """Draw how many images each class has; `counts` are by class and split."""
    name = "class_counts"
    if not counts:
        return Absent(name, "the report does not count classes: it was made by an earlier version")
    smallest = sorted(counts, key=lambda key: sum(counts[key].values()))[:CLASSES]
    shown = [key for key in counts if key in set(smallest)]
    with drawing(height=1.1 + CLASS_ROW * len(shown)) as (figure, axes):
        left = [0] * len(shown)
        for split, shade in SPLITS.items():
            widths = [counts[key].get(split, 0) for key in shown]
            axes.barh(range(len(shown)), widths, left=left, color=color(shade), height=0.75, label=split)
            left = [before + width for before, width in zip(left, widths, strict=True)]
        rows(axes, [short(key) for key in shown])
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.locator_params(axis="x", nbins=5)
        finish(axes, "images", "")
    which = f"the {CLASSES} smallest of {len(counts)} classes" if len(counts) > CLASSES else "each class"
    return Chart(name, f"How many images {which} has in each split.", figure)
