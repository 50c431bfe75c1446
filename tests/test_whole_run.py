"""The whole pipeline on real images, at the size of tiny.toml."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.resume import killed_run, model_hashes, repeated_stages
from compress.files import list_files
from tests.conftest import TINY, Run, run_compress

IDS = ["teacher-fp32", "pruned-fp32", "pruned-int8", "student-fp32", "student-int8"]


@pytest.fixture(scope="module")
def report(tiny_run: Run) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    return json.loads((tiny_run.bundle / "report.json").read_bytes(), parse_constant=refuse)


def test_progress_names_the_stages_and_estimates_the_time_left(tiny_run: Run) -> None:
    for stage in ("data", "teacher", "prune", "quantize", "distill", "export", "bench", "report"):
        assert f"{stage}: done in" in tiny_run.output
    assert "s left" in tiny_run.output
    assert tiny_run.output.rstrip().endswith(f"bundle: exported{os.sep}digits{os.sep}")


def test_the_bundle_holds_the_files_it_should_and_a_manifest_of_them(tiny_run: Run) -> None:
    manifest = json.loads((tiny_run.bundle / "manifest.json").read_bytes())

    expected = {"model.onnx", "labels.txt", "report.json", "config.toml", "README.md", "manifest.json"}
    expected |= {
        "data.json",
        "decoding.py",
        "preparation.py",
        "classify.py",
        "golden.npz",
        "sbom.cdx.json",
        "LICENSE",
        "SHA256SUMS",
        "answers.npz",
        "report.html",
        "report.md",
    }
    expected.add(".gitattributes")
    assert {path.name for path in tiny_run.bundle.iterdir()} == {*expected, "variants", "plots"}
    assert {path.stem for path in (tiny_run.bundle / "variants").iterdir()} == set(IDS)
    assert manifest["files"] == {k: v for k, v in list_files(tiny_run.bundle).items() if k != "SHA256SUMS"}
    assert manifest["input"]["shape"] == ["batch", 32, 32, 1]


def test_the_report_has_schema_1(report: dict[str, Any]) -> None:
    told = {
        "run",
        "data",
        "recipe",
        "balance",
        "deployed",
        "models",
        "skipped",
        "stages",
        "training",
        "advice",
        "settings",
        "trials",
        "damages",
        "predicted_ms",
    }
    assert set(report) == {"schema", *told}
    run_keys = {"name", "data", "classes", "n_train", "n_validation", "n_test", "seed", "versions", "host"}
    assert set(report["run"]) == run_keys
    assert [model["id"] for model in report["models"]] == IDS
    model_keys = {
        "id",
        "stage",
        "precision",
        "file",
        "params",
        "nonzero_params",
        "sparsity",
        "macs",
        "layers",
        "size_bytes",
    }
    metrics = {"accuracy", "top5_accuracy", "precision", "recall", "f1"}
    metrics |= {f"{name}_ci95" for name in metrics} | {"n", "auc", "calibration_error", "log_loss", "class_recall"}
    metrics |= {"classes", "confusion", "drop_vs_teacher", "flips_vs_teacher", "vs_teacher", "calibration"}
    latency_keys = {"provider", "threads", "batch", "runs", "p50_ms", "p90_ms", "p99_ms", "throughput_per_s"}
    for model in report["models"]:
        assert set(model) == {*model_keys, "size_zstd_bytes", "test", "validation", "latency", "kernels"}
        as_int8 = any(kernel["is_product"] and kernel["kind"] == "int8" for kernel in model["kernels"]["kinds"])
        assert as_int8 == (model["precision"] == "int8")
        assert set(model["test"]) == set(model["validation"]) == metrics
        assert np.sum(model["validation"]["confusion"]) == report["run"]["n_validation"]
        assert (model["test"]["vs_teacher"] is None) == (model["id"] == "teacher-fp32")
        assert all(set(entry) == latency_keys for entry in model["latency"])
    assert all(set(stage) == {"name", "key", "cached", "seconds", "peak_rss_bytes"} for stage in report["stages"])
    assert list(report["training"]) == ["teacher", "pruned", "student"]
    training_keys = {"name", "precision", "history", "limit", "kept", "warnings"}
    epoch_keys = {"epoch", "learning_rate", "loss", "validation_accuracy", "validation_recall"}
    epoch_keys |= {"validation_cross_entropy"}
    assert [training["name"] for training in report["training"]["pruned"]] == ["step1", "training"]
    for training in (training for trainings in report["training"].values() for training in trainings):
        assert set(training) == training_keys
        assert [epoch["epoch"] for epoch in training["history"]] == list(range(1, len(training["history"]) + 1))
        assert all(set(epoch) == epoch_keys for epoch in training["history"])
    assert {skip["what"] for skip in report["skipped"]} >= {"TensorrtExecutionProvider"} or report["skipped"] == []


def test_the_pruned_models_are_sparse_and_the_others_are_not(report: dict[str, Any]) -> None:
    sparsity = {model["id"]: model["sparsity"] for model in report["models"]}

    assert sparsity["pruned-fp32"] >= 0.8
    assert sparsity["pruned-int8"] >= 0.8
    assert sparsity["teacher-fp32"] < 0.01
    assert sparsity["student-fp32"] < 0.01


def test_all_variants_of_a_network_have_its_weights_and_macs_and_pruned_ones_a_quarter_of_the_macs(
    report: dict[str, Any],
) -> None:
    models = {model["id"]: model for model in report["models"]}

    assert models["pruned-fp32"]["params"] == models["pruned-int8"]["params"] < models["teacher-fp32"]["params"]
    assert models["student-fp32"]["params"] == models["student-int8"]["params"]
    assert models["pruned-fp32"]["macs"] == models["pruned-int8"]["macs"] <= 0.25 * models["teacher-fp32"]["macs"]


def test_zeros_compress(report: dict[str, Any]) -> None:
    models = {model["id"]: model for model in report["models"]}

    ratios = {
        name: models[name]["size_zstd_bytes"] / models[name]["size_bytes"] for name in ("teacher-fp32", "pruned-fp32")
    }
    assert ratios["pruned-fp32"] < 0.6 * ratios["teacher-fp32"]


def test_the_deployed_model_is_the_variant_that_the_report_names(tiny_run: Run, report: dict[str, Any]) -> None:
    variant = tiny_run.bundle / "variants" / f"{report['deployed']}.onnx"

    assert (tiny_run.bundle / "model.onnx").read_bytes() == variant.read_bytes()
    assert ("against the teacher: " in tiny_run.output) == (report["deployed"] != "teacher-fp32")


def test_the_bundles_own_program_classifies_the_test_images_as_the_report_says(
    tiny_run: Run, report: dict[str, Any], tmp_path: Path
) -> None:
    """On image files, in a process without this project."""
    [data] = (tiny_run.folder / ".compress" / "store" / "data").iterdir()
    images, labels = np.load(data / "images.npy")[np.load(data / "test.npy")], np.load(data / "test_labels.npy")
    files = []
    for i, image in enumerate(images):
        files.append(str(tmp_path / f"{i}.png"))
        Image.fromarray(image[..., 0]).save(files[-1])

    result = subprocess.run(
        [sys.executable, str(tiny_run.bundle / "classify.py"), *files],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=True,
    )

    answers = [line.split("\t")[1] for line in result.stdout.splitlines()]
    deployed = next(model for model in report["models"] if model["id"] == report["deployed"])
    correct = sum(answer == str(label) for answer, label in zip(answers, labels, strict=True))
    assert correct / len(labels) == pytest.approx(deployed["test"]["accuracy"], abs=1e-6)


def test_the_bundles_config_names_the_same_run(tiny_run: Run) -> None:
    result = run_compress(tiny_run.folder, "all", "--config", str(tiny_run.bundle / "config.toml"))

    assert "11 stages, 11 of them finished before" in result.stdout, result.stdout + result.stderr


def test_what_each_layer_loses_alone_is_told_written_drawn_and_not_measured_again(tiny_run: Run) -> None:
    first, second = (run_compress(tiny_run.folder, "sensitivity", "--config", str(TINY)) for _ in range(2))

    folder = tiny_run.folder / ".compress" / "sensitivity" / "digits"
    assert first.returncode == second.returncode == 0, first.stderr
    assert first.stdout == second.stdout
    with (folder / "sensitivity.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    layers = {(row["what"], row["layer"]) for row in rows}
    assert {("filters", "block1_conv1"), ("weights", "logits")} <= layers
    assert len(rows) == 4 * len(layers)
    assert all(f" {layer} " in first.stdout for _, layer in layers)
    worst = max(rows, key=lambda row: float(row["points_lost"]))
    assert f"{float(worst['points_lost']):.1f}" in first.stdout
    for what in ("filters", "weights"):
        with Image.open(folder / f"sensitivity_{what}.png") as picture:
            assert picture.size[0] > 500


def test_a_bundle_that_was_deleted_comes_back_without_a_stage_run(tiny_run: Run) -> None:
    before = (tiny_run.bundle / "manifest.json").read_bytes()
    tiny_run.bundle.rename(tiny_run.bundle.with_name("moved-away"))

    result = run_compress(tiny_run.folder, "all", "--config", str(TINY))

    assert "11 of them finished before" in result.stdout
    assert (tiny_run.bundle / "manifest.json").read_bytes() == before


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_run_killed_in_each_training_ends_with_the_same_files(tiny_run: Run, tmp_path: Path) -> None:
    stages = ["teacher", "prune", "distill"]
    kills = [("teacher", "", 0.5), ("prune", "", 0.3), ("prune", "prune: step1: validation", 0.5), ("distill", "", 0.5)]

    log = killed_run(tmp_path, ["--config", str(TINY)], kills, random.Random(0))

    assert [stage for stage in stages if f"{stage}: goes on after epoch" in log] == stages
    assert repeated_stages(log) == []
    assert model_hashes(tmp_path) == model_hashes(tiny_run.folder)
