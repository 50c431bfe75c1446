"""Small ONNX files: networks whose time grows with their layers, and unusual ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

EXTERNAL_VALUES = 1000  # in the weights of `write_external`


def write_model(path: Path, layers: int = 1, width: int = 8, side: int = 8, name: str = "image") -> Path:
    """Write a network of 3x3 convolutions, `(batch, side, side, 1) uint8` to logits; time grows with its layers."""
    random = np.random.default_rng(0)
    nodes = [
        helper.make_node("Cast", [name], ["x"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["x"], ["h0"], perm=[0, 3, 1, 2]),
    ]
    kernels = []
    for i in range(layers):
        kernel = random.normal(0, 0.05, (width, width if i else 1, 3, 3)).astype(np.float32)
        kernels.append(numpy_helper.from_array(kernel, f"k{i}"))
        nodes.append(helper.make_node("Conv", [f"h{i}", f"k{i}"], [f"h{i + 1}"], pads=[1, 1, 1, 1]))
    nodes += [
        helper.make_node("GlobalAveragePool", [f"h{layers}"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["logits"]),
    ]
    image = helper.make_tensor_value_info(name, TensorProto.UINT8, ["batch", side, side, 1])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", width])
    return _save(path, helper.make_graph(nodes, "convolutions", [image], [logits], kernels))


def write_quantized(path: Path) -> Path:
    """Write a network of int8 QDQ, `x (batch, 2, 6, 6) float` to `y`: a convolution, and a Gemm named `head`.

    The bias of the Gemm is float, so that onnxruntime runs it in float, on weights that it converts at each call.
    """
    kernel = np.arange(-18, 18, dtype=np.int8).reshape(2, 2, 3, 3)
    constants = {
        "scale": np.float32(0.5),
        "zero": np.uint8(128),
        "kernel": kernel,
        "kernel_scale": np.array([0.1, 0.2], np.float32),
        "kernel_zero": np.zeros(2, np.int8),
        "weights": np.ones((2 * 4 * 4, 3), np.int8),
        "bias": np.ones(3, np.float32),
    }
    pair = ("scale", "zero")
    nodes = [
        helper.make_node("QuantizeLinear", ["x", *pair], ["x_q"], "quantize"),
        helper.make_node("DequantizeLinear", ["x_q", *pair], ["x_dq"], "dequantize"),
        helper.make_node("DequantizeLinear", ["kernel", "kernel_scale", "kernel_zero"], ["kernel_dq"], "k", axis=0),
        helper.make_node("Conv", ["x_dq", "kernel_dq"], ["h"], "conv"),
        helper.make_node("QuantizeLinear", ["h", *pair], ["h_q"], "quantize_h"),
        helper.make_node("DequantizeLinear", ["h_q", *pair], ["h_dq"], "dequantize_h"),
        helper.make_node("Flatten", ["h_dq"], ["flat"], "flatten"),
        helper.make_node("DequantizeLinear", ["weights", "scale"], ["weights_dq"], "w"),
        helper.make_node("Gemm", ["flat", "weights_dq", "bias"], ["y"], "head"),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2, 6, 6])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3])
    stored = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    return _save(path, helper.make_graph(nodes, "quantized", [x], [y], stored))


def write_identity(path: Path, kind: int, shape: list[int | str | None]) -> Path:
    """Write a model that returns its input."""
    x, y = (helper.make_tensor_value_info(name, kind, shape) for name in "xy")
    return _save(path, helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "identity", [x], [y]))


def write_failing(path: Path) -> Path:
    """Write a model that loads but fails when it runs, because it reshapes images to a shape that they do not fit."""
    shape = numpy_helper.from_array(np.array([7, 11]), "shape")
    x = helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", 8, 8, 1])
    y = helper.make_tensor_value_info("y", TensorProto.UINT8, ["a", "b"])
    return _save(
        path, helper.make_graph([helper.make_node("Reshape", ["image", "shape"], ["y"])], "m", [x], [y], [shape])
    )


def write_external(path: Path, value: float, location: str = "weights.bin", **entries: int | str) -> Path:
    """Write a model that multiplies `x (batch, 1000)` by external data: weights.bin beside it, all of it `value`.

    `location` and `entries` are what the model states about the data, whether that is true or not.
    """
    weights = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[EXTERNAL_VALUES])
    weights.data_location = TensorProto.EXTERNAL
    for key, entry in {"location": location, **entries}.items():
        weights.external_data.add(key=key, value=str(entry))
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", EXTERNAL_VALUES]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Mul", ["x", "w"], ["y"])], "scaled", [x], [y], [weights])
    path.parent.mkdir(exist_ok=True)
    np.full(EXTERNAL_VALUES, value, np.float32).tofile(path.parent / "weights.bin")
    return _save(path, graph)


def _save(path: Path, graph: onnx.GraphProto) -> Path:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path
