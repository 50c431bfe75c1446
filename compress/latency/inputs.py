"""Inputs for any ONNX model: shapes as its file states them, values at random."""

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
    """Return `{input: (type, shape)}`; a free first dimension becomes `batch`, every other free dimension 1."""
    return {
        value.name: (
            value.type.removeprefix("tensor(").removesuffix(")"),
            tuple(n if isinstance(n, int) else 1 if i else batch for i, n in enumerate(value.shape)),
        )
        for value in session.get_inputs()
    }


def feed_for(session: Any, file: Path, batch: int = 1) -> dict[str, np.ndarray]:
    """Return a value for each input: uniform uint8, normally distributed floats, zeros (valid as indices) otherwise.

    Raises `BadInputError` if an input is not a tensor of numbers or is too large.
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
