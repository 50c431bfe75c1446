"""Models that users name, as ONNX files with their external data, or bundles. Error messages name the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from compress.errors import BadInputError, MachineError, first_line
from compress.files import sha256_file, sha256_json
from compress.onnx_tools.external import external_locations
from compress.onnx_tools.kinds import check_kind
from compress.onnx_tools.providers import CPU
from compress.onnx_tools.sessions import open_session

MODEL = "model.onnx"  # in a bundle


def name_and_file(model: Path) -> tuple[str, Path]:
    """Return the name of an ONNX file or a bundle, and its file.

    Raises `BadInputError` if there is no such file, if it is clearly another kind of file, or like `data_of`.
    """
    name, file = _name_and_path(model)
    data_of(file)
    return name, file


def data_of(file: Path) -> list[str]:
    """Return where a model's external data are, relative to its folder; raises what `external_locations` raises."""
    try:
        model = file.read_bytes()
    except OSError as error:
        raise BadInputError(f"{file}: cannot be read: {error.strerror}") from error
    check_kind(model, str(file))
    return external_locations(model, file)


def size_bytes(file: Path) -> int:
    """Return the size of a model's file and of the files that hold its external data."""
    return sum(path.stat().st_size for path in (file, *(file.parent / location for location in data_of(file))))


def digest(file: Path) -> str:
    """Return a model's sha256: that of its file or, with external data, of the digests of all its files."""
    digests = {location: sha256_file(file.parent / location) for location in data_of(file)}
    return sha256_json({"": sha256_file(file), **digests}) if digests else sha256_file(file)


def _name_and_path(model: Path) -> tuple[str, Path]:
    if model.is_dir():
        if (model / "saved_model.pb").is_file():
            raise BadInputError(f"{model}: is a TensorFlow SavedModel; it should be an ONNX file or a bundle")
        if not (model / MODEL).is_file():
            raise BadInputError(f"{model}: holds no {MODEL}; it should be an ONNX file or a bundle")
        return model.resolve().name, model / MODEL
    if not model.is_file():
        raise BadInputError(f"{model}: no such file; it should be an ONNX file or a bundle")
    return model.stem, model


def open_model(file: Path, *, provider: str, spinning: bool = False, **options: Any) -> Any:
    """Return an `onnxruntime.InferenceSession` of a file; the options are those of `open_session`.

    Raises `BadInputError` if onnxruntime cannot open the file on the CPU or if an input or output is in bfloat16, and
    `MachineError` if `provider` is not installed or, unless it is the CPU, cannot run the whole model.
    """
    if provider not in onnxruntime.get_available_providers():
        raise MachineError(f"onnxruntime {onnxruntime.__version__} as installed has no {provider}")
    try:
        session = open_session(file, provider=provider, spinning=spinning, **options)
    except Exception as error:  # onnxruntime raises types of its own and others
        if provider != CPU:
            # onnxruntime raises the same error if the provider's libraries or its device are missing
            raise MachineError(
                f"{file}: {provider} cannot run all of it, or cannot start here: {first_line(error)}"
            ) from error
        why = (
            "has values in bfloat16, which is not supported here"
            if _has_bfloat16(file)
            else "not an ONNX model that onnxruntime can run"
        )
        raise BadInputError(f"{file}: {why}: {first_line(error)}") from error
    for value in (*session.get_inputs(), *session.get_outputs()):
        if "bfloat16" in value.type:  # NumPy has no such type
            raise BadInputError(f"{file}: {value.name} is bfloat16, which is not supported here")
    return session


def _has_bfloat16(file: Path) -> bool:
    from compress.onnx_tools.check import has_bfloat16, parse

    try:
        return has_bfloat16(parse(file.read_bytes(), str(file)))
    except BadInputError:
        return False


def first_call(session: Any, file: Path, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Run a model once and return its outputs; raises `BadInputError` if it fails."""
    try:
        return session.run(None, feed)
    except Exception as error:
        inputs = ", ".join(f"{name} {value.shape}" for name, value in feed.items())
        raise BadInputError(f"{file}: fails to run on {inputs}: {first_line(error)}") from error
