"""Bundles side by side: how the deployed models differ, by more than chance or not, and what was set differently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rich import box
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from compress.errors import BadInputError
from compress.metrics.comparison import mcnemar, only_right
from compress.metrics.intervals import paired_difference, unpaired_difference
from compress.report.colors import COLORS
from compress.report.file import COMPARISON, TEMPLATES
from compress.report.schema import Report
from compress.report.table import between, mcnemar_text
from compress.templates import render

ELSEWHERE = ("workspace", "exported", "deploy.name")  # settings that say where a run is, not what it does


@dataclass(frozen=True)
class Side:
    """A bundle: what it is called here, its report, its settings by dotted key, and the test images' classes.

    `labels` and `answers`, those of the deployed model, are `(n,) int64`; None if the bundle does not hold them.
    """

    name: str
    report: Report
    settings: Mapping[str, str]
    labels: np.ndarray | None = None
    answers: np.ndarray | None = None


@dataclass(frozen=True)
class Difference:
    """How many points a deployed model is above the first bundle's, with a 95 % interval; `p` is McNemar's, if paired.

    `why` says why it is not paired.
    """

    points: float
    interval: tuple[float, float]
    p: float | None = None
    why: str = ""

    @property
    def text(self) -> str:
        """The difference in words."""
        low, high = self.interval
        p = "" if self.p is None else f", {mcnemar_text(self.p)}"
        return f"{self.points:+.1f} points ({low:.1f} to {high:.1f}){p}"


def check(sides: Sequence[Side]) -> None:
    """Raise `BadInputError` if there is nothing to compare, or if the bundles tell different classes."""
    if len(sides) < 2:
        raise BadInputError(f"{sides[0].name}: is one bundle; compare should be given two or more")
    first, *others = sides
    for other in others:
        if other.report.run.classes != first.report.run.classes:
            theirs, ours = (len(side.report.run.classes) for side in (other, first))
            what = f"{theirs} classes, not {ours}" if theirs != ours else "classes of other names or in another order"
            raise BadInputError(f"{other.name}: has {what} as in {first.name}; bundles should tell the same classes")


def differences(sides: Sequence[Side]) -> list[Difference]:
    """Return how each bundle after the first differs from it on test images; paired where these are the same."""
    return [_difference(sides[0], side) for side in sides[1:]]


def unlike(sides: Sequence[Side]) -> dict[str, list[str | None]]:
    """Return the settings that are not the same in all bundles: by dotted key, the value in each, None without one."""
    keys = sorted({key for side in sides for key in side.settings if not key.startswith(ELSEWHERE)})
    values = {key: [side.settings.get(key) for side in sides] for key in keys}
    return {key: found for key, found in values.items() if any(value != found[0] for value in found)}


def notes(sides: Sequence[Side]) -> list[str]:
    """Return what limits the comparison: other test images, other machines."""
    lines = [
        f"{side.name} is not compared with {sides[0].name} image by image: {difference.why}"
        for side, difference in zip(sides[1:], differences(sides), strict=True)
        if difference.why
    ]
    hosts = [(side.name, side.report.run.host) for side in sides]
    if any(host != hosts[0][1] for _, host in hosts):
        where = ", ".join(f"{name} on {host.processor} with {host.cores} cores" for name, host in hosts)
        lines.append(f"latencies were measured on different machines, and do not compare: {where}")
    return lines


def table(sides: Sequence[Side]) -> Table:
    """Return the table for the terminal."""
    found = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for heading in COLUMNS:
        found.add_column(heading, justify="left" if heading in ("bundle", "deployed") else "right")
    for row in rows(sides):
        found.add_row(*map(Text, row))
    return found


COLUMNS = ("bundle", "deployed", "teacher", "accuracy", "95 %", "than the first", "size", "p50")


def rows(sides: Sequence[Side]) -> list[list[str]]:
    """Return the cells of the table, one row for each bundle, named by COLUMNS."""
    texts = ["", *(difference.text for difference in differences(sides))]
    return [_row(side, text) for side, text in zip(sides, texts, strict=True)]


def page(sides: Sequence[Side]) -> str:
    """Return the comparison as a page of HTML that needs no network."""
    return render(
        TEMPLATES[COMPARISON],
        sides=sides,
        columns=COLUMNS,
        rows=rows(sides),
        notes=notes(sides),
        unlike=unlike(sides),
        colors=COLORS,
    )


def _row(side: Side, text: str) -> list[str]:
    model = side.report.deployed_model
    return [
        side.name,
        model.id,
        f"{side.report.teacher.test.accuracy:.4f}",
        f"{model.test.accuracy:.4f}",
        between(model.test.accuracy_ci95),
        text,
        decimal(model.size_bytes),
        f"{model.p50_ms():.3f} ms",
    ]


def _difference(first: Side, other: Side) -> Difference:
    why = _why_unpaired(first, other)
    own, base = other.report.deployed_model.test, first.report.deployed_model.test
    points = 100 * (own.accuracy - base.accuracy)
    if why or other.labels is None or other.answers is None or first.answers is None:
        bounds = unpaired_difference(own.accuracy, own.accuracy_ci95, base.accuracy, base.accuracy_ci95)
        return Difference(points, _in_points(bounds), why=why)
    only_own, only_base = only_right(other.labels, other.answers, first.answers)
    bounds = paired_difference(only_own, only_base, len(other.labels))
    return Difference(points, _in_points(bounds), mcnemar(only_own, only_base))


def _why_unpaired(first: Side, other: Side) -> str:
    for side in (first, other):
        if side.answers is None:
            return f"{side.name} does not hold its answers: it was made by an earlier version"
    if not first.report.data.test_sha256 or first.report.data.test_sha256 != other.report.data.test_sha256:
        return "their test images are not the same, or in another order or size"
    if not np.array_equal(first.labels, other.labels):  # type: ignore[arg-type]
        return "their test images have other labels"
    return ""


def _in_points(bounds: tuple[float, float]) -> tuple[float, float]:
    low, high = bounds
    return 100 * low, 100 * high
