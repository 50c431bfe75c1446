"""The scores of a model, computed from its probabilities: by themselves, and compared with the teacher's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from compress.metrics.classification import (
    accuracy_counts,
    auc,
    calibration_bins,
    calibration_error,
    cross_entropy,
    top_k_count,
)
from compress.metrics.comparison import changed, mcnemar, only_right
from compress.metrics.confusion import class_scores, confusion_matrix, macro_averages, macro_intervals
from compress.metrics.intervals import paired_difference, wilson
from compress.report.schema import CalibrationBin, ClassMetrics, Comparison, Metrics, PairedTest

DIGITS = 6  # decimals of a fraction in the report
TOP_5_FROM = 10  # classes; with fewer, top-5 accuracy says little
CONFUSION_UP_TO = 100  # classes; with more, the matrix is left out


def split_metrics(labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]) -> Metrics:
    """Return the metrics of a model on the images of a split.

    `labels` is `(n,) int64`, `probabilities` is `(n, classes) float32`. None stands for top-5 accuracy with fewer than
    10 classes, the confusion matrix with more than 100, and the scores of a class without images.
    """
    correct, n = accuracy_counts(labels, probabilities)
    top_5 = top_k_count(labels, probabilities, 5) if len(classes) >= TOP_5_FROM else None
    confusion = confusion_matrix(labels, probabilities)
    counts = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    averages = {name: rounded(float(value)) for name, value in macro_averages(*counts).items()}
    intervals = {name: _interval(bounds) for name, bounds in macro_intervals(confusion).items()}
    area = auc(labels, probabilities)
    table = _class_table(*counts, classes)
    return Metrics(
        n=n,
        accuracy=rounded(correct / n),
        accuracy_ci95=_interval(wilson(correct, n)),
        top5_accuracy=None if top_5 is None else rounded(top_5 / n),
        top5_accuracy_ci95=None if top_5 is None else _interval(wilson(top_5, n)),
        precision=averages["precision"],
        recall=averages["recall"],
        f1=averages["f1"],
        precision_ci95=intervals["precision"],
        recall_ci95=intervals["recall"],
        f1_ci95=intervals["f1"],
        auc=None if area is None else rounded(area),
        calibration_error=rounded(calibration_error(labels, probabilities)),
        log_loss=rounded(cross_entropy(labels, probabilities)),
        class_recall={name: row.recall for name, row in table.items()},
        classes=table,
        confusion=tuple(map(tuple, confusion.tolist())) if len(classes) <= CONFUSION_UP_TO else None,
        calibration=tuple(
            CalibrationBin(n=int(n), confidence=rounded(confidence / n), accuracy=rounded(right / n))
            for n, confidence, right in calibration_bins(labels, probabilities)
            if n
        ),
    )


def versus_teacher(labels: np.ndarray, probabilities: np.ndarray, teacher: np.ndarray) -> Comparison:
    """Return how a model differs from the teacher on the same images.

    `probabilities` and `teacher` are `(n, classes) float32`. If they are the same array, there is no test (None).
    """
    answers, others = probabilities.argmax(axis=1), teacher.argmax(axis=1)
    only_teacher, only_model = only_right(labels, others, answers)
    n = len(labels)
    paired = PairedTest(
        only_teacher_right=only_teacher,
        only_model_right=only_model,
        mcnemar_p=float(f"{mcnemar(only_teacher, only_model):.{DIGITS}g}"),
        drop_ci95=_interval(100 * bound for bound in paired_difference(only_teacher, only_model, n)),
    )
    return Comparison(
        drop_vs_teacher=rounded(100 * (only_teacher - only_model) / n),
        flips_vs_teacher=rounded(changed(others, answers)),
        vs_teacher=None if probabilities is teacher else paired,
    )


def rounded(value: float) -> float:
    """Return a figure rounded to the decimals that the report gives."""
    return round(value, DIGITS)


def _class_table(
    correct: np.ndarray, true: np.ndarray, predicted: np.ndarray, classes: Sequence[str]
) -> dict[str, ClassMetrics]:
    """Return a row for each class; the counts are `(classes,)`, as in `class_scores`."""
    scores = class_scores(correct, true, predicted)
    table: dict[str, ClassMetrics] = {}
    for label, name in enumerate(classes):
        n = int(true[label])
        row = {score: rounded(float(values[label])) if n else None for score, values in scores.items()}
        table[name] = ClassMetrics(
            n=n,
            precision=row["precision"],
            recall=row["recall"],
            f1=row["f1"],
            recall_ci95=_interval(wilson(int(correct[label]), n)) if n else None,
        )
    return table


def _interval(bounds: Iterable[float]) -> tuple[float, float]:
    low, high = bounds
    return rounded(low), rounded(high)
