from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from compress.bundle.manifest import read_manifest
from compress.bundle.sbom import sbom
from compress.report.file import read
from tests.conftest import Run


@pytest.fixture
def bom(tiny_run: Run) -> dict[str, Any]:
    return json.loads((tiny_run.bundle / "sbom.cdx.json").read_bytes())


@pytest.mark.parametrize("license_id", ["", "MIT"])
def test_it_is_what_cyclonedx_asks_for(license_id: str, tiny_run: Run) -> None:
    report, manifest = read(tiny_run.bundle / "report.json"), read_manifest(tiny_run.bundle)

    text = sbom(report, {**manifest, "license": license_id}, manifest["files"])

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert ("MIT" in text) == bool(license_id)


def test_it_names_the_model_and_what_runs_it(bom: dict[str, Any], tiny_run: Run) -> None:
    model = bom["metadata"]["component"]
    assert model["type"] == "machine-learning-model"
    digest = hashlib.sha256((tiny_run.bundle / "model.onnx").read_bytes()).hexdigest()
    assert model["hashes"] == [{"alg": "SHA-256", "content": digest}]
    assert {"numpy", "onnxruntime", "pillow"} < {part["name"] for part in bom["components"]}


def test_another_build_of_onnxruntime_is_what_runs_it(tiny_run: Run) -> None:
    report, manifest = read(tiny_run.bundle / "report.json"), read_manifest(tiny_run.bundle)
    version = manifest["versions"]["onnxruntime-gpu"] = manifest["versions"].pop("onnxruntime")

    bom = json.loads(sbom(report, manifest, manifest["files"]))

    assert f"pkg:pypi/onnxruntime-gpu@{version}" in {part.get("purl") for part in bom["components"]}


def test_what_depends_and_what_it_depends_on_are_there(bom: dict[str, Any]) -> None:
    there = {part["bom-ref"] for part in (bom["metadata"]["component"], *bom["components"])}

    [dependency] = bom["dependencies"]
    assert {dependency["ref"], *dependency["dependsOn"]} == there


def test_package_urls_are_canonical(bom: dict[str, Any]) -> None:
    urls = [part["purl"] for part in (*bom["components"], *bom["metadata"]["tools"]["components"]) if "purl" in part]

    assert any("tensorflow-model-optimization" in url for url in urls)
    assert [PackageURL.from_string(url).to_string() for url in urls] == urls
