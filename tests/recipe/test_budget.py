from __future__ import annotations

from typing import Any

import pytest

from compress.config import load, updated
from compress.estimate import Facts
from compress.recipe.budget import FAIR_STEPS, KEYS, LEAST_VIEWS, USEFUL, Fit, Limits, cheaper, decisions_of, fit
from compress.recipe.training_rules import WIDTH

FACTS = Facts((3200, 3200), 800, 800, (64, 64, 3), "none")  # 200 steps of 32 images
USUAL: Any = updated(
    load(assignments=["recipe=none", "image.size=64"]),
    {"teacher.epochs": 30, "prune.epochs": 6, "distill.epochs": 10, "distill.views": 8},
    "the test",
)
FIXED = 60.0
FAIR = FAIR_STEPS["teacher"] // 200


def seconds_of(config: Any) -> float:
    """Return what a run takes: the teacher 20 s per epoch; for each view 4 s, and 1 s per epoch of the student."""
    trainings = 20 * (config.teacher.epochs + config.prune.epochs)
    return FIXED + trainings + config.distill.views * (4 + config.distill.epochs)


def fitted(available: float, *given: str, undecided: Any = KEYS, config: Any = USUAL) -> Fit:
    return fit(config, Limits(given, undecided, FACTS, seconds_of, available))


def lengths(config: Any) -> tuple[int, int, int, int]:
    return config.teacher.epochs, config.prune.epochs, config.distill.epochs, config.distill.views


def test_what_has_time_enough_stays() -> None:
    whole = fitted(seconds_of(USUAL))

    assert whole == Fit(USUAL, 2.0, seconds_of(USUAL))


def test_a_teachers_epochs_beyond_a_fair_training_go_first() -> None:
    found = fitted(700)

    assert lengths(found.config)[2:] == (10, 8)
    assert FAIR < lengths(found.config)[0] < 30
    assert 1 < found.length < 2


@pytest.mark.parametrize("available", [850, 700, 500, 310, 250])
def test_no_more_is_given_up_than_needed(available: float) -> None:
    found = fitted(available)

    assert seconds_of(found.config) == found.seconds <= available
    assert available - found.seconds < 20  # an epoch of the teacher


def test_below_a_fair_training_all_are_cut_alike() -> None:
    found = fitted(260)

    teacher, prune, distill, views = lengths(found.config)
    assert views == 8
    assert found.length < 1
    assert abs((teacher - 1) / (FAIR - 1) - found.length) <= 1 / (FAIR - 1)
    assert abs((prune - 1) / 2 - found.length) <= 1 / 2
    assert abs((distill - 1) / 9 - found.length) <= 1 / 9


def test_more_time_makes_nothing_shorter_but_where_it_brings_more_views() -> None:
    found = [fitted(available) for available in range(150, 1000, 25)]
    order = [(fit.config.distill.views, fit.length) for fit in found]

    assert order == sorted(order)
    assert {views for views, _ in order} == {2, 4, 8}


def test_views_are_given_up_before_trainings_become_useless() -> None:
    assert lengths(fitted(400).config)[3] == 8
    few = fitted(165)

    assert lengths(few.config)[3] < 8
    assert few.seconds <= 165
    assert lengths(fitted(150).config)[3] == LEAST_VIEWS


def test_what_is_too_short_for_anything_says_what_the_least_takes() -> None:
    least = fitted(100)

    assert least.length < 0
    assert lengths(least.config) == (1, 1, 1, LEAST_VIEWS)  # each of 100 steps or more
    assert least.seconds == seconds_of(least.config)
    assert fitted(least.seconds).length >= 0


def test_an_epoch_of_few_steps_is_not_enough() -> None:
    few = Facts((160, 160), 40, 40, (64, 64, 3), "none")  # 10 steps

    least = fit(USUAL, Limits((), KEYS, few, seconds_of, 0.0))

    assert lengths(least.config) == (10, 6, 10, LEAST_VIEWS)  # no more than usual


def test_what_the_user_has_set_or_has_begun_stays() -> None:
    given = fitted(300, "teacher.epochs", "distill.views", config=updated(USUAL, {"teacher.epochs": 5}, "the test"))
    begun = fitted(300, undecided=("distill",))

    assert lengths(given.config)[0] == 5
    assert lengths(given.config)[3] == 8
    assert lengths(begun.config)[:2] == (30, 6)


def test_the_teacher_gets_narrower_then_images_smaller_by_half_of_their_area_each() -> None:
    large = updated(USUAL, {"image.size": 96}, "the test")
    steps: list[tuple[dict[str, Any], float]] = [({WIDTH: 0.5}, 1.0), ({WIDTH: 0.25}, USEFUL)]
    sizes = [({WIDTH: 0.25, "image.size": size}, USEFUL) for size in (64, 48, 32)]

    assert list(cheaper(large, ())) == [*steps, *sizes]
    assert list(cheaper(updated(large, {WIDTH: 0.5}, "the test"), ())) == [*steps[1:], *sizes]
    assert list(cheaper(large, ("image.size",))) == steps
    assert list(cheaper(updated(USUAL, {"image.size": [32, 96]}, "the test"), ())) == steps


@pytest.mark.parametrize(
    ("changes", "given"),
    [({}, (WIDTH,)), ({"teacher.weights": "imagenet"}, ()), ({"teacher.architecture": "vgg11"}, ())],
)
def test_a_teacher_that_is_asked_for_stays(changes: dict[str, Any], given: tuple[str, ...]) -> None:
    assert WIDTH not in {key for change, _ in cheaper(updated(USUAL, changes, "the test"), given) for key in change}


def test_what_was_given_up_is_told_with_what_it_was() -> None:
    shorter = updated(USUAL, {"teacher.epochs": 11, "image.size": 48, WIDTH: 0.5}, "the test")

    made = {decision.key: (decision.value, decision.reason) for decision in decisions_of(USUAL, shorter, "30m")}

    assert made == {
        WIDTH: (0.5, "1.0 without the budget of 30m"),
        "image.size": (48, "64 without the budget of 30m"),
        "teacher.epochs": (11, "30 without the budget of 30m"),
    }
    assert USEFUL < 1
