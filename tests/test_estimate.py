from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress import estimate
from compress.stages import data
from compress.training.settings import Schedule, TrainingSettings


def test_facts_have_the_height_and_width_that_are_set(tmp_path: Path) -> None:
    source = tmp_path / "few.npz"
    np.savez(source, images=np.zeros((8, 8, 8, 1), np.uint8), labels=np.repeat([0, 1], 4))

    assert estimate.facts(data.Config(source=str(source)), data.Image(size=[32, 96]), "none").image_shape == (32, 96, 1)


def test_of_few_images_at_least_one_of_each_class_is_left_to_train_on(tmp_path: Path) -> None:
    source = tmp_path / "few.npz"
    np.savez(source, images=np.zeros((8, 8, 8, 1), np.uint8), labels=np.repeat([0, 1], 4))
    config = data.Config(source=str(source), validation=0.45, test=0.45)

    assert estimate.facts(config, data.Image(size=16), "none").counts == (1, 1)


@pytest.mark.parametrize(("shape", "spared"), [("wsd", 85), ("one_cycle", 0)])
def test_a_training_that_finds_its_length_may_take_less(shape: Any, spared: int) -> None:
    """100 steps of 32 images before the fall are 10 epochs, which falls in 5 more."""
    network = estimate.Network(params=10, macs=10, activations=10, training=0.001, inference=0.0)
    settings = TrainingSettings(epochs=100, batch_size=32, schedule=Schedule(shape=shape, least=100))
    facts = estimate.Facts((160, 160), 80, 80, (32, 32, 1), "none")

    found = estimate.of_training(network, settings, facts, 320)

    assert found.seconds - found.least == pytest.approx(spared * 320 * 0.001)


def test_what_a_finished_run_needs_to_plan_loads_neither_tensorflow_nor_matplotlib() -> None:
    program = "import sys, compress.pipeline, compress.commands.run, compress.course; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()

    assert "compress.estimate" in loaded
    assert not {"tensorflow", "matplotlib"} & set(loaded)
