from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from benchmarks.int8 import int8_of
from compress import networks, plugins
from compress.artifacts import Network, OnnxModel
from compress.errors import BadInputError
from compress.metrics.cost import cost_of_onnx
from compress.onnx_tools import scoring, sessions
from compress.onnx_tools.canonical import canonicalize, write
from compress.onnx_tools.convert import to_onnx
from compress.tensorflow import keras, start_afresh
from compress.training.evaluation import forward_of, logits_of
from students import plain

IMAGES = np.random.default_rng(0).integers(0, 256, (70, 32, 32, 1), np.uint8)  # more than one batch


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    """A student whose batch normalization has seen images, so that its activations have sensible ranges."""
    start_afresh(0)
    model = plain.build((32, 32, 1), 10)
    for _ in range(20):
        model(IMAGES.astype(np.float32), training=True)
    path = tmp_path_factory.mktemp("network") / "weights.npz"
    networks.save(model, path)
    return Network("student", "distill", "students", "plain", {}, (32, 32, 1), 10, path)


@pytest.fixture(scope="module")
def exported(network: Network, tmp_path_factory: pytest.TempPathFactory) -> OnnxModel:
    return to_onnx(network, tmp_path_factory.mktemp("onnx") / "model.onnx")


def test_the_converter_gives_keras_logits_to_a_hundred_thousandth(network: Network, exported: OnnxModel) -> None:
    expected = logits_of(forward_of(networks.load(network)), IMAGES)
    logits = scoring.run(sessions.open_session(exported.file), IMAGES)

    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_probabilities_are_the_softmax_of_the_logits(exported: OnnxModel) -> None:
    session = sessions.open_session(exported.file)
    logits, probabilities = scoring.run(session, IMAGES), scoring.run(session, IMAGES, "probabilities")

    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(probabilities, powers / powers.sum(axis=1, keepdims=True), atol=1e-6)


def test_the_input_is_uint8_of_any_batch_size(exported: OnnxModel) -> None:
    session = sessions.open_session(exported.file)
    [image] = session.get_inputs()

    assert (image.name, image.type, image.shape) == ("image", "tensor(uint8)", ["batch", 32, 32, 1])
    assert [(o.name, o.shape) for o in session.get_outputs()] == [
        ("logits", ["batch", 10]),
        ("probabilities", ["batch", 10]),
    ]
    assert session.run(["logits"], {"image": IMAGES[:1]})[0].shape == (1, 10)


def test_the_same_network_gives_the_same_bytes_whatever_was_made_before(
    network: Network, exported: OnnxModel, tmp_path: Path
) -> None:
    keras.Sequential([keras.layers.Dense(2), keras.layers.Dense(2)]).build((None, 3))
    again = to_onnx(network, tmp_path / "again.onnx")

    assert again.file.read_bytes() == exported.file.read_bytes()


def test_canonical_form_does_not_depend_on_the_order_of_nodes_and_names(exported: OnnxModel) -> None:
    model = onnx.load(exported.file)
    shuffled = onnx.load(exported.file)
    renamed = {name: f"{name}__{i + 7}" for i, name in enumerate(n for node in model.graph.node for n in node.output)}
    renamed |= {"logits": "logits", "probabilities": "probabilities"}
    for node in shuffled.graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed[name] for name in node.output]
    constants = list(shuffled.graph.initializer)[::-1]
    del shuffled.graph.initializer[:]
    shuffled.graph.initializer.extend(constants)

    assert canonicalize(shuffled).SerializeToString(deterministic=True) == exported.file.read_bytes()


def test_int8_weights_have_a_scale_a_channel_and_activations_one(exported: OnnxModel, tmp_path: Path) -> None:
    int8 = int8_of(exported, IMAGES, tmp_path / "int8.onnx")
    graph = onnx.load(int8.file).graph
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    makers = {node.output[0]: node for node in graph.node}

    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 6
    for node in convolutions:
        activation, kernel = makers[node.input[0]], makers[node.input[1]]
        assert (activation.op_type, kernel.op_type) == ("DequantizeLinear", "DequantizeLinear")
        assert constants[kernel.input[0]].dtype == np.int8
        assert constants[kernel.input[1]].shape == (constants[kernel.input[0]].shape[0],)
        assert constants[activation.input[1]].shape == ()
        assert constants[activation.input[2]].dtype == np.uint8
    assert (int8.id, int8.precision) == ("student-int8", "int8")


@pytest.mark.parametrize("calibration", plugins.names("compress.quantization.calibrators"))
@pytest.mark.parametrize("activations", ["uint8", "int8"])
def test_int8_logits_stay_near_the_float_ones(
    exported: OnnxModel, tmp_path: Path, calibration: str, activations: str
) -> None:
    int8 = int8_of(
        exported,
        IMAGES,
        tmp_path / "int8.onnx",
        calibration,
        activations,
    )
    expected = scoring.run(sessions.open_session(exported.file), IMAGES)
    # node by node, as the file says: fused kernels saturate on a processor without VNNI, which is not the file's doing
    logits = scoring.run(sessions.open_session(int8.file, as_written=True), IMAGES)

    assert np.sqrt(np.mean((logits - expected) ** 2)) < 0.1 * np.std(expected)
    assert int8.file.stat().st_size < 0.5 * exported.file.stat().st_size


def test_quantizing_twice_gives_the_same_bytes(exported: OnnxModel, tmp_path: Path) -> None:
    one, two = (int8_of(exported, IMAGES, tmp_path / name) for name in ("a", "b"))

    assert one.file.read_bytes() == two.file.read_bytes()


def test_external_data_are_never_written_nor_counted(exported: OnnxModel, tmp_path: Path) -> None:
    model = onnx.load(exported.file)
    onnx.save(model, tmp_path / "external.onnx", save_as_external_data=True, size_threshold=0)

    with pytest.raises(BadInputError, match="is in another file"):
        write(onnx.load(tmp_path / "external.onnx", load_external_data=False), tmp_path / "written.onnx")
    with pytest.raises(BadInputError, match="in another file"):
        cost_of_onnx(tmp_path / "external.onnx")
