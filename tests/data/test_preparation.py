"""Golden pixels of the one function that prepares images, in training as in deployment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from compress.data.decoding import UnreadableImageError, identify, is_grey, open_image
from compress.data.preparation import prepare
from compress.untrusted import GIT_LFS

DEFAULTS: dict[str, Any] = {"size": 2, "fit": "stretch", "channels": 1, "background": (255, 255, 255)}


def prepared(rows: list[list[int]], **settings: Any) -> list[list[int]]:
    image = Image.fromarray(np.array(rows, np.uint8))
    return prepare(image, **{**DEFAULTS, **settings})[..., 0].tolist()


def test_an_image_of_the_right_size_is_left_as_it_is() -> None:
    assert prepared([[1, 2], [3, 4]]) == [[1, 2], [3, 4]]


def test_a_pointer_of_git_lfs_is_named() -> None:
    with pytest.raises(UnreadableImageError, match="is a Git LFS pointer, not the image itself"):
        identify(GIT_LFS + b"v1\n")


def test_stretch_changes_the_proportions() -> None:
    assert prepared([[0, 100]], size=4) == [[0, 25, 75, 100]] * 4


def test_shrinking_takes_in_every_pixel() -> None:
    """A triangle over four pixels to either side of each middle: weights 1, 3, 3, 1 where all are within the image."""
    rows = [[0, 0, 80, 80]] * 4

    assert prepared(rows) == [[11, 69], [11, 69]]  # (3 + 3 + 1) * 0 + 1 * 80 over 7, and its mirror image


def test_crop_takes_the_middle_square() -> None:
    assert prepared([[9, 1, 2, 9], [9, 3, 4, 9]], fit="crop") == [[1, 2], [3, 4]]


def test_pad_puts_the_whole_image_in_the_middle_of_the_background() -> None:
    assert prepared([[10, 20, 30, 40]], size=4, fit="pad") == [[255] * 4, [10, 20, 30, 40], [255] * 4, [255] * 4]
    assert prepared([[10, 20, 30, 40]], size=4, fit="pad", background=(7, 7, 7))[0] == [7] * 4


def test_a_crop_to_a_rectangle_takes_the_middle_of_its_proportions() -> None:
    rows = [[9, 9, 9, 9], [1, 2, 3, 4], [5, 6, 7, 8], [9, 9, 9, 9]]
    assert prepared(rows, size=[2, 4], fit="crop") == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert prepared(rows, size=[4, 2], fit="crop") == [[9, 9], [2, 3], [6, 7], [9, 9]]
    assert prepared([[9, 1, 2, 3, 4, 9]] * 2, size=[2, 4], fit="crop") == [[1, 2, 3, 4]] * 2
    # all of the height and, of a third of it, the middle of the width
    assert prepared([[9] * 6 + [7] * 3 + [9] * 6] * 9, size=[3, 1], fit="crop") == [[7]] * 3


def test_a_rectangle_is_padded_on_the_side_that_it_lacks() -> None:
    assert prepared([[10, 20]], size=[1, 4], fit="pad") == [[255, 10, 20, 255]]
    assert prepared([[10, 20]], size=[3, 2], fit="pad") == [[255, 255], [10, 20], [255, 255]]
    assert prepared([[10], [20]], size=[2, 3], fit="pad", background=(7, 7, 7)) == [[7, 10, 7], [7, 20, 7]]
    assert prepared([[50] * 4] * 2, size=[1, 6], fit="pad") == [[255, 255, 50, 50, 255, 255]]


def test_an_image_is_stretched_to_a_rectangle() -> None:
    assert prepared([[0, 100]], size=[1, 4], fit="stretch") == [[0, 25, 75, 100]]
    assert prepared([[0, 100]], size=[4, 2], fit="stretch") == [[0, 100]] * 4


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_a_square_given_by_both_sides_is_that_of_one(fit: str) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (31, 47, 3), np.uint8))
    settings = {**DEFAULTS, "fit": fit, "channels": 3}

    np.testing.assert_array_equal(
        prepare(image, **{**settings, "size": [16, 16]}), prepare(image, **{**settings, "size": 16})
    )


def test_grey_is_the_luma_of_colour() -> None:
    image = Image.new("RGB", (2, 2), (255, 0, 0))

    assert prepare(image, **DEFAULTS)[0, 0, 0] == round(0.299 * 255)


def test_grey_becomes_colour_where_colour_is_wanted() -> None:
    image = Image.new("L", (2, 2), 9)

    assert prepare(image, **{**DEFAULTS, "channels": 3}).tolist() == [[[9] * 3] * 2] * 2


def test_half_transparent_pixels_are_mixed_with_the_background() -> None:
    image = Image.new("RGBA", (2, 2), (0, 100, 200, 51))  # a fifth
    expected = [round(0.8 * 50 + 0.2 * value) for value in (0, 100, 200)]

    seen = prepare(image, **{**DEFAULTS, "channels": 3, "background": (50, 50, 50)})

    np.testing.assert_allclose(seen[0, 0], expected, rtol=0, atol=1)


def test_premultiplied_grey_is_laid_over_the_background() -> None:
    image = Image.new("LA", (2, 2), (100, 0)).convert("La")

    assert prepare(image, **DEFAULTS)[..., 0].tolist() == [[255, 255], [255, 255]]


def test_16_bit_grey_with_alpha_is_grey() -> None:
    from benchmarks.hostile_rows import half_clear_by_value

    data = half_clear_by_value(16, 4, 4 * bytes(4), 4 * bytes((77, 1, 255, 255)), b"")

    assert is_grey(identify(data))
    assert prepare(open_image(data), **{**DEFAULTS, "size": 8})[0, :, 0].tolist() == [255] * 4 + [77] * 4


@pytest.mark.parametrize(
    ("fit", "size"), [("crop", 16), ("pad", 16), ("stretch", 16), ("crop", [8, 24]), ("pad", [24, 8])]
)
def test_the_copy_in_a_bundle_needs_nothing_else_and_gives_the_same_pixels(
    fit: str, size: int | list[int], tmp_path: Path
) -> None:
    from compress.bundle.write import programs

    for name in ("decoding.py", "preparation.py"):
        (tmp_path / name).write_bytes(programs()[name].read_bytes())
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (31, 47, 4), np.uint8))
    image.save(tmp_path / "image.png")
    settings = {"size": size, "fit": fit, "channels": 3, "background": (1, 2, 3)}
    code = (
        "import sys; sys.path.insert(0, '.'); import preparation as p; from pathlib import Path\n"
        f"image = p.open_image(p.read_file(Path('image.png')))\np.np.save('seen.npy', p.prepare(image, **{settings}))"
    )
    subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, check=True)

    np.testing.assert_array_equal(np.load(tmp_path / "seen.npy"), prepare(image, **settings))  # type: ignore[arg-type]
