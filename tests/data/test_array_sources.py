from __future__ import annotations

import gzip
import io
import struct
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from compress import downloads
from compress.data.samples import Pixels, Samples
from compress.data.sources import array_files, cifar10, cifar100, digits, fashion_mnist, folders, idx, mnist, npz, tfds
from compress.errors import BadInputError, MachineError
from compress.stages.data import _check_trainable
from compress.untrusted import GIT_LFS

IMAGES = np.arange(4 * 2 * 3, dtype=np.uint8).reshape(4, 2, 3)
LABELS = np.array([1, 0, 1, 0])
SPLIT = {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES[:2], "y_test": LABELS[:2]}
ALL = [array_files, cifar10, cifar100, digits, fashion_mnist, idx, mnist, npz, tfds]


@pytest.fixture(autouse=True)
def keras_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path / "keras" / "datasets"


def array(samples: Samples) -> np.ndarray:
    assert isinstance(samples.images, Pixels)
    assert samples.images.array.dtype == np.uint8
    return samples.images.array


def saved(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "data.npz", **arrays)
    return folder / "data.npz"


def idx_bytes(values: np.ndarray, start: bytes | None = None, shape: tuple[int, ...] | None = None) -> bytes:
    shape = shape or values.shape
    return (start or bytes([0, 0, 8, len(shape)])) + struct.pack(f">{len(shape)}I", *shape) + values.tobytes()


IDX_FILES = {
    "train-images-idx3-ubyte": idx_bytes(IMAGES),
    "train-labels-idx1-ubyte": idx_bytes(LABELS.astype(np.uint8)),
    "t10k-images-idx3-ubyte": idx_bytes(IMAGES[:2]),
    "t10k-labels-idx1-ubyte": idx_bytes(LABELS[:2].astype(np.uint8)),
}


def written(folder: Path, files: dict[str, bytes]) -> Path:
    """Write files into a folder, those with a name in .gz compressed."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(gzip.compress(data, mtime=0) if name.endswith(".gz") else data)
    return folder


def archive(folder: Path, name: str, members: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(folder / name, "w:gz") as tar:
        for member, data in members.items():
            info = tarfile.TarInfo(member)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return folder / name


def record(*labels: int) -> bytes:
    """Return one record of CIFAR: its red pixels hold the label, the green ones 100, the blue ones 200."""
    return bytes(labels) + bytes([labels[-1]] * 1024 + [100] * 1024 + [200] * 1024)


CIFAR10 = {
    "cifar-10-batches-bin/batches.meta.txt": b"airplane\n",
    **{f"cifar-10-batches-bin/data_batch_{i}.bin": record(2 * i - 2) + record(2 * i - 1) for i in range(1, 6)},
    "cifar-10-batches-bin/test_batch.bin": record(7),
}
CIFAR100 = {
    "cifar-100-binary/fine_label_names.txt": b"apple\naquarium_fish\nbaby\n\n",
    "cifar-100-binary/test.bin": record(4, 2),
    "cifar-100-binary/train.bin": record(4, 1) + record(0, 0),
}


@pytest.mark.parametrize(
    ("spec", "owner"),
    [
        ("data.NPZ", npz),
        ("missing/data.npz", npz),
        ("digits", digits),
        ("mnist", mnist),
        ("fashion_mnist", fashion_mnist),
        ("cifar10", cifar10),
        ("cifar100", cifar100),
        ("tfds:mnist", tfds),
        ("mnist.csv", None),
        ("", None),
    ],
)
def test_one_source_claims_a_spec(spec: str, owner: ModuleType | None) -> None:
    assert [source for source in ALL if source.claims(spec)] == ([owner] if owner else [])


@pytest.mark.parametrize(
    "name",
    [
        "train-images-idx3-ubyte",
        "train-images.idx3-ubyte.gz",
        "train-images-idx4-ubyte",
        "t10k-images-idx3-ubyte",
        "emnist-letters-test-images-idx3-ubyte.gz",
    ],
)
def test_a_folder_is_of_idx_files_if_it_has_images_named_as_mnists(name: str, tmp_path: Path) -> None:
    assert not idx.claims(str(tmp_path))
    assert [source for source in ALL if source.claims(str(written(tmp_path, {name: b""})))] == [idx]


@pytest.mark.parametrize("source", [source for source in ALL if source is not npz])
def test_arrays_cannot_be_grouped(source: Any) -> None:
    with pytest.raises(BadInputError, match=r"data\.group = 'person': .* should be empty"):
        source.load("spec", "person")


def test_npz_with_images_and_labels_has_no_splits(tmp_path: Path) -> None:
    samples = npz.load(str(saved(tmp_path, images=IMAGES, labels=LABELS)), "")

    assert samples.classes == ("0", "1")
    assert samples.labels.tolist() == [1, 0, 1, 0]
    assert samples.labels.dtype == np.int64
    assert samples.splits is None
    np.testing.assert_array_equal(array(samples), IMAGES[..., np.newaxis])


def test_npz_as_keras_has_it_keeps_its_splits_and_one_list_of_classes(tmp_path: Path) -> None:
    samples = npz.load(str(saved(tmp_path, **SPLIT, x_val=IMAGES[3:], y_val=[[2]])), "")

    assert samples.classes == ("0", "1", "2")
    assert samples.labels.tolist() == [1, 0, 1, 0, 2, 1, 0]
    assert samples.splits == ["train"] * 4 + ["validation"] + ["test"] * 2
    np.testing.assert_array_equal(array(samples)[..., 0], IMAGES[[0, 1, 2, 3, 3, 0, 1]])


@pytest.mark.parametrize("kind", ["U", "S"])
def test_labels_that_are_text_name_their_classes(kind: str, tmp_path: Path) -> None:
    names = ["hen", "cat", "hen", "äpfel"]
    labels = np.array([name.encode() for name in names] if kind == "S" else names)

    samples = npz.load(str(saved(tmp_path, images=IMAGES, labels=labels)), "")

    assert samples.classes == ("cat", "hen", "äpfel")
    assert samples.labels.tolist() == [1, 0, 1, 2]


def test_classes_that_are_given_name_the_labels(tmp_path: Path) -> None:
    samples = npz.load(str(saved(tmp_path, images=IMAGES, labels=LABELS, classes=["hen", "cat"])), "")

    assert samples.classes == ("hen", "cat")
    assert samples.labels.tolist() == [1, 0, 1, 0]


PUBLISHED = {
    "Keras": ("x_train", "y_train", "x_val", "y_val", "x_test", "y_test"),
    "capitals": ("X_train", "Y_train", "X_valid", "Y_valid", "X_test", "Y_test"),
    "MedMNIST": ("train_images", "train_labels", "val_images", "val_labels", "test_images", "test_labels"),
    "split last": (
        "images_train",
        "labels_train",
        "images_validation",
        "labels_validation",
        "images_test",
        "labels_test",
    ),
    "together": ("trainX", "trainy", "valX", "valy", "testX", "testy"),
    "CIFAR": ("train_data", "train_label", "dev_data", "dev_label", "testing_data", "testing_label"),
}


@pytest.mark.parametrize("names", PUBLISHED.values(), ids=PUBLISHED)
def test_npz_may_have_the_names_that_published_sets_use(names: tuple[str, ...], tmp_path: Path) -> None:
    arrays = [IMAGES, LABELS[:, np.newaxis], IMAGES[3:], [[0]], IMAGES[:2], [[1], [0]]]

    samples = npz.load(str(saved(tmp_path, **dict(zip(names, arrays, strict=True)))), "")

    assert samples.splits == ["train"] * 4 + ["validation"] + ["test"] * 2
    assert samples.labels.tolist() == [1, 0, 1, 0, 0, 1, 0]
    np.testing.assert_array_equal(array(samples)[..., 0], IMAGES[[0, 1, 2, 3, 3, 0, 1]])
    said = [f"train: '{names[0]}' and '{names[1]}'; validation: '{names[2]}'"]
    assert [words in " ".join(samples.notes) for words in said] == [names[0] != "x_train"]


@pytest.mark.parametrize(
    ("names", "note"),
    [
        (("images", "labels"), None),
        (("x", "y"), "'x' and 'y'"),
        (("X", "Y"), "'X' and 'Y'"),
        (("data", "target"), "'data' and 'target'"),
        (("arr_0", "arr_1"), "'arr_0' and 'arr_1'"),
    ],
)
def test_npz_without_splits_says_what_it_takes_for_images_and_labels(
    names: tuple[str, str], note: str | None, tmp_path: Path
) -> None:
    samples = npz.load(str(saved(tmp_path, **{names[0]: IMAGES, names[1]: LABELS})), "")

    assert samples.splits is None
    assert samples.labels.tolist() == [1, 0, 1, 0]
    assert samples.notes == ([f"arrays taken for images and labels: train: {note}"] if note else [])


def test_npz_of_scikit_learn_has_images_flat_ones_and_names(tmp_path: Path) -> None:
    held = {"data": IMAGES.reshape(4, 6), "images": IMAGES, "target": LABELS, "target_names": ["hen", "cat"]}

    samples = npz.load(str(saved(tmp_path, **held, feature_names=["a"])), "")

    assert samples.classes == ("hen", "cat")
    assert samples.notes[1] == "arrays that are not used: 'data', 'feature_names'"


def test_npz_of_a_test_split_alone_keeps_it_apart(tmp_path: Path) -> None:
    assert npz.load(str(saved(tmp_path, x_test=IMAGES, y_test=LABELS)), "").splits == ["test"] * 4
    assert npz.load(str(saved(tmp_path, x_train=IMAGES, y_train=LABELS)), "").splits is None


@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.float32, np.float64, bool])
def test_one_hot_labels_are_the_column_that_holds_the_one(kind: Any, tmp_path: Path) -> None:
    one_hot = np.eye(3, dtype=kind)
    split = {"x_train": IMAGES, "y_train": one_hot[[2, 0, 1, 0]], "x_test": IMAGES[:2], "y_test": one_hot[[0, 2]]}

    samples = npz.load(str(saved(tmp_path, **split)), "")
    assert samples.labels.tolist() == [2, 0, 1, 0, 0, 2]
    assert samples.classes == ("0", "1", "2")

    named = npz.load(str(saved(tmp_path, **split, classes=["hen", "cat", "dog"])), "")
    assert named.labels.tolist() == [2, 0, 1, 0, 0, 2]
    assert named.classes == ("hen", "cat", "dog")


@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.float64])
def test_labels_that_count_from_one_are_names_themselves(kind: Any, tmp_path: Path) -> None:
    samples = npz.load(str(saved(tmp_path, images=IMAGES, labels=np.array([1, 3, 2, 1], kind))), "")

    assert samples.classes == ("1", "2", "3")
    assert samples.labels.tolist() == [0, 2, 1, 0]


def test_npz_may_be_compressed_big_endian_and_in_fortran_order(tmp_path: Path) -> None:
    images = np.asfortranarray((IMAGES + 200).astype(">u2") * 256)
    np.savez_compressed(tmp_path / "data.npz", images=images, labels=LABELS)

    np.testing.assert_array_equal(array(npz.load(str(tmp_path / "data.npz"), ""))[..., 0], IMAGES + 200)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_files_are_read_plain_and_compressed(suffix: str, tmp_path: Path) -> None:
    written(tmp_path, {name + suffix: data for name, data in IDX_FILES.items()})

    samples = idx.load(str(tmp_path), "")

    assert samples.classes == ("0", "1")
    assert samples.labels.tolist() == [1, 0, 1, 0, 1, 0]
    assert samples.splits == ["train"] * 4 + ["test"] * 2
    np.testing.assert_array_equal(array(samples)[..., 0], IMAGES[[0, 1, 2, 3, 0, 1]])


def test_idx4_holds_colour_and_without_t10k_there_are_no_splits(tmp_path: Path) -> None:
    colour = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)
    labels = idx_bytes(np.array([0, 1], np.uint8))
    written(tmp_path, {"train-images.idx4-ubyte": idx_bytes(colour), "train-labels.idx1-ubyte.gz": labels})

    samples = idx.load(str(tmp_path), "")

    assert samples.splits is None
    np.testing.assert_array_equal(array(samples), colour)


@pytest.mark.parametrize("test", ["t10k", "test"])
@pytest.mark.parametrize("prefix", ["emnist-letters-", "kmnist_", ""])
def test_idx_files_may_have_the_names_of_sets_in_mnists_format(prefix: str, test: str, tmp_path: Path) -> None:
    """EMNIST's letters count from 1; a validation split goes by its own name."""
    files = {
        f"{prefix}{name.replace('t10k', test)}": data if "images" in name else data[:8] + bytes(b + 1 for b in data[8:])
        for name, data in IDX_FILES.items()
    }
    files[f"{prefix}val-images-idx3-ubyte"] = idx_bytes(IMAGES[3:])
    files[f"{prefix}val-labels-idx1-ubyte"] = idx_bytes(np.array([2], np.uint8))

    samples = idx.load(str(written(tmp_path, files)), "")

    assert samples.classes == ("1", "2")
    assert samples.labels.tolist() == [1, 0, 1, 0, 1, 1, 0]
    assert samples.splits == ["train"] * 4 + ["validation"] + ["test"] * 2
    np.testing.assert_array_equal(array(samples)[..., 0], IMAGES[[0, 1, 2, 3, 3, 0, 1]])


def test_idx_labels_may_be_one_hot_and_a_test_split_alone(tmp_path: Path) -> None:
    one_hot = idx_bytes(np.eye(2, dtype=np.uint8)[[0, 1]])
    written(
        tmp_path, {"t10k-images-idx3-ubyte": IDX_FILES["t10k-images-idx3-ubyte"], "t10k-labels-idx2-ubyte": one_hot}
    )

    samples = idx.load(str(tmp_path), "")

    assert samples.labels.tolist() == [0, 1]
    assert samples.splits == ["test"] * 2


def test_idx_files_of_several_sets_in_one_folder_are_told_apart_by_nobody(tmp_path: Path) -> None:
    written(tmp_path, {**IDX_FILES, "emnist-byclass-train-images-idx3-ubyte": IDX_FILES["train-images-idx3-ubyte"]})

    with pytest.raises(BadInputError, match="holds several data sets: one without a name, emnist-byclass; should hold"):
        idx.load(str(tmp_path), "")


def test_of_a_compressed_and_a_plain_idx_file_the_plain_one_is_read(tmp_path: Path) -> None:
    written(tmp_path, {**IDX_FILES, "train-images-idx3-ubyte.gz": b"nothing"})

    assert len(idx.load(str(tmp_path), "").images) == 6


@pytest.mark.parametrize("ending", ["npy", "npz"])
@pytest.mark.parametrize(
    "names",
    [
        ("x_train", "y_train", "x_test", "y_test"),
        ("kmnist-train-imgs", "kmnist-train-labels", "kmnist-test-imgs", "kmnist-test-labels"),
        ("X_train", "Y_train", "X_test", "Y_test"),
    ],
)
def test_arrays_may_have_a_file_each(names: tuple[str, ...], ending: str, tmp_path: Path) -> None:
    for name, values in zip(names, SPLIT.values(), strict=True):
        save: Any = np.save if ending == "npy" else np.savez_compressed
        save(tmp_path / f"{name}.{ending}", np.asfortranarray(values.astype(">u2" if values is LABELS else np.uint8)))
    (tmp_path / "readme.txt").touch()

    assert [source for source in [*ALL, folders] if source.claims(str(tmp_path))] == [array_files]
    samples = array_files.load(str(tmp_path), "")

    assert samples.splits == ["train"] * 4 + ["test"] * 2
    assert samples.labels.tolist() == [1, 0, 1, 0, 1, 0]
    np.testing.assert_array_equal(array(samples)[..., 0], IMAGES[[0, 1, 2, 3, 0, 1]])
    with pytest.raises(BadInputError, match=r"should .*; or give the folder .*, which holds more$"):
        npz.load(str(saved(tmp_path, arr_0=IMAGES)), "")


def test_a_folder_of_arrays_and_folders_or_of_images_alone_is_none_of_arrays(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", IMAGES)
    assert not array_files.claims(str(tmp_path))
    np.save(tmp_path / "labels.npy", LABELS)
    np.save(tmp_path / "classes.npy", np.array(["hen", "cat"]))
    assert array_files.load(str(tmp_path), "").classes == ("hen", "cat")
    (tmp_path / "cats").mkdir()
    assert not array_files.claims(str(tmp_path))
    assert folders.claims(str(tmp_path))


def test_cifar10_is_read_from_its_archive(keras_home: Path) -> None:
    archive(keras_home, "cifar-10-binary.tar.gz", CIFAR10)

    samples = cifar10.load("cifar10", "")

    assert samples.classes[7] == "horse"
    assert samples.labels.tolist() == [*range(10), 7]
    assert samples.splits == ["train"] * 10 + ["test"]
    assert array(samples).shape == (11, 32, 32, 3)
    assert array(samples)[3, 5, 6].tolist() == [3, 100, 200]


def test_cifar100_has_its_fine_classes(keras_home: Path) -> None:
    archive(keras_home, "cifar-100-binary.tar.gz", CIFAR100)

    samples = cifar100.load("cifar100", "")

    assert samples.classes == ("apple", "aquarium_fish", "baby")
    assert samples.labels.tolist() == [1, 0, 2]
    assert samples.splits == ["train", "train", "test"]
    assert array(samples)[0, 31, 31].tolist() == [1, 100, 200]


def test_mnist_is_read_where_keras_keeps_it(keras_home: Path, tmp_path: Path) -> None:
    keras_home.mkdir(parents=True)
    saved(tmp_path, **SPLIT).rename(keras_home / "mnist.npz")

    assert mnist.load("mnist", "").splits == ["train"] * 4 + ["test"] * 2


def test_fashion_mnist_is_looked_for_in_keras_folder_first(keras_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = idx_bytes(np.arange(10, dtype=np.uint8))
    files = {
        name: idx_bytes(np.zeros((10, 2, 2), np.uint8)) if "images" in name else labels for name in fashion_mnist.FILES
    }
    monkeypatch.setattr(fashion_mnist, "DEBIAN", written(keras_home / "debian", files))

    assert len(fashion_mnist.load("fashion_mnist", "").images) == 20

    files["t10k-images-idx3-ubyte.gz"] = idx_bytes(np.full((10, 2, 2), 9, np.uint8))
    written(keras_home / "fashion-mnist", files)
    samples = fashion_mnist.load("fashion_mnist", "")
    assert samples.classes[9] == "Ankle boot"
    assert array(samples)[10:].all()


@pytest.mark.skipif(not fashion_mnist.DEBIAN.is_dir(), reason="without Debian's package dataset-fashion-mnist")
def test_fashion_mnist_is_what_debian_packs() -> None:
    samples = fashion_mnist.load("fashion_mnist", "")

    assert array(samples).shape == (70000, 28, 28, 1)
    assert np.bincount(samples.labels).tolist() == [7000] * 10
    assert samples.labels[:3].tolist() == [9, 0, 0]
    assert samples.splits == ["train"] * 60000 + ["test"] * 10000


def test_digits_are_1797_images_in_ten_classes() -> None:
    samples = digits.load("digits", "")

    assert array(samples).shape == (1797, 8, 8, 1)
    assert array(samples)[0, 0, :, 0].tolist() == [0, 0, 80, 207, 143, 16, 0, 0]
    assert samples.classes == tuple("0123456789")
    assert samples.splits is None


def test_a_fingerprint_changes_with_any_byte_and_with_nothing_else(tmp_path: Path, keras_home: Path) -> None:
    def fingerprints() -> list[str]:
        specs: list[tuple[Any, str]] = [(npz, str(file)), (idx, str(folder)), (cifar10, "cifar10"), (digits, "digits")]
        return [source.fingerprint(spec, tmp_path / "memo.json") for source, spec in specs]

    file, folder = saved(tmp_path, images=IMAGES, labels=LABELS), written(tmp_path / "idx", IDX_FILES)
    archive(keras_home, "cifar-10-binary.tar.gz", CIFAR10)
    before = fingerprints()
    assert fingerprints() == before
    assert all(len(one) == 64 for one in before)

    saved(tmp_path, images=IMAGES, labels=LABELS[::-1])
    written(folder, {"t10k-labels-idx1-ubyte": IDX_FILES["t10k-labels-idx1-ubyte"] + b"\0"})
    archive(keras_home, "cifar-10-binary.tar.gz", {**CIFAR10, "more": b""})
    assert [one == two for one, two in zip(fingerprints(), before, strict=True)] == [False, False, False, True]


Made = tuple[Any, str, Path]  # the source, the spec and the file that the message should name


def bad_npz(**arrays: Any) -> Callable[[Path], Made]:
    def make(folder: Path) -> Made:
        file = saved(folder, **arrays)
        return npz, str(file), file

    return make


def bad_zip(images: bytes, compression: int = zipfile.ZIP_STORED) -> Callable[[Path], Made]:
    """Return what makes a .npz whose images.npy holds these bytes."""

    def make(folder: Path) -> Made:
        file = saved(folder, labels=LABELS)
        with zipfile.ZipFile(file, "a", compression) as zipped:
            zipped.writestr("images.npy", images)
        return npz, str(file), file

    return make


def bad_bytes(change: Callable[[bytes], bytes]) -> Callable[[Path], Made]:
    """Return what makes a good .npz, then changes its bytes."""

    def make(folder: Path) -> Made:
        file = saved(folder, images=IMAGES, labels=LABELS)
        file.write_bytes(change(file.read_bytes()))
        return npz, str(file), file

    return make


def npy(shape: tuple[int, ...], data: bytes, descr: str = "|u1") -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": descr, "fortran_order": False, "shape": shape})
    return stream.getvalue() + data


def bad_idx(name: str, data: bytes | None) -> Callable[[Path], Made]:
    """Return what makes a folder of good IDX files but for one, which is left out if None."""

    def make(folder: Path) -> Made:
        plain = name.removesuffix(".gz")
        written(folder, {**{good: IDX_FILES[good] for good in IDX_FILES if good != plain}, name: data or b""})
        if data is None:
            (folder / name).unlink()
        return idx, str(folder), folder / name

    return make


def bad_gzip(change: Callable[[bytes], bytes]) -> Callable[[Path], Made]:
    def make(folder: Path) -> Made:
        source, spec, file = bad_idx("train-images-idx3-ubyte.gz", idx_bytes(IMAGES))(folder)
        file.write_bytes(change(file.read_bytes()))
        return source, spec, file

    return make


def bad_cifar(source: Any, members: dict[str, bytes], without: str = "") -> Callable[[Path], Made]:
    def make(folder: Path) -> Made:
        name = {cifar10: "cifar-10-binary.tar.gz", cifar100: "cifar-100-binary.tar.gz"}[source]
        held = {member: data for member, data in members.items() if member != without}
        return source, source.__name__.rpartition(".")[2], archive(folder / "keras" / "datasets", name, held)

    return make


def bad_archive(change: Callable[[bytes], bytes]) -> Callable[[Path], Made]:
    def make(folder: Path) -> Made:
        source, spec, file = bad_cifar(cifar10, CIFAR10)(folder)
        file.write_bytes(change(file.read_bytes()))
        return source, spec, file

    return make


def bad_npy(save: Callable[..., Any], values: Any = None) -> Callable[[Path], Made]:
    """Return what makes a folder of arrays, the labels saved by a function of its own."""

    def make(folder: Path) -> Made:
        np.save(folder / "images.npy", IMAGES)
        save(folder / "labels.npy", values)
        return array_files, str(folder), folder / "labels.npy"

    return make


def nowhere(folder: Path) -> Made:
    return npz, str(folder / "no.npz"), folder / "no.npz"


def flipped(data: bytes) -> bytes:
    """Change a byte of the images."""
    at = data.index(IMAGES.tobytes())
    return data[:at] + b"\xff" + data[at + 1 :]


def floats(value: float) -> np.ndarray:
    images = IMAGES / 255
    images[2, 1, 0] = value
    return images


BATCH = "cifar-10-batches-bin/data_batch_3.bin"
FINE = "cifar-100-binary/fine_label_names.txt"
BAD_ARRAYS: dict[str, tuple[Callable[[Path], Made], str]] = {
    "not a number": (bad_npz(images=floats(np.nan), labels=LABELS), "images[2, 1, 0, 0] = nan"),
    "infinite": (bad_npz(images=floats(np.inf), labels=LABELS), "images[2, 1, 0, 0] = inf"),
    "negative pixel": (bad_npz(images=floats(-1), labels=LABELS), "images[2, 1, 0, 0] = -1.0"),
    "pixel too large": (bad_npz(images=IMAGES.astype(int) * 100, labels=LABELS), "images[0, 1, 0, 0] = 300"),
    "complex": (bad_npz(images=IMAGES.astype(complex), labels=LABELS), "images: has type complex128"),
    "0 and 1": (bad_npz(images=IMAGES // 23, labels=LABELS), "images: uint8 up to 1 does not tell which value is"),
    "flat images": (bad_npz(images=IMAGES.reshape(4, 6), labels=LABELS), "images: has shape (4, 6)"),
    "two channels": (bad_npz(images=np.zeros((4, 2, 2, 2)), labels=LABELS), "images: has shape (4, 2, 2, 2)"),
    "no images": (bad_npz(images=IMAGES[:0], labels=LABELS[:0]), "images: has shape (0, 2, 3, 1)"),
    "a number": (bad_npz(images=np.array(3), labels=LABELS), "images: has shape ()"),
    "label too large": (bad_npz(images=IMAGES, labels=[0, 1, 2, 9]), "labels[3] = 9"),
    "negative label": (bad_npz(images=IMAGES, labels=[0, 1, -1, 2]), "labels[2] = -1"),
    "broken label": (bad_npz(images=IMAGES, labels=[0, 1, 0.5, 2]), "labels: has type float64"),
    "too few labels": (bad_npz(images=IMAGES, labels=LABELS[:3]), "labels: has shape (3,); should be (4,)"),
    "several labels": (
        bad_npz(images=IMAGES, labels=[[1, 0], [1, 1], [0, 1], [1, 0]]),
        "labels[1] = [1, 1]: should be one label per image, or one-hot",
    ),
    "no label": (
        bad_npz(images=IMAGES, labels=np.eye(4)[[0, 1, 2, 3]] * [1, 1, 0, 1]),
        "labels[2] = [0.0, 0.0, 0.0, 0.0]",
    ),
    "probabilities": (bad_npz(images=IMAGES, labels=np.full((4, 20), 0.05)), "labels[0] = [0.05, 0.05"),
    "one-hot text": (bad_npz(images=IMAGES, labels=[["0", "1"]] * 4), "labels: has type <U1 and shape (4, 2)"),
    "one-hot, too few": (bad_npz(images=IMAGES, labels=np.eye(3)), "labels: has shape (3,); should be (4,)"),
    "one-hot, other columns": (
        bad_npz(**{**SPLIT, "y_train": np.eye(4), "y_test": np.eye(3)[:2]}),
        "y_test: has 3 columns; should have 4, as y_train has",
    ),
    "one-hot, other classes": (
        bad_npz(images=IMAGES, labels=np.eye(4), classes=["a", "b"]),
        "labels: has 4 columns; should have 2",
    ),
    "labels beyond all memory": (bad_npz(images=IMAGES, labels=[1, 2, 3, 2**62]), "labels[3] = 4611686018427387904"),
    "two of a kind": (bad_npz(**SPLIT, X_train=IMAGES), "holds 'X_train' and 'x_train', which mean the same"),
    "with and without splits": (bad_npz(**SPLIT, images=IMAGES, labels=LABELS), "holds 'images', which names no split"),
    "dates as labels": (bad_npz(images=IMAGES, labels=LABELS.astype("M8[D]")), "labels: has type datetime64[D]"),
    "empty name": (bad_npz(images=IMAGES, labels=["a", "", "a", "b"]), "labels: a class named ''"),
    "name of two lines": (bad_npz(images=IMAGES, labels=["a", "b\nc", "a", "b"]), r"a class named 'b\nc'"),
    "name not UTF-8": (bad_npz(images=IMAGES, labels=np.array([b"a", b"\xff", b"a", b"b"])), "labels: a class named"),
    "name not Unicode": (
        bad_npz(images=IMAGES, labels=np.array([1, 1 << 30, 1, 1], np.uint32).view("U1")),
        "labels: holds code points that are not characters",
    ),
    "label without a class": (bad_npz(images=IMAGES, labels=[0, 1, 2, 0], classes=["a", "b"]), "labels[2] = 2"),
    "class named twice": (bad_npz(images=IMAGES, labels=LABELS, classes=["a", "a"]), "classes: 'a' is listed twice"),
    "text not in classes": (
        bad_npz(images=IMAGES, labels=list("abcb"), classes=["a", "b"]),
        "'c' is not one of the classes: a, b",
    ),
    "classes as numbers": (bad_npz(images=IMAGES, labels=LABELS, classes=[0, 1]), "classes: is int64 of shape (2,)"),
    "other shape in test": (bad_npz(**{**SPLIT, "x_test": IMAGES[:2, :1]}), "x_test: has images of (1, 3, 1), x_train"),
    "bad value in test": (bad_npz(**{**SPLIT, "x_test": floats(np.nan)[1:3]}), "x_test[1, 1, 0, 0] = nan"),
    "bad label in test": (bad_npz(**{**SPLIT, "y_test": [9, 0]}), "(y_train + y_test)[4] = 9"),
    "too few labels in test": (bad_npz(**{**SPLIT, "y_test": [0]}), "y_test: has shape (1,); should be (2,)"),
    "text in test only": (bad_npz(**{**SPLIT, "y_test": ["a", "b"]}), "(y_train + y_test): holds text and numbers"),
    "half a validation": (bad_npz(**SPLIT, x_val=IMAGES), "has no labels for 'x_val'"),
    "labels alone": (bad_npz(y_train=LABELS), "has no images for 'y_train'"),
    "one array of no name": (bad_npz(arr_0=IMAGES), "holds 'arr_0'; should hold images and labels, or x_train"),
    "no labels": (bad_npz(images=IMAGES), "has no labels for 'images'; holds 'images'"),
    "foreign names": (bad_npz(**{"two\nlines": IMAGES}), r"holds 'two\nlines'; should hold images and labels"),
    "Python objects": (bad_npz(images=IMAGES, labels=np.array([{}] * 4)), "labels: holds Python objects, which are"),
    "header too small": (bad_zip(npy((4, 2, 3), bytes(25))), "images: has 25 bytes"),
    "header too large": (bad_zip(npy((4, 2, 300_000_000_000), bytes(24))), "images: has 24 bytes"),
    "negative shape": (bad_zip(npy((-4, -6), bytes(24))), "images: has 24 bytes"),
    "empty type": (bad_zip(npy((1 << 60,), b"", "|S0")), "images: has type |S0"),
    "records": (bad_zip(npy((4,), bytes(4), [("a", "u1")])), "images: has type [('a', 'u1')]"),  # type: ignore[arg-type]
    "no array": (bad_zip(b"PNG"), "images: cannot be read"),
    "header of nonsense": (bad_zip(b"\x93NUMPY\x01\x00\x05\x00((((\n"), "images: cannot be read"),
    "endless header": (bad_zip(b"\x93NUMPY\x01\x00\xff\xff" + b" " * 65535), "images: cannot be read"),
    "bomb": (bad_zip(npy((70, 1024, 1024), bytes(70 << 20)), zipfile.ZIP_DEFLATED), "-fold, which images do not"),
    "truncated zip": (bad_bytes(lambda data: data[:-40]), "cannot be read as .npz"),
    "flipped byte": (bad_bytes(flipped), "images: cannot be read as .npz: Bad CRC-32"),
    "pointer": (bad_bytes(lambda data: GIT_LFS + b"v1\n"), "is a Git LFS pointer, not the file itself"),
    "no zip": (bad_bytes(lambda data: b"images"), "cannot be read as .npz: File is not a zip file"),
    "no file": (nowhere, "no such file"),
    "IDX: magic": (bad_idx("train-images-idx3-ubyte", b"\x89PNG"), "is not an IDX file"),
    "IDX: empty": (bad_idx("t10k-labels-idx1-ubyte", b""), "is not an IDX file"),
    "IDX: floats": (
        bad_idx("train-images-idx3-ubyte", idx_bytes(IMAGES, b"\0\0\x0d\3")),
        "has type 0x0d and 3 dimensions; should have type 0x08",
    ),
    "IDX: labels for images": (bad_idx("train-images-idx3-ubyte", idx_bytes(LABELS)), "0x08 and 1 dimensions"),
    "IDX: ends in header": (bad_idx("train-images-idx3-ubyte", b"\0\0\x08\3\0\0\0"), "ends within its header"),
    "IDX: short": (bad_idx("train-images-idx3-ubyte", idx_bytes(IMAGES)[:-1]), "holds 23 bytes of values"),
    "IDX: long": (bad_idx("train-images-idx3-ubyte", idx_bytes(IMAGES) + b"0"), "holds more bytes of values"),
    "IDX: lying": (
        bad_idx("train-images-idx3-ubyte", idx_bytes(IMAGES, shape=(4, 2, 4))),
        "the shape (4, 2, 4) in its header takes 32",
    ),
    "IDX: huge": (
        bad_idx("train-images-idx3-ubyte", idx_bytes(IMAGES, shape=(2**32 - 1,) * 3)),
        "is too short for the 79,228,162,458,924,105,385,300,197,375 bytes",
    ),
    "IDX: short, gz": (bad_idx("train-images-idx3-ubyte.gz", idx_bytes(IMAGES)[:-1]), "holds 23 bytes"),
    "IDX: long, gz": (bad_idx("train-images-idx3-ubyte.gz", idx_bytes(IMAGES) + b"0"), "holds more bytes"),
    "IDX: huge, gz": (
        bad_idx("train-images-idx3-ubyte.gz", idx_bytes(IMAGES, shape=(1000, 1000, 1000))),
        "is too short for the 1,000,000,000 bytes",
    ),
    "IDX: truncated gz": (bad_gzip(lambda data: data[:-9]), "ended before the end-of-stream marker"),
    "IDX: wrong checksum": (bad_gzip(lambda data: data[:-8] + bytes(8)), "CRC check failed"),
    "IDX: no gz": (bad_gzip(lambda data: b"GIF89a"), "Not a gzipped file"),
    "IDX: broken gz": (bad_gzip(lambda data: data[:10] + b"\xff" * 20), "Error -3 while decompressing"),
    "IDX: several labels": (
        bad_idx("train-labels-idx1-ubyte", idx_bytes(np.ones((4, 2), np.uint8))),
        "train-labels-idx1-ubyte[0] = [1, 1]: should be one label per image",
    ),
    "IDX: a split twice": (
        bad_idx("test-images-idx3-ubyte", IDX_FILES["t10k-images-idx3-ubyte"]),
        "t10k-images-idx3-ubyte and test-images-idx3-ubyte both hold images of test",
    ),
    "IDX: no labels": (bad_idx("train-labels-idx1-ubyte", None), "no such file"),
    "IDX: half a test": (bad_idx("t10k-images-idx3-ubyte", None), "no such file"),
    "a file an array: objects": (bad_npy(np.save, np.array([{}] * 4)), "labels.npy: holds Python objects, which are"),
    "a file an array: cut short": (bad_npy(lambda f, a: f.write_bytes(npy((4,), b"abc"))), "labels.npy: has 3 bytes"),
    "a file an array: no array": (bad_npy(lambda f, a: f.write_bytes(b"GIF")), "labels.npy: cannot be read as .npy"),
    "a file an array: too few": (bad_npy(np.save, LABELS[:3]), "labels.npy: has shape (3,); should be (4,)"),
    "CIFAR: no archive": (bad_archive(lambda data: b"<html>"), "cannot be read: Not a gzipped file"),
    "CIFAR: truncated": (bad_archive(lambda data: data[: len(data) // 2]), "cannot be read"),
    "CIFAR: no tar": (bad_archive(lambda data: gzip.compress(b"<html>" * 200)), "cannot be read"),
    "CIFAR: wrong checksum": (bad_archive(lambda data: data[:-8] + bytes(8)), "cannot be read: CRC check failed"),
    "CIFAR: no batch": (bad_cifar(cifar10, CIFAR10, without=BATCH), f"has no {BATCH}"),
    "CIFAR: short batch": (
        bad_cifar(cifar10, {**CIFAR10, BATCH: record(4) + record(5)[:-1]}),
        f"{BATCH}: has 6,145 bytes; should be records of 3,073",
    ),
    "CIFAR: empty test": (
        bad_cifar(cifar10, {**CIFAR10, "cifar-10-batches-bin/test_batch.bin": b""}),
        "(0, 32, 32, 3)",
    ),
    "CIFAR: label too large": (bad_cifar(cifar10, {**CIFAR10, BATCH: record(10)}), "[4] = 10: should be 0 to 9"),
    "CIFAR-100: no names": (bad_cifar(cifar100, CIFAR100, without=FINE), f"has no {FINE}"),
    "CIFAR-100: a name too few": (bad_cifar(cifar100, {**CIFAR100, FINE: b"apple\nbaby\n"}), "[2] = 2"),
    "CIFAR-100: a name twice": (bad_cifar(cifar100, {**CIFAR100, FINE: b"a\nb\na\n"}), f"{FINE}: 'a' is listed twice"),
    "CIFAR-100: no text": (bad_cifar(cifar100, {**CIFAR100, FINE: b"a\nb\n\xff\n"}), f"{FINE}: a class named"),
}


@pytest.mark.parametrize(("make", "said"), BAD_ARRAYS.values(), ids=BAD_ARRAYS)
def test_bad_arrays_are_refused_with_one_line_that_names_the_file(
    make: Callable[[Path], Made], said: str, tmp_path: Path
) -> None:
    source, spec, file = make(tmp_path)

    with pytest.raises(BadInputError) as caught:
        source.load(spec, "")

    line = str(caught.value)
    assert said in line
    assert file.name in line
    assert line.startswith(spec) or line.startswith(str(file))
    assert line.isprintable()


GAPS: dict[str, tuple[Callable[[Path], Made], str]] = {
    "integers": (bad_npz(images=IMAGES, labels=[0, 2, 0, 2]), "1"),
    "one-hot": (bad_npz(images=IMAGES, labels=np.eye(5)[:4]), "4"),
    "integers from 2": (bad_npz(images=IMAGES, labels=[2, 3, 2, 3]), "0"),
    "names": (bad_npz(images=IMAGES, labels=[0, 2, 0, 2], classes=["a", "b", "c"]), "b"),
    "CIFAR": (bad_cifar(cifar10, {**CIFAR10, BATCH: record(4)}), "dog"),
}


@pytest.mark.parametrize(("make", "empty"), GAPS.values(), ids=GAPS)
def test_a_class_without_images_can_be_tested_on_but_not_learnt(
    make: Callable[[Path], Made], empty: str, tmp_path: Path
) -> None:
    source, spec, _ = make(tmp_path)
    samples = source.load(spec, "")

    with pytest.raises(BadInputError, match=rf"^it: no image has label {empty}; labels should have no gaps$"):
        _check_trainable(samples, "it")


@pytest.mark.parametrize("source", [npz, idx])
def test_what_does_not_fit_into_memory_is_not_read(
    source: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=20))
    spec = saved(tmp_path, images=IMAGES, labels=LABELS) if source is npz else written(tmp_path / "idx", IDX_FILES)

    with pytest.raises(BadInputError, match="bytes of memory, 20 are free; give a folder of files instead"):
        source.load(str(spec), "")


def test_the_fingerprint_of_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"no\.npz: no such file"):
        npz.fingerprint(str(tmp_path / "no.npz"), tmp_path / "memo.json")


def test_a_failed_download_says_what_to_put_where(keras_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(url: str, file: Path, digest: str) -> None:
        raise OSError(f"no route to {url}\nat all")

    monkeypatch.setattr(downloads, "_download", no_network)
    monkeypatch.setattr(fashion_mnist, "DEBIAN", keras_home)
    for name in ("mnist", "fashion_mnist", "cifar10", "cifar100"):
        source: Any = sys.modules[f"compress.data.sources.{name}"]
        for ask in (source.load, source.fingerprint):
            with pytest.raises(MachineError) as caught:
                ask(name, "")
            line = str(caught.value)
            assert all(file in line for file in source.FILES)
            assert f"put into {keras_home}" in line
            assert line.isprintable()


def test_labels_that_are_names_are_found_among_the_classes(tmp_path: Path) -> None:
    names = np.array(["hen", "cat", "cat ", "hen"])

    samples = npz.load(str(saved(tmp_path, images=IMAGES, labels=names, classes=["hen", "cat"])), "")

    assert samples.classes == ("hen", "cat")
    assert samples.labels.tolist() == [0, 1, 1, 0]
    with pytest.raises(BadInputError, match="labels: 'cow' is not one of the classes: hen, cat"):
        npz.load(str(saved(tmp_path, images=IMAGES, labels=["hen", "cat", "cow", "hen"], classes=["hen", "cat"])), "")


def test_another_split_in_the_name_of_an_idx_file_is_other_data(tmp_path: Path) -> None:
    for split in ("train", "test"):
        (tmp_path / f"{split}-images-idx3-ubyte").write_bytes(b"images")
        (tmp_path / f"{split}-labels-idx1-ubyte").write_bytes(b"labels")
    before = idx.fingerprint(str(tmp_path), tmp_path / "memo.json")

    for kind in ("images-idx3-ubyte", "labels-idx1-ubyte"):
        (tmp_path / f"test-{kind}").rename(tmp_path / f"val-{kind}")

    assert idx.fingerprint(str(tmp_path), tmp_path / "memo.json") != before
