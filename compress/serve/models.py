"""The models of a server: bundles, checked and loaded, with their descriptions in the protocol's terms."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from compress.bundle.classifier import Classifier, load
from compress.bundle.contents import LABELS, MODEL
from compress.bundle.verify import check_files
from compress.errors import BadInputError
from compress.onnx_tools.signature import INPUT, LOGITS, OUTPUTS, PROBABILITIES
from compress.serve.batching import Batcher
from compress.serve.limits import Limits
from compress.serve.metrics import Metrics
from compress.serve.protocol import VERSION

NAME = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
PLATFORM = "onnxruntime_onnx"  # as Triton calls it


@dataclass(frozen=True)
class Model:
    """A bundle that is served."""

    classifier: Classifier
    batcher: Batcher
    limits: Limits

    def metadata(self) -> dict[str, Any]:
        """Return the protocol's model metadata."""
        shape, classes = self.classifier.input_shape, len(self.classifier.labels)
        return {
            "name": self.classifier.name,
            "versions": [VERSION],
            "platform": PLATFORM,
            "inputs": [{"name": INPUT, "datatype": "UINT8", "shape": [-1, *shape]}],
            "outputs": [{"name": name, "datatype": "FP32", "shape": [-1, classes]} for name in OUTPUTS],
        }

    def config(self) -> dict[str, Any]:
        """Return the model's configuration in Triton's format (model_config.proto)."""
        shape, classes = self.classifier.input_shape, len(self.classifier.labels)
        return {
            "name": self.classifier.name,
            "platform": PLATFORM,
            "backend": "onnxruntime",
            "default_model_filename": MODEL,
            "max_batch_size": self.limits.batch,
            "input": [{"name": INPUT, "data_type": "TYPE_UINT8", "dims": list(shape)}],
            "output": [
                {"name": LOGITS, "data_type": "TYPE_FP32", "dims": [classes]},
                {"name": PROBABILITIES, "data_type": "TYPE_FP32", "dims": [classes], "label_filename": LABELS},
            ],
            "dynamic_batching": {"max_queue_delay_microseconds": 0},
        }


def load_models(
    bundles: Sequence[Path], threads: int, limits: Limits, metrics: Metrics, names: Sequence[str] = ()
) -> dict[str, Model]:
    """Return the models of bundles by name, after comparing the hash of every file.

    `names` take the place of the bundles' own, one for each, if there are any. Raises `BadInputError` if a folder is
    not a bundle or is damaged, if a name cannot stand in a URL, or if two bundles have the same name.
    """
    if names and len(names) != len(bundles):
        raise BadInputError(f"--name: is given {len(names)} times; should be given for each of {len(bundles)} bundles")
    for name in names:
        if not NAME.fullmatch(name):
            raise BadInputError(f"--name {name!r:.110}: should be letters, digits, '.', '_' and '-', 100 at most")
    models: dict[str, Model] = {}
    for folder, other_name in zip(bundles, names or [""] * len(bundles), strict=True):
        check_files(folder)
        classifier = load(folder, threads=threads, spinning=False)
        name = other_name or classifier.name
        if name in models:
            raise BadInputError(
                f"{folder}: is named {name}, like another bundle; each should have its own name: give --name for each"
            )
        classifier = replace(classifier, name=name)
        classifier.run(np.zeros((1, *classifier.input_shape), np.uint8))  # the first run is slow
        batcher = Batcher(partial(_run, classifier.session), limits, metrics.of_model(name))
        models[name] = Model(classifier, batcher, limits)
    return models


def _run(session: Any, names: Sequence[str], pixels: np.ndarray) -> list[np.ndarray]:
    return session.run(names, {INPUT: pixels})
