"""What the chief does in an epoch, with workers that are threads; test_distribution.py has processes."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from compress.errors import MachineError
from compress.tensorflow import keras, start_afresh, tf
from compress.training import parameter_server, peers
from compress.training.trained_model import TrainedModel

WORKERS, STEPS, BATCH, LAST = 2, 12, 4, 1
IMAGES = (STEPS - 1) * BATCH + LAST


class Coordinator:
    """In place of TensorFlow's: notes which images are handed out, and how many steps are taken at the same time."""

    def __init__(self) -> None:
        self.handed_out, self.at_once = list[int](), list[int]()
        self.workers, self.working, self.lock = ThreadPoolExecutor(WORKERS), 0, threading.Lock()

    def schedule(self, step: Any, args: Any) -> Any:
        return SimpleNamespace(fetch=self.workers.submit(self._work, step, args).result)

    def _work(self, step: Any, args: Any) -> Any:
        with self.lock:
            self.working += 1
            self.at_once.append(self.working)
            self.handed_out += [int(image) for image in args[0][:, 0]]
        try:
            return step(*args)
        finally:
            with self.lock:
                self.working -= 1


class Heard(keras.callbacks.Callback):
    _supports_tf_logs = True

    def __init__(self) -> None:
        super().__init__()
        self.done, self.begun = list[int](), list[int]()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        assert isinstance(logs["loss"], float)
        self.done.append(batch)

    def is_due(self, step: int) -> bool:
        return step % 5 == 0

    def begin_alone(self, step: int) -> None:
        self.begun.append(step)


@pytest.fixture
def coordinator(monkeypatch: pytest.MonkeyPatch) -> Coordinator:
    made = Coordinator()
    monkeypatch.setattr(tf.distribute.coordinator, "ClusterCoordinator", lambda strategy: made)
    return made


def network() -> TrainedModel:
    start_afresh(0)
    image = keras.Input((1,))
    model = TrainedModel(image, keras.layers.Dense(2, kernel_initializer="zeros")(image))
    model.compile(keras.optimizers.SGD(0.0), keras.losses.CategoricalCrossentropy(from_logits=True), jit_compile=False)
    return model


def batches() -> Any:
    images = np.arange(IMAGES, dtype=np.float32)[:, None]
    targets = np.eye(2, dtype=np.float32)[np.arange(IMAGES) % 2]
    return tf.data.Dataset.from_tensor_slices((images, targets, np.ones(IMAGES, np.float32))).batch(BATCH)


def test_each_image_is_seen_once_in_an_epoch_and_a_step_is_told_once_it_is_done(coordinator: Coordinator) -> None:
    model, heard = network(), Heard()
    for epoch in range(2):
        coordinator.handed_out.clear()
        loss = parameter_server.fit_epoch(model, batches(), STEPS, epoch, [heard], WORKERS, lambda: None)

        assert sorted(coordinator.handed_out) == list(range(IMAGES))
        assert loss == pytest.approx(np.log(2))
    assert heard.done == [*range(STEPS), *range(STEPS)]


def test_steps_that_are_due_are_taken_alone(coordinator: Coordinator) -> None:
    heard = Heard()
    parameter_server.fit_epoch(network(), batches(), STEPS, 1, [heard], WORKERS, lambda: None)

    assert heard.begun == [15, 20]  # the epoch's steps are 13 to 24
    assert coordinator.at_once[2] == coordinator.at_once[7] == 1


def test_workers_that_are_gone_end_the_epoch(coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> None:
        raise MachineError("gone")

    monkeypatch.setattr(peers, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(coordinator, "schedule", lambda *_, **__: SimpleNamespace(fetch=Future[None]().result))

    with pytest.raises(MachineError, match="gone"):
        parameter_server.fit_epoch(network(), batches(), STEPS, 0, [], WORKERS, gone)
