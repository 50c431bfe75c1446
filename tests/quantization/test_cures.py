"""What each cure changes, and that in float it changes no answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx.helper import make_node

from compress import plugins
from compress.artifacts import OnnxModel
from compress.quantization.biases import corrected
from compress.quantization.blame import damages
from compress.quantization.budget import CURES
from compress.quantization.candidates import Candidate, Workbench
from compress.quantization.choice import logits_of
from compress.quantization.cures import equalization, float_layers
from compress.quantization.layers import layers_of, stored_weights
from compress.quantization.observation import Observed
from compress.quantization.settings import Calibrator
from compress.quantization.static import quantize
from compress.quantization.targets import TARGETS
from tests.quantization.conftest import CLASSES, Constants, Write

RANDOM = np.random.default_rng(1)
WIDE = np.logspace(0, 3, 8)[[3, 0, 6, 2, 7, 5, 1, 4]]  # scales of channels, 1 to 1000


def normal(*shape: int) -> np.ndarray:
    return RANDOM.normal(0, 1, shape).astype(np.float32)


FIRST = {"k": normal(8, 1, 3, 3) * WIDE.reshape(8, 1, 1, 1), "b": normal(8) * WIDE}
LAST = {"w": normal(8, CLASSES), "c": normal(CLASSES)}
TO_LOGITS = [
    make_node("GlobalAveragePool", ["deep"], ["pooled"]),
    make_node("Flatten", ["pooled"], ["flat"]),
    make_node("Gemm", ["flat", "w", "c"], ["logits"], name="last"),
]
CONV = make_node("Conv", ["x", "k", "b"], ["sums"], name="first", pads=[1, 1, 1, 1])
RELU = make_node("Relu", ["sums"], ["h"])
NETWORKS: dict[str, tuple[list[onnx.NodeProto], Constants]] = {
    "a pool between convolutions": (
        [
            CONV,
            RELU,
            make_node("MaxPool", ["h"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
            make_node("Conv", ["p", "k2", "b2"], ["deep"], name="second"),
            *TO_LOGITS,
        ],
        {**FIRST, **LAST, "k2": normal(8, 8, 3, 3) / WIDE.reshape(1, 8, 1, 1), "b2": normal(8)},
    ),
    "a depthwise convolution": (
        [CONV, RELU, make_node("Conv", ["h", "k2", "b2"], ["deep"], name="second", group=8), *TO_LOGITS],
        {**FIRST, **LAST, "k2": normal(8, 1, 3, 3) / WIDE.reshape(8, 1, 1, 1), "b2": normal(8)},
    ),
    "two groups, without biases": (
        [
            make_node("Conv", ["x", "k"], ["sums"], name="first"),
            make_node("LeakyRelu", ["sums"], ["h"], alpha=0.1),
            make_node("Conv", ["h", "k2"], ["deep"], name="second", group=2),
            *TO_LOGITS,
        ],
        {"k": FIRST["k"], **LAST, "k2": normal(8, 4, 1, 1) / np.repeat(WIDE.reshape(2, 4), 4, 0).reshape(8, 4, 1, 1)},
    ),
    "one bias for both": (
        [CONV, RELU, make_node("Conv", ["h", "k2", "b"], ["deep"], name="second"), *TO_LOGITS],
        {**FIRST, **LAST, "k2": normal(8, 8, 1, 1) / WIDE.reshape(1, 8, 1, 1)},
    ),
    "matrices": (
        [
            make_node("Flatten", ["x"], ["flat"]),
            make_node("MatMul", ["flat", "k"], ["products"], name="first"),
            make_node("Add", ["b", "products"], ["sums"]),
            make_node("Relu", ["sums"], ["h"]),
            make_node("Gemm", ["h", "w", "c"], ["logits"], name="last", transB=1),
        ],
        {
            "k": normal(256, 8) * WIDE,
            "b": normal(1, 8) * WIDE,
            "w": normal(CLASSES, 8) / WIDE,
            "c": normal(1, CLASSES),
        },
    ),
    "squeezed means": (
        [
            make_node("Conv", ["x", "k", "b"], ["sums"], name="first"),
            make_node("Relu", ["sums"], ["h"]),
            make_node("GlobalAveragePool", ["h"], ["pooled"]),
            make_node("Flatten", ["pooled"], ["flat"]),
            make_node("Gemm", ["flat", "w", "c"], ["logits"], name="last"),
        ],
        {**FIRST, "w": LAST["w"] / WIDE.reshape(8, 1), "c": LAST["c"]},
    ),
}

Bench = Callable[[OnnxModel], Workbench]


@pytest.fixture
def bench(pictures: np.ndarray, tmp_path: Path) -> Bench:
    def of(model: OnnxModel) -> Workbench:
        labels = np.zeros(20, np.int64)
        return Workbench(model, pictures[:40], pictures[40:60], labels, "accuracy", TARGETS["this"], "uint8", tmp_path)

    return of


def constants(model: OnnxModel) -> Constants:
    """Return the constants by the node that takes them and the input's number."""
    graph = onnx.load(model.file).graph
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    return {
        f"{node.name}/{number}": stored[name]
        for node in graph.node
        for number, name in enumerate(node.input)
        if name in stored
    }


@pytest.mark.parametrize("network", NETWORKS)
def test_equal_channels_change_no_answer_in_float_and_come_to_one_scale(
    network: str, write: Write, bench: Bench
) -> None:
    model = write(*NETWORKS[network])
    workbench = bench(model)
    cured, *others = equalization.cured(Candidate(model, Calibrator()), workbench)

    before, after = workbench.wanted, logits_of(cured.model, workbench.images)
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-4 * np.abs(before).max())
    spread = {}
    for name, candidate in (("before", model), ("after", cured.model)):
        taken = {node.name: node.input[0] for node in onnx.load(candidate.file).graph.node}
        second = "second" if "second" in taken else "last"
        peaks = workbench.observed(candidate).channels[taken[second]].peaks
        spread[name] = peaks.max() / peaks[peaks > 0].min()
    assert spread["before"] > 100
    assert spread["after"] < spread["before"] / 10
    assert [other.model for other in others] == [cured.model] * (len(plugins.names(Calibrator.package)) - 1)
    assert list(equalization.cured(cured, workbench)) == []


def test_channels_that_are_always_0_or_that_no_weight_reads_widen_no_range(write: Write, bench: Bench) -> None:
    kernel, bias = normal(8, 1, 1, 1), np.zeros(8)
    kernel[0], kernel[1] = -1.0, 500.0
    weights = normal(8, CLASSES)
    weights[0], weights[1] = 1e4, 0.0  # read but always 0; large but not read
    nodes, _ = NETWORKS["squeezed means"]
    model = write(nodes, {"k": kernel, "b": bias, "w": weights, "c": LAST["c"]})
    cured, *_ = equalization.cured(Candidate(model, Calibrator()), workbench := bench(model))

    np.testing.assert_allclose(logits_of(cured.model, workbench.images), workbench.wanted, rtol=1e-3, atol=1e-2)
    after = np.abs(constants(cured.model)["last/1"])
    assert after[0].max() <= after[2:].max() * 1.001
    peaks = workbench.observed(cured.model).channels["flat"].peaks
    assert peaks[0] == 0
    assert peaks[1] <= peaks[2:].max() * 1.001


def test_channels_are_left_as_they_are_where_others_take_them_too(write: Write, bench: Bench) -> None:
    nodes = [
        make_node("Conv", ["x", "k", "b"], ["sums"], name="first"),
        make_node("Relu", ["sums"], ["h"]),
        make_node("Conv", ["h", "k2", "b2"], ["one"], name="second"),
        make_node("Add", ["one", "h"], ["deep"]),
        *TO_LOGITS,
    ]
    model = write(nodes, {**FIRST, **LAST, "k2": normal(8, 8, 1, 1), "b2": normal(8)})

    assert list(equalization.cured(Candidate(model, Calibrator()), bench(model))) == []


@pytest.mark.parametrize("bits", [7, 8])
@pytest.mark.parametrize("network", NETWORKS)
def test_corrected_biases_make_up_for_rounded_weights_at_the_mean_input(
    network: str, bits: int, write: Write, bench: Bench, pictures: np.ndarray, tmp_path: Path
) -> None:
    """The last layer sees one value per channel: sums of rounded weights and the new bias are on average as before."""
    model = write(*NETWORKS[network])
    channels = bench(model).observed(model).channels
    [*_, last] = layers_of(model)
    ranges = Calibrator().function(bench(model).observed(model))

    def corrected_for(in_float: list[str]) -> Constants:
        seven_bits = [last.name] if bits == 7 else []
        int8 = quantize(
            model, ranges, tmp_path / "int8.onnx", activations="uint8", in_float=in_float, seven_bits=seven_bits
        )
        return constants(corrected(model, channels, int8, tmp_path / "new.onnx"))

    old, new, kept = constants(model), corrected_for([]), corrected_for([last.name])
    assert all((old[key] == new[key]).all() for key in old if key.endswith("/1"))  # the weights
    np.testing.assert_array_equal(kept["last/2"], old["last/2"])
    weights, means = old["last/1"], channels["h" if network == "matrices" else "flat"].means
    weights = weights if network == "matrices" else weights.T  # outputs first
    step = np.abs(weights).max(axis=1, keepdims=True) / (2 ** (bits - 1) - (1 if bits == 8 else 0))
    rounded = np.round(weights / step) * step
    wanted = weights @ means + old["last/2"].ravel()
    assert np.abs(rounded @ means + old["last/2"].ravel() - wanted).max() > 1e-3
    np.testing.assert_allclose(rounded @ means + new["last/2"].ravel(), wanted, rtol=1e-4, atol=1e-4)


def test_layers_go_to_float_one_by_one_the_worst_first_and_one_stays(
    write: Write, bench: Bench, tmp_path: Path
) -> None:
    model = write(*NETWORKS["a pool between convolutions"])
    workbench = bench(model)
    made = list(float_layers.cured(Candidate(model, Calibrator()), workbench))

    assert [len(candidate.in_float) for candidate in made] == [1, 2]
    assert made[1].in_float[0] == made[0].in_float[0]
    assert "last" not in {layer.name for layer in made[0].in_float}  # whose input and weights are of one scale
    for candidate in made:
        kept = {layer.name for layer in candidate.in_float}
        graph = onnx.load(workbench.write(candidate, tmp_path / "int8.onnx").file).graph
        makers = {name: node.op_type for node in graph.node for name in node.output}
        in_int8 = {node.name for node in graph.node if makers.get((*node.input, "", "")[1]) == "DequantizeLinear"}
        assert in_int8 == {"first", "second", "last"} - kept


def test_a_layer_is_its_product_and_what_follows_it_in_integers(write: Write) -> None:
    layers = layers_of(write(*NETWORKS["a pool between convolutions"]))

    assert [(layer.name, len(layer.nodes), layer.macs) for layer in layers] == [
        ("first", 3, 16 * 16 * 8 * 9),  # with Relu and MaxPool
        ("second", 1, 6 * 6 * 8 * 8 * 9),
        ("last", 1, 8 * CLASSES),
    ]


@pytest.mark.parametrize("cure", CURES)
def test_no_cure_makes_a_zero_of_pruning_something_else(
    cure: ModuleType, write: Write, bench: Bench, tmp_path: Path
) -> None:
    nodes, values = NETWORKS["a pool between convolutions"]
    pruned = {name: np.where(RANDOM.random(array.shape) < 0.5, 0, array) for name, array in values.items()}
    pruned["w"][3] = 0.0
    model = write(nodes, pruned)
    workbench = bench(model)

    for candidate in cure.cured(Candidate(model, Calibrator()), workbench):
        int8 = stored_weights(onnx.load(workbench.write(candidate, tmp_path / "int8.onnx").file).graph)
        assert set(int8) == {"first", "second", "last"} - {layer.name for layer in candidate.in_float}
        for name, weights in int8.items():
            assert (weights[pruned[{"first": "k", "second": "k2", "last": "w"}[name]] == 0] == 0).all()


def test_a_candidate_says_what_it_is(write: Write) -> None:
    model = write(*NETWORKS["a pool between convolutions"])
    plain = Candidate(model, Calibrator(name="percentile", options={"percent": 99.0}))
    [first, second, _] = layers_of(model)

    assert plain.told == "calibration percentile (percent=99.0)"
    done = replace(plain, is_equalized=True, corrects_biases=True, in_float=(first, second))
    assert done.told == f"{plain.told}; equalized channels; corrected biases; first, second in float"


def test_layers_of_one_name_are_told_apart(write: Write, bench: Bench) -> None:
    nodes = [
        make_node("Conv", ["x", "k", "b"], ["sums"], name="net/one/conv/Conv2D"),
        RELU,
        make_node("Conv", ["h", "k2", "b2"], ["deep"], name="net/two/conv/Conv2D"),
        *TO_LOGITS,
    ]
    _, values = NETWORKS["a pool between convolutions"]
    model = write(nodes, values)
    workbench = bench(model)

    assert [layer.label for layer in layers_of(model)] == ["net/one/conv/Conv2D", "net/two/conv/Conv2D", "last"]
    found = damages(Candidate(model, Calibrator()), workbench)
    assert len({damage.signal_to_noise for _, damage in found}) == 3


@pytest.mark.parametrize(
    "between",
    [
        [make_node("MatMul", ["flat", "k"], ["sums"], name="first"), make_node("Add", ["sums", "other"], ["mixed"])],
        [make_node("Gemm", ["flat", "k", "other"], ["mixed"], name="first")],
    ],
)
def test_what_is_added_but_is_no_constant_keeps_its_size(
    between: list[onnx.NodeProto], write: Write, bench: Bench
) -> None:
    nodes = [
        make_node("Flatten", ["x"], ["flat"]),
        make_node("MatMul", ["flat", "k0"], ["other"], name="beside"),
        *between,
        make_node("Relu", ["mixed"], ["h"]),
        make_node("MatMul", ["h", "w"], ["logits"], name="last"),
    ]
    model = write(nodes, {"k": normal(256, 8) * WIDE, "k0": normal(256, 8), "w": normal(8, CLASSES)})

    assert list(equalization.cured(Candidate(model, Calibrator()), bench(model))) == []


def test_channels_of_a_product_over_four_dimensions_are_left(write: Write, bench: Bench) -> None:
    nodes = [
        make_node("MatMul", ["x", "k"], ["sums"], name="first"),
        make_node("Relu", ["sums"], ["h"]),
        make_node("MatMul", ["h", "k2"], ["deep"], name="second"),
        make_node("ReduceMean", ["deep"], ["means"], axes=[1, 2], keepdims=0),
        make_node("MatMul", ["means", "w"], ["logits"], name="last"),
    ]
    model = write(nodes, {"k": normal(16, 8) * WIDE, "k2": normal(8, 8), "w": normal(8, CLASSES)})
    workbench = bench(model)

    for candidate in equalization.cured(Candidate(model, Calibrator()), workbench):
        np.testing.assert_allclose(logits_of(candidate.model, workbench.images), workbench.wanted, rtol=1e-4)


def test_means_of_channels_weigh_all_values_alike() -> None:
    seen = Observed(lambda: [{"a": np.array([[2.0, 0]]), "b": np.ones((4, 3))}, {"a": np.array([[4.0, 2]] * 3)}])

    np.testing.assert_allclose(seen.channels["a"].means, [3.5, 1.5])
    np.testing.assert_allclose(seen.channels["b"].means, [1, 1, 1])
