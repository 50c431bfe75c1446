from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from compress.data.balance import Metric
from compress.training.fall import Fall, begins, shortest
from compress.training.history import Row
from compress.training.settings import Schedule, TrainingSettings

LABELS = np.arange(1000) % 10
BETTER = [0.5, 0.6, 0.7, 0.8, 0.85, 0.88, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97]


def rows(accuracies: Sequence[float], cross_entropies: Sequence[float] = ()) -> list[Row]:
    return [
        Row(
            epoch=i + 1,
            learning_rate=0.1,
            loss=1.0,
            validation_accuracy=accuracy,
            validation_recall=0.3,
            validation_cross_entropy=cross_entropies[i] if cross_entropies else 1.0,
            images_per_second=1.0,
        )
        for i, accuracy in enumerate(accuracies)
    ]


def settings(epochs: int = 30, patience: int = 2, **schedule: Any) -> TrainingSettings:
    return TrainingSettings(epochs=epochs, patience=patience, schedule=Schedule(shape="wsd", **schedule))


def begun(
    accuracies: Sequence[float],
    settings: TrainingSettings,
    cross_entropies: Sequence[float] = (),
    *,
    steps: int = 100,
    metric: Metric = "accuracy",
    may_stop_from: int = 0,
) -> tuple[Fall, str] | None:
    """Return the fall, and why it begins, in a training that goes on until it does or until results are used up."""
    history = rows(accuracies, cross_entropies)
    found = (begins(settings, steps, history[:n], LABELS, metric, may_stop_from) for n in range(len(history) + 1))
    return next((fall for fall in found if fall), None)


def test_the_fall_begins_after_epochs_that_were_no_better_and_takes_its_part_of_all_epochs() -> None:
    fall, reason = begun([*BETTER[:5], *[0.85] * 9], settings()) or (None, "")

    assert fall == (7, 10)  # the fifth epoch was the last one that was better, and 0.3 of 10 are 3
    assert reason == "validation no better for 2 epochs: the rate falls from epoch 8 on, 3 more epochs"


def test_as_long_as_validation_gets_better_the_fall_begins_so_that_it_ends_within_the_epochs() -> None:
    assert begun(BETTER, settings(epochs=10)) == (
        (7, 10),
        "10 epochs are the most there may be: the rate falls from epoch 8 on, 3 more epochs",
    )


@pytest.mark.parametrize(
    ("epochs", "fall"), [(1, (0, 1)), (2, (1, 2)), (3, (2, 3)), (4, (2, 4)), (6, (4, 6)), (9, (6, 9))]
)
def test_few_epochs_end_with_a_fall_too(epochs: int, fall: Fall) -> None:
    assert (begun(BETTER, settings(epochs)) or (None,))[0] == fall


def test_a_cross_entropy_that_sinks_is_better_too() -> None:
    sinking = [0.9**i for i in range(12)]

    assert begun([0.9] * 12, settings(), sinking) is None
    assert begun([0.9] * 12, settings(), [1.0] * 12) is not None


def test_mistakes_that_get_fewer_are_better_too_while_the_cross_entropy_rises() -> None:
    assert begun(BETTER, settings(), [1.0 + i for i in range(12)]) is None


def test_a_cross_entropy_that_creeps_is_no_better() -> None:
    assert begun([0.9] * 12, settings(), [1.0 - 0.001 * i for i in range(12)]) is not None


def test_mean_recall_counts_where_the_best_epoch_is_chosen_by_it() -> None:
    assert begun(BETTER, settings(), metric="recall") is not None


def test_epochs_that_guess_say_nothing() -> None:
    """These are a teacher's of digits, near its highest rate."""
    accuracies = [0.475, 0.109, 0.103, 0.098, 0.553, 0.674, 0.734, 0.99]
    cross_entropies = [2.02, 3.96, 4.33, 4.72, 1.23, 0.72, 0.54, 0.16]

    assert begun(accuracies, settings(), cross_entropies, steps=36) is None
    assert begun([0.475, 0.25, 0.25], settings(), steps=36) is not None


def test_data_that_cannot_be_learned_do_not_take_all_epochs() -> None:
    fall, _ = begun([0.1] * 30, settings(), steps=36) or (None, "")

    assert fall == (14, 20), "after 5 times the least 100 steps"


def test_the_fall_waits_for_the_least_steps() -> None:
    fall, _ = begun([0.9] * 12, settings(least=1000), steps=100) or (None, "")

    assert fall == (10, 15)


def test_the_fall_begins_as_soon_as_it_may_where_hardly_an_image_is_misclassified() -> None:
    nearly = [0.5, 0.9, 0.996, 0.999, 1.0]  # of 1,000 images
    fall, reason = begun(nearly, settings(patience=9)) or (None, "")

    assert fall == (3, 5), "4 mistakes"
    assert reason.startswith("4 mistakes on 1,000 validation images, too few to compare epochs by: the rate falls")
    assert (begun(nearly, settings(patience=9, least=400)) or (None,))[0] == (4, 6)
    assert (begun(nearly, settings(patience=9), may_stop_from=4) or (None,))[0] == (5, 8)


@pytest.mark.parametrize(
    ("labels", "accuracy"),
    [
        (LABELS, 0.995),  # 5 mistakes
        (LABELS[:360], 355 / 360),
        (LABELS[:100], 0.98),  # 2 of so few
        (LABELS[:40], 1.0),
        (np.arange(300) < 4, 296 / 300),  # what naming the same class for every image gets
    ],
)
def test_mistakes_that_are_not_few_are_waited_for(labels: np.ndarray, accuracy: float) -> None:
    assert begins(settings(patience=9), 100, rows([accuracy] * 9), labels.astype(np.int64), "accuracy", 0) is None


def test_epochs_that_may_not_be_the_result_see_no_fall_and_do_not_count() -> None:
    """As those of pruning in which the sparsity still rises, and which were better."""
    pruned = [0.99, 0.99, *[0.5] * 3, 0.6, 0.7, 0.8, 0.9, 0.95]

    assert begun(pruned[:5], settings()) is not None
    assert begun(pruned, settings(), may_stop_from=4) is None
    assert (begun([0.9] * 10, settings(epochs=6), may_stop_from=5) or (None,))[0] == (5, 6)


def test_another_shape_never_falls() -> None:
    assert begun([0.9] * 6, TrainingSettings(epochs=6, patience=1)) is None


@pytest.mark.parametrize(
    ("epochs", "steps", "expected"),
    [
        (30, 36, 5),  # 3 epochs for 100 steps, and 2 of fall
        (300, 36, 5),
        (30, 445, 2),
        (100, 4, 36),  # 25 and 11
        (20, 4, 20),
        (1, 36, 1),
    ],
)
def test_the_shortest_training_does_not_depend_on_how_many_epochs_there_may_be(
    epochs: int, steps: int, expected: int
) -> None:
    assert shortest(Schedule(shape="wsd", least=100, fall=0.3), epochs, steps) == expected
    assert shortest(Schedule(), epochs, steps) == epochs
