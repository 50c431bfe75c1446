"""What to feed to an ONNX model of which nothing is known but the file: which shapes, and which values."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from compress.errors import BadInputError

LARGEST_INPUT = 1 << 30  # values; a file may state any size
TYPES = {"float": np.float32, "double": np.float64} | {
    name: np.dtype(name).type
    for name in ("float16", "bool", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)))
}


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

    Raises `BadInputError` for an input that is not a tensor of numbers, or too large.
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
