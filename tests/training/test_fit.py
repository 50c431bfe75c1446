from __future__ import annotations

import csv
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress.context import Context
from compress.data.batches import Batches, Epoch
from compress.errors import CompressError, MachineError
from compress.metrics.classification import Result
from compress.tensorflow import keras, start_afresh, tf
from compress.training.checkpoint import START
from compress.training.evaluation import evaluate, forward_of, logits_of
from compress.training.fit import fit
from compress.training.history import FILE
from compress.training.settings import Engine, Schedule, TrainingSettings
from compress.training.supervised import smoothed_one_hot
from compress.training.trained_model import TrainedModel
from tests.conftest import REPOSITORY

RNG = np.random.default_rng(0)
LABELS = np.arange(48) % 3
IMAGES = (LABELS[:, None, None, None] * 80 + RNG.integers(0, 60, (48, 8, 8, 1))).astype(np.uint8)
SETTINGS = TrainingSettings(epochs=4, batch_size=16, learning_rate=0.05, patience=10)
FLOAT32 = Engine(precision="float32")
FLOAT16 = Engine.model_construct(precision="float16")  # which settings refuse where there is no GPU


class Killed(Exception):
    pass


def context(folder: Path, kill_after: float = 2.0, notes: list[str] | None = None) -> Context:
    """A context that kills the training once more than a fraction of it is done."""

    def progress(fraction: float, words: str) -> None:
        if fraction > kill_after:
            raise Killed

    return Context("stage", 0, 0, folder, folder / "logs", progress, (notes if notes is not None else []).append)


def new_model() -> Any:
    start_afresh(0)
    layers = keras.layers
    image = keras.Input((8, 8, 1))
    x = layers.BatchNormalization(momentum=0.5)(layers.Conv2D(4, 3)(layers.Rescaling(1 / 255)(image)))
    x = layers.Dropout(0.25)(layers.GlobalAveragePooling2D()(layers.ReLU()(x)))
    return keras.Model(image, layers.Dense(3)(x))


def choose(epoch: int) -> Epoch:
    return Epoch(np.arange(48), np.full(48, epoch + 1), np.arange(48))


def train(
    context: Context,
    settings: TrainingSettings = SETTINGS,
    model: Any = None,
    engine: Engine = FLOAT32,
    **options: Any,
) -> list[np.ndarray]:
    model = model or new_model()
    targets = smoothed_one_hot(LABELS, 3, 0.0)
    fit(
        model,
        keras.losses.CategoricalCrossentropy(from_logits=True),
        Batches(IMAGES, lambda indices, views: targets[indices], choose, settings.batch_size, seed=0),
        (IMAGES, LABELS),
        settings,
        engine,
        context,
        **options,
    )
    return model.get_weights()


def train_killed_and_resumed(path: Path, engine: Engine) -> list[np.ndarray]:
    with pytest.raises(Killed):
        train(context(folder(path), kill_after=0.5), engine=engine)
    return train(context(path), engine=engine)


def folder(path: Path) -> Path:
    path.mkdir()
    return path


KINDS = {
    "defaults": {},
    "adam, moving average, clipped": {"optimizer": "adam", "ema": 0.9, "clip_norm": 0.1, "l2": 1e-3},
    "plateau": {"schedule": Schedule(shape="plateau", patience=1, factor=0.5), "optimizer": "rmsprop"},
}
WSD = {"schedule": Schedule(shape="wsd", least=6), "patience": 3, "epochs": 9}


@dataclass(frozen=True)
class Unbroken:
    """A training that nothing interrupted: the weights that it ended with, and its folder."""

    weights: list[np.ndarray]
    folder: Path


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Unbroken]:
    """Return the unbroken training of one of `KINDS`, trained once for all tests that compare with it."""

    @cache
    def of(kind: str) -> Unbroken:
        folder = tmp_path_factory.mktemp("unbroken")
        return Unbroken(train(context(folder), SETTINGS.model_copy(update=KINDS[kind])), folder)

    return of


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("kill_after", [0.0, 0.3, 0.5, 0.8, 0.99])
def test_a_training_killed_at_any_moment_ends_with_the_same_bytes(
    kill_after: float, kind: str, unbroken: Callable[[str], Unbroken], tmp_path: Path
) -> None:
    settings = SETTINGS.model_copy(update=KINDS[kind])
    with pytest.raises(Killed):
        train(context(tmp_path, kill_after), settings)

    resumed = train(context(tmp_path), settings)

    assert [w.tobytes() for w in resumed] == [w.tobytes() for w in unbroken(kind).weights]
    logs = [path / "logs" / "training" / FILE for path in (unbroken(kind).folder, tmp_path)]
    one, other = ([line.rpartition(",")[0] for line in log.read_text().splitlines()] for log in logs)
    assert one == other, "all but images a second"
    assert len(one) == 5


def telling(folder: Path, kill_at: str = "") -> tuple[Context, list[str]]:
    """A context that kills the training once something with these words is told; and all that is told."""
    lines: list[str] = []

    def tell(line: str) -> None:
        lines.append(line)
        if kill_at and kill_at in line:
            raise Killed

    return Context("stage", 0, 0, folder, folder / "logs", lambda fraction, words: tell(words), tell), lines


@pytest.fixture
def hardly_better(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have validation results that differ too little to count as better, in epochs of few steps."""

    def flat(*arguments: Any) -> Result:
        return Result(0.5, 0.5, 1.0 + evaluate(*arguments).cross_entropy / 1000)

    monkeypatch.setattr("compress.training.trainer.evaluate", flat)


@pytest.mark.usefixtures("hardly_better")
def test_wsd_killed_in_the_constant_phase_in_the_fall_and_between_ends_with_the_same_bytes(tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update=WSD)
    whole, lines = telling(folder(tmp_path / "whole"))
    expected = train(whole, settings)
    (tmp_path / "killed").mkdir()
    begun = []
    for kill_at in (
        "epoch 3 of at most 9",
        "the rate falls",  # which is decided, and not written yet
        "epoch 4/6",
        "epoch 5/6",
        "epoch 6/6",
    ):
        killed, told = telling(tmp_path / "killed", kill_at)
        with pytest.raises(Killed):
            train(killed, settings)
        begun.append(told[0])
    resumed, told = telling(tmp_path / "killed")
    weights = train(resumed, settings)

    assert [w.tobytes() for w in weights] == [w.tobytes() for w in expected]
    assert "stage: validation no better for 3 epochs: the rate falls from epoch 5 on, 2 more epochs" in lines
    assert lines[-1].endswith("after epoch 6 of 6")
    assert {line.partition(",")[0] for line in lines if line.startswith("epoch")} == {
        *(f"epoch {epoch} of at most 9" for epoch in (1, 2, 3, 4)),
        *(f"epoch {epoch}/6" for epoch in (4, 5, 6)),
    }
    assert [*begun[1:], told[0]] == [f"stage: goes on after epoch {epoch}" for epoch in (2, 3, 4, 4, 5)]


def test_a_resumed_training_does_not_repeat_finished_epochs(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        train(context(tmp_path, kill_after=0.6))  # in the third of four epochs
    fractions: list[float] = []
    train(
        Context(
            "stage", 0, 0, tmp_path, tmp_path, lambda fraction, words: fractions.append(fraction), lambda line: None
        )
    )

    assert min(fractions) >= 0.5


def test_a_checkpoint_that_is_not_whole_starts_the_training_again(
    unbroken: Callable[[str], Unbroken], tmp_path: Path
) -> None:
    with pytest.raises(Killed):
        train(context(tmp_path, kill_after=0.6))
    path = tmp_path / "training.npz"
    path.write_bytes(path.read_bytes()[:-100])

    resumed = train(context(tmp_path))

    assert [w.tobytes() for w in resumed] == [w.tobytes() for w in unbroken("defaults").weights]


def test_training_learns(tmp_path: Path) -> None:
    model = new_model()
    before = evaluate(forward_of(model), IMAGES, LABELS)
    model.set_weights(train(context(tmp_path), SETTINGS.model_copy(update={"epochs": 12})))

    after = evaluate(forward_of(model), IMAGES, LABELS)
    assert after.accuracy >= 0.9
    assert after.cross_entropy < before.cross_entropy


def accuracies(*results: tuple[float, float]) -> Iterator[Result]:
    """Yield results of these accuracies and cross-entropies."""
    return (Result(accuracy, 0.0, cross_entropy) for accuracy, cross_entropy in results)


def test_early_stopping_ends_the_training_and_gives_the_best_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = accuracies((0.5, 1.0), (0.8, 1.0), (0.7, 1.0), (0.8, 1.1), (0.9, 1.0))
    seen: list[list[np.ndarray]] = []
    model = new_model()

    def scripted(*_: Any) -> Result:
        seen.append(model.get_weights())
        return next(results)

    monkeypatch.setattr("compress.training.trainer.evaluate", scripted)
    weights = train(context(tmp_path), SETTINGS.model_copy(update={"epochs": 9, "patience": 2}), model)

    assert len(seen) == 4, "two epochs after the best one, of index 1"
    assert [w.tobytes() for w in weights] == [w.tobytes() for w in seen[1]]


def test_the_best_epoch_is_chosen_by_mean_recall_where_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = iter([Result(0.9, 0.6, 1.0), Result(0.8, 0.7, 1.5), Result(0.8, 0.7, 1.2), Result(0.95, 0.5, 0.1)])
    seen: list[list[np.ndarray]] = []
    notes: list[str] = []
    model = new_model()

    def scripted(*_: Any) -> Result:
        seen.append(model.get_weights())
        return next(results)

    monkeypatch.setattr("compress.training.trainer.evaluate", scripted)
    told = Context("stage", 0, 0, tmp_path, tmp_path, lambda fraction, words: None, notes.append)
    weights = train(told, model=model, metric="recall")

    assert [w.tobytes() for w in weights] == [w.tobytes() for w in seen[2]]
    assert notes == ["stage: validation mean recall 0.7000, after epoch 3 of 4"]


def test_an_epoch_before_may_stop_from_is_never_the_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = accuracies((0.9, 1.0), (0.9, 1.0), (0.5, 1.0), (0.4, 1.0))
    seen: list[list[np.ndarray]] = []
    model = new_model()

    def scripted(*_: Any) -> Result:
        seen.append(model.get_weights())
        return next(results)

    monkeypatch.setattr("compress.training.trainer.evaluate", scripted)
    weights = train(context(tmp_path), model=model, may_stop_from=2)

    assert [w.tobytes() for w in weights] == [w.tobytes() for w in seen[2]]


@pytest.mark.parametrize(("at_start", "kept"), [(0.6, True), (0.4, False)])
def test_weights_that_are_trained_already_are_the_result_where_no_epoch_is_better(
    at_start: float, kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = accuracies((at_start, 1.0), (0.5, 1.0), (0.3, 1.0), (0.5, 1.1))
    seen: list[list[np.ndarray]] = []
    model = new_model()

    def scripted(*_: Any) -> Result:
        seen.append(model.get_weights())
        return next(results)

    monkeypatch.setattr("compress.training.trainer.evaluate", scripted)
    settings = SETTINGS.model_copy(update={"epochs": 3})
    with pytest.raises(Killed):
        train(context(tmp_path, kill_after=0.7), settings, model, may_stop_from=START, name="phase2")
    notes: list[str] = []
    resumed = context(tmp_path, notes=notes)
    weights = train(resumed, settings, model, may_stop_from=START, name="phase2")

    assert [w.tobytes() for w in weights] == [w.tobytes() for w in seen[0 if kept else 1]]
    outcome = {
        True: "0.6000 as it began, 0.5000 after the best epoch: the weights that it began with are kept",
        False: "0.5000, after epoch 1 of 3",
    }[kept]
    assert notes[-1] == f"stage: phase2: validation accuracy {outcome}"


def test_a_training_that_diverges_says_so(tmp_path: Path) -> None:
    steps = Recorder()
    with pytest.raises(CompressError, match="stage: the loss is nan in step 2 of epoch 1: training diverged"):
        train(context(tmp_path), SETTINGS.model_copy(update={"learning_rate": float("nan")}), callbacks=[steps])

    assert len(steps.weights) == 2, "of three steps of the epoch: the first one spoilt the weights"


def test_a_training_that_diverges_leaves_weights_that_were_trained_already(tmp_path: Path) -> None:
    model, notes = new_model(), []  # type: ignore[var-annotated]
    before = model.get_weights()

    settings = SETTINGS.model_copy(update={"learning_rate": float("nan")})
    weights = train(context(tmp_path, notes=notes), settings, model, may_stop_from=START)

    assert [w.tobytes() for w in weights] == [w.tobytes() for w in before]
    assert notes[0].startswith("stage: the loss is nan in step 2 of epoch 1: training diverged")
    assert "as it began, no epoch ended: the weights that it began with are kept" in notes[1]


def test_a_network_without_batch_normalization_does_not_diverge_at_the_default_rate(tmp_path: Path) -> None:
    """As published weights do: pixels of 0 to 255 go through its convolutions, and nothing bounds its gradients."""

    def unbounded() -> Any:
        start_afresh(0)
        layers = keras.layers
        x = image = keras.Input((8, 8, 1))
        for _ in range(3):
            x = layers.Conv2D(8, 3, padding="same", activation="relu", kernel_initializer="he_normal")(x)
        return keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))

    def accuracy(name: str, **changed: Any) -> float:
        """0 if the training diverges; at chance level if only the units die."""
        rate = TrainingSettings().learning_rate
        settings = SETTINGS.model_copy(update={"learning_rate": rate, "epochs": 12, **changed})
        model = unbounded()
        try:
            model.set_weights(train(context(folder(tmp_path / name)), settings, model))
        except CompressError:
            return 0.0
        return evaluate(forward_of(model), IMAGES, LABELS).accuracy

    assert accuracy("unbounded", clip_norm=0.0) < 0.5
    assert accuracy("bounded") > 0.6


def test_a_network_whose_logits_are_not_finite_has_diverged_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compress.training.trainer.evaluate", lambda *_: Result(0.1, 0.1, float("nan")))

    with pytest.raises(CompressError, match="stage: the validation cross-entropy is nan in epoch 1: training diverged"):
        train(context(tmp_path))


def test_evaluate_gives_accuracy_mean_recall_and_cross_entropy_worked_by_hand() -> None:
    image = keras.Input((1, 1, 2))
    model = keras.Model(image, keras.layers.Flatten()(image))
    images = np.array([[1, 0], [0, 2], [3, 0], [0, 1]], np.uint8).reshape(4, 1, 1, 2)

    result = evaluate(forward_of(model), images, np.array([0, 1, 1, 1]))

    assert result.accuracy == pytest.approx(3 / 4)
    assert result.recall == pytest.approx((1 + 2 / 3) / 2)
    expected = [np.log(1 + np.exp(-1)), np.log(1 + np.exp(-2)), np.log(1 + np.exp(3)), np.log(1 + np.exp(-1))]
    assert result.cross_entropy == pytest.approx(np.mean(expected))


def test_a_class_without_images_has_no_recall() -> None:
    image = keras.Input((1, 1, 3))
    model = keras.Model(image, keras.layers.Flatten()(image))

    assert evaluate(forward_of(model), np.eye(3, dtype=np.uint8).reshape(3, 1, 1, 3)[:2], np.array([0, 1])).recall == 1


def test_smoothed_labels_still_add_up_to_one() -> None:
    np.testing.assert_allclose(smoothed_one_hot(np.array([1]), 4, 0.2), [[0.05, 0.85, 0.05, 0.05]])


def test_weight_decay_shrinks_kernels_and_leaves_biases_alone(tmp_path: Path) -> None:
    """With a rate so small that gradients hardly matter, decay alone is left: it is part of the same step."""
    options = {"epochs": 1, "learning_rate": 1e-9, "schedule": Schedule(warmup=0.0)}
    plain = train(context(folder(tmp_path / "a")), SETTINGS.model_copy(update={**options, "weight_decay": 0.0}))
    decayed = train(context(folder(tmp_path / "b")), SETTINGS.model_copy(update={**options, "weight_decay": 1e6}))

    assert np.abs(decayed[0]).sum() < np.abs(plain[0]).sum()
    np.testing.assert_allclose(decayed[1], plain[1], rtol=0, atol=1e-12)


def test_a_batch_too_large_for_memory_is_taken_in_halves_and_the_epoch_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: list[str] = []
    parts: list[int] = []
    real = TrainedModel.fit

    def out_of_memory(self: Any, *arguments: Any, **options: Any) -> Any:
        parts.append(self.parts)
        if self.parts < 4:
            self.set_weights([np.full_like(weight, 9) for weight in self.get_weights()])  # as far as it came
            raise tf.errors.ResourceExhaustedError(None, None, "OOM")
        return real(self, *arguments, **options)

    monkeypatch.setattr(TrainedModel, "fit", out_of_memory)
    told = Context("stage", 0, 0, tmp_path, tmp_path, lambda fraction, words: None, notes.append)
    weights = train(told, SETTINGS.model_copy(update={"epochs": 12}))

    assert parts == [1, 2, *[4] * 12]
    assert (
        notes[1] == "stage: out of memory with 8 images at a time; goes on with 4, gradients added up to batches of 16"
    )
    model = new_model()
    model.set_weights(weights)
    assert evaluate(forward_of(model), IMAGES, LABELS)[0] >= 0.9


def test_memory_that_is_too_small_for_one_image_ends_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_memory(self: Any, *arguments: Any, **options: Any) -> Any:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM")

    monkeypatch.setattr(TrainedModel, "fit", out_of_memory)
    with pytest.raises(MachineError, match="out of memory even with one image at a time"):
        train(context(tmp_path))


def out_of_memory_above(size: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let a model's functions run out of memory for batches above a size; return the sizes they are asked for."""
    asked: list[int] = []
    real = tf.function

    def function(python: Any) -> Any:
        made = real(python)

        def run(batch: Any) -> Any:
            asked.append(len(batch))
            if len(batch) > size:
                raise tf.errors.ResourceExhaustedError(None, None, "OOM")
            return made(batch)

        return run

    monkeypatch.setattr(tf, "function", function)
    return asked


def test_an_evaluation_takes_batches_too_large_for_memory_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    model = new_model()
    expected = logits_of(forward_of(model), IMAGES)
    asked = out_of_memory_above(16, monkeypatch)

    forward = forward_of(model)

    for _ in range(2):
        np.testing.assert_allclose(logits_of(forward, IMAGES), expected, rtol=0, atol=1e-5)
    assert asked == [48, 24, *[12] * 8]


def test_an_evaluation_with_memory_for_no_image_ends_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    out_of_memory_above(0, monkeypatch)
    with pytest.raises(MachineError, match=r"out of memory even with one image; image\.size should be smaller"):
        logits_of(forward_of(new_model()), IMAGES)


def test_float16_scales_the_loss_and_resumes_with_its_scale(
    unbroken: Callable[[str], Unbroken], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a GPU the numbers stay float32: what is tested is the scaling, which must not show in the result."""
    plain = unbroken("defaults").weights
    monkeypatch.setattr("compress.training.precision.available", lambda: ("float32", "float16"))
    scaled = train(context(folder(tmp_path / "scaled")), engine=FLOAT16)
    resumed = train_killed_and_resumed(tmp_path / "killed", FLOAT16)

    assert [w.tobytes() for w in resumed] == [w.tobytes() for w in scaled]
    for one, other in zip(scaled, plain, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-3)


def test_a_loss_scale_that_changes_is_resumed_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scaling = partial(keras.mixed_precision.LossScaleOptimizer, initial_scale=2.0**124, dynamic_growth_steps=1)
    monkeypatch.setattr("compress.training.precision.available", lambda: ("float32", "float16"))
    monkeypatch.setattr(keras.mixed_precision, "LossScaleOptimizer", scaling)  # doubles until steps overflow

    whole = train(context(folder(tmp_path / "whole")), engine=FLOAT16)
    resumed = train_killed_and_resumed(tmp_path / "killed", FLOAT16)

    assert [w.tobytes() for w in resumed] == [w.tobytes() for w in whole]


def test_tensorboard_finds_the_scalars_that_history_has(unbroken: Callable[[str], Unbroken]) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logs = unbroken("defaults").folder / "logs" / "training"

    events = EventAccumulator(str(logs))
    events.Reload()
    rows = list(csv.DictReader((logs / FILE).read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4"]
    assert set(events.Tags()["tensors"]) == set(rows[0]) - {"epoch"}
    for name in events.Tags()["tensors"]:
        assert f"`{name}`" in (REPOSITORY / "docs" / "training.md").read_text("utf-8")
        values = [tf.make_ndarray(event.tensor_proto).item() for event in events.Tensors(name)]
        np.testing.assert_allclose(values, [float(row[name]) for row in rows], rtol=1e-6)


def test_a_moving_average_leaves_the_training_itself_alone(unbroken: Callable[[str], Unbroken], tmp_path: Path) -> None:
    train(context(tmp_path), SETTINGS.model_copy(update={"ema": 0.9}))

    folders = tmp_path, unbroken("defaults").folder
    texts = [(path / "logs" / "training" / FILE).read_text() for path in folders]
    rows = [list(csv.DictReader(text.splitlines())) for text in texts]
    losses, plain = ([row["loss"] for row in found] for found in rows)
    assert losses == plain
    assert rows[0][-1]["validation_cross_entropy"] != rows[1][-1]["validation_cross_entropy"]


class Recorder(keras.callbacks.Callback):
    def __init__(self) -> None:
        super().__init__()
        self.weights: list[list[np.ndarray]] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.weights.append([variable.numpy() for variable in self.model.trainable_variables])


def test_the_moving_average_of_the_weights_is_the_result_with_statistics_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    better = itertools.count(1)
    monkeypatch.setattr("compress.training.trainer.evaluate", lambda *_: Result(next(better), 0.0, 1.0))
    model, steps = new_model(), Recorder()
    average = [variable.numpy() for variable in model.trainable_variables]
    train(context(tmp_path), SETTINGS.model_copy(update={"ema": 0.5}), model, callbacks=[steps])

    for t, weights in enumerate(steps.weights):
        momentum = min(0.5, (1 + t) / (10 + t))
        average = [momentum * a + (1 - momentum) * w for a, w in zip(average, weights, strict=True)]
    for variable, expected in zip(model.trainable_variables, average, strict=True):
        np.testing.assert_allclose(variable, expected, rtol=0, atol=1e-6)
    norm = next(layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization))
    into_norm = keras.Model(model.input, norm.input)(IMAGES.astype(np.float32)).numpy()
    np.testing.assert_allclose(norm.moving_mean, into_norm.mean(axis=(0, 1, 2)), rtol=1e-4)
    np.testing.assert_allclose(norm.moving_variance, into_norm.var(axis=(0, 1, 2)), rtol=1e-2)


def test_statistics_of_images_are_those_of_the_weights_that_are_kept(tmp_path: Path) -> None:
    model, engine = new_model(), Engine(precision="float32", norm_statistics="images")

    weights = train(context(folder(tmp_path / "whole")), model=model, engine=engine)

    norm = next(layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization))
    into_norm = keras.Model(model.input, norm.input)(IMAGES.astype(np.float32)).numpy()
    np.testing.assert_allclose(norm.moving_mean, into_norm.mean(axis=(0, 1, 2)), rtol=1e-4)
    np.testing.assert_allclose(norm.moving_variance, into_norm.var(axis=(0, 1, 2)), rtol=1e-2)
    resumed = train_killed_and_resumed(tmp_path / "killed", engine)
    for one, other in zip(weights, resumed, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("ema", [0.9, 0.999])
def test_a_network_with_batch_normalization_is_as_good_averaged(ema: float, tmp_path: Path) -> None:
    """With the statistics of other weights, and an average that begins at the initial ones, it was at chance level."""
    settings = SETTINGS.model_copy(update={"epochs": 12})
    results = []
    for name, setting in {"plain": 0.0, "averaged": ema}.items():
        model = new_model()
        model.set_weights(train(context(folder(tmp_path / name)), settings.model_copy(update={"ema": setting})))
        results.append(evaluate(forward_of(model), IMAGES, LABELS)[0])

    assert results[1] >= results[0] - 0.02
