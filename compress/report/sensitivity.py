"""sensitivity.json, .csv and .png: what each layer costs in accuracy that alone is pruned, without any training."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError
from rich import box
from rich.table import Table
from rich.text import Text

from compress.files import write_file
from compress.plural import counted
from compress.report.charts.style import MARKERS, SERIES, Chart, as_png, color, drawing, finish, short
from compress.report.part import Count, Fraction, Part

JSON, CSV = "sensitivity.json", "sensitivity.csv"
LEGEND = 24  # layers that a legend has room for


class Layer(Part):
    """The scores of a network of which this layer, or these coupled ones, is pruned alone, in order of `removed`."""

    name: str
    scores: tuple[Fraction, ...]


class Kind(Part):
    """What is removed, such as filters: the score of the whole network, and those without parts of its layers."""

    what: str
    images: Count
    whole: Fraction
    layers: tuple[Layer, ...]


class Sensitivity(Part):
    """Everything that was measured; `key` tells for which network and settings."""

    key: str
    data: str
    metric: str
    removed: tuple[Fraction, ...]
    kinds: tuple[Kind, ...]


def read(folder: Path, key: str) -> Sensitivity | None:
    """Return what was measured before, if it was for this key."""
    try:
        found = Sensitivity.model_validate_json((folder / JSON).read_bytes())
    except (OSError, ValidationError):
        return None
    return found if found.key == key else None


def write(found: Sensitivity, folder: Path) -> None:
    """Write the table as CSV, a figure for each kind, and, last, all of it as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / CSV, _csv(found).encode())
    for chart in charts(found):
        write_file(folder / f"{chart.name}.png", as_png(chart))
    write_file(folder / JSON, found.model_dump_json(indent=1).encode())


def files(found: Sensitivity) -> list[str]:
    """Return the names of the files that `write` writes."""
    return [JSON, CSV, *(f"{_name(kind)}.png" for kind in found.kinds)]


def tables(found: Sensitivity) -> Iterator[Table]:
    """Yield a table for each kind: a layer's drops in points, with the fractions of it that are gone."""
    for kind in found.kinds:
        title = f"{found.metric} {kind.whole:.4f} on {counted(kind.images, 'image')}; points lost without {kind.what}"
        table = Table(title=title, box=box.SIMPLE_HEAD, show_edge=False)
        table.add_column("layer")
        for share in found.removed:
            table.add_column(f"{share:.0%} gone", justify="right")
        for layer in kind.layers:
            table.add_row(Text(layer.name), *(f"{drop:.1f}" for drop in drops(kind, layer)))
        yield table


def drops(kind: Kind, layer: Layer) -> list[float]:
    """Return the points of score that are lost, at each fraction removed."""
    return [100 * (kind.whole - score) for score in layer.scores]


def charts(found: Sensitivity) -> Iterator[Chart]:
    """Draw for each kind what each layer loses, one line each."""
    for kind in found.kinds:
        gone = [0.0, *(100 * share for share in found.removed)]
        with drawing(height=4.2) as (figure, axes):
            for number, layer in enumerate(kind.layers):
                style, turn = number % len(SERIES), number // len(SERIES)
                axes.plot(
                    gone,
                    [0.0, *drops(kind, layer)],
                    color=color(SERIES[style]),
                    marker=MARKERS[(style + turn) % len(MARKERS)],
                    linestyle=("-", "--", ":")[turn % 3],
                    label=short(layer.name) if len(kind.layers) <= LEGEND else None,
                )
            finish(axes, f"% of the layer's {kind.what} gone", f"points of {found.metric} lost")
        yield Chart(_name(kind), f"What each layer loses alone without some of its {kind.what}.", figure)


def _name(kind: Kind) -> str:
    return f"sensitivity_{kind.what}"


def _csv(found: Sensitivity) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["what", "layer", "removed", found.metric, "points_lost"])
    for kind in found.kinds:
        for layer in kind.layers:
            for share, score, drop in zip(found.removed, layer.scores, drops(kind, layer), strict=True):
                table.writerow([kind.what, layer.name, share, f"{score:.6f}", f"{drop:.4f}"])
    return text.getvalue()
