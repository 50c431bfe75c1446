from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from compress import networks, pretrained
from compress.arrays import save_arrays
from compress.artifacts import Network
from compress.errors import BadInputError
from compress.graphs.rebuilding import rebuilt
from teachers import vgg11


@pytest.mark.parametrize("pooling", ["average", "flatten"])
def test_a_teachers_head_fits_images_that_are_rectangles(pooling: str) -> None:
    options = {"width": 1 / 64, "pooling": pooling, "dense": [5]}
    model = networks.build("teachers", "vgg16", options, (64, 96, 3), 4)

    features = 8 * (2 * 3 if pooling == "flatten" else 1)  # what five poolings leave of 64x96
    assert model.get_layer("dense1").kernel.shape == (features, 5)
    assert model.output_shape == (None, 4)


def test_weights_of_others_fit_rectangles_as_they_fit_squares(tmp_path: Path) -> None:
    options = {"width": 1 / 64, "batch_norm": False, "scaling": "caffe"}
    square, rectangle = (networks.build("teachers", "vgg11", options, shape, 4) for shape in ((32, 32, 3), (32, 96, 3)))
    arrays = {w.name: w.numpy() for layer in square.layers if "conv" in layer.name for w in layer.weights}
    save_arrays(tmp_path / "weights.npz", arrays)

    pretrained.load_into(rectangle, vgg11.BLOCKS, tmp_path / "weights.npz", from_bgr=False)

    for name in ("block1_conv1", "block5_conv2"):
        for one, other in zip(
            rectangle.get_layer(name).get_weights(), square.get_layer(name).get_weights(), strict=True
        ):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("family", "name", "shape", "what"),
    [
        ("teachers", "vgg16", (31, 96, 3), "images with a side of 31 pixels are too small; .* 32 or more on each side"),
        ("teachers", "vgg11", (96, 31, 3), "images with a side of 31 pixels are too small; .* 32 or more on each side"),
        ("students", "plain", (8, 96, 3), "4 blocks need images of 16 pixels or more on each side"),
    ],
)
def test_rectangles_with_too_small_a_side_are_refused(
    family: networks.Family, name: str, shape: tuple[int, int, int], what: str
) -> None:
    with pytest.raises(BadInputError, match=what):
        networks.build(family, name, {}, shape, 4)


def test_a_network_is_cut_to_its_widths_before_its_weights_are_read(tmp_path: Path) -> None:
    shape, widths = (32, 32, 1), {"block1_conv1": 4, "block4_conv2": 9}
    narrow = rebuilt(networks.build("students", "plain", {}, shape, 10), widths)
    networks.save(narrow, tmp_path / "weights.npz")
    network = Network("narrow", "s", "students", "plain", {}, shape, 10, tmp_path / "weights.npz", widths=widths)

    loaded = networks.load(network)

    assert loaded.get_layer("block1_conv1").kernel.shape == (3, 3, 1, 4)
    assert loaded.get_layer("logits").kernel.shape == (9, 10)
    for one, other in zip(loaded.get_weights(), narrow.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
