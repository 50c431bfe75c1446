"""Memory that is too small, in the words in which TensorFlow says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress.errors import MachineError
from compress.pruning import masks
from compress.pruning.settings import ZeroSettings
from compress.tensorflow import keras, start_afresh, tf
from compress.training import memory
from compress.training.trained_model import TrainedModel
from students import plain
from tests.training.test_fit import SETTINGS, Context, train

errors = tf.errors
OUT_OF_MEMORY = [
    errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[64,512]"),
    errors.InternalError(None, None, "Failed copying input tensor: Dst tensor is not initialized."),
    errors.InternalError(None, None, "failed to create cublas handle: CUBLAS_STATUS_ALLOC_FAILED"),
    errors.NotFoundError(None, None, "No algorithm worked!  Error messages:\n  UNKNOWN: CUDNN_STATUS_ALLOC_FAILED"),
    errors.UnknownError(None, None, "CUDNN failed to allocate the scratch space for the runner"),
    errors.InternalError(None, None, "CUDA_ERROR_OUT_OF_MEMORY: out of memory"),
]
OTHER = [
    errors.InternalError(None, None, "Blas xGEMM launch failed"),
    errors.NotFoundError(None, None, "No algorithm worked!"),
    errors.InvalidArgumentError(None, None, "Incompatible shapes: [3] vs. [4]"),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY)
def test_failed_allocations_are_out_of_memory(error: tf.errors.OpError) -> None:
    assert memory.ran_out(error)


@pytest.mark.parametrize("error", OTHER)
def test_other_errors_are_not(error: tf.errors.OpError) -> None:
    assert not memory.ran_out(error)


@pytest.mark.parametrize(
    ("size", "tried"), [(6, [6, 3, 2, 1]), (16, [16, 8, 4, 2, 1]), (7, [7, 4, 2, 1]), (5, [5, 3, 2, 1]), (1, [1])]
)
def test_half_as_many_images_are_tried_down_to_one(size: int, tried: list[int]) -> None:
    asked: list[int] = []

    def attempt(images: int) -> None:
        asked.append(images)
        raise OUT_OF_MEMORY[1]

    with pytest.raises(errors.InternalError):
        memory.with_fewer(size, attempt)

    assert asked == tried


@pytest.mark.parametrize("error", OUT_OF_MEMORY[:2])
def test_a_training_halves_its_batch_of_6_down_to_one_image(
    error: tf.errors.OpError, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts: list[int] = []
    notes: list[str] = []

    def out_of_memory(self: Any, *arguments: Any, **options: Any) -> Any:
        parts.append(self.parts)
        raise error

    monkeypatch.setattr(TrainedModel, "fit", out_of_memory)
    told = Context("stage", 0, 0, tmp_path, tmp_path, lambda fraction, words: None, notes.append)
    with pytest.raises(MachineError, match=r"^stage: out of memory even with one image at a time"):
        train(told, SETTINGS.model_copy(update={"batch_size": 6}))

    assert parts == [1, 2, 3, 6]
    assert [note.partition(",")[0] for note in notes] == [
        f"stage: out of memory with {now} images at a time; goes on with {then}"
        for now, then in ((6, 3), (3, 2), (2, 1))
    ]


def test_other_errors_of_a_training_stay_what_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Any, *arguments: Any, **options: Any) -> Any:
        raise OTHER[0]

    monkeypatch.setattr(TrainedModel, "fit", broken)
    told = Context("stage", 0, 0, tmp_path, tmp_path, lambda fraction, words: None, lambda line: None)
    with pytest.raises(errors.InternalError):
        train(told)


def test_memory_too_small_for_the_network_itself_ends_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_large(*arguments: Any) -> Any:
        raise OUT_OF_MEMORY[0]

    monkeypatch.setattr("compress.training.trainer.compiled", too_large)
    told = Context("stage", 0, 0, tmp_path, tmp_path, lambda fraction, words: None, lambda line: None)
    line = r"^stage: out of memory \(OOM when allocating .*\); image\.size or the network should be smaller$"
    with pytest.raises(MachineError, match=line):
        train(told)


def test_parts_are_processed_one_after_the_other() -> None:
    """Otherwise all are in memory at once: the second part goes forward only once the first has come back."""
    order: list[str] = []

    def noted(way: str, values: Any) -> Any:
        def note(values: Any) -> Any:
            order.append(way)
            return values

        return tf.py_function(note, [values], tf.float32)

    @tf.custom_gradient
    def watched(values: Any) -> Any:
        return noted("forward", values), lambda gradient: noted("back", gradient)

    class Watched(keras.layers.Dense):
        def call(self, inputs: Any) -> Any:
            return tf.ensure_shape(watched(super().call(inputs)), (None, 3))

    start_afresh(0)
    image = keras.Input((4,))
    model = keras.Model(image, keras.layers.Dense(2)(Watched(3)(image)))
    trained = TrainedModel(model.inputs, model.outputs)
    trained.parts = 4
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    trained.compile(keras.optimizers.SGD(0.1, jit_compile=False), loss, jit_compile=False)

    trained.train_on_batch(tf.ones((8, 4)), tf.eye(8, 2), tf.ones(8))

    assert order == ["forward", "back"] * 4


@pytest.mark.parametrize("parts", [1, 3])
def test_a_batch_in_parts_is_one_step_of_the_pruning_schedule(parts: int) -> None:
    start_afresh(0)
    student = plain.build((8, 8, 1), 3, width=3, blocks=2)
    model = masks.with_masks(
        student, ZeroSettings(sparsity=0.8, initial_sparsity=0.5, updates=2), 0, 8
    )  # masks at steps 4 and 8
    trained = TrainedModel(model.inputs, model.outputs)
    trained.parts = parts
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    trained.compile(keras.optimizers.SGD(0.1, jit_compile=False), loss, jit_compile=False)
    layer = next(layer for layer in model.layers if hasattr(layer, "pruning_step"))
    images = tf.constant(np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1)), tf.float32)
    batch = tf.data.Dataset.from_tensors((images, tf.eye(6, 3), tf.ones(6)))

    after = []
    for _ in range(5):
        trained.fit(batch, verbose=0, callbacks=[masks.callback()])
        _, mask, _ = layer.pruning_vars[0]
        after.append((int(layer.pruning_step), int((mask.numpy() == 0).any())))

    assert after == [(1, 0), (2, 0), (3, 0), (4, 1), (5, 1)]
