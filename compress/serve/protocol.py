"""The Open Inference Protocol 2 over HTTP with binary tensor data: from a request to pixels, from outputs to an answer.

The protocol is https://github.com/kserve/open-inference-protocol (specification/protocol/inference_rest.md, 2023), the
extension Triton's (docs/protocol/extension_binary_data.md, 2020). No size that a client states is trusted.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from compress.onnx_tools.signature import INPUT, OUTPUTS, PROBABILITIES
from compress.plural import counted
from compress.serve.limits import Refused

JSON_LENGTH = "Inference-Header-Content-Length"
VERSION = "1"  # of every model: a bundle holds only one version
NUMBER = re.compile("[0-9]{1,18}")
JSON_BYTES, JSON_BYTES_PER_VALUE = 64 << 10, 8  # largest JSON of a request: without its values, and per value
MAX_REASON = 300  # characters of an error


class _Part(BaseModel):
    # Unknown keys are ignored, and lists are bounded: errors about a million wrong parts would take gigabytes
    model_config = ConfigDict(frozen=True, strict=True)


def _refuse(value: Any) -> None:
    if value is not None:
        raise PydanticCustomError("unsupported", "not supported by this server")


Unsupported = Annotated[None, BeforeValidator(_refuse)]


class InputParameters(_Part):
    """`binary_data_size`: size of a tensor whose bytes follow the JSON. Shared memory is not supported."""

    binary_data_size: int | None = Field(None, ge=0)
    shared_memory_region: Unsupported = None


class Input(_Part):
    """A tensor, whose values are in `data`, flat or nested like its shape, or follow the JSON."""

    name: str
    shape: list[int] = Field(max_length=8)
    datatype: str
    parameters: InputParameters | None = None
    data: list[Any] | None = None


class OutputParameters(_Part):
    """`binary_data`: whether the tensor should follow the answer's JSON. The other parameters are not supported."""

    binary_data: bool | None = None
    classification: Unsupported = None
    shared_memory_region: Unsupported = None


class Output(_Part):
    """An output that the client wants."""

    name: str
    parameters: OutputParameters | None = None


class RequestParameters(_Part):
    """`binary_data_output`: whether all outputs should follow the answer's JSON."""

    binary_data_output: bool | None = None


class InferenceRequest(_Part):
    """The JSON of a request; without `outputs`, the client wants all of them. A member that is null is absent."""

    id: str | None = None
    parameters: RequestParameters | None = None
    inputs: list[Input] = Field(max_length=8)
    outputs: list[Output] | None = Field(None, max_length=8)


@dataclass(frozen=True)
class Query:
    """A valid request: pixels `(n, height, width, channels) uint8`, and for each output whether it should be binary."""

    id: str | None
    pixels: np.ndarray
    outputs: Mapping[str, bool]


def read_request(body: bytes, json_length: str | None, input_shape: tuple[int, int, int], max_images: int) -> Query:
    """Return what a request asks for; raises `Refused`, which names the first thing that is wrong.

    `json_length` is the header Inference-Header-Content-Length, the size of the JSON in bytes; if it is None, the whole
    body is JSON. If it is 0, the body is one image's pixels, and the outputs should be binary: the raw binary request
    of Triton's extension.
    """
    length = _json_length(json_length, len(body))
    if json_length is not None and length == 0:
        return Query(None, _raw_pixels(body, input_shape), dict.fromkeys(OUTPUTS, True))
    max_json_bytes = JSON_BYTES + JSON_BYTES_PER_VALUE * max_images * math.prod(input_shape)
    if length > max_json_bytes:
        raise Refused(413, f"the JSON has {length:,} bytes; should have {max_json_bytes:,} at most")
    try:
        request = InferenceRequest.model_validate_json(body[:length])
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise _bad(": ".join(filter(None, [".".join(map(str, first["loc"])), first["msg"]]))) from error
    names = [tensor.name for tensor in request.inputs]
    if names != [INPUT]:
        raise _bad(f"inputs: are {names}; should be ['{INPUT}']")
    pixels = _pixels(request.inputs[0], memoryview(body)[length:], input_shape, max_images)
    return Query(request.id, pixels, _outputs(request))


def write_answer(name: str, query: Query, outputs: Mapping[str, np.ndarray]) -> tuple[bytes, dict[str, str]]:
    """Return the body and headers of an answer; `outputs` are `(n, classes) float32` by name.

    Raises `Refused` for probabilities that are not finite, and for logits that are not where JSON is wanted; as binary
    data they are what the model gave.
    """
    described: list[dict[str, Any]] = []
    binary: list[bytes] = []
    for output, as_binary in query.outputs.items():
        values = outputs[output]
        tensor = {"name": output, "datatype": "FP32", "shape": list(values.shape)}
        is_finite = bool(np.isfinite(values).all())
        if output == PROBABILITIES and not is_finite:  # which would be some label to whoever takes the largest
            raise Refused(500, f"{output}: are not finite; python -m compress verify checks the model")
        if as_binary:
            binary.append(values.astype("<f4", copy=False).tobytes())
            described.append({**tensor, "parameters": {"binary_data_size": len(binary[-1])}})
        elif is_finite:
            described.append({**tensor, "data": values.ravel().tolist()})
        else:
            raise Refused(500, f"{output}: is not finite, which JSON cannot express; request it as binary data")
    answer = {"model_name": name, "model_version": VERSION, "outputs": described}
    text = json.dumps(answer if query.id is None else {**answer, "id": query.id}, allow_nan=False).encode()
    if not binary:
        return text, {"Content-Type": "application/json"}
    return b"".join([text, *binary]), {"Content-Type": "application/octet-stream", JSON_LENGTH: str(len(text))}


def _json_length(header: str | None, body_length: int) -> int:
    if header is None:
        return body_length
    if not NUMBER.fullmatch(header) or int(header) > body_length:
        raise _bad(f"{JSON_LENGTH}: is {header!r}; should be a number of bytes, {body_length} at most")
    return int(header)


def _pixels(tensor: Input, binary: memoryview, input_shape: tuple[int, int, int], max_images: int) -> np.ndarray:
    if tensor.datatype != "UINT8":
        raise _bad(f"{INPUT}: datatype is {tensor.datatype!r}; should be 'UINT8'")
    if tuple(tensor.shape[1:]) != input_shape or not 1 <= tensor.shape[0] <= max_images:
        right = ", ".join(map(str, input_shape))
        raise _bad(f"{INPUT}: shape is {tensor.shape}; should be [1 to {max_images}, {right}]")
    count = math.prod(tensor.shape)
    size = tensor.parameters.binary_data_size if tensor.parameters else None
    if (size is None) == (tensor.data is None):
        raise _bad(f"{INPUT}: should have either data or parameters.binary_data_size")
    if tensor.data is not None:
        if binary:
            raise _bad(f"{_following(binary)} the JSON, but no input has parameters.binary_data_size")
        values: bytes | memoryview = _values(tensor.data, tensor.shape, count)
    elif size != count or len(binary) != count:
        raise _bad(f"{INPUT}: binary_data_size is {size}, and {_following(binary)} the JSON; should be {count}")
    else:
        values = binary
    return np.frombuffer(values, np.uint8).reshape(tensor.shape)


def _following(binary: memoryview) -> str:
    return f"{counted(len(binary), 'byte')} {'follows' if len(binary) == 1 else 'follow'}"


def _raw_pixels(body: bytes, input_shape: tuple[int, int, int]) -> np.ndarray:
    if len(body) != math.prod(input_shape):
        right = f"{math.prod(input_shape)}, one image of {list(input_shape)}"
        found = counted(len(body), "byte")
        raise _bad(f"{JSON_LENGTH} is 0, so that the body is the tensor: it has {found}; should have {right}")
    return np.frombuffer(body, np.uint8).reshape(1, *input_shape)


def _values(data: list[Any], shape: Sequence[int], count: int) -> bytes:
    """Return the numbers of a list, flat or nested like `shape`, in row-major order as bytes."""
    rows: list[Any] = [data]
    for size in shape if data and isinstance(data[0], list) else [count]:
        if not all(isinstance(row, list) and len(row) == size for row in rows):
            raise _bad(f"{INPUT}: data should be {count} numbers, in one list or nested like the shape {list(shape)}")
        rows = list(chain.from_iterable(rows))
    if set(map(type, rows)) != {int} or min(rows) < 0 or max(rows) > 255:
        raise _bad(f"{INPUT}: data should be integers from 0 to 255")
    return bytes(rows)


def _outputs(request: InferenceRequest) -> dict[str, bool]:
    """Return the outputs that a request wants, in its order, with whether each should be binary."""
    wanted = request.outputs or [Output(name=name) for name in OUTPUTS]
    names = [output.name for output in wanted]
    if not set(names) <= set(OUTPUTS) or len(set(names)) < len(names):
        raise _bad(f"outputs: are {names}; should be of {list(OUTPUTS)}, each once")
    default = bool(request.parameters and request.parameters.binary_data_output)
    return {output.name: _is_binary(output, default) for output in wanted}


def _is_binary(output: Output, default: bool) -> bool:
    wanted = output.parameters.binary_data if output.parameters else None
    return default if wanted is None else wanted


def _bad(why: str) -> Refused:
    return Refused(400, why if len(why) <= MAX_REASON else f"{why[:MAX_REASON]}...")
