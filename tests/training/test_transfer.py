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
from compress.stages import data, teacher
from compress.training import transfer
from compress.training.history import FILE
from compress.training.settings import Engine
from compress.training.transfer import Views
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

    def watched(model: Any, *arguments: Any) -> None:
        weights = lambda: {layer.name: layer.get_weights() for layer in model.layers if layer.weights}  # noqa: E731
        seen.append(weights())
        fit_phase(model, *arguments)
        seen.append(weights())

    monkeypatch.setattr(transfer, "fit_phase", watched)
    better = itertools.count(1)
    monkeypatch.setattr("compress.training.trainer.evaluate", lambda *_: (next(better), 1.0))
    final = train(images, context(tmp_path), "phases=[{epochs=1}, {blocks=2, epochs=1, views=0}]")

    assert changed(seen[0], seen[1]) == {"logits"}
    assert changed(seen[2], seen[3]) == {"block4", "block5", "logits"}
    assert changed(seen[3], final) == {"block1", "block2", "block3", "block4", "block5", "logits"}


@pytest.mark.parametrize("blocks", [0, 2])
def test_kept_features_train_what_the_whole_network_would(blocks: int, images: Dataset, tmp_path: Path) -> None:
    notes: list[str] = []
    settings = ("epochs=0", "augmentation.brightness=0")
    phase = "phases=[{blocks=%d, epochs=3, learning_rate=0.02, views=%d}]"
    kept = train(images, context(tmp_path / "kept", notes), *settings, phase % (blocks, 1))
    through = train(images, context(tmp_path / "through"), *settings, phase % (blocks, 0))

    for name in kept:
        for one, other in zip(kept[name], through[name], strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-4)
    assert notes[0].startswith("teacher: validation accuracy ")
    assert notes[1].startswith("teacher: phase1: 3 epochs on kept features of")
    assert "which saved" in notes[1]


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


PHASES = ("phases=[{epochs=2}, {blocks=1, epochs=2, learning_rate=0.005}]", "architecture.options.dropout=0.2")


@pytest.fixture(scope="module")
def unbroken(images: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[np.ndarray]]:
    """What `PHASES` come to where nothing interrupts them."""
    return train(images, context(tmp_path_factory.mktemp("unbroken")), *PHASES)


@pytest.mark.parametrize("kill_after", [0.0, 0.4, 0.6])
def test_phases_that_are_killed_go_on_to_the_same_bytes(
    kill_after: float, unbroken: dict[str, list[np.ndarray]], images: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(Killed):
        train(images, context(tmp_path, kill_after=kill_after), *PHASES)

    resumed = train(images, context(tmp_path), *PHASES)

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
