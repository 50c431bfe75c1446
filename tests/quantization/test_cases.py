"""Small networks on which quantizers went wrong, with the right answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper
from onnx.helper import make_node

from benchmarks.int8 import int8_of
from compress import plugins
from compress.artifacts import OnnxModel
from compress.onnx_tools.sessions import open_session
from tests.quantization.conftest import CLASSES, Constants, Write

LEVELS = onnxruntime.GraphOptimizationLevel
CALIBRATORS = plugins.names("compress.quantization.calibrators")
TO_LOGITS = [make_node("GlobalAveragePool", ["deep"], ["pooled"]), make_node("Flatten", ["pooled"], ["logits"])]
CONV = make_node("Conv", ["x", "k", "b"], ["sums"])
WHITE = np.full((3, 16, 16, 1), 255, np.uint8)


def answers(model: OnnxModel, images: np.ndarray, **options: Any) -> np.ndarray:
    """Return the int8 version's logits, after checking that they do not depend on how the runtime optimizes it."""
    int8 = int8_of(model, images, model.file.with_name("int8.onnx"), **options)
    given = []
    for level in (LEVELS.ORT_DISABLE_ALL, LEVELS.ORT_ENABLE_BASIC, LEVELS.ORT_ENABLE_EXTENDED, LEVELS.ORT_ENABLE_ALL):
        settings = onnxruntime.SessionOptions()
        settings.graph_optimization_level = level
        session = onnxruntime.InferenceSession(int8.file, settings, providers=["CPUExecutionProvider"])
        given.append(session.run(["logits"], {"image": images})[0])
    for other in given[1:]:
        np.testing.assert_allclose(other, given[0], atol=0.02 * np.abs(given[0]).max() + 1e-6)
    return np.asarray(given[0])


def in_float(model: OnnxModel, images: np.ndarray) -> np.ndarray:
    return np.asarray(open_session(model.file).run(["logits"], {"image": images})[0])


def kernel(*of_outputs: float) -> np.ndarray:
    """Return 1x1 kernels with these weights."""
    return np.array(of_outputs, np.float32).reshape(-1, 1, 1, 1)


@pytest.mark.parametrize("activations", ["uint8", "int8"])
def test_a_bias_that_is_large_beside_tiny_weights_is_not_clipped(activations: str, write: Write) -> None:
    """In steps of the input's scale times the weights', 5 would need more than 32 bits."""
    nodes = [CONV, make_node("Identity", ["sums"], ["deep"]), *TO_LOGITS]
    model = write(nodes, {"k": kernel(1e-7, -1e-7, 2e-7, 0.01), "b": np.array([5, -4.5, 0, 1])})

    given = answers(model, WHITE, activations=activations)
    np.testing.assert_allclose(given, np.tile([5, -4.5, 0, 3.55], (3, 1)), atol=0.03)


@pytest.mark.parametrize("calibration", CALIBRATORS)
@pytest.mark.parametrize("level", [0, 7, 255])
def test_filters_of_almost_nothing_and_activations_that_never_change_keep_their_bias(
    level: int, calibration: str, write: Write
) -> None:
    nodes = [CONV, make_node("Relu", ["sums"], ["deep"]), *TO_LOGITS]
    model = write(nodes, {"k": kernel(0, 1e-27, -1, 1), "b": np.array([3, 2, 0.0, 1])})
    images = np.full((3, 16, 16, 1), level, np.uint8)

    given = answers(model, images, calibration=calibration)
    graph = onnx.load(model.file.with_name("int8.onnx")).graph
    assert all(np.isfinite(numpy_helper.to_array(tensor)).all() for tensor in graph.initializer)
    np.testing.assert_allclose(given, in_float(model, images), atol=0.01 * max(level, 10))


@pytest.mark.parametrize("activations", ["uint8", "int8"])
def test_a_relu_clips_at_0_whatever_the_integers_are(activations: str, write: Write) -> None:
    nodes = [CONV, make_node("Relu", ["sums"], ["deep"]), *TO_LOGITS]
    model = write(nodes, {"k": kernel(-1, 1, -0.5, 0.5), "b": np.zeros(CLASSES)})

    given = answers(model, WHITE, activations=activations)
    np.testing.assert_allclose(given, np.tile([0, 255, 0, 127.5], (3, 1)), atol=1.1)


@pytest.mark.parametrize(("low", "weight"), [(0.5, 4 / 255), (0.0, 0.01), (-0.25, 0.01)])
def test_a_clip_keeps_its_bounds_and_lends_them_to_the_range_if_0_is_between(
    low: float, weight: float, write: Write
) -> None:
    """With 255 sums of both signs, steps are 2; within the bounds they are a 40th."""
    nodes = [CONV, make_node("Clip", ["sums", "low", "high"], ["deep"]), *TO_LOGITS]
    bounds = {"low": np.array(low), "high": np.array(6.0)}
    model = write(nodes, {"k": kernel(0, -1, weight, 1), "b": np.zeros(CLASSES), **bounds})

    wanted = np.tile([max(0, low), low, 255 * weight, 6], (3, 1))
    np.testing.assert_allclose(answers(model, WHITE), wanted, atol=0.02)


def test_convolutions_that_share_a_bias_each_get_their_own(write: Write) -> None:
    """Their inputs reach to 1 and to 100, so that one integer cannot stand for the bias of both."""
    nodes = [
        make_node("Mul", ["x", "small"], ["one"]),
        make_node("Mul", ["x", "large"], ["other"]),
        make_node("Conv", ["one", "k", "b"], ["first"]),
        make_node("Conv", ["other", "k", "b"], ["second"]),
        make_node("Add", ["first", "second"], ["deep"]),
        *TO_LOGITS,
    ]
    scales = {"small": np.array(1 / 255), "large": np.array(100 / 255)}
    model = write(nodes, {"k": kernel(1, -1, 0.5, 0.1), "b": np.array([40.0, 7, -3, 0.3]), **scales})

    np.testing.assert_allclose(answers(model, WHITE), in_float(model, WHITE), atol=1.0)
    graph = onnx.load(model.file.with_name("int8.onnx")).graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    biases = [makers[node.input[2]] for node in graph.node if node.op_type == "Conv"]
    assert len({node.input[0] for node in biases}) == 2
    for node in biases:
        stored, scale = (constants[name] for name in node.input[:2])
        np.testing.assert_allclose(stored * scale, [40, 7, -3, 0.3], atol=1e-2)


@pytest.mark.parametrize("transposed", [0, 1])
def test_a_matrix_has_a_scale_for_each_output_however_it_is_stored(transposed: int, write: Write) -> None:
    weights = np.random.default_rng(0).normal(0, 1, (256, CLASSES)) * [1, 0.01, 100, 1e-4]
    values: Constants = {"w": weights.T if transposed else weights, "b": np.arange(CLASSES).reshape(1, CLASSES)}
    nodes = [
        make_node("Flatten", ["x"], ["flat"]),
        make_node("Gemm", ["flat", "w", "b"], ["logits"], transB=transposed),
    ]
    model = write(nodes, values)
    images = np.random.default_rng(1).integers(0, 256, (5, 16, 16, 1), np.uint8)
    images[0, 0, 0, 0] = 255

    given, wanted = answers(model, images), in_float(model, images)
    assert (np.abs(given - wanted).max(axis=0) < 0.02 * np.abs(wanted).max(axis=0) + 1e-3).all()
    graph = onnx.load(model.file.with_name("int8.onnx")).graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    [stored] = [
        node
        for node in graph.node
        if node.op_type == "DequantizeLinear" and constants.get(node.input[0], np.array(0)).ndim == 2
    ]
    assert constants[stored.input[1]].shape == (CLASSES,)
    axis = next(attribute.i for attribute in stored.attribute if attribute.name == "axis")
    assert constants[stored.input[0]].shape[axis] == CLASSES


def test_integers_that_are_reshaped_stand_for_what_they_did(write: Write, tmp_path: Path) -> None:
    nodes = [
        make_node("DequantizeLinear", ["q", "scale"], ["values"]),
        make_node("Reshape", ["values", "shape"], ["row"]),
        make_node("GlobalAveragePool", ["x"], ["pooled"]),
        make_node("Flatten", ["pooled"], ["flat"]),
        make_node("MatMul", ["flat", "row"], ["logits"]),
    ]
    model = write(nodes, {"scale": np.array(0.01)})
    loaded = onnx.load(model.file)
    loaded.graph.initializer.extend(
        [
            numpy_helper.from_array(np.array([-30, 0, 127, -128], np.int8), "q"),
            numpy_helper.from_array(np.array([1, 4], np.int64), "shape"),
        ]
    )
    onnx.save(loaded, model.file)

    images = np.ones((2, 16, 16, 1), np.uint8)
    np.testing.assert_allclose(answers(model, images), np.tile([-0.30, 0, 1.27, -1.28], (2, 1)), atol=0.02)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("shape", [(CLASSES,), (1, CLASSES), (1,), ()])
def test_every_product_runs_as_integers_whatever_adds_its_bias(
    shape: tuple[int, ...], transposed: bool, write: Write, tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    order = ["b", "products"] if transposed else ["products", "b"]
    nodes = [
        make_node("Conv", ["x", "k"], ["sums"]),
        make_node("GlobalAveragePool", ["sums"], ["pooled"]),
        make_node("Flatten", ["pooled"], ["flat"]),
        make_node("MatMul", ["flat", "w"], ["products"]),
        make_node("Add", order, ["logits"]),
    ]
    values = {"k": random.normal(0, 1, (8, 1, 3, 3)), "w": random.normal(0, 1, (8, CLASSES)), "b": np.full(shape, 7.0)}
    model = write(nodes, values)
    images = random.integers(0, 256, (9, 16, 16, 1), np.uint8)

    given, wanted = answers(model, images), in_float(model, images)
    assert np.abs(given - wanted).max() < 0.05 * np.abs(wanted).max()
    settings = onnxruntime.SessionOptions()
    settings.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    onnxruntime.InferenceSession(tmp_path / "int8.onnx", settings, providers=["CPUExecutionProvider"])
    ran = [node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node]
    assert "QGemm" in ran
    assert not {"MatMul", "Gemm", "Conv", "FusedConv"} & set(ran)


def test_a_product_with_weights_of_three_dimensions_stays_in_float(write: Write) -> None:
    random = np.random.default_rng(0)
    nodes = [
        make_node("Conv", ["x", "k"], ["sums"]),
        make_node("Squeeze", ["sums", "axis"], ["rows"]),
        make_node("MatMul", ["rows", "w"], ["made"]),
        make_node("ReduceMean", ["made"], ["logits"], axes=[1], keepdims=0),
    ]
    model = write(nodes, {"k": random.normal(0, 1, (1, 1, 3, 3)), "w": random.normal(0, 1, (1, 14, CLASSES))})
    loaded = onnx.load(model.file)
    loaded.graph.initializer.append(numpy_helper.from_array(np.array([1]), "axis"))
    onnx.save(loaded, model.file)
    images = random.integers(0, 256, (4, 16, 16, 1), np.uint8)

    given, wanted = answers(model, images), in_float(model, images)
    assert np.abs(given - wanted).max() < 0.1 * np.abs(wanted).max()
