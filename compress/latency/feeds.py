"""What to feed to an ONNX model of which nothing is known but the file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from compress.errors import BadInputError, MachineError, first_line
from compress.onnx_tools.providers import CPU
from compress.onnx_tools.sessions import open_session

LARGEST_INPUT = 1 << 30  # values; a file may state any size
TYPES = {"float": np.float32, "double": np.float64} | {
    name: np.dtype(name).type
    for name in ("float16", "bool", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)))
}


def open_model(file: Path, *, provider: str, spinning: bool = False, **options: Any) -> Any:
    """Return a session as `open_session` does with these options.

    Raises `BadInputError` where the file is no model that onnxruntime runs, and `MachineError` where `provider` is
    absent or, other than the CPU, does not run all of it.
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


def shapes(session: Any, batch: int = 1) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return `{input: (type, shape)}`; a free first dimension is `batch`, any other free one is 1."""
    return {
        value.name: (
            value.type.removeprefix("tensor(").removesuffix(")"),
            tuple(n if isinstance(n, int) else 1 if i else batch for i, n in enumerate(value.shape)),
        )
        for value in session.get_inputs()
    }


def feed_for(session: Any, file: Path, batch: int = 1) -> dict[str, np.ndarray]:
    """Return random inputs: bytes of any value, normal floats, and otherwise zeros, which are valid as indices.

    Raises `BadInputError` for an input that is no tensor of numbers, or too large.
    """
    random, feed = np.random.default_rng(0), {}
    for name, (kind, shape) in shapes(session, batch).items():
        if kind not in TYPES:
            raise BadInputError(f"{file}: input {name} is {kind}; it should be a tensor of numbers")
        if math.prod(shape) > LARGEST_INPUT:
            raise BadInputError(f"{file}: input {name} is {shape}; it should have at most {LARGEST_INPUT:,} values")
        dtype = np.dtype(TYPES[kind])
        if dtype == np.uint8:
            feed[name] = random.integers(0, 256, shape, np.uint8)
        elif dtype.kind == "f":
            feed[name] = random.standard_normal(shape, np.float32).astype(dtype)
        else:
            feed[name] = np.zeros(shape, dtype)
    return feed


def first_call(session: Any, file: Path, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Run a model once and return its outputs; raises `BadInputError` where it fails."""
    try:
        return session.run(None, feed)
    except Exception as error:
        fed = ", ".join(f"{name} {value.shape}" for name, value in feed.items())
        raise BadInputError(f"{file}: fails to run on {fed}: {first_line(error)}") from error
