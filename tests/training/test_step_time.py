from __future__ import annotations

import pytest

from compress.data.batches import Batches
from compress.tensorflow import keras
from compress.training import step_time
from compress.training.step_time import seconds_per_step
from compress.training.supervised import smoothed_one_hot
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
