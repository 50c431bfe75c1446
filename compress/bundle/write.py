"""A bundle's files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from compress.artifacts import Dataset, OnnxModel
from compress.bundle.choice import p50_ms
from compress.bundle.table import comparison_lines
from compress.data.describe import DESCRIPTION
from compress.store import MANIFEST, list_files

TEMPLATE = Path(__file__).parent / "readme.md.jinja"
CLASSES_SHOWN = 40  # in the README


def write_bundle(
    out: Path, report: dict[str, Any], models: Sequence[OnnxModel], data: Dataset, config_toml: str
) -> None:
    """Write model.onnx, variants/, labels.txt, what prepares images, all evidence, and manifest.json last."""
    (out / "variants").mkdir(parents=True)
    for model in models:
        shutil.copyfile(model.file, out / "variants" / f"{model.id}.onnx")
    shutil.copyfile(out / "variants" / f"{report['deployed']}.onnx", out / "model.onnx")
    (out / "labels.txt").write_text("".join(f"{name}\n" for name in data.classes), "utf-8")
    (out / "report.json").write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", "utf-8")
    (out / "config.toml").write_text(config_toml, "utf-8")
    shutil.copyfile(data.folder / DESCRIPTION, out / DESCRIPTION)
    for name, source in programs().items():
        shutil.copyfile(source, out / name)
    (out / "README.md").write_text(readme(report, data), "utf-8")
    classes = len(data.classes)
    manifest = {
        "schema": 1,
        "name": report["run"]["name"],
        "deployed": report["deployed"],
        "input": {"name": "image", "type": "uint8", "shape": ["batch", *data.image_shape], "layout": "NHWC"},
        "outputs": [
            {"name": name, "type": "float32", "shape": ["batch", classes]} for name in ("logits", "probabilities")
        ],
        "image": data.preparation,
        "preparation": "preparation.py: prepare(open_image(bytes), **image)",
        "versions": report["run"]["versions"],
        "seed": report["run"]["seed"],
        "files": list_files(out),
    }
    (out / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")


def programs() -> dict[str, Path]:
    """Return the Python files that a bundle carries, by name."""
    here = Path(__file__).parent
    return {"classify.py": here / "classify.py", "preparation.py": here.parent / "data" / "preparation.py"}


def readme(report: Mapping[str, Any], data: Dataset) -> str:
    """Return the bundle's README: the figures of a report, and how to use the model."""
    rows = {row["id"]: row for row in report["models"]}
    height, width, channels = data.image_shape
    template = TEMPLATE.read_text("utf-8")
    return jinja2.Template(template, keep_trailing_newline=True, undefined=jinja2.StrictUndefined).render(
        report=report,
        rows=report["models"],
        test=rows[report["deployed"]]["test"],
        comparison=comparison_lines(report),
        classes_shown=CLASSES_SHOWN,
        latency_ms={name: p50_ms(row) for name, row in rows.items()},
        height=height,
        width=width,
        channels=channels,
        image=data.preparation,
    )
