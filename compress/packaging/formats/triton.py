"""NVIDIA Triton's model repository: `NAME/config.pbtxt`, `NAME/labels.txt`, `NAME/1/model.onnx`.

The configuration is a ModelConfig of protobuf/model_config.proto (triton-inference-server/common).
"""

from __future__ import annotations

from pathlib import Path

from compress.bundle.classifier import BATCH
from compress.bundle.contents import LABELS, MODEL
from compress.onnx_tools.signature import INPUT_TYPE, OUTPUT_TYPE, PROBABILITIES
from compress.packaging.source import Source

TYPES = {INPUT_TYPE: "TYPE_UINT8", OUTPUT_TYPE: "TYPE_FP32"}


def write(bundle: Source, out: Path) -> None:
    """Write a repository with one model, which `tritonserver --model-repository=OUT` serves."""
    model = out / bundle.name
    bundle.copy_as(MODEL, model / "1" / MODEL)
    bundle.copy_as(LABELS, model / LABELS)
    bundle.render(
        "config.pbtxt",
        model / "config.pbtxt",
        types=TYPES,
        batch=BATCH,
        labelled=PROBABILITIES,
        labels_file=LABELS,
    )
