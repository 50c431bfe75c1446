from __future__ import annotations

import math
from typing import Any

import pytest

from compress.data.batches import Batches
from compress.tensorflow import keras, tf
from compress.training import step_time
from compress.training.step_time import seconds_per_step
from compress.training.supervised import smoothed_one_hot
from compress.training.trained_model import TrainedModel
from tests.training.test_fit import IMAGES, LABELS, SETTINGS, choose, new_model

LOSS = keras.losses.CategoricalCrossentropy(from_logits=True)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_time, "MIN_SECONDS", 0.0)


def batches() -> Batches:
    targets = smoothed_one_hot(LABELS, 3, 0.0)
    return Batches(IMAGES, lambda indices, views: targets[indices], choose, SETTINGS.batch_size, seed=0)


def test_a_step_is_measured() -> None:
    assert 0 < seconds_per_step(new_model(), LOSS, batches(), SETTINGS, "float32") < 60


def test_steps_that_do_not_fit_into_memory_take_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_memory(self: Any, *arguments: Any, **options: Any) -> Any:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM")

    monkeypatch.setattr(TrainedModel, "fit", out_of_memory)

    assert seconds_per_step(new_model(), LOSS, batches(), SETTINGS, "float32") == math.inf
