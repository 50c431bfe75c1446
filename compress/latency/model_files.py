"""Models that users name, as ONNX files or bundles. Error messages name the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from compress.errors import BadInputError, MachineError, first_line
from compress.onnx_tools.providers import CPU
from compress.onnx_tools.sessions import open_session

MODEL = "model.onnx"  # in a bundle


def name_and_file(model: Path) -> tuple[str, Path]:
    """Return the name of an ONNX file or a bundle, and its file; raises `BadInputError` if there is no such file."""
    if model.is_dir():
        if not (model / MODEL).is_file():
            raise BadInputError(f"{model}: holds no {MODEL}; it should be an ONNX file or a bundle")
        return model.resolve().name, model / MODEL
    if not model.is_file():
        raise BadInputError(f"{model}: no such file; it should be an ONNX file or a bundle")
    return model.stem, model


def open_model(file: Path, *, provider: str, spinning: bool = False, **options: Any) -> Any:
    """Return an `onnxruntime.InferenceSession` of a file; the options are those of `open_session`.

    Raises `BadInputError` if onnxruntime cannot open the file on the CPU, and `MachineError` if `provider` is not
    installed or, unless it is the CPU, cannot run the whole model.
    """
    if provider not in onnxruntime.get_available_providers():
        raise MachineError(f"onnxruntime {onnxruntime.__version__} as installed has no {provider}")
    try:
        return open_session(file, provider=provider, spinning=spinning, **options)
    except Exception as error:  # onnxruntime raises types of its own and others
        if provider != CPU:
            # onnxruntime raises the same error if the provider's libraries or its device are missing
            raise MachineError(
                f"{file}: {provider} cannot run all of it, or cannot start here: {first_line(error)}"
            ) from error
        raise BadInputError(f"{file}: not an ONNX model that onnxruntime can run: {first_line(error)}") from error


def first_call(session: Any, file: Path, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Run a model once and return its outputs; raises `BadInputError` if it fails."""
    try:
        return session.run(None, feed)
    except Exception as error:
        inputs = ", ".join(f"{name} {value.shape}" for name, value in feed.items())
        raise BadInputError(f"{file}: fails to run on {inputs}: {first_line(error)}") from error
