from __future__ import annotations

import json
from pathlib import Path

import pytest

from compress.bundle.manifest import read_manifest
from compress.errors import BadInputError
from compress.packaging.formats.mlflow import write
from compress.packaging.package import package
from compress.packaging.source import Source
from tests.conftest import Run
from tests.test_templates import LABELS


def test_the_signature_is_the_models(tiny_run: Run, tmp_path: Path) -> None:
    out = package(tiny_run.bundle, "mlflow", tmp_path / "model")

    lines = dict(line.strip().split(": ", 1) for line in (out / "MLmodel").read_text().splitlines() if ": " in line)
    [image] = json.loads(json.loads(lines["inputs"]))
    outputs = json.loads(json.loads(lines["outputs"]))
    tensor = {"dtype": "uint8", "shape": [-1, 32, 32, 1]}
    assert image == {"name": "image", "type": "tensor", "tensor-spec": tensor}
    assert [output["name"] for output in outputs] == ["logits", "probabilities"]
    assert [output["tensor-spec"] for output in outputs] == [{"dtype": "float32", "shape": [-1, 10]}] * 2
    assert lines["loader_module"] == "mlflow.onnx"
    assert (out / lines["data"]).read_bytes() == (tiny_run.bundle / "model.onnx").read_bytes()
    assert (out / lines["conda"]).is_file()
    assert (out / lines["virtualenv"]).is_file()


def test_the_environment_has_the_versions_that_were_measured(tiny_run: Run, tmp_path: Path) -> None:
    out = package(tiny_run.bundle, "mlflow", tmp_path / "model")

    versions = read_manifest(tiny_run.bundle)["versions"]
    pinned = {f"{name}=={versions[name]}" for name in ("numpy", "onnx", "onnxruntime")}
    assert pinned < set((out / "requirements.txt").read_text().splitlines())
    assert all(f"  - {requirement}" in (out / "conda.yaml").read_text() for requirement in pinned)


def test_the_environment_has_the_build_of_onnxruntime_that_was_measured(tiny_run: Run, tmp_path: Path) -> None:
    manifest = read_manifest(tiny_run.bundle)
    del manifest["versions"]["onnxruntime"]
    manifest["versions"]["onnxruntime-gpu"] = "1.31.1"

    write(Source(tiny_run.bundle, manifest, ()), tmp_path)

    assert "onnxruntime-gpu==1.31.1" in (tmp_path / "requirements.txt").read_text().splitlines()


def test_a_bundle_of_an_earlier_release_has_its_preparation_in_one_file(tiny_run: Run, tmp_path: Path) -> None:
    manifest = read_manifest(tiny_run.bundle)
    del manifest["files"]["decoding.py"]

    write(Source(tiny_run.bundle, manifest, ()), tmp_path)

    assert (tmp_path / "preparation.py").is_file()
    assert not (tmp_path / "decoding.py").exists()


def test_labels_of_any_characters_stay_the_same(tiny_run: Run, tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")  # which MLflow reads its files with

    write(Source(tiny_run.bundle, read_manifest(tiny_run.bundle), tuple(LABELS)), tmp_path)

    model = yaml.safe_load((tmp_path / "MLmodel").read_text("ascii"))
    assert model["metadata"]["labels"] == LABELS
    assert json.loads(model["signature"]["inputs"])[0]["tensor-spec"]["shape"] == [-1, 32, 32, 1]
    assert isinstance(model["model_uuid"], str)
    assert yaml.safe_load((tmp_path / "conda.yaml").read_text())["name"] == "digits"


def test_a_manifest_without_a_version_is_refused(tiny_run: Run, tmp_path: Path) -> None:
    manifest = read_manifest(tiny_run.bundle)
    del manifest["versions"]["onnx"]

    with pytest.raises(BadInputError, match="versions: has no onnx"):
        write(Source(tiny_run.bundle, manifest, ()), tmp_path)
