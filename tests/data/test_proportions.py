"""What preparation takes from images of other proportions than the network's input, worked by hand."""

from __future__ import annotations

from typing import Any

import pytest

from compress.data.proportions import effect, misfit, proportions

Size = int | list[int]


def found(sizes: list[tuple[int, int]], size: Size = 32, fit: str = "crop") -> dict[str, Any]:
    return proportions(sizes, {"size": size, "fit": fit, "channels": 1, "background": [0, 0, 0]})


LINES: list[tuple[list[tuple[int, int]], Size, str, str]] = [
    (
        [(320, 40)] * 3,
        32,
        "crop",
        "images are 8 times as wide as high at the median; image.fit = crop at image.size = 32 cuts away 88 % of an "
        "image: set image.size = [32, 256] or image.fit = pad",
    ),
    (
        [(160, 40), (160, 40), (200, 40)],
        32,
        "crop",
        "images are 4 times as wide as high at the median; image.fit = crop at image.size = 32 cuts away 77 % of an "
        "image on average, 80 % at most: set image.size = [32, 128] or image.fit = pad",
    ),
    (
        [(100, 250)],
        [64, 64],
        "stretch",
        "images are 2.5 times as high as wide at the median; image.fit = stretch at image.size = [64, 64] squeezes one "
        "side of an image by 60 % against the other: set image.size = [160, 64] or image.fit = pad",
    ),
    (
        [(50, 100)],
        [32, 96],  # a sixth of the width is the image's
        "pad",
        "images are 2 times as high as wide at the median; image.fit = pad at image.size = [32, 96] leaves 83 % of the "
        "network's input to bars: set image.size = [64, 32]",
    ),
    (
        [(40, 30), (30, 40)],  # another size would cut more from one of them than it leaves of the other
        32,
        "crop",
        "images are about as wide as high at the median; image.fit = crop at image.size = 32 cuts away 25 % of an "
        "image: set image.fit = pad",
    ),
    (
        [(50, 50)],
        [32, 96],
        "crop",
        "images are about as wide as high at the median; image.fit = crop at image.size = [32, 96] cuts away 67 % of "
        "an image: set image.size = 32 or image.fit = pad",
    ),
    (
        [(40, 30), (30, 40)],
        32,
        "pad",
        "images are about as wide as high at the median; image.fit = pad at image.size = 32 leaves 25 % of the "
        "network's input to bars",
    ),
    (
        [(32, 32)] * 199 + [(320, 40)],
        32,
        "crop",
        "images are about as wide as high at the median; image.fit = crop at image.size = 32 cuts away 0 % of an image "
        "on average, 88 % at most: set image.fit = pad",
    ),
    (
        [(4000, 40)],  # no side is longer than 1024 pixels
        32,
        "crop",
        "images are 100 times as wide as high at the median; image.fit = crop at image.size = 32 cuts away 99 % of an "
        "image: set image.fit = pad",
    ),
]


@pytest.mark.parametrize(("sizes", "size", "fit", "line"), LINES)
def test_what_is_lost_is_said_with_its_share_and_what_to_set(
    sizes: list[tuple[int, int]], size: Size, fit: str, line: str
) -> None:
    assert misfit(found(sizes, size, fit)) == [line]


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_images_of_the_networks_proportions_lose_nothing(fit: str) -> None:
    for sizes, size in (([(8, 8), (640, 640)], 32), ([(300, 100), (96, 32), (961, 320)], [32, 96])):
        assert (effect(found(sizes, size, fit)), misfit(found(sizes, size, fit))) == ("", [])


def test_the_size_proposed_loses_little() -> None:
    sizes = [(330, 40), (310, 40), (250, 30)]
    better = found(sizes)["better_size"]

    assert better == [32, 256]
    assert found(sizes, better)["share"] < 0.05
