"""report.html: everything that is known about a run on one page that needs no network; report.md, and the figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from compress.report.charts.accuracy import calibration, latency_front, recalls, size_front
from compress.report.charts.confusion import confusions
from compress.report.charts.cost import latencies, layers
from compress.report.charts.data import class_counts
from compress.report.charts.style import Absent, Chart, as_inline_svg, as_png
from compress.report.charts.training import training
from compress.report.charts.trials import trials
from compress.report.colors import COLORS
from compress.report.evidence import Evidence
from compress.report.file import HEAD, MARKDOWN, PAGE, PLOTS, TEMPLATES
from compress.report.kernels import summary
from compress.report.numbers import Numbers, pointer, sentence
from compress.report.schema import Report
from compress.report.table import comparison_lines, prediction_lines
from compress.templates import render

CLASSES_SHOWN = 100  # in tables
SHARED = {"quantize_student": "quantize"}  # stages with the section of another
TITLES = {
    "deployed": "What is deployed",
    "front": "Accuracy and cost",
    "models": "All models",
    "stages": "The run, stage by stage",
    "training": "Training",
    "mistakes": "Mistakes",
    "calibration": "Calibration",
    "layers": "Layers",
    "latency": "Latency",
    "kernels": "What runs as int8",
    "data": "Data",
    "again": "How to make it again",
}

Section = dict[str, Sequence[Chart | Absent]]


def write(folder: Path, report: Report, evidence: Evidence) -> None:
    """Write the page, the table for pull requests, and each figure as PNG and SVG, into a bundle's folder."""
    sections = charts(report, evidence)
    (folder / PLOTS).mkdir()
    for chart in (chart for found in sections.values() for chart in found if isinstance(chart, Chart)):
        (folder / PLOTS / f"{chart.name}.png").write_bytes(as_png(chart))
        (folder / PLOTS / f"{chart.name}.svg").write_bytes(chart.svg.encode())
    (folder / PAGE).write_bytes(page(report, evidence, sections).encode())
    (folder / MARKDOWN).write_bytes(markdown(report).encode())


def charts(report: Report, evidence: Evidence) -> Section:
    """Return the figures by section of the page; where one cannot be drawn, why."""
    return {
        "front": [latency_front(report), size_front(report)],
        "trials": trials(report),
        "training": [training(report, network) for network in report.training],
        "confusion": confusions(report),
        "recall": [recalls(report)],
        "calibration": [calibration(report)],
        "layers": layers(report),
        "latency": latencies(report, evidence.latencies),
        "data": [class_counts(report.data.counts)],
    }


def page(report: Report, evidence: Evidence, sections: Section) -> str:
    """Return the page's HTML; `sections` are what `charts` returned."""
    return render(
        TEMPLATES[PAGE],
        evidence=evidence,
        titles=TITLES,
        sections={name: list(map(inline, found)) for name, found in sections.items()},
        colors=COLORS,
        classes_shown=CLASSES_SHOWN,
        asked={stage.name: _asked(report, stage.name) for stage in report.stages},
        **_shared(report, html=True),
    )


def head(report: Report) -> str:
    """Return the head of the page for a notebook: the sentence, and the table of models."""
    return render(TEMPLATES[HEAD], **_shared(report, html=True))


def markdown(report: Report) -> str:
    """Return report.md: the sentence, the table of models and the advice, for a pull request."""
    return render(TEMPLATES[MARKDOWN], **_shared(report, html=False))


def _shared(report: Report, html: bool) -> dict[str, Any]:
    """Return what both texts need: the report, its numbers, where its models stand in it, and what it says in words."""
    places, number = {model.id: i for i, model in enumerate(report.models)}, Numbers(report, html)

    def latency_of(model: str) -> str:
        row = next(i for i, row in enumerate(report.models[places[model]].latency) if row.is_usual)
        return pointer("models", places[model], "latency", row)

    return {
        "report": report,
        "number": number,
        "sentence": sentence(report, number, latency_of),
        "pointer": pointer,
        "places": places,
        "deployed": pointer("models", places[report.deployed]),
        "teacher": pointer("models", 0),
        "latency_of": latency_of,
        "summary": summary,
        "comparison": [*comparison_lines(report), *prediction_lines(report)],
    }


def _asked(report: Report, stage: str) -> dict[str, Any]:
    """Return the settings of a stage's section that were given or decided."""
    section = f"{SHARED.get(stage, stage)}."
    known = {**report.settings, **{made.key: made.value for made in report.recipe}}
    return {key.removeprefix(section): value for key, value in known.items() if key.startswith(section)}


def inline(chart: Chart | Absent) -> dict[str, Any]:
    """Return a figure as templates take it."""
    if isinstance(chart, Absent):
        return {"name": chart.name, "absent": chart.why}
    return {"name": chart.name, "caption": chart.caption, "svg": Markup(as_inline_svg(chart))}
