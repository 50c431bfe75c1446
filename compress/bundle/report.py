"""report.json, schema 1."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from compress import fingerprint
from compress.artifacts import Control, Dataset, OnnxModel, Split, Timings
from compress.context import Context
from compress.data.describe import description_of, warnings
from compress.latency.statistics import percentile_ms, throughput_per_s
from compress.metrics.classification import accuracy_counts, auc, calibration_error, cross_entropy, top_k_count
from compress.metrics.comparison import changed, mcnemar, only_right
from compress.metrics.confusion import class_scores, confusion_matrix, macro_averages, macro_intervals
from compress.metrics.cost import cost_of_onnx
from compress.metrics.intervals import paired_difference, wilson

SCHEMA = 1
DIGITS = 6  # decimals of a fraction in the report
TOP_5_FROM = 10  # classes from which top-5 accuracy says something
CONFUSION_UP_TO = 100  # classes

Probabilities = Mapping[str, np.ndarray]  # by split: (n, classes) float32


def build_report(
    name: str,
    models: Sequence[OnnxModel],
    probabilities: Mapping[str, Probabilities],
    timings: Timings,
    data: Dataset,
    context: Context,
) -> dict[str, Any]:
    """Return the report of all models, but for `deployed`, `balance`, and the sizes of files not yet written.

    `probabilities` is by model id; the teacher comes first.
    """
    teacher = probabilities[models[0].id]
    return {
        "schema": SCHEMA,
        "run": {
            "name": name,
            "data": data.name,
            "classes": list(data.classes),
            **{f"n_{split}": n for split, n in data.sizes.items()},
            "seed": context.run_seed,
            "versions": fingerprint.library_versions(["compress.pipeline"]),
            "host": timings.host,
        },
        "data": _data_summary(data),
        "balance": {},
        "deployed": "",
        "models": [_model_row(model, probabilities[model.id], teacher, timings, data) for model in models],
        "skipped": [dataclasses.asdict(skip) for skip in timings.skipped],
        "stages": [dataclasses.asdict(record) for record in context.finished],
    }


def balance_report(method: str, teacher: Mapping[str, Any], control: Control, data: Dataset) -> dict[str, Any]:
    """Return how classes were balanced and, where they were, the teacher's recall of each without and with it.

    `teacher` is the teacher's row of the report. A class without test images has no recall (None).
    """
    train = np.bincount(data.labels("train"), minlength=len(data.classes))
    rows = [
        {
            "class": name,
            "train": int(train[label]),
            "n": score.n,
            "without": round(score.correct / score.n, DIGITS) if score.n else None,
            "with": teacher["test"]["class_recall"][name],
        }
        for label, (name, score) in enumerate(zip(data.classes, control.scores or (), strict=False))
    ]
    return {"method": method, "recall": rows}


def _data_summary(data: Dataset) -> dict[str, Any]:
    """Return what of data.json concerns the report's figures."""
    description = description_of(data)
    return {
        "warnings": warnings(description),
        "left_out": description["left_out"],
        "leaks": {pair: leak["count"] for pair, leak in description["leaks"].items()},
        "group_leaks": {pair: leak["count"] for pair, leak in description["group_leaks"].items()},
    }


def _model_row(
    model: OnnxModel, probabilities: Probabilities, teacher: Probabilities, timings: Timings, data: Dataset
) -> dict[str, Any]:
    held_out: tuple[Split, ...] = ("test", "validation")
    return {
        "id": model.id,
        "stage": model.stage,
        "precision": model.precision,
        "file": f"variants/{model.id}.onnx",
        **dataclasses.asdict(cost_of_onnx(model.file)),
        **{
            split: {
                **split_metrics(data.labels(split), probabilities[split], data.classes),
                **versus_teacher(data.labels(split), probabilities[split], teacher[split]),
            }
            for split in held_out
        },
        "latency": [
            {
                "provider": row.provider,
                "threads": row.threads,
                "batch": row.batch,
                "runs": len(row.samples_ns),
                "p50_ms": percentile_ms(row.samples_ns, 50),
                "p90_ms": percentile_ms(row.samples_ns, 90),
                "p99_ms": percentile_ms(row.samples_ns, 99),
                "throughput_per_s": round(throughput_per_s(row.samples_ns, row.batch), 1),
            }
            for row in timings.latencies
            if row.model == model.id
        ],
    }


def split_metrics(labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]) -> dict[str, Any]:
    """Return what one split's images say of a model: fractions but for `log_loss` (nats), intervals at 95 %.

    `labels` is `(n,) int64`, `probabilities` `(n, classes) float32`. What cannot be told is None: top-5 accuracy below
    10 classes, the confusion matrix above 100, scores of a class without images.
    """
    correct, n = accuracy_counts(labels, probabilities)
    top_5 = top_k_count(labels, probabilities, 5) if len(classes) >= TOP_5_FROM else None
    confusion = confusion_matrix(labels, probabilities)
    counts = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    intervals = macro_intervals(confusion)
    table = _class_table(*counts, classes)
    return {
        "n": n,
        "accuracy": _rounded(correct / n),
        "accuracy_ci95": _interval(wilson(correct, n)),
        "top5_accuracy": None if top_5 is None else _rounded(top_5 / n),
        "top5_accuracy_ci95": None if top_5 is None else _interval(wilson(top_5, n)),
        **{name: _rounded(float(value)) for name, value in macro_averages(*counts).items()},
        **{f"{name}_ci95": _interval(bounds) for name, bounds in intervals.items()},
        "auc": _rounded(auc(labels, probabilities)),
        "calibration_error": _rounded(calibration_error(labels, probabilities)),
        "log_loss": _rounded(cross_entropy(labels, probabilities)),
        "class_recall": {name: row["recall"] for name, row in table.items()},
        "classes": table,
        "confusion": confusion.tolist() if len(classes) <= CONFUSION_UP_TO else None,
    }


def versus_teacher(labels: np.ndarray, probabilities: np.ndarray, teacher: np.ndarray) -> dict[str, Any]:
    """Return how a model differs from the teacher on the same images: the drop in points, the flips as a fraction.

    `probabilities` and `teacher` are `(n, classes) float32`; where they are one, there is nothing to test (None).
    """
    only_teacher, only_model = only_right(labels, teacher, probabilities)
    n = len(labels)
    paired = {
        "only_teacher_right": only_teacher,
        "only_model_right": only_model,
        "mcnemar_p": float(f"{mcnemar(only_teacher, only_model):.{DIGITS}g}"),
        "drop_ci95": _interval(100 * bound for bound in paired_difference(only_teacher, only_model, n)),
    }
    return {
        "drop_vs_teacher": _rounded(100 * (only_teacher - only_model) / n),
        "flips_vs_teacher": _rounded(changed(teacher, probabilities)),
        "vs_teacher": None if probabilities is teacher else paired,
    }


def _class_table(
    right: np.ndarray, true: np.ndarray, predicted: np.ndarray, classes: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return a row for each class; the counts are `(classes,)`, as `class_scores` takes them."""
    scores = class_scores(right, true, predicted)
    table: dict[str, dict[str, Any]] = {}
    for label, name in enumerate(classes):
        n = int(true[label])
        row = {score: _rounded(float(values[label])) if n else None for score, values in scores.items()}
        recall_ci95 = _interval(wilson(int(right[label]), n)) if n else None
        table[name] = {"n": n, **row, "recall_ci95": recall_ci95}
    return table


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS)


def _interval(bounds: Iterable[float]) -> list[float]:
    return [round(bound, DIGITS) for bound in bounds]
