"""sbom.cdx.json: the bill of materials of a bundle and of the tools that made it, in CycloneDX 1.6 (ECMA-424, 2024)."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from compress.bundle.contents import MODEL
from compress.bundle.manifest import distribution_of
from compress.report.schema import Metrics, Report

SBOM = "sbom.cdx.json"
RUNTIME = ("numpy", "onnxruntime", "pillow")  # what classify.py imports; the others were needed to make the model


def sbom(report: Report, manifest: Mapping[str, Any], files: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the bill of materials as JSON. It has no date, so that the same bundle gives the same text."""
    digest = files[MODEL]["sha256"]
    libraries = {name: version for name, version in manifest["versions"].items() if name != "python"}
    runtime = [distribution_of(name, libraries) for name in RUNTIME]
    needed = [_library(name, libraries[name]) for name in runtime if name in libraries]
    model = {
        "type": "machine-learning-model",
        "bom-ref": "model",
        "name": report.run.name,
        "version": digest[:12],
        "description": f"{report.deployed}: image classifier of {len(report.run.classes)} classes",
        "hashes": [{"alg": "SHA-256", "content": digest}],
        **({"licenses": [{"expression": manifest["license"]}]} if manifest["license"] else {}),
        "modelCard": {
            "modelParameters": {
                "approach": {"type": "supervised"},
                "task": "image-classification",
                "architectureFamily": "convolutional neural network",
                "datasets": [{"ref": "data"}],
                "inputs": [{"format": f"{manifest['input']['type']} {manifest['input']['layout']} image"}],
                "outputs": [{"format": f"{output['type']} {output['name']}"} for output in manifest["outputs"]],
            },
            "quantitativeAnalysis": {"performanceMetrics": _metrics(report.deployed_model.test)},
        },
    }
    data = {
        "type": "data",
        "bom-ref": "data",
        "name": manifest["data"]["name"],
        "hashes": [{"alg": "SHA-256", "content": manifest["data"]["sha256"]}],
        "data": [{"type": "dataset", "name": manifest["data"]["name"]}],
    }
    bom = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, digest)}",
        "version": 1,
        "metadata": {
            "component": model,
            "tools": {"components": [_library(name, version, "tool-") for name, version in libraries.items()]},
        },
        "components": [data, *needed],
        "dependencies": [{"ref": "model", "dependsOn": [part["bom-ref"] for part in (data, *needed)]}],
    }
    return json.dumps(bom, indent=2, ensure_ascii=False) + "\n"


def _metrics(test: Metrics) -> list[dict[str, Any]]:
    low, high = test.accuracy_ci95
    interval = {"lowerBound": str(low), "upperBound": str(high)}
    return [
        {"type": "accuracy", "value": str(test.accuracy), "slice": "test", "confidenceInterval": interval},
        {"type": "macro F1", "value": str(test.f1), "slice": "test"},
    ]


def _library(name: str, version: str, prefix: str = "") -> dict[str, Any]:
    purl = f"pkg:pypi/{name.lower().replace('_', '-')}@{quote(version, safe='')}"  # package-url, type pypi
    return {"type": "library", "bom-ref": f"{prefix}{purl}", "name": name, "version": version, "purl": purl}
