"""How all figures look, and how they become files: colours for light and dark, and for readers who tell few apart."""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter

from compress.report.colors import COLORS
from compress.report.schema import Measured

SERIES = ("blue", "vermilion", "green", "purple", "gold")
MARKERS = ("o", "s", "^", "D", "v")  # of networks, as the colours are; those of fp32 are filled
FP32 = "fp32"
WIDTH, HEIGHT = 4.6, 3.1  # inches: in print, and on a phone, text keeps its size
DPI = 200  # of PNG
FEW, MANY = 5, 500  # times its least that an axis's most is: below, ticks are close; above, at 1 and 10 alone
CLASSES, CLASS_ROW = 50, 0.19  # in a figure with a row for each class: how many at most, and inches for each
NAME = 16  # characters of a class or layer that a figure has room for


def color(name: str) -> str:
    """Return a colour as figures are drawn with it, for light paper."""
    return COLORS[name][0]


@dataclass(frozen=True)
class Chart:
    """A figure, the name of its files, and what it shows in words."""

    name: str
    caption: str
    figure: Figure

    @cached_property
    def svg(self) -> str:
        """The figure as an SVG file, whose text is text: drawn once, for its file and for the page."""
        return _saved(self, "svg", metadata={"Date": None, "Creator": None, "Title": self.name}).decode()


@dataclass(frozen=True)
class Absent:
    """Why a figure is not there."""

    name: str
    why: str


@contextmanager
def drawing(width: float = WIDTH, height: float = HEIGHT) -> Iterator[tuple[Figure, Axes]]:
    """Yield an empty figure and its axes, to draw on in the report's style."""
    with _in_style():
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.add_subplot()


def finish(axes: Axes, x: str, y: str, legend: bool = True) -> None:
    """Give axes their titles and, if there is anything to tell apart, a legend above them."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    labels = axes.get_legend_handles_labels()[1]
    if legend and labels:
        columns = 3 if max(map(len, labels)) <= NAME else 2
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=columns, borderaxespad=0.2, handlelength=1.6)


def rows(axes: Axes, names: Sequence[str]) -> None:
    """Give axes a row for each name, the first on top."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)


def logarithmic(axes: Axes) -> None:
    """Give axes a logarithmic x, with ticks where there is room for them."""
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    steps = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8) if high / low < FEW else (1, 2, 5) if high / low < MANY else (1,)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [step * 10.0**decade for decade in decades for step in steps]
    inside = [tick for tick in ticks if low <= tick <= high]
    axes.xaxis.set_major_locator(FixedLocator(inside) if len(inside) > 1 else MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def colors_of(models: Sequence[Measured]) -> dict[str, str]:
    """Return the colour of each model, by id: one for each network, in all its precisions."""
    return {model.id: color(SERIES[place % len(SERIES)]) for model, place in _places(models)}


def markers_of(models: Sequence[Measured]) -> dict[str, dict[str, Any]]:
    """Return how each model is marked, by id, as arguments of `plot`: colour is not all that tells them apart."""
    colors = colors_of(models)
    return {
        model.id: {
            "color": colors[model.id],
            "marker": MARKERS[place % len(MARKERS)],
            "markerfacecolor": colors[model.id] if model.precision == FP32 else color("paper"),
        }
        for model, place in _places(models)
    }


def _places(models: Sequence[Measured]) -> Iterator[tuple[Measured, int]]:
    networks = list(dict.fromkeys(network_of(model) for model in models))
    yield from ((model, networks.index(network_of(model))) for model in models)


def network_of(model: Measured) -> str:
    """Return the name of a model's network: its id without the precision."""
    return model.id.removesuffix(f"-{model.precision}")


def short(name: str) -> str:
    """Return a name that a figure has room for, with what matplotlib would take for mathematics shown as it is.

    Its middle is cut out: names of classes often begin or end alike.
    """
    name = " ".join(name.split())
    cut = name if len(name) <= NAME else f"{name[: NAME // 2]}\u2026{name[-(NAME // 2 - 1) :]}"
    return cut.replace("$", r"\$")


def as_png(chart: Chart) -> bytes:
    """Return a figure as PNG, the same bytes whenever it is drawn on this machine."""
    return _saved(chart, "png", dpi=DPI, metadata={"Software": None})


def as_inline_svg(chart: Chart) -> str:
    """Return a figure as an element of a page, in the page's colours, which are its variables named as in COLORS."""
    svg = chart.svg[chart.svg.index("<svg") :].rstrip()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r'\1 aria-hidden="true"', svg, count=1)
    svg = re.sub(r'(<g) id="[^"]*"', r"\1", svg)  # several figures in a page would repeat them
    svg = re.sub(r"font: (\d+(?:\.\d+)?)px [^;\"]*", r"font: \1px var(--font)", svg)
    for name, (light, _) in COLORS.items():
        svg = svg.replace(light, f"var(--{name})")
    return svg


def _saved(chart: Chart, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    with _in_style({"svg.hashsalt": chart.name}), warnings.catch_warnings():
        # matplotlib's own font lacks the letters of many scripts: in SVG the reader's fonts draw them
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        chart.figure.savefig(file, format=kind, **options)
    return file.getvalue()


@contextmanager
def _in_style(more: Mapping[str, Any] = MappingProxyType({})) -> Iterator[None]:
    """Draw with matplotlib's defaults and the settings below, whatever the user's own files of settings say."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({**_settings(), **more})
        yield


def _settings() -> dict[str, Any]:
    ink, muted, grid, paper = (color(name) for name in ("ink", "muted", "grid", "paper"))
    return {
        "svg.fonttype": "none",
        "font.size": 9,
        "font.family": "sans-serif",
        "figure.facecolor": paper,
        "axes.facecolor": paper,
        "axes.edgecolor": muted,
        "axes.labelcolor": ink,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": grid,
        "grid.linewidth": 0.7,
        "text.color": ink,
        "xtick.color": muted,
        "ytick.color": muted,
        "xtick.labelcolor": ink,
        "ytick.labelcolor": ink,
        "legend.frameon": False,
        "legend.fontsize": 8,
        "lines.linewidth": 1.6,
        "lines.markersize": 5.5,
    }
