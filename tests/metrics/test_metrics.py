from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from compress.metrics.classification import accuracy_counts, macro_averages
from compress.metrics.cost import cost_of_keras, cost_of_onnx
from compress.metrics.intervals import wilson

LABELS = np.array([0, 0, 1, 1])
PROBABILITIES = np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7], [0.2, 0.8]], np.float32)


def test_accuracy_is_a_count() -> None:
    assert accuracy_counts(LABELS, PROBABILITIES) == (3, 4)


def test_macro_averages_worked_by_hand() -> None:
    averages = macro_averages(LABELS, PROBABILITIES)

    assert averages["precision"] == pytest.approx((1 + 2 / 3) / 2)
    assert averages["recall"] == pytest.approx((1 / 2 + 1) / 2)
    assert averages["f1"] == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert averages["auc"] == pytest.approx(1.0)


def test_a_class_without_examples_is_left_out_of_all_means() -> None:
    three = np.concatenate([PROBABILITIES, np.zeros((4, 1), np.float32)], axis=1)

    assert macro_averages(LABELS, three) == pytest.approx(macro_averages(LABELS, PROBABILITIES))


def test_auc_of_a_single_class_is_not_a_number() -> None:
    assert np.isnan(macro_averages(np.zeros(4, int), PROBABILITIES)["auc"])


@pytest.mark.parametrize(
    ("correct", "n", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (81, 263, 0.2553, 0.3662),
    ],  # the last: Newcombe (1998), table I
)
def test_wilson_equals_published_values(correct: int, n: int, low: float, high: float) -> None:
    assert wilson(correct, n) == pytest.approx((low, high), abs=5e-5)


def test_cost_of_onnx_worked_by_hand(tmp_path: Path) -> None:
    """A 3x3 convolution 2 -> 4 on 8x8 with stride 2, then a product 64 -> 5 with its bias behind it."""
    kernel = np.ones((4, 2, 3, 3), np.float32)
    kernel[0] = 0
    dense = np.ones((64, 5), np.float32)
    tensors = {
        "kernel": kernel,
        "bias": np.ones(4, np.float32),
        "dense": dense,
        "dense_bias": np.zeros(5, np.float32),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "kernel", "bias"], ["a"], strides=[2, 2], pads=[1, 1, 1, 1]),
            helper.make_node("Flatten", ["a"], ["b"]),
            helper.make_node("MatMul", ["b", "dense"], ["c"]),
            helper.make_node("Add", ["c", "dense_bias"], ["d"]),
        ],
        "toy",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2, 8, 8])],
        [helper.make_tensor_value_info("d", TensorProto.FLOAT, ["batch", 5])],
        [onnx.numpy_helper.from_array(array, name) for name, array in tensors.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "toy.onnx")

    cost = cost_of_onnx(tmp_path / "toy.onnx")

    assert cost.params == 72 + 4 + 320 + 5
    assert cost.nonzero_params == 54 + 4 + 320
    assert cost.sparsity == pytest.approx(18 / (72 + 320))
    assert cost.macs == 4 * 4 * 4 * 18 + 320


def test_cost_of_keras_worked_by_hand() -> None:
    from compress.training.tensorflow import keras

    layers = keras.layers
    image = keras.Input((8, 8, 2))
    x = layers.Flatten()(layers.Conv2D(4, 3, strides=2, padding="same")(image))
    model = keras.Model(image, layers.Dense(5)(x))

    assert cost_of_keras(model) == (72 + 4 + 320 + 5, 4 * 4 * 4 * 18 + 320)
