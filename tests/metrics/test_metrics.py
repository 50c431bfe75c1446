from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from compress.metrics.classification import accuracy_counts, auc, calibration_error, cross_entropy, top_k_count
from compress.metrics.comparison import changed, mcnemar, only_right
from compress.metrics.confusion import class_scores, confusion_matrix, macro_averages, macro_intervals
from compress.metrics.cost import cost_of_keras, cost_of_onnx
from compress.metrics.intervals import paired_difference, wilson
from students import plain

LABELS = np.array([0, 0, 1, 1])
PROBABILITIES = np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7], [0.2, 0.8]], np.float32)


def test_accuracy_is_a_count() -> None:
    assert accuracy_counts(LABELS, PROBABILITIES) == (3, 4)


def counts_of(confusion: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)


def test_top_k_counts_images_whose_class_is_among_the_k_most_probable() -> None:
    probabilities = np.array([[0.1, 0.2, 0.3, 0.4]] * 4, np.float32)

    assert [top_k_count(np.arange(4), probabilities, k) for k in (1, 2, 3)] == [1, 2, 3]
    assert top_k_count(np.zeros(4, int), probabilities, 3) == 0


def test_rows_of_the_confusion_matrix_are_true_classes() -> None:
    assert confusion_matrix(LABELS, PROBABILITIES).tolist() == [[1, 1], [0, 2]]


def test_macro_averages_worked_by_hand() -> None:
    averages = macro_averages(*counts_of(confusion_matrix(LABELS, PROBABILITIES)))

    assert averages["precision"] == pytest.approx((1 + 2 / 3) / 2)
    assert averages["recall"] == pytest.approx((1 / 2 + 1) / 2)
    assert averages["f1"] == pytest.approx((2 / 3 + 4 / 5) / 2)


def test_scores_equal_those_of_scikit_learn() -> None:
    """With a class that is never predicted (3) and one without examples that is predicted (4)."""
    from sklearn.metrics import precision_recall_fscore_support

    random = np.random.default_rng(1)
    labels, predicted = random.integers(0, 4, 200), random.choice([0, 1, 2, 4], 200)
    confusion = confusion_matrix(labels, np.eye(5, dtype=np.float32)[predicted])

    each = precision_recall_fscore_support(labels, predicted, labels=range(5), zero_division=0)
    macro = precision_recall_fscore_support(labels, predicted, labels=range(4), average="macro", zero_division=0)
    for i, name in enumerate(("precision", "recall", "f1")):
        np.testing.assert_allclose(class_scores(*counts_of(confusion))[name], each[i])
        assert macro_averages(*counts_of(confusion))[name] == pytest.approx(macro[i])


def test_a_class_without_examples_is_left_out_of_all_means() -> None:
    three = np.concatenate([PROBABILITIES, np.zeros((4, 1), np.float32)], axis=1)
    two_classes, three_classes = confusion_matrix(LABELS, PROBABILITIES), confusion_matrix(LABELS, three)

    assert macro_averages(*counts_of(three_classes)) == macro_averages(*counts_of(two_classes))
    assert macro_intervals(three_classes) == macro_intervals(two_classes)
    assert auc(LABELS, three) == auc(LABELS, PROBABILITIES)


def test_auc_is_1_where_the_classes_are_ranked_apart_and_none_where_there_is_one() -> None:
    assert auc(LABELS, PROBABILITIES) == 1
    assert auc(np.zeros(4, int), PROBABILITIES) is None


def test_cross_entropy_worked_by_hand() -> None:
    assert cross_entropy(LABELS, PROBABILITIES) == pytest.approx(-np.log(0.9 * 0.4 * 0.7 * 0.8) / 4)


def test_cross_entropy_of_a_certain_error_is_finite() -> None:
    certain = np.array([[1, 0]], np.float32)

    assert cross_entropy(np.array([1]), certain) == pytest.approx(-np.log(np.finfo(np.float32).eps))
    assert cross_entropy(np.array([0]), certain) == pytest.approx(0, abs=1e-6)


def test_calibration_error_worked_by_hand() -> None:
    """Bins (8/15, 9/15], (10/15, 11/15] and (14/15, 1]: means of 0.56, 0.71, 0.98, accuracies of 0, 1, 2/3."""
    top = np.array([0.55, 0.57, 0.70, 0.72, 0.96, 0.98, 1.00])
    right = np.array([False, False, True, True, True, False, True])

    error = calibration_error((~right).astype(int), np.stack([top, 1 - top], axis=1).astype(np.float32))

    assert error == pytest.approx((2 * 0.56 + 2 * (1 - 0.71) + 3 * (0.98 - 2 / 3)) / 7)


def test_a_certain_and_perfect_classifier_has_no_calibration_error() -> None:
    assert calibration_error(LABELS, np.eye(2, dtype=np.float32)[LABELS]) == 0


def test_the_bootstrap_interval_of_two_equal_classes_recall_is_about_that_of_wilson() -> None:
    """Two classes of equal size and recall: the macro recall varies as a proportion of all images does."""
    assert macro_intervals(np.array([[450, 50], [50, 450]]))["recall"] == pytest.approx(wilson(900, 1000), abs=0.003)


def test_the_bootstrap_interval_covers_the_truth_as_often_as_it_says() -> None:
    """Of 300 samples some 285; between 272 and 295 in all but one of 700 tries of an exact interval."""
    truth = np.array([[40, 6, 4], [3, 24, 3], [4, 4, 12]])
    samples = np.random.default_rng(2).multinomial(400, truth.ravel() / truth.sum(), size=300).reshape(-1, 3, 3)

    intervals = [macro_intervals(sample) for sample in samples]

    for name, value in macro_averages(*counts_of(truth)).items():
        assert 272 <= sum(interval[name][0] <= value <= interval[name][1] for interval in intervals) <= 295


def test_bootstrap_intervals_are_the_same_each_time_and_a_point_without_errors() -> None:
    confusion = np.array([[8, 2], [1, 9]])

    assert macro_intervals(confusion) == macro_intervals(confusion)
    assert set(macro_intervals(np.diag([5, 5])).values()) == {(1.0, 1.0)}


def test_what_only_one_of_two_classifiers_has_right() -> None:
    answers, always_1 = PROBABILITIES.argmax(axis=1), np.ones(4, np.int64)

    assert only_right(LABELS, answers, always_1) == (1, 0)
    assert only_right(LABELS, always_1, answers) == (0, 1)
    assert changed(answers, always_1) == 1 / 4


@pytest.mark.parametrize(
    ("only_first", "only_second", "p"),
    [
        (1, 7, 18 / 256),  # by hand, twice the chance of at most 1 of 8; Bentur et al. (2009)
        (6, 16, 0.0525),  # Cavo et al. (2012); both are examples of Fagerland, Lydersen and Laake (2013)
        (5, 5, 1.0),
        (0, 0, 1.0),
    ],
)
def test_mcnemars_exact_p(only_first: int, only_second: int, p: float) -> None:
    assert mcnemar(only_first, only_second) == pytest.approx(p, abs=5e-5)
    assert mcnemar(only_second, only_first) == pytest.approx(p, abs=5e-5)


def test_the_interval_of_a_paired_difference_equals_published_values() -> None:
    """The example of R's PropCIs, diffpropci.mp(b = 40, c = 20, n = 160), which subtracts the other way round."""
    assert paired_difference(20, 40, 160) == pytest.approx((-0.21601726, -0.03089632), abs=5e-9)
    assert paired_difference(40, 20, 160) == pytest.approx((0.03089632, 0.21601726), abs=5e-9)


def test_the_interval_of_a_paired_difference_has_a_width_where_nothing_differs_and_stays_within_1() -> None:
    low, high = paired_difference(0, 0, 100)

    assert low == -high == pytest.approx(-1.959964 / 102)
    assert paired_difference(1, 0, 1)[1] == 1


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
    from compress.tensorflow import keras

    layers = keras.layers
    image = keras.Input((8, 8, 2))
    x = layers.Flatten()(layers.Conv2D(4, 3, strides=2, padding="same")(image))
    model = keras.Model(image, layers.Dense(5)(x))

    assert cost_of_keras(model) == (72 + 4 + 320 + 5, 4 * 4 * 4 * 18 + 320)


def test_the_cost_of_rectangles_is_that_of_their_area() -> None:
    """3x3 convolutions, 3 -> 2 on 32x96 and 2 -> 4 on 16x48, then pooled: dense 4 -> 5."""
    params, macs = cost_of_keras(plain.build((32, 96, 3), 5, width=2, blocks=2))

    assert macs == 32 * 96 * 54 + 16 * 48 * 72 + 4 * 5
    assert (params, macs) == cost_of_keras(plain.build((96, 32, 3), 5, width=2, blocks=2))


def test_cost_of_separable_convolutions_worked_by_hand_is_that_of_their_onnx_form(tmp_path: Path) -> None:
    """3x3 depthwise on 8x8x2; 3x3 separable with stride 2, 2 -> 4; dense 64 -> 5."""
    from compress.tensorflow import keras, tf

    import tf2onnx  # isort: skip  # after Keras 2 is chosen

    layers = keras.layers
    image = keras.Input((8, 8, 2))
    x = layers.DepthwiseConv2D(3, padding="same")(image)
    x = layers.Flatten()(layers.SeparableConv2D(4, 3, strides=2, padding="same")(x))
    model = keras.Model(image, layers.Dense(5)(x))
    signature = [tf.TensorSpec((None, 8, 8, 2), tf.float32)]
    proto, _ = tf2onnx.convert.from_function(tf.function(lambda image: model(image)), signature, opset=17)
    onnx.save(proto, tmp_path / "separable.onnx")

    params, macs = cost_of_keras(model)

    assert params == (18 + 2) + (18 + 8 + 4) + (320 + 5)
    assert macs == 8 * 8 * 18 + 4 * 4 * (18 + 8) + 320
    assert cost_of_onnx(tmp_path / "separable.onnx").macs == macs
