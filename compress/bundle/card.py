"""The texts in a bundle for people to read: README.md, which is the model card, and LICENSE."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compress.artifacts import Dataset
from compress.bundle.golden import Golden
from compress.bundle.hub_licenses import hub_license
from compress.data.decoding import LOWEST_PILLOW
from compress.quantization.targets import TARGETS
from compress.report.schema import Report
from compress.report.table import comparison_lines
from compress.templates import render

HERE = Path(__file__).parent
TEMPLATES = {name: HERE / f"{name}.jinja" for name in ("readme.md", "license")}
CLASSES_SHOWN = 40  # in the README


def readme(
    report: Report,
    data: Dataset,
    manifest: Mapping[str, Any],
    golden: Golden = "images",
    has_teacher: bool = False,
) -> str:
    """Return the model card, in the format of model hubs: the report's figures, and how to use the model."""
    height, width, channels = data.image_shape
    return render(
        TEMPLATES["readme.md"],
        report=report,
        manifest=manifest,
        golden=golden,
        has_teacher=has_teacher,
        lowest_pillow=LOWEST_PILLOW,
        hub_license=hub_license(manifest["license"]),
        test=report.deployed_model.test,
        comparison=comparison_lines(report),
        classes_shown=CLASSES_SHOWN,
        height=height,
        width=width,
        channels=channels,
        image=data.preparation,
        target=TARGETS.get(manifest.get("quantized_for") or ""),
    )


def license_text(report: Report, license_id: str) -> str:
    """Return the text of LICENSE: the model's licence (an empty `license_id` reserves all rights) and the programs'."""
    return render(TEMPLATES["license"], report=report, license_id=license_id)
