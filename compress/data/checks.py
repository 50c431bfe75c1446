"""Arrays of images and labels as users bring them, checked and converted to one form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from compress.errors import BadInputError

CHANNELS = (1, 3, 4)


def checked_images(arrays: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Return arrays of images, each as `(n, height, width, 1, 3 or 4) uint8`; the keys are their names in messages.

    Integers from 0 to 255 stay as they are, 16-bit ones lose their low byte, floats from 0 to 1 are scaled to 255, and
    floats from 0 to 255 are rounded; the largest value in all arrays tells which of these they are. Raises
    `BadInputError` for another shape or type, for arrays of different types, and for the first value that is not a
    number, infinite or out of range.
    """
    arrays = {what: array[..., np.newaxis] if array.ndim == 3 else array for what, array in arrays.items()}
    first, kind = next((what, array.dtype) for what, array in arrays.items())
    for what, array in arrays.items():
        _check_kind(array, what)
        if array.dtype != kind:
            raise BadInputError(f"{what}: has type {array.dtype}; should have {kind}, as {first} has")
    if kind == np.uint8:
        return list(arrays.values())
    high = max(array.max() for array in arrays.values())
    if kind == np.uint16 and high > 255:
        return [(array >> 8).astype(np.uint8) for array in arrays.values()]
    for what, array in arrays.items():
        if array.min() < 0 or array.max() > 255:
            _check_values(array, (array >= 0) & (array <= 255), what, "should be 0 to 255, or 0 to 1 in all images")
    if kind.kind == "f":
        return [np.rint(array * (255.0 if high <= 1 else 1.0)).astype(np.uint8) for array in arrays.values()]
    return [array.astype(np.uint8) for array in arrays.values()]


def _check_kind(array: np.ndarray, what: str) -> None:
    if array.ndim != 4 or array.shape[3] not in CHANNELS or 0 in array.shape:
        raise BadInputError(
            f"{what}: has shape {array.shape}; should be (images, height, width) or (images, height, width, 1, 3 or 4)"
        )
    if array.dtype.kind not in "uif":
        raise BadInputError(f"{what}: has type {array.dtype}; should be integers from 0 to 255 or floats from 0 to 1")
    if array.dtype.kind == "f":
        _check_values(array, np.isfinite(array), what, "should be a finite number")


def checked_labels(array: np.ndarray, n: int, what: str, classes: Sequence[str] = ()) -> np.ndarray:
    """Return labels as `(n,) int64`, from 0 to the last class without gaps; `n` is the number of images.

    If `classes` are given, the labels are indices into them. Raises `BadInputError` for another shape or type, for a
    label out of range, and for a class without images.
    """
    labels = one_per_image(array, n, what)
    if labels.dtype.kind == "f" and np.isfinite(labels).all() and (labels == np.rint(labels)).all():
        labels = labels.astype(np.int64)
    if labels.dtype.kind not in "ui":
        raise BadInputError(f"{what}: has type {array.dtype}; should be integers")
    limit = len(classes) or n
    _check_values(labels, (labels >= 0) & (labels < limit), what, f"should be 0 to {limit - 1}")
    labels = labels.astype(np.int64)
    counts = np.bincount(labels, minlength=len(classes))
    if not counts.all():
        raise BadInputError(f"{what}: no image has label {counts.argmin()}; labels should have no gaps")
    return labels


def one_per_image(array: np.ndarray, n: int, what: str) -> np.ndarray:
    """Return labels `(n,)` or, as in Keras's CIFAR, `(n, 1)` as `(n,)`; raises `BadInputError` for another shape."""
    if array.shape not in ((n,), (n, 1)):
        raise BadInputError(f"{what}: has shape {array.shape}; should be ({n},), one label per image")
    return array.reshape(n)


def _check_values(array: np.ndarray, valid: np.ndarray, what: str, right: str) -> None:
    if not valid.all():
        index = tuple(int(i) for i in np.unravel_index(int(np.argmin(valid)), valid.shape))
        raise BadInputError(f"{what}[{', '.join(map(str, index))}] = {array[index]}: {right}")
