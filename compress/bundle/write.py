"""Writing the files of a bundle."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx

from compress.artifacts import Dataset, OnnxModel
from compress.bundle.card import license_text, readme
from compress.bundle.contents import GIT_ATTRIBUTES, GOLDEN, LABELS, MANIFEST, MODEL, SUMS, TEACHER, sums
from compress.bundle.golden import Golden, noise, write_golden
from compress.bundle.manifest import CLASS_NAMES, INPUT_SIZE, RESIZE, SCHEMA, SEAL, manifest_text, seal
from compress.bundle.sbom import SBOM, sbom
from compress.context import Context
from compress.data.decoding import LOWEST_PILLOW
from compress.data.describe import DESCRIPTION, description_of, description_text
from compress.data.images import images_of
from compress.files import list_files, sha256_file
from compress.onnx_tools.check import check_deployable, lowest_onnxruntime
from compress.onnx_tools.signature import BATCH_DIMENSION, INPUT, INPUT_TYPE, LAYOUT, OUTPUT_TYPE, OUTPUTS
from compress.report.file import FILE as REPORT
from compress.report.file import to_text as report_text
from compress.report.schema import Report, Run


def write_models(
    out: Path,
    models: Sequence[OnnxModel],
    deployed: str,
    run: Run,
    data: Dataset,
    license_id: str,
    golden: Golden,
    context: Context,
) -> dict[str, Any]:
    """Write model.onnx, variants/ and, unless `golden` is none, golden.npz; return the manifest, still without `files`.

    Each model is sealed with a digest of the manifest. `deployed` is the id of the model that becomes model.onnx.
    Raises `BadInputError` if a model cannot be deployed everywhere, see `check_deployable`.
    """
    (out / "variants").mkdir(parents=True)
    parsed = {model.id: check_deployable(model.file.read_bytes(), model.id) for model in models}
    target = next((model.target for model in models if model.target), None)
    manifest = {**_manifest(run, parsed[deployed], data, license_id, context), "quantized_for": target}
    for name, model in parsed.items():
        (out / "variants" / f"{name}.onnx").write_bytes(_with_metadata(model, manifest, data))
    shutil.copyfile(out / "variants" / f"{deployed}.onnx", out / MODEL)
    precision = next(model.precision for model in models if model.id == deployed)
    if golden != "none":
        images = images_of(data, "validation") if golden == "images" else noise(data.image_shape)
        write_golden(out / GOLDEN, (out / MODEL).read_bytes(), precision, images)
    return manifest | {"deployed": deployed}


def write_texts(
    out: Path,
    report: Report,
    manifest: Mapping[str, Any],
    data: Dataset,
    description: Mapping[str, Any],
    golden: Golden,
    config_toml: str,
) -> None:
    """Write the other files: programs, labels, texts, evidence, and last manifest.json and SHA256SUMS."""
    for name, source in programs().items():
        shutil.copyfile(source, out / name)
    texts = {
        GIT_ATTRIBUTES: "* -text\n",  # a clone has the same bytes on every system
        DESCRIPTION: description_text(description),
        LABELS: "".join(f"{name}\n" for name in data.classes),
        REPORT: report_text(report),
        "config.toml": config_toml,
        "README.md": readme(report, data, manifest, golden, (out / TEACHER).exists()),
        "LICENSE": license_text(report, manifest["license"]),
    }
    for name, text in texts.items():
        (out / name).write_bytes(text.encode())
    (out / SBOM).write_bytes(sbom(report, manifest, list_files(out)).encode())
    whole = {**manifest, "files": list_files(out)}
    (out / MANIFEST).write_bytes(manifest_text(whole).encode())
    digests = {name: file["sha256"] for name, file in whole["files"].items()}
    (out / SUMS).write_bytes(sums(digests | {MANIFEST: sha256_file(out / MANIFEST)}).encode())


def _manifest(run: Run, deployed: onnx.ModelProto, data: Dataset, license_id: str, context: Context) -> dict[str, Any]:
    """Return the manifest without `deployed` and `files`, the part that every model in the bundle is sealed with."""
    outputs = [{"name": name, "type": OUTPUT_TYPE, "shape": [BATCH_DIMENSION, len(data.classes)]} for name in OUTPUTS]
    return {
        "schema": SCHEMA,
        "name": run.name,
        "license": license_id,
        "input": {
            "name": INPUT,
            "type": INPUT_TYPE,
            "shape": [BATCH_DIMENSION, *data.image_shape],
            "layout": LAYOUT,
        },
        "outputs": outputs,
        "image": data.preparation,
        "opset": deployed.opset_import[0].version,
        "ir_version": deployed.ir_version,
        "onnxruntime": lowest_onnxruntime(deployed),
        "pillow": LOWEST_PILLOW,
        "versions": run.versions,
        "seed": run.seed,
        "data": {"name": data.name, "sha256": description_of(data)["sha256"]},
        "parents": {record.name: record.key for record in context.finished},
        "machine": run.host.model_dump(),
    }


def _with_metadata(model: onnx.ModelProto, manifest: Mapping[str, Any], data: Dataset) -> bytes:
    """Return the bytes of a model whose metadata hold its class names and how images are prepared."""
    height, width, channels = data.image_shape
    properties = {
        CLASS_NAMES: json.dumps(data.classes, ensure_ascii=False),
        INPUT_SIZE: json.dumps([height, width, channels]),
        RESIZE: json.dumps(data.preparation),
        SEAL: seal(dict(manifest)),
    }
    onnx.helper.set_model_props(model, properties)
    return model.SerializeToString(deterministic=True)


def programs() -> dict[str, Path]:
    """Return `{name: path}` of the Python files that are copied into a bundle."""
    here = Path(__file__).parent
    shared = {name: here.parent / "data" / name for name in ("decoding.py", "preparation.py")}
    return {"classify.py": here / "classify.py", **shared}
