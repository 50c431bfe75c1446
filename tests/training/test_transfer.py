"""Transfer learning: what is frozen stays, and features that are kept give what the whole network would."""

from __future__ import annotations

import csv
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress.artifacts import Dataset
from compress.config import load
from compress.context import Context
from compress.data.balance import Balance
from compress.data.batches import Batches, Epoch
from compress.data.images import images_of
from compress.metrics.classification import Result
from compress.stages import data, teacher
from compress.tensorflow import keras, start_afresh
from compress.training import beginning, transfer
from compress.training.history import FILE
from compress.training.settings import Engine, Phase, Schedule
from compress.training.transfer import Views
from teachers import vgg11
from tests.training.test_fit import Killed

FLOAT32 = Engine(precision="float32")
TINY = ["teacher.architecture={ name = 'vgg11', options = { width = 0.05, batch_norm = false } }"]
TINY += ["teacher.batch_size=32", "teacher.epochs=1", "teacher.augmentation.brightness=0.2"]
# Nothing moves: XLA would compile that for every size of a batch
TINY += [f"teacher.augmentation.{name}=0" for name in ("shift", "rotation", "zoom")]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """48 images of two classes, bright on the left or on the right."""
    out = tmp_path_factory.mktemp("images")
    random, labels = np.random.default_rng(0), np.arange(48) % 2
    pixels = random.integers(0, 100, (48, 32, 32), np.uint8)
    for i, label in enumerate(labels):
        pixels[i, :, 16 * label : 16 * label + 16] += 100
    np.savez(out / "images.npz", images=pixels, labels=labels)
    config = load(assignments=[f"data.source={out / 'images.npz'}"])
    return data.run(config.data, config.image, out, context(out))  # type: ignore[attr-defined]


def context(folder: Path, notes: list[str] | None = None, kill_after: float = 2.0) -> Context:
    def progress(fraction: float, words: str) -> None:
        if fraction > kill_after:
            raise Killed

    return Context("teacher", 0, 5, folder, folder / "logs", progress, (notes if notes is not None else []).append)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The setting for weights of a trunk of `TINY`."""
    start_afresh(1)
    model = vgg11.build((32, 32, 3), 2, width=0.05, batch_norm=False)
    convolutions = {layer.name: layer.get_weights() for layer in model.layers if "conv" in layer.name}
    file = tmp_path_factory.mktemp("weights") / "trunk.npz"
    np.savez(
        file, **{f"{name}/{i}": 1.5 * array for name, pair in convolutions.items() for i, array in enumerate(pair)}
    )
    return f"weights={file}"


def train(images: Dataset, where: Context, *assignments: str) -> dict[str, list[np.ndarray]]:
    """Return each layer's weights."""
    where.checkpoint.mkdir(exist_ok=True)
    config = load(assignments=[*TINY, *(f"teacher.{assignment}" for assignment in assignments)])
    model, _ = teacher.fit_teacher(config.teacher, Balance(), FLOAT32, images, where)  # type: ignore[attr-defined]
    return {layer.name: layer.get_weights() for layer in model.layers if layer.weights}


def changed(one: dict[str, list[np.ndarray]], other: dict[str, list[np.ndarray]]) -> set[str]:
    return {
        name.partition("_")[0]
        for name in one
        if any(not np.array_equal(a, b) for a, b in zip(one[name], other[name], strict=True))
    }


def test_each_phase_trains_what_it_says_and_leaves_the_rest(
    images: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, list[np.ndarray]]] = []
    fit_phase = transfer.fit_phase

    def watched(model: Any, *arguments: Any, **options: Any) -> None:
        weights = lambda: {layer.name: layer.get_weights() for layer in model.layers if layer.weights}  # noqa: E731
        seen.append(weights())
        fit_phase(model, *arguments, **options)
        seen.append(weights())

    monkeypatch.setattr(transfer, "fit_phase", watched)
    better = itertools.count(1)
    monkeypatch.setattr("compress.training.trainer.evaluate", lambda *_: Result(next(better), 0.0, 1.0))
    final = train(images, context(tmp_path), "phases=[{epochs=1}, {blocks=2, epochs=1, views=0}]")

    assert changed(seen[0], seen[1]) == {"logits"}
    assert changed(seen[2], seen[3]) == {"block4", "block5", "logits"}
    assert changed(seen[3], final) == {"block1", "block2", "block3", "block4", "block5", "logits"}


@pytest.mark.parametrize("blocks", [0, 2])
def test_kept_features_train_what_those_computed_anew_do(
    blocks: int, images: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The free disk decides which it is: both see the image as it is and an augmented view of it, in turn."""
    notes: list[str] = []
    phase = (f"phases=[{{blocks={blocks}, epochs=4, learning_rate=0.02, views=2}}]", "architecture.options.dropout=0.2")
    kept = train(images, context(tmp_path / "kept", notes), "epochs=0", *phase)
    monkeypatch.setattr(transfer, "MIN_FREE", 1 << 60)
    anew = train(images, context(tmp_path / "anew"), "epochs=0", *phase)

    assert list((tmp_path / "kept").glob("*.npy"))
    assert not list((tmp_path / "anew").glob("*.npy"))
    for name in kept:
        for one, other in zip(kept[name], anew[name], strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-4)
    texts = [(tmp_path / name / "logs" / "phase1" / FILE).read_text() for name in ("kept", "anew")]
    losses = [[float(row["loss"]) for row in csv.DictReader(text.splitlines())] for text in texts]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
    assert notes[0].startswith("teacher: phase1: validation accuracy ")
    assert notes[1].startswith("teacher: phase1: 4 epochs on kept features of")
    assert "which saved" in notes[1]


def test_images_that_are_repeated_are_in_the_same_views_whether_features_are_kept() -> None:
    indices = np.array([3, 1, 1, 0])
    targets = np.eye(4, dtype=np.float32)
    images = np.zeros((4, 2, 2, 1), np.uint8)
    batches = Batches(
        images, lambda i, views: targets[i], lambda epoch: Epoch(indices, indices, indices), 2, 0, weights=targets[0]
    )

    seen = transfer._in_views(batches, 2)
    kept = transfer._of_features(seen, Views([np.zeros((4, 3), np.float32)] * 2))

    for epoch, view in ((0, 0), (1, 1), (2, 0)):
        chosen, of_features = seen.choose(epoch), kept.choose(epoch)
        np.testing.assert_array_equal(chosen.views, [view] * 4)
        np.testing.assert_array_equal(chosen.indices, indices)
        np.testing.assert_array_equal(chosen.draw_ids, indices)
        np.testing.assert_array_equal(of_features.indices, indices + 4 * view)
        np.testing.assert_array_equal(kept.targets(of_features.indices, of_features.views), targets[indices])
        np.testing.assert_array_equal(kept.weights[of_features.indices], targets[0][indices])


def test_features_that_differ_from_call_to_call_are_not_kept() -> None:
    start_afresh(0)
    layers = keras.layers
    image = keras.Input((8,))
    pure = layers.ReLU(name="block1_relu")(layers.Dense(4, name="block1_dense")(image))
    random = layers.Dropout(0.5, name="block1_dropout")(layers.Dense(4, name="block1_again")(image))

    def cut(features: Any) -> Any:
        return transfer.cut(keras.Model(image, layers.Dense(2, name="logits")(features)), ("block1_",))

    assert cut(pure).name == "block1_relu"
    assert cut(random) is None


def test_views_are_trained_on_in_turn(images: Dataset, tmp_path: Path) -> None:
    train(images, context(tmp_path / "one"), "epochs=0", "phases=[{epochs=2, views=1}]")
    train(images, context(tmp_path / "two"), "epochs=0", "phases=[{epochs=2, views=2}]")

    assert sorted(path.name for path in (tmp_path / "two").glob("*.npy")) == [
        "phase1-features0.npy",
        "phase1-features1.npy",
        "phase1-validation-features0.npy",
    ]
    texts = [(tmp_path / name / "logs" / "phase1" / FILE).read_text() for name in ("one", "two")]
    losses = [[row["loss"] for row in csv.DictReader(text.splitlines())] for text in texts]
    assert losses[0][0] == losses[1][0]
    assert losses[0][1] != losses[1][1]


def test_views_as_one_array() -> None:
    views = Views([np.arange(6.0).reshape(3, 2), np.arange(6.0, 12.0).reshape(3, 2)])

    assert views.shape == (6, 2)
    np.testing.assert_array_equal(views[np.array([4, 0, 5])], [[8, 9], [0, 1], [10, 11]])
    np.testing.assert_array_equal(views[1:4], [[2, 3], [4, 5], [6, 7]])


PHASES = (
    "phases=[{epochs=2}, {blocks=1, epochs=2, learning_rate=0.005}]",
    "architecture.options.dropout=0.2",
    "schedule.shape=wsd",  # each phase with a fall of its own
)


@pytest.fixture(scope="module")
def unbroken(images: Dataset, published: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[np.ndarray]]:
    """What `PHASES` come to where nothing interrupts them."""
    return train(images, context(tmp_path_factory.mktemp("unbroken")), published, *PHASES)


@pytest.mark.parametrize("kill_after", [0.0, 0.4, 0.6])
def test_phases_that_are_killed_go_on_to_the_same_bytes(
    kill_after: float, unbroken: dict[str, list[np.ndarray]], images: Dataset, published: str, tmp_path: Path
) -> None:
    with pytest.raises(Killed):
        train(images, context(tmp_path, kill_after=kill_after), published, *PHASES)

    resumed = train(images, context(tmp_path), published, *PHASES)

    assert changed(unbroken, resumed) == set()


def test_whether_features_are_kept_is_decided_once(
    images: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They take the very space that is asked for: a run that is resumed must not come to another answer."""
    phase = ("epochs=0", "phases=[{epochs=3}]")
    unbroken = train(images, context(tmp_path / "unbroken"), *phase)
    with pytest.raises(Killed):
        train(images, context(tmp_path / "killed", kill_after=0.4), *phase)
    monkeypatch.setattr(transfer, "MIN_FREE", 1 << 60)

    resumed = train(images, context(tmp_path / "killed"), *phase)

    assert changed(unbroken, resumed) == set()


def test_features_are_brought_to_scale_by_training_images_alone(
    images: Dataset, published: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[np.ndarray] = []
    bring_to_scale = beginning.bring_to_scale

    def watched(model: Any, blocks: Any, given: np.ndarray, where: Context) -> None:
        seen.append(given[:])
        bring_to_scale(model, blocks, given, where)

    monkeypatch.setattr(beginning, "bring_to_scale", watched)
    train(images, context(tmp_path), published, "epochs=0", "phases=[{epochs=1}]")

    np.testing.assert_array_equal(seen[0], images_of(images, "train")[:])


@pytest.mark.parametrize(
    ("phase", "n", "settings"),
    [
        (Phase(epochs=30), 1000, {"patience": 30, "weight_decay": 1.0}),
        (Phase(epochs=30), 100, {"patience": 30, "weight_decay": 2.0}),
        (Phase(epochs=30, weight_decay=0.1), 1000, {"patience": 30, "weight_decay": 0.1}),
        (Phase(blocks=1), 1000, {}),
        (Phase(blocks=1, weight_decay=0.1), 1000, {"weight_decay": 0.1}),
    ],
)
def test_a_head_trains_to_its_end_with_a_decay_for_its_data(phase: Phase, n: int, settings: dict[str, Any]) -> None:
    shared = {"epochs": phase.epochs, "learning_rate": phase.learning_rate}
    schedule = {} if phase.blocks else {"schedule": Schedule(shape="cosine")}
    assert transfer._settings(phase, n, Schedule(shape="cosine")) == {**shared, **schedule, **settings}


def test_a_head_takes_all_its_epochs_where_other_trainings_end_once_they_learn_no_more() -> None:
    schedule = Schedule(shape="wsd")
    assert transfer._settings(Phase(), 100, schedule)["schedule"].shape == "one_cycle"
    assert "schedule" not in transfer._settings(Phase(blocks=1), 100, schedule)


@pytest.mark.parametrize(
    ("phase", "is_mixed", "cost"),
    [
        (Phase(epochs=30), False, 1 / 3),  # features of one view
        (Phase(epochs=30, views=6), False, 2.0),
        (Phase(epochs=30, views=0), False, 10.0),
        (Phase(epochs=30), True, 10.0),
        (Phase(epochs=30, blocks=1), False, 1 / 3 + 6.0),
    ],
)
def test_a_phase_costs_its_features_and_its_part_of_the_layers(phase: Phase, is_mixed: bool, cost: float) -> None:
    assert phase.cost(5, is_mixed) == pytest.approx(cost)


def test_mixed_images_have_no_features_to_keep(images: Dataset, tmp_path: Path) -> None:
    train(images, context(tmp_path), "epochs=0", "phases=[{epochs=1}]", "mixing.mixup=0.2")

    assert not list(tmp_path.glob("*.npy"))


def test_features_that_do_not_fit_on_the_disk_are_not_kept(
    images: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "MIN_FREE", 1 << 60)
    notes: list[str] = []
    train(images, context(tmp_path, notes), "epochs=0", "phases=[{epochs=1}]")

    assert notes[0] == (
        "teacher: features would take 0.0 GB of disk, 0.0 GB are free: they are computed anew in each epoch"
    )
    assert not list(tmp_path.glob("*.npy"))
