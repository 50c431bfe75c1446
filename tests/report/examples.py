"""Small whole reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from compress.kernels import Inspection, Kernel, Left
from compress.onnx_tools.providers import CPU
from compress.report import making, schema
from compress.report.kernels import Kernels, kernels_of
from compress.report.scores import split_metrics

HOST = making.Host(
    processor="some", machine="x86_64", cores=2, memory_bytes=1 << 33, system="Linux 6", device_class="cpu"
)
ALIKE = schema.Comparison(drop_vs_teacher=0.0, flips_vs_teacher=0.0, vs_teacher=None)


def certain(predicted: np.ndarray, classes: int = 2) -> np.ndarray:
    """Return probabilities that put 0.9 on the predicted class."""
    rest = 0.1 / (classes - 1)
    return np.where(np.arange(classes) == predicted[:, None], 0.9, rest).astype(np.float32)


def differing(flips: float, mcnemar_p: float) -> schema.Comparison:
    """Return a comparison with the teacher of the same accuracy."""
    paired = schema.PairedTest(only_teacher_right=1, only_model_right=1, mcnemar_p=mcnemar_p, drop_ci95=(-1.0, 1.0))
    return schema.Comparison(drop_vs_teacher=0.0, flips_vs_teacher=flips, vs_teacher=paired)


def latency(p50_ms: float, threads: int = 1) -> schema.Latency:
    return schema.Latency(
        provider=CPU, threads=threads, batch=1, runs=1, p50_ms=p50_ms, p90_ms=None, p99_ms=None, throughput_per_s=1.0
    )


def kernel(operator: str, kind: Any, us: float, nodes: int = 1, is_product: bool = False) -> Kernel:
    """Return a kind of kernel that takes and gives the types that are usual for it."""
    takes = {"int8": "uint8", "conversion": "uint8"}.get(kind, "float")
    gives = "uint8" if kind == "int8" else "float"
    return Kernel(operator, CPU, kind, is_product, takes, gives, nodes, us)


def kernels(*found: Kernel, other_products: tuple[str, ...] = (), left: tuple[Left, ...] | None = ()) -> Kernels:
    """Return what a model of these kernels runs as."""
    return kernels_of(Inspection(found, other_products, left))


def model(
    name: str, classes: Sequence[str] = ("a", "b"), comparison: schema.Comparison = ALIKE, p50_ms: float = 1.0
) -> schema.Model:
    """Return a model that is always right on 20 images, with 0.9 for the class that it names."""
    labels = np.arange(20) % len(classes)
    metrics = split_metrics(labels, certain(labels, len(classes)), classes)
    held_out = schema.HeldOut(**dict(metrics), **dict(comparison))
    return schema.Model(
        id=name,
        stage="distill",
        precision="fp32",
        file=f"variants/{name}.onnx",
        params=10,
        nonzero_params=10,
        sparsity=0.0,
        macs=100,
        test=held_out,
        validation=held_out,
        latency=(latency(p50_ms),),
        size_bytes=1,
        size_zstd_bytes=1,
    )


def report(
    deployed: str = "student-fp32",
    classes: Sequence[str] = ("a", "b"),
    student: schema.Comparison = ALIKE,
    balance: schema.Balance | None = None,
) -> schema.Report:
    """Return the report of a teacher and a student, of which one is deployed."""
    return schema.Report(
        schema_=schema.SCHEMA,
        run=schema.Run(
            name="toy",
            data="toy",
            classes=tuple(classes),
            n_train=60,
            n_validation=20,
            n_test=20,
            seed=0,
            versions={"numpy": "2.2"},
            host=HOST,
        ),
        data=schema.Data(warnings=(), left_out=(), leaks={}, group_leaks={}),
        balance=balance or schema.Balance(method="none", recall=()),
        deployed=deployed,
        models=(model("teacher-fp32", classes, p50_ms=5.0), model("student-fp32", classes, student)),
        skipped=(),
        stages=(making.Stage(name="data", key="0" * 64, cached=False, seconds=1.0, peak_rss_bytes=1),),
    )
