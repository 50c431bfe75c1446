"""From labelled images to a small, fast, verified image classifier in ONNX."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from compress.bundle.classifier import Classifier as Classifier
    from compress.bundle.classifier import Prediction as Prediction
    from compress.bundle.classifier import load as load
    from compress.runs import Finished as Finished
    from compress.runs import run as run

# ONNX Runtime's official builds send telemetry unless this is set before they are loaded
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

HOMES = {
    "Classifier": "compress.bundle.classifier",
    "Prediction": "compress.bundle.classifier",
    "load": "compress.bundle.classifier",
    "Finished": "compress.runs",
    "run": "compress.runs",
}
__all__ = ["Classifier", "Finished", "Prediction", "load", "run"]


def __getattr__(name: str) -> Any:
    """Import what makes or runs a bundle on first use, so that `--help` does not wait for it."""
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(HOMES[name]), name)
