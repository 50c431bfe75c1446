"""Weights of others: read by name or in order, checked layer by layer, and nothing but numbers of the file itself."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from compress import pretrained
from compress.arrays import save_arrays
from compress.config import load
from compress.errors import BadInputError, MachineError
from compress.plugins import modules_of
from compress.tensorflow import keras, start_afresh
from compress.untrusted import GIT_LFS
from teachers import vgg11, vgg16

WIDTH = 0.05
OPTIONS: dict[str, Any] = {"width": WIDTH, "batch_norm": False, "scaling": "caffe"}


def new_model(channels: int = 3) -> Any:
    start_afresh(0)
    return vgg16.build((32, 32, channels), 4, **OPTIONS)


def convolutions(model: Any) -> list[Any]:
    return [layer for layer in model.layers if "conv" in layer.name]


@pytest.fixture
def weights() -> dict[str, list[np.ndarray]]:
    """Kernel and bias of each convolution of a narrow VGG16."""
    random = np.random.default_rng(0)
    return {
        layer.name: [random.normal(size=weight.shape, scale=0.3).astype(np.float32) for weight in layer.weights]
        for layer in convolutions(new_model())
    }


def as_keras_2(weights: dict[str, list[np.ndarray]], file: Path) -> Path:
    with h5py.File(file, "w") as opened:
        for name, (kernel, bias) in weights.items():
            opened[f"{name}/{name}/bias:0"], opened[f"{name}/{name}/kernel:0"] = bias, kernel
        opened.create_group("block1_pool")
        opened["fc1/fc1/kernel:0"] = np.zeros((8, 8), np.float32)
    return file


def as_keras_1(weights: dict[str, list[np.ndarray]], file: Path) -> Path:
    with h5py.File(file, "w") as opened:
        for name, (kernel, bias) in weights.items():
            opened[f"{name}/{name}_W_1:0"], opened[f"{name}/{name}_b_1:0"] = kernel, bias
    return file


def as_keras_3(weights: dict[str, list[np.ndarray]], file: Path) -> Path:
    with h5py.File(file, "w") as opened:
        for i, arrays in enumerate(weights.values()):
            for n, array in enumerate(arrays):
                opened[f"layers/conv2d{f'_{i}' if i else ''}/vars/{n}"] = array
        opened["optimizer/vars/0"] = np.int64(7)
    return file


def as_whole_model(weights: dict[str, list[np.ndarray]], file: Path) -> Path:
    with h5py.File(file, "w") as opened:
        for name, (kernel, bias) in weights.items():
            opened[f"model_weights/{name}/{name}/kernel:0"] = kernel
            opened[f"model_weights/{name}/{name}/bias:0"] = bias
        opened["optimizer_weights/iteration:0"] = np.int64(7)
    return file


def as_nested_model(weights: dict[str, list[np.ndarray]], file: Path) -> Path:
    with h5py.File(file, "w") as opened:
        for name, (kernel, bias) in weights.items():
            opened[f"vgg16/{name}/kernel:0"], opened[f"vgg16/{name}/bias:0"] = kernel, bias
        opened["layers/dropout/seed_generator/vars/0"] = np.array([1, 2], np.uint32)
    return file


def as_keras_3_names(weights: dict[str, list[np.ndarray]], file: Path) -> Path:
    """As Keras 3 writes a model within a model: numbered groups, in another order than the names beside them."""
    with h5py.File(file, "w") as opened:
        for i, (name, arrays) in enumerate(reversed(weights.items())):
            for n, array in enumerate(arrays):
                opened[f"layers/functional/layers/conv2d{f'_{i}' if i else ''}/vars/{n}"] = array
            opened[f"layers/functional/layers/conv2d{f'_{i}' if i else ''}/vars"].attrs["name"] = name
        opened["layers/dense/vars/0"], opened["layers/dense/vars/1"] = np.zeros((8, 4)), np.zeros(4)
        for n in range(4):  # a head may be normalized
            opened[f"layers/batch_normalization/vars/{n}"] = np.ones(4)
    return file


def as_blocks(weights: dict[str, list[np.ndarray]], file: Path) -> Path:
    """As a network of networks is kept: each block counts its layers from the first, and names repeat."""
    with h5py.File(file, "w") as opened:
        for name, arrays in weights.items():
            block, conv = name.split("_conv")
            for n, array in enumerate(arrays):
                opened[f"{block}/layers/conv2d{f'_{int(conv) - 1}' if conv != '1' else ''}/vars/{n}"] = array
    return file


def as_keras_zip(write: Callable[..., Path]) -> Callable[..., Path]:
    """Return what writes a .keras file: a zip of the weights and of layers, one of which carries code."""

    def make(weights: dict[str, list[np.ndarray]], file: Path) -> Path:
        inner = write(weights, file.with_suffix(".weights.h5"))
        code = {"class_name": "Lambda", "config": {"function": ["4wEAAAAA", None, None]}}
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("metadata.json", '{"keras_version": "3.15.1"}')
            archive.writestr("config.json", json.dumps({"config": {"layers": [code]}}))
            archive.write(inner, "model.weights.h5")
        return file

    return make


def as_npz(weights: dict[str, list[np.ndarray]], file: Path) -> Path:
    save_arrays(file, {f"{k}/{n}": a for k, v in weights.items() for n, a in zip(("kernel", "bias"), v, strict=True)})
    return file


def as_numbered_npz(weights: dict[str, list[np.ndarray]], file: Path) -> Path:
    np.savez(file, *[array for arrays in weights.values() for array in arrays])
    return file


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (as_keras_2, "vgg16.h5"),
        (as_keras_1, "vgg16.hdf5"),
        (as_keras_3, "vgg16.weights.h5"),
        (as_keras_3_names, "vgg16.weights.h5"),
        (as_blocks, "vgg16.weights.h5"),
        (as_keras_zip(as_keras_3), "vgg16.keras"),
        (as_keras_zip(as_keras_3_names), "VGG16.Keras"),
        (as_whole_model, "vgg16.h5"),
        (as_nested_model, "vgg16.h5"),
        (as_npz, "vgg16.npz"),
        (as_numbered_npz, "vgg16.npz"),
    ],
)
def test_every_way_of_keeping_weights_gives_the_same_network(
    write: Callable[..., Path], name: str, weights: dict[str, list[np.ndarray]], tmp_path: Path
) -> None:
    model = new_model()
    head = model.get_layer("logits").get_weights()

    pretrained.load_into(model, vgg16.BLOCKS, write(weights, tmp_path / name), from_bgr=False)

    for layer in convolutions(model):
        for weight, expected in zip(layer.get_weights(), weights[layer.name], strict=True):
            np.testing.assert_array_equal(weight, expected)
    np.testing.assert_array_equal(model.get_layer("logits").get_weights()[0], head[0])


@pytest.mark.parametrize("channels", [3, 1])
def test_pixels_are_prepared_as_the_published_weights_want_it(
    channels: int, weights: dict[str, list[np.ndarray]], tmp_path: Path
) -> None:
    """Keras's own preprocessing, blue first, and the file's weights as they are, give the same features."""
    image = keras.Input((32, 32, 3))
    x = image
    for layer in new_model().layers[2:-2]:
        x = layer.__class__.from_config(layer.get_config())(x)
    reference = keras.Model(image, x)
    for layer in convolutions(reference):
        layer.set_weights(weights[layer.name])
    model = new_model(channels)
    pretrained.load_into(model, vgg16.BLOCKS, as_keras_2(weights, tmp_path / "vgg16.h5"), from_bgr=True)
    features = keras.Model(model.input, model.get_layer("block5_pool").output)
    images = np.random.default_rng(1).integers(0, 256, (3, 32, 32, channels)).astype(np.float32)
    colour = np.broadcast_to(images, (3, 32, 32, 3)).copy()

    expected = reference.predict_on_batch(keras.applications.vgg16.preprocess_input(colour))

    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(features.predict_on_batch(images), expected, rtol=1e-4, atol=1e-4 * expected.max())


def link_outside(file: Path) -> None:
    with h5py.File(file, "w") as opened:
        opened["block1_conv1"] = h5py.ExternalLink("/etc/passwd", "/")


def link_inside_a_group(file: Path) -> None:
    with h5py.File(file, "w") as opened:
        opened.create_group("a/b")["c"] = h5py.SoftLink("/elsewhere")


def values_outside(file: Path) -> None:
    with h5py.File(file, "w") as opened:
        opened.create_dataset("a/kernel:0", (4,), "f4", external=[("/etc/passwd", 0, 16)])


def virtual(file: Path) -> None:
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4,))
    with h5py.File(file, "w") as opened:
        opened.create_virtual_dataset("a/kernel:0", layout)


def huge(file: Path) -> None:
    with h5py.File(file, "w") as opened:
        opened.create_dataset("a/kernel:0", (3, 3, 100_000, 100_000), "f4", chunks=(3, 3, 10, 10))


def texts(file: Path) -> None:
    with h5py.File(file, "w") as opened:
        opened["a/kernel:0"] = ["text"]


def with_a_bomb(file: Path) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("readme.txt", bytes(50_000_000))


def of_batch_norm(file: Path) -> None:
    np.savez(file, np.zeros((3, 3, 3, 3), np.float32), *[np.zeros(3, np.float32)] * 4)


def zipped(**members: bytes) -> Callable[[Path], None]:
    """Return what writes a zip of these members, packed; underscores in their names stand for dots."""

    def make(file: Path) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in members.items():
                archive.writestr(name.replace("_", "."), data)

    return make


def link_in_a_zip(file: Path) -> None:
    link_outside(file)
    data = file.read_bytes()
    zipped(model_weights_h5=data)(file)


def twice_under_one_name(file: Path) -> None:
    with h5py.File(file, "w") as opened:
        for tower in ("left", "right"):
            opened[f"{tower}/block1_conv1/kernel:0"] = np.zeros((3, 3, 3, 3), np.float32)


def in_no_order(file: Path) -> None:
    with h5py.File(file, "w") as opened:
        for part in ("stem", "body"):
            opened[f"{part}/layers/conv2d/vars/0"] = np.zeros((3, 3, 3, 3), np.float32)


def normalized(file: Path) -> None:
    with h5py.File(file, "w") as opened:
        for n in range(4):
            opened[f"layers/batch_normalization/vars/{n}"] = np.ones(3, np.float32)
        opened["layers/conv2d/vars/0"] = np.zeros((3, 3, 3, 3), np.float32)
        opened["layers/conv2d/vars/1"] = np.zeros(3, np.float32)


def two_kernels(file: Path) -> None:
    with h5py.File(file, "w") as opened:
        opened["block1_conv1/depthwise_kernel:0"] = np.zeros((3, 3, 3, 1), np.float32)
        opened["block1_conv1/pointwise_kernel:0"] = np.zeros((1, 1, 3, 3), np.float32)


def objects(file: Path) -> None:
    np.savez(file, a=np.array([{}], object), allow_pickle=True)


def cut_short(file: Path) -> None:
    with h5py.File(file, "w") as opened:
        opened["a/kernel:0"] = np.zeros((3, 3, 64, 64), np.float32)
    file.write_bytes(file.read_bytes()[:5000])


BAD_FILES: dict[str, tuple[str, Callable[[Path], Any], str]] = {
    "missing": ("w.h5", lambda file: None, "no such file; should be weights in .h5"),
    "a folder": ("w.h5", Path.mkdir, "no such file"),
    "another ending": ("w.pkl", Path.touch, "should be weights in .h5, .weights.h5, .keras or .npz"),
    "no HDF5": ("w.h5", lambda file: file.write_text("I am no HDF5"), "is not an HDF5 file"),
    "pointer": (
        "w.h5",
        lambda file: file.write_bytes(GIT_LFS + b"v1"),
        "is a Git LFS pointer, not the file itself",
    ),
    "empty": ("w.h5", Path.touch, "is not an HDF5 file"),
    "HDF5 cut short": ("w.h5", cut_short, "cannot be read as HDF5"),
    "link to another file": ("w.h5", link_outside, "block1_conv1: is a link to elsewhere"),
    "link in a group": ("w.h5", link_inside_a_group, "a/b/c: is a link to elsewhere"),
    "values in another file": ("w.h5", values_outside, "a/kernel:0: its values are in another file"),
    "virtual": ("w.h5", virtual, "a/kernel:0: its values are in another file"),
    "huge": ("w.h5", huge, "more than such a file can hold"),
    "text": ("w.h5", texts, "block1_conv1: has no weights"),
    "no .npz": ("w.npz", lambda file: file.write_text("no zip"), "cannot be read as .npz"),
    "no .npz member": ("w.npz", with_a_bomb, "more than such a file can hold"),
    "numbered, with batch normalization": (
        "w.npz",
        of_batch_norm,
        "arr_0: has (3, 3, 3, 3) and (3,) and (3,) and (3,) and (3,); should have one kernel and at most a bias",
    ),
    "batch normalization": ("w.h5", normalized, "layers/batch_normalization: normalizes a convolution; should be"),
    "two kernels in a layer": ("w.h5", two_kernels, "block1_conv1: has (3, 3, 3, 1) and (1, 1, 3, 3); should have one"),
    "a name twice": (
        "w.h5",
        twice_under_one_name,
        "block1_conv1: is there twice, as left/block1_conv1 and right/block1_conv1",
    ),
    "no order": ("w.h5", in_no_order, "body/layers/conv2d and stem/layers/conv2d: do not tell which comes first"),
    ".keras that is no zip": ("w.keras", lambda file: file.write_text("no zip"), "cannot be read as .keras"),
    ".keras that is HDF5": ("w.keras", link_outside, "is an HDF5 file, not the zip that .keras means"),
    ".keras without weights": ("w.keras", zipped(config_json=b"{}"), "holds no model.weights.h5"),
    ".keras of pickles": ("w.keras", zipped(model_weights_npz=b"x"), "holds no model.weights.h5"),
    ".keras that is a bomb": ("w.keras", zipped(model_weights_h5=bytes(50_000_000)), "more than such a file can hold"),
    ".keras of something else": ("w.keras", zipped(model_weights_h5=b"HDF5"), "cannot be read as .keras"),
    ".keras with a link": ("w.keras", link_in_a_zip, "block1_conv1: is a link to elsewhere"),
    "pickled": ("w.npz", objects, "cannot be read as .npz: Object arrays cannot be loaded"),
}


@pytest.mark.parametrize(("name", "make", "said"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_file_that_is_no_plain_weights_is_refused_with_one_line(
    name: str, make: Callable[[Path], Any], said: str, tmp_path: Path
) -> None:
    make(tmp_path / name)

    with pytest.raises(BadInputError) as caught:
        pretrained.load_into(new_model(), vgg16.BLOCKS, tmp_path / name, from_bgr=True)

    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def wider(weights: dict[str, list[np.ndarray]]) -> None:
    weights["block3_conv2"][0] = np.zeros((3, 3, 13, 14), np.float32)


def shorter(weights: dict[str, list[np.ndarray]]) -> None:
    del weights["block5_conv3"]


def of_vgg19(weights: dict[str, list[np.ndarray]]) -> None:
    weights["block3_conv4"] = weights["block3_conv3"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (wider, "block3_conv2: has (3, 3, 13, 14) and (13,); should have (3, 3, 13, 13) and (13,), as vgg16 does"),
        (shorter, "block5_conv3: has no weights; should have (3, 3, 26, 26) and (26,)"),
        (of_vgg19, "block3_conv4: vgg16 has no such layer; should be weights of vgg16"),
    ],
)
def test_weights_of_another_network_name_the_first_layer_that_differs(
    change: Callable[..., None], said: str, weights: dict[str, list[np.ndarray]], tmp_path: Path
) -> None:
    change(weights)

    with pytest.raises(BadInputError) as caught:
        pretrained.load_into(new_model(), vgg16.BLOCKS, as_keras_2(weights, tmp_path / "w.h5"), from_bgr=True)

    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("assignments", "said"),
    [
        (["weights=imagenet", "architecture=vgg11"], "weights = 'imagenet': teachers/vgg11.py has none"),
        (
            ["weights=imagenet", "architecture.options.batch_norm=true"],
            "architecture.options.batch_norm = True: should be False",
        ),
        (
            ["weights=imagenet", "architecture.options.scaling=unit"],
            "architecture.options.scaling = 'unit': should be 'caffe'",
        ),
        (["weights=nowhere.h5"], "nowhere.h5: no such file"),
        ([f"weights={'x' * 300}.h5"], "File name too long"),
        (["epochs=0"], "trains no layer; should be 1 or more, or have teacher.phases"),
        (["phases=[{blocks=6}]"], "phases[0].blocks = 6: should be at most 5, the blocks of vgg16"),
        (["phases=[{learning_rate=0.0}]"], "teacher.phases.0.learning_rate = 0.0: should be greater than 0"),
        (["phases=[{epochs=0}]"], "teacher.phases.0.epochs = 0: should be greater than or equal to 1"),
        (["learning_rate=-1.0"], "teacher.learning_rate = -1.0: should be greater than 0"),
        (["architecture.options.pooling=max"], "architecture.options.pooling = 'max'"),
        (["architecture.options.dense=[0]"], "architecture.options.dense"),
        (["architecture.options.dropout=1.0"], "architecture.options.dropout = 1.0"),
    ],
)
def test_what_a_teacher_cannot_be_is_refused_while_the_settings_load(assignments: list[str], said: str) -> None:
    with pytest.raises(BadInputError) as caught:
        load(assignments=[f"teacher.{assignment}" for assignment in assignments])

    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_imagenet_out_of_reach_says_what_to_put_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_internet(*_: Any, **__: Any) -> None:
        raise OSError("no route to host")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(keras.utils, "get_file", no_internet)

    with pytest.raises(
        MachineError, match=f"{vgg16.IMAGENET['file']}: cannot be downloaded: .* put into {tmp_path}/models"
    ):
        pretrained.file_of("imagenet", vgg16)


def test_a_teacher_of_ones_own_is_picked_by_its_files_name() -> None:
    config = load(assignments=["teacher.architecture=vgg11", "teacher.architecture.options.width=0.1"])

    assert modules_of(config.teacher) == ["teachers.vgg11"]  # type: ignore[attr-defined]
    model = vgg11.build(*vgg11.EXAMPLE)
    assert len(convolutions(model)) == 8
