"""Whatever numbers an array of images holds, black becomes 0 and white 255, or one line says why not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from compress.data.checks import checked_images
from compress.errors import BadInputError

BYTES = np.random.default_rng(3).integers(0, 256, (6, 4, 5, 3), np.uint8)
BYTES[0, 0, 0] = 0, 255, 128


def with_one(array: np.ndarray, value: float) -> np.ndarray:
    """Return an array with another value in place of the white one."""
    changed = array.copy()
    changed[0, 0, 0, 1] = value
    return changed


SHARES = BYTES / 255
SAME: dict[str, np.ndarray] = {
    "bytes": BYTES,
    "int64": BYTES.astype(np.int64),
    "uint16 of 8 bits": BYTES.astype(np.uint16),
    "big-endian uint16": BYTES.astype(">u2") * 256 + 255,
    "16 bits": BYTES.astype(np.uint16) * 257,
    "float64 to 1": SHARES,
    "float32 to 1": SHARES.astype(np.float32),
    "float16 to 1": SHARES.astype(np.float16),
    "float16 to 255": BYTES.astype(np.float16),
    "float32 to 255, with fractions": BYTES.astype(np.float32) + np.float32(0.3),
    "a share above 1": with_one(SHARES, 1.0000001),
    "a share well above 1": with_one(SHARES, 1.009),
    "a share below 0": SHARES - 1e-7,
    "255 and a bit": with_one(BYTES.astype(float), 256.1),
    "0 and less": np.where(BYTES == 0, -0.7, BYTES),
}


@pytest.mark.parametrize("name", SAME)
def test_one_picture_in_any_type_and_scale_is_the_same_bytes(name: str) -> None:
    [seen] = checked_images({"images": SAME[name]})

    assert seen.dtype == np.uint8
    np.testing.assert_array_equal(seen, BYTES)


def test_true_is_white() -> None:
    [seen] = checked_images({"images": BYTES[..., 0] > 99})

    assert np.unique(seen).tolist() == [0, 255]
    np.testing.assert_array_equal(seen[..., 0] == 255, BYTES[..., 0] > 99)


UNTOLD: dict[str, tuple[np.ndarray, str]] = {
    "12 bits in 16": (
        (SHARES * 4095).astype(np.uint16),
        "images: uint16 up to 4095 does not tell which value is white",
    ),
    "10 bits in 16": ((SHARES * 1023).astype(np.uint16), "uint16 up to 1023 does"),
    "one more than a byte": (BYTES.astype(np.uint16) + 1, "uint16 up to 256 does"),
    "bytes of 0 and 1": ((BYTES > 99).astype(np.uint8), "uint8 up to 1 does"),
    "integers of 0 and 1": ((BYTES > 99).astype(int), "int64 up to 1 does"),
    "integers to 16": ((SHARES * 16).astype(np.int32), "int32 up to 16 does"),
    "floats to 16": (np.rint(SHARES * 16), "float64 up to 16 does"),
    "percent": (SHARES * 100, "float64 up to 100 does"),
    "divided twice": (SHARES / 255, "float64 up to 0.00392157 does"),
    "far above 1": (SHARES * 1.5, "float64 up to 1.5 does"),
    "from -1 to 1": (SHARES * 2 - 1, "[0, 0, 0, 0] = -1.0: should be 0 to 255 as uint8, 0 to 1 as floats, or true and"),
    "standardized": ((SHARES - 0.5) * 6, "[0, 0, 0, 0] = -3.0: should be"),
    "signed bytes": ((BYTES.astype(int) - 128).astype(np.int8), "[0, 0, 0, 0] = -128: should be"),
    "32 bits": (BYTES.astype(np.uint32) * 257, "[0, 0, 0, 1] = 65535: should be"),
    "floats of 16 bits": (SHARES * 65535, "[0, 0, 0, 1] = 65535.0: should be"),
    "a little less than infinite": (with_one(SHARES, 3e38), "[0, 0, 0, 1] = 3e+38: should be"),
}


@pytest.mark.parametrize(("array", "said"), UNTOLD.values(), ids=UNTOLD)
def test_numbers_that_do_not_tell_what_is_white_are_refused(array: np.ndarray, said: str) -> None:
    with pytest.raises(BadInputError) as caught:
        checked_images({"images": array})

    assert said in str(caught.value)
    assert str(caught.value).startswith("images")


def test_a_dim_split_has_the_scale_that_the_other_tells() -> None:
    dim = (BYTES // 64).astype(float)

    seen = checked_images({"x_train": BYTES.astype(float), "x_test": dim, "x_val": np.zeros_like(dim)})

    np.testing.assert_array_equal(seen[0], BYTES)
    np.testing.assert_array_equal(seen[1], BYTES // 64 * (dim > 0))
    assert not seen[2].any()


@pytest.mark.parametrize(
    ("train", "test", "said"),
    [
        (SHARES, BYTES * 1.0, "x_train: reaches 1, but x_test 255; should have the same scale"),
        (BYTES * 1.0, SHARES, "x_test: reaches 1, but x_train 255"),
        (SHARES, SHARES * 3, "x_test: reaches 3, but x_train 1"),
        (BYTES.astype(np.uint16) * 257, BYTES.astype(np.uint16), "x_test: reaches 255, but x_train 65535"),
        (BYTES.astype(np.uint16), BYTES.astype(np.uint16) * 16, "x_test: reaches 4080, but x_train 255"),
    ],
)
def test_splits_of_different_scales_are_refused(train: np.ndarray, test: np.ndarray, said: str) -> None:
    arrays: dict[str, Any] = {"x_train": train, "x_test": test}

    with pytest.raises(BadInputError) as caught:
        checked_images(arrays)

    assert said in str(caught.value)


def test_black_images_stay_black() -> None:
    for kind in (np.uint8, np.int64, np.float32, np.bool_):
        [seen] = checked_images({"images": np.zeros((2, 3, 3), kind)})
        assert not seen.any()
