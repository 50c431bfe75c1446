"""How much of the images is cut away, squeezed or left to bars where they are not of the network's proportions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from compress.data.preparation import height_and_width

LEAST = 0.01  # of an image, from which it is said
LONGEST, STEP = 1024, 16  # pixels of a side that is proposed
EFFECTS = {
    "crop": "cuts away {} of an image",
    "pad": "leaves {} of the network's input to bars",
    "stretch": "squeezes one side of an image by {} against the other",
}


def proportions(sizes: Sequence[tuple[int, int]], preparation: Mapping[str, Any]) -> dict[str, Any]:
    """Return, as JSON values, how much is lost of images that are not of the proportions of the network's input.

    `sizes` are the images' widths and heights, `preparation` the settings of `prepare`. `share` is the mean share of an
    image that is cut away or squeezed, or of the input that is bars; `largest_share` is that of the worst image.
    `width_to_height` is the images' median. `better_size`, a side or height and width, has the median's proportions; it
    is None if that would not halve the share.
    """
    size = height_and_width(preparation["size"])
    shares = _shares(sizes, size)
    ratio = float(np.median([width / height for width, height in sizes]))
    better = size_of(ratio, min(size))
    is_better = shares.mean() >= LEAST and _shares(sizes, better).mean() <= shares.mean() / 2
    return {
        "size": preparation["size"],
        "fit": preparation["fit"],
        "width_to_height": round(ratio, 3),
        "share": round(float(shares.mean()), 4),
        "largest_share": round(float(shares.max()), 4),
        "better_size": None if not is_better else list(better) if better[0] != better[1] else better[0],
    }


def effect(found: Mapping[str, Any]) -> str:
    """Return what preparation does to images, from what `proportions` found; empty if it takes nothing."""
    if found["largest_share"] < LEAST:
        return ""
    mean, most = (f"{100 * found[share]:.0f} %" for share in ("share", "largest_share"))
    return EFFECTS[found["fit"]].format(mean) + ("" if mean == most else f" on average, {most} at most")


def misfit(found: Mapping[str, Any]) -> list[str]:
    """Return a line with the `effect`, its cause, and the settings that would be better; none if nothing is lost."""
    if not effect(found):
        return []
    settings = [f"image.size = {found['better_size']}"] if found["better_size"] else []
    settings += ["image.fit = pad"] if found["fit"] != "pad" else []
    advice = f": set {' or '.join(settings)}" if settings else ""
    return [
        f"images are {_in_words(found['width_to_height'])} at the median; image.fit = {found['fit']} at "
        f"image.size = {found['size']} {effect(found)}{advice}"
    ]


def size_of(width_to_height: float, shorter: int) -> tuple[int, int]:
    """Return the height and width of a rectangle of about this ratio, with sides that can be halved several times."""
    longer = max(width_to_height, 1 / width_to_height) * shorter
    longer = max(shorter, min(LONGEST, round(longer / STEP) * STEP))
    return (shorter, longer) if width_to_height > 1 else (longer, shorter)


def _shares(sizes: Sequence[tuple[int, int]], size: tuple[int, int]) -> np.ndarray:
    """Return for each image the share that does not fit a height and width, whichever side has too much of it."""
    width, height = np.array(sizes, float).T
    ratios = width * size[0] / (height * size[1])
    return 1 - np.minimum(ratios, 1 / ratios)


def _in_words(width_to_height: float) -> str:
    times = f"{max(width_to_height, 1 / width_to_height):,.1f}".removesuffix(".0")
    if times == "1":
        return "about as wide as high"
    return f"{times} times as wide as high" if width_to_height > 1 else f"{times} times as high as wide"
