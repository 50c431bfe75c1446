"""Pixels that are scaled to floats and back are taken as they are, and change no answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.helper import make_node

from benchmarks.int8 import int8_of
from compress.onnx_tools.pixels import fold_scaling
from compress.onnx_tools.sessions import open_session
from compress.quantization import static
from tests.quantization.conftest import CLASSES, Write

LAST = [
    make_node("Conv", ["scaled", "k", "b"], ["deep"]),
    make_node("GlobalAveragePool", ["deep"], ["pooled"]),
    make_node("Flatten", ["pooled"], ["logits"]),
]
UNIT = [make_node("Mul", ["x", "by"], ["m"]), make_node("Add", ["m", "plus"], ["scaled"])]
SHIFTED = [make_node("Sub", ["x", "minus"], ["m"]), make_node("Div", ["m", "by"], ["scaled"])]
MOVED = [
    make_node("Mul", ["by", "x"], ["m"]),
    make_node("Transpose", ["m"], ["t"], perm=[0, 1, 3, 2]),
    make_node("Add", ["t", "plus"], ["scaled"]),
]


@pytest.mark.parametrize(
    ("nodes", "constants", "activations", "is_direct"),
    [
        (UNIT, {"by": 1 / 255, "plus": 0.0}, "uint8", True),
        (UNIT, {"by": 1 / 128, "plus": -1.0}, "uint8", True),  # 128 stands for 0
        (UNIT, {"by": 1 / 127.5, "plus": -1.0}, "uint8", False),  # 127.5 would
        (UNIT, {"by": -1 / 255, "plus": 1.0}, "uint8", False),  # inverted
        (UNIT, {"by": [[[0.1]], [[0.2]]], "plus": 0.0}, "uint8", False),  # not one scale
        (UNIT, {"by": 1 / 255, "plus": 0.0}, "int8", False),
        (SHIFTED, {"minus": 100.0, "by": 7.0}, "uint8", True),
        (MOVED, {"by": 0.5, "plus": 0.0}, "uint8", True),
    ],
)
def test_pixels_are_taken_as_they_are_where_the_integers_made_of_them_are_the_same(
    nodes: list[onnx.NodeProto],
    constants: dict[str, float],
    activations: str,
    is_direct: bool,
    write: Write,
    pictures: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    random = np.random.default_rng(0)
    channels = np.size(constants["by"])
    weights = {"k": random.normal(0, 1, (CLASSES, channels, 3, 3)), "b": random.normal(0, 1, CLASSES)}
    model = write([*nodes, *LAST], {**weights, **{name: np.array(value) for name, value in constants.items()}})
    dark = pictures[:10] // 2  # calibration sees no white

    int8 = int8_of(model, dark, tmp_path / "int8.onnx", activations=activations)
    monkeypatch.setattr(static, "take_as_they_are", lambda graph: None)
    usual = int8_of(model, dark, tmp_path / "usual.onnx", activations=activations)

    operators = [node.op_type for node in onnx.load(int8.file).graph.node]
    assert ("Cast" not in operators) == is_direct
    assert ("Mul" not in operators and "Div" not in operators) == is_direct
    given, wanted = (open_session(made.file).run(["logits"], {"image": pictures[10:50]})[0] for made in (int8, usual))
    np.testing.assert_array_equal(given, wanted)


@pytest.mark.parametrize(
    "nodes",
    [
        [make_node("Mul", ["x", "x"], ["m"]), make_node("Mul", ["m", "by"], ["scaled"])],
        [
            make_node("Mul", ["x", "by"], ["m"]),
            make_node("Cast", ["m"], ["whole"], to=onnx.TensorProto.INT32),
            make_node("Cast", ["whole"], ["scaled"], to=onnx.TensorProto.FLOAT),
        ],
    ],
)
def test_what_is_no_scale_is_left_as_it_is(
    nodes: list[onnx.NodeProto], write: Write, pictures: np.ndarray, tmp_path: Path
) -> None:
    values = {"k": np.ones((CLASSES, 1, 1, 1)), "b": np.zeros(CLASSES), "by": np.array(0.01)}
    model = write([*nodes, *LAST], values)
    wanted = open_session(model.file).run(["logits"], {"image": pictures[:9]})[0]

    loaded = onnx.load(model.file)
    fold_scaling(loaded.graph)
    onnx.save(loaded, tmp_path / "folded.onnx")
    given = open_session(tmp_path / "folded.onnx").run(["logits"], {"image": pictures[:9]})[0]
    np.testing.assert_allclose(given, wanted, rtol=1e-5)
    int8 = int8_of(model, pictures[:9], tmp_path / "int8.onnx")
    of_int8 = open_session(int8.file).run(["logits"], {"image": pictures[:9]})[0]
    np.testing.assert_allclose(of_int8, wanted, atol=0.02 * np.abs(wanted).max())


def test_pixels_that_something_else_takes_too_are_scaled(write: Write, pictures: np.ndarray, tmp_path: Path) -> None:
    nodes = [
        *UNIT,
        make_node("Conv", ["scaled", "k", "b"], ["one"]),
        make_node("Add", ["one", "scaled"], ["deep"]),
        *LAST[1:],
    ]
    values = {"k": np.ones((CLASSES, 1, 1, 1)), "b": np.zeros(CLASSES), "by": np.array(1 / 255), "plus": np.array(0.0)}
    int8 = int8_of(write(nodes, values), pictures[:9], tmp_path / "int8.onnx")

    given = open_session(int8.file).run(["logits"], {"image": pictures[:9]})[0]
    np.testing.assert_allclose(given, pictures[:9].mean(axis=(1, 2)) * 2 / 255 * np.ones(CLASSES), atol=0.02)
