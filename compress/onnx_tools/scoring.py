"""The outputs of sessions for many images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from compress.data.images import Images, in_batches
from compress.onnx_tools.signature import INPUT, LOGITS

BATCH = 64


def run(session: Any, images: Images, output: str = LOGITS) -> np.ndarray:
    """Return an output for all images, `(n, classes) float32`; `images` is `(n, height, width, channels) uint8`."""
    return run_all({"": session}, images, output)[""]


def run_all(sessions: Mapping[str, Any], images: Images, output: str) -> dict[str, np.ndarray]:
    """Return for each session, by name, what `run` would return; the images are read only once."""
    parts: dict[str, list[np.ndarray]] = {name: [] for name in sessions}
    for batch in in_batches(images, BATCH):
        for name, session in sessions.items():
            parts[name].append(session.run([output], {INPUT: batch})[0])
    return {name: np.concatenate(part) for name, part in parts.items()}
