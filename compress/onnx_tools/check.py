"""Checks that a model can be deployed anywhere: one file, standard operators, no values that slow it down."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import onnx

from compress.errors import BadInputError, first_line
from compress.onnx_tools.kinds import check_kind
from compress.plural import counted

STANDARD = ("", "ai.onnx")
MAX_ELEMENTS = 1 << 31  # of one tensor
# ONNX Runtime's first release for each version of the format and of the operators (its compatibility table)
FOR_OPSET = {17: "1.12", 18: "1.14", 19: "1.15", 20: "1.17", 21: "1.18"}
FOR_IR = {8: "1.10", 9: "1.15", 10: "1.18"}
BITS = {"INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4, "INT2": 2, "UINT2": 2}  # types whose values share bytes
TINIEST = np.finfo(np.float32).tiny


def lowest_onnxruntime(model: onnx.ModelProto) -> str:
    """Return the first ONNX Runtime release that can run a model; raises `KeyError` for an unknown opset or format."""
    versions = (FOR_OPSET[model.opset_import[0].version], FOR_IR[model.ir_version])
    return max(versions, key=lambda version: tuple(map(int, version.split("."))))


def parse(data: bytes, what: str) -> onnx.ModelProto:
    """Return the model in a file's bytes; raises `BadInputError` if they are not a model, and names it `what`."""
    check_kind(data, what)
    try:
        return onnx.load_model_from_string(data)
    except Exception as error:  # protobuf raises types of its own
        raise BadInputError(f"{what}: is not an ONNX model") from error


def check_self_contained(data: bytes, what: str) -> onnx.ModelProto:
    """Return the model in a file's bytes; raises `BadInputError` if one of its tensors is stored in another file."""
    model = parse(data, what)
    check_no_external_data(model, what)
    return model


def check_no_external_data(model: onnx.ModelProto, what: str) -> None:
    """Raise `BadInputError` if one of a model's tensors is stored in another file.

    Without this check, `onnx.numpy_helper.to_array` would look for that file in the current folder.
    """
    outside = next((tensor for tensor in tensors(model) if is_external(tensor)), None)
    if outside is not None:
        raise BadInputError(f"{what}: {outside.name[:80]!r} is in another file; the model should hold all its weights")


def check_deployable(data: bytes, what: str) -> onnx.ModelProto:
    """Return the model in a file's bytes after checking that it can be deployed.

    Raises `BadInputError` for data in other files, operators that are not ONNX's own, functions that the model defines,
    tensors whose declared size does not match their values or is too large, subnormal weights (which slow down some
    processors a hundredfold), and anything that ONNX's full check finds.
    """
    model = check_self_contained(data, what)
    foreign = sorted({node.domain for node in nodes_of(model.graph)} - set(STANDARD))
    foreign += [opset.domain for opset in model.opset_import if opset.domain not in STANDARD]
    if foreign or model.functions:
        named = foreign[0] if foreign else model.functions[0].name
        raise BadInputError(f"{what}: has operators of {named[:80]!r}; should have only those of ONNX itself")
    for tensor in tensors(model):
        _check_tensor(tensor, what)
    try:
        onnx.checker.check_model(model, full_check=True)
        inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    except Exception as error:  # onnx and its C++ code raise types of their own
        raise BadInputError(f"{what}: is not a valid model: {first_line(error)}") from error
    for value in (*inferred.graph.value_info, *inferred.graph.input, *inferred.graph.output):
        dims = [dim.dim_value for dim in value.type.tensor_type.shape.dim if dim.HasField("dim_value")]
        if math.prod(dims) > MAX_ELEMENTS:
            raise BadInputError(f"{what}: {value.name[:80]!r} would have {math.prod(dims):,} values")
    return model


def stored_bytes(tensor: onnx.TensorProto, what: str) -> int:
    """Return the bytes that a tensor's type and shape need; raises `BadInputError` for bad ones, and names `what`."""
    try:
        kind = onnx.TensorProto.DataType.Name(tensor.data_type)
        bits = BITS.get(kind) or 8 * onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    except (KeyError, ValueError) as error:
        raise BadInputError(f"{what}: {tensor.name[:80]!r} is of an unknown type, {tensor.data_type}") from error
    if min(tensor.dims, default=1) < 0:
        raise BadInputError(f"{what}: {tensor.name[:80]!r} declares {list(tensor.dims)} values")
    return -(-math.prod(tensor.dims) * bits // 8)


def has_bfloat16(model: onnx.ModelProto) -> bool:
    """Return whether a model stores values in bfloat16 or casts values to it."""
    stored = any(tensor.data_type == onnx.TensorProto.BFLOAT16 for tensor in tensors(model))
    return stored or any(
        attribute.name in ("to", "dtype") and attribute.i == onnx.TensorProto.BFLOAT16
        for node in nodes_of(model.graph)
        for attribute in node.attribute
    )


def without_subnormals(tensor: onnx.TensorProto) -> onnx.TensorProto:
    """Return the tensor with its subnormal floats set to zero, which is how GPUs treat them."""
    if tensor.data_type != onnx.TensorProto.FLOAT:
        return tensor
    values = onnx.numpy_helper.to_array(tensor)
    if not _subnormal(values).any():
        return tensor
    return onnx.numpy_helper.from_array(np.where(_subnormal(values), np.float32(0), values), tensor.name)


def _subnormal(values: np.ndarray) -> np.ndarray:
    return (values != 0) & (np.abs(values) < TINIEST)


def _check_tensor(tensor: onnx.TensorProto, what: str) -> None:
    shown = f"{what}: {tensor.name[:80]!r}"
    if min(tensor.dims, default=1) < 0 or math.prod(tensor.dims) > MAX_ELEMENTS:
        raise BadInputError(f"{shown} declares {list(tensor.dims)} values")
    try:
        kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
        if tensor.HasField("raw_data") and len(tensor.raw_data) != math.prod(tensor.dims) * kind.itemsize:
            raise BadInputError(
                f"{shown} declares {list(tensor.dims)} values, but holds {counted(len(tensor.raw_data), 'byte')}"
            )
        values = onnx.numpy_helper.to_array(tensor)
    except (KeyError, ValueError, TypeError) as error:
        raise BadInputError(f"{shown} is not a valid tensor: {error}") from error
    if values.dtype == np.float32 and _subnormal(values).any():
        raise BadInputError(f"{shown} has subnormal values; should have zeros instead")


def is_external(tensor: onnx.TensorProto) -> bool:
    """Return whether a tensor's values are stored in another file."""
    return tensor.data_location == onnx.TensorProto.EXTERNAL or bool(tensor.external_data)


def nodes_of(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Yield the nodes of a graph, and of the graphs in their attributes."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs) if attribute.HasField("g") else attribute.graphs:
                yield from nodes_of(inner)


def tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Return every tensor that a model stores, those of functions, subgraphs and attributes included."""
    nodes = [*nodes_of(model.graph), *(node for function in model.functions for node in function.node)]
    graphs = [model.graph]
    for node in nodes:
        for attribute in node.attribute:
            yield from (*([attribute.t] if attribute.HasField("t") else []), *attribute.tensors)
            for sparse in [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []:
                yield from (sparse.values, sparse.indices)
            graphs += [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]
    for graph in graphs:
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
