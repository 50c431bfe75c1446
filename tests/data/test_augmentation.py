from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps
from pydantic import ValidationError

from compress.data.augmentation import DRAWS, Augmentation, Column, Mixing, Operation, augment, draws, lambdas, mix
from compress.tensorflow import tf

EVERYTHING = {
    "flip": "both",
    "crop": 0.5,
    "brightness": 0.2,
    "contrast": 0.2,
    "saturation": 0.3,
    "erasing": 0.3,
    "randaugment": 3,
}


def only(**limits: Any) -> Augmentation:
    """Nothing but these changes."""
    return Augmentation(**{"shift": 0, "rotation": 0, "zoom": 0, **limits})


def noise(n: int = 6, size: int = 9, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, size, size, channels), np.uint8)


def changed(images: np.ndarray, limits: Augmentation, numbers: np.ndarray | None = None) -> np.ndarray:
    numbers = draws(0, 0, np.arange(len(images))) if numbers is None else numbers
    return augment(tf.constant(images), tf.constant(numbers), limits).numpy()


def middling(n: int = 1, **numbers: float) -> np.ndarray:
    """Draws of one half, which change nothing of either sign, but for the columns named."""
    made = np.full((n, DRAWS), 0.5, np.float32)
    for name, number in numbers.items():
        made[:, Column[name]] = number
    return made


LARGEST = 1 - 2**-24


# draws


def reference(*numbers: int) -> float:
    """SplitMix64 as published, in Python's own integers."""
    state = 0
    for n in numbers:
        z = (state + (n + 1) * 0x9E3779B97F4A7C15) % 2**64
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        state = z ^ (z >> 31)
    return (state >> 40) / 2**24


def test_draws_are_splitmix64_of_seed_turn_slot_and_column() -> None:
    assert reference(0) == (0xE220A8397B1DCDAF >> 40) / 2**24  # the first output published for seed 0
    made = draws(7, 3, np.array([0, 123_456]))

    assert made.shape == (2, DRAWS)
    assert made.dtype == np.float32
    assert made[1].tolist() == [reference(7, 3, 123_456, column) for column in range(DRAWS)]


def test_a_slots_draws_do_not_depend_on_the_other_slots() -> None:
    draw_ids = np.array([5, 2, 9])
    together = draws(1, 4, draw_ids)

    for row, draw_id in zip(together, draw_ids, strict=True):
        np.testing.assert_array_equal(row, draws(1, 4, np.array([draw_id]))[0])


def test_a_turn_may_be_given_for_each_slot() -> None:
    made = draws(1, np.array([4, 5]), np.array([8, 8]))

    np.testing.assert_array_equal(made[0], draws(1, 4, np.array([8]))[0])
    np.testing.assert_array_equal(made[1], draws(1, 5, np.array([8]))[0])


def test_draws_are_even_in_every_column() -> None:
    made = draws(0, 0, np.arange(20_000)).astype(float)

    assert made.min() >= 0
    assert made.max() < 1
    np.testing.assert_allclose(made.mean(axis=0), 0.5, atol=5 / np.sqrt(12 * 20_000))
    counts = np.stack([np.histogram(column, 16, (0, 1))[0] for column in made.T])
    chi_squared = ((counts - 1250) ** 2 / 1250).sum(axis=1)  # 15 degrees of freedom: 45 is passed once in 10,000
    assert chi_squared.max() < 45


def test_draws_of_neighbouring_seeds_turns_slots_and_columns_do_not_correlate() -> None:
    draw_ids = np.arange(20_000)
    made = draws(0, 0, draw_ids)
    limit = 5 / np.sqrt(len(draw_ids))
    columns = np.corrcoef(made.T) - np.eye(DRAWS)
    assert np.abs(columns).max() < limit
    for other in (draws(1, 0, draw_ids), draws(0, 1, draw_ids), draws(0, 0, draw_ids + 1), draws(0, 0, draw_ids + 64)):
        assert np.abs(np.corrcoef(made.T, other.T)[:DRAWS, DRAWS:]).max() < limit


# settings


@pytest.mark.parametrize(
    "setting",
    [
        {"flip": "left"},
        {"shift": 1},
        {"shift": -0.1},
        {"rotation": 181},
        {"zoom": 1},
        {"crop": 0},
        {"crop": 1.1},
        {"brightness": 1.1},
        {"contrast": 1},
        {"saturation": 1.1},
        {"erasing": -0.1},
        {"randaugment": 9},
        {"randaugment": 1.5},
        {"randaugment_magnitude": 1.1},
        {"shear": 0.1},
    ],
)
def test_settings_out_of_range_are_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Augmentation(**setting)


@pytest.mark.parametrize("setting", [{"mixup": -1}, {"cutmix": 10.5}, {"alpha": 1}])
def test_mixing_out_of_range_is_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Mixing(**setting)


def test_the_settings_need_neither_numpy_nor_tensorflow() -> None:
    code = "import sys, compress.data.augmentation; print({'numpy', 'scipy', 'tensorflow'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


# what holds for all changes


def test_augmentation_without_limits_changes_nothing() -> None:
    np.testing.assert_array_equal(changed(noise(), only()), noise())


@pytest.mark.parametrize("channels", [1, 3])
def test_the_same_draws_give_the_same_images_in_and_outside_a_graph(channels: int) -> None:
    images, limits = noise(64, 12, channels), Augmentation(**EVERYTHING)
    signature = [tf.TensorSpec((None, None, None, channels), tf.uint8), tf.TensorSpec((None, DRAWS), tf.float32)]
    graph = tf.function(lambda x, y: augment(x, y, limits), input_signature=signature)
    numbers = draws(0, 0, np.arange(64))

    np.testing.assert_array_equal(changed(images, limits, numbers), changed(images, limits, numbers))
    np.testing.assert_array_equal(changed(images, limits, numbers), graph(images, numbers))
    assert not np.array_equal(changed(images, limits, numbers), changed(images, limits, draws(1, 0, np.arange(64))))


@pytest.mark.parametrize("channels", [1, 3])
def test_an_images_changes_do_not_depend_on_its_batch(channels: int) -> None:
    images, limits = noise(64, 13, channels), Augmentation(**EVERYTHING)
    signature = [tf.TensorSpec((None, None, None, channels), tf.uint8), tf.TensorSpec((None, DRAWS), tf.float32)]
    graph = tf.function(lambda x, y: augment(x, y, limits), input_signature=signature)
    numbers = draws(0, 0, np.arange(64))

    alone = np.concatenate([graph(images[i : i + 1], numbers[i : i + 1]) for i in range(64)])
    np.testing.assert_array_equal(graph(images, numbers), alone)


def test_images_may_be_of_any_shape() -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 7, 12, 3), np.uint8)

    assert changed(images, Augmentation(**EVERYTHING)).shape == images.shape


# geometry


@pytest.mark.parametrize(("flip", "axes"), [("horizontal", [2]), ("vertical", [1]), ("both", [1, 2])])
def test_each_direction_named_is_mirrored_exactly_for_half_of_the_images(flip: str, axes: list[int]) -> None:
    images = noise(400)
    mirrored = changed(images, only(flip=flip))

    expected = images.copy()
    numbers = draws(0, 0, np.arange(400))
    for axis, column in ((2, Column.FLIP_X), (1, Column.FLIP_Y)):
        if axis in axes:
            chosen = numbers[:, column] < 0.5
            assert 160 < chosen.sum() < 240
            expected[chosen] = np.flip(expected[chosen], axis)
    np.testing.assert_array_equal(mirrored, expected)


def test_mirroring_is_exact_beside_other_geometric_changes() -> None:
    numbers = middling(FLIP_X=0, FLIP_Y=0)

    np.testing.assert_array_equal(changed(noise(1, 8), Augmentation(flip="both"), numbers), noise(1, 8)[:, ::-1, ::-1])


def test_a_shift_moves_the_whole_image_by_no_more_than_its_part_of_the_side() -> None:
    dot = np.zeros((200, 10, 20, 1), np.uint8)
    dot[:, 5, 10] = 255
    moved = changed(dot, only(shift=0.2))

    rows, columns = np.nonzero(moved.sum(axis=(0, 3)))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (3, 7, 6, 14)


def test_a_shift_by_whole_pixels_is_exact_and_the_edge_goes_on() -> None:
    images = noise(1, 8)
    moved = changed(images, only(shift=0.5), middling(SHIFT_X=0.75))  # half of 4 pixels

    np.testing.assert_array_equal(moved[:, :, :6], images[:, :, 2:])
    np.testing.assert_array_equal(moved[:, :, 6:], images[:, :, [7, 7]])


@pytest.mark.parametrize("limits", [only(rotation=180), only(zoom=0.5)])
def test_turning_and_scaling_keep_the_centre_in_place(limits: Augmentation) -> None:
    centre = changed(noise(), limits)[:, 4, 4].astype(int)
    np.testing.assert_allclose(centre, noise()[:, 4, 4], rtol=0, atol=1)  # interpolation rounds down


def test_a_rotation_turns_by_no_more_than_its_limit() -> None:
    dot = np.zeros((200, 41, 41, 1), np.uint8)
    dot[:, 19:22, 34:37] = 255  # 15 pixels to the right of the centre
    turned = changed(dot, only(rotation=30)).astype(float)[..., 0]

    row, column = np.mgrid[-20:21, -20:21]
    weight = turned.sum(axis=(1, 2))
    y, x = (turned * row).sum(axis=(1, 2)) / weight, (turned * column).sum(axis=(1, 2)) / weight
    angles = np.degrees(np.arctan2(y, x))
    np.testing.assert_allclose(np.hypot(x, y), 15, atol=0.2)
    assert 28 < angles.max() < 30.5
    assert -30.5 < angles.min() < -28


def test_a_rotation_by_a_right_angle_is_exact() -> None:
    images = noise(1, 9)
    turned = changed(images, only(rotation=180), middling(ROTATION=0.75))

    np.testing.assert_allclose(turned.astype(int), np.rot90(images, axes=(1, 2)).astype(int), rtol=0, atol=1)


def where_a_dot_goes(shape: tuple[int, int], x: int, y: int, moved: Any) -> list[int]:
    """Return the x and y, from the centre, of where `moved` takes a dot."""
    dot = np.zeros((1, *shape, 1), np.uint8)
    dot[0, shape[0] // 2 + y, shape[1] // 2 + x] = 255
    row, column = np.unravel_index(moved(dot)[0, :, :, 0].argmax(), shape)
    return [int(column) - shape[1] // 2, int(row) - shape[0] // 2]


@pytest.mark.parametrize("shape", [(41, 41), (41, 121), (121, 41)])
def test_rectangles_are_turned_zoomed_and_sheared_in_pixels(shape: tuple[int, int]) -> None:
    narrowness = min(shape) / max(shape)
    cos, sin = np.cos(np.pi / 2 * narrowness), np.sin(np.pi / 2 * narrowness)

    def turned(dot: np.ndarray) -> np.ndarray:
        return changed(dot, only(rotation=180), middling(ROTATION=0.75))  # a right angle, if it is a square

    def zoomed(dot: np.ndarray) -> np.ndarray:
        return changed(dot, only(zoom=0.5), middling(ZOOM=1))  # shows 1.5 times as much

    def sheared(operation: Operation) -> Any:
        return lambda dot: operated(dot, operation, 1)  # 0.3 pixels a pixel, back from where it shows

    by_width, by_height = min(1, shape[1] / shape[0]), min(1, shape[0] / shape[1])
    assert where_a_dot_goes(shape, 12, 0, turned) == [round(12 * cos), round(-12 * sin)]
    assert where_a_dot_goes(shape, 0, 12, turned) == [round(12 * sin), round(12 * cos)]
    assert where_a_dot_goes(shape, 12, -15, zoomed) == [8, -10]
    assert where_a_dot_goes(shape, 5, 10, sheared(Operation.SHEAR_X)) == [5 - round(3 * by_width), 10]
    assert where_a_dot_goes(shape, 10, 5, sheared(Operation.SHEAR_Y)) == [10, 5 - round(3 * by_height)]


@pytest.mark.parametrize(
    ("limits", "numbers"),
    [
        ({"rotation": 30}, {"ROTATION": LARGEST}),
        ({"randaugment": 1, "randaugment_magnitude": 1}, {"RANDAUGMENT": (Operation.ROTATE + 0.5) / len(Operation)}),
        ({"randaugment": 1, "randaugment_magnitude": 1}, {"RANDAUGMENT": (Operation.SHEAR_Y + 0.5) / len(Operation)}),
    ],
)
def test_the_ends_of_a_long_image_move_as_those_of_a_square_of_its_height(
    limits: dict[str, Any], numbers: dict[str, Any]
) -> None:
    def of_the_right_end(width: int) -> int:
        moved = where_a_dot_goes(
            (41, width), width // 2 - 2, 0, lambda dot: changed(dot, only(**limits), middling(**numbers))
        )
        return abs(moved[1])

    assert of_the_right_end(41) > 4
    assert abs(of_the_right_end(321) - of_the_right_end(41)) <= 2


def test_shifts_are_parts_of_the_side_along_which_they_move() -> None:
    numbers = middling(SHIFT_X=0.75, SHIFT_Y=0.75)  # half of the limit

    assert where_a_dot_goes((40, 120), 0, 0, lambda dot: changed(dot, only(shift=0.2), numbers)) == [-12, -4]


def test_a_zoom_changes_the_size_by_no_more_than_its_limit() -> None:
    square = np.zeros((200, 81, 81, 1), np.uint8)
    square[:, 20:61, 20:61] = 255
    scaled = changed(square, only(zoom=0.2))

    sides = (scaled[:, 40, :, 0] / 255).sum(axis=1)
    assert 41 / 1.2 - 1 < sides.min() < 41 / 1.2 + 1.5
    assert 41 / 0.8 - 1.5 < sides.max() < 41 / 0.8 + 1


def test_turning_keeps_the_size_that_a_zoom_gives() -> None:
    dot = np.zeros((1, 41, 41, 1), np.uint8)
    dot[:, 20, 32] = 255  # 12 pixels to the right of the centre
    moved = changed(dot, only(rotation=180, zoom=0.5), middling(ROTATION=0.75, ZOOM=1))

    assert np.argwhere(moved[0, :, :, 0] > 200).tolist() == [[12, 20]]  # 12 / 1.5 pixels above it


def test_a_crop_magnifies_within_its_limit_and_shows_nothing_outside() -> None:
    ramp = np.broadcast_to(np.arange(100, 150, dtype=np.uint8)[:, None], (200, 50, 50, 1))  # 1 a column, never black
    cropped = changed(ramp, only(crop=0.25))[:, 25, :, 0].astype(int)

    kept = (cropped[:, -1] - cropped[:, 0]) / 49  # part of the side
    assert kept.min() >= 0.5 - 1 / 49
    assert kept.min() < 0.55
    assert kept.max() > 0.95
    assert cropped.min() >= 100
    assert {cropped[:, 0].min(), cropped[:, -1].max()} <= {100, 101, 148, 149}  # crops reach both ends


def test_the_smallest_crop_is_the_part_worked_by_hand() -> None:
    ramp = np.broadcast_to(np.arange(0, 90, 10, dtype=np.uint8)[:, None], (1, 9, 9, 1))
    # all but the last of 2^24 areas: half of the side, 4 of the 8 steps between pixels, from the far left
    cropped = changed(ramp, only(crop=0.25), middling(CROP_AREA=LARGEST, CROP_X=0))

    np.testing.assert_allclose(cropped[0, 4, :, 0], [0, 5, 10, 15, 20, 25, 30, 35, 40], atol=1)


# colours


@pytest.mark.parametrize(("number", "expected"), [(0, [0, 49, 149]), (0.75, [36, 126, 226]), (1, [61, 151, 251])])
def test_brightness_adds_a_part_of_the_range(number: float, expected: list[int]) -> None:
    images = np.array([10, 100, 200], np.uint8).reshape(1, 1, 3, 1)
    brighter = changed(images, only(brightness=0.2), middling(BRIGHTNESS=number))  # 51 at most

    assert brighter.ravel().tolist() == expected


def test_contrast_scales_about_the_mean_of_the_image() -> None:
    images = np.array([[40, 60, 140], [90, 100, 110]], np.uint8).reshape(2, 1, 1, 3)  # mean 80, and 100

    numbers = middling(2, CONTRAST=0)
    assert changed(images, only(contrast=0.5), numbers).reshape(2, 3).tolist() == [[60, 70, 110], [95, 100, 105]]
    numbers = middling(2, CONTRAST=LARGEST)
    assert changed(images, only(contrast=0.5), numbers).reshape(2, 3).tolist() == [[20, 50, 170], [85, 100, 115]]


def test_saturation_scales_about_the_grey_of_each_pixel() -> None:
    images = np.array([[200, 100, 50], [70, 70, 70]], np.uint8).reshape(1, 1, 2, 3)  # grey 124.2, and 70

    grey = changed(images, only(saturation=1), middling(SATURATION=0))
    assert grey.reshape(2, 3).tolist() == [[124] * 3, [70] * 3]
    richer = changed(images, only(saturation=1), middling(SATURATION=0.75))  # 124.2 + 1.5 * (75.8, -24.2, -74.2)
    assert richer.reshape(2, 3).tolist() == [[238, 88, 13], [70] * 3]


def test_saturation_leaves_grey_images_as_they_are() -> None:
    np.testing.assert_array_equal(changed(noise(), only(saturation=1)), noise())


def test_colours_change_by_no_more_than_their_limits() -> None:
    images = np.full((200, 3, 3, 1), 100, np.uint8)
    change = changed(images, only(brightness=0.1))[:, 0, 0, 0].astype(int) - 100

    assert change.min() in (-26, -25)
    assert change.max() in (25, 26)


# erasing


def test_erasing_blanks_a_rectangle_of_no_more_than_its_area_in_half_of_the_images() -> None:
    images = noise(400, 20, 3)
    erased = changed(images, only(erasing=0.3))

    mean = images.mean(axis=(1, 2))
    blanked = (erased != images).any(axis=3)
    areas = blanked.reshape(400, -1).sum(axis=1)
    assert areas.max() <= 0.3 * 400
    assert areas.max() > 0.25 * 400
    assert 150 < np.count_nonzero(areas) <= 240
    for i in np.flatnonzero(areas):
        rows, columns = np.nonzero(blanked[i])
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert height * width == areas[i]
        np.testing.assert_allclose(erased[i][blanked[i]], np.tile(mean[i], (areas[i], 1)), atol=0.51)
        if min(height, width) >= 5:
            assert 0.3 * width / height < 1.3  # cut to whole pixels
            assert 0.3 * height / width < 1.3


def test_the_largest_rectangle_is_the_one_worked_by_hand() -> None:
    numbers = middling(ERASE=0, ERASE_AREA=LARGEST, ERASE_X=0, ERASE_Y=LARGEST)
    images = np.arange(100, dtype=np.uint8).reshape(1, 10, 10, 1)  # mean 49.5
    erased = changed(images, only(erasing=0.2501), numbers)  # a square of 5 pixels, bottom left

    expected = images.copy()
    expected[:, 5:, :5] = 50
    np.testing.assert_array_equal(erased, expected)


@pytest.mark.parametrize(("number", "sides"), [(0, (31, 9)), (1, (9, 31))])
def test_the_rectangles_outermost_aspects_are_the_ones_worked_by_hand(number: float, sides: tuple[int, int]) -> None:
    numbers = middling(ERASE=0, ERASE_AREA=LARGEST, ERASE_ASPECT=number)
    erased = changed(noise(1, 40), only(erasing=300.1 / 1600), numbers)  # sides of sqrt(300 / 0.3), sqrt(300 * 0.3)

    rows, columns = np.nonzero((erased != noise(1, 40))[0, :, :, 0])
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == sides


# RandAugment


def operated(images: np.ndarray, operation: Operation, magnitude: float, sign: int = 1) -> np.ndarray:
    return composed(images, [(operation, sign)], magnitude)


def composed(images: np.ndarray, operations: list[tuple[Operation, int]], magnitude: float) -> np.ndarray:
    numbers = middling(len(images))
    for i, (operation, sign) in enumerate(operations):
        numbers[:, Column.RANDAUGMENT + 2 * i] = (operation + 0.5) / len(Operation)
        numbers[:, Column.RANDAUGMENT + 2 * i + 1] = 0.25 if sign < 0 else 0.75
    return changed(images, only(randaugment=len(operations), randaugment_magnitude=magnitude), numbers)


def narrow(channels: int = 3) -> np.ndarray:
    """An image with few values, unevenly spread, of another range in each channel."""
    values = np.random.default_rng(1).integers(0, 10, (1, 12, 12, channels)) ** 2
    return (values + 40 + 30 * np.arange(channels)).astype(np.uint8)


def examples(channels: int) -> list[np.ndarray]:
    ramp = np.arange(60, 60 + 64 * channels, dtype=np.uint8).reshape(1, 8, 8, channels)  # each value once
    return [narrow(channels), noise(1, 32, channels), ramp, np.full((1, 5, 5, channels), 77, np.uint8)]


def in_pillow(images: np.ndarray, operation: Any) -> np.ndarray:
    image = Image.fromarray(images[0] if images.shape[-1] == 3 else images[0, :, :, 0])
    return np.asarray(operation(image)).reshape(images.shape)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("operation", "magnitude", "expected"),
    [
        (Operation.IDENTITY, 1, lambda image: image),
        (Operation.EQUALIZE, 1, ImageOps.equalize),
        (Operation.SOLARIZE, 0.5, lambda image: ImageOps.solarize(image, 128)),
        (Operation.SOLARIZE, 0.75, lambda image: ImageOps.solarize(image, 64)),
        (Operation.SOLARIZE, 1, ImageOps.invert),
        (Operation.POSTERIZE, 0.5, lambda image: ImageOps.posterize(image, 6)),
        (Operation.POSTERIZE, 1, lambda image: ImageOps.posterize(image, 4)),
    ],
)
def test_operations_are_those_of_pillow(channels: int, operation: Operation, magnitude: float, expected: Any) -> None:
    for images in examples(channels):
        np.testing.assert_array_equal(operated(images, operation, magnitude), in_pillow(images, expected))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (Operation.AUTOCONTRAST, lambda image, _: ImageOps.autocontrast(image)),
        (Operation.BRIGHTNESS, lambda image, factor: ImageEnhance.Brightness(image).enhance(factor)),
        (Operation.COLOUR, lambda image, factor: ImageEnhance.Color(image).enhance(factor)),
        (Operation.SHARPNESS, lambda image, factor: ImageEnhance.Sharpness(image).enhance(factor)),
    ],
)
def test_operations_are_those_of_pillow_but_for_rounding(
    channels: int, sign: int, operation: Operation, expected: Any
) -> None:
    for images in examples(channels):
        found = operated(images, operation, 0.5, sign).astype(int)
        # Pillow rounds the grey or the smooth image too
        np.testing.assert_allclose(found, in_pillow(images, lambda x: expected(x, 1 + sign * 0.45)), rtol=0, atol=1)


def test_contrast_of_randaugment_is_about_the_mean() -> None:
    images = np.array([40, 60, 140] * 3, np.uint8).reshape(1, 3, 3, 1)  # mean 80

    assert operated(images, Operation.CONTRAST, 1, -1)[0, 0, :, 0].tolist() == [76, 78, 86]
    assert operated(images, Operation.CONTRAST, 1, 1)[0, 0, :, 0].tolist() == [4, 42, 194]
    found = operated(narrow(1), Operation.CONTRAST, 0.5).astype(int)
    np.testing.assert_allclose(
        found, in_pillow(narrow(1), lambda image: ImageEnhance.Contrast(image).enhance(1.45)), rtol=0, atol=1
    )


@pytest.mark.parametrize(
    ("operation", "matrix"),
    [
        (Operation.SHEAR_X, (1, 0.3, 0, 1, 0, 0)),
        (Operation.SHEAR_Y, (1, 0, 0.3, 1, 0, 0)),
        (Operation.TRANSLATE_X, (1, 0, 0, 1, 150 / 331 * 41, 0)),
        (Operation.TRANSLATE_Y, (1, 0, 0, 1, 0, 150 / 331 * 41)),
        (Operation.ROTATE, (np.sqrt(0.75), -0.5, 0.5, np.sqrt(0.75), 0, 0)),
    ],
)
@pytest.mark.parametrize("sign", [-1, 1])
def test_geometric_operations_map_pixels_as_worked_by_hand(
    operation: Operation, matrix: tuple[float, ...], sign: int
) -> None:
    row, column = np.mgrid[-20:21, -20:21]
    images = np.stack([column + 100, row + 100, np.zeros_like(row)], axis=2)[None].astype(np.uint8)
    found = operated(images, operation, 1, sign)[0].astype(float)

    xx, xy, yx, yy, x, y = matrix
    from_x = xx * column + sign * (xy * row + x)
    from_y = sign * (yx * column + y) + yy * row
    np.testing.assert_allclose(found[..., 0], np.clip(from_x, -20, 20) + 100, atol=1.01)
    np.testing.assert_allclose(found[..., 1], np.clip(from_y, -20, 20) + 100, atol=1.01)


def test_operations_of_one_image_follow_each_other() -> None:
    operations = [
        (Operation.POSTERIZE, 1),
        (Operation.EQUALIZE, 1),
        (Operation.SOLARIZE, 1),
        (Operation.AUTOCONTRAST, 1),
    ]

    def expected(image: Image.Image) -> Image.Image:
        image = ImageOps.equalize(ImageOps.posterize(image, 6))
        return ImageOps.autocontrast(ImageOps.solarize(image, 128))

    found = composed(narrow(), operations, 0.5).astype(int)
    np.testing.assert_allclose(found, in_pillow(narrow(), expected), rtol=0, atol=1)


def test_translations_add_up_without_a_second_interpolation() -> None:
    images = noise(1, 12)
    there_and_back = composed(images, [(Operation.TRANSLATE_X, 1), (Operation.TRANSLATE_X, -1)], 0.9)

    np.testing.assert_array_equal(there_and_back, images)


def test_sharpness_leaves_the_border_and_images_that_did_not_draw_it() -> None:
    images = noise(2, 8)
    numbers = middling(2)
    numbers[:, Column.RANDAUGMENT] = [(Operation.SHARPNESS + 0.5) / 14, 0]
    found = changed(images, only(randaugment=1, randaugment_magnitude=1), numbers)

    np.testing.assert_array_equal(found[1], images[1])
    np.testing.assert_array_equal(found[0, [0, -1]], images[0, [0, -1]])
    pixels = images[0, 1:4, 1:4, 0].astype(float)
    smooth = (pixels.sum() + 4 * pixels[1, 1]) / 13
    assert found[0, 2, 2, 0] == np.clip(np.floor(smooth + 1.9 * (pixels[1, 1] - smooth) + 0.5), 0, 255)


def test_operations_are_drawn_evenly() -> None:
    numbers = draws(0, 0, np.arange(14_000))[:, Column.RANDAUGMENT]
    counts = np.bincount((numbers * 14).astype(int), minlength=len(Operation))

    assert len(counts) == 14
    np.testing.assert_allclose(counts, 1000, atol=150)


# mixing


def mixed(
    images: np.ndarray, targets: np.ndarray, weights: np.ndarray, numbers: np.ndarray, settings: Mixing
) -> list[np.ndarray]:
    given = (images, targets, weights, numbers, lambdas(numbers, settings))
    x, y, w, d, shares = (tf.constant(array) for array in given)
    tensors = mix(x, y, w, d, shares, settings)
    return [np.asarray(tensor) for tensor in tensors]


def constant_images(n: int, size: int = 8) -> np.ndarray:
    """Image i is of value i all over, so that a pixel says which image it is of."""
    return np.broadcast_to(np.arange(n, dtype=np.float32)[:, None, None, None], (n, size, size, 3)).copy()


def test_no_mixing_returns_what_it_is_given() -> None:
    given = (object(), object(), object())

    assert mix(*given, None, None, Mixing()) == given
    np.testing.assert_array_equal(lambdas(draws(0, 0, np.arange(4)), Mixing()), np.ones(4))


def test_lambdas_are_distributed_as_beta() -> None:
    numbers = middling(3)
    numbers[:, Column.MIX_LAMBDA] = [0.25, 0.5, 0.75]
    np.testing.assert_allclose(lambdas(numbers, Mixing(mixup=1)), [0.25, 0.5, 0.75], rtol=1e-6)  # even
    arcsine = np.sin(np.pi / 2 * numbers[:, Column.MIX_LAMBDA]) ** 2
    np.testing.assert_allclose(lambdas(numbers, Mixing(cutmix=0.5)), arcsine, rtol=1e-6)

    many = lambdas(draws(0, 0, np.arange(20_000)), Mixing(mixup=0.2)).astype(float)
    assert many.mean() == pytest.approx(0.5, abs=0.015)
    assert many.var() == pytest.approx(1 / (4 * (2 * 0.2 + 1)), abs=0.005)


def test_mixup_blends_images_targets_and_weights_with_the_image_before() -> None:
    numbers = middling(3)
    numbers[:, Column.MIX_LAMBDA] = [0.25, 0.5, 0.75]  # lambda itself, as alpha is 1
    weights = np.array([1, 2, 4], np.float32)
    images, targets, mixed_weights = mixed(
        constant_images(3), np.eye(3, dtype=np.float32), weights, numbers, Mixing(mixup=1)
    )

    shares = np.array([[0.25, 0, 0.75], [0.5, 0.5, 0], [0, 0.25, 0.75]])
    np.testing.assert_allclose(images[:, 3, 3, 0], shares @ [0, 1, 2], rtol=1e-6)
    np.testing.assert_allclose(mixed_weights, [0.25 + 3, 0.5 + 1, 0.5 + 3], rtol=1e-6)
    parts = [[0.25, 0, 3], [0.5, 1, 0], [0, 0.5, 3]]  # what each image counts in the loss, by class
    np.testing.assert_allclose(mixed_weights[:, None] * targets, parts, rtol=1e-6)


def test_cutmix_pastes_the_rectangle_worked_by_hand() -> None:
    numbers = middling(2)
    numbers[:, Column.MIX_LAMBDA] = 0.75  # a quarter of the area: 4 by 4 of 8 by 8
    numbers[1, [Column.CUT_Y, Column.CUT_X]] = [0, 0.5]  # centre on the upper border: half of it is cut off
    weights = np.array([1, 2], np.float32)
    images, targets, mixed_weights = mixed(
        constant_images(2), np.eye(2, dtype=np.float32), weights, numbers, Mixing(cutmix=1)
    )

    expected = constant_images(2)
    expected[0, 2:6, 2:6] = 1
    expected[1, :2, 2:6] = 0
    np.testing.assert_array_equal(images, expected)
    np.testing.assert_allclose(mixed_weights, [1.25, 1.875], rtol=1e-6)
    np.testing.assert_allclose(mixed_weights[:, None] * targets, [[0.75, 0.5], [0.125, 1.75]], rtol=1e-6)


def test_targets_are_the_shares_of_the_pixels_when_both_ways_are_on() -> None:
    n = 200
    numbers = draws(0, 0, np.arange(n))
    images, targets, _ = mixed(
        constant_images(n), np.eye(n, dtype=np.float32), np.ones(n, np.float32), numbers, Mixing(mixup=1, cutmix=1)
    )

    np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(targets @ np.arange(n), images.mean(axis=(1, 2, 3)), rtol=1e-4, atol=1e-4)
    flat = np.ptp(images, axis=(1, 2, 3)) == 0
    assert 80 < flat.sum() < 130  # mixup, and rectangles of no pixel


def test_the_weights_of_equal_images_stay() -> None:
    numbers = draws(0, 0, np.arange(8))
    *_, weights = mixed(
        constant_images(8), np.eye(8, dtype=np.float32), np.ones(8, np.float32), numbers, Mixing(mixup=0.2, cutmix=1)
    )

    np.testing.assert_allclose(weights, 1, rtol=1e-6)
