"""What models' graphs say about their inputs, and their sessions do not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import onnx

from compress.errors import BadInputError
from compress.latency.given import NOTHING, Given
from compress.latency.inputs import unknown_shape, unknown_values
from compress.onnx_tools.steering import read_model, steering_inputs

Size = int | str | None  # of a dimension; a symbol or None if it is free
Shapes = dict[str, list[Size]]  # of inputs


def check_known(groups: Sequence[Sequence[Path]], given: Given = NOTHING) -> list[Given]:
    """Return what is known about the inputs of each group of files, which are fed the same: `given`, and what they fix.

    Raises `BadInputError` if files hold inputs whose shape or values have to be given, before any session is made. That
    is an input without a shape, and one that steers the work whatever its type. Names in `given` should be those of
    inputs of some file.
    """
    stated, names, unread, known = given.names(), set[str](), False, []
    for files in groups:
        models = {file: model for file in files if (model := read_model(file))}
        unread |= len(models) < len(set(files))  # the session will say what the file is
        together = replace(given, fixed=_fixed([_shapes(model) for model in models.values()]))
        for file, model in models.items():
            names |= {value.name for value in model.graph.input}
            _check_model(file, model, together, stated)
        known.append(together)
    if not unread and stated - names:
        option = "--shape" if (stated - names) & given.shapes.keys() else f"--inputs {given.file}"
        raise BadInputError(
            f"{option}: no input is named {min(stated - names)}; should be of {', '.join(sorted(names))}"
        )
    return known


def _check_model(file: Path, model: onnx.ModelProto, given: Given, stated: set[str]) -> None:
    in_file = given.arrays([value.name for value in model.graph.input])
    initialized = {value.name for value in model.graph.initializer}
    steering = steering_inputs(model) - initialized - in_file.keys()
    for value in model.graph.input:
        if value.name in steering:
            why = "decides how much is computed, or where (as a shape, size, index or count does)"
            raise unknown_values(file, value.name, why)
        tensor = value.type.HasField("tensor_type")
        open_ = tensor and not value.type.tensor_type.HasField("shape")
        if open_ and value.name not in {*stated, *initialized, *given.fixed}:
            raise unknown_shape(file, value.name, "of any shape", ())


def _shapes(model: onnx.ModelProto) -> Shapes:
    """Return the shapes of a model's inputs that have one."""
    return {
        value.name: [max(dim.dim_value, 0) or dim.dim_param or None for dim in value.type.tensor_type.shape.dim]
        for value in model.graph.input
        if value.type.tensor_type.HasField("shape")
    }


def _fixed(models: Sequence[Shapes]) -> dict[str, list[int | None]]:
    """Return the sizes that one of two models fixes, also those of symbols that it fixes elsewhere."""
    if len(models) < 2:
        return {}
    first, second = models
    for _ in range(2):  # a size may go from a symbol of one to a symbol of the other
        first, second = _filled(first, second), _filled(second, first)
    unlike = {name for name in first.keys() & second.keys() if len(first[name]) != len(second[name])}
    return {
        name: [size if isinstance(size, int) else None for size in shape]
        for name, shape in {**second, **first}.items()
        if name not in unlike
    }


def _filled(shapes: Shapes, other: Shapes) -> Shapes:
    """Return shapes with the sizes that another model fixes for the same inputs, at a symbol's other places too."""
    known = {
        name: [own if isinstance(own, int) or not isinstance(fixed, int) else fixed for own, fixed in sizes]
        for name, sizes in _pairs(shapes, other)
    }
    symbols = {
        own: fixed for _, sizes in _pairs(shapes, other) for own, fixed in sizes if own and isinstance(fixed, int)
    }
    return {
        name: [symbols.get(size, size) if isinstance(size, str) else size for size in known.get(name, shape)]
        for name, shape in shapes.items()
    }


def _pairs(shapes: Shapes, other: Shapes) -> Iterator[tuple[str, list[tuple[Size, Size]]]]:
    """Yield the inputs of which both have as many dimensions, with the two sizes of each dimension."""
    for name, shape in shapes.items():
        if len(other.get(name, ())) == len(shape):
            yield name, list(zip(shape, other[name], strict=True))
