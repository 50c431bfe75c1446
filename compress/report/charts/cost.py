"""Figures of what the models cost: the time of every call, and what each layer holds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.ticker import FuncFormatter

from compress.artifacts import Latencies
from compress.plural import counted
from compress.report.charts.style import (
    FP32,
    Absent,
    Chart,
    color,
    colors_of,
    drawing,
    finish,
    logarithmic,
    network_of,
    rows,
    short,
)
from compress.report.schema import Report

PROVIDER = "ExecutionProvider"
ROW = 0.3  # inches for a model or a layer


def latencies(report: Report, measured: Sequence[Latencies]) -> list[Chart]:
    """Draw how long every call took, one figure for each provider, number of threads and batch."""
    settings = dict.fromkeys((row.provider, row.threads, row.batch) for row in measured)
    return [_latency(report, measured, *setting) for setting in settings]


def _latency(report: Report, measured: Sequence[Latencies], provider: str, threads: int, batch: int) -> Chart:
    found = {row.model: row for row in measured if (row.provider, row.threads, row.batch) == (provider, threads, batch)}
    models = [model for model in report.models if model.id in found]
    colors = colors_of(report.models)
    where = provider.removesuffix(PROVIDER)
    with drawing(height=0.9 + ROW * len(models)) as (figure, axes):
        for place, model in enumerate(models):
            times = np.array(found[model.id].samples_ns) / 1e6
            edges = np.percentile(times, [0, 5, 25, 50, 75, 95, 100])
            for low, high, width in ((0, 6, 0.8), (1, 5, 3.0), (2, 4, 7.0)):
                axes.plot(
                    edges[[low, high]], [place, place], color=colors[model.id], linewidth=width, solid_capstyle="butt"
                )
            axes.plot(edges[3], place, color=color("paper"), marker="|", markersize=7, markeredgewidth=1.6)
        rows(axes, [model.id for model in models])
        logarithmic(axes)
        finish(axes, f"{where}, {counted(threads, 'thread')}, {counted(batch, 'image')} per call: ms per call", "")
    caption = (
        f"{where}, {counted(threads, 'thread')}, {counted(batch, 'image')} per call: the times of all calls. The "
        "thickest part holds half of them, the next nine of ten, the thin line all; the gap is the median."
    )
    return Chart(f"latency_{where.lower()}_{threads}_{batch}", caption, figure)


def layers(report: Report) -> list[Chart | Absent]:
    """Draw the weights of each layer, zeros apart, one figure for each network."""
    networks = [model for model in report.models if model.precision == FP32 and model.layers]
    if not networks:
        return [Absent("layers", "the report does not tell layers: it was made by an earlier version")]
    found: list[Chart | Absent] = []
    for model in networks:
        places = range(len(model.layers))
        whole = [layer.weights for layer in model.layers]
        kept = [layer.weights - layer.zeros for layer in model.layers]
        with drawing(height=0.9 + 0.62 * ROW * len(model.layers)) as (figure, axes):
            axes.barh(places, whole, color=color("grid"), height=0.75, label="weights")
            axes.barh(places, kept, color=colors_of(report.models)[model.id], height=0.75, label="not zero")
            axes.set_yticks(places, [f"{short(layer.name)}: {layer.width}" for layer in model.layers], fontsize=7)
            axes.invert_yaxis()
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
            axes.locator_params(axis="x", nbins=4)
            axes.grid(axis="y", visible=False)
            finish(axes, "weights of the kernel", "")
        network = network_of(model)
        caption = f"{network}: the weights of each layer, those that are not zero in colour; after its name, its width."
        found.append(Chart(f"layers_{network}", caption, figure))
    return found
