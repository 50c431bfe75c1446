"""Figures of which classes are taken for which others."""

from __future__ import annotations

import numpy as np

from compress.report.charts.style import Absent, Chart, color, drawing, finish, short
from compress.report.schema import Report

NUMBERED, NAMED = 12, 40  # classes, up to which cells have numbers, and rows and columns names
DEEPEST = 0.62  # opacity of a cell: the numbers on it stay readable


def confusions(report: Report) -> list[Chart | Absent]:
    """Draw the confusion matrix of the teacher and of the deployed model, and how they differ."""
    deployed, teacher = report.deployed_model.test.confusion, report.teacher.test.confusion
    if deployed is None or teacher is None:
        return [Absent("confusion", f"{len(report.run.classes)} classes are too many for a matrix to be read")]
    names = report.run.classes
    found: list[Chart | Absent] = [_matrix("confusion_teacher", report.teacher.id, np.array(teacher), names)]
    if report.deployed == report.teacher.id:
        return found
    found.append(_matrix("confusion_deployed", report.deployed, np.array(deployed), names))
    found.append(_difference(report, np.array(deployed) - np.array(teacher)))
    return found


def _matrix(name: str, model: str, counts: np.ndarray, classes: tuple[str, ...]) -> Chart:
    share = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    wrong = np.where(np.eye(len(classes), dtype=bool), 0.0, share)
    right = np.where(np.eye(len(classes), dtype=bool), share, 0.0)
    caption = (
        f"{model}: how many test images of each class (row) were taken for which (column). Mistakes are shaded by the "
        "square root of their share, so that few can be seen."
    )
    if len(classes) > NAMED:
        caption += " Classes are numbered from 0 in the order of labels.txt."
    return _drawn(name, caption, counts, {"blue": right, "vermilion": np.sqrt(wrong)}, classes)


def _difference(report: Report, counts: np.ndarray) -> Chart:
    largest = max(1, int(np.abs(counts).max()))
    diagonal = np.where(np.eye(len(counts), dtype=bool), 1, -1)
    better = np.maximum(0, counts * diagonal) / largest
    worse = np.maximum(0, -counts * diagonal) / largest
    caption = (
        f"{report.deployed} less {report.teacher.id}, in test images: blue where the deployed model is better, red "
        "where it is worse."
    )
    shades = {"blue": better, "vermilion": worse}
    return _drawn("confusion_difference", caption, counts, shades, report.run.classes, signed=True)


def _drawn(
    name: str,
    caption: str,
    counts: np.ndarray,
    shades: dict[str, np.ndarray],
    classes: tuple[str, ...],
    signed: bool = False,
) -> Chart:
    n = len(classes)
    with drawing(height=4.2) as (figure, axes):
        for shade, depth in shades.items():
            picture = np.zeros((n, n, 4))
            picture[..., :3] = [int(color(shade)[i : i + 2], 16) / 255 for i in (1, 3, 5)]
            picture[..., 3] = DEEPEST * depth
            axes.imshow(picture, interpolation="nearest")
        axes.grid(visible=False)
        if n <= NUMBERED:
            for (row, column), count in np.ndenumerate(counts):
                if count:
                    text = f"{count:+,}" if signed else f"{count:,}"
                    axes.text(column, row, text, ha="center", va="center", fontsize=7)
        if n <= NAMED:
            names, size = [short(each) for each in classes], 8 if n <= NUMBERED else 6
            axes.set_xticks(range(n), names, rotation=90, fontsize=size)
            axes.set_yticks(range(n), names, fontsize=size)
        finish(axes, "answer", "class", legend=False)
    return Chart(name, caption, figure)
