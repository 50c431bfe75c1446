from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from compress.artifacts import Dataset
from compress.config import load
from compress.context import Context, stage_seed
from compress.data.images import images_of
from compress.recipe import sample as sampling
from compress.recipe.sample import Sample, sample_of
from compress.stages import data

SIZES = (32, 64)


def alike_when_small(n: int) -> np.ndarray:
    """Return `n` grey images of 64x64, two each of which differ only in detail that 32x32 has no room for."""
    random = np.random.default_rng(0)
    coarse = random.integers(50, 200, (n // 2, 8, 8), np.uint8).repeat(8, axis=1).repeat(8, axis=2)
    detail = np.tile(np.array([[1, -1], [-1, 1]], np.int8), (32, 32))
    return np.stack([coarse + detail, coarse - detail], axis=1).reshape(n, 64, 64).astype(np.uint8)


def taken(config: Any, folder: Path) -> Sample:
    samples = config.data.source.function(config.data.source.name, config.data.group)
    return sample_of(samples, config, 1, SIZES, folder / "digests.json")


def divided(config: Any, size: int, folder: Path) -> Dataset:
    folder.mkdir()
    context = Context("data", 0, stage_seed(0, "data"), folder, folder, lambda *_: None, lambda line: None)
    return data.run(config.data, config.image.model_copy(update={"size": size}), folder, context)


def in_split(dataset: Dataset, split: Any) -> set[bytes]:
    return {image.tobytes() for image in images_of(dataset, split)[:]}


def in_sample(sample: Sample, rows: np.ndarray, size: int) -> set[bytes]:
    return {image.tobytes() for image in sample.pixels[size][rows]}


def test_no_image_is_tried_that_will_be_in_test_whatever_the_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = alike_when_small(600)
    np.savez(tmp_path / "all.npz", images=images, labels=np.arange(600) // 2 % 3)
    config: Any = load(assignments=[f"data.source={tmp_path / 'all.npz'}"])
    monkeypatch.setattr(sampling, "MOST", 250)

    sample = taken(config, tmp_path)

    used = np.concatenate([sample.train, sample.held_out])
    assert 150 < len(used) < 220
    assert len(used) / 6 < len(sample.held_out) < len(used) / 3
    for size in SIZES:
        assert not in_sample(sample, used, size) & in_split(divided(config, size, tmp_path / f"{size}"), "test")
        assert not in_sample(sample, sample.train, size) & in_sample(sample, sample.held_out, size)


def test_splits_that_are_given_are_kept(tmp_path: Path) -> None:
    images = alike_when_small(120)
    labels = np.arange(60) % 2
    np.savez(tmp_path / "given.npz", x_train=images[:60], y_train=labels, x_test=images[60:], y_test=labels)
    config: Any = load(assignments=[f"data.source={tmp_path / 'given.npz'}"])

    sample = taken(config, tmp_path)

    assert len(sample.labels) == 60
    assert len(sample.train) + len(sample.held_out) > 40
    assert {image.tobytes() for image in sample.pixels[64]} == {image.tobytes() for image in images[:60]}


def test_groups_stay_together_and_files_that_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    for i, image in enumerate(alike_when_small(160)[::2]):
        path = tmp_path / "images" / "ab"[i % 2] / f"person{i // 4}-{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    path.write_bytes(b"no image")
    config: Any = load(assignments=[f"data.source={tmp_path / 'images'}", "data.group=person\\d+"])
    samples = config.data.source.function(config.data.source.name, config.data.group)

    sample = taken(config, tmp_path)
    people = np.array(samples.groups)

    assert set(people[sample.train]) & set(people[sample.held_out]) == set()
    used = np.concatenate([sample.train, sample.held_out])
    assert len(used) > 40
    assert all(sample.pixels[32][used].any(axis=(1, 2, 3)))
