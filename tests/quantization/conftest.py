"""Float networks of a few kinds, written without any of the project's own code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx.helper import make_graph, make_model, make_node, make_opsetid, make_tensor_value_info

from compress.artifacts import OnnxModel

CLASSES = 4
Constants = dict[str, np.ndarray]
Write = Callable[[list[onnx.NodeProto], Constants], OnnxModel]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a network from `x (batch, 1, 16, 16)`, pixels as floats, to logits of four classes."""

    def written(nodes: list[onnx.NodeProto], constants: Constants) -> OnnxModel:
        first = [
            make_node("Cast", ["image"], ["pixels"], to=onnx.TensorProto.FLOAT),
            make_node("Transpose", ["pixels"], ["x"], perm=[0, 3, 1, 2]),
        ]
        last = [make_node("Softmax", ["logits"], ["probabilities"])]
        floats = [
            make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", CLASSES])
            for name in ("logits", "probabilities")
        ]
        graph = make_graph(
            [*first, *nodes, *last],
            "network",
            [make_tensor_value_info("image", onnx.TensorProto.UINT8, ["batch", 16, 16, 1])],
            floats,
            [numpy_helper.from_array(values.astype(np.float32), name) for name, values in constants.items()],
        )
        for number, node in enumerate(graph.node):
            node.name = node.name or f"{node.op_type.lower()}{number}"
        file = tmp_path / "network.onnx"
        onnx.save(make_model(graph, opset_imports=[make_opsetid("", 17)], ir_version=8), file)
        return OnnxModel("m", "quantize", "fp32", (16, 16, 1), CLASSES, file)

    return written


@pytest.fixture(scope="session")
def pictures() -> np.ndarray:
    """Random patterns of 4x4 squares, `(1200, 16, 16, 1) uint8`."""
    squares = np.random.default_rng(0).integers(0, 256, (1200, 4, 4, 1), np.uint8)
    return squares.repeat(4, axis=1).repeat(4, axis=2)
