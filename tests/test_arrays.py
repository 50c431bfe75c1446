from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from compress.arrays import load_arrays, save_array, save_arrays
from compress.files import write_file

ARRAY = np.arange(100_000.0)
FULL_DISK = Path("/dev/full")


def test_an_array_comes_back_and_can_be_memory_mapped(tmp_path: Path) -> None:
    save_array(tmp_path / "a.npy", ARRAY)

    np.testing.assert_array_equal(np.load(tmp_path / "a.npy", mmap_mode="r"), ARRAY)


def test_the_same_arrays_give_the_same_file(tmp_path: Path) -> None:
    arrays = {"a": ARRAY, "b": np.ones((2, 2), np.int8)}
    save_arrays(tmp_path / "one.npz", arrays)
    save_arrays(tmp_path / "two.npz", arrays)

    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    np.testing.assert_array_equal(load_arrays(tmp_path / "one.npz")["b"], arrays["b"])


def test_a_file_with_pickled_objects_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "bad.npz", a=np.array([{}], object))

    with pytest.raises(ValueError, match="allow_pickle=False"):
        load_arrays(tmp_path / "bad.npz")


@pytest.mark.skipif(not FULL_DISK.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize(
    "write",
    [
        lambda path: save_array(path, ARRAY),
        lambda path: save_array(path, ARRAY[:1]),  # less than a buffer: known only when it is flushed
        lambda path: save_arrays(path, {"a": ARRAY}),
        lambda path: write_file(path, ARRAY.tobytes()),
    ],
)
def test_a_full_disk_is_told_and_leaves_the_old_file(tmp_path: Path, write: Callable[[Path], None]) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    (tmp_path / "file.tmp").symlink_to(FULL_DISK)

    with pytest.raises(OSError) as error:  # noqa: PT011
        write(path)

    assert error.value.errno == errno.ENOSPC
    assert path.read_bytes() == b"old"
