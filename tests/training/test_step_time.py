from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress import pruning
from compress.data.batches import Batches
from compress.errors import BadInputError
from compress.tensorflow import keras, start_afresh, tf
from compress.training import precision, step_time
from compress.training.settings import Engine
from compress.training.step_time import seconds_per_step
from compress.training.supervised import smoothed_one_hot
from compress.training.trained_model import TrainedModel
from students import plain
from tests.training.test_fit import IMAGES, LABELS, SETTINGS, Killed, choose, context, folder, new_model, train

LOSS = keras.losses.CategoricalCrossentropy(from_logits=True)
AUTO = Engine(precision="auto")


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_time, "MIN_SECONDS", 0.0)


def batches(images: Any = IMAGES) -> Batches:
    targets = smoothed_one_hot(LABELS, 3, 0.0)
    return Batches(images, lambda indices, views: targets[indices], choose, SETTINGS.batch_size, seed=0)


def pruned_model() -> Any:
    start_afresh(0)
    return pruning.with_masks(plain.build((8, 8, 1), 3, width=3, blocks=2), 0.8, 0.5, end_step=6, updates=3)


@pytest.mark.parametrize(("make", "callbacks"), [(new_model, []), (pruned_model, [pruning.callback()])])
def test_a_step_is_measured_and_weights_and_masks_stay_as_they_are(make: Any, callbacks: list[Any]) -> None:
    model = make()
    before = model.get_weights()

    seconds = seconds_per_step(model, LOSS, batches(), SETTINGS, callbacks, "float32")

    assert 0 < seconds < 60
    for weights, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weights, expected)


def test_steps_that_do_not_fit_into_memory_take_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_memory(self: Any, *arguments: Any, **options: Any) -> Any:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM")

    monkeypatch.setattr(TrainedModel, "fit", out_of_memory)

    assert seconds_per_step(new_model(), LOSS, batches(), SETTINGS, [], "float32") == math.inf


def test_an_image_that_cannot_be_read_while_steps_are_measured_is_named() -> None:
    class Lost:
        shape, dtype = IMAGES.shape, IMAGES.dtype

        def __len__(self) -> int:
            return len(IMAGES)

        def __getitem__(self, key: Any) -> np.ndarray:
            raise BadInputError("images/3.png: has changed")

    with pytest.raises(BadInputError, match=r"^images/3\.png: has changed$"):
        seconds_per_step(new_model(), LOSS, batches(Lost()), SETTINGS, [], "float32")


def test_a_training_that_was_measured_first_ends_with_the_same_bytes_killed_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "available", lambda: ("float32", "bfloat16"))
    monkeypatch.setattr(precision, "MIN_GAIN", math.inf)  # float32 is chosen
    settings = SETTINGS.model_copy(update={"ema": 0.9, "epochs": 2})
    plain = train(context(folder(tmp_path / "plain")), settings)

    measured = train(context(folder(tmp_path / "measured")), settings, engine=AUTO)
    killed = tmp_path / "killed"
    for kill_after in (-1.0, 0.6):  # while it is measured, and in the second epoch
        killed.mkdir(exist_ok=True)
        with pytest.raises(Killed):
            train(context(killed, kill_after), settings, engine=AUTO)
    resumed = train(context(killed), settings, engine=AUTO)

    for weights in (measured, resumed):
        assert [w.tobytes() for w in weights] == [w.tobytes() for w in plain]
