"""From labelled images to a small, fast, verified image classifier in ONNX."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from compress.bundle.classifier import Classifier as Classifier
    from compress.bundle.classifier import Prediction as Prediction
    from compress.bundle.classifier import load as load

# ONNX Runtime's official builds send telemetry unless this is set before they are loaded
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__all__ = ["Classifier", "Prediction", "load"]


def __getattr__(name: str) -> Any:
    """Import what runs a bundle on first use, so that `--help` does not wait for it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from compress.bundle import classifier

    return getattr(classifier, name)
