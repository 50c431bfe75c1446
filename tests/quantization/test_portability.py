"""Sums that are clipped to 16 bits in pairs, against loops that follow the instruction; and models that need none."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from compress.artifacts import OnnxModel
from compress.onnx_tools import canonical, sessions
from compress.onnx_tools.sessions import open_session
from compress.quantization.emulation import SaturatingSession, accuracies
from compress.quantization.portability import clipped_off, products_of, saturating
from compress.quantization.settings import Calibrator
from compress.quantization.static import observed, quantize_for
from compress.quantization.targets import TARGETS
from tests.quantization.conftest import Write

LEAST, MOST = -32768, 32767
WITH_INTEGERS = ("QLinearConv", "QGemm", "QLinearMatMul", "MatMulIntegerToFloat")


def test_the_sum_of_a_known_case_is_off_by_what_clipping_takes() -> None:
    activations, weights = np.array([[210], [198], [234]], np.uint8), np.array([[-81, -80, 127]], np.int8)

    [[exact]] = weights.astype(int) @ activations.astype(int)
    [[clipped]] = clipped_off(activations, weights, np.array([[True]]))

    assert (exact, exact + clipped) == (-3132, -3050)


def write_qdq(
    file: Path,
    product: str,
    weights: np.ndarray,
    zero_point: np.ndarray,
    *,
    channels: int,
    side: int = 5,
    bias: bool = False,
    **attributes: Any,
) -> OnnxModel:
    """Write a network of one product of pixels, one unit a step, whose sums are the logits."""
    axis = 0 if product == "Conv" or attributes.get("transB") else 1
    outputs = weights.shape[axis]
    constants = {
        "one": np.float32(1),
        "zero_point": zero_point,
        "w": weights,
        "scales": np.ones(outputs, np.float32),
        "zeros": np.zeros(outputs, np.int8),
        "bias": np.zeros(outputs, np.float32),
    }
    shaped = helper.make_node("Transpose", ["pixels"], ["x"], perm=[0, 3, 1, 2])
    if product != "Conv":
        shaped = helper.make_node("Flatten", ["pixels"], ["x"])
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        shaped,
        helper.make_node("QuantizeLinear", ["x", "one", "zero_point"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "one", "zero_point"], ["dq"]),
        helper.make_node("DequantizeLinear", ["w", "scales", "zeros"], ["dw"], axis=axis),
        helper.make_node(product, ["dq", "dw"], ["sums" if bias else "logits"], "net/layer/product", **attributes),
    ]
    if bias:
        nodes.append(helper.make_node("Add", ["sums", "bias"], ["logits"]))
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "m",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", side, side, channels])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items() if name in used],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), file)
    return OnnxModel("m", "quantize", "int8", (side, side, channels), outputs, file)


def saturated_sum(pairs: list[tuple[int, int]]) -> int:
    """Return the sum of products of raw activations and weights as PMADDUBSW and 32 bits add them."""
    sums = [sum(a * w for a, w in pairs[i : i + 2]) for i in range(0, len(pairs), 2)]
    return sum(min(max(each, LEAST), MOST) for each in sums)


def convolved(raw: np.ndarray, weights: np.ndarray, zero: int, groups: int, strides: int, step: int) -> np.ndarray:
    """Return a convolution of padded raw activations `(images, channels, height, width)`, output by output."""
    outputs, of_group, rows, columns = weights.shape
    images, _, height, width = raw.shape
    high = (height - (rows - 1) * step - 1) // strides + 1
    wide = (width - (columns - 1) * step - 1) // strides + 1
    result = np.zeros((images, outputs, high, wide))
    for n, o, y, x in np.ndindex(result.shape):
        first = o // (outputs // groups) * of_group
        window = [
            (int(raw[n, first + c, y * strides + i * step, x * strides + j * step]), int(weights[o, c, i, j]))
            for i, j, c in np.ndindex(rows, columns, of_group)
        ]
        depthwise = of_group == 1 and outputs == groups
        total = sum(a * w for a, w in window) if depthwise else saturated_sum(window)
        result[n, o, y, x] = total - zero * sum(w for _, w in window)
    return result


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_convolutions_are_emulated_as_the_instruction_adds(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    groups, of_group, per_group = (data.draw(st.integers(1, 3), name) for name in ("groups", "of_group", "per_group"))
    kernel, strides, step = (
        data.draw(st.integers(1, n), name) for name, n in (("kernel", 3), ("strides", 2), ("step", 2))
    )
    pads = data.draw(st.lists(st.integers(0, 2), min_size=4, max_size=4), "pads")
    signed, zero = data.draw(st.booleans(), "signed"), data.draw(st.sampled_from([0, 3]), "zero")
    random = np.random.default_rng(data.draw(st.integers(0, 99), "seed"))
    weights = random.choice([-127, -100, -3, 0, 90, 127], (groups * per_group, of_group, kernel, kernel)).astype(
        np.int8
    )
    images = random.choice([0, 7, 180, 255], (2, 5, 5, groups * of_group)).astype(np.uint8)
    zero_point = np.int8(zero - 128) if signed else np.uint8(zero)
    model = write_qdq(
        tmp_path_factory.mktemp("qdq") / "m.onnx",
        "Conv",
        weights,
        np.asarray(zero_point),
        channels=groups * of_group,
        group=groups,
        strides=[strides] * 2,
        dilations=[step] * 2,
        pads=pads,
    )
    raw = np.clip(images.transpose(0, 3, 1, 2).astype(int) + zero, 0, 255)
    raw = np.pad(raw, ((0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])), constant_values=zero)

    [given_logits] = SaturatingSession(model).run(["logits"], {"image": images})

    np.testing.assert_allclose(given_logits, convolved(raw, weights, zero, groups, strides, step), atol=0.5)


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER", "VALID"])
def test_borders_that_the_file_leaves_to_the_operator_are_emulated(auto_pad: str, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    weights = random.choice([-127, 127], (3, 2, 2, 2)).astype(np.int8)
    images = random.choice([0, 200, 255], (2, 5, 5, 2)).astype(np.uint8)
    before, behind = {"SAME_UPPER": (0, 1), "SAME_LOWER": (1, 0), "VALID": (0, 0)}[auto_pad]
    model = write_qdq(tmp_path / "m.onnx", "Conv", weights, np.asarray(np.uint8(0)), channels=2, auto_pad=auto_pad)
    raw = np.pad(images.transpose(0, 3, 1, 2), ((0, 0), (0, 0), (before, behind), (before, behind)))

    [logits] = SaturatingSession(model).run(["logits"], {"image": images})

    np.testing.assert_allclose(logits, convolved(raw, weights, 0, 1, 1, 1), atol=0.5)


@pytest.mark.parametrize(("product", "attributes"), [("Gemm", {"transB": 1}), ("Gemm", {}), ("MatMul", {})])
def test_matrix_products_are_emulated_as_the_instruction_adds(
    product: str, attributes: dict[str, Any], tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    weights = random.choice([-127, 90, 127], (4, 25)).astype(np.int8)
    images = random.integers(0, 256, (3, 5, 5, 1), np.uint8)
    stored = weights if attributes else np.ascontiguousarray(weights.T)
    model = write_qdq(tmp_path / "m.onnx", product, stored, np.asarray(np.uint8(0)), channels=1, **attributes)

    [logits] = SaturatingSession(model).run(["logits"], {"image": images})

    expected = [
        [saturated_sum(list(zip(image.ravel().tolist(), row.tolist(), strict=True))) for row in weights]
        for image in images
    ]
    np.testing.assert_allclose(logits, expected, atol=0.5)
    assert np.abs(logits - images.reshape(3, -1).astype(float) @ weights.T).max() > 1000


@pytest.mark.parametrize("signed", [False, True])
def test_an_exact_session_adds_in_32_bits_on_every_processor(signed: bool, tmp_path: Path) -> None:
    weights = np.full((2, 4, 3, 3), 127, np.int8)
    images = np.full((1, 5, 5, 4), 255, np.uint8)
    zero_point = np.asarray(np.int8(-128) if signed else np.uint8(0))
    model = write_qdq(tmp_path / "m.onnx", "Conv", weights, zero_point, channels=4)

    session = open_session(model.file, exact=True)

    np.testing.assert_allclose(session.run(["logits"], {"image": images})[0], 36 * 127 * 255)


TO_LOGITS = [
    helper.make_node("GlobalAveragePool", ["deep"], ["pooled"]),
    helper.make_node("Flatten", ["pooled"], ["logits"]),
]


def quantized(target: str, model: OnnxModel, images: np.ndarray) -> OnnxModel:
    ranges = Calibrator().function(observed(model, images, model.file.parent))
    return quantize_for(TARGETS[target], model, ranges, model.file.with_name("int8.onnx"), activations="uint8")


def test_activations_that_two_products_take_are_clipped_in_both(write: Write, pictures: np.ndarray) -> None:
    """The first of them runs in a segment of its own, after which the second still needs what it took."""
    random = np.random.default_rng(0)
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["sums"], name="first"),
        helper.make_node("Relu", ["sums"], ["h"]),
        helper.make_node("Conv", ["h", "k1"], ["one"], name="one"),
        helper.make_node("Conv", ["h", "k2"], ["two"], name="two"),
        helper.make_node("Add", ["one", "two"], ["deep"]),
        *TO_LOGITS,
    ]
    kernels = {"k": random.normal(0, 1, (8, 1, 3, 3)), "k1": random.uniform(0.5, 1, (4, 8, 1, 1))}
    int8 = quantized("this", write(nodes, {**kernels, "k2": random.uniform(0.5, 1, (4, 8, 1, 1))}), pictures[:20])

    [clipped] = SaturatingSession(int8).run(["logits"], {"image": pictures[:20]})
    exact = open_session(int8.file, as_written=True).run(["logits"], {"image": pictures[:20]})[0]
    assert {product.node.name for product in saturating(onnx.load(int8.file).graph)} >= {"one", "two"}
    assert (clipped < exact).any()


@pytest.mark.parametrize("target", ["x86-any", "this"])
def test_a_depthwise_layer_keeps_8_bits_and_is_not_said_to_have_7(
    target: str, write: Write, pictures: np.ndarray
) -> None:
    random = np.random.default_rng(0)
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["h"], name="first"),
        helper.make_node("Conv", ["h", "d"], ["deep"], name="depthwise", group=4),
        *TO_LOGITS,
    ]
    kernels = {name: random.uniform(0.5, 1, (4, 1, 3, 3)) for name in "kd"}
    int8 = quantized(target, write(nodes, kernels), pictures[:20])

    products = {product.node.name: product for product in products_of(onnx.load(int8.file).graph)}
    assert np.abs(products["depthwise"].weights.astype(int)).max() == 127
    assert not products["depthwise"].exceeding.any()
    assert {name: product.has_seven_bits for name, product in products.items()} == {
        "first": target == "x86-any",
        "depthwise": False,
    }


@pytest.mark.parametrize("names", [("blk_", "blk_"), ("c__1", "c__2"), ("c_2", "c"), ("", "")])
def test_layers_of_unusual_names_have_7_bits_too(names: tuple[str, str], write: Write, pictures: np.ndarray) -> None:
    random = np.random.default_rng(0)
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["h"], name=names[0]),
        helper.make_node("Conv", ["h", "k2"], ["deep"], name=names[1]),
        *TO_LOGITS,
    ]
    model = write(nodes, {"k": random.uniform(0.5, 1, (4, 1, 3, 3)), "k2": random.uniform(0.5, 1, (4, 4, 1, 1))})
    canonical.write(onnx.load(model.file), model.file)

    int8 = quantized("x86-any", model, pictures[:20])
    assert [product.has_seven_bits for product in products_of(onnx.load(int8.file).graph)] == [True, True]


@pytest.mark.parametrize("clips", [False, True])
def test_slower_kernels_are_asked_for_only_where_others_clip(
    clips: bool, fp32: OnnxModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "clips_sums", lambda: clips)

    options = open_session(fp32.file, exact=True).get_session_options()

    with nullcontext() if clips else pytest.raises(RuntimeError):  # onnxruntime's way to say that it is not set
        assert options.get_session_config_entry("session.x64quantprecision") == "1"


@pytest.mark.parametrize(
    ("product", "bias", "attributes"),
    [("MatMul", False, {}), ("MatMul", True, {}), ("Gemm", False, {}), ("Gemm", False, {"transB": 1})],
)
def test_products_with_integers_are_those_that_onnxruntime_computes_so(
    product: str, bias: bool, attributes: dict[str, Any], tmp_path: Path
) -> None:
    weights, zero_point = np.full((25, 25), 127, np.int8), np.asarray(np.uint8(0))
    model = write_qdq(tmp_path / "m.onnx", product, weights, zero_point, channels=1, bias=bias, **attributes)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    onnxruntime.InferenceSession(model.file, options)
    optimized = onnx.load(tmp_path / "optimized.onnx").graph.node

    with_integers = [node for node in optimized if node.op_type in WITH_INTEGERS]

    assert len(products_of(onnx.load(model.file).graph)) == len(with_integers)


@pytest.mark.parametrize(
    ("weights", "can"),
    [
        ([64, 64], False),
        ([64, 65], True),
        ([-64, -64], False),
        ([-64, -65], True),
        ([127, -127], False),
        ([127, 1, 0, 127], False),
        ([0, 1, 127], False),
    ],
)
def test_pairs_can_exceed_16_bits_from_a_sum_of_129(weights: list[int], can: bool, tmp_path: Path) -> None:
    """128 * 255 is 32,640, 129 * 255 is 32,895."""
    kernel = np.array(weights, np.int8).reshape(1, len(weights), 1, 1)
    model = write_qdq(tmp_path / "m.onnx", "Conv", kernel, np.asarray(np.uint8(0)), channels=len(weights))

    assert bool(saturating(onnx.load(model.file).graph)) == can


def write_float(file: Path, kernels: list[np.ndarray]) -> OnnxModel:
    """Write convolutions one after another, `(batch, 8, 8, 1) uint8` to the means of the last one's channels."""
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["pixels"], ["h0"], perm=[0, 3, 1, 2]),
        *(helper.make_node("Conv", [f"h{i}", f"k{i}", f"b{i}"], [f"h{i + 1}"], f"c{i}") for i in range(len(kernels))),
        helper.make_node("GlobalAveragePool", [f"h{len(kernels)}"], ["means"]),
        helper.make_node("Flatten", ["means"], ["logits"]),
    ]
    outputs = len(kernels[-1])
    constants = {
        **{f"k{i}": kernel for i, kernel in enumerate(kernels)},
        **{f"b{i}": np.ones(len(kernel)) for i, kernel in enumerate(kernels)},
    }
    graph = helper.make_graph(
        nodes,
        "m",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", 8, 8, 1])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", outputs])],
        [numpy_helper.from_array(values.astype(np.float32), name) for name, values in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), file)
    return OnnxModel("m", "export", "fp32", (8, 8, 1), outputs, file)


@pytest.fixture
def fp32(tmp_path: Path) -> OnnxModel:
    """Three convolutions of random weights; in the second, each output has one weight, which nothing can exceed."""
    random = np.random.default_rng(0)
    single = np.zeros((4, 4, 1, 1))
    single[range(4), range(4)] = 1
    return write_float(
        tmp_path / "fp32.onnx", [random.normal(size=(4, 1, 3, 3)), single, random.normal(size=(3, 4, 3, 3))]
    )


RANGES = {"h0": (0.0, 255.0), "h1": (-900.0, 900.0), "h2": (-900.0, 900.0), "h3": (-4000.0, 4000.0)}
RANGES = {**RANGES, "means": (-4000.0, 4000.0), "logits": (-4000.0, 4000.0)}
IMAGES = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1), np.uint8)


def test_weights_have_7_bits_only_where_pairs_could_exceed_16(fp32: OnnxModel, tmp_path: Path) -> None:
    this = quantize_for(TARGETS["this"], fp32, RANGES, tmp_path / "this.onnx", activations="uint8")
    portable = quantize_for(TARGETS["x86-any"], fp32, RANGES, tmp_path / "any.onnx", activations="uint8")

    assert [product.node.name for product in saturating(onnx.load(this.file).graph)] == ["c0", "c2"]
    products = products_of(onnx.load(portable.file).graph)
    assert [int(np.abs(product.weights).max()) for product in products] == [64, 127, 64]
    assert saturating(onnx.load(portable.file).graph) == []


def test_a_model_for_x86_any_answers_alike_where_sums_are_clipped(fp32: OnnxModel, tmp_path: Path) -> None:
    def off(target: str) -> float:
        int8 = quantize_for(TARGETS[target], fp32, RANGES, tmp_path / f"{target}.onnx", activations="uint8")
        [clipped] = SaturatingSession(int8).run(["logits"], {"image": IMAGES})
        exact = open_session(int8.file, as_written=True).run(["logits"], {"image": IMAGES})[0]
        return float(np.abs(clipped - exact).max())

    assert off("x86-any") == 0
    assert off("this") > 1


def test_accuracies_are_those_of_the_answers(fp32: OnnxModel, tmp_path: Path) -> None:
    int8 = quantize_for(TARGETS["this"], fp32, RANGES, tmp_path / "int8.onnx", activations="uint8")
    exact = open_session(int8.file, exact=True).run(["logits"], {"image": IMAGES})[0].argmax(axis=1)
    [clipped] = SaturatingSession(int8).run(["logits"], {"image": IMAGES})

    assert accuracies(int8, IMAGES, exact) == (1.0, np.mean(clipped.argmax(axis=1) == exact))


def test_for_tensorrt_zero_points_are_0_and_biases_float(fp32: OnnxModel, tmp_path: Path) -> None:
    int8 = quantize_for(TARGETS["tensorrt"], fp32, RANGES, tmp_path / "int8.onnx", activations="int8")
    graph = onnx.load(int8.file).graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}

    pairs = [node for node in graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert {constants[node.input[2]].dtype for node in pairs} == {np.dtype(np.int8)}
    assert [constants[node.input[2]].dtype for node in graph.node if node.op_type == "Conv"] == [np.float32] * 3
    assert all((constants[node.input[2]] == 0).all() for node in pairs)
