from __future__ import annotations

import os
import sys

import pytest

from compress.children import one_child
from compress.errors import MachineError


def has_tensorflow() -> bool:
    return "tensorflow" in sys.modules


def test_a_child_is_another_process_in_which_tensorflow_has_not_run() -> None:
    import compress.tensorflow  # noqa: F401

    with one_child("killed") as child:
        assert child.submit(os.getpid).result() != os.getpid()
        assert not child.submit(has_tensorflow).result()


def test_a_child_that_the_system_ends_is_one_line() -> None:
    with (
        pytest.raises(MachineError, match=r"^image\.size should be smaller$"),
        one_child("image.size should be smaller") as child,
    ):
        child.submit(os._exit, 9).result()
