from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from compress import networks
from compress.artifacts import Dataset, Network
from compress.context import Context
from compress.tensorflow import start_afresh
from students import plain

SIZES = {"train": 12, "validation": 6, "test": 6}
SHAPE = (16, 16, 1)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """24 images of random pixels in three classes, as the stage data leaves them."""
    folder, random = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    order = random.permutation(24)
    np.save(folder / "images.npy", random.integers(0, 256, (24, *SHAPE), np.uint8))
    for split, indices in zip(SIZES, np.split(order, [12, 18]), strict=True):
        np.save(folder / f"{split}.npy", indices)
        np.save(folder / f"{split}_labels.npy", indices % 3)
    return Dataset("noise", ("a", "b", "c"), SHAPE, SIZES, {}, folder)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    """A narrow student that nothing has trained."""
    start_afresh(0)
    weights, options = tmp_path_factory.mktemp("network") / "weights.npz", {"width": 3}
    networks.save(plain.build(SHAPE, 3, **options), weights)
    return Network("net", "teacher", "students", "plain", options, SHAPE, 3, weights)


@pytest.fixture
def notes() -> list[str]:
    return []


@pytest.fixture
def context(notes: list[str], tmp_path: Path) -> Context:
    return Context("here", 0, 0, tmp_path, tmp_path / "logs", lambda fraction, words: None, notes.append)
