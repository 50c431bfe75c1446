"""Models as users name them, ONNX files or bundles: errors name the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from compress.errors import BadInputError, MachineError, first_line
from compress.onnx_tools.providers import CPU
from compress.onnx_tools.sessions import open_session

MODEL = "model.onnx"  # of a bundle


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
    """Return a session as `open_session` does with these options.

    Raises `BadInputError` if onnxruntime does not run the file, and `MachineError` if `provider` is absent or, other
    than the CPU, does not run all of it.
    """
    if provider not in onnxruntime.get_available_providers():
        raise MachineError(f"onnxruntime {onnxruntime.__version__} as installed has no {provider}")
    try:
        return open_session(file, provider=provider, spinning=spinning, **options)
    except Exception as error:  # whatever onnxruntime raises, its own types and others
        if provider != CPU:
            # onnxruntime says the same where the provider's libraries or its device are missing
            raise MachineError(
                f"{file}: {provider} does not run it whole, or cannot start here: {first_line(error)}"
            ) from error
        raise BadInputError(f"{file}: no ONNX model that onnxruntime runs: {first_line(error)}") from error


def first_call(session: Any, file: Path, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Run a model once and return its outputs; raises `BadInputError` if it fails."""
    try:
        return session.run(None, feed)
    except Exception as error:
        fed = ", ".join(f"{name} {value.shape}" for name, value in feed.items())
        raise BadInputError(f"{file}: fails to run on {fed}: {first_line(error)}") from error
