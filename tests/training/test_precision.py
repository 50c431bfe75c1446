from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress import machine, plugins
from compress.config import load
from compress.errors import BadInputError
from compress.machine import has_bfloat16
from compress.tensorflow import keras, start_afresh, tf
from compress.training import precision
from compress.training.trained_model import TrainedModel, in_float32

CLASSES = 10
LOSSES = "compress.distillation.losses"
SMALLER = precision.available()[1:]
RANDOM = np.random.default_rng(0)
TEACHER = (5 * RANDOM.normal(size=(64, CLASSES))).astype(np.float32)
LABELS = np.eye(CLASSES, dtype=np.float32)[np.arange(64) % CLASSES]


def distilled(name: str) -> Callable[[Any, Any], Any]:
    loss = plugins.find(LOSSES, name).loss
    return lambda y, logits: loss(logits, y[:, CLASSES:], y[:, :CLASSES])


def in_plain_operations(y: Any, logits: Any) -> Any:
    return -tf.reduce_sum(y[:, :CLASSES] * tf.math.log(tf.nn.softmax(logits) + 1e-9), axis=-1)


def of_labels(y: Any, logits: Any) -> Any:
    return keras.losses.categorical_crossentropy(y[:, :CLASSES], logits, from_logits=True)


ALL_LOSSES: dict[str, Callable[[Any, Any], Any]] = {
    "of labels": of_labels,
    "in plain operations": in_plain_operations,
    **{name: distilled(name) for name in plugins.names(LOSSES)},
}


def dense(offset: float = 0.0) -> Any:
    start_afresh(0)
    image = keras.Input((32,))
    model = keras.Model(image, keras.layers.Dense(CLASSES)(keras.layers.Dense(64, activation="relu")(image)))
    model.layers[-1].bias.assign(np.full(CLASSES, offset, np.float32))
    return model


def batch() -> tuple[Any, Any, Any]:
    images = np.random.default_rng(1).normal(size=(64, 32)).astype(np.float32)
    return tf.constant(images), tf.constant(np.concatenate([LABELS, TEACHER], axis=1)), tf.ones(64)


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("offset", [0.0, 200.0])
@pytest.mark.parametrize("dtype", precision.available())
@pytest.mark.parametrize("loss", ALL_LOSSES)
def test_the_gradient_of_every_loss_sums_to_zero_over_the_classes(
    loss: str, dtype: precision.Dtype, offset: float, parts: int
) -> None:
    """A softmax ignores what all logits share: a gradient that does not lets that common offset run away."""
    model = dense(offset)
    trained = TrainedModel(model.inputs, model.outputs)
    trained.parts = parts
    optimizer = keras.optimizers.SGD(1.0, momentum=0.9, jit_compile=False)
    trained.compile(optimizer, ALL_LOSSES[loss], jit_compile=False)

    with precision.computing_in(dtype):
        trained.train_on_batch(*batch())

    gradient = optimizer.momentums[-1].numpy()  # of the last bias, after one step at rate 1
    assert np.abs(gradient).max() > 0.01
    assert abs(gradient.sum()) < 1e-6


@pytest.mark.parametrize("dtype", SMALLER)
@pytest.mark.parametrize("changed", [{"l1": 1e-4}, {"l2": 1e-4}, {"parts": 2}])
def test_what_is_added_to_gradients_is_added_in_float32(dtype: precision.Dtype, changed: dict[str, float]) -> None:
    """What comes out of a product has the digits of a smaller precision; a sum that has them too lost the addend's."""
    model = dense()
    trained = TrainedModel(model.inputs, model.outputs)
    for name, value in changed.items():
        setattr(trained, name, value)
    optimizer = keras.optimizers.SGD(1.0, momentum=0.9, jit_compile=False)
    trained.compile(optimizer, of_labels, jit_compile=False)

    with precision.computing_in(dtype):
        trained.train_on_batch(*batch())

    kernel = optimizer.momentums[2].numpy()
    assert (kernel.view(np.int32) & 0xFFFF).astype(bool).mean() > 0.5


@pytest.mark.parametrize("dtype", SMALLER)
def test_a_student_trained_in_a_smaller_precision_keeps_up_with_one_in_float32(dtype: precision.Dtype) -> None:
    random = np.random.default_rng(0)
    labels = np.arange(1024) % CLASSES
    images = random.normal(size=(CLASSES, 32))[labels] + 0.5 * random.normal(size=(1024, 32))
    one_hot = np.eye(CLASSES, dtype=np.float32)[labels]
    logits = 12 * one_hot + random.normal(size=one_hot.shape)
    targets = np.concatenate([one_hot, logits], axis=1).astype(np.float32)
    samples = images.astype(np.float32), targets, np.ones(1024, np.float32)

    def trained_in(dtype: precision.Dtype) -> tuple[float, float]:
        model = dense()
        trained = TrainedModel(model.inputs, model.outputs)
        optimizer = keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True, jit_compile=False)
        trained.compile(optimizer, ALL_LOSSES["hinton"], jit_compile=False)
        data = tf.data.Dataset.from_tensor_slices(samples).batch(128).cache().repeat(200)
        with precision.computing_in(dtype):
            loss = trained.fit(data, verbose=0).history["loss"][0]
        return loss, float(model(samples[0]).numpy().mean())

    (loss, offset), (expected_loss, expected_offset) = trained_in(dtype), trained_in("float32")

    assert loss == pytest.approx(expected_loss, rel=0.02)
    assert offset == pytest.approx(expected_offset, abs=0.3)


def test_what_passes_through_unchanged_keeps_its_gradient() -> None:
    values = tf.constant([1.0, -2.5, np.pi])
    with tf.GradientTape() as tape:
        tape.watch(values)
        result = tf.reduce_sum(in_float32(values) ** 2)

    np.testing.assert_array_equal(tape.gradient(result, values), 2 * values)


@pytest.mark.parametrize(
    ("seen", "listed", "said"),
    [
        (0, (), ""),
        (1, ("a",), ""),
        (0, ("a", "b"), "computes on the CPU: TensorFlow as installed finds no GPU, nvidia-smi lists a; b"),
        (1, (), "computes on a GPU that nvidia-smi does not list: its results are kept as those of a CPU"),
        (1, ("a", "b"), "TensorFlow finds 1 GPUs, nvidia-smi lists 2: a; b"),
    ],
)
def test_tensorflow_and_nvidia_smi_disagreeing_about_a_gpu_is_said(
    seen: int, listed: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind] * seen)
    monkeypatch.setattr(machine, "gpus", lambda: listed)

    assert precision.disagreement() == said


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [("flags : fma avx512_bf16 avx2", True), ("flags : fma avx512f avx512_bf16x", False), ("", False)],
)
def test_bfloat16_is_available_where_the_processor_multiplies_it(
    cpuinfo: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    monkeypatch.setattr(Path, "read_text", lambda path: cpuinfo)

    assert ("bfloat16" in precision.available()) == expected


@pytest.mark.parametrize(
    ("devices", "bfloat16", "asked", "right"),
    [
        ([], True, "float16", "bfloat16 or float32"),
        ([], False, "float16", "float32"),
        ([], False, "bfloat16", "float32"),
        (["GPU"], True, "bfloat16", "float16 or float32"),
    ],
)
def test_a_precision_without_kernels_is_refused_while_settings_load_and_where_tensorflow_lacks_them(
    devices: list[str], bfloat16: bool, asked: Any, right: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: devices)
    monkeypatch.setattr(machine, "device_class", lambda: "gpu" if devices else "cpu")
    monkeypatch.setattr(machine, "has_bfloat16", lambda: bfloat16)

    line = f"^--set train.precision={asked}: train.precision = '{asked}': should be {right} on this machine$"
    with pytest.raises(BadInputError, match=line):
        load(assignments=[f"train.precision={asked}"])
    with pytest.raises(BadInputError, match=f"^train.precision = '{asked}': should be {right} on this machine$"):
        precision.checked(asked)


def test_a_precision_with_kernels_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    for device, asked in (("gpu", "float16"), ("cpu", "bfloat16"), ("cpu", "float32"), ("gpu", "auto")):
        monkeypatch.setattr(machine, "device_class", lambda device=device: device)
        monkeypatch.setattr(machine, "has_bfloat16", lambda: True)
        assert load(assignments=[f"train.precision={asked}"]).train.precision == asked  # type: ignore[attr-defined]


@pytest.mark.skipif(not has_bfloat16(), reason="this processor does not multiply bfloat16")
def test_bfloat16_is_computed_in_inside_and_not_after() -> None:
    """A product of 1 + 1/512 with itself: bfloat16 knows no number between 1 and 1 + 1/128."""

    @tf.function
    def product(a: Any) -> Any:
        return tf.linalg.matmul(tf.nn.relu(tf.linalg.matmul(a, a)), a)[0, 0]

    x = tf.constant(np.full((64, 64), 1 + 1 / 512, np.float32))
    exact = float(product(x))
    with precision.computing_in("bfloat16"):
        rounded = float(product(x))

    assert rounded != exact
    assert float(product(x)) == exact
