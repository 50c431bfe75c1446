"""Facts about some data, and what the recipe makes of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress import networks, trained_weights
from compress.arrays import save_arrays
from compress.artifacts import Network, Split
from compress.config import given_keys, load
from compress.recipe.facts import Facts, facts_of, samples_of
from compress.recipe.image_rules import TRAININGS, sizes_to_try
from compress.recipe.sample import Size
from compress.recipe.settle import decide
from compress.recipe.transfer_rules import asks_for_published
from compress.recipe.trials import Learned


def facts(
    per_class: int = 180,
    classes: int = 10,
    sizes: tuple[tuple[int, int], ...] = ((8, 8),),
    channels: int = 1,
    given: tuple[Split, ...] = (),
) -> Facts:
    counts = (per_class,) * classes
    return Facts(counts, counts, frozenset(given), sizes, channels)


def decided(known: Facts, *assignments: str) -> dict[str, Any]:
    return {made.key: made.value for made in decide(known, load(assignments=assignments))}


def test_these_are_the_decisions_for_digits() -> None:
    assert decided(facts()) == {
        "image.size": 32,
        "teacher.architecture.options.width": 0.5,
        "teacher.augmentation.rotation": 0.0,
        "teacher.augmentation.zoom": 0.0,
        "prune.augmentation.rotation": 0.0,
        "prune.augmentation.zoom": 0.0,
        "teacher.batch_size": 32,
        "prune.batch_size": 32,
        "distill.batch_size": 64,
        "teacher.learning_rate": 0.03,
        "teacher.schedule.shape": "wsd",
        "prune.schedule.shape": "wsd",
        "distill.schedule.shape": "wsd",
        "teacher.epochs": 200,
        "prune.method": "filters",
        "prune.epochs": 40,
        "distill.views": 8,
        "distill.epochs": 10,
        "teacher.patience": 18,
        "prune.patience": 18,
        "distill.patience": 5,
        "distill.student.options.width": 8,
        "distill.student.options.blocks": 4,
    }


@pytest.mark.parametrize(
    ("sizes", "size"),
    [
        (((28, 28),), 32),
        (((40, 40),), 32),
        (((47, 50),), 32),  # no larger than stored
        (((50, 48),), 48),
        (((640, 480), (480, 640)), 64),  # of two shapes: a square
        (((640, 480),), 64),
        (((320, 40),), [32, 256]),
        (((40, 320),), [256, 32]),
        (((24, 8),), [32, 96]),
        (((200, 100),), [48, 96]),
        (((2000, 40),), [32, 256]),  # at most 8 times as long
        (((200, 100),) * 8 + ((100, 100),) * 2, 64),  # not nearly all
    ],
)
def test_images_are_seen_at_a_size_and_shape_of_their_own(
    sizes: tuple[tuple[int, int], ...], size: int | list[int]
) -> None:
    assert decided(facts(sizes=sizes))["image.size"] == size


def test_short_trainings_decide_on_size_and_flips_where_there_is_a_choice() -> None:
    learned = Learned(48, "48 is enough", "horizontal", "mirrored images are told")
    large, small = (
        {made.key: (made.value, made.reason) for made in decide(replace(known, learned=learned), load())}
        for known in (facts(sizes=((640, 480),)), facts())
    )
    assert large["image.size"] == (48, "images are stored at 640x480; 48 is enough")
    assert small["image.size"] == (32, "images are stored at 8x8")
    for made in (large, small):
        for section in TRAININGS:
            assert made[f"{section}.augmentation.flip"] == ("horizontal", "mirrored images are told")


@pytest.mark.parametrize(
    ("sizes", "tried"),
    [
        (((8, 8),), [32]),
        (((72, 72),), [32, 48, 64]),
        (((640, 480),), [32, 48, 64, 96, 128]),
        (((320, 40),), [(32, 256)]),
        (((200, 100),), [(32, 64), (48, 96), (64, 128), (96, 192)]),
    ],
)
def test_no_size_is_tried_that_is_larger_than_images_are_stored(
    sizes: tuple[tuple[int, int], ...], tried: list[Size]
) -> None:
    assert sizes_to_try(facts(sizes=sizes), load(), ()) == tried


@pytest.mark.parametrize(
    ("known", "assignments", "tried"),
    [
        (facts(sizes=((72, 72),)), ("teacher.weights=imagenet",), [64]),
        (facts(sizes=((640, 480),)), ("teacher.weights=imagenet",), [64, 96, 128]),
        (facts(sizes=((40, 40),)), ("teacher.weights=imagenet",), [32]),
        (facts(sizes=((200, 100),)), ("teacher.weights=imagenet",), [(64, 128), (96, 192)]),
        (facts(sizes=((320, 40),)), ("teacher.weights=imagenet",), [(32, 256)]),
        (replace(facts(sizes=((640, 480),)), published=""), (), [64, 96, 128]),
        (replace(facts(sizes=((640, 480),)), published=""), ("teacher.weights=none",), [32, 48, 64, 96, 128]),
        (replace(facts(sizes=((640, 480),)), published="no answer"), (), [32, 48, 64, 96, 128]),
        (replace(facts(per_class=5_000, sizes=((640, 480),)), published=""), (), [32, 48, 64, 96, 128]),
    ],
)
def test_published_weights_see_images_at_64_pixels_or_more_if_they_are_stored_so_large(
    known: Facts, assignments: tuple[str, ...], tried: list[Size]
) -> None:
    assert sizes_to_try(known, load(assignments=assignments), ()) == tried


def test_nothing_is_tried_where_the_data_stage_will_refuse_the_data() -> None:
    assert sizes_to_try(facts(classes=1), load(), ()) == []
    assert sizes_to_try(facts(per_class=0), load(), ()) == []
    assert sizes_to_try(facts(sizes=()), load(), ()) == []


def test_nothing_is_said_of_sizes_that_cannot_be_read() -> None:
    assert "image.size" not in decided(facts(sizes=()))


@pytest.mark.parametrize(
    ("per_class", "batches", "rate"),
    [(180, (32, 32, 64), 0.03), (1_500, (64, 64, 128), 0.06), (6_000, (128, 128, 256), 0.1)],
)
def test_more_images_take_larger_batches_and_the_rate_follows(
    per_class: int, batches: tuple[int, ...], rate: float
) -> None:
    made = decided(facts(per_class))
    assert tuple(made[f"{section}.batch_size"] for section in ("teacher", "prune", "distill")) == batches
    assert made["teacher.learning_rate"] == pytest.approx(rate)


def test_the_rate_follows_a_batch_that_is_given() -> None:
    assert decided(facts(), "teacher.batch_size=64")["teacher.learning_rate"] == pytest.approx(0.06)
    assert decided(facts(), "teacher.batch_size=1024")["teacher.learning_rate"] == pytest.approx(0.1)


def test_adam_has_rates_of_its_own() -> None:
    made = decided(facts(), "teacher.optimizer=adam", "distill.optimizer=adamw", "distill.batch_size=128")
    assert made["teacher.learning_rate"] == pytest.approx(0.001)
    assert made["distill.learning_rate"] == pytest.approx(0.002)
    assert "prune.learning_rate" not in made


@pytest.mark.parametrize(
    ("per_class", "given", "held_out"),
    [
        (180, (), {}),
        (6_000, (), {"data.validation": 0.06, "data.test": 0.06}),
        (6_000, ("train", "test"), {"data.validation": 0.06}),
        (200_000, ("train", "validation"), {"data.test": 0.01}),
        (0, ("validation", "test"), {}),
    ],
)
def test_no_more_is_held_out_than_a_figure_needs(
    per_class: int, given: tuple[Split, ...], held_out: dict[str, float]
) -> None:
    made = decided(facts(per_class, given=given))
    assert {key: value for key, value in made.items() if key.startswith("data.")} == held_out


@pytest.mark.parametrize(
    ("per_class", "epochs", "pruning", "patience"),
    [(10, 200, 40, 200), (180, 200, 40, 18), (700, 61, 37, 5), (6_000, 20, 12, 2), (100_000, 10, 3, 2)],
)
def test_trainings_may_take_so_many_steps_and_end_earlier(
    per_class: int, epochs: int, pruning: int, patience: int
) -> None:
    made = decided(facts(per_class))
    assert made["teacher.schedule.shape"] == "wsd"
    assert (made["teacher.epochs"], made["prune.epochs"], made["teacher.patience"]) == (epochs, pruning, patience)
    assert made["prune.patience"] == min(patience, pruning)


@pytest.mark.parametrize("asked", ["sparsity=0.9", "pattern=2:4", "updates=2"])
def test_filters_alone_are_removed_unless_zeros_are_asked_for(asked: str) -> None:
    assert decided(facts())["prune.method"] == "filters"
    assert "prune.method" not in decided(facts(), f"prune.{asked}")
    assert "prune.method" not in decided(facts(), "prune.method=both")


def test_pruning_takes_as_many_steps_more_as_they_are_cheaper_without_filters() -> None:
    epochs = {
        setting: decided(facts(700), f"prune.{setting}")["prune.epochs"]
        for setting in ("method=magnitude", "method=filters", "target=0.5", "target_of=weights")
    }

    assert epochs == {"method=magnitude": 10, "method=filters": 37, "target=0.5": 19, "target_of=weights": 10}


def test_few_images_train_half_of_vgg16_where_all_of_it_is_not_asked_for() -> None:
    key = "teacher.architecture.options.width"
    assert key not in decided(facts(6_000))
    assert key not in decided(facts(), "teacher.architecture=vgg11")
    assert key not in decided(facts(), "teacher.weights=imagenet")


def test_a_schedule_that_takes_all_epochs_gets_no_more_than_it_needs() -> None:
    made = decided(facts(), "teacher.schedule.shape=cosine")
    assert made["teacher.epochs"] == 6
    assert made["teacher.patience"] == 6
    assert made["distill.patience"] == 5


def test_colour_takes_a_wider_student() -> None:
    assert (
        decided(facts(channels=3))["distill.student.options.width"] > decided(facts())["distill.student.options.width"]
    )


@pytest.mark.parametrize("per_class", [10, 180, 2_000, 100_000])
def test_a_student_sees_every_image_some_sixty_times(per_class: int) -> None:
    made = decided(facts(per_class))
    assert 60 <= made["distill.views"] * made["distill.epochs"] <= 80


@pytest.mark.parametrize(
    ("assignment", "key"),
    [
        ("image.size=48", "image.size"),
        ("teacher.epochs=6", "teacher.epochs"),
        ("distill.student.options.width=8", "distill.student.options.width"),
        ("distill.student={name='plain', options={blocks=3}}", "distill.student.options.blocks"),
    ],
)
def test_what_is_given_is_not_decided(assignment: str, key: str) -> None:
    assert key in decided(facts())
    assert key not in decided(facts(), assignment)


def test_later_rules_see_the_size_that_is_given() -> None:
    assert decided(facts(), "image.size=8")["distill.student.options.blocks"] == 3
    assert decided(facts(sizes=((500, 500),)), "image.size=32")["distill.student.options.blocks"] == 4
    assert decided(facts(sizes=((500, 500),)))["distill.student.options.blocks"] == 5


def test_images_are_turned_and_zoomed_where_the_teacher_begins_with_weights_of_others_or_they_are_few(
    tmp_path: Path,
) -> None:
    assert "teacher.augmentation.rotation" not in decided(facts(), "teacher.weights=imagenet")
    assert "teacher.augmentation.rotation" not in decided(facts(per_class=33))  # 20 of them to train on
    assert "teacher.augmentation.rotation" in decided(facts(per_class=36))
    save_arrays(tmp_path / "whole.npz", {"0000": np.zeros((2, 3), np.float32)})
    whole = f"teacher.weights={tmp_path / 'whole.npz'}"
    assert "prune.augmentation.rotation" in decided(replace(facts(), whole=True), whole)


def test_a_student_that_is_pruned_is_trained_by_the_same_rules() -> None:
    usual, pruned = decided(facts()), decided(facts(), "prune_student.enabled=true")

    assert not any(key.startswith("prune_student") for key in usual)
    assert pruned["prune_student.method"] == "filters"
    for key in ("schedule.shape", "patience", "batch_size", "epochs"):
        assert f"prune_student.{key}" in pruned, key
    assert "prune_student.method" not in decided(facts(), "prune_student={enabled=true, sparsity=0.5}")


PHOTOS = facts(sizes=((320, 240),), channels=3)


def test_few_photographs_begin_with_published_weights_if_these_can_be_had() -> None:
    made = decided(replace(PHOTOS, published=""))
    assert made["teacher.weights"] == "imagenet"
    head, block = made["teacher.phases"]
    assert head == {"epochs": 18, "learning_rate": 0.02}  # 600 steps of 34 per epoch
    assert block == {"blocks": 1, "epochs": 12, "learning_rate": 0.003}
    assert (made["teacher.epochs"], made["teacher.patience"], made["teacher.learning_rate"]) == (12, 18, 0.001)
    assert made["prune.method"] == "filters"
    assert not {"prune.sparsity", "prune.learning_rate", "prune.optimizer"} & made.keys()
    for asked in ("prune.method=magnitude", "prune.updates=3"):
        zeros = decided(replace(PHOTOS, published=""), asked)
        assert zeros.get("prune.method", "magnitude") == "magnitude"
        assert (zeros["prune.sparsity"], zeros["prune.learning_rate"]) == (0.5, 1e-4)
    both = decided(replace(PHOTOS, published=""), "prune.sparsity=0.5", "prune.target=0.5")
    assert not {"prune.method", "prune.learning_rate"} & both.keys()
    absent = {made.key: made for made in decide(replace(PHOTOS, published="no answer"), load())}
    assert absent["teacher.weights"].value == "none"
    assert "no answer" in absent["teacher.weights"].reason
    assert "teacher.phases" not in absent


@pytest.mark.parametrize(
    ("known", "assignments"),
    [
        (PHOTOS, ()),  # nobody asked
        (replace(PHOTOS, published="", counts=(9_000,) * 10, undivided=(9_000,) * 10), ()),
        (replace(PHOTOS, published=""), ("image.size=48",)),
        (replace(PHOTOS, published=""), ("teacher.weights=none",)),
    ],
)
def test_others_begin_with_random_weights(known: Facts, assignments: tuple[str, ...]) -> None:
    made = decided(known, *assignments)
    assert made.get("teacher.weights", "none") == "none"
    assert "teacher.phases" not in made


def test_images_that_are_too_small_for_published_weights_are_named_as_the_reason() -> None:
    for known in (replace(PHOTOS, published=""), replace(PHOTOS, published="", sizes=((100, 64),))):
        assignments = ("image.size=48",) if known.sizes == PHOTOS.sizes else ()
        [made] = [made for made in decide(known, load(assignments=assignments)) if made.key == "teacher.weights"]
        assert made.value == "none"
        assert "too few for published weights" in made.reason


def test_a_size_that_was_learned_before_weights_were_there_is_not_taken() -> None:
    learned = Learned(48, "48 is enough", "none", "")
    with_weights = decided(replace(PHOTOS, published="", learned=learned))
    assert (with_weights["image.size"], with_weights["teacher.weights"]) == (64, "imagenet")
    assert decided(replace(PHOTOS, published="no answer", learned=learned))["image.size"] == 48


@pytest.mark.parametrize("shape", ["one_cycle", "cosine"])
def test_a_schedule_that_falls_to_its_end_is_not_broken_off(shape: str) -> None:
    made = decided(facts(), f"teacher.schedule.shape={shape}", "teacher.epochs=40")
    assert made["teacher.patience"] == 40
    phases = "teacher.phases=[{epochs=5}, {blocks=1, epochs=30}]"
    assert decided(facts(), "teacher.weights=imagenet", phases)["teacher.patience"] == 30
    assert "teacher.patience" not in decided(facts(), "teacher.schedule.shape=constant")
    waits = decided(facts(), "teacher.weights=imagenet", "teacher.schedule.shape=wsd", "teacher.epochs=400")
    assert waits["teacher.patience"] == 18


def test_of_few_images_per_class_the_head_alone_learns() -> None:
    made = decided(facts(per_class=33), "teacher.weights=imagenet")  # 19.8 of them are left to train on
    assert (made["teacher.phases"], made["teacher.epochs"]) == ([{"epochs": 60, "learning_rate": 0.02}], 0)
    assert (made["prune.method"], made["prune.sparsity"]) == ("magnitude", 0.5)
    for setting in ("prune.target=0.5", "prune.method=filters"):
        made = decided(facts(per_class=33), "teacher.weights=imagenet", setting)
        assert made.get("prune.method", "filters") == "filters"
        assert "prune.sparsity" not in made
    assert decided(facts(per_class=34), "teacher.weights=imagenet")["teacher.epochs"] == 12


def test_weights_that_are_given_are_trained_in_phases_of_which_each_setting_can_be_given() -> None:
    made = decided(facts(), "teacher.weights=imagenet", "teacher.epochs=5")
    assert len(made["teacher.phases"]) == 2
    assert "teacher.epochs" not in made
    assert "teacher.phases" not in decided(facts(), "teacher.weights=imagenet", "teacher.phases=[]")


@pytest.mark.parametrize(
    ("known", "assignments", "asks"),
    [
        (PHOTOS, (), True),
        (PHOTOS, ("teacher.weights=none",), False),
        (PHOTOS, ("teacher.architecture=vgg11",), False),
        (PHOTOS, ("teacher.architecture.options.width=0.5",), False),
        (replace(PHOTOS, channels=1), (), False),
        (replace(PHOTOS, sizes=((320, 48),)), (), False),
        (replace(PHOTOS, sizes=()), (), False),
    ],
)
def test_published_weights_are_asked_for_where_they_suit(
    known: Facts, assignments: tuple[str, ...], asks: bool
) -> None:
    config = load(assignments=assignments)
    assert asks_for_published(known, config, given_keys(config)) == asks


def test_a_teacher_of_which_all_weights_are_given_is_taken_as_it_is_at_the_size_it_was_trained_at(
    tmp_path: Path,
) -> None:
    model = networks.build("teachers", "vgg11", {"width": 0.02}, (48, 64, 1), 10)
    networks.save(model, tmp_path / "trained.npz")
    network = Network("t", "teacher", "teachers", "vgg11", {"width": 0.02}, (48, 64, 1), 10, tmp_path / "trained.npz")
    trained_weights.keep(network, [str(label) for label in range(10)], tmp_path / "teacher.npz")
    config: Any = load(assignments=[f"teacher.weights={tmp_path / 'teacher.npz'}"])
    known = facts_of(samples_of(config), config)

    made = {decision.key: decision.value for decision in decide(known, config)}

    assert made["image.size"] == [48, 64]
    assert made["teacher.epochs"] == 0
    assert "teacher.phases" not in made
    assert len(sizes_to_try(known, config, frozenset())) == 1


def test_a_few_images_train_all_layers_where_the_head_is_given_no_phase() -> None:
    assert decided(facts(10), "teacher.weights=imagenet")["teacher.epochs"] == 0
    assert decided(facts(10), "teacher.weights=imagenet", "teacher.phases=[]")["teacher.epochs"] > 0
