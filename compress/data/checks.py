"""Arrays of images and labels as users bring them, checked and converted to one form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from compress.errors import BadInputError

CHANNELS = (1, 3, 4)
SHOWN = 10  # values of a row in a message
WHITE, WHITE_16 = 255, 65535
OVERSHOOT = 0.01  # of the range from black to white, by which rounding and resizing may leave it
AT_ONCE = 256  # images that are converted together
RIGHT = "should be 0 to 255 as uint8, 0 to 1 as floats, or true and false"


def checked_images(arrays: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Return arrays of images, each as `(n, height, width, 1, 3 or 4) uint8`; the keys are their names in messages.

    True is white, as are 1.0 among floats from 0 to 1, 255 among numbers whose largest is more than half of that, and
    65535 among 16-bit integers likewise, which lose their low byte; uint8 stays as it is. Floats that leave the range
    from black to white by less than `OVERSHOOT` are clipped. Raises `BadInputError` for another shape or type, for the
    first value that is not a number, infinite or out of range, for numbers that do not tell what is white, and for
    arrays that differ in type or in what is white.
    """
    arrays = {what: array[..., np.newaxis] if array.ndim == 3 else array for what, array in arrays.items()}
    first, kind = next((what, array.dtype) for what, array in arrays.items())
    for what, array in arrays.items():
        _check_kind(array, what)
        if array.dtype != kind:
            raise BadInputError(f"{what}: has type {array.dtype}; should have {kind}, as {first} has")
    whites = {what: _white(array, what) for what, array in arrays.items()}
    white, clearest = max((white, what) for what, white in whites.items())
    limit = (white or 1) * (1 + OVERSHOOT if kind.kind == "f" else 1)
    for what, array in arrays.items():
        high = array.max()
        if not white and high:
            raise BadInputError(f"{what}: {kind} up to {high:g} does not tell which value is white; {RIGHT}")
        if whites[what] not in (0, white) or high > limit:
            raise BadInputError(
                f"{what}: reaches {high:g}, but {clearest} {arrays[clearest].max():g}; should have the same scale"
            )
    return [_as_bytes(array, white or WHITE) for array in arrays.values()]


def _white(array: np.ndarray, what: str) -> int:
    """Return which value is white, or 0 if the values do not tell; raises `BadInputError` if one is out of range."""
    high, kind = array.max(), array.dtype.kind
    if kind == "b":
        return 1
    if kind == "f":
        edge = OVERSHOOT if high <= 1 + OVERSHOOT else OVERSHOOT * WHITE
        _check_values(array, (array >= -edge) & (array <= WHITE * (1 + OVERSHOOT)), what, RIGHT)
        if 2 / WHITE < high <= 1 + OVERSHOOT:
            return 1
    elif array.dtype != np.uint16:
        _check_values(array, (array >= 0) & (array <= WHITE), what, RIGHT)
    elif high > WHITE:
        return WHITE_16 if high > WHITE_16 // 2 else 0
    return WHITE if high > WHITE // 2 or (array.dtype == np.uint8 and high > 1) else 0


def _as_bytes(array: np.ndarray, white: int) -> np.ndarray:
    if array.dtype == np.uint8:
        return array
    pixels = np.empty(array.shape, np.uint8)
    for start in range(0, len(array), AT_ONCE):  # whole copies as floats would take many times the memory
        part = array[start : start + AT_ONCE]
        if white == WHITE_16:
            part = part >> 8
        elif part.dtype.kind == "f":
            part = np.rint(np.clip(part, 0, white) * (WHITE // white))
        else:
            part = part.astype(np.uint8) * np.uint8(WHITE // white)
        pixels[start : start + AT_ONCE] = part
    return pixels


def _check_kind(array: np.ndarray, what: str) -> None:
    if array.ndim != 4 or array.shape[3] not in CHANNELS or 0 in array.shape:
        raise BadInputError(
            f"{what}: has shape {array.shape}; should be (images, height, width) or (images, height, width, 1, 3 or 4)"
        )
    if array.dtype.kind not in "uifb":
        raise BadInputError(f"{what}: has type {array.dtype}; {RIGHT}")
    if array.dtype.kind == "f":
        _check_values(array, np.isfinite(array), what, "should be a finite number")


def checked_labels(array: np.ndarray, n: int, what: str, classes: Sequence[str] = ()) -> np.ndarray:
    """Return labels as `(n,) int64`, from 0 to the last class; `n` is the number of images.

    If `classes` are given, the labels are indices into them. Raises `BadInputError` for another shape or type, and for
    a label out of range. A class may have no image: a network may be tested on such data, though it cannot learn them.
    """
    labels = one_per_image(array, n, what)
    if labels.dtype.kind == "f" and np.isfinite(labels).all() and (labels == np.rint(labels)).all():
        labels = labels.astype(np.int64)
    if labels.dtype.kind not in "ui":
        raise BadInputError(f"{what}: has type {array.dtype}; should be integers")
    limit = len(classes) or n
    _check_values(labels, (labels >= 0) & (labels < limit), what, f"should be 0 to {limit - 1}")
    return labels.astype(np.int64)


def from_one_hot(array: np.ndarray, what: str) -> np.ndarray:
    """Return the labels `(n,) int64` of one-hot rows `(n, classes)`; raises `BadInputError` for the first other row."""
    if array.dtype.kind not in "buif":
        raise BadInputError(f"{what}: has type {array.dtype} and shape {array.shape}; should be one label per image")
    valid = ((array == 0) | (array == 1)).all(axis=1) & (np.count_nonzero(array, axis=1) == 1)
    if not valid.all():
        row = int(np.argmin(valid))
        shown = ", ".join(map(str, array[row, :SHOWN].tolist())) + (", ..." if array.shape[1] > SHOWN else "")
        raise BadInputError(
            f"{what}[{row}] = [{shown}]: should be one label per image, or one-hot: a 1 for its class, 0 for all others"
        )
    return array.argmax(axis=1)


def one_per_image(array: np.ndarray, n: int, what: str) -> np.ndarray:
    """Return labels `(n,)` or, as in Keras's CIFAR, `(n, 1)` as `(n,)`; raises `BadInputError` for another shape."""
    if array.shape not in ((n,), (n, 1)):
        raise BadInputError(f"{what}: has shape {array.shape}; should be ({n},), one label per image")
    return array.reshape(n)


def _check_values(array: np.ndarray, valid: np.ndarray, what: str, right: str) -> None:
    if not valid.all():
        index = tuple(int(i) for i in np.unravel_index(int(np.argmin(valid)), valid.shape))
        raise BadInputError(f"{what}[{', '.join(map(str, index))}] = {array[index]}: {right}")
