"""A teacher from all weights of an earlier run: as they are, or trained on from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress import networks, trained_weights
from compress.arrays import load_arrays, save_arrays
from compress.artifacts import Dataset, Network
from compress.config import load
from compress.context import Context
from compress.data.balance import Balance
from compress.errors import BadInputError
from compress.metrics.classification import Result
from compress.stages import teacher
from compress.tensorflow import start_afresh
from compress.training import supervised
from compress.training.settings import Engine
from teachers import vgg11

SHAPE = (32, 32, 1)
OPTIONS: dict[str, Any] = {"width": 0.03}
NARROW = ["teacher.architecture={ name = 'vgg11', options = { width = 0.03 } }", "teacher.augmentation.shift=0"]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """24 images of random pixels in three classes, as large as the teachers need."""
    folder, random = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    np.save(folder / "images.npy", random.integers(0, 256, (24, *SHAPE), np.uint8))
    sizes = {"train": 12, "validation": 6, "test": 6}
    for split, indices in zip(sizes, np.split(np.arange(24), [12, 18]), strict=True):
        np.save(folder / f"{split}.npy", indices)
        np.save(folder / f"{split}_labels.npy", indices % 3)
    return Dataset("noise", ("a", "b", "c"), SHAPE, sizes, {}, folder)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Network:
    start_afresh(3)
    weights = tmp_path_factory.mktemp("earlier") / "weights.npz"
    networks.save(vgg11.build(SHAPE, 3, **OPTIONS), weights)
    return Network("teacher", "teacher", "teachers", "vgg11", OPTIONS, SHAPE, 3, weights)


def run(images: Dataset, weights: Path, context: Context, *assignments: str) -> Network:
    out = context.checkpoint / "out"
    out.mkdir()
    config: Any = load(assignments=[*NARROW, f"teacher.weights={weights}", *assignments])
    return teacher.run(config.teacher, Balance(), Engine(precision="float32"), images, out, context)


def test_weights_of_all_layers_are_taken_as_they_are(
    images: Dataset, earlier: Network, context: Context, notes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compress.training.beginning.evaluate", lambda *_: Result(1.0, 1.0, 0.1))
    monkeypatch.setattr(supervised, "label_batches", None)

    made = run(images, earlier.weights, context, "teacher.epochs=0")

    assert made.weights.read_bytes() == earlier.weights.read_bytes()
    assert (made.history, made.precision, made.options) == ((), {}, OPTIONS)
    assert notes == [
        f"here: begins from all layers of {earlier.weights}",
        f"here: {earlier.weights} does not tell its classes, which are taken to be the data's: a, b, c",
        "here: nor does it tell its images: it may have seen those of validation and test",
        "here: not trained, validation accuracy 1.0000",
    ]


def test_a_file_that_tells_its_classes_is_not_asked_for_them(
    images: Dataset, earlier: Network, context: Context, notes: list[str], tmp_path: Path
) -> None:
    kept = tmp_path / "teacher.npz"
    trained_weights.keep(replace(earlier, image_shape=(48, 32, 1)), images.classes, kept)

    run(images, kept, context, "teacher.epochs=0")

    assert notes[:2] == [
        f"here: begins from all layers of {kept}",
        f"here: {kept} was trained on images of 48x32x1, these are 32x32x1",
    ]


@pytest.mark.parametrize(("accuracy", "is_said"), [(1 / 3, True), (0.0, True), (1.0, False)])
def test_weights_that_are_no_better_than_guessing_say_so(
    accuracy: float,
    is_said: bool,
    images: Dataset,
    earlier: Network,
    context: Context,
    notes: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("compress.training.beginning.evaluate", lambda *_: Result(accuracy, accuracy, 1.0))

    run(images, earlier.weights, context, "teacher.epochs=0")

    assert ("that is not clearly better than to name the most frequent class, 0.3333" in notes[-1]) == is_said


def too_large(arrays: dict[str, np.ndarray]) -> None:
    for name in list(arrays)[-2:]:
        arrays[name][:] = 3e38


def one_class_more(arrays: dict[str, np.ndarray]) -> None:
    for name in list(arrays)[-2:]:
        arrays[name] = np.concatenate([arrays[name], arrays[name][..., :1]], axis=-1)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (too_large, "give a validation cross-entropy of nan; should be weights of a training that went well"),
        (
            one_class_more,
            "logits: the head has 4 outputs, the data has 3 classes; should be weights for the same classes",
        ),
    ],
)
def test_weights_that_cannot_be_the_teachers_name_the_key(
    change: Callable[..., None], said: str, images: Dataset, earlier: Network, context: Context, tmp_path: Path
) -> None:
    arrays = load_arrays(earlier.weights)
    change(arrays)
    save_arrays(tmp_path / "bad.npz", arrays)

    with pytest.raises(BadInputError) as caught:
        run(images, tmp_path / "bad.npz", context, "teacher.epochs=0")

    assert str(caught.value).startswith("teacher.weights: ")
    assert said in str(caught.value)


@pytest.mark.parametrize("course", ["teacher.epochs=1", "teacher.phases=[{epochs=1, views=0}]"])
def test_a_training_that_makes_them_no_better_gives_the_weights_it_began_with(
    course: str, images: Dataset, earlier: Network, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    falling = iter([0.9, 0.5])
    monkeypatch.setattr("compress.training.trainer.evaluate", lambda *_: Result(next(falling), 0.0, 1.0))

    made = run(images, earlier.weights, context, "teacher.epochs=0", course)

    assert made.weights.read_bytes() == earlier.weights.read_bytes()
    assert [epoch.validation_accuracy for epoch in made.history] == [0.5]
