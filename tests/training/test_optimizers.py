"""Each optimizer, schedule and regularizer: is it the one in force? One or two steps against numbers worked by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from compress.pruning import masks
from compress.pruning.settings import ZeroSettings
from compress.tensorflow import keras, start_afresh, tf
from compress.training import optimizers
from compress.training.schedules import NO_PLATEAU, Rate, after_epoch
from compress.training.settings import Schedule, TrainingSettings
from compress.training.trained_model import TrainedModel
from teachers import vgg11

RATE, W, G1, G2 = 0.1, 1.0, 0.5, -0.25  # rate, weight, gradients of two steps


def two_steps(name: str = "kernel", **settings: Any) -> list[float]:
    """Return the weight after each of two steps of an optimizer."""
    optimizer = optimizers.build(TrainingSettings(**{"weight_decay": 0.0, "clip_norm": 0.0, **settings}), RATE, None)
    weight = tf.Variable(W, name=name)
    after = []
    for gradient in (G1, G2):
        optimizer.apply_gradients([(tf.constant(gradient), weight)])
        after.append(float(weight))
    return after


def momentum() -> list[float]:
    v1 = -RATE * G1
    v2 = 0.9 * v1 - RATE * G2
    return [W + v1, W + v1 + v2]


def nesterov() -> list[float]:
    v1 = -RATE * G1
    v2 = 0.9 * v1 - RATE * G2
    first = W + 0.9 * v1 - RATE * G1
    return [first, first + 0.9 * v2 - RATE * G2]


def adam(decay: float = 0.0) -> list[float]:
    m, v, w, after = 0.0, 0.0, W, []
    for t, g in enumerate((G1, G2), start=1):
        w *= 1 - RATE * decay
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        w -= RATE * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-7)
        after.append(w)
    return after


def rmsprop() -> list[float]:
    v, moved, w, after = 0.0, 0.0, W, []
    for g in (G1, G2):
        v = 0.9 * v + 0.1 * g * g
        moved = 0.9 * moved + RATE * g / np.sqrt(v + 1e-7)
        w -= moved
        after.append(w)
    return after


def adagrad() -> list[float]:
    total, w, after = 0.1, W, []  # Keras begins with 0.1
    for g in (G1, G2):
        total += g * g
        w -= RATE * g / np.sqrt(total + 1e-7)
        after.append(w)
    return after


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"optimizer": "sgd"}, [W - RATE * G1, W - RATE * (G1 + G2)]),
        ({"optimizer": "momentum"}, momentum()),
        ({"optimizer": "nesterov"}, nesterov()),
        ({"optimizer": "adam"}, adam()),
        ({"optimizer": "adam", "weight_decay": 0.2}, adam()),
        ({"optimizer": "adamw"}, adam()),
        ({"optimizer": "adamw", "weight_decay": 0.2}, adam(0.2)),
        ({"optimizer": "rmsprop"}, rmsprop()),
        ({"optimizer": "adagrad"}, adagrad()),
        ({"optimizer": "sgd", "weight_decay": 0.2}, [0.98 - 0.05, 0.93 * 0.98 + 0.025]),
        ({"optimizer": "sgd", "weight_decay": 0.2, "name": "bias"}, [0.95, 0.975]),
        ({"optimizer": "sgd", "clip_norm": 0.3}, [W - RATE * 0.3, W - RATE * 0.3 + RATE * 0.25]),
    ],
)
def test_two_steps_of_an_optimizer_are_those_of_its_paper(settings: dict[str, Any], expected: list[float]) -> None:
    assert two_steps(**settings) == pytest.approx(expected, rel=1e-5)


def test_clipping_is_by_the_norm_of_all_gradients_together() -> None:
    optimizer = optimizers.build(TrainingSettings(optimizer="sgd", weight_decay=0, clip_norm=1.0), 1.0, None)
    weights = [tf.Variable(0.0), tf.Variable(0.0)]

    optimizer.apply_gradients(zip([tf.constant(3.0), tf.constant(4.0)], weights, strict=True))

    assert [float(weight) for weight in weights] == pytest.approx([-0.6, -0.8])


@pytest.mark.parametrize(
    ("batch_norm", "frozen", "setting", "expected"),
    [
        (False, "", "auto", 1.0),
        (True, "", "auto", None),
        (False, "block", "auto", None),  # the head alone
        (True, "block1_norm", "auto", None),
        (False, "", 0.0, None),
        (True, "", 0.3, 0.3),
    ],
)
def test_gradients_that_no_batch_normalization_bounds_are_clipped(
    batch_norm: bool, frozen: str, setting: Any, expected: float | None
) -> None:
    start_afresh(0)
    model = vgg11.build((32, 32, 1), 2, width=0.02, batch_norm=batch_norm)
    for layer in model.layers:
        layer.trainable = not (frozen and layer.name.startswith(frozen))
    masked = (
        masks.with_masks(model, ZeroSettings(sparsity=0.8, initial_sparsity=0.5, updates=3), 0, 6)
        if not frozen
        else model
    )
    for each in (model, masked):
        optimizer = optimizers.build(TrainingSettings(clip_norm=setting), RATE, each)

        assert optimizer.global_clipnorm == expected


@pytest.mark.parametrize(
    ("done", "first", "second"), [(0, 1 / 10, 2 / 11), (10, 11 / 20, 12 / 21), (25, 26 / 35, 0.75), (1000, 0.75, 0.75)]
)
def test_the_moving_average_is_of_the_weights_after_each_step_and_forgets_the_first_ones_sooner(
    done: int, first: float, second: float
) -> None:
    """With 9 of 10 parts after one step, and the momentum of the setting from where (1 + t) / (10 + t) is above it."""
    optimizer = optimizers.build(TrainingSettings(optimizer="sgd", weight_decay=0, clip_norm=0, ema=0.75), RATE, None)
    weight = tf.Variable(W)
    optimizer.build([weight])
    optimizer.iterations.assign(done)
    for gradient in (G1, G2):
        optimizer.apply_gradients([(tf.constant(gradient), weight)])
    optimizer.finalize_variable_values([weight])

    one, two = W - RATE * G1, W - RATE * (G1 + G2)
    assert float(weight) == pytest.approx(second * (first * W + (1 - first) * one) + (1 - second) * two)


def rates(steps: int, **schedule: Any) -> list[float]:
    rate = Rate(0.8, 1, steps, Schedule(**schedule))
    return [float(rate(step)) / 0.8 for step in range(steps)]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        # seven steps: 1/8 to 7/8 of the way are done; the warm-up of a quarter ends with the second step
        ({"shape": "one_cycle"}, [0.5, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6]),
        ({"shape": "one_cycle", "warmup": 0.0}, [7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8]),
        ({"shape": "constant"}, [0.5, *[1] * 6]),
        ({"shape": "constant", "warmup": 0.0}, [1] * 7),
        ({"shape": "plateau"}, [0.5, *[1] * 6]),
        ({"shape": "step", "every": 0.4, "factor": 0.5, "warmup": 0.0}, [1, 1, 1, 0.5, 0.5, 0.5, 0.25]),
        ({"shape": "exponential", "final": 0.01, "warmup": 0.0}, [0.01 ** (i / 8) for i in range(1, 8)]),
        (
            {"shape": "polynomial", "final": 0.2, "power": 3, "warmup": 0.0},
            [0.2 + 0.8 * (i / 8) ** 3 for i in range(7, 0, -1)],
        ),
        ({"shape": "cosine", "final": 0.2}, [0.5, *(0.2 + 0.4 * (1 + np.cos(np.pi * i / 6)) for i in range(6))]),
    ],
)
def test_a_schedule_gives_the_rates_worked_by_hand(schedule: dict[str, Any], expected: list[float]) -> None:
    assert rates(7, **schedule) == pytest.approx(expected, rel=1e-5)


def test_wsd_holds_its_rate_until_the_fall_which_ends_near_0() -> None:
    """4 epochs of 2 steps; the shortest training takes 2, so that half of it are 2 steps of warm-up."""
    schedule = Schedule(shape="wsd", least=2, fall=0.3, warmup=0.5)
    rate = Rate(0.8, 4, 2, schedule)
    constant = [float(rate(step)) / 0.8 for step in range(8)]
    rate.follow(NO_PLATEAU, (2, 4))

    assert constant == pytest.approx([0.5, *[1] * 7])
    falling = [1 - np.sqrt(i / 5) for i in range(1, 5)]
    assert [float(rate(step)) / 0.8 for step in range(8)] == pytest.approx([0.5, 1, 1, 1, *falling], rel=1e-5)
    again = Rate.from_config(rate.get_config() | {"schedule": schedule})
    assert float(again(0)) == float(rate(0))


def test_plateau_lowers_the_rate_after_epochs_without_improvement() -> None:
    schedule = Schedule(shape="plateau", patience=2, factor=0.5, warmup=0.0)
    rate = Rate(0.8, 1, 10, schedule)
    state, seen = NO_PLATEAU, []
    for cross_entropy in (1.0, 0.9, 0.95, 0.9, 0.91, 0.92, 0.5):
        state = after_epoch(state, cross_entropy, schedule)
        rate.follow(state, None)
        seen.append(float(rate(0)))

    assert seen == pytest.approx([0.8, 0.8, 0.8, 0.4, 0.4, 0.2, 0.2])


def small_model(units: int = 2) -> Any:
    start_afresh(0)
    image = keras.Input((2, 2, 1))
    model = keras.Model(image, keras.layers.Dense(units)(keras.layers.Flatten()(image)))
    kernel = np.linspace(-1, 1, 4 * units, dtype=np.float32).reshape(4, units)
    model.set_weights([kernel, np.ones(units, np.float32)])
    return model


def test_penalties_pull_kernels_and_leave_biases_and_the_reported_loss_alone() -> None:
    """With black images and a loss of nothing, the penalties' gradients are all there is."""
    model = small_model()
    kernel, bias = model.get_weights()
    trained = TrainedModel(model.inputs, model.outputs)
    trained.l1, trained.l2 = 0.1, 0.2
    trained.compile(keras.optimizers.SGD(0.5, jit_compile=False), lambda y, logits: 0.0 * logits[:, 0])
    zeros = tf.zeros((3, 2, 2, 1))

    logs = trained.train_step((zeros, tf.zeros((3, 2)), tf.ones(3)))

    np.testing.assert_allclose(model.get_weights()[0], kernel - 0.5 * (0.1 * np.sign(kernel) + 0.4 * kernel), rtol=1e-5)
    np.testing.assert_array_equal(model.get_weights()[1], bias)
    assert float(logs["loss"]) == 0.0


@pytest.mark.parametrize("parts", [2, 3, 7])
@pytest.mark.parametrize("wrap", [lambda optimizer: optimizer, keras.mixed_precision.LossScaleOptimizer])
def test_gradients_of_parts_add_up_to_those_of_the_batch(parts: int, wrap: Callable[[Any], Any]) -> None:
    random = np.random.default_rng(0)
    batch = (
        tf.constant(random.normal(size=(5, 2, 2, 1)), tf.float32),
        tf.one_hot(random.integers(0, 2, 5), 2),
        tf.constant(random.uniform(0.5, 2, 5), tf.float32),
    )
    after = []
    for n in (1, parts):
        model = small_model()
        trained = TrainedModel(model.inputs, model.outputs)
        trained.parts, trained.l2 = n, 0.1
        loss = keras.losses.CategoricalCrossentropy(from_logits=True)
        trained.compile(wrap(keras.optimizers.SGD(0.5, jit_compile=False)), loss)
        logs = trained.train_step(batch)
        after.append([*model.get_weights(), np.array(float(logs["loss"]))])

    for whole, added in zip(*after, strict=True):
        np.testing.assert_allclose(added, whole, rtol=1e-5, atol=1e-6)


def test_parts_of_no_image_leave_batch_normalization_alone() -> None:
    start_afresh(0)
    image = keras.Input((2, 2, 1))
    x = keras.layers.BatchNormalization()(keras.layers.Flatten()(image))
    model = keras.Model(image, keras.layers.Dense(2)(x))
    trained = TrainedModel(model.inputs, model.outputs)
    trained.parts = 4
    trained.compile(
        keras.optimizers.SGD(0.1, jit_compile=False), keras.losses.CategoricalCrossentropy(from_logits=True)
    )

    trained.fit(tf.data.Dataset.from_tensors((tf.ones((3, 2, 2, 1)), tf.eye(3, 2), tf.ones(3))), verbose=0)

    assert all(np.isfinite(weight).all() for weight in model.get_weights())


@pytest.mark.parametrize(
    "settings",
    [
        {"learning_rate": 0},
        {"learning_rate": -0.1},
        {"optimizer": "adamax"},
        {"schedule": {"shape": "cyclic"}},
        {"schedule": {"warmup": 1.0}},
        {"schedule": {"factor": 1.0}},
        {"schedule": {"final": 0.0}},
        {"schedule": {"fall": 0.0}},
        {"schedule": {"fall": 1.0}},
        {"schedule": {"least": 0}},
        {"l1": -1},
        {"clip_norm": -1},
        {"clip_norm": "always"},
        {"clip_norm": True},
        {"ema": 1.0},
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TrainingSettings(**settings)
