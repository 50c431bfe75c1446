"""Running ONNX files. External data and custom operators are never loaded: the bytes of one file are all there is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from compress.artifacts import CPU
from compress.data.images import Images, in_batches

BATCH = 64


def open_session(file: Path, *, threads: int = 0, provider: str = CPU, spinning: bool = True) -> Any:
    """Return an `onnxruntime.InferenceSession` that runs every node on `provider`.

    `threads` 0 means one for each core. On another provider than the CPU, a model of which a node would fall back to
    the CPU raises onnxruntime's error instead of running half there. Without `spinning`, idle threads sleep, so that
    several sessions of one process do not disturb each other.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if spinning else "0")
    if provider != CPU:
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    return onnxruntime.InferenceSession(file.read_bytes(), options, providers=[provider])


def run(session: Any, images: Images, output: str = "logits") -> np.ndarray:
    """Return an output of all images, `(n, classes) float32`; `images` is `(n, height, width, channels) uint8`."""
    return run_all({"": session}, images, output)[""]


def run_all(sessions: Mapping[str, Any], images: Images, output: str) -> dict[str, np.ndarray]:
    """Return what `run` does for each of several sessions, by name; the images are read once."""
    parts: dict[str, list[np.ndarray]] = {name: [] for name in sessions}
    for batch in in_batches(images, BATCH):
        for name, session in sessions.items():
            parts[name].append(session.run([output], {"image": batch})[0])
    return {name: np.concatenate(part) for name, part in parts.items()}
