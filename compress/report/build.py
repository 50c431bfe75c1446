"""Building the report part by part: what was run, the measurements of each model, the choice, and file sizes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zstandard

from compress import fingerprint
from compress.artifacts import Dataset, Latencies, Models, Network, OnnxModel, Split, Timings, Unbalanced
from compress.context import Context
from compress.data.describe import warnings
from compress.latency.statistics import percentile_ms, throughput_per_s
from compress.metrics.cost import cost_of_onnx
from compress.metrics.training import warnings as training_warnings
from compress.onnx_tools.precisions import INT8
from compress.report import making, schema
from compress.report.advice import advice
from compress.report.kernels import kernels_of
from compress.report.scores import rounded, split_metrics, versus_teacher

Probabilities = Mapping[str, np.ndarray]  # by split: (n, classes) float32


def run_facts(name: str, data: Dataset, timings: Timings, context: Context) -> schema.Run:
    """Return the facts of a run; `name` is that of its bundle."""
    return schema.Run(
        name=name,
        data=data.name,
        classes=data.classes,
        n_train=data.sizes["train"],
        n_validation=data.sizes["validation"],
        n_test=data.sizes["test"],
        seed=context.run_seed,
        versions=fingerprint.library_versions(["compress.pipeline"]),
        host=making.Host(**timings.host),
    )


def measured_models(
    models: Sequence[OnnxModel], probabilities: Mapping[str, Probabilities], timings: Timings, data: Dataset
) -> tuple[schema.Measured, ...]:
    """Return each model with its cost, accuracy and latency; the teacher is the first, `probabilities` are by id."""
    teacher = probabilities[models[0].id]
    return tuple(_measured(model, probabilities[model.id], teacher, timings, data) for model in models)


def with_sizes(models: Sequence[schema.Measured], folder: Path) -> tuple[schema.Model, ...]:
    """Return measured models with the sizes of their files, which are in a bundle's `folder`."""
    contents = {model.id: (folder / model.file).read_bytes() for model in models}
    return tuple(
        schema.Model(
            **dict(model),
            size_bytes=len(contents[model.id]),
            size_zstd_bytes=len(zstandard.compress(contents[model.id], 3)),
        )
        for model in models
    )


def balance_report(method: str, teacher: schema.Measured, unbalanced: Unbalanced, data: Dataset) -> schema.Balance:
    """Return how classes were balanced and, if they were, the teacher's recall on each class without and with it.

    The recall on a class without test images is None.
    """
    train = np.bincount(data.labels("train"), minlength=len(data.classes))
    rows = tuple(
        schema.BalancedClass(
            name=name,
            train=int(train[label]),
            n=score.n,
            unbalanced=rounded(score.correct / score.n) if score.n else None,
            balanced=teacher.test.class_recall[name],
        )
        for label, (name, score) in enumerate(zip(data.classes, unbalanced.scores or (), strict=False))
    )
    return schema.Balance(method=method, recall=rows)


def trainings_of(networks: Sequence[Network]) -> dict[str, tuple[making.Training, ...]]:
    """Return how each network was trained, by name; a network's trainings are in order of time."""
    return {
        network.name: tuple(_training(network, name, precision) for name, precision in network.precision.items())
        for network in networks
    }


def trials_of(networks: Sequence[Network], quantized: Sequence[Models]) -> dict[str, tuple[making.Trial, ...]]:
    """Return what was tried for each network and each int8 model for which anything was, by name."""
    tried = {network.name: network.trials for network in networks}
    tried |= {models.of(INT8.name).id: models.trials for models in quantized}
    return {
        name: tuple(making.Trial(**dataclasses.asdict(trial)) for trial in trials)
        for name, trials in tried.items()
        if trials
    }


def damages_of(quantized: Sequence[Models]) -> dict[str, tuple[making.Damage, ...]]:
    """Return what each layer does to the int8 models whose layers were tried alone, by the models' ids."""
    return {
        models.of(INT8.name).id: tuple(making.Damage(**dataclasses.asdict(damage)) for damage in models.damages)
        for models in quantized
        if models.damages
    }


def build_report(
    run: schema.Run,
    models: Sequence[schema.Model],
    deployed: str,
    balance: schema.Balance,
    networks: Sequence[Network],
    quantized: Sequence[Models],
    timings: Timings,
    description: Mapping[str, Any],
    context: Context,
) -> schema.Report:
    """Return the whole report; `deployed` is the id of the model that was chosen, `description` is data.json's."""
    report = schema.Report(
        schema_=schema.SCHEMA,
        run=run,
        data=_data_summary(description),
        balance=balance,
        deployed=deployed,
        models=tuple(models),
        skipped=tuple(making.Skip(what=skip.what, why=skip.why) for skip in timings.skipped),
        stages=tuple(making.Stage(**dataclasses.asdict(record)) for record in context.finished),
        training=trainings_of(networks),
        trials=trials_of(networks, quantized),
        damages=damages_of(quantized),
        predicted_ms={name: ms for network in networks for name, ms in network.predicted_ms.items()},
        recipe=tuple(making.Decision(**dataclasses.asdict(made)) for made in context.settings.decisions),
        settings=dict(context.settings.given),
    )
    return report.model_copy(update={"advice": advice(report)})


def _training(network: Network, name: str, precision: str) -> making.Training:
    history = [epoch for epoch in network.history if epoch.training == name]
    return making.Training(
        name=name,
        precision=precision,
        limit=network.limits.get(name, 0),
        kept=network.kept.get(name),
        history=tuple(
            making.Epoch(
                epoch=epoch.epoch,
                learning_rate=epoch.learning_rate,
                loss=epoch.loss,
                validation_accuracy=epoch.validation_accuracy,
                validation_cross_entropy=epoch.validation_cross_entropy,
                validation_recall=epoch.validation_recall,
            )
            for epoch in history
        ),
        warnings=tuple(training_warnings(history)),
    )


def _data_summary(description: Mapping[str, Any]) -> schema.Data:
    """Return the part of data.json that matters for the report's figures."""
    return schema.Data(
        warnings=tuple(warnings(description)),
        left_out=tuple(schema.LeftOut(name=bad["name"], why=bad["why"]) for bad in description["left_out"]),
        leaks={pair: leak["count"] for pair, leak in description["leaks"].items()},
        group_leaks={pair: leak["count"] for pair, leak in description["group_leaks"].items()},
        counts=description["classes"],
        test_sha256=description["split_sha256"]["test"],
    )


def _measured(
    model: OnnxModel, probabilities: Probabilities, teacher: Probabilities, timings: Timings, data: Dataset
) -> schema.Measured:
    cost = cost_of_onnx(model.file)

    def held_out(split: Split) -> schema.HeldOut:
        labels = data.labels(split)
        metrics = split_metrics(labels, probabilities[split], data.classes)
        return schema.HeldOut(**dict(metrics), **dict(versus_teacher(labels, probabilities[split], teacher[split])))

    return schema.Measured(
        id=model.id,
        stage=model.stage,
        precision=model.precision,
        file=f"variants/{model.id}.onnx",
        params=cost.params,
        nonzero_params=cost.nonzero_params,
        sparsity=cost.sparsity,
        macs=cost.macs,
        layers=tuple(schema.Layer(**dataclasses.asdict(layer)) for layer in cost.layers),
        test=held_out("test"),
        validation=held_out("validation"),
        latency=_latencies(model.id, timings),
        kernels=kernels_of(timings.inspections[model.id]),
    )


def _latencies(model: str, timings: Timings) -> tuple[schema.Latency, ...]:
    return tuple(_latency(row) for row in timings.latencies if row.model == model)


def _latency(row: Latencies) -> schema.Latency:
    p50_ms = percentile_ms(row.samples_ns, 50)
    assert p50_ms is not None  # a single call is enough for a median
    return schema.Latency(
        provider=row.provider,
        threads=row.threads,
        batch=row.batch,
        runs=len(row.samples_ns),
        p50_ms=p50_ms,
        p90_ms=percentile_ms(row.samples_ns, 90),
        p99_ms=percentile_ms(row.samples_ns, 99),
        throughput_per_s=round(throughput_per_s(row.samples_ns, row.batch), 1),
    )
