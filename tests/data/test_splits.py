from __future__ import annotations

import hashlib

import numpy as np
import pytest

from compress.data.splits import SPLITS, Division, divide
from compress.errors import BadInputError


def contents(n: int, start: int = 0) -> list[bytes]:
    return [hashlib.sha256(str(i).encode()).digest() for i in range(start, start + n)]


def split(images: list[bytes], labels: np.ndarray, seen: list[bytes] | None = None, **options: object) -> Division:
    settings: dict = {"validation": 0.2, "test": 0.2, "seed": 0, **options}
    return divide(images, seen or images, labels, [f"class {i}" for i in range(labels.max() + 1)], **settings)


def splits_by_content(images: list[bytes], division: Division) -> dict[bytes, str]:
    return {images[i]: name for name, indices in division.indices.items() for i in indices}


def test_every_image_is_in_one_split_and_every_class_in_about_the_same_proportion() -> None:
    labels = np.repeat([0, 1], [1000, 3000])
    division = split(contents(4000), labels)

    assert sorted(np.concatenate(list(division.indices.values()))) == list(range(4000))
    for name, expected in (("train", 0.6), ("validation", 0.2), ("test", 0.2)):
        counts = np.bincount(labels[division.indices[name]])  # type: ignore[index]
        np.testing.assert_allclose(counts / [1000, 3000], expected, atol=0.04)


def test_adding_images_moves_none_of_the_old_ones() -> None:
    few, more = contents(300), contents(300) + contents(500, start=1000)
    random = np.random.default_rng(0)
    order = random.permutation(800)
    before = splits_by_content(few, split(few, np.arange(300) % 3))
    shuffled = [more[i] for i in order]
    after = splits_by_content(shuffled, split(shuffled, (order % 300) % 3))

    assert {image: after[image] for image in few} == before


def test_the_order_within_a_split_is_that_of_the_contents_alone() -> None:
    images = contents(200)
    labels = np.arange(200) % 2
    order = np.random.default_rng(1).permutation(200)
    one, other = split(images, labels), split([images[i] for i in order], labels[order])

    for name in SPLITS:
        assert one.indices[name].tolist() == order[other.indices[name]].tolist()


def test_splits_are_a_function_of_the_seed() -> None:
    first, again, other = (split(contents(100), np.arange(100) % 2, seed=seed).indices["test"] for seed in (1, 1, 2))

    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()


def test_equal_images_are_in_one_split() -> None:
    division = split(contents(100) * 3, np.tile(np.arange(100) % 2, 3))

    for members in division.indices.values():
        assert len({i % 100 for i in members}) == len(members) / 3


def test_no_image_moves_because_it_is_seen_otherwise_nor_its_place_in_the_order() -> None:
    labels = np.arange(200) % 2
    small, large = (split(contents(200), labels, seen=contents(200, start)) for start in (1000, 2000))

    for name in SPLITS:
        assert small.indices[name].tolist() == large.indices[name].tolist()


@pytest.mark.parametrize("groups", [None, [f"scene {i % 150}" for i in range(300)]])
def test_copies_in_different_files_are_in_one_split(groups: list[str] | None) -> None:
    seen = contents(100, 1000) * 3
    division = split(contents(300), np.tile(np.arange(100) % 2, 3), seen=seen, groups=groups)

    for members in division.indices.values():
        assert len({i % 100 for i in members}) == len(members) / 3


def test_only_images_that_are_copies_at_one_size_alone_can_move_between_sizes() -> None:
    labels = np.arange(200) % 2
    seen_small = contents(200, 1000)
    seen_small[7] = seen_small[9]
    small = splits_by_content(contents(200), split(contents(200), labels, seen=seen_small))
    large = splits_by_content(contents(200), split(contents(200), labels, seen=contents(200, 1000)))

    pair = [contents(200)[i] for i in (7, 9)]
    assert small[pair[0]] == small[pair[1]] == large[min(pair)]
    assert {image for image in small if small[image] != large[image]} <= {max(pair)}


def test_a_group_is_in_one_split_and_groups_that_share_an_image_are_one() -> None:
    images = contents(300)
    images[7] = images[200]  # of groups 0 and 25
    groups = [f"person {i // 8}" for i in range(300)]
    division = split(images, np.arange(300) % 2, groups=groups)

    of_group = {group: set() for group in groups}  # type: ignore[var-annotated]
    for name, members in division.indices.items():
        for i in members:
            of_group[groups[i]].add(name)
    assert all(len(names) == 1 for names in of_group.values())
    assert of_group["person 0"] == of_group["person 25"]
    assert {len(members) > 0 for members in division.indices.values()} == {True}


def test_given_splits_are_kept_and_the_one_they_lack_comes_out_of_train() -> None:
    given = ["train"] * 800 + ["test"] * 200
    division = split(contents(1000), np.arange(1000) % 2, given=given)

    assert sorted(division.indices["test"]) == list(range(800, 1000))
    assert len(division.indices["validation"]) == pytest.approx(160, abs=35)


def test_given_splits_that_are_complete_are_kept_as_they_are() -> None:
    given = ["train", "train", "validation", "test"] * 5
    division = split(contents(20), np.repeat(np.arange(5), 4), given=given)

    assert {name: len(members) for name, members in division.indices.items()} == {
        "train": 10,
        "validation": 5,
        "test": 5,
    }


def test_a_small_class_is_in_every_split() -> None:
    for start in range(0, 3000, 100):
        images = contents(100, start)
        labels = np.array([0] * 97 + [1] * 3)
        division = split(images, labels)

        assert [labels[division.indices[name]].sum() for name in SPLITS] == [1, 1, 1]


@pytest.mark.parametrize(
    ("labels", "images", "expected"),
    [
        ([0] * 9 + [1], contents(10), "class 'class 1' has 1 image; should have at least 3 different"),
        ([0] * 9 + [1] * 2, contents(11), "class 'class 1' has 2 images"),
        ([0] * 9 + [1] * 4, contents(9) + contents(1, 50) * 4, "class 'class 1' has 4 images"),
    ],
)
def test_a_class_too_small_for_three_splits_is_named(labels: list[int], images: list[bytes], expected: str) -> None:
    with pytest.raises(BadInputError, match=expected):
        split(images, np.array(labels))


@pytest.mark.parametrize("shared", ["group", "image"])
def test_filling_a_split_for_one_class_empties_none_for_another(shared: str) -> None:
    labels = np.array([0, 0, 0, 1, 1, 1])
    for seed in range(200):
        images = contents(6)
        groups = ["g1", "g2", "g3", "g1", "g4", "g5"] if shared == "group" else None
        if shared == "image":
            images[3] = images[0]
        division = split(images, labels, seed=seed, groups=groups)

        assert all(set(labels[members]) == {0, 1} for members in division.indices.values())


def test_classes_tied_to_each_other_too_closely_are_named() -> None:
    groups = ["g1", "g2", "g3"] * 2  # three persons, of whom each class needs all

    for seed in range(20):
        try:
            division = split(contents(6), np.array([0, 0, 0, 1, 1, 1]), seed=seed, groups=groups)
        except BadInputError as error:
            assert "class 'class " in str(error)  # noqa: PT017
        else:
            assert {len(members) for members in division.indices.values()} == {2}


def test_a_class_that_is_spelt_otherwise_in_train_is_told_with_the_slip() -> None:
    given = ["train", "train", "test"]

    with pytest.raises(
        BadInputError, match=r"class 'cat' has no image in train; .*nearly the same name: 'Cat' and 'cat'"
    ):
        divide(
            contents(3),
            contents(3),
            np.array([0, 2, 1]),
            ["Cat", "cat", "dog"],
            validation=0.2,
            test=0.2,
            seed=0,
            given=given,  # type: ignore[arg-type]
        )
