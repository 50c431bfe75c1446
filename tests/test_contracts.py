"""What every file in teachers/, students/, the data sources and the losses must do. A new file needs no new test."""

from __future__ import annotations

import pkgutil
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import compress.data.sources
import compress.distillation.losses
import students
import teachers
from compress import networks, plugins
from compress.artifacts import Network
from compress.onnx_tools import scoring, sessions
from compress.onnx_tools.convert import to_onnx
from compress.tensorflow import start_afresh, tf
from compress.training.evaluation import forward_of, logits_of


def plugins_in(*packages: ModuleType) -> list[tuple[str, str]]:
    return [
        (package.__name__, module.name) for package in packages for module in pkgutil.iter_modules(package.__path__)
    ]


ARCHITECTURES = pytest.mark.parametrize(("family", "name"), plugins_in(teachers, students))


@ARCHITECTURES
def test_an_architecture_has_the_weights_it_says_and_gives_one_logit_a_class(family: str, name: str) -> None:
    module = plugins.find(family, name)
    model = module.build(*module.EXAMPLE)

    assert model.count_params() == module.WEIGHTS
    assert model.input_shape == (None, *module.EXAMPLE[0])
    assert model.output_shape == (None, module.EXAMPLE[1])
    assert not [layer for layer in model.layers if hasattr(layer, "layers")], "a flat graph, no nested models"
    if family == "teachers":
        assert all(any(layer.name.startswith(f"{block}_") for layer in model.layers) for block in module.BLOCKS)


@ARCHITECTURES
def test_an_architecture_is_saved_rebuilt_and_exported_to_onnx_with_the_same_logits(
    family: str, name: str, tmp_path: Path
) -> None:
    start_afresh(0)
    module = plugins.find(family, name)
    shape, classes = module.EXAMPLE
    images = np.random.default_rng(0).integers(0, 256, (5, *shape), np.uint8)
    model = module.build(shape, classes)
    networks.save(model, tmp_path / "weights.npz")
    network = Network(name, "teacher", family, name, {}, shape, classes, tmp_path / "weights.npz")  # type: ignore[arg-type]

    expected = logits_of(forward_of(model), images)
    exported = to_onnx(network, tmp_path / "model.onnx")

    np.testing.assert_array_equal(logits_of(forward_of(networks.load(network)), images), expected)
    logits = scoring.run(sessions.open_session(exported.file), images)
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


@ARCHITECTURES
def test_an_architecture_takes_colour_images_and_any_number_of_classes(family: str, name: str) -> None:
    module = plugins.find(family, name)
    height, width, _ = module.EXAMPLE[0]
    model = module.build((height, width + 8, 3), 2)

    assert model.output_shape == (None, 2)


@pytest.mark.parametrize(("package", "name"), plugins_in(compress.data.sources))
def test_a_source_claims_no_other_sources_data(package: str, name: str) -> None:
    source = plugins.find(package, name)

    assert callable(source.fingerprint)
    assert callable(source.load)
    assert not source.claims("no such thing")
    assert source.claims("digits") == (name == "digits")


@pytest.mark.parametrize(("package", "name"), plugins_in(compress.distillation.losses))
def test_a_loss_is_one_value_an_image_least_where_the_student_agrees(package: str, name: str) -> None:
    loss = plugins.find(package, name).loss
    teacher = tf.constant([[4.0, 0.0, -2.0], [0.0, 6.0, 1.0]])
    labels = tf.constant([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])

    agreeing, opposed = loss(teacher, teacher, labels), loss(-teacher, teacher, labels)

    assert agreeing.shape == (2,)
    assert np.all(agreeing.numpy() < opposed.numpy())
