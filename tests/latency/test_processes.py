from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from compress.errors import BadInputError
from compress.latency.processes import pin_to_idle_cores, run_in_new_process


@dataclass(frozen=True)
class Request:
    number: int


CHILD = """
from dataclasses import dataclass
from compress.latency.processes import answer

@dataclass
class Reply:
    twice: int

def main():
    answer(lambda request: Reply(2 * request["number"]))
"""


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that new processes import from first; it holds the module `child`."""
    (tmp_path / "child.py").write_text(CHILD)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    "printed",
    [
        "print('hello')",
        "print('{}')",
        "import sys; sys.stderr.buffer.write(bytes([255, 254]))",
        "import sys; sys.stdout.buffer.write(bytes([255, 254]))",
        "import atexit; atexit.register(print, 'bye')",
    ],
)
def test_what_python_prints_when_it_starts_or_ends_does_not_break_the_reply(printed: str, child: Path) -> None:
    (child / "sitecustomize.py").write_text(printed)

    assert run_in_new_process("child", Request(21)) == {"twice": 42}


@pytest.mark.parametrize(("code", "number"), [("3", 3), ("0", 0)])
def test_a_process_that_dies_is_an_error_of_the_input(code: str, number: int, child: Path) -> None:
    (child / "child.py").write_text(f"import os\nos._exit({code})")

    with pytest.raises(BadInputError, match=rf"^21: the process that should measure this ended with code {number}"):
        run_in_new_process("child", Request(21))


@pytest.mark.skipif(not hasattr(psutil.Process, "cpu_affinity"), reason="this system does not pin processes")
def test_a_process_stays_on_as_many_cores_as_it_has_threads() -> None:
    before = psutil.Process().cpu_affinity()
    try:
        cores = pin_to_idle_cores(1)
        assert len(cores) == 1
        assert psutil.Process().cpu_affinity() == cores
    finally:
        psutil.Process().cpu_affinity(before)
