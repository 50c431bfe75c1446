from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from compress.streams import ClosedPipeError, guarded_output
from tests.conftest import REPOSITORY, Run

# Printed by python's print, by rich through typer, by argparse, and by typer's help
COMMANDS = {
    "predict": ("predict", "exported/digits", "image.png"),
    "verify": ("verify", "exported/digits"),
    "config": ("config",),
    "plan": ("plan", "--config", str(Path(__file__).with_name("tiny.toml"))),
    "help": ("--help",),
    "help of predict": ("predict", "--help"),
    "an error": ("verify", "none"),
}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no broken pipes of this kind")
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_whose_reader_is_gone_ends_quietly(name: str, tiny_run: Run) -> None:
    Image.new("L", (32, 32)).save(tiny_run.folder / "image.png")
    reader, writer = os.pipe()
    os.close(reader)
    is_error = name == "an error"
    process = subprocess.run(
        [sys.executable, "-m", "compress", *COMMANDS[name]],
        cwd=tiny_run.folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=writer,
        stderr=writer if is_error else subprocess.PIPE,
        check=False,
    )
    os.close(writer)

    assert process.returncode == ClosedPipeError.exit_code
    assert is_error or process.stderr == b""


FULL = {
    "print": (("config",), "stdout", 4),
    "argparse, which catches it": (("predict", "--help"), "stdout", 4),
    "typer's help": (("--help",), "stdout", 4),
    "an error": (("predict", "none", "image.png"), "stderr", 2),
}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("name", FULL)
def test_a_full_disk_under_the_output_is_one_line(name: str, unbuffered: str, tmp_path: Path) -> None:
    arguments, stream, code = FULL[name]
    with Path("/dev/full").open("w") as full:
        process = subprocess.run(
            [sys.executable, "-m", "compress", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": unbuffered},
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: full},  # type: ignore[call-overload]
            text=True,
            check=False,
        )

    line = "error: standard output: the disk is full; free some space and run the same command again\n"
    assert (process.returncode, process.stderr or "", process.stdout or "") == (code, line if code == 4 else "", "")


PRINTED = {"typer": ("config", "--set", "workspace=\u3042"), "predict": ("predict", "exported/digits", "\u3042.png")}


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
@pytest.mark.parametrize("command", PRINTED)
def test_what_an_encoding_lacks_is_printed_as_backslashes(command: str, encoding: str, tiny_run: Run) -> None:
    Image.new("L", (32, 32)).save(tiny_run.folder / "\u3042.png")
    process = subprocess.run(
        [sys.executable, "-m", "compress", *PRINTED[command]],
        cwd=tiny_run.folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONIOENCODING": encoding, "LC_ALL": "C.UTF-8"},
        capture_output=True,
        check=False,
    )

    assert process.returncode == 0, process.stderr
    assert ("\u3042" if encoding == "utf-8" else "\\u3042") in process.stdout.decode(encoding)


def test_another_broken_pipe_is_not_taken_for_the_readers() -> None:
    with pytest.raises(BrokenPipeError), guarded_output():
        raise BrokenPipeError


def test_streams_are_as_before_afterwards() -> None:
    streams = sys.stdout, sys.stderr
    with guarded_output():
        print("text")

    assert (sys.stdout, sys.stderr) == streams
