"""data.html: what is known about a data set before anything is trained on it, with the images that it speaks of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from compress.artifacts import Dataset
from compress.data.describe import description_of, warnings
from compress.data.images import images_at, images_of
from compress.data.table import data_facts
from compress.report.charts.data import class_counts
from compress.report.colors import COLORS
from compress.report.evidence import Picture, picture, samples
from compress.report.file import INSPECTION, TEMPLATES
from compress.report.page import inline
from compress.templates import render


@dataclass(frozen=True)
class Finding:
    """Groups of images that are the same to the network, each image with its name."""

    title: str
    groups: tuple[tuple[tuple[str, Picture], ...], ...]


def page(data: Dataset, names: Sequence[str], labels: np.ndarray) -> str:
    """Return the page's HTML; `names` and `labels (n,) int64` are of all images of the source, in order."""
    description = description_of(data)
    return render(
        TEMPLATES[INSPECTION],
        data=data,
        facts=data_facts(data),
        warnings=warnings(description),
        chart=inline(class_counts(description["classes"])),
        samples=samples(images_of(data, "train"), data.labels("train"), data.classes),
        findings=list(_findings(data, description, names, labels)),
        colors=COLORS,
    )


def _findings(
    data: Dataset, description: Mapping[str, Any], names: Sequence[str], labels: np.ndarray
) -> Iterator[Finding]:
    kinds = {"under two labels": description["conflicts"], "that are copies of each other": description["duplicates"]}
    kinds |= {f"in both {' and '.join(pair.split('/'))}": leak for pair, leak in description["leaks"].items()}
    wanted = {name for found in kinds.values() for group in found["examples"] for name in group}
    if not wanted:
        return
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        with_class = f"{name} ({data.classes[labels[place]]})"  # as conflicts name it
        places |= {told: place for told in (name, with_class) if told in wanted}
    for title, found in kinds.items():
        groups = [[name for name in group if name in places] for group in found["examples"]]
        if groups:
            yield Finding(title, tuple(tuple((name, _at(data, places[name])) for name in group) for group in groups))


def _at(data: Dataset, place: int) -> Picture:
    return picture(images_at(data, np.array([place])), 0)
