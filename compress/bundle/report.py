"""report.json, schema 1."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import zstandard

from compress import fingerprint
from compress.artifacts import Control, Dataset, OnnxModel, Score, Split, Timings
from compress.context import Context
from compress.data.describe import description_of, warnings
from compress.latency.statistics import percentile_ms, throughput_per_s
from compress.metrics.classification import accuracy_counts, class_counts, macro_averages
from compress.metrics.cost import cost_of_onnx
from compress.metrics.intervals import wilson

SCHEMA = 1
DIGITS = 6  # decimals of a fraction in the report

Probabilities = Mapping[str, np.ndarray]  # by split: (n, classes) float32


def build_report(
    name: str,
    models: Sequence[OnnxModel],
    probabilities: Mapping[str, Probabilities],
    timings: Timings,
    data: Dataset,
    context: Context,
) -> dict[str, Any]:
    """Return the report of all models, but for `deployed` and `balance`.

    `probabilities` is by model id; the teacher comes first.
    """
    teacher = probabilities[models[0].id]["test"]
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
    model: OnnxModel, probabilities: Probabilities, teacher: np.ndarray, timings: Timings, data: Dataset
) -> dict[str, Any]:
    content = model.file.read_bytes()
    validation = _score("validation", probabilities, data)
    return {
        "id": model.id,
        "stage": model.stage,
        "precision": model.precision,
        "file": f"variants/{model.id}.onnx",
        **dataclasses.asdict(cost_of_onnx(model.file)),
        "size_bytes": len(content),
        "size_zstd_bytes": len(zstandard.compress(content, 3)),
        "test": _test_metrics(probabilities, teacher, data),
        "validation": {"n": validation.n, "accuracy": round(validation.correct / validation.n, DIGITS)},
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


def _test_metrics(probabilities: Probabilities, teacher: np.ndarray, data: Dataset) -> dict[str, Any]:
    score = _score("test", probabilities, data)
    teacher_correct, _ = accuracy_counts(data.labels("test"), teacher)
    flips = probabilities["test"].argmax(axis=1) != teacher.argmax(axis=1)
    averages = macro_averages(data.labels("test"), probabilities["test"])
    counts = class_counts(data.labels("test"), probabilities["test"])
    return {
        "n": score.n,
        "accuracy": round(score.correct / score.n, DIGITS),
        "accuracy_ci95": [round(bound, DIGITS) for bound in wilson(score.correct, score.n)],
        **{name: None if np.isnan(value) else round(value, DIGITS) for name, value in averages.items()},
        "class_recall": {
            name: round(correct / n, DIGITS) if n else None
            for name, (correct, n) in zip(data.classes, counts, strict=True)
        },
        "drop_vs_teacher": round(100 * (teacher_correct - score.correct) / score.n, DIGITS),
        "flips_vs_teacher": round(float(flips.mean()), DIGITS),
    }


def _score(split: Split, probabilities: Probabilities, data: Dataset) -> Score:
    correct, n = accuracy_counts(data.labels(split), probabilities[split])
    return Score(split, correct, n)
