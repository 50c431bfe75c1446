"""An image's random numbers: a function of seed, view and draw id, so that its changes do not depend on its batch."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


class Column(IntEnum):
    """What each number of an image's draws decides; from RANDAUGMENT on, two for each operation: which, and sign."""

    FLIP_X = 0
    FLIP_Y = 1
    SHIFT_X = 2
    SHIFT_Y = 3
    ROTATION = 4
    ZOOM = 5
    CROP_AREA = 6
    CROP_X = 7
    CROP_Y = 8
    BRIGHTNESS = 9
    CONTRAST = 10
    SATURATION = 11
    ERASE = 12
    ERASE_AREA = 13
    ERASE_ASPECT = 14
    ERASE_X = 15
    ERASE_Y = 16
    MIX_CHOICE = 17
    MIX_LAMBDA = 18
    CUT_X = 19
    CUT_Y = 20
    RANDAUGMENT = 21


DRAWS: int = Column.RANDAUGMENT + 2 * 8
"""How many uniform random numbers each image uses."""


def draws(seed: int, view: int | np.ndarray, draw_ids: np.ndarray) -> np.ndarray:
    """Return the random numbers of images, `(len(draw_ids), DRAWS) float32` in [0, 1).

    Each number depends only on `seed`, on its image's `view` (one for all images, or `(n,) int64`; where views are not
    repeated, the number of the epoch), on its image's number in `draw_ids` (`(n,) int64`) and on its column: an image's
    changes do not depend on its batch.
    SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014), split at each of these.
    """
    import numpy as np

    state = np.zeros(1, np.uint64)
    for number in (seed, view, draw_ids):
        state = _splitmix64(state, np.atleast_1d(np.asarray(number, np.int64)))
    bits = _splitmix64(state[:, None], np.arange(DRAWS))
    return (bits >> 40).astype(np.float32) * np.float32(2**-24)  # the 24 bits that a float32 holds


def _splitmix64(state: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Return output `n`, counted from 0, of the generator that starts at `state`."""
    z = state + (n.astype("uint64") + 1) * 0x9E3779B97F4A7C15
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB
    return z ^ (z >> 31)
