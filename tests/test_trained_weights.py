"""All weights of an earlier run: recognized by their arrays, checked layer by layer, and taken as they are."""

from __future__ import annotations

import io
import json
import re
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress import networks, trained_weights
from compress.arrays import load_arrays, save_arrays
from compress.artifacts import Network
from compress.config import load
from compress.errors import BadInputError
from compress.tensorflow import start_afresh
from compress.toml import to_toml
from compress.untrusted import GIT_LFS
from teachers import vgg11

SHAPE, CLASSES = (32, 32, 1), ("a", "b", "c", "d")
OPTIONS: dict[str, Any] = {"width": 0.05}
Weights = dict[str, np.ndarray]


def new_model(classes: int = len(CLASSES), shape: tuple[int, int, int] = SHAPE, seed: int = 1, **options: Any) -> Any:
    start_afresh(seed)
    return vgg11.build(shape, classes, **{**OPTIONS, **options})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Network:
    """A narrow VGG11 as a run leaves it."""
    path = tmp_path_factory.mktemp("trained") / "weights.npz"
    networks.save(new_model(seed=0), path)
    return Network("teacher", "teacher", "teachers", "vgg11", OPTIONS, SHAPE, len(CLASSES), path)


@pytest.fixture
def kept(trained: Network, tmp_path: Path) -> Path:
    trained_weights.keep(trained, CLASSES, tmp_path / "teacher.npz")
    return tmp_path / "teacher.npz"


def with_arrays(trained: Network, path: Path, change: Callable[[Weights], Any]) -> Path:
    arrays = load_arrays(trained.weights)
    change(arrays)
    save_arrays(path, arrays)
    return path


@pytest.mark.parametrize("describes", [False, True])
def test_all_layers_are_those_of_the_run(describes: bool, trained: Network, kept: Path) -> None:
    model, file = new_model(), kept if describes else trained.weights

    description = trained_weights.load_into(model, file, SHAPE, CLASSES)

    for ours, theirs in zip(model.get_weights(), networks.load(trained).get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert (description is not None) == describes
    assert trained_weights.is_whole(file)


def test_what_is_kept_tells_its_network_in_plain_text(kept: Path) -> None:
    with np.load(kept, allow_pickle=False) as arrays:
        text = str(arrays["network.json"])

    assert text == (
        '{"architecture": "vgg11", "options": {"width": 0.05}, "image_shape": [32, 32, 1], '
        '"classes": ["a", "b", "c", "d"]}'
    )


def test_the_same_network_is_kept_in_the_same_bytes(trained: Network, kept: Path, tmp_path: Path) -> None:
    trained_weights.keep(trained, CLASSES, tmp_path / "again.npz")

    assert (tmp_path / "again.npz").read_bytes() == kept.read_bytes()


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("dense", [[], [8]])
def test_every_network_with_its_head_is_told_from_a_trunk(batch_norm: bool, dense: list[int], tmp_path: Path) -> None:
    networks.save(new_model(batch_norm=batch_norm, dense=dense), tmp_path / "weights.npz")

    assert trained_weights.is_whole(tmp_path / "weights.npz")


@pytest.mark.parametrize("names", ["{:04d}", "arr_{}"])
@pytest.mark.parametrize("biases", [False, True])
def test_a_trunk_is_no_whole_network(names: str, biases: bool, tmp_path: Path) -> None:
    layers = [layer for layer in new_model(batch_norm=False).layers if "conv" in layer.name]
    arrays = [array for layer in layers for array in layer.get_weights() if biases or array.ndim == 4]
    np.savez(tmp_path / "trunk.npz", **{names.format(i): array for i, array in enumerate(arrays)})

    assert not trained_weights.is_whole(tmp_path / "trunk.npz")


def test_published_weights_with_their_top_go_on_as_a_trunk(tmp_path: Path) -> None:
    np.savez(tmp_path / "vgg.npz", *new_model(batch_norm=False, dense=[8]).get_weights())

    assert not trained_weights.is_whole(tmp_path / "vgg.npz")


def without(name: str) -> Callable[[Weights], Any]:
    return lambda arrays: arrays.pop(name)


def one_too_few(arrays: Weights) -> None:
    """Take out the first kernel's neighbour, and number the others anew."""
    rest = [array for name, array in arrays.items() if name != "0001"]
    arrays.clear()
    arrays.update({f"{i:04d}": array for i, array in enumerate(rest)})


def changed(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Weights], Any]:
    return lambda arrays: arrays.update({name: change(arrays[name])})


def with_value(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        array.flat[0] = value
        return array

    return change


KERNEL, LAST_KERNEL = "0000", "0040"
BAD_ARRAYS: dict[str, tuple[Callable[[Weights], Any], str]] = {
    "one missing": (without("0007"), "has '0008' where 0007 should be, as a run numbers its arrays"),
    "one too few": (one_too_few, "block1_norm1: has (3,) and (3,) and (3,) and (3, 3, 3, 6); should have (3,) and"),
    "the last missing": (without("0041"), "logits: has (26, 4); should have (26, 4) and (4,), as vgg11 does"),
    "the head missing": (lambda arrays: [arrays.pop("0040"), arrays.pop("0041")], "logits: has no weights; should"),
    "one too many": (lambda arrays: arrays.update({"0042": arrays["0041"]}), "has 43 arrays, 42 of them in vgg11; tea"),
    "a stray": (lambda arrays: arrays.update(foo=arrays["0041"]), "has 'foo' where 0042 should be"),
    "float64": (changed(KERNEL, lambda a: a.astype("f8")), "block1_conv1: has type float64; should be float32"),
    "float16": (changed("0003", lambda a: a.astype("f2")), "block1_norm1: has type float16; should be float32"),
    "integers": (changed(LAST_KERNEL, lambda a: a.astype(int)), "logits: has type int64; should be float32"),
    "complex": (changed(KERNEL, lambda a: a.astype(complex)), "0000: has type complex128; should be numbers or text"),
    "NaN": (changed(KERNEL, with_value(np.nan)), "block1_conv1: has weights that are not finite; should be"),
    "infinite": (changed("0041", with_value(-np.inf)), "logits: has weights that are not finite; should be"),
    "transposed": (changed(KERNEL, lambda a: a[0]), "block1_conv1: has (3, 1, 3); should have (3, 3, 1, 3), as vgg11"),
    "text": (changed(KERNEL, lambda a: np.array("a")), "block1_conv1: has (); should have (3, 3, 1, 3)"),
}


@pytest.mark.parametrize(("change", "said"), BAD_ARRAYS.values(), ids=BAD_ARRAYS)
def test_arrays_that_are_not_those_of_the_network_name_the_first_layer_that_differs(
    change: Callable[[Weights], Any], said: str, trained: Network, tmp_path: Path
) -> None:
    file = with_arrays(trained, tmp_path / "w.npz", change)

    with pytest.raises(BadInputError) as caught:
        trained_weights.load_into(new_model(), file, SHAPE, CLASSES)

    assert str(caught.value).startswith(f"{file}: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("model", "data", "said"),
    [
        (
            {"classes": 3},
            (SHAPE, CLASSES[:3]),
            "logits: the head has 4 outputs, the data has 3 classes; should be weights for the same classes",
        ),
        (
            {"shape": (32, 32, 3)},
            ((32, 32, 3), CLASSES),
            "block1_conv1: takes images of 1 channel, the data's have 3; image.color should be grey",
        ),
        (
            {"width": 0.1},
            (SHAPE, CLASSES),
            "block1_conv1: has (3, 3, 1, 3); should have (3, 3, 1, 6), as vgg11 does; teacher.architecture, with its "
            "options, should be that of the run that wrote it",
        ),
        ({"batch_norm": False}, (SHAPE, CLASSES), "block2_conv1: has (3,) and (3,); should have (3, 3, 3, 6) and (6,)"),
        ({"dense": [8]}, (SHAPE, CLASSES), "dense1: has (26, 4) and (4,); should have (26, 8) and (8,)"),
    ],
)
def test_weights_for_another_network_say_what_would_be_right(
    model: dict[str, Any], data: tuple[Any, Any], said: str, trained: Network
) -> None:
    with pytest.raises(BadInputError) as caught:
        trained_weights.load_into(new_model(**model), trained.weights, *data)

    assert said in str(caught.value)


def cut_short(data: bytes) -> bytes:
    return data[:-1000]


def with_a_flipped_byte(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (cut_short, "cannot be read as .npz: File is not a zip file"),
        (with_a_flipped_byte, "cannot be read as .npz: Bad CRC-32"),
        (lambda data: b"", "cannot be read as .npz"),
        (lambda data: GIT_LFS + b"v1", "is a Git LFS pointer, not the file itself"),
    ],
)
def test_a_damaged_file_is_refused(
    damage: Callable[[bytes], bytes], said: str, trained: Network, tmp_path: Path
) -> None:
    file = tmp_path / "w.npz"
    file.write_bytes(damage(trained.weights.read_bytes()))

    with pytest.raises(BadInputError) as caught:
        trained_weights.load_into(new_model(), file, SHAPE, CLASSES)

    assert str(caught.value).startswith(f"{file}: ")
    assert said in str(caught.value)


def npy(array: np.ndarray, **options: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def huge() -> bytes:
    """Return an array whose header claims more than is there."""
    return npy(np.zeros((3, 3, 1, 3), np.float32)).replace(b"(3, 3, 1, 3)", b"(3, 3, 9, 9)")


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([("0000.npy", npy(np.array([{}], object), allow_pickle=True))], "0000: holds Python objects, which are never"),
        ([("0000.npy", huge())], "0000: has 108 bytes, which does not fit its header"),
        ([("0000.npy", bytes(10_000_000))], "more than such a file can hold"),
        ([("0000.npy", npy(np.zeros(3)))] * 2, "has two arrays '0000'; should have one of each name"),
        ([("0000.npy", b"no array")], "0000: cannot be read as .npz"),
    ],
)
def test_what_a_file_claims_is_not_believed(members: list[tuple[str, bytes]], said: str, tmp_path: Path) -> None:
    file = tmp_path / "w.npz"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns of a name that is there twice
        for name, data in members:
            archive.writestr(name, data)

    with pytest.raises(BadInputError) as caught:
        load(assignments=[f"teacher.weights={file}"])

    assert str(caught.value).startswith(f"teacher.weights: {file}: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def described_as(trained: Network, path: Path, description: Any) -> Path:
    text = description if isinstance(description, np.ndarray) else np.array(json.dumps(description))
    save_arrays(path, {**load_arrays(trained.weights), "network.json": text})
    return path


GOOD = {"architecture": "vgg11", "options": OPTIONS, "image_shape": list(SHAPE), "classes": list(CLASSES)}
TELL = "network.json: should tell architecture, options, image_shape and classes"


@pytest.mark.parametrize(
    ("description", "said"),
    [
        (np.zeros(3), "network.json: is float64 of shape (3,); should be one text"),
        (np.array(["{}"]), "network.json: is <U2 of shape (1,); should be one text"),
        (np.array("not JSON"), TELL),
        (np.array("[" * 100_000), TELL),
        ([], TELL),
        ({**GOOD, "classes": []}, TELL),
        ({**GOOD, "classes": [1, 2, 3, 4]}, TELL),
        ({**GOOD, "image_shape": [32, 32]}, TELL),
        ({**GOOD, "more": 1}, TELL),
        ({**GOOD, "architecture": "vgg99"}, "network.json: name: Value error, there is no 'vgg99' in teachers/"),
        ({**GOOD, "architecture": "../students/plain"}, "network.json: name: Value error, there is no"),
        (
            {**GOOD, "options": {"widht": 1.0}},
            "network.json: options.widht: there is no such option; did you mean width?",
        ),
        ({**GOOD, "options": {"width": -1.0}}, "network.json: options.width: Input should be greater than 0"),
    ],
)
def test_a_description_that_is_none_is_refused_while_the_settings_load(
    description: Any, said: str, trained: Network, tmp_path: Path
) -> None:
    file = described_as(trained, tmp_path / "w.npz", description)

    with pytest.raises(BadInputError) as caught:
        load(assignments=[f"teacher.weights={file}"])

    assert str(caught.value).startswith(f"teacher.weights: {file}: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (
            ["a", "b", "d", "c"],
            "was trained on other classes in another order: the first that differs, number 3, is 'd'",
        ),
        (
            ["a", "B", "c", "d"],
            "was trained on other classes: the first that differs, number 2, is 'B', the data's 'b'",
        ),
        (["a", "b"], "network.json: names 2 classes, the head has 4 outputs; should be as a run wrote it"),
    ],
)
def test_other_classes_than_those_of_the_data_are_refused(
    classes: list[str], said: str, trained: Network, tmp_path: Path
) -> None:
    file = described_as(trained, tmp_path / "w.npz", {**GOOD, "classes": classes})

    with pytest.raises(BadInputError, match=re.escape(said)):
        trained_weights.load_into(new_model(), file, SHAPE, CLASSES)


@pytest.mark.parametrize(
    "assignments",
    [
        [],
        ["architecture=vgg11"],
        ["architecture.options.width=0.05"],
        ["architecture={ name = 'vgg11', options = { batch_norm = true, dense = [] } }"],
    ],
)
def test_the_file_tells_the_architecture_and_the_settings_are_then_plain(
    assignments: list[str], kept: Path, tmp_path: Path
) -> None:
    config: Any = load(assignments=[f"teacher.weights={kept}", *(f"teacher.{line}" for line in assignments)])

    assert config.teacher.architecture.name == "vgg11"
    assert config.teacher.built.options["width"] == OPTIONS["width"]
    (tmp_path / "config.toml").write_text(to_toml(config))
    assert load(tmp_path / "config.toml") == config


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("architecture=vgg16", "teacher.architecture = 'vgg16': should be 'vgg11', of which {} has the weights"),
        ("architecture.options.width=1.0", "teacher.architecture.options.width = 1.0: should be 0.05, as {} tells"),
        ("architecture.options.dense=[8]", "teacher.architecture.options.dense = [8]: should be [], as {} tells"),
        ("architecture.options.width=2020-01-01", "should be 0.05, as {} tells"),
        ("architecture.options.colour=1", "there is no such option"),
        ("architecture=3", "teacher.architecture = 3: should be a name, or a section"),
        ("architecture.options=3", "teacher.architecture.options = 3"),
    ],
)
def test_what_is_set_and_contradicts_the_file_names_both(assignment: str, said: str, kept: Path) -> None:
    with pytest.raises(BadInputError) as caught:
        load(assignments=[f"teacher.weights={kept}", f"teacher.{assignment}"])

    assert said.format(kept) in str(caught.value)


def test_published_options_are_forced_on_a_trunk_alone(trained: Network, tmp_path: Path) -> None:
    trunk = tmp_path / "trunk.npz"
    np.savez(trunk, np.zeros((3, 3, 3, 3), np.float32))
    assignments = ["teacher.architecture.name=vgg11", "teacher.architecture.options.width=0.05"]

    whole: Any = load(assignments=[f"teacher.weights={trained.weights}", *assignments])
    published: Any = load(assignments=[f"teacher.weights={trunk}", *assignments])

    assert whole.teacher.built.options == OPTIONS
    assert published.teacher.built.options == {**OPTIONS, "batch_norm": False, "scaling": "caffe"}


def test_with_all_layers_nothing_has_to_be_trained_with_a_trunk_something_has(trained: Network, tmp_path: Path) -> None:
    trunk = tmp_path / "trunk.npz"
    np.savez(trunk, np.zeros((3, 3, 3, 3), np.float32))

    whole: Any = load(assignments=[f"teacher.weights={trained.weights}", "teacher.epochs=0"])
    assert not whole.teacher.trains
    with pytest.raises(BadInputError, match=r"epochs = 0: trains no layer; .*, or teacher.weights of all layers"):
        load(assignments=[f"teacher.weights={trunk}", "teacher.epochs=0"])
