"""Scales and zero points worked by hand, on a convolution of four filters."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx.helper import make_node

from benchmarks.int8 import int8_of
from benchmarks.small_models import write_model
from compress import plugins
from compress.artifacts import OnnxModel
from compress.onnx_tools.sessions import open_session

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1), np.uint8)
IMAGES[0, 0, :2, 0] = 0, 255  # the whole range is seen


@pytest.fixture
def model(tmp_path: Path) -> OnnxModel:
    """One convolution, its filters scaled to 1, 1/2, 0 and 1/1000 of the largest."""
    file = write_model(tmp_path / "fp32.onnx", width=4)
    loaded = onnx.load(file)
    [kernel] = loaded.graph.initializer
    values = numpy_helper.to_array(kernel)
    largest = np.abs(values).max(axis=(1, 2, 3), keepdims=True)
    scaled = values / largest * np.array([1, 0.5, 0, 1e-3], np.float32).reshape(4, 1, 1, 1)
    kernel.CopyFrom(numpy_helper.from_array(scaled, kernel.name))
    onnx.save(loaded, file)
    return OnnxModel("m", "export", "fp32", (8, 8, 1), 4, file)


def constants_of(model: OnnxModel, activations: str = "uint8") -> tuple[dict[str, np.ndarray], onnx.GraphProto]:
    """Return the int8 version's constants by name, and its graph."""
    int8 = int8_of(
        model,
        IMAGES,
        model.file.with_name("int8.onnx"),
        activations=activations,
    )
    graph = onnx.load(int8.file).graph
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}, graph


def inputs_of(operator: str, graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Return the nodes that make the inputs of the first node of a kind."""
    node = next(node for node in graph.node if node.op_type == operator)
    makers = {name: maker for maker in graph.node for name in maker.output}
    return [makers[name] for name in node.input if name in makers]


def test_a_filters_scale_is_its_largest_weight_over_127_and_its_zero_point_0(model: OnnxModel) -> None:
    constants, graph = constants_of(model)
    _, kernel = inputs_of("Conv", graph)
    quantized, scale, zero_point = (constants[name] for name in kernel.input)

    np.testing.assert_allclose(scale[[0, 1, 3]], [1 / 127, 0.5 / 127, 1e-3 / 127], rtol=1e-5)
    np.testing.assert_array_equal(zero_point, [0, 0, 0, 0])
    assert [np.abs(filters.astype(int)).max() for filters in quantized] == [127, 127, 0, 127]


def test_a_filter_of_zeros_keeps_a_finite_scale_and_gives_zeros(model: OnnxModel) -> None:
    """As pruning leaves them: a scale of 0, infinity or nan would spoil what comes after."""
    constants, graph = constants_of(model)
    _, kernel = inputs_of("Conv", graph)
    scale = constants[kernel.input[1]][2]
    logits = open_session(model.file.with_name("int8.onnx")).run(["logits"], {"image": IMAGES})[0]

    assert np.isfinite(scale)
    assert scale > 0
    assert np.all(logits[:, 2] == 0)
    assert np.all(np.isfinite(logits))


@pytest.mark.parametrize(("activations", "zero_point"), [("uint8", 0), ("int8", -128)])
def test_pixels_from_0_to_255_have_a_scale_of_1(activations: str, zero_point: int, model: OnnxModel) -> None:
    constants, graph = constants_of(model, activations)
    pixels, _ = inputs_of("Conv", graph)

    assert constants[pixels.input[1]] == pytest.approx(1.0)
    assert constants[pixels.input[2]].dtype == np.dtype(activations)
    assert constants[pixels.input[2]] == zero_point


def test_the_converters_advice_is_silenced_only_while_it_works(model: OnnxModel) -> None:
    def reads(images: np.ndarray) -> None:
        int8_of(model, images, model.file.with_name("int8.onnx"))

    reads(IMAGES)
    assert logging.root.isEnabledFor(logging.WARNING)
    with pytest.raises(Exception, match="image"):
        reads(np.zeros((1, 8, 8, 3), np.uint8))  # another shape than the model's

    assert logging.root.isEnabledFor(logging.WARNING)
    assert sorted(path.name for path in model.file.parent.iterdir()) == ["fp32.onnx", "int8.onnx"]


WEIGHTS = np.random.default_rng(1).integers(-127, 128, (64, 5)).astype(np.float32)
WEIGHTS[0] = 127  # so that each column's scale is 1, and nothing is rounded
BIAS = np.arange(5, dtype=np.float32)
LAST_PRODUCTS = {
    "matmul": [make_node("MatMul", ["x", "w"], ["sums"]), make_node("Add", ["sums", "b"], ["logits"])],
    "gemm": [make_node("Gemm", ["x", "w", "b"], ["logits"])],
    "hidden": [
        make_node("MatMul", ["x", "identity"], ["hidden"]),
        make_node("Relu", ["hidden"], ["positive"]),
        make_node("MatMul", ["positive", "w"], ["logits"]),
    ],
}


@pytest.mark.parametrize("kind", LAST_PRODUCTS)
def test_the_sums_that_logits_are_made_of_are_not_rounded(kind: str, tmp_path: Path) -> None:
    """Pixels and weights are integers here, so that the only rounding would be that of the sums to 255 steps."""
    nodes = [
        make_node("Cast", ["image"], ["pixels"], to=onnx.TensorProto.FLOAT),
        make_node("Flatten", ["pixels"], ["x"]),
        *LAST_PRODUCTS[kind],
        make_node("Softmax", ["logits"], ["probabilities"]),
    ]
    constants = {"w": WEIGHTS, "b": BIAS, "identity": 127 * np.eye(64, dtype=np.float32)}
    used = {name for node in nodes for name in node.input}
    graph = onnx.helper.make_graph(
        nodes,
        kind,
        [onnx.helper.make_tensor_value_info("image", onnx.TensorProto.UINT8, ["batch", 8, 8, 1])],
        [
            onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", 5])
            for name in ("logits", "probabilities")
        ],
        [numpy_helper.from_array(values, name) for name, values in constants.items() if name in used],
    )
    file = tmp_path / "fp32.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8), file)
    model = OnnxModel("m", "export", "fp32", (8, 8, 1), 5, file)
    _, quantized = constants_of(model)

    products = [node for node in quantized.node if node.op_type in ("MatMul", "Gemm")]
    for product in products:
        makers = {name: node.op_type for node in quantized.node for name in node.output}
        assert [makers[name] for name in product.input[:2]] == ["DequantizeLinear"] * 2
    rounded = [node for node in quantized.node if node.op_type == "QuantizeLinear"]
    assert len(rounded) == len(products)  # what each takes, and nothing that the last one gives
    logits, expected = (
        open_session(path, exact=True).run(["logits"], {"image": IMAGES})[0]
        for path in (file.with_name("int8.onnx"), file)
    )
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-3 * np.abs(expected).max() * (kind == "hidden"))


@pytest.mark.parametrize("calibration", plugins.names("compress.quantization.calibrators"))
def test_an_activation_that_is_always_0_or_constant_gives_finite_scales_and_logits(
    calibration: str, model: OnnxModel
) -> None:
    int8 = int8_of(
        model,
        np.zeros_like(IMAGES),
        model.file.with_name("int8.onnx"),
        calibration,
    )
    graph = onnx.load(int8.file).graph

    assert all(np.isfinite(numpy_helper.to_array(tensor)).all() for tensor in graph.initializer)
    logits = open_session(int8.file).run(["logits"], {"image": np.zeros_like(IMAGES)})[0]
    np.testing.assert_array_equal(logits, np.zeros((len(IMAGES), 4)))
