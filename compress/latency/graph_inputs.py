"""What a model's graph says about its inputs, and its session does not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from compress.errors import BadInputError
from compress.latency.given import NOTHING, Given
from compress.latency.inputs import unknown_shape, unknown_values
from compress.onnx_tools.steering import read_model, steering_inputs


def check_known(files: Sequence[Path], given: Given = NOTHING) -> None:
    """Raise `BadInputError` if files hold inputs whose shape or values have to be given, before any session is made.

    That is an input without a shape, and one that steers the work whatever its type. Names in `given` should be those
    of inputs of some file.
    """
    stated, names, unread = given.names(), set[str](), False
    for file in files:
        model = read_model(file)
        if model is None:  # the session will say what the file is
            unread = True
            continue
        names |= {value.name for value in model.graph.input}
        in_file = given.arrays([value.name for value in model.graph.input])
        fixed = {value.name for value in model.graph.initializer}
        steering = steering_inputs(model) - fixed - in_file.keys()
        for value in model.graph.input:
            if value.name in steering:
                why = "decides how much is computed, or where (as a shape, size, index or count does)"
                raise unknown_values(file, value.name, why)
            tensor = value.type.HasField("tensor_type")
            if tensor and not value.type.tensor_type.HasField("shape") and value.name not in stated | fixed:
                raise unknown_shape(file, value.name, "of any shape", ())
    if not unread and stated - names:
        option = "--shape" if (stated - names) & given.shapes.keys() else f"--inputs {given.file}"
        raise BadInputError(
            f"{option}: no input is named {min(stated - names)}; should be of {', '.join(sorted(names))}"
        )
