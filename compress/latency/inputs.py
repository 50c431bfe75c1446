"""What an ONNX model is fed: shapes as its file or the user states them, values of the user's or at random.

Only the batch is chosen here. Whatever else a file leaves open is asked for: a guess would be measured in silence.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from compress.errors import BadInputError
from compress.latency.given import NOTHING, Given, Shape

LARGEST_INPUT = 1 << 30  # values; a file may state any size
TYPES = {"float": np.float32, "double": np.float64} | {
    name: np.dtype(name).type
    for name in ("float16", "bool", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)))
}
# Types of images, raw or quantized, and their values, the last not included: they are fed noise if of two dimensions
PIXELS = {"uint8": (0, 256), "int8": (-128, 128)}
CHANNELS = (3, 4)  # of a color image, without and with transparency
SUCH_AS = 224  # in the examples of error messages, for a dimension that a file leaves open


def free_batch(session: Any, given: Given = NOTHING) -> bool:
    """Return whether the first dimension of all inputs is one free dimension, which `check_batch` then tries.

    It is the same symbol everywhere or has no name, and stands nowhere else in an input.
    """
    inputs = [_dimensions(value, given) for value in session.get_inputs()]
    firsts = {shape[0] if shape else 0 for shape in inputs}
    others = {size for shape in inputs for size in shape[1:]} - {None}
    return len(firsts) == 1 and not any(isinstance(size, int) for size in firsts) and firsts.isdisjoint(others)


def is_swept(session: Any, given: Given = NOTHING) -> bool:
    """Return whether a model can be fed any batch: it is free, and what the user states is for a batch of 1."""
    names = [value.name for value in session.get_inputs()]
    stated = [shape for name, shape in given.shapes.items() if name in names]
    return free_batch(session, given) and not given.arrays(names) and all(tuple(shape[:1]) == (1,) for shape in stated)


def feed_for(session: Any, file: Path, batch: int = 1, given: Given = NOTHING) -> dict[str, np.ndarray]:
    """Return a value for each input: the user's, or uniform pixels, or normally distributed floats.

    A batch that is free becomes `batch`. Raises `BadInputError` if an input is not a tensor of numbers or is too large,
    if its shape or its integers are not known, or if what the user states does not fit.
    """
    arrays = given.arrays([value.name for value in session.get_inputs()])
    random, feed = np.random.default_rng(0), {}
    for name, (kind, shape) in shapes(session, file, batch, given).items():
        dtype = np.dtype(TYPES[kind])
        if name in arrays:
            feed[name] = arrays[name]
        elif kind in PIXELS and len(shape) > 1:
            feed[name] = random.integers(*PIXELS[kind], shape, dtype)
        elif dtype.kind == "f":
            feed[name] = random.standard_normal(shape, np.float32).astype(dtype)
        else:
            raise unknown_values(file, name, f"is {kind} {shape}, whose values may decide how much is computed")
    return feed


def shapes(session: Any, file: Path, batch: int = 1, given: Given = NOTHING) -> dict[str, tuple[str, Shape]]:
    """Return `{input: (type, shape)}` of what a model is fed; a symbol has the same size in all inputs.

    Raises what `feed_for` raises.
    """
    inputs = {value.name: (_type(value), _dimensions(value, given)) for value in session.get_inputs()}
    for name, (kind, _) in inputs.items():
        if kind not in TYPES:
            raise BadInputError(f"{file}: input {name} is {kind}; it should be a tensor of numbers")
    stated = _stated(file, inputs, given)
    if is_swept(session, given):
        stated = {name: (batch, *shape[1:]) for name, shape in stated.items()}
    sizes = _sizes(file, inputs, stated)
    first = next((shape[0] for shape in stated.values() if shape), batch) if free_batch(session, given) else None
    found = {}
    for name, (kind, dimensions) in inputs.items():
        known = [size if isinstance(size, int) else sizes.get(size) for size in dimensions]
        if first and known:
            known[0] = first
        shape = stated.get(name) or tuple(size for size in known if size)
        if name not in stated and len(shape) < len(known):
            raise unknown_shape(file, name, kind, dimensions)
        if math.prod(shape) > LARGEST_INPUT:
            raise BadInputError(f"{file}: input {name} is {shape}; it should have at most {LARGEST_INPUT:,} values")
        found[name] = (kind, shape)
    return found


def follows(outputs: Sequence[Any], batch: int) -> bool:
    """Return whether the first dimension of every output of a run is its batch; of a sequence, the length counts."""
    return all(len(output) == batch if isinstance(output, list) or np.ndim(output) else False for output in outputs)


def fixed_batch(feed: Mapping[str, np.ndarray], outputs: Sequence[Any]) -> int:
    """Return the batch of a run: the first dimension of all inputs, if all outputs follow it, otherwise 1.

    Three dimensions of which the first is 3 or 4 are an image, channels first, and not a batch.
    """
    firsts = {value.shape[0] if value.ndim else 1 for value in feed.values()}
    batch = min(firsts, default=1)
    image = any(value.ndim == 3 and value.shape[0] in CHANNELS for value in feed.values())
    return batch if len(firsts) == 1 and not image and follows(outputs, batch) else 1


def check_batch(session: Any, file: Path, given: Given = NOTHING) -> None:
    """Raise `BadInputError` if a first dimension is free but is no batch: some output does not follow it.

    Nothing is run if the file gives the dimension one name in inputs and outputs. A batch of 2 may fail: some networks
    are made for 1.
    """
    inputs, outputs = session.get_inputs(), session.get_outputs()
    names = {value.shape[0] if value.shape else None for value in [*inputs, *outputs]}
    known = len(names) == 1 and None not in names
    if known or not free_batch(session, given) or not given.names().isdisjoint(value.name for value in inputs):
        return
    for batch in (1, 2):
        feed = feed_for(session, file, batch, given)
        try:
            found = session.run(None, feed)
        except Exception:  # onnxruntime raises types of its own and others
            return
        if not follows(found, batch):
            why = "outputs do not follow its first dimension, which is no batch"
            raise unknown_shape(file, inputs[0].name, _type(inputs[0]), inputs[0].shape, why)


def describe(fed: Mapping[str, Sequence[int]]) -> str:
    """Return shapes by input as text, such as `image 1x8x8x1`."""
    return ", ".join(f"{name} {'x'.join(map(str, shape)) or 'scalar'}" for name, shape in fed.items())


def unknown_shape(
    file: Path, name: str, kind: str, dimensions: Sequence[int | str | None], why: str = ""
) -> BadInputError:
    """Return the error that asks for the shape of an input of a type and dimensions, 0 or not a number if unknown."""
    numbers = [size if isinstance(size, int) and size else SUCH_AS if i else 1 for i, size in enumerate(dimensions)]
    such_as = "x".join(map(str, numbers)) or "1x3x224x224"
    if not why:
        why = "a dimension of 0 holds nothing to measure" if 0 in dimensions else "not all dimensions are known"
    return BadInputError(
        f"{file}: input {name} is {kind} {_text(dimensions)}: {why}; should be given, such as "
        f"--shape {name}={such_as}, or by --inputs FILE.npz"
    )


def unknown_values(file: Path, name: str, why: str) -> BadInputError:
    """Return the error that asks for the values of an input."""
    return BadInputError(f"{file}: input {name} {why}; should be given by --inputs FILE.npz, with an array {name}")


def _dimensions(value: Any, given: Given) -> Sequence[int | str | None]:
    """Return an input's dimensions, those that are free as another model fixes them; none if its shape is unknown."""
    fixed = given.fixed.get(value.name, ())
    own = value.shape or [None] * len(fixed)
    if len(own) != len(fixed):
        return own
    return [size if isinstance(size, int) else known or size for size, known in zip(own, fixed, strict=True)]


def _type(value: Any) -> str:
    return value.type.removeprefix("tensor(").removesuffix(")")


def _text(dimensions: Sequence[int | str | None]) -> str:
    return f"({', '.join('?' if size is None else str(size) for size in dimensions)})"


def _stated(file: Path, inputs: Mapping[str, tuple[str, Sequence[Any]]], given: Given) -> dict[str, Shape]:
    """Return the shapes that the user states for a model's inputs; raises `BadInputError` if a type does not fit."""
    shapes = {name: tuple(shape) for name, shape in given.shapes.items() if name in inputs}
    for name, shape in shapes.items():
        if min(shape, default=0) < 1:
            raise BadInputError(f"--shape {name}: is {shape}; each number should be at least 1, such as 1x3x224x224")
    for name, array in given.arrays(list(inputs)).items():
        kind = inputs[name][0]
        if array.dtype != TYPES[kind]:
            raise BadInputError(f"--inputs: {name} is {array.dtype}; input {name} of {file} should be {kind}")
        if shapes.get(name, array.shape) != array.shape:
            raise BadInputError(f"--shape {name}: is {shapes[name]}, in --inputs it is {array.shape}; give one")
        shapes[name] = array.shape
    return shapes


def _sizes(
    file: Path, inputs: Mapping[str, tuple[str, Sequence[Any]]], stated: Mapping[str, Shape]
) -> dict[str | None, int]:
    """Return the size of each symbol in the shapes that the user states; raises `BadInputError` if one does not fit."""
    sizes: dict[str | None, int] = {}
    for name, shape in stated.items():
        kind, wanted = inputs[name]
        text = f"input {name} of {file} should be {kind} {_text(wanted)}"
        if wanted and len(wanted) != len(shape):
            raise BadInputError(f"{text}, but {shape} is given")
        for size, dimension in zip(shape, wanted, strict=bool(wanted)):
            if isinstance(dimension, int) and size != dimension:
                raise BadInputError(f"{text}, but {shape} is given")
            if isinstance(dimension, str) and sizes.setdefault(dimension, size) != size:
                raise BadInputError(f"{text}, but {shape} is given; {dimension} is {sizes[dimension]} elsewhere")
    return sizes
