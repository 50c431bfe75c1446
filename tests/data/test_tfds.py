"""Data sets of TensorFlow Datasets, made here by its own generators, so that nothing is downloaded."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from compress.data.samples import Encoded, Samples
from compress.data.sources import tfds
from compress.errors import BadInputError

Make = Callable[..., str]
NUMBERS = itertools.count()  # each data set needs a name of its own


def test_without_its_package_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)

    with pytest.raises(BadInputError, match=r"^tfds:mnist: needs .*: pip install 'compress\[tfds\]'$"):
        tfds.load("tfds:mnist", "")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    found = pytest.importorskip("tensorflow_datasets")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    return found


@pytest.fixture
def make(package: Any) -> Make:
    """Return what registers a data set of tiny images, each filled with its number, and returns its SPEC."""

    def register(
        splits: dict[str, Any], image: Any = None, label: Any = None, keys: Any = ("image", "label"), **others: Any
    ) -> str:
        kinds = {"image": image or package.features.Image(shape=(4, 4, 3)), **others}
        kinds["label"] = label or package.features.ClassLabel(names=["hen", "cat"])

        def info(self: Any) -> Any:
            features = package.features.FeaturesDict(kinds)
            return package.core.DatasetInfo(builder=self, features=features, supervised_keys=keys)

        def examples(labels: list[Any], first: int) -> Any:
            for i, each in enumerate(labels, start=first):
                pixels = np.full(kinds["image"].shape, i, kinds["image"].np_dtype)
                yield i, {"image": pixels, "label": each, **dict.fromkeys(others, 0)}

        name = f"Tiny{next(NUMBERS)}"
        type(
            name,
            (package.core.GeneratorBasedBuilder,),
            {
                "__module__": __name__,
                "VERSION": package.core.Version("1.0.0"),
                "_info": info,
                "_split_generators": lambda self, manager: {
                    split: examples(labels, 100 * i) for i, (split, labels) in enumerate(splits.items())
                },
                "_generate_examples": lambda self: None,
            },
        )
        return f"tfds:{package.core.naming.camelcase_to_snakecase(name)}"

    return register


def values(samples: Samples) -> list[int]:
    return [int(np.asarray(samples.images.open(i)[0]).max()) for i in range(len(samples.images))]


def test_images_are_as_they_are_stored(make: Make, tmp_path: Path) -> None:
    spec = make({"train": [0, 1, 0, 1], "test": [0, 1]})

    samples = tfds.load(spec, "")

    assert isinstance(samples.images, Encoded)
    assert sorted(values(samples)) == [0, 1, 2, 3, 100, 101]
    assert samples.labels.tolist() == [value % 2 for value in values(samples)]
    assert samples.classes == ("hen", "cat")
    assert samples.splits == ["train"] * 4 + ["test"] * 2
    assert samples.notes == []
    first, second = (tfds.fingerprint(spec, tmp_path / "memo") for _ in range(2))
    assert first == second
    with pytest.raises(BadInputError, match=r"^tfds:tiny_shapez: .*not found"):
        tfds.load("tfds:tiny_shapez", "")


def test_splits_that_are_not_read_count_for_no_memory_and_are_named(
    make: Make, package: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A data set whose unlabelled images are more than this machine holds, as that of STL-10 may be."""
    spec = make({"train": [0, 1], "val": [1], "unlabelled": [0] * 50})
    tfds.load(spec, "")  # writes the files, whose sizes are then known
    splits = package.builder(spec.removeprefix("tfds:")).info.splits
    read = splits["train"].num_bytes + splits["val"].num_bytes
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=read))

    samples = tfds.load(spec, "")

    assert samples.splits == ["train", "train", "validation"]
    assert samples.notes == ["splits that are not read: unlabelled"]
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=read - 1))
    with pytest.raises(BadInputError, match="bytes of memory"):
        tfds.load(spec, "")


def test_classes_without_images_are_left_out_and_named(make: Make, package: Any) -> None:
    names = package.features.ClassLabel(names=["hen", "cow", "cat", "dog"])

    samples = tfds.load(make({"train": [0, 2, 0], "test": [2]}, label=names), "")

    assert samples.classes == ("hen", "cat")
    assert samples.labels.tolist() == [{0: 0, 1: 1, 2: 0, 100: 1}[value] for value in values(samples)]
    assert samples.notes == ["2 of 4 classes have no image and are left out: cow, dog"]


def test_labels_without_names_are_named_by_their_numbers(make: Make, package: Any) -> None:
    samples = tfds.load(make({"train": [0, 1, 2]}, label=package.features.ClassLabel(num_classes=3)), "")

    assert samples.classes == ("0", "1", "2")
    assert samples.splits is None


def test_a_split_without_labels_is_left_out_and_named(make: Make) -> None:
    samples = tfds.load(make({"train": [0, 1], "test": [-1, -1]}), "")

    assert samples.splits is None
    assert samples.notes == ["split test has no labels and is left out"]


@pytest.mark.parametrize(
    "keys", [({"a": "image", "b": "number"}, "label"), (("image", "number"), {"c": "label"}), None], ids=str
)
def test_keys_are_found_however_they_are_nested(keys: Any, make: Make) -> None:
    samples = tfds.load(make({"train": [0, 1], "test": [1]}, keys=keys, number=np.int64), "")

    assert samples.classes == ("hen", "cat")
    assert len(samples.images) == 3


def test_images_of_16_bits_are_kept(make: Make, package: Any) -> None:
    deep = package.features.Image(shape=(4, 4, 1), dtype=np.uint16, encoding_format="png")

    assert sorted(values(tfds.load(make({"train": [0, 1]}, image=deep), ""))) == [0, 1]


def test_what_is_no_image_with_one_class_is_refused_before_it_is_made(make: Make, package: Any) -> None:
    features = package.features
    floats = features.Image(shape=(4, 4, 1), dtype=np.float32)
    refused = [
        ({"image": floats}, "image holds floats, kept as bit patterns; should be images of uint8 or uint16"),
        ({"label": features.Text()}, r"holds image \(Image\), label \(Text\); should be images with one class each"),
        ({"keys": None, "other": features.ClassLabel(num_classes=2)}, r"other \(ClassLabel\), .*one class each"),
        ({"keys": ("image", "image")}, "should be images with one class each"),
    ]
    for changes, said in refused:
        with pytest.raises(BadInputError, match=f"^tfds:.*: .*{said}"):
            tfds.load(make({"train": [0]}, **changes), "")


def test_a_data_set_of_other_splits_is_refused(make: Make) -> None:
    with pytest.raises(BadInputError, match="has no split train, validation or test; holds full"):
        tfds.load(make({"full": [0, 1]}), "")
